//! Requests in flight on a connection: from the head of a request until both bodies are done with, so that hyper is taken off a
//! connection only between two requests.

use crate::http::body::Body;
use crate::http::request_body::RequestBody;
use crate::server::connection_flags::ConnectionFlags;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Counts a request as long as it lives.
#[derive(Debug)]
pub(super) struct InFlight(Arc<ConnectionFlags>);

impl InFlight {
    /// One more request.
    pub(super) fn begin(flags: &Arc<ConnectionFlags>) -> Self {
        flags.begin_request();
        Self(Arc::clone(flags))
    }

    /// The body of the request, which counts too: it may be read after the response has been sent.
    pub(super) fn request_body(&self, body: Incoming) -> RequestBody {
        if http_body::Body::is_end_stream(&body) {
            return body.into();
        }
        self.0.hold_request();
        RequestBody::Wrapped(Box::pin(CountedBody {
            body,
            _in_flight: Self(Arc::clone(&self.0)),
        }))
    }

    /// The body of the response, with which the request ends.
    pub(super) fn response_body(self, body: Body) -> CountedBody<Body> {
        CountedBody {
            body,
            _in_flight: self,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

/// A body with the request that it belongs to.
#[derive(Debug)]
pub(in crate::server) struct CountedBody<B> {
    body: B,
    _in_flight: InFlight,
}

impl<B> http_body::Body for CountedBody<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.get_mut().body)
            .poll_frame(cx)
            .map_err(io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
