//! The authority for local networks: what it makes once, what it makes anew and when, and who takes its certificates.

use super::root::first_certificate;
use super::*;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{Error as TlsError, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: u64 = 24 * 3600;

/// So many days after the first of December 2026.
fn day(days: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_796_083_200 + days * DAY)
}

struct CertsFolder {
    dir: tempfile::TempDir,
    config: Config,
}

impl CertsFolder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: dir.path().join("data"),
            ..Config::default()
        };
        config.tls.local = true;
        config.tls.local_names = vec!["nas.example".into(), "192.0.2.7".into()];
        Self { dir, config }
    }

    fn open(&self) -> Authority {
        Authority::open(&self.config).unwrap()
    }
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

fn leaf(authority: &Authority) -> Vec<u8> {
    first_certificate(&std::fs::read(authority.file()).unwrap()).unwrap()
}

/// Whether a client that trusts the root takes a certificate for a name.
fn takes(root: &RootCertificate, leaf: &[u8], name: &str, at: SystemTime) -> Result<(), TlsError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(root.der().to_vec()))
        .unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(ring::default_provider()),
    )
    .build()
    .unwrap();
    let now = UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).unwrap());
    let leaf = CertificateDer::from(leaf.to_vec());
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier
        .verify_server_cert(&leaf, &[], &name, &[], now)
        .map(drop)
}

#[test]
fn clients_that_trust_the_root_take_its_certificate_for_every_name_and_address() {
    let place = CertsFolder::new();
    let authority = place.open();
    authority.renew_if_due(day(0)).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "nas.example", "192.0.2.7"] {
        takes(authority.root(), &leaf(&authority), name, day(0))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(takes(authority.root(), &leaf(&authority), "other.example", day(0)).is_err());
    assert!(takes(authority.root(), &leaf(&authority), "localhost", day(89)).is_ok());
    assert!(takes(authority.root(), &leaf(&authority), "localhost", day(91)).is_err());
    assert_eq!(authority.root().fingerprint().len(), 32 * 3 - 1);
    assert!(
        authority.root().name().starts_with("Sarang at "),
        "{}",
        authority.root().name()
    );
    assert_eq!(
        first_certificate(authority.root().pem().as_bytes()).unwrap(),
        authority.root().der()
    );
}

#[test]
fn the_root_is_made_once_and_its_key_is_for_the_server_alone() {
    let place = CertsFolder::new();
    assert!(
        RootCertificate::read(&place.config.data_dir)
            .unwrap()
            .is_none()
    );
    let first = place.open().root().fingerprint();
    place.open().renew_if_due(day(0)).unwrap();
    assert_eq!(place.open().root().fingerprint(), first);
    assert_eq!(
        RootCertificate::read(&place.config.data_dir)
            .unwrap()
            .unwrap()
            .fingerprint(),
        first
    );
    let tls = place.config.data_dir.join("tls");
    assert_eq!(
        std::fs::metadata(&tls).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for entry in std::fs::read_dir(&tls).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
    }
    std::fs::write(tls.join("authority.pem"), "torn").unwrap();
    assert!(
        Authority::open(&place.config).is_err(),
        "a root that devices trust is never made anew by itself"
    );
    assert_ne!(
        CertsFolder::new().open().root().name(),
        CertsFolder::new().open().root().name()
    );
}

#[test]
fn a_certificate_is_made_anew_in_time_and_for_new_names_only() {
    let place = CertsFolder::new();
    let authority = place.open();
    let after = |of: &[&str], at| {
        authority.renew_for(names(of), at).unwrap();
        leaf(&authority)
    };
    let first = after(&["localhost", "nas.lan"], day(0));
    assert_eq!(after(&["localhost", "nas.lan"], day(59)), first);
    assert_eq!(
        after(&["localhost"], day(1)),
        first,
        "an address that went may come back"
    );
    let second = after(&["localhost", "nas.lan"], day(61));
    assert_ne!(second, first);
    let third = after(&["localhost", "nas.lan", "192.168.7.2"], day(61));
    assert_ne!(third, second);
    takes(authority.root(), &third, "192.168.7.2", day(61)).unwrap();
    std::fs::write(authority.file(), "torn").unwrap();
    assert_ne!(after(&["localhost"], day(61)), third);
    // Another authority: its certificate is not that of the first.
    std::fs::rename(
        place.config.data_dir.join("tls/authority.pem"),
        place.dir.path().join("away"),
    )
    .unwrap();
    let other = place.open();
    other.renew_for(names(&["localhost"]), day(61)).unwrap();
    takes(other.root(), &leaf(&other), "localhost", day(61)).unwrap();
}

#[test]
fn an_address_in_another_spelling_is_the_same_address() {
    let mut place = CertsFolder::new();
    place.config.tls.local_names = vec!["FD00:0:0::0007".into(), "::ffff:192.0.2.7".into()];
    let authority = place.open();
    authority.renew_if_due(day(0)).unwrap();
    let first = leaf(&authority);
    takes(authority.root(), &first, "fd00::7", day(0)).unwrap();
    authority.renew_if_due(day(1)).unwrap();
    assert_eq!(
        leaf(&authority),
        first,
        "no certificate is issued for what is in it already"
    );
}

#[test]
fn the_root_signs_for_servers_and_for_no_whole_top_level_domain() {
    let mut place = CertsFolder::new();
    place.config.server.public_url = "https://bank".into();
    let authority = place.open();
    assert!(!authority.root().permits("bank") && !authority.root().permits("a.bank"));
    authority.renew_if_due(day(0)).unwrap();
    assert!(takes(authority.root(), &leaf(&authority), "bank", day(0)).is_err());
    let (_, root) = X509Certificate::from_der(authority.root().der()).unwrap();
    let usage = root.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.any && !usage.code_signing && !usage.email_protection);
}

#[test]
fn a_clock_that_was_wrong_leaves_nothing_unusable_behind() {
    let place = CertsFolder::new();
    let authority = place.open();
    for wrong in [
        UNIX_EPOCH,
        UNIX_EPOCH + Duration::from_secs(3600),
        day(400 * 365),
        day(90 * 365),
        day(200),
    ] {
        authority.renew_for(names(&["localhost"]), wrong).unwrap();
        authority.renew_for(names(&["localhost"]), day(0)).unwrap();
        takes(authority.root(), &leaf(&authority), "localhost", day(0))
            .unwrap_or_else(|error| panic!("{wrong:?}: {error}"));
    }
}

#[test]
fn the_root_signs_for_local_networks_and_the_names_it_was_made_with() {
    let place = CertsFolder::new();
    let authority = place.open();
    for name in [
        "nas.example",
        "a.nas.example",
        "nas.local",
        "nas.home.arpa",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.0.1",
        "fd00::1",
        "192.0.2.7",
    ] {
        assert!(authority.root().permits(name), "{name}");
    }
    let outside = [
        "example",
        "bank.example",
        "notlocal",
        "192.0.2.8",
        "172.32.0.1",
        "2001:db8::1",
    ];
    for name in outside {
        assert!(!authority.root().permits(name), "{name}");
    }
    authority
        .renew_for(names(&["localhost", "bank.example", "192.0.2.8"]), day(0))
        .unwrap();
    let text = String::from_utf8_lossy(&leaf(&authority)).into_owned();
    assert!(
        text.contains("localhost") && !text.contains("bank.example"),
        "a name outside would make clients refuse the whole"
    );
    // Whoever has stolen the key gets no further: clients look, too.
    for (name, is_taken) in [
        ("nas.example", true),
        ("nas.lan", true),
        ("bank.example", false),
        ("192.0.2.8", false),
    ] {
        let forged = authority.issue(&names(&[name]), 1_796_083_200).unwrap();
        let forged = first_certificate(forged.as_bytes()).unwrap();
        assert_eq!(
            takes(authority.root(), &forged, name, day(0)).is_ok(),
            is_taken,
            "{name}"
        );
    }
}
