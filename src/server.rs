//! Connections: accepting them within limits, serving HTTP/1.1 or HTTP/2 on each, and ending them at shutdown.

mod acceptor;
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
use crate::certs::Issuers;
use crate::config::{ServerConfig, TlsConfig};
use crate::metrics::Metrics;
use crate::model::Result;
use acceptor::ConnectionAcceptor;
use connection_limiter::ConnectionLimiter;
pub use connection_limiter::ConnectionLimits;
use handler::RequestHandler;
pub use listeners::ActivatedSockets;
use listeners::open;
use proxy::TrustedProxies;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tls::Tls;
pub use tls::{Certificates, LOOK as CERTIFICATES_LOOK};
use tokio::net::TcpListener;
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

/// How long a connection may lie idle.
fn keep_alive(config: &ServerConfig) -> Duration {
    Duration::from_secs(config.keep_alive.max(config.header_timeout))
}

#[cfg(test)]
mod tests;
