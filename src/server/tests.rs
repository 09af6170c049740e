//! Raw bytes over loopback against a server whose answers are made here.

use super::*;
use crate::auth::RequestOrigin;
use crate::http::body::Body;
use crate::http::request_body::RequestBody;
use crate::http::{drain, framing, login};
use crate::model::Error;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn cores() -> Arc<WorkerPool> {
    Arc::new(WorkerPool::start().unwrap())
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..ServerConfig::default()
        };
        change(&mut config);
        let listeners = Listeners::bind(
            &config,
            &TlsConfig::default(),
            &Issuers::default(),
            cores(),
            ActivatedSockets::default(),
        )
        .await
        .unwrap();
        let address = listeners.addresses[0];
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(listeners.serve(answer, async { drop(stopped.await) }));
        Self {
            address,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes back until the server closes.
    async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap();
    }
}

/// `/refuse` is a 401 that reads the body first, `/wait` answers when the body has ended, all else echoes the body.
async fn answer(_peer: RequestOrigin, mut request: Request<RequestBody>) -> Response<Body> {
    if let Err(refusal) = framing::check(&mut request) {
        let mut response = crate::http::reply::sentence(refusal.status, refusal.sentence);
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let refuse = request.uri().path() == "/refuse";
    let (parts, mut body) = request.into_parts();
    if refuse {
        return login::refuse(&Error::Unauthenticated, &parts, &mut body).await;
    }
    if let Ok(body) = body.collect().await {
        return Response::new(Body::full(body.to_bytes()));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it took too long")
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset after the answer is an end as well.
    let _ = within(stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 1024];
        let length = within(stream.read(&mut buffer)).await.unwrap();
        assert_ne!(length, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

fn status(text: &str) -> u16 {
    text.split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

#[tokio::test]
async fn requests_that_two_readers_could_read_differently_are_refused_and_closed() {
    let server = Running::start(|_| {}).await;
    for (name, head) in [
        ("no Host", "GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (
            "foreign target",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        (
            "CL then TE",
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "TE then CL",
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        ("bare LF", "GET / HTTP/1.1\nHost: a\n\n"),
        (
            "two lengths",
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        ),
        (
            "signed length",
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        ),
        (
            "folded line",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        ),
        ("space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ] {
        assert_eq!(status(&server.exchange(head).await), 400, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn only_one_chunked_is_a_known_coding() {
    let server = Running::start(|_| {}).await;
    let body = "4\r\necho\r\n0\r\n\r\n";
    for lines in [
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTRANSFER-ENCODING: chunked",
        "Transfer-Encoding: gzip\r\nContent-Length: 4",
        "Content-Length: 4\r\nTransfer-Encoding: gzip, chunked",
    ] {
        for version in ["1.1", "1.0"] {
            let request = format!(
                "PUT / HTTP/{version}\r\nHost: a\r\n{lines}\r\n\r\n{body}GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            );
            let text = server.exchange(&request).await;
            // With HTTP/1.0 even one chunked is faulty framing (RFC 9112 section 6.1).
            let faulty = version == "1.0" && lines.contains(": chunked\r\n");
            assert_eq!(
                status(&text),
                if faulty { 400 } else { 501 },
                "HTTP/{version} {lines:?}"
            );
            assert_eq!(
                text.matches("HTTP/1.").count(),
                1,
                "the connection ends: {text}"
            );
        }
    }
    let old = "PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status(&server.exchange(old).await), 400);
    let long = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {}chunked\r\n\r\n",
        " ".repeat(500)
    );
    assert_eq!(status(&server.exchange(&long).await), 501);
    server.stop().await;
}

#[tokio::test]
async fn a_coding_is_known_however_its_head_is_cut_and_spelled() {
    let server = Running::start(|_| {}).await;
    for (line, expected) in [
        ("Transfer-Encoding: chunked", 200),
        ("transfer-encoding:CHUNKED", 200),
        ("TRANSFER-ENCODING:\t chunKed \t", 200),
        ("TransFer-Encoding: gzip", 501),
        ("transfer-encoding: chunked, chunked", 501),
    ] {
        let request = format!(
            "PUT / HTTP/1.1\r\nHost: a\r\n{line}\r\nConnection: close\r\n\r\n4\r\necho\r\n0\r\n\r\n"
        );
        for size in [1, 3, 40] {
            let mut stream = server.connect().await;
            stream.set_nodelay(true).unwrap();
            for piece in request.as_bytes().chunks(size) {
                // The server may have answered and gone already.
                let _ = stream.write_all(piece).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(
                status(&read_all(&mut stream).await),
                expected,
                "{line:?} by {size}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn ordinary_requests_keep_the_connection() {
    let server = Running::start(|_| {}).await;
    let mut stream = server.connect().await;
    for request in [
        "PUT http://A:1/ HTTP/1.1\r\nHost: a:1\r\nContent-Length: 4\r\n\r\necho",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\necho\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, Keep-Alive\r\nContent-Length: 4\r\n\r\necho",
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = read_until(&mut stream, "echo").await;
        assert_eq!(status(&text), 200, "{request}");
    }
    assert_eq!(
        status(&server.exchange("GET / HTTP/1.0\r\n\r\n").await),
        200
    );
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_is_served_again_after_it_lay_idle() {
    let server = Running::start(|_| {}).await;
    let mut stream = server.connect().await;
    let put = |body: &str| {
        let length = body.len();
        format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let long = "x".repeat(100_000);
    for round in 0..3 {
        // In pieces, at once, and more than what is read ahead.
        let head = put("one");
        for piece in head.as_bytes().chunks(7) {
            stream.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        read_until(&mut stream, "one").await;
        tokio::time::sleep(http1::RELEASE_AFTER * 3 / 2).await;
        let pipelined = format!("\r\n{}{}{}", put("two"), put(&long), put("end"));
        stream.write_all(pipelined.as_bytes()).await.unwrap();
        let text = read_until(&mut stream, "end").await;
        assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "round {round}");
        assert!(
            text.contains("two") && text.contains(&long),
            "round {round}"
        );
        tokio::time::sleep(http1::RELEASE_AFTER * 3 / 2).await;
    }
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_coding_is_unknown_also_after_the_connection_lay_idle() {
    let server = Running::start(|_| {}).await;
    let mut stream = server.connect().await;
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(good.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    tokio::time::sleep(http1::RELEASE_AFTER * 3 / 2).await;
    for piece in [
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Enc",
        "oding: gzip\r\n\r\n",
    ] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&read_all(&mut stream).await), 501);
    server.stop().await;
}

#[tokio::test]
async fn connections_that_lie_idle_end_with_the_server_and_their_time() {
    let server = Running::start(|config| {
        (config.keep_alive, config.header_timeout) = (2, 1);
    })
    .await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut old = server.connect().await;
    old.write_all(request).await.unwrap();
    read_until(&mut old, "\r\n\r\n").await;
    let began = Instant::now();
    assert_eq!(read_all(&mut old).await, "");
    let lay_idle = began.elapsed();
    assert!(
        (Duration::from_millis(1900)..Duration::from_secs(4)).contains(&lay_idle),
        "{lay_idle:?}"
    );
    let mut slow = server.connect().await;
    let mut idle = server.connect().await;
    for stream in [&mut slow, &mut idle] {
        stream.write_all(request).await.unwrap();
        read_until(stream, "\r\n\r\n").await;
    }
    tokio::time::sleep(http1::RELEASE_AFTER * 3 / 2).await;
    slow.write_all(&request[..10]).await.unwrap();
    let began = Instant::now();
    assert_eq!(read_all(&mut slow).await, "", "a head has its own time");
    assert!(began.elapsed() < Duration::from_millis(1900));
    idle.write_all(request).await.unwrap();
    read_until(&mut idle, "\r\n\r\n").await;
    tokio::time::sleep(http1::RELEASE_AFTER * 3 / 2).await;
    // An empty line begins no request (RFC 9112 section 2.2).
    idle.write_all(b"\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(read_all(&mut idle).await, "");
}

#[tokio::test]
async fn heads_have_a_limit() {
    let server = Running::start(|_| {}).await;
    let head = |bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    assert_eq!(status(&server.exchange(&head(30 << 10)).await), 200);
    assert_eq!(status(&server.exchange(&head(33 << 10)).await), 431);
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    );
    assert_eq!(status(&server.exchange(&many).await), 431);
    server.stop().await;
}

#[tokio::test]
async fn slow_heads_bodies_and_idle_connections_are_closed() {
    let server = Running::start(|config| {
        (
            config.header_timeout,
            config.body_timeout,
            config.keep_alive,
        ) = (1, 1, 2);
    })
    .await;
    let began = Instant::now();
    let silent = server.exchange("");
    let head = server.exchange("GET / HTTP/1.1\r\nHos");
    let body = server.exchange("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
    let (silent, head, _body) = tokio::join!(silent, head, body);
    assert_eq!((silent.as_str(), head.as_str()), ("", ""));
    assert!(
        (900..1900).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );

    let began = Instant::now();
    let idle = server.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&idle), 200);
    assert!(
        (1900..4000).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let server = Running::start(|config| config.body_timeout = 1).await;
    let mut stream = server.connect().await;
    let body = vec![b'x'; 24 << 20];
    stream
        .write_all(
            format!(
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        )
        .await
        .unwrap();
    stream.write_all(&body).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let text = read_all(&mut stream).await;
    assert_eq!(status(&text), 200);
    assert!(text.len() < body.len(), "the whole answer came");
    server.stop().await;
}

#[tokio::test]
async fn connections_from_one_address_have_a_limit() {
    let server = Running::start(|config| config.max_connections_per_address = 2).await;
    let mut one = server.connect().await;
    let two = server.connect().await;
    one.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1")
        .await
        .unwrap();
    read_until(&mut one, "\r\n\r\n1").await;
    let mut three = server.connect().await;
    let refusal = read_all(&mut three).await;
    assert_eq!(status(&refusal), 503);
    assert!(refusal.contains("Retry-After: "));
    drop(two);
    // The place is free when the server has seen the end of the connection.
    let again = async {
        loop {
            let mut stream = server.connect().await;
            let sent = stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await;
            if sent.is_ok() && status(&read_all(&mut stream).await) == 200 {
                return;
            }
        }
    };
    within(again).await;
    drop(one);
    server.stop().await;
}

#[tokio::test]
async fn a_request_in_flight_ends_before_the_server_does() {
    let server = Running::start(|_| {}).await;
    let mut busy = server.connect().await;
    let mut idle = server.connect().await;
    for stream in [&mut busy, &mut idle] {
        stream
            .write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1")
            .await
            .unwrap();
        read_until(stream, "\r\n\r\n1").await;
    }
    busy.write_all(
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    )
    .await
    .unwrap();
    assert_eq!(status(&read_until(&mut busy, "\r\n\r\n").await), 100);
    server.stop.send(()).unwrap();
    assert_eq!(
        read_all(&mut idle).await,
        "",
        "an idle connection is closed at once"
    );
    assert!(!server.task.is_finished());
    busy.write_all(b"last").await.unwrap();
    let text = read_all(&mut busy).await;
    assert!(status(&text) == 200 && text.ends_with("last"), "{text}");
    within(server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_stuck_request_does_not_hold_the_server_beyond_its_grace() {
    let server = Running::start(|config| config.shutdown_grace = 1).await;
    let mut stuck = server.connect().await;
    stuck
        .write_all(
            b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        )
        .await
        .unwrap();
    read_until(&mut stuck, "\r\n\r\n").await;
    let began = Instant::now();
    server.stop().await;
    assert!(
        (900..5000).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_refused_upload_sees_its_answer_and_goes_on_on_the_same_connection() {
    let server = Running::start(|_| {}).await;
    let mut stream = server.connect().await;
    let body = vec![b'x'; 8 << 20];
    stream
        .write_all(
            format!(
                "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        )
        .await
        .unwrap();
    stream.write_all(&body).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&text), 401);
    assert!(
        text.to_ascii_lowercase()
            .contains("www-authenticate: basic realm=\"sarang\"")
    );
    stream
        .write_all(b"PUT /again HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\necho")
        .await
        .unwrap();
    assert!(
        read_until(&mut stream, "echo")
            .await
            .contains("HTTP/1.1 200")
    );
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_refused_upload_that_is_too_long_or_waits_is_not_read() {
    let server = Running::start(|_| {}).await;
    let waits =
        "PUT /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(waits.as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&text), 401, "no 100 first");
    assert!(text.to_ascii_lowercase().contains("connection: close"));

    // More than is read on, sent whole all the same: the answer arrives instead of a reset.
    let length = drain::DrainLimit::CHALLENGE.bytes + 1;
    let (mut reading, mut writing) = server.connect().await.into_split();
    let head = format!("PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    writing.write_all(head.as_bytes()).await.unwrap();
    writing.write_all(&vec![b'x'; 4 << 20]).await.unwrap();
    let mut text = Vec::new();
    within(reading.read_to_end(&mut text)).await.unwrap();
    assert_eq!(status(&String::from_utf8_lossy(&text)), 401);
    drop((stream, writing));
    server.stop().await;
}

#[tokio::test]
async fn an_error_for_head_has_no_body() {
    let server = Running::start(|_| {}).await;
    let mut stream = server.connect().await;
    stream
        .write_all(
            b"HEAD /refuse HTTP/1.1\r\nHost: a\r\n\r\nPUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\necho",
        )
        .await
        .unwrap();
    let text = read_until(&mut stream, "echo").await;
    let (first, rest) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(status(first), 401);
    assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let server = Running::start(|_| {}).await;
    let config = ServerConfig {
        listen: vec![server.address],
        ..ServerConfig::default()
    };
    let error = Listeners::bind(
        &config,
        &TlsConfig::default(),
        &Issuers::default(),
        cores(),
        ActivatedSockets::default(),
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(
        error.contains(&server.address.to_string()) && error.contains("another program"),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_does_nothing_holds_little() {
    fn answer_size<F: Fn(RequestOrigin, Request<RequestBody>) -> A, A>(_: &F) -> usize {
        size_of::<A>()
    }
    let app: Option<Arc<App>> = None;
    let answers = move |peer: RequestOrigin, request: Request<RequestBody>| {
        let app = app.clone();
        async move { crate::http::handle(&app.unwrap(), peer, request).await }
    };
    let config = ServerConfig::default();
    let admission = ConnectionLimiter::new(
        &config,
        Arc::new(ConnectionLimits::new(&config)),
        Arc::default(),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let stream = std::net::TcpStream::connect(peer).unwrap();
    let ticket = admission.acquire(peer.ip()).unwrap();
    let (_stop, stopping) = watch::channel(());
    let answer = answer_size(&answers);
    let proxies = Arc::new(TrustedProxies::new(&[]));
    let metrics = Arc::default();
    let acceptor = Arc::new(ConnectionAcceptor {
        http1: http1::builder(keep_alive(&config)),
        answers,
        config,
        tls: None,
        proxies,
        stopping,
        metrics,
    });
    let connection = size_of_val(&acceptor.serve(stream, peer, ticket));
    assert!(
        answer <= 6 << 10 && connection <= 3 << 10,
        "{connection} bytes, {answer} for answers"
    );
}
