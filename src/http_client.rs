//! The requests that this program makes itself: over TLS, bounded in time and size, and never redirected.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const MAX_ANSWER: usize = 256 << 10;

type HyperClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client; what it trusts is read at the first request.
#[derive(Debug)]
pub struct HttpClient {
    sender: OnceLock<HyperClient>,
    /// A PEM file with the authorities that are trusted; `None` for those of the system.
    authority: Option<PathBuf>,
    /// From the first byte out to the last byte in.
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RequestFailed(pub String);

impl HttpClient {
    /// One that trusts the authorities of the system, or those in a PEM file.
    pub fn new(authority: Option<PathBuf>, patience: Duration) -> Self {
        Self {
            sender: OnceLock::new(),
            authority,
            timeout: patience,
        }
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, RequestFailed> {
        let address = request.uri().to_string();
        let exchange = async {
            let response = self.sender()?.request(request.map(Full::new)).await;
            let (head, body) = response
                .map_err(|e| RequestFailed(error_chain(&e)))?
                .into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|e| RequestFailed(error_chain(&*e)))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let late = |_| {
            Err(RequestFailed(format!(
                "{address} did not answer in {} seconds",
                self.timeout.as_secs()
            )))
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(late)
    }

    fn sender(&self) -> Result<&HyperClient, RequestFailed> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender);
        }
        let builder = match &self.authority {
            Some(file) => HttpsConnectorBuilder::new().with_tls_config(trusting(file)?),
            None => HttpsConnectorBuilder::new()
                .with_native_roots()
                .map_err(|e| {
                    RequestFailed(format!("the system has no certificates to trust: {e}"))
                })?,
        };
        let connector = builder.https_or_http().enable_http1().build();
        let made = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(self.sender.get_or_init(|| made))
    }
}

/// The authorities of a PEM file; one without any is an error.
pub fn authorities(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
        roots
            .add(certificate.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    if roots.is_empty() {
        return Err(io::Error::other(
            "it holds no certificate in PEM form (BEGIN CERTIFICATE)",
        ));
    }
    Ok(roots)
}

fn trusting(file: &Path) -> Result<ClientConfig, RequestFailed> {
    let unusable = |error: &dyn std::fmt::Display| {
        RequestFailed(format!("{} cannot be used: {error}", file.display()))
    };
    let roots = authorities(file).map_err(|e| unusable(&e))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(&e))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// An error with what is behind it.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
