//! TLS: certificates with their keys, chosen by the name that a client asks for (SNI), and read again when their files change.

mod certificate;

use super::proxy;
use crate::certs::{Issuers, Stamp, stamp};
use crate::config::{CertificateFiles, TlsConfig};
use crate::model::{Error, Result};
use certificate::Certificate;
use parking_lot::{Mutex, RwLock};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How often to look whether the files have changed.
pub const LOOK: Duration = Duration::from_secs(30);
/// How often it is said again that they cannot be used.
const REMIND: Duration = Duration::from_secs(3600);
/// The protocol of those who look for the proof of a name (RFC 8737).
const ACME: &[u8] = b"acme-tls/1";
const HTTP_2: &[u8] = b"h2";
/// What a TLS record of a handshake begins with (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
const NOT_ISSUED: &str =
    "the server could not issue itself a TLS certificate; one from before stays in use";
const UNUSABLE: &str =
    "a TLS certificate cannot be used; if there is one from before, it stays in use";
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 62\r\n\r\n\
    This port speaks TLS: begin the address of it with https://.\r\n";

/// The certificates of the settings and those that the program gets for itself, as they were last read.
#[derive(Debug)]
pub struct Certificates {
    sources: Vec<CertificateSource>,
    issuers: Issuers,
    /// One for each source; `None` where none was ever read.
    current: RwLock<Vec<Option<Certificate>>>,
    seen: Mutex<LoadedCertificates>,
}

/// Where a certificate is read from.
#[derive(Debug)]
struct CertificateSource {
    files: CertificateFiles,
    /// Whether the server goes on without it, since it comes from elsewhere.
    is_awaited: bool,
}

/// What was found at the last look.
#[derive(Debug)]
struct LoadedCertificates {
    stamps: Vec<Stamp>,
    /// When it was last said that what is there now cannot be used; `None` while it can.
    complained: Option<Instant>,
}

impl Certificates {
    /// Reads the certificates of the settings; `None` when TLS is not asked for. The error says which file is wrong, and why.
    pub(super) fn load(config: &TlsConfig, issuers: &Issuers) -> Result<Option<Arc<Self>>> {
        if config.listen.is_empty() {
            return Ok(None);
        }
        if let Err(error) = issuers.renew_if_due(SystemTime::now()) {
            tracing::error!(%error, "{NOT_ISSUED}");
        }
        let own = config
            .certificates
            .iter()
            .cloned()
            .map(|files| CertificateSource {
                files,
                is_awaited: false,
            });
        let awaited = issuers.awaited().map(|path| CertificateSource {
            files: CertificateFiles::in_one(path),
            is_awaited: true,
        });
        let local = issuers.files().map(|path| CertificateSource {
            files: CertificateFiles::in_one(path),
            is_awaited: false,
        });
        let sources: Vec<CertificateSource> = own.chain(awaited).chain(local).collect();
        let stamps = stamps(&sources);
        let mut current = Vec::new();
        let mut complained = None;
        for source in &sources {
            match source.read() {
                Ok(certificate) => current.push(certificate),
                // It is ordered anew.
                Err(error) if source.is_awaited => {
                    tracing::error!(%error, "{UNUSABLE}");
                    complained = Some(Instant::now());
                    current.push(None);
                }
                Err(error) => return Err(Error::io("set up TLS", error)),
            }
        }
        current.iter().flatten().for_each(Certificate::log_details);
        let seen = Mutex::new(LoadedCertificates { stamps, complained });
        Ok(Some(Arc::new(Self {
            sources,
            issuers: issuers.clone(),
            current: RwLock::new(current),
            seen,
        })))
    }

    /// What makes TLS of a connection, for HTTP/2 as well or for HTTP/1.1 alone.
    pub(super) fn acceptor(self: &Arc<Self>, http2: bool) -> Result<Tls> {
        let failed = |e: rustls::Error| Error::io("set up TLS", io::Error::other(e));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = http2
            .then(|| HTTP_2.to_vec())
            .into_iter()
            .chain([b"http/1.1".to_vec()])
            .collect();
        if self.issuers.acme.is_some() {
            config.alpn_protocols.push(ACME.to_vec());
        }
        config.ticketer = ring::Ticketer::new().map_err(failed)?;
        Ok(Tls(Arc::new(config)))
    }

    /// Reads the certificates again if their files have changed, or in any case when `asked`. One that is in use stays when its files
    /// cannot be read, which is said now and every hour.
    pub fn reload_if_changed(&self, asked: bool) {
        if let Some(acme) = self.issuers.acme.as_ref().filter(|_| asked) {
            acme.ask_again();
        }
        let mut seen = self.seen.lock();
        let issued = self.issuers.renew_if_due(SystemTime::now());
        let now = stamps(&self.sources);
        let has_changed = now != seen.stamps;
        let is_due = seen
            .complained
            .map_or(issued.is_err(), |at| at.elapsed() >= REMIND);
        if !asked && !has_changed && !is_due {
            return;
        }
        seen.stamps = now;
        seen.complained = None;
        for (at, source) in self.sources.iter().enumerate() {
            match source.read() {
                Ok(Some(certificate)) => {
                    certificate.log_details();
                    if let Some(current) = self.current.write().get_mut(at) {
                        *current = Some(certificate);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "{UNUSABLE}");
                    seen.complained = Some(Instant::now());
                }
            }
        }
        if let Err(error) = issued {
            tracing::error!(%error, "{NOT_ISSUED}");
            seen.complained = Some(Instant::now());
        }
    }

    /// Says in the log when none is for the host that browsers are told; an address in its place is for nobody to look up here.
    pub(super) fn check_host(&self, public_url: &str) {
        let Some(host) = public_url.strip_prefix("https://") else {
            return;
        };
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        if !is_address
            && !self
                .current
                .read()
                .iter()
                .flatten()
                .any(|certificate| certificate.is_for(host))
        {
            tracing::warn!(
                host,
                "no TLS certificate is for the host of server.public_url: browsers refuse it, unless a proxy has one"
            );
        }
    }

    /// What shows an ACME server that a name leads here, while one is asked.
    fn challenge_certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let proof = self.issuers.acme.as_ref()?.challenges().find(name)?;
        let chain = vec![CertificateDer::from(proof.certificate.clone())];
        let key = PrivatePkcs8KeyDer::from(proof.key.clone());
        // `from_der` would refuse the critical extension that makes it a proof.
        let key = ring::sign::any_supported_type(&key.into()).ok()?;
        Some(Arc::new(CertifiedKey::new(chain, key)))
    }

    /// When each certificate in use expires, in the order in which they are tried.
    pub fn expiry(&self) -> Vec<SystemTime> {
        self.current
            .read()
            .iter()
            .flatten()
            .map(|certificate| certificate.until)
            .collect()
    }

    /// The certificate for a name. Who asks for none has an address instead of it.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read();
        let fitting = current.iter().flatten().find(|certificate| match name {
            Some(name) => certificate.is_for(name),
            None => certificate.has_addresses,
        });
        fitting
            .or(current.iter().flatten().next())
            .map(|certificate| Arc::clone(&certificate.key))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wants_proof = hello
            .alpn()
            .is_some_and(|mut offered| offered.next() == Some(ACME) && offered.next().is_none());
        if wants_proof {
            return self.challenge_certificate(hello.server_name()?);
        }
        self.choose(hello.server_name())
    }
}

impl CertificateSource {
    /// `None` while what is awaited has not come.
    fn read(&self) -> io::Result<Option<Certificate>> {
        match Certificate::read(&self.files) {
            Err(error) if self.is_awaited && error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

fn stamps(sources: &[CertificateSource]) -> Vec<Stamp> {
    sources
        .iter()
        .flat_map(|source| [stamp(&source.files.certificate), stamp(&source.files.key)])
        .collect()
}

/// Makes TLS of connections.
#[derive(Clone, Debug)]
pub(super) struct Tls(Arc<ServerConfig>);

impl Tls {
    /// The handshake of a connection, in `patience`. A client that speaks plain HTTP is told so.
    pub(super) async fn handshake(
        &self,
        mut stream: TcpStream,
        patience: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let shaken = async {
            let mut first = [0];
            if stream.peek(&mut first).await? > 0 && first != [HANDSHAKE] {
                // What is left unread would reset the connection, and the client would not see the answer.
                let failure = handshake_error(&stream);
                stream.write_all(NOT_TLS).await?;
                return Err(failure);
            }
            let mut stream = TlsAcceptor::from(Arc::clone(&self.0))
                .accept(stream)
                .await?;
            if stream.get_ref().1.alpn_protocol() == Some(ACME) {
                stream.shutdown().await?;
                return Err(io::Error::other("it only looked for the proof of a name"));
            }
            Ok(stream)
        };
        tokio::time::timeout(patience, shaken)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Whether the client has asked for HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}

/// Reads what is there of a client that does not speak TLS; the error says what that is.
fn handshake_error(stream: &TcpStream) -> io::Error {
    let mut came = [0; 16 << 10];
    let length = stream.try_read(&mut came).unwrap_or(0);
    if proxy::is_header(came.get(..length).unwrap_or_default()) {
        return io::Error::new(
            io::ErrorKind::InvalidInput,
            "it sent a PROXY protocol header",
        );
    }
    io::Error::other("it does not speak TLS")
}

#[cfg(test)]
mod tests;
