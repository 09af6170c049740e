//! HTTP/1.1 on a connection.

use super::handler::RequestHandler;
use super::timed_stream::{ConnectionFlags, ProtocolTracker, TimedStream};
use super::{ConnectionAcceptor, LAST_WORD, MAX_HEAD, MAX_HEADERS, MAX_READ};
use crate::http::framing::Ambiguous;
use crate::http::request_body::RequestBody;
use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// How often a new connection is asked whether it says something, when the server is to stop.
const TURN: Duration = Duration::from_millis(10);

impl<A: RequestHandler> ConnectionAcceptor<A> {
    pub(super) fn builder(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // hyper's clock starts when a connection becomes idle; that a head comes in time is the wire's business.
            .header_read_timeout(self.keep_alive())
            .half_close(false)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_READ)
            // With it, hyper never writes its own 400 and 431, as bytes of the bad request are still unread.
            .pipeline_flush(false);
        builder
    }

    /// Answers requests until the client or the server ends it.
    pub(super) async fn serve_http1<S>(&self, builder: &http1::Builder, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let noticed = Arc::new(ConnectionFlags::default());
        let course = ProtocolTracker::Http1(Box::default());
        let wire = TimedStream::new(
            stream,
            self.read_timeouts(),
            course,
            Arc::clone(&noticed),
            Arc::clone(&self.metrics),
        );
        let wire = TokioIo::new(wire);
        let origin = self.origin(peer);
        let service = service_fn(|request: Request<hyper::body::Incoming>| {
            let mut request = request.map(RequestBody::from);
            if noticed.ambiguous.load(Ordering::Relaxed) {
                request.extensions_mut().insert(Ambiguous);
            }
            let answer = self.answers.answer(origin.clone(), request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let mut connection = pin!(builder.serve_connection(wire, service));
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopping.changed() => {
                let until = Instant::now() + LAST_WORD;
                // hyper closes a connection of which nothing has come yet.
                let has_begun = || noticed.began.load(Ordering::Relaxed) || Instant::now() >= until;
                let early = loop {
                    if has_begun() {
                        break None;
                    }
                    if let Ok(ended) = tokio::time::timeout(TURN, connection.as_mut()).await {
                        break Some(ended);
                    }
                };
                if let Some(ended) = early {
                    ended
                } else {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
            if noticed.proxy.load(Ordering::Relaxed) {
                self.proxies.warn_untrusted_peer(peer);
            }
        }
    }
}
