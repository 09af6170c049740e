//! The bodies of requests, whatever they come from.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a request, from the network or from memory.
#[derive(Debug)]
pub enum RequestBody {
    /// From a connection.
    Wire(Incoming),
    /// From memory.
    Memory(Full<Bytes>),
    /// Another body that stands in front of one: with a timeout, or held to a length.
    Wrapped(Pin<Box<dyn WrappedBody>>),
}

/// A body that [`RequestBody::Wrapped`] can hold.
pub trait WrappedBody: Body<Data = Bytes, Error = io::Error> + std::fmt::Debug + Send {}

impl<B: Body<Data = Bytes, Error = io::Error> + std::fmt::Debug + Send> WrappedBody for B {}

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
            Self::Wrapped(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Memory(body) => body.is_end_stream(),
            Self::Wrapped(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Memory(body) => body.size_hint(),
            Self::Wrapped(body) => body.size_hint(),
        }
    }
}
