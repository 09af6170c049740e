//! TLS of the program itself: what clients see, what happens when certificates change, and what comes without TLS.

use crate::harness::{Client, poll};
use crate::program::{PASSWORD, Place, SARANG, Serving, said};
use base64::Engine as _;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tls")
        .join(name)
}

/// Puts a certificate and its key in the place of those that the settings name.
fn put(place: &Place, name: &str) {
    for (from, to) in [
        (format!("{name}.pem"), "cert.pem"),
        (format!("{name}-key.pem"), "key.pem"),
    ] {
        let fresh = place.path().join("fresh");
        fs::copy(fixture(&from), &fresh).unwrap();
        fs::rename(fresh, place.path().join(to)).unwrap();
    }
}

pub fn place() -> Place {
    let place = Place::new();
    put(&place, "here");
    set(
        &place,
        "certificates = [{ certificate = \"cert.pem\", key = \"key.pem\" }]",
    );
    place.add_ana();
    place
}

/// Writes settings with a listener for TLS and this.
pub fn set(place: &Place, settings: &str) {
    fs::write(
        place.path().join("config.toml"),
        format!("[tls]\nlisten = [\"127.0.0.1:0\"]\n{settings}\n"),
    )
    .unwrap();
}

pub fn tls_address(serving: &Serving) -> SocketAddr {
    let greeting = serving.greeting();
    let line = greeting
        .lines()
        .find(|line| line.contains("https://"))
        .expect("an address with TLS");
    line.trim_start_matches("Sarang serves https://")
        .trim_end_matches("/dav/")
        .parse()
        .unwrap()
}

fn hangup(serving: &Serving) {
    kill_process(
        Pid::from_raw(i32::try_from(serving.pid()).unwrap()).unwrap(),
        Signal::HUP,
    )
    .unwrap();
}

/// A client that trusts the authority of the tests.
pub struct Browser(Arc<ClientConfig>);

/// A connection of it.
pub struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Browser {
    pub fn new() -> Self {
        Self::trusting(CertificateDer::from_pem_file(fixture("authority.pem")).unwrap())
    }

    fn trusting(root: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        Self(Arc::new(
            ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth(),
        ))
    }

    /// The same, asking for these protocols in this order (ALPN).
    pub fn asking_for(protocols: &[&[u8]]) -> Self {
        let mut config = Self::new().0.as_ref().clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self(Arc::new(config))
    }

    /// What it is set up with.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    pub fn connect(&self, address: SocketAddr, name: &str) -> Tls {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        self.begin(stream, name)
    }

    /// TLS over a connection that is there.
    pub fn begin(&self, stream: TcpStream, name: &str) -> Tls {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Tls(StreamOwned::new(
            ClientConnection::new(Arc::clone(&self.0), name).unwrap(),
            stream,
        ))
    }
}

impl Tls {
    /// The bytes within TLS.
    pub fn stream(&mut self) -> &mut StreamOwned<ClientConnection, TcpStream> {
        &mut self.0
    }

    /// Sends one request and returns the head and body of its answer; the connection goes on.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let signed = base64::engine::general_purpose::STANDARD.encode(format!("ana:{PASSWORD}"));
        let (host, len) = ("localhost", body.len());
        write!(
            self.0,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {signed}\r\nContent-Length: {len}\r\n\r\n{body}"
        )?;
        self.0.flush()?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        self.0.read_exact(&mut body)?;
        answer.extend(body);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

#[track_caller]
pub fn is(answer: &std::io::Result<String>, status: u16) {
    let answer = answer.as_ref().unwrap();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

#[test]
fn files_are_stored_and_read_over_tls() {
    let place = place();
    let serving = place.serve();
    let mut tls = Browser::new().connect(tls_address(&serving), "localhost");
    let large = "nest ".repeat(400_000);
    is(&tls.ask("PUT", "/dav/a.txt", &large), 201);
    let answer = tls.ask("GET", "/dav/a.txt", "").unwrap();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, large);
    assert_eq!(tls.0.conn.alpn_protocol(), None, "none was offered");
    // Plain HTTP from this machine goes on.
    serving.ana().holds("/a.txt", &large);
}

#[test]
fn cookies_over_tls_are_for_tls_only() {
    let place = place();
    let serving = place.serve();
    let mut tls = Browser::new().connect(tls_address(&serving), "localhost");
    let body = format!("{{\"name\":\"ana\",\"password\":\"{PASSWORD}\"}}");
    write!(
        tls.0,
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    tls.0.read_to_string(&mut answer).unwrap();
    let cookie = answer
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"))
        .expect(&answer);
    assert!(
        cookie.contains("__Host-sid=") && cookie.contains("Secure"),
        "{cookie}"
    );
}

#[test]
fn a_second_connection_resumes_the_session_of_the_first() {
    let place = place();
    let serving = place.serve();
    let browser = Browser::new();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut tls = browser.connect(tls_address(&serving), "localhost");
        is(&tls.ask("OPTIONS", "/dav/", ""), 200);
        assert_eq!(tls.0.conn.handshake_kind(), Some(expected));
    }
}

#[test]
fn sighup_takes_a_new_certificate_and_ends_no_connection() {
    let place = place();
    let serving = place.serve();
    let address = tls_address(&serving);
    let mut before = Browser::new().connect(address, "localhost");
    is(&before.ask("PUT", "/dav/a", "x"), 201);
    let is_for = |name: &str| {
        Browser::new()
            .connect(address, name)
            .ask("OPTIONS", "/dav/", "")
            .is_ok()
    };
    assert!(is_for("localhost") && !is_for("nest.example"));
    put(&place, "nest");
    hangup(&serving);
    assert!(
        poll(Duration::from_secs(10), || is_for("nest.example")),
        "the new certificate is not in use"
    );
    assert!(!is_for("localhost"));
    is(&before.ask("GET", "/dav/a", ""), 200);
    fs::write(place.path().join("key.pem"), "torn").unwrap();
    hangup(&serving);
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        is_for("nest.example"),
        "a torn key must not displace a good one"
    );
    is(&before.ask("GET", "/dav/a", ""), 200);
}

#[test]
fn plain_http_on_the_port_of_tls_is_told_so() {
    let place = place();
    let serving = place.serve();
    let mut plain = TcpStream::connect(tls_address(&serving)).unwrap();
    plain
        .write_all(b"GET /dav/ HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 400 ")
            && head.contains(&format!("Content-Length: {}", body.len())),
        "{answer}"
    );
    assert!(body.contains("https://"), "{answer}");
}

#[test]
fn a_handshake_that_does_not_come_ends() {
    let place = place();
    let serving = place.serve_by(&format!(
        "SARANG_SERVER__HEADER_TIMEOUT=1 exec {SARANG} serve"
    ));
    for begun in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let mut silent = TcpStream::connect(tls_address(&serving)).unwrap();
        silent.write_all(begun).unwrap();
        silent
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert_eq!(
            silent.read(&mut [0; 16]).unwrap_or_default(),
            0,
            "the server must end it"
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_used_refuses_the_start() {
    let place = place();
    fs::copy(fixture("nest-key.pem"), place.path().join("key.pem")).unwrap();
    let output = place.run(&["serve"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("key.pem does not belong to the certificate in cert.pem"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_device_that_has_installed_the_root_is_served_under_every_name() {
    let place = Place::new();
    set(&place, "local = true\nlocal_names = [\"nas.lan\"]");
    place.add_ana();
    let serving = place.serve();
    let anybody = Client::new(serving.address, None);
    let root = CertificateDer::from(
        anybody
            .raw("GET", "/trust/sarang.crt")
            .send()
            .is(200)
            .body
            .clone(),
    );
    let browser = Browser::trusting(root);
    for name in ["localhost", "127.0.0.1", "nas.lan"] {
        is(
            &browser
                .connect(tls_address(&serving), name)
                .ask("OPTIONS", "/dav/", ""),
            200,
        );
    }
    assert!(
        browser
            .connect(tls_address(&serving), "other.lan")
            .ask("OPTIONS", "/dav/", "")
            .is_err()
    );
    let printed = place.run(&["trust"], "");
    let printed = String::from_utf8(printed.stdout).unwrap();
    let fingerprint = printed
        .trim()
        .rsplit_once("SHA-256 ")
        .expect(&printed)
        .1
        .to_owned();
    assert!(
        serving.greeting().contains(&fingerprint),
        "{}",
        serving.greeting()
    );
    let page = anybody.raw("GET", "/trust").send().is(200).text();
    assert!(
        page.contains(&fingerprint)
            && page.contains(&fingerprint.replace(':', "").to_ascii_lowercase()),
        "{page}"
    );
    let pem = anybody
        .raw("GET", "/trust/sarang.pem")
        .send()
        .is(200)
        .text();
    assert_eq!(
        String::from_utf8(place.run(&["trust", "--certificate"], "").stdout).unwrap(),
        pem
    );
    let profile = anybody
        .raw("GET", "/trust/sarang.mobileconfig")
        .send()
        .is(200);
    assert_eq!(
        profile.header("content-type"),
        Some("application/x-apple-aspen-config")
    );
    let line = pem.lines().nth(1).unwrap();
    assert!(
        profile.text().contains(line) && profile.text().contains("com.apple.security.root"),
        "{}",
        profile.text()
    );
    for page in [page, profile.text(), pem] {
        assert!(!page.contains("PRIVATE KEY"));
    }
}

#[test]
fn a_certificate_of_its_own_authority_is_made_anew_without_ending_a_connection() {
    let place = Place::new();
    set(&place, "local = true");
    place.add_ana();
    let serving = place.serve();
    let own = place.path().join("sarang-data/tls/local.pem");
    let root = || {
        CertificateDer::from_pem_file(place.path().join("sarang-data/tls/authority.pem")).unwrap()
    };
    // A new client each time: a session that is resumed shows no certificate.
    let seen = || {
        let mut tls = Browser::trusting(root()).connect(tls_address(&serving), "localhost");
        is(&tls.ask("OPTIONS", "/dav/", ""), 200);
        (tls.0.conn.peer_certificates().unwrap()[0].clone(), tls)
    };
    let (first, mut before) = seen();
    fs::remove_file(&own).unwrap();
    hangup(&serving);
    assert!(
        poll(Duration::from_secs(10), || seen().0 != first),
        "no other certificate is in use"
    );
    is(&before.ask("OPTIONS", "/dav/", ""), 200);
    assert!(own.exists());
}

#[test]
fn without_an_authority_there_is_nothing_to_trust() {
    let place = place();
    let serving = place.serve();
    let anybody = Client::new(serving.address, None);
    for path in ["/trust", "/trust/sarang.crt", "/trust/sarang.mobileconfig"] {
        anybody.raw("GET", path).send().is(404);
    }
    let output = place.run(&["trust"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("set tls.local = true and start it"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_taken_port_of_tls_is_named_once() {
    let (place, other) = (place(), place());
    let serving = place.serve();
    let address = tls_address(&serving).to_string();
    let mut command = other.command(SARANG);
    let output = command
        .arg("serve")
        .env("SARANG_TLS__LISTEN", &address)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output).matches(&address).count(),
        1,
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("another program uses this address"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_doctor_names_what_is_wrong_with_a_certificate() {
    let place = place();
    for (name, authority, seen) in [
        ("here", "authority.pem", "The certificate is believed"),
        ("here", "nest.pem", "The authority is not known here"),
        ("nest", "authority.pem", "Get a certificate for the name"),
        ("expired", "authority.pem", "Renew the certificate"),
    ] {
        put(&place, name);
        let serving = place.serve();
        let url = format!("https://localhost:{}/dav/", tls_address(&serving).port());
        let authority = fixture(authority);
        let output = place.run(
            &["doctor", &url, "--authority", authority.to_str().unwrap()],
            "",
        );
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(report.contains(seen), "{name}: {report}");
    }
}

#[test]
fn a_certificate_that_clients_refuse_is_served_and_said_in_the_log() {
    let place = Place::new();
    place.add_ana();
    for (name, url, sentence) in [
        (
            "expired",
            "",
            "the TLS certificate has expired: clients refuse it",
        ),
        (
            "here",
            "https://nest.example:8443",
            "no TLS certificate is for the host of server.public_url",
        ),
    ] {
        put(&place, name);
        let certificates = "certificates = [{ certificate = \"cert.pem\", key = \"key.pem\" }]";
        set(
            &place,
            &format!("{certificates}\n[server]\npublic_url = \"{url}\""),
        );
        let serving = place.serve_by(&format!("exec {SARANG} serve 2> log"));
        let asked = if url.is_empty() {
            "localhost"
        } else {
            "nest.example"
        };
        let refused = Browser::new()
            .connect(tls_address(&serving), asked)
            .ask("OPTIONS", "/dav/", "");
        assert!(refused.is_err(), "{name}");
        drop(serving);
        let log = fs::read_to_string(place.path().join("log")).unwrap();
        assert_eq!(log.matches(sentence).count(), 1, "{name}: {log}");
    }
}
