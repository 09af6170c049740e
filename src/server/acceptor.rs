//! Accepting connections within their limits, and what comes before HTTP on each: the PROXY protocol and TLS.

use super::connection_limiter::{ConnectionLimiter, ConnectionPermit};
use super::handler::RequestHandler;
use super::proxy::TrustedProxies;
use super::tls::{self, Tls};
use super::workers::WorkerPool;
use super::{FULL, LAST_WORD};
use crate::auth::{Connection, RequestOrigin};
use crate::config::ServerConfig;
use crate::metrics::Metrics;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long accepting rests when the process has no file handles left.
const PAUSE: Duration = Duration::from_millis(50);

/// One listener's connections.
pub(super) struct ConnectionAcceptor<A> {
    pub(super) answers: A,
    pub(super) config: ServerConfig,
    pub(super) tls: Option<Tls>,
    pub(super) proxies: Arc<TrustedProxies>,
    /// Closed when the server is to stop.
    pub(super) stopping: watch::Receiver<()>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) http1: hyper::server::conn::http1::Builder,
}

impl<A: RequestHandler> ConnectionAcceptor<A> {
    pub(super) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        cores: Arc<WorkerPool>,
        admission: Arc<ConnectionLimiter>,
    ) {
        let mut connections = JoinSet::new();
        let mut complained: Option<Instant> = None;
        let mut stopping = self.stopping.clone();
        let mut stopped = pin!(stopping.changed());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = &mut stopped => break,
            };
            match accepted {
                Ok((stream, peer)) => match admission.acquire(peer.ip()).zip(cores.next()) {
                    Some((ticket, core)) => {
                        let Ok(stream) = stream.into_std() else {
                            continue;
                        };
                        connections.spawn_on(Arc::clone(&self).serve(stream, peer, ticket), core);
                    }
                    // One attempt: a client that is over its limit gets no more of our time.
                    None => drop(stream.try_write(FULL)),
                },
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    if complained.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
                        tracing::warn!(%error, "connections cannot be accepted for now");
                        complained = Some(Instant::now());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(listener);
        let grace = Duration::from_secs(self.config.shutdown_grace);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "requests were still in flight at the end of the grace time"
            );
            connections.shutdown().await;
        }
    }

    pub(super) async fn serve(
        self: Arc<Self>,
        stream: std::net::TcpStream,
        mut peer: SocketAddr,
        mut ticket: ConnectionPermit,
    ) {
        let mut stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection cannot be served"),
        };
        // Without it answers are slower, not wrong.
        let _ = stream.set_nodelay(true);
        // What a client does not take is given up by the kernel, too, which holds it after the connection was closed.
        let patience =
            u32::try_from(self.config.body_timeout.saturating_mul(1000)).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, patience);
        if self.proxies.contain(peer.ip()) {
            // In a box: other connections need no room for it.
            match Box::pin(self.read_proxy_header(&mut stream, peer, &mut ticket)).await {
                Some(client) => peer = client,
                None => return,
            }
        }
        match &self.tls {
            None => self.serve_http1(stream, peer).await,
            // In a box: connections without TLS need no room for it.
            Some(tls) => {
                return Box::pin(self.serve_over_tls(tls, stream, peer, ticket)).await;
            }
        }
        drop(ticket);
    }

    async fn serve_over_tls(
        &self,
        tls: &Tls,
        stream: TcpStream,
        peer: SocketAddr,
        ticket: ConnectionPermit,
    ) {
        let patience = Duration::from_secs(self.config.header_timeout);
        let shaken = tokio::select! {
            shaken = tls.handshake(stream, patience) => shaken,
            () = self.shutdown_grace() => return,
        };
        match shaken {
            Ok(stream) if tls::is_http2(&stream) => {
                Box::pin(self.serve_http2(stream, peer, ticket)).await;
            }
            Ok(stream) => Box::pin(self.serve_http1(stream, peer)).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "a TLS handshake failed");
                if error.kind() == io::ErrorKind::InvalidInput {
                    self.proxies.warn_untrusted_peer(peer);
                }
            }
        }
    }

    /// Whose connection a proxy passes on; `None` when it is not to be served.
    async fn read_proxy_header(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        ticket: &mut ConnectionPermit,
    ) -> Option<SocketAddr> {
        let patience = Duration::from_secs(self.config.header_timeout);
        let client = tokio::select! {
            client = self.proxies.read(stream, peer, patience) => client?,
            () = self.shutdown_grace() => return None,
        };
        if client != peer && !ticket.transfer_to(client.ip()) {
            let _ = stream.try_write(FULL);
            return None;
        }
        Some(client)
    }

    /// The time for a head, and for a pause in a body.
    pub(super) fn read_timeouts(&self) -> (Duration, Duration) {
        (
            Duration::from_secs(self.config.header_timeout),
            Duration::from_secs(self.config.body_timeout),
        )
    }

    /// Where the requests of a connection come from. Those of HTTP/2 are of one connection, too: what one of them tries ends what another
    /// has proven, whichever comes first.
    pub(super) fn origin(&self, peer: SocketAddr) -> RequestOrigin {
        let connection = Some(Arc::new(Connection::default()));
        RequestOrigin {
            connection,
            is_tls: self.tls.is_some(),
            ..RequestOrigin::from(peer.ip())
        }
    }

    /// Ends when the server stops and new connections have had their time.
    async fn shutdown_grace(&self) {
        let _ = self.stopping.clone().changed().await;
        tokio::time::sleep(LAST_WORD).await;
    }
}

/// Whether accepting failed for this one connection only.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
