//! HTTP/1.1 on a connection. hyper serves it while requests come; between two of them, hyper and its buffers are given back, and
//! the stream alone waits for the next one.

mod in_flight;

use super::acceptor::ConnectionAcceptor;
use super::connection_flags::ConnectionFlags;
use super::handler::RequestHandler;
use super::idle_timeout::IdleTimeout;
use super::timed_stream::{ProtocolTracker, TimedStream};
use super::{LAST_WORD, MAX_HEAD, MAX_HEADERS, MAX_READ, keep_alive};
use crate::auth::RequestOrigin;
use crate::http::framing::Ambiguous;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use in_flight::{CountedBody, InFlight};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// How often a new connection is asked whether it says something, when the server is to stop.
const TURN: Duration = Duration::from_millis(10);
/// How long a connection is idle before hyper is taken off it: whoever asks without a pause pays nothing for it.
pub(super) const RELEASE_AFTER: Duration = Duration::from_millis(500);

/// A connection and what is noticed on it.
struct Http1Connection<S> {
    stream: TimedStream<S>,
    flags: Arc<ConnectionFlags>,
    origin: RequestOrigin,
    peer: SocketAddr,
}

/// How hyper's part in a connection ends.
enum Served {
    /// Nothing is under way.
    Idle,
    Ended(hyper::Result<()>),
}

/// How hyper serves connections.
pub(super) fn builder(keep_alive: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // hyper's clock starts when a connection becomes idle; that a head comes in time is the stream's business.
        .header_read_timeout(keep_alive)
        .half_close(false)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_READ)
        // With it, hyper never writes its own 400 and 431, as bytes of the bad request are still unread.
        .pipeline_flush(false);
    builder
}

impl<A: RequestHandler> ConnectionAcceptor<A> {
    /// Answers requests until the client or the server ends it.
    pub(super) async fn serve_http1<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let flags = Arc::new(ConnectionFlags::default());
        let stream = TimedStream::new(
            stream,
            self.read_timeouts(),
            ProtocolTracker::Http1(Box::default()),
            Arc::clone(&flags),
            Arc::clone(&self.metrics),
        );
        let mut connection = Http1Connection {
            stream,
            flags,
            origin: self.origin(peer),
            peer,
        };
        // In a box: an idle connection needs no room for it.
        while let Some(idle) = Box::pin(self.serve_requests(connection)).await {
            connection = idle;
            if !self.wait_for_request(&mut connection).await {
                return;
            }
        }
    }

    /// Serves requests with hyper; the connection when nothing is under way any more, `None` when it has ended.
    async fn serve_requests<S>(&self, connection: Http1Connection<S>) -> Option<Http1Connection<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Http1Connection {
            stream,
            flags,
            origin,
            peer,
        } = connection;
        let service = service_fn(|request| {
            let answer = self.answer(&origin, &flags, request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let mut hyper = self.http1.serve_connection(TokioIo::new(stream), service);
        let mut stopping = self.stopping.clone();
        let served = tokio::select! {
            // First, so that hyper has taken what came before it is told to stop.
            biased;
            served = run_until_idle(&mut hyper, &flags) => served,
            _ = stopping.changed() => Served::Ended(stop(&mut hyper, &flags).await),
        };
        match served {
            Served::Idle => {
                let parts = hyper.into_parts();
                let mut stream = parts.io.into_inner();
                stream.unread(parts.read_buf);
                Some(Http1Connection {
                    stream,
                    flags,
                    origin,
                    peer,
                })
            }
            Served::Ended(ended) => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection ended early");
                    if flags.proxy.load(Ordering::Relaxed) {
                        self.proxies.warn_untrusted_peer(peer);
                    }
                }
                None
            }
        }
    }

    fn answer(
        &self,
        origin: &RequestOrigin,
        flags: &Arc<ConnectionFlags>,
        request: Request<Incoming>,
    ) -> impl Future<Output = http::Response<CountedBody<crate::http::body::Body>>> + Send + use<A>
    {
        let in_flight = InFlight::begin(flags);
        let mut request = request.map(|body| in_flight.request_body(body));
        if flags.ambiguous.load(Ordering::Relaxed) {
            request.extensions_mut().insert(Ambiguous);
        }
        let answers = self.answers.clone();
        let origin = origin.clone();
        async move {
            let response = answers.answer(origin, request).await;
            response.map(|body| in_flight.response_body(body))
        }
    }

    /// Waits until the next request begins; `false` when the connection ends before.
    async fn wait_for_request<S>(&self, connection: &mut Http1Connection<S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Http1Connection { stream, peer, .. } = connection;
        stream.release_buffers();
        let mut stopping = self.stopping.clone();
        let came = tokio::select! {
            // First: what has come when the server is to stop is answered.
            biased;
            came = stream.read_ahead() => came,
            _ = stopping.changed() => Ok(false),
            // hyper has waited for a part of it.
            () = tokio::time::sleep(keep_alive(&self.config).saturating_sub(RELEASE_AFTER)) => {
                Err(std::io::ErrorKind::TimedOut.into())
            }
        };
        match came {
            Ok(true) => return true,
            Ok(false) => drop(stream.shutdown().await),
            Err(error) => tracing::debug!(%peer, %error, "a connection ended early"),
        }
        false
    }
}

/// Runs a connection until nothing has been under way for [`RELEASE_AFTER`], or to its end.
async fn run_until_idle<T, S, B>(
    hyper: &mut http1::Connection<T, S>,
    flags: &ConnectionFlags,
) -> Served
where
    T: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let before = flags.requests();
    let mut seen = before;
    let mut idle = IdleTimeout::new(RELEASE_AFTER, None);
    poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *hyper).poll(cx) {
            return Poll::Ready(Served::Ended(ended));
        }
        let requests = flags.requests();
        if requests != seen {
            seen = requests;
            idle.renew();
        }
        // Until a first request has come, hyper's own timeout runs.
        if requests != before && flags.is_idle() && idle.has_expired(cx) {
            return Poll::Ready(Served::Idle);
        }
        Poll::Pending
    })
    .await
}

/// Ends a connection when the server is to stop: requests in flight are answered, and a new connection may still say something.
async fn stop<T, S, B>(
    hyper: &mut http1::Connection<T, S>,
    flags: &ConnectionFlags,
) -> hyper::Result<()>
where
    T: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let until = Instant::now() + LAST_WORD;
    // hyper closes a connection of which nothing has come yet.
    while !flags.began.load(Ordering::Relaxed) && Instant::now() < until {
        if let Ok(ended) = tokio::time::timeout(TURN, Pin::new(&mut *hyper)).await {
            return ended;
        }
    }
    Pin::new(&mut *hyper).graceful_shutdown();
    Pin::new(hyper).await
}
