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

/// The next bytes of these parts, at most so many of a file; a file that has become shorter is an error, so that no client takes a part for the whole.
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
mod tests;
