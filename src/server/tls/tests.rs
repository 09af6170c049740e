//! Certificates: which are refused, which a client gets, and what happens when their files change.

use super::*;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tls")
        .join(name)
}

fn files(certificate: &str, key: &str) -> CertificateFiles {
    CertificateFiles {
        certificate: fixture(certificate),
        key: fixture(key),
    }
}

fn config(certificates: Vec<CertificateFiles>) -> TlsConfig {
    TlsConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        certificates,
        ..TlsConfig::default()
    }
}

fn load(certificates: Vec<CertificateFiles>) -> Arc<Certificates> {
    Certificates::load(&config(certificates), &Issuers::default())
        .unwrap()
        .unwrap()
}

#[test]
fn unusable_certificates_are_refused_by_name_and_cause() {
    let refusal = |certificate: &str, key: &str| {
        Certificates::load(&config(vec![files(certificate, key)]), &Issuers::default())
            .unwrap_err()
            .to_string()
    };
    for (certificate, key, file, why) in [
        (
            "missing.pem",
            "here-key.pem",
            "missing.pem",
            "cannot be read",
        ),
        ("here.pem", "missing.pem", "missing.pem", "cannot be read"),
        (
            "here-key.pem",
            "here-key.pem",
            "here-key.pem",
            "no certificate",
        ),
        ("here.pem", "here.pem", "here.pem", "no private key"),
        ("make", "here-key.pem", "make", "no certificate"),
        (
            "here.pem",
            "nest-key.pem",
            "nest-key.pem",
            "does not belong to the certificate in",
        ),
    ] {
        let refusal = refusal(certificate, key);
        assert!(
            refusal.contains(file) && refusal.contains(why),
            "{certificate} {key}: {refusal}"
        );
    }
    assert!(
        Certificates::load(&TlsConfig::default(), &Issuers::default())
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let certificates = load(vec![
        files("here.pem", "here-key.pem"),
        files("nest.pem", "nest-key.pem"),
    ]);
    let [here, nest] =
        [0, 1].map(|at| Arc::clone(&certificates.current.read()[at].as_ref().unwrap().key));
    for (name, expected) in [
        (None, &here),
        (Some("localhost"), &here),
        (Some("nest.example"), &nest),
        (Some("NEST.example"), &nest),
        (Some("a.nest.example"), &nest),
        (Some("a.b.nest.example"), &here),
        (Some("nest.example.org"), &here),
        (Some("example"), &here),
    ] {
        assert!(
            Arc::ptr_eq(&certificates.choose(name).unwrap(), expected),
            "{name:?}"
        );
    }
}

#[test]
fn a_name_that_is_still_ordered_has_no_certificate_and_no_proof() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = crate::config::Config {
        data_dir: dir.path().to_owned(),
        tls: config(Vec::new()),
        ..crate::config::Config::default()
    };
    config.tls.acme.domains = vec!["nest.example".into()];
    let issuers = Issuers::open(&config).unwrap();
    let certificates = Certificates::load(&config.tls, &issuers).unwrap().unwrap();
    assert!(
        certificates.choose(Some("nest.example")).is_none()
            && certificates.challenge_certificate("nest.example").is_none()
    );
    let shown = issuers
        .acme
        .as_ref()
        .unwrap()
        .challenges()
        .show("nest.example", &[7; 32])
        .unwrap();
    assert!(
        certificates.challenge_certificate("nest.example").is_some()
            && certificates
                .challenge_certificate("other.example")
                .is_none()
    );
    drop(shown);
    assert!(certificates.challenge_certificate("nest.example").is_none());
    let path = issuers.awaited().next().unwrap();
    fs::write(&path, "torn").unwrap();
    certificates.reload_if_changed(false);
    assert!(
        certificates.choose(Some("nest.example")).is_none()
            && certificates.seen.lock().complained.is_some()
    );
    let started = Certificates::load(&config.tls, &issuers).unwrap().unwrap();
    assert!(
        started.seen.lock().complained.is_some(),
        "it refuses no start, and is said again"
    );
    let both = [
        fs::read(fixture("nest.pem")).unwrap(),
        fs::read(fixture("nest-key.pem")).unwrap(),
    ]
    .concat();
    fs::write(&path, both).unwrap();
    certificates.reload_if_changed(false);
    let came = certificates.choose(Some("nest.example")).unwrap();
    assert!(certificates.seen.lock().complained.is_none());
    fs::write(&path, "torn").unwrap();
    certificates.reload_if_changed(false);
    assert!(
        Arc::ptr_eq(&came, &certificates.choose(Some("nest.example")).unwrap()),
        "the one from before stays"
    );
    assert!(
        certificates.seen.lock().complained.is_some(),
        "and it is tried again"
    );
    fs::remove_file(&path).unwrap();
    certificates.reload_if_changed(true);
    assert!(
        Arc::ptr_eq(&came, &certificates.choose(Some("nest.example")).unwrap()),
        "also while there is no file"
    );
}

#[test]
fn a_certificate_that_cannot_be_read_keeps_no_other_from_being_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let both = [
            fs::read(fixture(&format!("{name}.pem"))),
            fs::read(fixture(&format!("{name}-key.pem"))),
        ];
        both.map(Result::unwrap).concat()
    };
    let [one, two] = ["one.pem", "two.pem"].map(|name| dir.path().join(name));
    fs::write(&one, place("here")).unwrap();
    fs::write(&two, place("here")).unwrap();
    let certificates = load(vec![
        CertificateFiles::in_one(one.clone()),
        CertificateFiles::in_one(two.clone()),
    ]);
    fs::write(&one, "torn").unwrap();
    fs::write(&two, place("nest")).unwrap();
    certificates.reload_if_changed(false);
    assert!(
        certificates.current.read()[1]
            .as_ref()
            .unwrap()
            .is_for("nest.example")
    );
    assert!(
        certificates.current.read()[0]
            .as_ref()
            .unwrap()
            .is_for("localhost")
    );
    assert!(certificates.seen.lock().complained.is_some());
}

#[test]
fn changed_files_are_read_again_and_unusable_ones_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let own = CertificateFiles {
        certificate: dir.path().join("c.pem"),
        key: dir.path().join("k.pem"),
    };
    let put = |name: &str| {
        for (from, to) in [
            (format!("{name}.pem"), &own.certificate),
            (format!("{name}-key.pem"), &own.key),
        ] {
            // By a new file, as who renews a certificate does.
            let fresh = to.with_extension("new");
            fs::copy(fixture(&from), &fresh).unwrap();
            fs::rename(fresh, to).unwrap();
        }
    };
    put("here");
    let certificates = load(vec![own.clone()]);
    let first = certificates.choose(None).unwrap();
    certificates.reload_if_changed(false);
    assert!(
        Arc::ptr_eq(&first, &certificates.choose(None).unwrap()),
        "nothing has changed"
    );
    put("nest");
    certificates.reload_if_changed(false);
    let second = certificates.choose(None).unwrap();
    assert_ne!(first.cert, second.cert);
    for spoil in [&own.key, &own.certificate] {
        fs::write(spoil, "torn").unwrap();
        certificates.reload_if_changed(false);
        certificates.reload_if_changed(true);
        assert!(
            Arc::ptr_eq(&second, &certificates.choose(None).unwrap()),
            "what cannot be used changes nothing"
        );
        assert!(certificates.seen.lock().complained.is_some());
    }
    put("here");
    certificates.reload_if_changed(false);
    assert_eq!(first.cert, certificates.choose(None).unwrap().cert);
    assert!(certificates.seen.lock().complained.is_none());
}
