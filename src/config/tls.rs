//! `[tls]`: the server's own TLS.

use super::acme::AcmeConfig;
use super::host_name::is_host_name;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// `[tls]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Addresses to listen on with TLS; none is without TLS.
    pub listen: Vec<SocketAddr>,
    /// Whether clients that ask for HTTP/2 are served it; the others, and all without it, speak HTTP/1.1.
    pub http2: bool,
    /// What plain HTTP is answered while TLS is served.
    pub plain_http: PlainHttp,
    /// Certificates, chosen by the name that a client asks for (SNI); without a fitting one, the first.
    pub certificates: Vec<CertificateFiles>,
    /// Whether an authority of the server's own issues a certificate for the names and addresses of this machine.
    pub local: bool,
    /// Names and addresses that it is for besides.
    pub local_names: Vec<String>,
    /// Certificates from an ACME server.
    pub acme: AcmeConfig,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            http2: true,
            plain_http: PlainHttp::default(),
            certificates: Vec::new(),
            local: false,
            local_names: Vec::new(),
            acme: AcmeConfig::default(),
        }
    }
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

impl CertificateFiles {
    /// Both in one file.
    pub fn in_one(path: PathBuf) -> Self {
        Self {
            certificate: path.clone(),
            key: path,
        }
    }
}

impl TlsConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let has_certificate =
            !self.certificates.is_empty() || self.local || !self.acme.domains.is_empty();
        ensure!(
            self.listen.is_empty() || has_certificate,
            "tls.listen needs a certificate: tls.certificates = [{{ certificate = \"/etc/sarang/cert.pem\", key = \"/etc/sarang/key.pem\" }}], \
             or [tls.acme] domains = [\"files.example.org\"] for a name that the internet knows, or tls.local = true for a local network."
        );
        let setting = if self.local {
            "tls.local"
        } else if self.certificates.is_empty() {
            "tls.acme"
        } else {
            "tls.certificates"
        };
        ensure!(
            !has_certificate || !self.listen.is_empty(),
            "{setting} needs an address to listen on: tls.listen = [\"0.0.0.0:443\"]."
        );
        for name in &self.local_names {
            ensure!(
                name.parse::<IpAddr>().is_ok() || is_host_name(name),
                "tls.local_names: {name:?} is neither a host name nor an address; write it like \"nas.home.arpa\"."
            );
            ensure!(
                name.contains(['.', ':']) || name.eq_ignore_ascii_case("localhost"),
                "tls.local_names: {name:?} has no dot, and the server's own authority signs for no whole top-level domain; write it like \
                 \"{name}.local\"."
            );
        }
        self.acme.validate()
    }

    /// The port that plain requests are sent to instead; `None` where they are served.
    pub fn redirect_port(&self) -> Option<u16> {
        self.listen
            .first()
            .filter(|_| self.plain_http == PlainHttp::Refuse)
            .map(SocketAddr::port)
    }
}
