//! A request's body, lent to whoever reads it and taken back, so that a refusal can still drain it: some clients send the whole
//! body before they look at the status, and see a broken connection otherwise (KIO, Windows).

use crate::http::body::Body;
use crate::model::{Error, Result};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue};
use http::{Response, request};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What is read of a refused body at most, and for how long.
const DRAIN_BYTES: usize = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A body that comes back when its reader lets go of it.
pub struct Lent<B>(Arc<Mutex<Option<B>>>);

/// A body in the hands of a reader.
pub struct Loan<B> {
    body: Option<B>,
    home: Arc<Mutex<Option<B>>>,
}

impl<B> Lent<B>
where
    B: http_body::Body<Data = Bytes, Error = io::Error> + Send + Unpin + 'static,
{
    /// Takes a request's body into keeping.
    pub fn new(body: B) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// Hands the body to a reader.
    pub fn lend(&self) -> Loan<B> {
        Loan { body: self.0.lock().take(), home: self.0.clone() }
    }

    /// Reads it whole; more than `limit` bytes are `TooLarge`.
    pub async fn read(&self, limit: usize) -> Result<Bytes> {
        let mut loan = self.lend();
        let announced = http_body::Body::size_hint(&loan).lower();
        if announced > limit as u64 {
            return Err(Error::TooLarge);
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = loan.frame().await {
            let Ok(data) = frame.map_err(|_| Error::Truncated)?.into_data() else { continue };
            if whole.is_empty() && http_body::Body::is_end_stream(&loan) {
                return if data.len() > limit { Err(Error::TooLarge) } else { Ok(data) };
            }
            if whole.len() + data.len() > limit {
                return Err(Error::TooLarge);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// Makes sure that there is none, for methods that define none.
    pub async fn read_nothing(&self) -> Result<Bytes> {
        match self.read(0).await {
            Err(Error::TooLarge) => Err(Error::UnexpectedBody),
            other => other,
        }
    }

    /// The reply as it can be sent: with what is left of the body read, within a bound, or else the connection closed after it.
    pub async fn settle(&self, head: &request::Parts, mut response: Response<Body>) -> Response<Body> {
        let Some(body) = self.0.lock().take() else { return response };
        if http_body::Body::is_end_stream(&body) {
            response.headers_mut().remove(CONNECTION);
            return response;
        }
        let too_long = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()).is_some_and(|n: usize| n > DRAIN_BYTES);
        let drained = !too_long && !head.headers.contains_key(EXPECT) && drain(body).await;
        if drained {
            response.headers_mut().remove(CONNECTION);
        } else {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Reads and forgets what is left; whether the end was reached within the bounds.
async fn drain<B>(mut body: B) -> bool
where
    B: http_body::Body<Data = Bytes, Error = io::Error> + Send + Unpin,
{
    let all = async {
        let mut left = DRAIN_BYTES;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return false };
            left = rest;
        }
        true
    };
    tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(false)
}

impl<B> http_body::Body for Loan<B>
where
    B: http_body::Body<Data = Bytes, Error = io::Error> + Unpin,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.as_ref().map_or_else(http_body::SizeHint::default, http_body::Body::size_hint)
    }
}

impl<B> Drop for Loan<B> {
    fn drop(&mut self) {
        *self.home.lock() = self.body.take();
    }
}
