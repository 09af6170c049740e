//! The PROXY protocol over the real server: whose connection it is counts everywhere, and only where it must be said is it believed.

use crate::harness::{Client, Connection, PASSWORD, Reply, TestServer};
use crate::program::{Place, SARANG};
use sarang::config::Config;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v1(client: &str) -> Vec<u8> {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let own = if client.contains(':') {
        "::1"
    } else {
        "127.0.0.1"
    };
    format!("PROXY {family} {client} {own} 40000 443\r\n").into_bytes()
}

fn v2(client: Ipv4Addr) -> Vec<u8> {
    let rest = [
        &client.octets()[..],
        &[127, 0, 0, 1, 0x9c, 0x40, 1, 0xbb],
        b"\x02\0\x04host",
    ]
    .concat();
    [
        SIGNATURE,
        &[0x21, 0x11, 0, u8::try_from(rest.len()).unwrap()],
        &rest,
    ]
    .concat()
}

fn passed_on(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.server.proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()];
        change(config);
    })
}

/// A request with a password on a connection of its own, behind a header.
fn ask(server: &TestServer, header: &[u8], password: &str, forwarded: Option<&str>) -> Reply {
    let client = Client::new(server.address(), Some(("ana", password)));
    let mut request = client.request("PROPFIND", "/").header("Depth", "0");
    if let Some(forwarded) = forwarded {
        request = request.header("X-Forwarded-For", forwarded);
    }
    server
        .connect()
        .exchange([header, &request.bytes()].concat())
}

#[test]
fn guesses_count_for_the_client_of_the_header_and_for_nobody_else() {
    let server = passed_on(|_| {});
    for n in 0..5 {
        ask(&server, &v1("192.0.2.1"), &format!("wrong {n}"), None).is(401);
    }
    ask(&server, &v1("192.0.2.1"), PASSWORD, None).is(429);
    ask(&server, &v2([192, 0, 2, 1].into()), PASSWORD, None).is(429);
    // What the client itself says is not believed.
    ask(&server, &v1("192.0.2.1"), PASSWORD, Some("198.51.100.1")).is(429);
    ask(
        &server,
        &v2([192, 0, 2, 2].into()),
        PASSWORD,
        Some("192.0.2.1"),
    )
    .is(207);
    ask(&server, &v1("2001:db8::1"), PASSWORD, None).is(207);
}

#[test]
fn another_proxy_before_the_one_that_passes_on_is_believed_if_it_is_trusted() {
    let server = passed_on(|config| {
        config.server.trusted_proxies = vec![[127, 0, 0, 1].into(), [203, 0, 113, 1].into()];
    });
    for n in 0..5 {
        ask(
            &server,
            &v1("203.0.113.1"),
            &format!("wrong {n}"),
            Some("6.6.6.6, 192.0.2.1"),
        )
        .is(401);
    }
    ask(&server, &v1("203.0.113.1"), PASSWORD, Some("192.0.2.1")).is(429);
    ask(&server, &v1("192.0.2.1"), PASSWORD, None).is(429);
    ask(&server, &v1("203.0.113.1"), PASSWORD, Some("192.0.2.2")).is(207);
}

#[test]
fn the_audit_log_has_the_client_of_the_header() {
    let server = passed_on(|_| {});
    ask(&server, &v2([192, 0, 2, 77].into()), "wrong", None).is(401);
    drop(server.app());
    let audit = server.data().join("audit");
    let told = |text: &str| {
        std::fs::read_dir(&audit)
            .into_iter()
            .flatten()
            .any(|entry| {
                std::fs::read_to_string(entry.unwrap().path())
                    .is_ok_and(|lines| lines.contains(text))
            })
    };
    assert!(
        crate::harness::poll(Duration::from_secs(5), || told("192.0.2.77")),
        "no entry of that address"
    );
    assert!(!told("127.0.0.1"));
}

#[test]
fn places_are_counted_by_client_and_not_by_proxy() {
    let server = passed_on(|config| config.server.max_connections_per_address = 2);
    let request = server.stranger().raw("GET", "/healthz").bytes();
    let connect = |client: &str| {
        let mut connection = server.connect();
        let status = connection
            .exchange([v1(client), request.clone()].concat())
            .status;
        (connection, status)
    };
    let statuses: Vec<_> = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]
        .map(connect)
        .into();
    assert_eq!(
        statuses
            .iter()
            .map(|(_, status)| *status)
            .collect::<Vec<_>>(),
        [200, 200, 503, 200]
    );
}

#[test]
fn a_proxy_may_speak_for_itself() {
    let server = passed_on(|_| {});
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        [SIGNATURE, &[0x20, 0, 0, 0]].concat(),
        [SIGNATURE, &[0x21, 0, 0, 3, 1, 2, 3]].concat(),
        [SIGNATURE, &[0x21, 0x31, 0, 216], &[b'/'; 216]].concat(),
    ] {
        ask(&server, &header, PASSWORD, None).is(207);
    }
}

#[test]
fn a_connection_of_a_proxy_without_a_header_is_refused_with_a_sentence() {
    let server = passed_on(|config| config.server.header_timeout = 1);
    let plain = server.stranger().raw("GET", "/healthz").bytes();
    let twice = [v1("192.0.2.1"), v1("192.0.2.2"), plain.clone()].concat();
    for (bytes, sentence) in [
        (plain, "PROXY protocol"),
        (
            b"PROXY TCP4 192.0.2.1 127.0.0.1 40000\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
            "PROXY protocol",
        ),
        (
            [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
            "PROXY protocol",
        ),
        // It never ends: the time for the head is its.
        (b"PROXY TCP4 192.0".to_vec(), "PROXY protocol"),
        // Behind the header the connection is the client's.
        (twice, ""),
    ] {
        let reply = server.connect().exchange(bytes);
        assert!(reply.text().contains(sentence), "{reply}");
        reply.is(400);
    }
    // Whoever only looks whether somebody listens.
    let mut look = server.connect();
    look.finish();
    assert_eq!(look.read_some(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn headers_of_strangers_are_refused_and_told_of_once() {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve_by(&format!("exec {SARANG} serve 2> log"));
    let request = Client::new(serving.address, None)
        .raw("GET", "/healthz")
        .bytes();
    for header in [
        v1("192.0.2.1"),
        v2([192, 0, 2, 1].into()),
        b"PROXY UNKNOWN\r\n".to_vec(),
    ] {
        Connection::open(serving.address)
            .exchange([header, request.clone()].concat())
            .is(400);
    }
    serving.ana().propfind("/", "0").is(207);
    drop(serving);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert_eq!(log.matches("name it there").count(), 1, "{log}");
    assert!(!log.contains("192.0.2.1"), "{log}");
}

#[test]
fn tls_begins_behind_the_header() {
    let place = crate::tls::place();
    let more = "\n[server]\nproxy_protocol = [\"127.0.0.0/8\"]\n";
    let settings = place.path().join("config.toml");
    let text = std::fs::read_to_string(&settings).unwrap() + more;
    std::fs::write(settings, text).unwrap();
    let serving = place.serve_by(&format!("exec {SARANG} serve 2> log"));
    let address = crate::tls::tls_address(&serving);
    for header in [v1("192.0.2.1"), v2([192, 0, 2, 1].into())] {
        let mut stream = connect(address);
        stream.write_all(&header).unwrap();
        let mut tls = crate::tls::Browser::new().begin(stream, "localhost");
        crate::tls::is(&tls.ask("PUT", "/dav/a.txt", "over a proxy"), 201);
        crate::tls::is(&tls.ask("DELETE", "/dav/a.txt", ""), 204);
    }
    let mut bare = connect(address);
    bare.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00")
        .unwrap();
    let mut answer = String::new();
    bare.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("PROXY protocol"), "{answer}");
    drop(serving);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log.contains("192.0.2.1 ana"), "{log}");
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}
