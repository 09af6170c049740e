//! `[tls]`: the server's own TLS.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[tls]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Addresses to listen on with TLS; none is without TLS.
    pub listen: Vec<SocketAddr>,
    /// What plain HTTP is answered while TLS is served.
    pub plain_http: PlainHttp,
    /// Certificates, chosen by the name that a client asks for (SNI); without a fitting one, the first.
    pub certificates: Vec<CertificateFiles>,
}

/// What requests without TLS are answered, but those from this machine and those that a trusted proxy passes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainHttp {
    /// Browsers are redirected, everybody else is refused.
    #[default]
    Refuse,
    /// The same as with TLS.
    Serve,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate, and after it those of the authorities in between.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsConfig {
    pub(super) fn validate(&self) -> Result<()> {
        ensure!(
            self.listen.is_empty() || !self.certificates.is_empty(),
            "tls.listen needs a certificate: tls.certificates = [{{ certificate = \"/etc/sarang/cert.pem\", key = \"/etc/sarang/key.pem\" }}]."
        );
        ensure!(
            self.certificates.is_empty() || !self.listen.is_empty(),
            "tls.certificates needs an address to listen on: tls.listen = [\"0.0.0.0:443\"]."
        );
        Ok(())
    }

    /// The port that plain requests are sent to instead; `None` where they are served.
    pub fn instead_of_plain(&self) -> Option<u16> {
        self.listen.first().filter(|_| self.plain_http == PlainHttp::Refuse).map(SocketAddr::port)
    }
}
