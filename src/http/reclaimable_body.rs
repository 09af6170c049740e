//! A request's body that its reader borrows and gives back, so that a refusal can still drain it: some clients send the whole
//! body before they look at the status, and see a broken connection otherwise (KIO, Windows).

use super::body::Body;
use super::drain::{DrainLimit, drain};
use super::request_body::RequestBody;
use crate::model::{Error, Result};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderValue};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body that comes back when its reader lets go of it.
pub struct ReclaimableBody(Arc<Mutex<Option<RequestBody>>>);

/// A body that is being read; it goes back when it is dropped.
pub struct BorrowedBody {
    body: Option<RequestBody>,
    home: Arc<Mutex<Option<RequestBody>>>,
}

impl ReclaimableBody {
    /// Wraps the body of a request.
    pub fn new(body: RequestBody) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// The body, for one reader.
    pub fn borrow(&self) -> BorrowedBody {
        BorrowedBody {
            body: self.0.lock().take(),
            home: self.0.clone(),
        }
    }

    /// Reads it whole; more than `limit` bytes are `TooLarge`.
    pub async fn read(&self, limit: usize) -> Result<Bytes> {
        let mut borrowed = self.borrow();
        let announced = http_body::Body::size_hint(&borrowed).lower();
        if announced > limit as u64 {
            return Err(Error::TooLarge);
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = borrowed.frame().await {
            let Ok(data) = frame.map_err(|_| Error::Truncated)?.into_data() else {
                continue;
            };
            if whole.is_empty() && http_body::Body::is_end_stream(&borrowed) {
                return if data.len() > limit {
                    Err(Error::TooLarge)
                } else {
                    Ok(data)
                };
            }
            if whole.len() + data.len() > limit {
                return Err(Error::TooLarge);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// Makes sure that there is none, for methods that define none.
    pub async fn expect_empty(&self) -> Result<Bytes> {
        match self.read(0).await {
            Err(Error::TooLarge) => Err(Error::UnexpectedBody),
            other => other,
        }
    }

    /// The reply as it can be sent: with what is left of the body read, within a bound, or else the connection closed after it.
    pub async fn drain(&self, headers: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
        let body = self.0.lock().take();
        let Some(mut body) = body else {
            return response;
        };
        let drained = drain(headers, &mut body, DrainLimit::REFUSAL).await;
        if drained {
            response.headers_mut().remove(CONNECTION);
        } else {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl http_body::Body for BorrowedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        self.body
            .as_mut()
            .map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body
            .as_ref()
            .map_or_else(http_body::SizeHint::default, http_body::Body::size_hint)
    }
}

impl Drop for BorrowedBody {
    fn drop(&mut self) {
        *self.home.lock() = self.body.take();
    }
}
