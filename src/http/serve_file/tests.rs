//! Answers to GET and HEAD of a file in memory.

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
    let status = response.status().as_u16();
    let headers = response.headers().clone();
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
async fn conditions_are_evaluated_before_ranges() {
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
