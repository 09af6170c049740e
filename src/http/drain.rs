//! Reads a refused body to its end within bounds: many clients look at the answer only after they have sent all of it.

use super::body::Body;
use super::request_body::RequestBody;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use std::time::Duration;

/// How far a refused body is read, so that its client gets to see the answer.
#[derive(Clone, Copy, Debug)]
pub struct DrainLimit {
    /// Bytes; a longer announced length is not read at all.
    pub bytes: u64,
    /// Time for all of it.
    pub time: Duration,
}

impl DrainLimit {
    /// Before a 401: KIO sends a whole upload first and sees the challenge only after it (clients.md row 11).
    pub const CHALLENGE: Self = Self {
        bytes: 64 << 20,
        time: Duration::from_secs(10),
    };
    /// Before any other refusal.
    pub const REFUSAL: Self = Self {
        bytes: 1 << 20,
        time: Duration::from_secs(10),
    };
}

/// Reads a refused body to its end within the limit. `false` when the rest was left: the connection must close then.
/// A client that waits for `100 Continue` is not asked for its body.
pub async fn drain(headers: &HeaderMap, body: &mut RequestBody, limit: DrainLimit) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let waits = headers
        .get(header::EXPECT)
        .is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if waits || body.size_hint().lower() > limit.bytes {
        return false;
    }
    let read = async {
        let mut left = limit.bytes;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(limit.time, read)
        .await
        .unwrap_or(false)
}

/// Drains the rest of the body before an answer, within bounds; else the connection closes after it.
pub async fn drain_before(
    parts: &Parts,
    body: &mut RequestBody,
    mut response: Response<Body>,
) -> Response<Body> {
    if !drain(&parts.headers, body, DrainLimit::CHALLENGE).await {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refused_bodies_are_read_within_the_limit_only() {
        let limit = DrainLimit {
            bytes: 4,
            time: Duration::from_secs(1),
        };
        let none = HeaderMap::new();
        assert!(drain(&none, &mut RequestBody::from(b""), limit).await);
        let mut body = RequestBody::from(b"1234");
        assert!(drain(&none, &mut body, limit).await);
        assert!(body.is_end_stream());
        let mut body = RequestBody::from(b"12345");
        assert!(!drain(&none, &mut body, limit).await);
        assert!(!body.is_end_stream());
        let waits =
            HeaderMap::from_iter([(header::EXPECT, HeaderValue::from_static("100-Continue"))]);
        let mut body = RequestBody::from(b"1234");
        assert!(!drain(&waits, &mut body, limit).await);
        assert!(!body.is_end_stream());
    }
}
