//! Requests over HTTP/2 by a client of it: what is answered is what HTTP/1.1 answers.

use super::frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, Raw, frame, request};
use crate::program::{PASSWORD, Place, SARANG, Serving};
use crate::tls::{Browser, place, set, tls_address};
use base64::Engine as _;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// A connection that many requests go over.
struct Http2 {
    runtime: tokio::runtime::Runtime,
    send: SendRequest<Bytes>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

impl Http2 {
    fn connect(serving: &Serving) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let connector = TlsConnector::from(Browser::asking_for(&[b"h2"]).config());
        let address = tls_address(serving);
        let send = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let tls = connector
                .connect(ServerName::try_from("localhost").unwrap(), stream)
                .await
                .unwrap();
            let (send, connection) = h2::client::Builder::new()
                .initial_window_size(1 << 20)
                .initial_connection_window_size(1 << 20)
                .handshake::<_, Bytes>(tls)
                .await
                .unwrap();
            tokio::spawn(connection);
            send
        });
        Self { runtime, send }
    }

    fn asked(method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .header("authorization", basic("ana", PASSWORD))
    }

    fn ask(&self, request: http::request::Builder, body: &[u8]) -> Answer {
        self.runtime
            .block_on(exchange(self.send.clone(), request, body.to_vec()))
    }

    /// Asks all of them at once.
    fn ask_all(&self, requests: Vec<http::request::Builder>) -> Vec<Answer> {
        let all = requests.into_iter().map(|request| {
            self.runtime
                .spawn(exchange(self.send.clone(), request, Vec::new()))
        });
        let all: Vec<_> = all.collect();
        all.into_iter()
            .map(|one| self.runtime.block_on(one).unwrap())
            .collect()
    }
}

async fn exchange(
    send: SendRequest<Bytes>,
    request: http::request::Builder,
    body: Vec<u8>,
) -> Answer {
    let mut send = send.ready().await.unwrap();
    let (response, mut sending) = send
        .send_request(request.body(()).unwrap(), body.is_empty())
        .unwrap();
    let mut body = Bytes::from(body);
    while !body.is_empty() {
        sending.reserve_capacity(body.len());
        // The server may have answered before it has read all.
        let Some(Ok(room)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else {
            break;
        };
        let piece = body.split_to(room.min(body.len()));
        if sending.send_data(piece, body.is_empty()).is_err() {
            break;
        }
    }
    let response = tokio::time::timeout(Duration::from_secs(30), response)
        .await
        .expect("an answer")
        .unwrap();
    let (head, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.unwrap();
        incoming
            .flow_control()
            .release_capacity(data.len())
            .unwrap();
        body.extend_from_slice(&data);
    }
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    }
}

fn protocol(serving: &Serving, asked: &[&[u8]]) -> Option<Vec<u8>> {
    let mut tls = Browser::asking_for(asked).connect(tls_address(serving), "localhost");
    let stream = tls.stream();
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream.conn.alpn_protocol().map(<[u8]>::to_vec)
}

#[test]
fn it_is_spoken_with_those_who_ask_for_it_unless_the_settings_say_otherwise() {
    let place = place();
    let serving = place.serve();
    assert_eq!(protocol(&serving, &[b"http/1.1", b"h2"]).unwrap(), b"h2");
    assert_eq!(protocol(&serving, &[b"http/1.1"]).unwrap(), b"http/1.1");
    assert_eq!(protocol(&serving, &[]), None);
    drop(serving);
    set(
        &place,
        "http2 = false\ncertificates = [{ certificate = \"cert.pem\", key = \"key.pem\" }]",
    );
    assert_eq!(
        protocol(&place.serve(), &[b"h2", b"http/1.1"]).unwrap(),
        b"http/1.1"
    );
}

#[test]
fn files_are_stored_listed_and_read_by_many_streams_at_once() {
    let place = place();
    let serving = place.serve();
    let client = Http2::connect(&serving);
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    assert_eq!(
        client.ask(Http2::asked("PUT", "/dav/large"), &large).status,
        201
    );
    serving.ana().holds("/large", &large);
    let answers = client.ask_all((0..30).map(|_| Http2::asked("GET", "/dav/large")).collect());
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body == large)
    );
    let head = client.ask(Http2::asked("HEAD", "/dav/large"), b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "5000000");
    assert!(
        !head.headers.contains_key("connection") && !head.headers.contains_key("transfer-encoding")
    );
    let missing = client.ask(Http2::asked("HEAD", "/dav/missing"), b"");
    assert_eq!((missing.status, missing.body.len()), (404, 0));
    let part = client.ask(
        Http2::asked("GET", "/dav/large").header("range", "bytes=10-19"),
        b"",
    );
    assert_eq!((part.status, part.body.as_slice()), (206, &large[10..20]));
    let etag = head.headers["etag"].clone();
    assert_eq!(
        client
            .ask(
                Http2::asked("GET", "/dav/large").header("if-none-match", etag),
                b""
            )
            .status,
        304
    );
    let moved =
        Http2::asked("MOVE", "/dav/large").header("destination", "https://localhost/dav/moved");
    assert_eq!(client.ask(moved, b"").status, 201);
    let listed = client.ask(Http2::asked("PROPFIND", "/dav/").header("depth", "1"), b"");
    assert_eq!(listed.status, 207);
    assert!(String::from_utf8_lossy(&listed.body).contains("/dav/moved"));
    assert_eq!(
        client.ask(Http2::asked("DELETE", "/dav/moved"), b"").status,
        204
    );
    // What is refused before it is read leaves the connection as it is.
    let nobody = Request::builder()
        .method("PUT")
        .uri("https://localhost/dav/x");
    assert_eq!(client.ask(nobody, &vec![0; 3 << 20]).status, 401);
    assert_eq!(
        client.ask(Http2::asked("OPTIONS", "/dav/"), b"").status,
        200
    );
}

#[test]
fn a_cookie_in_several_headers_signs_in() {
    let place = place();
    let serving = place.serve();
    let client = Http2::connect(&serving);
    let login = Request::builder()
        .method("POST")
        .uri("https://localhost/api/v1/login")
        .header("origin", "https://localhost")
        .header("content-type", "application/json");
    let body = format!("{{\"name\":\"ana\",\"password\":\"{PASSWORD}\"}}");
    let answer = client.ask(login, body.as_bytes());
    let cookie = answer.headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert!(cookie.starts_with("__Host-sid="), "{cookie}");
    let own = |cookies: &[&str]| {
        let request = Request::builder()
            .uri("https://localhost/api/v1/files")
            .header("sec-fetch-site", "same-origin");
        client
            .ask(
                cookies
                    .iter()
                    .fold(request, |request, cookie| request.header("cookie", *cookie)),
                b"",
            )
            .status
    };
    assert_eq!(own(&["a=b", &cookie, "c=d"]), 200);
    assert_eq!(own(&["a=b", "c=d"]), 401);
    assert_eq!(own(&[&cookie, &cookie]), 401, "two of them are none");
}

#[test]
fn requests_at_once_count_as_connections_of_their_client() {
    let place = place();
    let serving = place.serve_by(&format!(
        "SARANG_SERVER__MAX_CONNECTIONS_PER_ADDRESS=8 exec {SARANG} serve"
    ));
    let mut raw = Raw::begin(&serving, &[]);
    let ask = |raw: &mut Raw, n: u32| {
        let list = request("PUT", &format!("/dav/n{n}"), &[(b"content-length", b"4")]);
        raw.send(&frame(HEADERS, END_HEADERS, 2 * n + 1, list))
            .unwrap();
    };
    (0..8).for_each(|n| ask(&mut raw, n));
    assert!(raw.lives());
    ask(&mut raw, 8);
    assert_eq!(raw.outcome(17), Outcome::Status(503));
    for n in 0..8 {
        raw.send(&frame(DATA, END_STREAM, 2 * n + 1, b"done"))
            .unwrap();
    }
    let mut answered = 0;
    while answered < 8 {
        answered += usize::from(raw.receive().expect("it goes on").kind == HEADERS);
    }
    let client = Http2::connect(&serving);
    assert_eq!(
        client.ask(Http2::asked("GET", "/dav/n7"), b"").body,
        b"done"
    );
}

#[test]
fn guesses_beside_who_has_signed_in_are_counted_as_guesses() {
    let place = place();
    let serving = place.serve();
    let client = Http2::connect(&serving);
    assert_eq!(
        client.ask(Http2::asked("OPTIONS", "/dav/"), b"").status,
        200
    );
    let guess = |n: u32| {
        Request::builder()
            .uri("https://localhost/dav/")
            .header("authorization", basic("ana", &format!("guess {n}")))
    };
    // Some of those who share the connection guess while others go on with what they have shown.
    let mixed = (0..20)
        .flat_map(|n| [guess(n), Http2::asked("OPTIONS", "/dav/")])
        .collect();
    let answers = client.ask_all(mixed);
    let judged = answers
        .iter()
        .step_by(2)
        .filter(|answer| answer.status == 401)
        .count();
    let throttled = answers
        .iter()
        .step_by(2)
        .filter(|answer| answer.status == 429)
        .count();
    assert!(
        judged <= 5 && judged + throttled == 20,
        "{judged} guesses were judged, {throttled} refused"
    );
    assert!(
        answers
            .iter()
            .skip(1)
            .step_by(2)
            .all(|answer| matches!(answer.status, 200 | 429))
    );
    // As with HTTP/1.1: whether the right password is among further ones is not told over this connection, nor another.
    for client in [client, Http2::connect(&serving)] {
        assert_eq!(client.ask(guess(100), b"").status, 429);
        assert_eq!(
            client.ask(Http2::asked("OPTIONS", "/dav/"), b"").status,
            429
        );
    }
}

#[test]
fn what_is_under_way_ends_before_the_server_does() {
    let place = place();
    let mut serving = place.serve();
    let mut raw = Raw::begin(&serving, &[]);
    raw.send(&frame(
        HEADERS,
        END_HEADERS,
        1,
        request("PUT", "/dav/late", &[(b"content-length", b"8")]),
    ))
    .unwrap();
    raw.send(&frame(DATA, 0, 1, b"half")).unwrap();
    assert!(raw.lives());
    let mut idle = Raw::begin(&serving, &[]);
    assert!(idle.lives());
    serving.terminate();
    assert!(raw.find(GOAWAY).is_some(), "it is told");
    assert!(
        idle.ends_within(Duration::from_secs(5)),
        "nothing is under way there"
    );
    std::thread::sleep(Duration::from_secs(2));
    raw.send(&frame(DATA, END_STREAM, 1, b"half")).unwrap();
    assert_eq!(raw.outcome(1), Outcome::Status(201));
    assert!(raw.ends_within(Duration::from_secs(5)));
    assert_eq!(serving.end(), Some(0));
    stored(&place, "late", "halfhalf");
}

fn stored(place: &Place, name: &str, content: &str) {
    let path = place.path().join("sarang-data/homes/ana").join(name);
    assert_eq!(std::fs::read_to_string(path).unwrap(), content);
}
