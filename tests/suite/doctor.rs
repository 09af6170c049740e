//! `sarang doctor` behind proxies that break something: each is named.

use crate::harness::{PASSWORD, TestServer};
use crate::program::{Place, SARANG};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::Arc;

/// A request as it came: its head's lines, and its body as it was framed.
struct Message {
    lines: Vec<String>,
    body: Vec<u8>,
}

impl Message {
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut message = Self {
            lines,
            body: Vec::new(),
        };
        if message.header("transfer-encoding").is_some() {
            while !message.body.ends_with(b"0\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).ok()?;
                message.body.push(byte[0]);
            }
        } else if message.header("expect").is_none() {
            let len = message
                .header("content-length")
                .map_or(0, |len| len.parse().unwrap());
            message.body.resize(len, 0);
            stream.read_exact(&mut message.body).ok()?;
        }
        Some(message)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let is = |line: &&String| {
            line.split_once(':')
                .is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        self.lines
            .iter()
            .find(is)
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim())
    }

    fn without(&mut self, name: &str) {
        self.lines.retain(|line| {
            !line
                .split_once(':')
                .is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        });
    }

    fn with(&mut self, name: &str, value: &str) {
        self.without(name);
        self.lines.push(format!("{name}: {value}"));
    }

    fn bytes(&self) -> Vec<u8> {
        [
            format!("{}\r\n\r\n", self.lines.join("\r\n")).as_bytes(),
            &self.body,
        ]
        .concat()
    }
}

/// What a proxy does to a request; with an answer it is not passed on.
type Break = dyn Fn(&mut Message) -> Option<String> + Send + Sync;
/// What it does to an answer.
type Bend = dyn Fn(&mut Message) + Send + Sync;

/// A proxy of one request a connection.
fn proxy(to: SocketAddr, request: Arc<Break>, answer: Arc<Bend>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(200).map_while(Result::ok) {
            let (request, answer) = (Arc::clone(&request), Arc::clone(&answer));
            std::thread::spawn(move || pass(stream, to, &*request, &*answer));
        }
    });
    address
}

fn pass(client: TcpStream, to: SocketAddr, request: &Break, answer: &Bend) -> Option<()> {
    let mut writer = client.try_clone().ok()?;
    let mut message = Message::read(&mut BufReader::new(client))?;
    if let Some(own) = request(&mut message) {
        return writer.write_all(own.as_bytes()).ok();
    }
    message.with("Connection", "close");
    let mut server = TcpStream::connect(to).ok()?;
    server.write_all(&message.bytes()).ok()?;
    let mut reader = BufReader::new(server);
    let mut answered = Message {
        lines: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim_end().is_empty() {
            break;
        }
        answered.lines.push(line.trim_end().to_owned());
    }
    if message.header("expect").is_none() {
        reader.read_to_end(&mut answered.body).ok()?;
    }
    answer(&mut answered);
    writer.write_all(&answered.bytes()).ok()
}

fn doctor(url: &str, more: &[&str]) -> (Option<i32>, Value) {
    let output = ask(&[&["doctor", url, "--json"], more].concat());
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (output.status.code(), report)
}

fn ask(arguments: &[&str]) -> Output {
    let place = Place::new();
    let piped = Stdio::piped;
    let mut command = place.command(SARANG);
    let mut child = command
        .args(arguments)
        .stdin(piped())
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(PASSWORD.as_bytes());
    child.wait_with_output().unwrap()
}

const SIGN_IN: &[&str] = &["--user", "ana", "--password-stdin"];

/// The checks that did not end well.
fn wrong(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let bad = findings.iter().filter(|finding| finding["verdict"] != "ok");
    bad.map(|finding| finding["check"].as_str().unwrap().to_owned())
        .collect()
}

fn refused(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn is(message: &Message, method: &str) -> bool {
    message.lines[0].starts_with(&format!("{method} "))
}

#[test]
fn a_drive_that_is_well_has_nothing_wrong_and_keeps_nothing() {
    let server = TestServer::start();
    let url = format!("http://{}/dav/", server.address());
    let (code, report) = doctor(&url, SIGN_IN);
    assert_eq!((code, wrong(&report)), (Some(0), vec![]), "{report:#}");
    assert!(
        report["findings"].as_array().unwrap().len() > 20,
        "{report:#}"
    );
    let passed = proxy(server.address(), Arc::new(|_| None), Arc::new(|_| {}));
    let (code, report) = doctor(&format!("http://{passed}"), SIGN_IN);
    assert_eq!(
        (code, wrong(&report)),
        (Some(0), vec![]),
        "the proxy of the tests breaks nothing by itself: {report:#}"
    );
    assert!(keeps_nothing(&server), "it cleans up");
}

/// What a proxy breaks, and the check that must tell.
enum Fault {
    Answers(&'static str),
    Refuses(&'static str, &'static str),
    DropsHeader(&'static str),
    DropsAnswered(&'static str),
    Changes(fn(&mut Message)),
    Bends(fn(&mut Message)),
}

const FAULTS: &[(&str, Fault)] = &[
    ("proxy", Fault::Answers("502 Bad Gateway")),
    (
        "redirect",
        Fault::Answers("301 Moved\r\nLocation: https://elsewhere.example/"),
    ),
    ("drive-levels", Fault::DropsAnswered("dav")),
    ("drive", Fault::Refuses("OPTIONS", "405 x")),
    ("sign-in", Fault::Refuses("PROPFIND", "405 x")),
    ("sign-in", Fault::DropsAnswered("www-authenticate")),
    ("password", Fault::DropsHeader("authorization")),
    ("make-folder", Fault::Refuses("MKCOL", "501 x")),
    ("depth", Fault::DropsHeader("depth")),
    ("conditions", Fault::DropsHeader("if-none-match")),
    ("overwrite", Fault::DropsHeader("overwrite")),
    (
        "copy",
        Fault::Changes(|message| message.with("Host", "behind.example")),
    ),
    ("move", Fault::Refuses("MOVE", "403 x")),
    ("lock", Fault::Refuses("LOCK", "405 x")),
    ("lock-token", Fault::DropsHeader("if")),
    ("unlock", Fault::Refuses("UNLOCK", "405 x")),
    ("properties", Fault::Refuses("PROPPATCH", "405 x")),
    ("ranges", Fault::DropsHeader("range")),
    ("chunks", Fault::Changes(empty_chunks)),
    ("odd-names", Fault::Changes(decode_path)),
    ("compression", Fault::Bends(pretend_to_compress)),
    ("etag", Fault::DropsAnswered("etag")),
    ("etag", Fault::Bends(weaken)),
    (
        "clock",
        Fault::Bends(|message| message.with("Date", "Sun, 06 Nov 1994 08:49:37 GMT")),
    ),
    ("paths", Fault::Bends(rename_paths)),
];

fn empty_chunks(message: &mut Message) {
    if message.header("transfer-encoding").is_some() {
        message.without("transfer-encoding");
        message.with("Content-Length", "0");
        message.body.clear();
    }
}

fn decode_path(message: &mut Message) {
    message.lines[0] = message.lines[0].replace("%25", "%").replace("%23", "#");
}

/// As nginx does: pages of some length, whose tags become weak.
fn pretend_to_compress(message: &mut Message) {
    if message
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"))
        && message.body.len() >= 2 << 10
    {
        weaken(message);
        message.with("Content-Encoding", "gzip");
    }
}

fn weaken(message: &mut Message) {
    if let Some(tag) = message.header("etag").map(|tag| format!("W/{tag}")) {
        message.with("ETag", &tag);
    }
}

fn rename_paths(message: &mut Message) {
    message.body = String::from_utf8_lossy(&message.body)
        .replace("/dav/", "/web/")
        .into_bytes();
    let len = message.body.len().to_string();
    message.with("Content-Length", &len);
}

impl Fault {
    fn on_request(&self, message: &mut Message) -> Option<String> {
        match self {
            Self::Answers(status) => return Some(refused(status)),
            Self::Refuses(method, status) if is(message, method) => return Some(refused(status)),
            Self::DropsHeader(name) => message.without(name),
            Self::Changes(change) => change(message),
            _ => {}
        }
        None
    }

    fn on_answer(&self, message: &mut Message) {
        match self {
            Self::DropsAnswered(name) => message.without(name),
            Self::Bends(bend) => bend(message),
            _ => {}
        }
    }
}

#[track_caller]
fn is_named(report: &Value, check: &str) {
    assert!(
        wrong(report).contains(&check.to_owned()),
        "{check} is not named: {report:#}"
    );
    let finding = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap();
    assert!(
        finding["fix"].as_str().is_some_and(|fix| fix.len() > 20),
        "{check} has no fix: {finding}"
    );
}

#[test]
fn what_a_proxy_breaks_is_named() {
    let server = TestServer::start();
    for (check, fault) in FAULTS {
        let address = proxy(
            server.address(),
            Arc::new(|message| fault.on_request(message)),
            Arc::new(|answer| fault.on_answer(answer)),
        );
        let (code, report) = doctor(&format!("http://{address}/dav/"), SIGN_IN);
        is_named(&report, check);
        assert_eq!(code, Some(if *check == "clock" { 3 } else { 1 }), "{check}");
        assert!(keeps_nothing(&server), "{check}: {report:#}");
    }
}

fn keeps_nothing(server: &TestServer) -> bool {
    !server
        .ana()
        .propfind("/", "1")
        .is(207)
        .text()
        .contains("sarang-doctor")
}

/// The report behind a proxy that does this to requests, and the methods that came there.
fn behind(
    server: &TestServer,
    change: impl Fn(&mut Message) -> Option<String> + Send + Sync + 'static,
) -> (Option<i32>, Value, Vec<String>) {
    let (tell, told) = std::sync::mpsc::channel();
    let request = move |message: &mut Message| {
        tell.send(message.lines[0].clone()).unwrap();
        change(message)
    };
    let address = proxy(server.address(), Arc::new(request), Arc::new(|_| {}));
    let (code, report) = doctor(&format!("http://{address}/dav/"), SIGN_IN);
    (code, report, told.try_iter().collect())
}

/// Sends a request as it came, and waits for its answer.
fn send(to: SocketAddr, message: &Message) {
    let mut server = TcpStream::connect(to).unwrap();
    server.write_all(&message.bytes()).unwrap();
    assert!(server.read(&mut [0; 12]).unwrap() > 0);
}

#[test]
fn a_folder_that_is_there_already_is_never_touched() {
    let server = TestServer::start();
    let address = server.address();
    let first = move |message: &mut Message| {
        if is(message, "MKCOL") {
            send(address, message);
        }
        None
    };
    let (code, report, came) = behind(&server, first);
    is_named(&report, "make-folder");
    assert_eq!(code, Some(1));
    assert!(
        !keeps_nothing(&server) && !came.iter().any(|line| line.starts_with("DELETE")),
        "{came:?}"
    );
    let made = came.iter().find(|line| line.starts_with("MKCOL")).unwrap();
    let name = made
        .split(['-', ' '])
        .nth(3)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    assert!(
        name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()),
        "nobody else's name: {made}"
    );
}

#[test]
fn what_was_not_made_is_not_deleted() {
    let server = TestServer::start();
    for status in ["403 x", "429 x"] {
        let (_, report, came) = behind(&server, move |message| {
            is(message, "MKCOL").then(|| refused(status))
        });
        is_named(&report, "make-folder");
        assert!(
            !came.iter().any(|line| line.starts_with("DELETE")),
            "{status}: {came:?}"
        );
    }
}

#[test]
fn a_folder_whose_answer_was_lost_is_deleted() {
    let server = TestServer::start();
    let address = server.address();
    let lost = move |message: &mut Message| {
        is(message, "MKCOL").then(|| {
            send(address, message);
            String::new()
        })
    };
    let (_, report, _) = behind(&server, lost);
    is_named(&report, "connection");
    assert!(keeps_nothing(&server), "{report:#}");
}

#[test]
fn what_may_be_left_is_named() {
    let server = TestServer::start();
    let (code, report, _) = behind(&server, |message| is(message, "DELETE").then(String::new));
    is_named(&report, "delete");
    assert!(
        code == Some(1) && report.to_string().contains("may be left"),
        "{report:#}"
    );
}

/// The address of `/healthz` alone is answered so.
fn healthz(answer: String) -> impl Fn(&mut Message) -> Option<String> {
    move |message| {
        message.lines[0]
            .contains(" /healthz ")
            .then(|| answer.clone())
    }
}

#[test]
fn a_state_that_is_read_only_is_told_from_a_proxy_without_a_server() {
    let server = TestServer::start();
    let sentence = "The state store is read-only; the log says why.\n";
    let own = format!(
        "HTTP/1.1 503 x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{sentence}",
        sentence.len()
    );
    let (code, report, _) = behind(&server, healthz(own));
    assert_eq!(
        (code, wrong(&report)),
        (Some(1), vec!["state".to_owned()]),
        "it goes on: {report:#}"
    );
    for elsewhere in [
        "502 x",
        "404 x",
        "301 x\r\nLocation: https://elsewhere.example/",
    ] {
        let (code, report, _) = behind(&server, healthz(refused(elsewhere)));
        assert_eq!(
            (code, wrong(&report)),
            (Some(0), vec![]),
            "only the drive's path counts: {report:#}"
        );
    }
}

#[test]
fn a_server_that_wants_tls_is_named_so() {
    let server = TestServer::start();
    let sentence = "This server wants TLS: use an address that begins with https://.";
    let own = format!(
        "HTTP/1.1 403 x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{sentence}",
        sentence.len()
    );
    let (_, report, _) = behind(&server, move |_| Some(own.clone()));
    is_named(&report, "drive");
    assert!(report.to_string().contains("use https://"), "{report:#}");
}

#[test]
fn every_request_says_who_asks() {
    let server = TestServer::start();
    let agent = concat!("sarang-doctor/", env!("CARGO_PKG_VERSION"));
    let nameless = move |message: &mut Message| {
        (message.header("user-agent") != Some(agent)).then(|| refused("400 x"))
    };
    let (code, report, _) = behind(&server, nameless);
    assert_eq!((code, wrong(&report)), (Some(0), vec![]), "{report:#}");
}

#[test]
fn a_name_of_this_machine_is_no_network() {
    let server = TestServer::start();
    let (code, report) = doctor(
        &format!("http://127.1:{}/dav/", server.address().port()),
        SIGN_IN,
    );
    assert_eq!((code, wrong(&report)), (Some(0), vec![]), "{report:#}");
}

#[test]
fn a_refused_question_for_a_large_body_is_named_by_its_status() {
    let server = TestServer::start();
    let (code, report, _) = behind(&server, |message| {
        message.header("expect").map(|_| refused("417 x"))
    });
    is_named(&report, "body-size");
    assert!(
        code == Some(1) && report.to_string().contains("is answered with 417"),
        "{report:#}"
    );
}

#[test]
fn a_limit_of_bodies_is_found_without_sending_one() {
    let server = TestServer::start();
    let limit: Arc<Break> = Arc::new(|message| {
        let len: u64 = message
            .header("content-length")
            .map_or(0, |len| len.parse().unwrap());
        (len > 100 << 20).then(|| refused("413 x"))
    });
    let (code, report) = doctor(
        &format!(
            "http://{}",
            proxy(server.address(), limit, Arc::new(|_| {}))
        ),
        SIGN_IN,
    );
    is_named(&report, "body-size");
    assert!(
        report
            .to_string()
            .contains("Files of 101 MiB are refused with 413, of 20 MiB taken."),
        "{report:#}"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn what_is_not_there_is_named_in_words() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let said = |url: &str| {
        let output = ask(&["doctor", url]);
        assert!(!output.status.success(), "{url}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let nobody = said(&format!("http://{closed}/dav/"));
    assert!(
        nobody.contains("FAILURE port: Nobody answers on port"),
        "{nobody}"
    );
    let name = said("http://no-such-host.invalid/dav/");
    assert!(
        name.contains("FAILURE name: The name no-such-host.invalid is not known"),
        "{name}"
    );
    assert!(said("drive.example.org").contains("is not an address: write it as https://"));
    let server = TestServer::start();
    let no_tls = said(&format!("https://{}/dav/", server.address()));
    assert!(
        no_tls.contains("FAILURE certificate") && no_tls.contains("does not speak TLS"),
        "{no_tls}"
    );
    let no_account = ask(&["doctor", &format!("http://{}", server.address())]);
    assert_eq!(
        no_account.status.code(),
        Some(3),
        "what needs an account was not tried: {no_account:?}"
    );
}
