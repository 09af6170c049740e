//! One request on a connection of its own, so that each step of the way there can fail by itself.

use crate::http_client::{self, error_chain};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_rustls::ConfigBuilderExt as _;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
/// What an answer may have at most: the checks ask for little.
const MOST: usize = 4 << 20;
/// Who asks, for the logs of proxies and servers.
const AGENT: &str = concat!("sarang-doctor/", env!("CARGO_PKG_VERSION"));

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those of the system.
    System,
    /// Only these.
    Only(Arc<RootCertStore>),
}

/// The address that clients are given.
#[derive(Clone, Debug)]
pub struct TargetServer {
    pub(super) is_tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// The path of the drive, with a slash at its end.
    pub(super) path: String,
    trust: Trust,
}

/// How far a connection came.
#[derive(Debug)]
pub(super) enum Unreachable {
    Name(String),
    Port(String),
    Tls(String),
    Answer(String),
}

impl Unreachable {
    pub fn why(&self) -> &str {
        let (Self::Name(why) | Self::Port(why) | Self::Tls(why) | Self::Answer(why)) = self;
        why
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct ProbeResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl ProbeResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

impl TargetServer {
    /// From an address as people write it; a path that is missing is that of the drives. The error is a sentence.
    pub fn parse(url: &str, trust: Trust) -> Result<Self, String> {
        let wrong =
            || format!("{url} is not an address: write it as https://drive.example.org/dav/.");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let host = uri
            .host()
            .ok_or_else(wrong)?
            .trim_matches(['[', ']'])
            .to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let path = match uri.path().trim_end_matches('/') {
            "" => "/dav/".to_owned(),
            path => format!("{path}/"),
        };
        Ok(Self {
            is_tls,
            host,
            port,
            path,
            trust,
        })
    }

    /// The same without TLS, where browsers try first.
    pub(super) fn plain(&self) -> Self {
        Self {
            is_tls: false,
            port: 80,
            ..self.clone()
        }
    }

    /// Host and port, as the header `Host` and addresses have them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            _ => format!("{host}:{}", self.port),
        }
    }

    /// The address of something in the drive, for `Destination`.
    pub(super) fn url(&self, path: &str) -> String {
        format!(
            "{}://{}{path}",
            if self.is_tls { "https" } else { "http" },
            self.authority()
        )
    }

    /// The addresses of the name.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, Unreachable> {
        let looked = tokio::time::timeout(
            CONNECT,
            tokio::net::lookup_host((self.host.as_str(), self.port)),
        )
        .await;
        match looked {
            Ok(Ok(addresses)) => Ok(addresses.collect()),
            Ok(Err(error)) => Err(Unreachable::Name(error.to_string())),
            Err(_) => Err(Unreachable::Name("no name server answers".into())),
        }
    }

    async fn connect(&self) -> Result<Box<dyn ByteStream>, Unreachable> {
        let connecting = async {
            let addresses = self.resolve().await?;
            let stream = TcpStream::connect(&*addresses)
                .await
                .map_err(|e| Unreachable::Port(e.to_string()))?;
            if !self.is_tls {
                return Ok(Box::new(stream) as Box<dyn ByteStream>);
            }
            let tls = |e: &dyn std::error::Error| Unreachable::Tls(e.to_string());
            let name = ServerName::try_from(self.host.clone()).map_err(|e| tls(&e))?;
            let config = Arc::new(self.trust.config().map_err(|e| tls(&e))?);
            let shaken = TlsConnector::from(config)
                .connect(name, stream)
                .await
                .map_err(|e| tls(&e))?;
            Ok(Box::new(shaken) as Box<dyn ByteStream>)
        };
        let late = |_| {
            Err(Unreachable::Port(format!(
                "no answer within {} seconds",
                CONNECT.as_secs()
            )))
        };
        tokio::time::timeout(CONNECT, connecting)
            .await
            .unwrap_or_else(late)
    }

    /// Sends a request with this target and these headers.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: &HeaderMap,
        body: ProbeBody,
    ) -> Result<ProbeResponse, Unreachable> {
        let failed = |e: &dyn std::error::Error| Unreachable::Answer(error_chain(e));
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("Host", self.authority())
            .header("User-Agent", AGENT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body.0).map_err(|e| failed(&e))?;
        let stream = self.connect().await?;
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|e| failed(&e))?;
            let connection = tokio::spawn(connection);
            let answer = sender.send_request(request).await.map_err(|e| failed(&e))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MOST)
                .collect()
                .await
                .map_err(|e| failed(&*e))?
                .to_bytes();
            connection.abort();
            Ok(ProbeResponse {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        let late = |_| {
            Err(Unreachable::Answer(format!(
                "no answer within {} seconds",
                ANSWER.as_secs()
            )))
        };
        tokio::time::timeout(ANSWER, exchange)
            .await
            .unwrap_or_else(late)
    }

    /// The first status of an answer to a head alone, which asks whether its body may come; nothing of that is sent. `None` where the
    /// question is not answered.
    pub(super) async fn may_send(
        &self,
        target: &str,
        headers: &HeaderMap,
        len: u64,
    ) -> Result<Option<u16>, Unreachable> {
        let failed = |e: io::Error| Unreachable::Answer(e.to_string());
        let mut head = format!(
            "PUT {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {AGENT}\r\n",
            self.authority()
        );
        for (name, value) in headers {
            let value = value
                .to_str()
                .map_err(|e| Unreachable::Answer(e.to_string()))?;
            head = format!("{head}{name}: {value}\r\n");
        }
        head = format!(
            "{head}Content-Length: {len}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        let mut stream = self.connect().await?;
        stream.write_all(head.as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let mut line = [0; 12];
        match tokio::time::timeout(CONNECT, stream.read_exact(&mut line)).await {
            Ok(Ok(_)) => {
                let status = std::str::from_utf8(&line)
                    .ok()
                    .and_then(|line| line.rsplit(' ').next()?.parse().ok());
                status
                    .map(Some)
                    .ok_or_else(|| Unreachable::Answer("the answer is not HTTP".into()))
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Ok(None),
        }
    }
}

impl Trust {
    /// Only the authorities of a PEM file.
    pub fn of(file: &Path) -> io::Result<Self> {
        http_client::authorities(file).map(|roots| Self::Only(Arc::new(roots)))
    }

    fn config(&self) -> io::Result<ClientConfig> {
        let builder = ClientConfig::builder();
        Ok(match self {
            Self::System => builder.with_native_roots()?,
            Self::Only(roots) => builder.with_root_certificates(Arc::clone(roots)),
        }
        .with_no_client_auth())
    }
}

/// A body whose length is announced, or which is sent in chunks.
pub(super) struct ProbeBody(
    http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>,
);

impl ProbeBody {
    pub fn nothing() -> Self {
        Self::whole("")
    }

    pub fn whole(text: impl Into<Bytes>) -> Self {
        Self(Full::new(text.into()).boxed_unsync())
    }

    pub fn in_chunks(parts: Vec<&'static str>) -> Self {
        let frames = parts
            .into_iter()
            .map(|part| Ok(http_body::Frame::data(Bytes::from_static(part.as_bytes()))));
        Self(http_body_util::StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
    }
}
