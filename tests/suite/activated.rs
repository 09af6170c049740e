//! Under a service manager: sockets that are handed over outlive the program, it tells how it is, and reads its settings again when asked.

use crate::harness::{Client, Connection, poll};
use crate::program::{PASSWORD, Place, SARANG, Serving};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Serves with a socket as descriptor 3, and another as 4, as systemd hands them over.
fn handed(
    place: &Place,
    names: &str,
    socket: impl Into<OwnedFd>,
    second: Option<TcpListener>,
) -> Serving {
    let count = 1 + usize::from(second.is_some());
    let line = format!(
        "exec 3<&0 4<&2 0</dev/null 2>>log; LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names} exec {SARANG} serve"
    );
    place.serve_with(&line, |command| {
        command.stdin(Stdio::from(socket.into()));
        if let Some(second) = second {
            command.stderr(Stdio::from(OwnedFd::from(second)));
        }
    })
}

fn log(place: &Place) -> String {
    fs::read_to_string(place.path().join("log")).unwrap_or_default()
}

fn signal(serving: &Serving, signal: Signal) {
    kill_process(
        Pid::from_raw(i32::try_from(serving.pid()).unwrap()).unwrap(),
        signal,
    )
    .unwrap();
}

#[test]
fn a_restart_on_a_socket_that_was_handed_over_refuses_and_fails_nobody() {
    let place = Place::new();
    place.add_ana();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut serving = handed(&place, "sarang", socket.try_clone().unwrap(), None);
    assert_eq!(serving.address, address);
    serving.ana().put("/kept", "kept").is(201);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask_on_and_on = |fresh: bool| {
        let client = Client::new(address, Some(("ana", PASSWORD)));
        let request = client.request("GET", "/kept").bytes();
        let mut kept: Option<Connection> = None;
        let mut failed = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let mut reply = None;
            // A connection that was used before may end at any time: then a request is repeated, and only then.
            if let Some(connection) = kept.as_mut().filter(|_| !fresh) {
                reply = Some(connection.exchange(&request)).filter(|reply| reply.status != 0);
            }
            let reply = reply.unwrap_or_else(|| {
                let mut connection = Connection::open(address);
                let reply = connection.exchange(&request);
                kept = Some(connection);
                reply
            });
            if reply
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"))
            {
                kept = None;
            }
            if (reply.status, reply.body.as_slice()) != (200, b"kept") {
                failed.push(reply.to_string());
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
        failed
    };
    let failed = std::thread::scope(|scope| {
        let askers: Vec<_> = [true, true, false, false]
            .map(|fresh| scope.spawn(move || ask_on_and_on(fresh)))
            .into();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(300));
            drop(serving);
            serving = handed(&place, "sarang", socket.try_clone().unwrap(), None);
        }
        let before = asked.load(Ordering::Relaxed);
        assert!(
            poll(Duration::from_secs(20), || asked.load(Ordering::Relaxed)
                > before + 20),
            "nobody is answered"
        );
        over.store(true, Ordering::Relaxed);
        askers
            .into_iter()
            .flat_map(|asker| asker.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        failed.is_empty(),
        "{} of {} failed: {failed:?}",
        failed.len(),
        asked.load(Ordering::Relaxed)
    );
}

#[test]
fn whoever_connects_just_before_the_end_is_answered() {
    let place = Place::new();
    let mut serving = place.serve();
    let mut early = Connection::open(serving.address);
    // Accepted, and nothing sent yet.
    std::thread::sleep(Duration::from_millis(200));
    signal(&serving, Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    early
        .exchange("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .is(200);
    assert!(poll(Duration::from_secs(10), || serving.end() == Some(0)));
}

#[test]
fn names_tell_tls_from_http() {
    let place = crate::tls::place();
    let (plain, tls) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let address = tls.local_addr().unwrap();
    let serving = handed(&place, "sarang.socket:sarang-tls", plain, Some(tls));
    assert_eq!(crate::tls::tls_address(&serving), address);
    crate::tls::is(
        &crate::tls::Browser::new()
            .connect(address, "localhost")
            .ask("PUT", "/dav/a", "b"),
        201,
    );
    serving.ana().holds("/a", "b");
}

#[test]
fn what_is_no_listening_socket_for_tcp_is_refused_with_a_sentence() {
    let place = Place::new();
    let listener = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(peer.local_addr().unwrap()).unwrap();
    let unix = UnixListener::bind(place.path().join("unix")).unwrap();
    let cases: [(&str, OwnedFd, &str); 6] = [
        (
            "sarang",
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            "listens for TCP",
        ),
        ("sarang", unix.into(), "listens for TCP"),
        ("sarang", connected.into(), "Accept=no"),
        (
            "sarang",
            fs::File::open("/dev/null").unwrap().into(),
            "ListenStream=",
        ),
        ("web", listener(), "FileDescriptorName="),
        ("sarang-tls", listener(), "[tls] is not set up"),
    ];
    for (name, socket, sentence) in cases {
        let line = format!(
            "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec {SARANG} serve"
        );
        let output = place
            .command("sh")
            .args(["-c", &line])
            .stdin(Stdio::from(socket))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && said.contains(sentence),
            "{name}: {said}"
        );
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
    // Sockets of another process are none of this one's.
    let serving = place.serve_by(&format!(
        "LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=web exec {SARANG} serve"
    ));
    Client::new(serving.address, None)
        .raw("GET", "/healthz")
        .send()
        .is(200);
}

/// What the service manager hears.
struct Ear(UnixDatagram);

impl Ear {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(socket)
    }

    /// The next message with this in it, and whether anything else came before.
    #[track_caller]
    fn waits_for(&self, text: &str) -> (String, Vec<String>) {
        let (mut before, end) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        while Instant::now() < end {
            let mut buffer = [0; 1024];
            let length = self.0.recv(&mut buffer).expect("a message");
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.contains(text) {
                return (message, before);
            }
            before.push(message);
        }
        panic!("no {text}, only {before:?}");
    }
}

#[test]
fn the_manager_hears_of_readiness_reloads_signs_of_life_and_the_end() {
    let place = Place::new();
    let ear = Ear::at(&place.path().join("notify"));
    let more = "[log]\nlevel = \"warn\"\n";
    let settings = place.path().join("config.toml");
    fs::write(&settings, more).unwrap();
    let line = format!("NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=900000 exec {SARANG} serve 2>log");
    let serving = place.serve_by(&line);
    let (ready, before) = ear.waits_for("READY=1");
    assert!(
        ready.contains("STATUS=Serving") && before.is_empty(),
        "{ready} {before:?}"
    );
    for _ in 0..3 {
        ear.waits_for("WATCHDOG=1");
    }
    ear.waits_for("connections open");
    fs::write(
        &settings,
        "[log]\nlevel = \"debug\"\n[server]\nmax_connections_per_address = 1\nhosts = [\"nest\"]\n",
    )
    .unwrap();
    signal(&serving, Signal::HUP);
    let (reloading, _) = ear.waits_for("RELOADING=1");
    let micros = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
        .unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0);
    ear.waits_for("READY=1");
    let is_told = || log(&place).contains("server.hosts");
    assert!(poll(Duration::from_secs(10), is_told), "{}", log(&place));
    let request = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    // The watchdog's own connections count, too.
    let mut held = None;
    assert!(poll(Duration::from_secs(10), || {
        let mut connection = Connection::open(serving.address);
        let is_served = connection.exchange(request).status == 200;
        held = Some(connection).filter(|_| is_served);
        is_served
    }));
    Connection::open(serving.address).exchange(request).is(503);
    drop(held);
    fs::write(&settings, "[log]\nlevel = \"loud\"\n").unwrap();
    signal(&serving, Signal::HUP);
    ear.waits_for("RELOADING=1");
    ear.waits_for("READY=1");
    let length = log(&place).len();
    assert!(
        log(&place).contains("those from before stay in use"),
        "{}",
        log(&place)
    );
    // The watchdog's own connections are told of at that level.
    assert!(
        poll(Duration::from_secs(10), || log(&place)[length..]
            .contains("DEBUG")),
        "the level stays: {}",
        log(&place)
    );
    drop(serving);
    ear.waits_for("STOPPING=1");
    ear.0.set_nonblocking(true).unwrap();
    assert!(
        ear.0.recv(&mut [0; 1024]).is_err(),
        "nothing is said behind the end"
    );
}

#[test]
fn signs_of_life_come_behind_a_proxy_and_with_tls_alone() {
    let place = crate::tls::place();
    let settings = place.path().join("config.toml");
    let text =
        fs::read_to_string(&settings).unwrap() + "\n[server]\nproxy_protocol = [\"127.0.0.0/8\"]\n";
    fs::write(&settings, text).unwrap();
    let ear = Ear::at(&place.path().join("notify"));
    let line = format!("NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=900000 exec {SARANG} serve 2>log");
    let serving = place.serve_by(&line);
    for _ in 0..3 {
        ear.waits_for("WATCHDOG=1");
    }
    drop(serving);
    assert!(!log(&place).contains("PROXY"), "{}", log(&place));
}

/// An address is unused where nobody hands a socket over.
#[test]
fn without_sockets_the_settings_say_where() {
    let place = Place::new();
    let serving = place.serve_by(&format!(
        "LISTEN_FDS=0 SARANG_SERVER__LISTEN=127.0.0.7:0 exec {SARANG} serve"
    ));
    assert_eq!(serving.address.ip(), IpAddr::from([127, 0, 0, 7]));
    Client::new(serving.address, None)
        .raw("GET", "/healthz")
        .send()
        .is(200);
}
