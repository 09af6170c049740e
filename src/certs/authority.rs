//! The authority for local networks: a root made once, and the server's certificate from it, made anew in time and when the machine's
//! names or addresses change.

use super::root::{RootCertificate, first_certificate};
use super::{file, folder_in, host};
use crate::config::{Config, ServerConfig, TlsConfig};
use crate::model::time::{from_unix_seconds, iso_date, unix_seconds};
use parking_lot::Mutex;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const FILE: &str = "local.pem";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a certificate is for; systems take at most 397 days.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// The first second of 2025, when roots begin, and of 2050: a clock outside is not right.
const EARLIEST: i64 = 1_735_689_600;
const LATEST: i64 = 2_524_608_000;

/// The authority, and what it signs for.
#[derive(Debug)]
pub struct Authority {
    root: RootCertificate,
    issuer: Issuer<'static, KeyPair>,
    server: ServerConfig,
    tls: TlsConfig,
    file: PathBuf,
    /// The names that it may not sign for, and that this was said of.
    told: Mutex<BTreeSet<String>>,
}

impl Authority {
    pub(super) fn open(config: &Config) -> io::Result<Self> {
        let (root, key) =
            RootCertificate::open(&config.data_dir, &host::names(&config.server, &config.tls))?;
        let issuer =
            Issuer::from_ca_cert_der(&root.der().to_vec().into(), key).map_err(io::Error::other)?;
        let file = folder_in(&config.data_dir).join(FILE);
        let server = config.server.clone();
        let tls = config.tls.clone();
        Ok(Self {
            root,
            issuer,
            server,
            tls,
            file,
            told: Mutex::default(),
        })
    }

    /// What devices install to trust this server.
    pub fn root(&self) -> &RootCertificate {
        &self.root
    }

    /// The PEM file with the server's certificate and its key; it is there after [`renew_if_due`](Self::renew_if_due).
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Makes the server's certificate anew when it is due: at two thirds of its time, when a name or address is missing in it, or when
    /// the clock says that it is not valid.
    pub fn renew_if_due(&self, now: SystemTime) -> io::Result<()> {
        self.renew_for(host::names(&self.server, &self.tls), now)
    }

    pub(super) fn renew_for(&self, names: BTreeSet<String>, now: SystemTime) -> io::Result<()> {
        let (names, refused): (BTreeSet<_>, BTreeSet<_>) =
            names.into_iter().partition(|name| self.root.permits(name));
        self.log_refused(refused);
        let current = file::read(&self.file)?.and_then(|bytes| first_certificate(&bytes).ok());
        if current.is_some_and(|der| self.is_good(&der, &names, now)) {
            return Ok(());
        }
        let at = unix_seconds(now);
        if !(EARLIEST..LATEST).contains(&at) {
            tracing::warn!(
                "the clock says {}: clients will refuse the TLS certificate, which is made anew when the clock is right",
                iso_date(now)
            );
        }
        let until = iso_date(now + LIFETIME);
        file::put(&self.file, self.issue(&names, at)?.as_bytes())?;
        let names = Vec::from_iter(names).join(", ");
        tracing::info!(
            names,
            until,
            "issued a TLS certificate by this server's own authority"
        );
        Ok(())
    }

    fn is_good(&self, der: &[u8], names: &BTreeSet<String>, now: SystemTime) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return false;
        };
        let validity = certificate.validity();
        let from = validity.not_before.timestamp();
        let until = validity.not_after.timestamp();
        let due = from_unix_seconds(from + (until - from) / 3 * 2);
        self.root.has_signed(&certificate)
            && (from_unix_seconds(from)..due).contains(&now)
            && names.is_subset(&names_of(&certificate))
    }

    /// A certificate and its key in PEM.
    pub(super) fn issue(&self, names: &BTreeSet<String>, now: i64) -> io::Result<String> {
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).map_err(|e| io::Error::other(e.to_string()))?;
        if let Some(first) = serial.first_mut() {
            // Positive, and of one length.
            *first = *first & 0x3f | 0x40;
        }
        let names: Vec<String> = names.iter().cloned().collect();
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, "Sarang");
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let now = Duration::from_secs(u64::try_from(now.clamp(0, LATEST)).unwrap_or(0));
        // A day that the clocks of clients may be behind.
        params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY);
        params.not_after = date_time_ymd(1970, 1, 1) + now + LIFETIME;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        Ok(certificate.pem() + &key.serialize_pem())
    }

    fn log_refused(&self, mut refused: BTreeSet<String>) {
        // Names without a dot: no root is made for these.
        refused.retain(|name| name.contains(['.', ':']));
        let mut told = self.told.lock();
        if refused.is_empty() || refused.is_subset(&told) {
            return;
        }
        let names = refused
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        tracing::warn!(
            names,
            "this server's own authority was made for other names: the TLS certificate is not for these. Get a certificate for them \
             elsewhere, or move tls/authority.pem away, restart, and let devices trust the new one"
        );
        told.extend(refused);
    }
}

pub(super) fn names_of(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                .ok()
                .map(|address| address.to_string())
        }
        _ => None,
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(name)
        .collect()
}
