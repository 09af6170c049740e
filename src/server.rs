//! Connections: accepting them within limits, serving HTTP/1.1 on each, and ending them at shutdown.

mod admission;
mod cores;
mod framing;
mod patience;
mod tls;
mod wire;

use crate::app::App;
use crate::auth::{Connection, Origin};
use crate::certs::Issuers;
use crate::config::{ServerConfig, TlsConfig};
use crate::http::body::Body;
use crate::http::framing::Ambiguous;
use crate::http::intake::BodyIn;
use crate::model::{Error, Result};
use admission::{Admission, Ticket};
pub use cores::Cores;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tls::Tls;
pub use tls::{Certificates, LOOK as CERTIFICATES_LOOK};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::Wire;

const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 32 << 10;
/// One read of an upload takes at most this: it is written to its file while it still lies in the cache of one core.
const MAX_READ: usize = 256 << 10;
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// How long accepting rests when the process has no file handles left.
const PAUSE: Duration = Duration::from_millis(50);

/// The program's listeners and what answers on them.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listeners: Listeners,
}

impl Server {
    /// Takes the configured addresses. Requests are answered on `cores`, and what they began may go on there after
    /// [`run`](Self::run) has returned, until [`App::close`] has.
    pub async fn bind(app: Arc<App>, cores: Arc<Cores>) -> Result<Self> {
        let listeners = Listeners::bind(&app.config.server, &app.config.tls, &app.issuers, cores).await?;
        if let Some(certificates) = &listeners.certificates {
            certificates.check_host(&app.config.server.public_url);
        }
        Ok(Self { listeners: Listeners { open: Arc::clone(&app.metrics.connections), ..listeners }, app })
    }

    /// The addresses taken, with their ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listeners.addresses
    }

    /// The addresses taken for TLS, with their ports.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.listeners.tls_addresses
    }

    /// The certificates in use; `None` without TLS.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.listeners.certificates.clone()
    }

    /// Serves until `shutdown` resolves; returns when every connection has ended.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let app = self.app;
        let answer = move |peer, request| {
            let app = Arc::clone(&app);
            async move { crate::http::handle(&app, peer, request).await }
        };
        self.listeners.serve(answer, shutdown).await;
        Ok(())
    }
}

/// What makes answers. A panic in it ends the connection, so it catches its own.
trait Answers: Clone + Send + Sync + 'static {
    fn answer(&self, peer: Origin, request: Request<BodyIn>) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, A> Answers for F
where
    F: Fn(Origin, Request<BodyIn>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    fn answer(&self, peer: Origin, request: Request<BodyIn>) -> impl Future<Output = Response<Body>> + Send {
        self(peer, request)
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
    cores: Arc<Cores>,
    /// How many connections are open.
    open: Arc<AtomicU64>,
}

impl Listeners {
    async fn bind(config: &ServerConfig, tls: &TlsConfig, issuers: &Issuers, cores: Arc<Cores>) -> Result<Self> {
        let certificates = Certificates::load(tls, issuers)?;
        let acceptor = certificates.as_ref().map(Certificates::acceptor).transpose()?;
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for wanted in &config.listen {
            let (listener, address) = listen(*wanted).await?;
            sockets.push((listener, None));
            addresses.push(address);
        }
        let mut tls_addresses = Vec::new();
        for wanted in &tls.listen {
            let (listener, address) = listen(*wanted).await?;
            sockets.push((listener, acceptor.clone()));
            tls_addresses.push(address);
        }
        let config = config.clone();
        Ok(Self { sockets, addresses, tls_addresses, certificates, config, cores, open: Arc::default() })
    }

    async fn serve(self, answers: impl Answers, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopping) = watch::channel(());
        let admission = Admission::new(&self.config, self.open);
        let mut accepting = JoinSet::new();
        for (listener, tls) in self.sockets {
            let door = Door { answers: answers.clone(), config: self.config.clone(), tls, stopping: stopping.clone() };
            accepting.spawn(door.accept(listener, Arc::clone(&self.cores), Arc::clone(&admission)));
        }
        drop(stopping);
        shutdown.await;
        drop(stop);
        while accepting.join_next().await.is_some() {}
    }
}

async fn listen(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let taken = TcpListener::bind(wanted).await.and_then(|l| l.local_addr().map(|address| (l, address)));
    taken.map_err(|error| cannot_listen(wanted, &error))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another program uses this address, maybe another sarang".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    };
    Error::Io { doing: "listen", source: io::Error::new(error.kind(), format!("{address}: {why}")) }
}

/// One listener's connections.
#[derive(Clone)]
struct Door<A> {
    answers: A,
    config: ServerConfig,
    tls: Option<Tls>,
    /// Closed when the server is to stop.
    stopping: watch::Receiver<()>,
}

impl<A: Answers> Door<A> {
    async fn accept(self, listener: TcpListener, cores: Arc<Cores>, admission: Arc<Admission>) {
        let builder = self.builder();
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
                Ok((stream, peer)) => match admission.admit(peer.ip()).zip(cores.next()) {
                    Some((ticket, core)) => {
                        let Ok(stream) = stream.into_std() else { continue };
                        connections.spawn_on(self.clone().serve(builder.clone(), stream, peer, ticket), core);
                    }
                    // One attempt: a client that is over its limit gets no more of our time.
                    None => drop(stream.try_write(FULL)),
                },
                Err(error) if is_the_clients(&error) => {}
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

    fn builder(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // hyper's clock starts when a connection becomes idle; that a head comes in time is the wire's business.
            .header_read_timeout(Duration::from_secs(self.config.keep_alive.max(self.config.header_timeout)))
            .half_close(false)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_READ)
            // With it, hyper never writes its own 400 and 431, as bytes of the bad request are still unread.
            .pipeline_flush(false);
        builder
    }

    async fn serve(self, builder: http1::Builder, stream: std::net::TcpStream, peer: SocketAddr, ticket: Ticket) {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection cannot be served"),
        };
        // Without it answers are slower, not wrong.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.converse(&builder, stream, peer).await,
            Some(tls) => {
                let patience = Duration::from_secs(self.config.header_timeout);
                let mut stopping = self.stopping.clone();
                let shaken = tokio::select! {
                    shaken = tls.shake(stream, patience) => shaken,
                    _ = stopping.changed() => return,
                };
                match shaken {
                    // In a box: connections without TLS need no room for it.
                    Ok(stream) => Box::pin(self.converse(&builder, stream, peer)).await,
                    Err(error) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                }
            }
        }
        drop(ticket);
    }

    /// Answers requests until the client or the server ends it.
    async fn converse<S>(&self, builder: &http1::Builder, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ambiguous = Arc::new(AtomicBool::new(false));
        let (head, body) =
            (Duration::from_secs(self.config.header_timeout), Duration::from_secs(self.config.body_timeout));
        let wire = TokioIo::new(Wire::new(stream, head, body, Arc::clone(&ambiguous)));
        let connection = Some(Arc::new(Connection::default()));
        let origin = Origin { address: peer.ip(), connection, is_tls: self.tls.is_some() };
        let service = service_fn(|request: Request<hyper::body::Incoming>| {
            let mut request = request.map(BodyIn::from);
            if ambiguous.load(Ordering::Relaxed) {
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
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

/// Whether accepting failed for this one connection only.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
