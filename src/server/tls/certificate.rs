//! One certificate with its key, from PEM files.

use crate::config::CertificateFiles;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Files of certificates and keys are smaller.
const MAX_FILE: u64 = 1 << 20;
/// From so long before its end on, a certificate is warned of.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// A certificate that can be shown to clients.
#[derive(Debug)]
pub(super) struct Certificate {
    pub key: Arc<CertifiedKey>,
    /// In small letters; `*.` stands for one label.
    names: Vec<String>,
    /// Whether it is for addresses, too.
    pub has_addresses: bool,
    from: SystemTime,
    pub until: SystemTime,
}

impl Certificate {
    /// Reads the files; the error names the one that is wrong.
    pub(super) fn read(files: &CertificateFiles) -> io::Result<Self> {
        let path = files.certificate.display();
        let key_path = files.key.display();
        let chain = CertificateDer::pem_slice_iter(&read(&files.certificate)?)
            .collect::<Result<Vec<_>, _>>();
        let chain =
            chain.map_err(|error| wrong(format!("{path} is no sound PEM file: {error}")))?;
        let Some(first) = chain.first() else {
            return Err(wrong(format!(
                "{path} holds no certificate in PEM form (BEGIN CERTIFICATE)"
            )));
        };
        let unreadable = || wrong(format!("the certificate in {path} cannot be read"));
        let (_, parsed) = X509Certificate::from_der(first).map_err(|_| unreadable())?;
        let names = names(&parsed);
        let has_addresses = has_addresses(&parsed);
        let validity = parsed.validity().clone();
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| {
            wrong(format!(
                "{key_path} holds no private key in PEM form (BEGIN PRIVATE KEY)"
            ))
        })?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(
            |error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => wrong(format!(
                    "the key in {key_path} does not belong to the certificate in {path}"
                )),
                error => wrong(format!(
                    "the certificate in {path} and the key in {key_path} cannot be used: {error}"
                )),
            },
        )?;
        let from = time(validity.not_before.timestamp());
        let until = time(validity.not_after.timestamp());
        Ok(Self {
            key: Arc::new(key),
            names,
            has_addresses,
            from,
            until,
        })
    }

    /// Says in the log what it is for and until when, as a warning when clients will not take it.
    pub(super) fn log_details(&self) {
        let names = self.names.join(", ");
        let now = SystemTime::now();
        let from = crate::model::time::iso_date(self.from);
        let until = crate::model::time::iso_date(self.until);
        if now < self.from {
            tracing::error!(
                names,
                from,
                "the TLS certificate is not valid yet: clients refuse it; is the clock right?"
            );
        } else if now > self.until {
            tracing::error!(
                names,
                until,
                "the TLS certificate has expired: clients refuse it"
            );
        } else if now + SOON > self.until {
            tracing::warn!(names, until, "the TLS certificate expires soon");
        } else {
            tracing::info!(names, until, "TLS certificate");
        }
    }

    /// Whether it is for this host name (RFC 9525, 6.3).
    pub(super) fn is_for(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let above = name.split_once('.').map(|(_, above)| above);
        self.names.iter().any(|own| {
            own.strip_prefix("*.")
                .map_or(*own == name, |own| above == Some(own))
        })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let failed = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("{} cannot be read: {error}", path.display()),
        )
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok(bytes)
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
    names.collect()
}

fn has_addresses(certificate: &X509Certificate<'_>) -> bool {
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.is_some_and(|it| {
        it.value
            .general_names
            .iter()
            .any(|name| matches!(name, GeneralName::IPAddress(_)))
    })
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn wrong(sentence: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}
