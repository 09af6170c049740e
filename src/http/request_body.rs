//! The bodies of requests, and reading on to their end when a request is refused.

use super::expected_length::ExactLengthBody;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The body of a request, from the network or from memory.
#[derive(Debug)]
pub enum RequestBody {
    /// From a connection.
    Wire(Incoming),
    /// From memory.
    Memory(Full<Bytes>),
    /// One of several on a connection; whoever reads it does not wait for it for ever.
    Stream(Pin<Box<dyn StreamBody>>),
    /// Held to a length that its request announced.
    Announced(Box<ExactLengthBody>),
}

/// The body of a request that shares its connection with others.
pub trait StreamBody: Body<Data = Bytes, Error = io::Error> + std::fmt::Debug + Send {}

impl<B: Body<Data = Bytes, Error = io::Error> + std::fmt::Debug + Send> StreamBody for B {}

impl From<Incoming> for RequestBody {
    fn from(body: Incoming) -> Self {
        Self::Wire(body)
    }
}

impl<const N: usize> From<&'static [u8; N]> for RequestBody {
    fn from(body: &'static [u8; N]) -> Self {
        Self::Memory(Full::new(Bytes::from_static(body)))
    }
}

impl From<Bytes> for RequestBody {
    fn from(body: Bytes) -> Self {
        Self::Memory(Full::new(body))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
            Self::Memory(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
            Self::Announced(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Memory(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
            Self::Announced(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Memory(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
            Self::Announced(body) => body.size_hint(),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

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
