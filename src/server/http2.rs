//! HTTP/2 on a connection with TLS, for clients that ask for it (ALPN). What holds for a connection of HTTP/1.1 holds here for each
//! stream, and for all streams of a connection together what one of HTTP/1.1 may take.

mod bodies;
mod stream_timeout;
mod streams;

use super::acceptor::ConnectionAcceptor;
use super::connection_flags::ConnectionFlags;
use super::connection_limiter::ConnectionPermit;
use super::handler::RequestHandler;
use super::timed_stream::{ProtocolTracker, TimedStream};
use super::{LAST_WORD, MAX_HEAD, MAX_HEADERS, keep_alive};
use crate::auth::RequestOrigin;
use crate::http::body::Body;
use crate::http::reply;
use crate::http::request_body::RequestBody;
use bodies::{StreamRequestBody, StreamResponseBody};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use streams::{Http2Stream, StreamSpawner, Streams};
use tokio::io::{AsyncRead, AsyncWrite};

/// Requests at once on a connection: as many as a client may take for granted (RFC 9113, 6.5.2). Each beyond the first takes a place as a
/// connection does.
const MAX_STREAMS: u32 = 100;
/// What a client may send of one body before it is read, and of all bodies of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What one answer may have waiting in the library's buffers.
const MAX_SENDING: usize = 64 << 10;
/// Streams that a client may reset before they were so much as looked at.
const MAX_UNSEEN_RESETS: usize = 20;
/// Faulty streams that the server resets itself before it ends the connection.
const MAX_OWN_RESETS: usize = 200;

impl<A: RequestHandler> ConnectionAcceptor<A> {
    /// Answers the requests of a connection until the client or the server ends it.
    pub(super) async fn serve_http2<S>(&self, stream: S, peer: SocketAddr, ticket: ConnectionPermit)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let course = ProtocolTracker::Http2(Box::default());
        let noticed = Arc::new(ConnectionFlags::default());
        let wire = TimedStream::new(
            stream,
            self.read_timeouts(),
            course,
            noticed,
            Arc::clone(&self.metrics),
        );
        let wire = TokioIo::new(wire);
        let (header_timeout, body_timeout) = self.read_timeouts();
        let (mut streams, begin) = Streams::new(keep_alive(&self.config), body_timeout);
        let builder = builder(begin.clone());
        let origin = self.origin(peer);
        let answers = self.answers.clone();
        let service = service_fn(move |request| {
            let answer = answer(&answers, &origin, request, begin.stream(&ticket));
            async { Ok::<_, Infallible>(answer.await) }
        });
        let mut connection = pin!(builder.serve_connection(wire, service));
        let close = |connection: std::pin::Pin<&mut http2::Connection<_, _, _>>| {
            connection.graceful_shutdown();
        };
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = streams.run(connection.as_mut(), close, header_timeout) => ended,
            _ = stopping.changed() => {
                // Whoever has sent a request before it knew is answered: the library says so (GOAWAY), and waits for the client to have heard it.
                connection.as_mut().graceful_shutdown();
                streams.close(LAST_WORD);
                streams.run(connection.as_mut(), close, LAST_WORD).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

fn builder(begin: StreamSpawner) -> http2::Builder<StreamSpawner> {
    let mut builder = http2::Builder::new(begin);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SENDING)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .max_local_error_reset_streams(MAX_OWN_RESETS);
    builder
}

/// Answers one request, which has no stream where there is no place for it.
fn answer<A: RequestHandler>(
    answers: &A,
    origin: &RequestOrigin,
    request: Request<Incoming>,
    stream: Option<Arc<Http2Stream>>,
) -> impl Future<Output = Response<StreamResponseBody>> + Send + use<A> {
    let answers = answers.clone();
    let origin = origin.clone();
    async move {
        let is_head = request.method() == Method::HEAD;
        let response = match &stream {
            None => full(),
            Some(_) if request.headers().len() > MAX_HEADERS => reply::sentence(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The request has too many headers.",
            ),
            Some(stream) => {
                let request = request.map(|body| {
                    RequestBody::Wrapped(Box::pin(StreamRequestBody::new(body, Arc::clone(stream))))
                });
                answers.answer(origin, request).await
            }
        };
        sent_as(is_head, response).map(|body| StreamResponseBody::new(body, stream))
    }
}

fn full() -> Response<Body> {
    let mut response = reply::sentence(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many requests at once from this address.",
    );
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// An answer as HTTP/2 sends it: without what is about connections, and without a body where HTTP/1.1 would leave it out.
fn sent_as(is_head: bool, response: Response<Body>) -> Response<Body> {
    let (mut parts, mut body) = response.into_parts();
    parts.headers.remove(header::CONNECTION);
    let has_none = matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if is_head && !has_none && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.extend(
            body.len()
                .map(|len| (header::CONTENT_LENGTH, HeaderValue::from(len))),
        );
    }
    if is_head || has_none {
        body = Body::empty();
    }
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_connections_and_bodies_that_none_may_have_are_left_out() {
        let response = |status: u16| {
            let response = Response::builder()
                .status(status)
                .header("connection", "close");
            response.body(Body::full("text")).unwrap()
        };
        let seen = |is_head: bool, status: u16| {
            let sent = sent_as(is_head, response(status));
            assert!(!sent.headers().contains_key("connection"));
            let length = sent
                .headers()
                .get("content-length")
                .map(|length| length.to_str().unwrap().to_owned());
            (sent.body().len(), length)
        };
        assert_eq!(seen(false, 200), (Some(4), None));
        assert_eq!(seen(true, 200), (Some(0), Some("4".into())));
        assert_eq!(seen(false, 204), (Some(0), None));
        assert_eq!(seen(true, 304), (Some(0), None));
    }
}
