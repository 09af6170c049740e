//! Serves an open file: conditions, ranges, and headers that keep browsers from taking it for a page of this server.

use super::conditional::{ReadCondition, evaluate};
use super::etag::quoted;
use super::media_type::{is_harmless, media_type};
use super::range::{ByteRange, RangeSelection, requested};
use crate::http::body::{Body, Download};
use crate::http::reply;
use crate::http::response_memory::{self, ResponseMemory};
use crate::model::time::http_date;
use crate::model::{Error, Result};
use crate::storage::{Node, Reader};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

/// Up to this many bytes leave together with the headers.
const SMALL: u64 = 64 * 1024;
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest"); // of the whole file (RFC 9530)
/// The answer to a HEAD.
pub fn describe(node: &Node, name: Option<&str>, headers: &HeaderMap) -> Result<Response<Body>> {
    let etag = quoted(node);
    Ok(match evaluate(headers, &etag, node.modified)? {
        ReadCondition::NotModified => not_modified(node, etag),
        ReadCondition::Proceed => whole(node, name, etag),
    })
}

/// The answer to a GET of an open file.
pub async fn serve(
    reader: Arc<dyn Reader>,
    name: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>> {
    let node = reader.node();
    let etag = quoted(node);
    if evaluate(headers, &etag, node.modified)? == ReadCondition::NotModified {
        return Ok(not_modified(node, etag));
    }
    let selection = requested(headers, &etag, node);
    if selection == RangeSelection::Unsatisfiable {
        return Ok(reply::unsatisfiable(node.len));
    }
    let len = node.len;
    let mut response = whole(node, name, etag);
    if let Some(digest) = reader.digest() {
        response.headers_mut().insert(
            REPR_DIGEST,
            value(format!("blake3=:{}:", BASE64_STANDARD.encode(digest))),
        );
    }
    let parts = match selection {
        RangeSelection::Several(spans) => split(&mut response, &spans, len),
        RangeSelection::One(span) => {
            let range = format!("bytes {}-{}/{len}", span.first, span.last);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_RANGE, value(range));
            BodyParts::from([BodyPart::file(span)])
        }
        RangeSelection::Whole | RangeSelection::Unsatisfiable => len
            .checked_sub(1)
            .map(|last| BodyPart::file(ByteRange { first: 0, last }))
            .into_iter()
            .collect(),
    };
    let count = parts.iter().map(BodyPart::len).sum();
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(count));
    *response.body_mut() = body(reader, parts, count).await?;
    response.extensions_mut().insert(Download);
    Ok(response)
}

/// A header of text that is known to be visible ASCII.
fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn not_modified(node: &Node, etag: String) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(ETAG, value(etag));
    headers.insert(LAST_MODIFIED, value(http_date(node.modified)));
    response
}

/// A 200 with all headers of the whole file, and no body yet.
fn whole(node: &Node, name: Option<&str>, etag: String) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let mut headers = HeaderMap::with_capacity(16);
    let media = media_type(name, false);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(node.len));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(ETAG, value(etag));
    headers.insert(LAST_MODIFIED, value(http_date(node.modified)));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    if !is_harmless(media) {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    *response.headers_mut() = headers;
    response
}

/// What a body consists of, in order.
type BodyParts = VecDeque<BodyPart>;

/// A piece of a body.
enum BodyPart {
    Text(Bytes),
    File { offset: u64, left: u64 },
}

impl BodyPart {
    fn file(span: ByteRange) -> Self {
        Self::File {
            offset: span.first,
            left: span.count(),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File { left, .. } => *left,
        }
    }
}

/// Makes the answer a multipart/byteranges of these parts (RFC 9110 section 14.6).
fn split(response: &mut Response<Body>, spans: &[ByteRange], len: u64) -> BodyParts {
    let random = RandomState::new();
    let boundary = format!(
        "{:016x}{:016x}",
        random.hash_one(len),
        random.hash_one("boundary")
    );
    let headers = response.headers_mut();
    let multipart = value(format!("multipart/byteranges; boundary={boundary}"));
    let media = headers.insert(CONTENT_TYPE, multipart);
    let media = media
        .as_ref()
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    let mut parts = BodyParts::with_capacity(2 * spans.len() + 1);
    for (index, span) in spans.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\r\n" };
        let ByteRange { first, last } = span;
        parts.push_back(BodyPart::Text(Bytes::from(format!(
            "{gap}--{boundary}\r\nContent-Type: {media}\r\nContent-Range: bytes {first}-{last}/{len}\r\n\r\n"
        ))));
        parts.push_back(BodyPart::file(*span));
    }
    parts.push_back(BodyPart::Text(Bytes::from(format!(
        "\r\n--{boundary}--\r\n"
    ))));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    parts
}

/// The body of these parts: at once if it is small, else piece by piece.
async fn body(reader: Arc<dyn Reader>, mut parts: BodyParts, count: u64) -> Result<Body> {
    if count > SMALL {
        let start = (reader, parts, ResponseMemory::default());
        let pieces = stream::try_unfold(start, |(reader, mut parts, pace)| async move {
            let most = pace.next_read_size().await;
            let piece = next_piece(reader.as_ref(), &mut parts, most)
                .await
                .map_err(reply::cut_off)?;
            Ok::<_, io::Error>(piece.map(|piece| (pace.track(piece), (reader, parts, pace))))
        });
        return Ok(Body::stream(pieces, Some(count)));
    }
    let first = next_piece(reader.as_ref(), &mut parts, response_memory::LARGE)
        .await?
        .unwrap_or_default();
    if parts.is_empty() {
        return Ok(Body::full(first));
    }
    let mut all = BytesMut::with_capacity(usize::try_from(count).unwrap_or_default());
    all.extend_from_slice(&first);
    while let Some(piece) = next_piece(reader.as_ref(), &mut parts, response_memory::LARGE).await? {
        all.extend_from_slice(&piece);
    }
    Ok(Body::full(all))
}

/// The next bytes of these parts, at most so many of a file; a file that has become shorter is an error, so that nobody takes a part for the whole.
async fn next_piece(
    reader: &dyn Reader,
    parts: &mut BodyParts,
    most: usize,
) -> Result<Option<Bytes>> {
    let Some(part) = parts.pop_front() else {
        return Ok(None);
    };
    let (offset, left) = match part {
        BodyPart::Text(text) => return Ok(Some(text)),
        BodyPart::File { offset, left } => (offset, left),
    };
    let wanted = usize::try_from(left).unwrap_or(most).min(most);
    let mut bytes = reader.read_at(offset, wanted).await?;
    bytes.truncate(wanted);
    if bytes.is_empty() {
        return Err(Error::io(
            "read the whole file, which has become shorter",
            io::ErrorKind::UnexpectedEof,
        ));
    }
    let got = bytes.len() as u64;
    if got < left {
        parts.push_front(BodyPart::File {
            offset: offset + got,
            left: left - got,
        });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::from_unix_seconds;
    use crate::storage::Etag;
    use async_trait::async_trait;
    use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
    use http_body::Body as _;
    use http_body_util::BodyExt;

    /// A file that gives at most `step` bytes at a time and ends after `bytes`, whatever its node says.
    struct Memory {
        node: Node,
        bytes: Vec<u8>,
        step: usize,
    }

    #[async_trait]
    impl Reader for Memory {
        fn node(&self) -> &Node {
            &self.node
        }
        fn digest(&self) -> Option<crate::storage::Digest> {
            None
        }
        async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
            let start = usize::try_from(offset).unwrap().min(self.bytes.len());
            let end = (start + len.min(self.step)).min(self.bytes.len());
            Ok(Bytes::copy_from_slice(&self.bytes[start..end]))
        }
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len)
            .map(|i| u8::try_from(i * 31 % 251).unwrap())
            .collect()
    }

    fn file(len: usize, kept: usize, step: usize) -> Arc<dyn Reader> {
        let modified = from_unix_seconds(784_111_777);
        let node = Node {
            folder: false,
            len: len as u64,
            modified,
            created: modified,
            etag: Etag([1, 2, 3, 4]),
        };
        Arc::new(Memory {
            node,
            bytes: content(kept),
            step,
        })
    }

    fn asked(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, text)| (name.clone(), HeaderValue::from_str(text).unwrap()))
            .collect()
    }

    async fn get(len: usize, pairs: &[(http::HeaderName, &str)]) -> (u16, HeaderMap, Vec<u8>) {
        let response = serve(file(len, len, usize::MAX), Some("a.html"), &asked(pairs))
            .await
            .unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if let Some(len) = headers.get(CONTENT_LENGTH) {
            let exact = response.body().size_hint().exact().unwrap();
            assert_eq!(len.to_str().unwrap(), exact.to_string());
        }
        (
            status,
            headers,
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec(),
        )
    }

    #[tokio::test]
    async fn whole_files_with_their_headers() {
        for len in [0, 1, 65_536, 65_537, 700_000] {
            let (status, headers, body) = get(len, &[]).await;
            assert_eq!((status, body), (200, content(len)));
            assert_eq!(headers[CONTENT_LENGTH], len.to_string());
            assert_eq!(headers[ETAG], "\"1-2-3-4\"");
            assert_eq!(headers[LAST_MODIFIED], "Sun, 06 Nov 1994 08:49:37 GMT");
            assert_eq!(headers[ACCEPT_RANGES], "bytes");
            assert_eq!(headers[CONTENT_TYPE], "text/html");
            assert_eq!(headers[CONTENT_DISPOSITION], "attachment");
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(
                headers[CONTENT_SECURITY_POLICY],
                "sandbox; default-src 'none'"
            );
        }
        let picture = serve(file(1, 1, 1), Some("a.JPG"), &HeaderMap::new())
            .await
            .unwrap();
        assert!(!picture.headers().contains_key(CONTENT_DISPOSITION));
        assert!(matches!(picture.body(), Body::Full(_)));
    }

    #[tokio::test]
    async fn readers_that_give_little_still_give_all() {
        for len in [10, 70_000] {
            let response = serve(file(len, len, 3), None, &HeaderMap::new())
                .await
                .unwrap();
            assert_eq!(
                response.into_body().collect().await.unwrap().to_bytes(),
                content(len)
            );
        }
    }

    #[tokio::test]
    async fn single_ranges_are_parts() {
        let (status, headers, body) = get(100, &[(RANGE, "bytes=10-19")]).await;
        assert_eq!((status, body.as_slice()), (206, &content(100)[10..20]));
        assert_eq!(headers[CONTENT_RANGE], "bytes 10-19/100");
        let (status, _, body) = get(700_000, &[(RANGE, "bytes=5-")]).await;
        assert_eq!((status, body.as_slice()), (206, &content(700_000)[5..]));
        let (status, headers, body) = get(100, &[(RANGE, "bytes=100-")]).await;
        assert_eq!(status, 416);
        assert_eq!(headers[CONTENT_RANGE], "bytes */100");
        assert!(!body.is_empty());
        assert_eq!(
            get(100, &[(RANGE, "bytes=1-2"), (IF_RANGE, "\"1-2-3-4\"")])
                .await
                .0,
            206
        );
        assert_eq!(
            get(100, &[(RANGE, "bytes=1-2"), (IF_RANGE, "\"old\"")])
                .await
                .0,
            200
        );
        assert_eq!(
            get(100, &[(RANGE, "bytes=1-2"), (IF_MATCH, "\"1-2-3-4\"")])
                .await
                .0,
            206
        );
    }

    #[tokio::test]
    async fn several_ranges_are_a_multipart() {
        for (len, range, spans) in [
            (100, "bytes=0-1,90-", [(0, 1), (90, 99)]),
            (
                300_000,
                "bytes=-10,0-200000",
                [(299_990, 299_999), (0, 200_000)],
            ),
        ] {
            let (status, headers, body) = get(len, &[(RANGE, range)]).await;
            assert_eq!(status, 206);
            assert!(!headers.contains_key(CONTENT_RANGE));
            let media = headers[CONTENT_TYPE].to_str().unwrap();
            let boundary = media
                .strip_prefix("multipart/byteranges; boundary=")
                .unwrap();
            let mut expected = Vec::new();
            for (index, (first, last)) in spans.into_iter().enumerate() {
                let gap = if index == 0 { "" } else { "\r\n" };
                let head = format!(
                    "{gap}--{boundary}\r\nContent-Type: text/html\r\nContent-Range: bytes {first}-{last}/{len}\r\n\r\n"
                );
                expected.extend_from_slice(head.as_bytes());
                expected.extend_from_slice(&content(len)[first..=last]);
            }
            expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn conditions_are_judged_before_ranges() {
        let (status, headers, body) = get(
            100,
            &[(IF_NONE_MATCH, "W/\"1-2-3-4\""), (RANGE, "bytes=500-")],
        )
        .await;
        assert_eq!((status, body.len()), (304, 0));
        assert_eq!(headers[ETAG], "\"1-2-3-4\"");
        let stale = serve(file(9, 9, 9), None, &asked(&[(IF_MATCH, "\"x\"")])).await;
        assert!(matches!(stale, Err(Error::Stale { .. })));
        let malformed = serve(file(9, 9, 9), None, &asked(&[(IF_MATCH, "\"")])).await;
        assert!(matches!(malformed, Err(Error::BadRequest(_))));
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_never_padded() {
        assert!(matches!(
            serve(file(100, 50, 100), None, &HeaderMap::new()).await,
            Err(Error::Io { .. })
        ));
        let response = serve(file(500_000, 400_000, usize::MAX), None, &HeaderMap::new())
            .await
            .unwrap();
        assert_eq!(response.headers()[CONTENT_LENGTH], "500000");
        assert!(response.into_body().collect().await.is_err());
    }

    #[test]
    fn heads_have_the_headers_of_the_whole_and_no_body() {
        let reader = file(100, 100, 100);
        let response = describe(reader.node(), Some("x"), &asked(&[(RANGE, "bytes=1-2")])).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_LENGTH], "100");
        assert!(response.body().is_empty());
        assert_eq!(
            describe(reader.node(), None, &asked(&[(IF_NONE_MATCH, "*")]))
                .unwrap()
                .status(),
            304
        );
    }

    #[tokio::test]
    #[ignore = "a measurement: cargo test --release --lib nanoseconds -- --ignored --nocapture"]
    async fn nanoseconds_per_small_get() {
        let reader = file(4096, 4096, 4096);
        let headers = HeaderMap::new();
        let begin = std::time::Instant::now();
        for _ in 0..100_000 {
            let response = serve(Arc::clone(&reader), Some("file.bin"), &headers)
                .await
                .unwrap();
            assert_eq!(response.body().len(), Some(4096));
        }
        println!(
            "{} ns per GET of 4 KiB",
            begin.elapsed().as_nanos() / 100_000
        );
    }
}
