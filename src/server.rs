//! Connections: accepting them within limits, serving HTTP/1.1 or HTTP/2 on each, and ending them at shutdown.

mod connection_flags;
mod connection_limiter;
mod handler;
mod http1;
mod http1_framing;
mod http2;
mod http2_frames;
mod idle_timeout;
mod listeners;
mod metrics_listener;
mod proxy;
mod timed_stream;
mod tls;
mod watchdog;
mod workers;

use crate::app::App;
use crate::auth::{Connection, RequestOrigin};
use crate::certs::Issuers;
use crate::config::{ServerConfig, TlsConfig};
use crate::metrics::Metrics;
use crate::model::Result;
pub use connection_limiter::ConnectionLimits;
use connection_limiter::{ConnectionLimiter, ConnectionPermit};
use handler::RequestHandler;
pub use listeners::ActivatedSockets;
use listeners::open;
use proxy::TrustedProxies;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tls::Tls;
pub use tls::{Certificates, LOOK as CERTIFICATES_LOOK};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
pub use watchdog::{Watchdog, reachable};
pub use workers::WorkerPool;

const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 32 << 10;
/// One read of an upload takes at most this: it is written to its file while it still lies in the cache of one core.
const MAX_READ: usize = 256 << 10;
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// How long a connection that was accepted just before the end may take to say what it wants: whoever has connected has a request under way.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long accepting rests when the process has no file handles left.
const PAUSE: Duration = Duration::from_millis(50);

/// The program's listeners and what answers on them.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listeners: Listeners,
    /// Those of the metrics.
    scraped: Listeners,
}

impl Server {
    /// Takes the configured addresses. Requests are answered on `cores`, and what they began may go on there after
    /// [`run`](Self::run) has returned, until [`App::close`] has.
    pub async fn bind(app: Arc<App>, cores: Arc<WorkerPool>) -> Result<Self> {
        Self::bind_with(app, cores, ActivatedSockets::default()).await
    }

    /// The same with sockets that were handed over, which take the place of the configured addresses of their kind.
    pub async fn bind_with(
        app: Arc<App>,
        cores: Arc<WorkerPool>,
        handed: ActivatedSockets,
    ) -> Result<Self> {
        let listeners = Listeners::bind(
            &app.config.server,
            &app.config.tls,
            &app.issuers,
            cores,
            handed,
        )
        .await?;
        if let Some(certificates) = &listeners.certificates {
            certificates.check_host(app.config.server.public_origin());
        }
        let listeners = Listeners {
            metrics: Arc::clone(&app.metrics),
            ..listeners
        };
        let scraped = metrics_listener::bind(&app.config.metrics).await?;
        Ok(Self {
            app,
            listeners,
            scraped,
        })
    }

    /// The addresses taken, with their ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listeners.addresses
    }

    /// The addresses taken for TLS, with their ports.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.listeners.tls_addresses
    }

    /// The addresses taken for metrics, with their ports.
    pub fn metrics_addresses(&self) -> &[SocketAddr] {
        &self.scraped.addresses
    }

    /// The certificates in use; `None` without TLS.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.listeners.certificates.clone()
    }

    /// How many connections there may be, for whoever changes that.
    pub fn limits(&self) -> Arc<ConnectionLimits> {
        Arc::clone(&self.listeners.limits)
    }

    /// What tells whether it answers.
    pub fn watchdog(&self) -> Watchdog {
        let Listeners {
            addresses,
            tls_addresses,
            config,
            ..
        } = &self.listeners;
        Watchdog::new(
            addresses.iter().chain(tls_addresses).copied(),
            TrustedProxies::new(&config.proxy_protocol),
        )
    }

    /// Serves until `shutdown` resolves; returns when every connection has ended.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let scrape = metrics_listener::answers(&self.app, self.certificates());
        let app = Arc::clone(&self.app);
        let metrics = Arc::clone(&self.app.metrics);
        let answer = move |peer, request| {
            let app = Arc::clone(&app);
            async move { crate::http::handle(&app, peer, request).await }
        };
        let shutdown = async move {
            shutdown.await;
            metrics.is_stopping.store(true, Ordering::Relaxed);
        };
        // The end of the requests is seen in the metrics, too.
        let (serving, served) = oneshot::channel::<()>();
        let serve = async {
            self.listeners.serve(answer, shutdown).await;
            drop(serving);
        };
        tokio::join!(
            serve,
            self.scraped.serve(scrape, async { drop(served.await) })
        );
        Ok(())
    }
}

#[derive(Debug)]
struct Listeners {
    /// Each with what makes TLS of its connections, if anything.
    sockets: Vec<(TcpListener, Option<Tls>)>,
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    certificates: Option<Arc<Certificates>>,
    config: ServerConfig,
    cores: Arc<WorkerPool>,
    limits: Arc<ConnectionLimits>,
    /// Where connections and bytes are counted.
    metrics: Arc<Metrics>,
}

impl Listeners {
    async fn bind(
        config: &ServerConfig,
        tls: &TlsConfig,
        issuers: &Issuers,
        cores: Arc<WorkerPool>,
        handed: ActivatedSockets,
    ) -> Result<Self> {
        let certificates = Certificates::load(tls, issuers)?;
        let acceptor = certificates
            .as_ref()
            .map(|certificates| certificates.acceptor(tls.http2))
            .transpose()?;
        handed.check(acceptor.is_some())?;
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for (listener, address) in open(&config.listen, handed.plain).await? {
            sockets.push((listener, None));
            addresses.push(address);
        }
        let mut tls_addresses = Vec::new();
        for (listener, address) in open(&tls.listen, handed.tls).await? {
            sockets.push((listener, acceptor.clone()));
            tls_addresses.push(address);
        }
        let limits = Arc::new(ConnectionLimits::new(config));
        let config = config.clone();
        Ok(Self {
            sockets,
            addresses,
            tls_addresses,
            certificates,
            config,
            cores,
            limits,
            metrics: Arc::default(),
        })
    }

    async fn serve(self, answers: impl RequestHandler, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopping) = watch::channel(());
        let admission =
            ConnectionLimiter::new(&self.config, self.limits, Arc::clone(&self.metrics));
        let proxies = Arc::new(TrustedProxies::new(&self.config.proxy_protocol));
        let mut accepting = JoinSet::new();
        for (listener, tls) in self.sockets {
            let acceptor = Arc::new(ConnectionAcceptor {
                http1: http1::builder(keep_alive(&self.config)),
                answers: answers.clone(),
                config: self.config.clone(),
                tls,
                proxies: Arc::clone(&proxies),
                stopping: stopping.clone(),
                metrics: Arc::clone(&self.metrics),
            });
            let workers = Arc::clone(&self.cores);
            accepting.spawn(acceptor.accept(listener, workers, Arc::clone(&admission)));
        }
        drop(stopping);
        shutdown.await;
        drop(stop);
        while accepting.join_next().await.is_some() {}
    }
}

/// One listener's connections.
struct ConnectionAcceptor<A> {
    answers: A,
    config: ServerConfig,
    tls: Option<Tls>,
    proxies: Arc<TrustedProxies>,
    /// Closed when the server is to stop.
    stopping: watch::Receiver<()>,
    metrics: Arc<Metrics>,
    http1: hyper::server::conn::http1::Builder,
}

impl<A: RequestHandler> ConnectionAcceptor<A> {
    async fn accept(
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

    async fn serve(
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
    fn read_timeouts(&self) -> (Duration, Duration) {
        (
            Duration::from_secs(self.config.header_timeout),
            Duration::from_secs(self.config.body_timeout),
        )
    }

    /// Where the requests of a connection come from. Those of HTTP/2 are of one connection, too: what one of them tries ends what another
    /// has proven, whichever comes first.
    fn origin(&self, peer: SocketAddr) -> RequestOrigin {
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

/// How long a connection may lie idle.
fn keep_alive(config: &ServerConfig) -> Duration {
    Duration::from_secs(config.keep_alive.max(config.header_timeout))
}

/// Whether accepting failed for this one connection only.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests;
