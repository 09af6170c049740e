//! Frames that attack. For each: the connection ends or the request is refused, others go on, and memory stays bounded.

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, PING, PRIORITY,
    RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame, list, request,
};
use crate::program::{Place, SARANG, Serving};
use crate::tls::place;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// What a server that was attacked may have grown by.
const GROWN: u64 = 48 * MIB;

fn serve(place: &Place, settings: &str) -> Serving {
    place.serve_by(&format!("{settings} exec {SARANG} serve"))
}

fn rss(serving: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// Attacks a server with a file in it, while a client that is signed in reads that.
#[track_caller]
fn under_attack(serving: &Serving, attack: impl FnOnce()) {
    let ana = serving.ana();
    ana.store("/kept", "kept");
    let before = rss(serving);
    std::thread::scope(|scope| {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let reader = scope.spawn(move || {
            let (ana, mut slowest, mut reads) = (serving.ana(), Duration::ZERO, 0);
            while is_done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) || reads == 0 {
                let began = Instant::now();
                ana.holds("/kept", "kept");
                (slowest, reads) = (slowest.max(began.elapsed()), reads + 1);
                std::thread::sleep(Duration::from_millis(20));
            }
            slowest
        });
        attack();
        drop(done);
        let slowest = reader.join().unwrap();
        assert!(
            slowest < Duration::from_secs(5),
            "another client waited for {slowest:?}"
        );
    });
    let grown = rss(serving).saturating_sub(before);
    assert!(grown < GROWN, "{} MiB more", grown / MIB);
    ana.holds("/kept", "kept");
}

/// Sends a flood, by which the server ends the connection.
#[track_caller]
fn ends(raw: &mut Raw, mut flood: impl Iterator<Item = Vec<u8>>) {
    let is_cut = flood.any(|bytes| raw.send(&bytes).is_err());
    assert!(
        is_cut || raw.ends_within(Duration::from_secs(10)),
        "it goes on"
    );
}

#[test]
fn rapid_reset_ends_the_connection() {
    let place = place();
    let serving = serve(&place, "");
    under_attack(&serving, || {
        let mut raw = Raw::begin(&serving, &[]);
        ends(
            &mut raw,
            (0..5_000).map(|n| {
                let list = request("PROPFIND", "/dav/", &[(b"depth", b"1")]);
                let ask = frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, list);
                [ask, frame(RST_STREAM, 0, 2 * n + 1, 8_u32.to_be_bytes())].concat()
            }),
        );
        // What the server resets itself is bounded likewise: an update of nothing is an error of its stream.
        let mut raw = Raw::begin(&serving, &[]);
        ends(
            &mut raw,
            (0..5_000).map(|n| {
                let ask = frame(
                    HEADERS,
                    END_HEADERS,
                    2 * n + 1,
                    request("PUT", "/dav/made", &[]),
                );
                [ask, frame(WINDOW_UPDATE, 0, 2 * n + 1, [0; 4])].concat()
            }),
        );
    });
    serving.ana().lacks("/made");
}

#[test]
fn a_page_that_is_turned_may_cancel_what_it_asked_for() {
    let place = place();
    let serving = serve(&place, "");
    serving.ana().store("/kept", "kept");
    let mut raw = Raw::begin(&serving, &[]);
    for n in 0..100 {
        raw.ask(2 * n + 1, "GET", "/dav/kept");
    }
    assert!(raw.lives());
    for n in 0..100 {
        raw.send(&frame(RST_STREAM, 0, 2 * n + 1, 8_u32.to_be_bytes()))
            .unwrap();
    }
    assert!(raw.lives());
}

#[test]
fn header_lists_without_an_end_end_the_connection() {
    let place = place();
    let serving = serve(&place, "");
    under_attack(&serving, || {
        for piece in [0, 1, 16 << 10] {
            let mut raw = Raw::begin(&serving, &[]);
            raw.send(&frame(HEADERS, 0, 1, request("GET", "/dav/", &[])))
                .unwrap();
            let more = if piece < 100 {
                vec![0; piece]
            } else {
                list(&[(b"x-filler", &vec![b'x'; piece - 20])])
            };
            ends(
                &mut raw,
                (0..20_000).map(|_| frame(CONTINUATION, 0, 1, &more)),
            );
        }
    });
}

#[test]
fn header_lists_that_are_too_long_are_refused() {
    let place = place();
    let serving = serve(&place, "");
    under_attack(&serving, || {
        let long = vec![b'x'; 12 << 10];
        let mut raw = Raw::begin(&serving, &[]);
        raw.send(&frame(
            HEADERS,
            0,
            1,
            request("PUT", "/dav/long", &[(b"x-a", &long)]),
        ))
        .unwrap();
        for (name, flags) in [(b"x-b", 0), (b"x-c", 0), (b"x-d", END_HEADERS)] {
            let _ = raw.send(&frame(CONTINUATION, flags, 1, list(&[(name, &long)])));
        }
        let outcome = raw.outcome(1);
        assert!(
            matches!(
                outcome,
                Outcome::Status(431) | Outcome::Ended | Outcome::Reset
            ),
            "{outcome:?}"
        );
        // What a list unpacks to counts, not what it is packed in: one header that is named 4,000 times by its number.
        let mut raw = Raw::begin(&serving, &[]);
        let mut bomb = request("GET", "/dav/", &[]);
        bomb.extend([&[0x40][..], &list(&[(b"x-bomb", &[b'x'; 1000])])[1..]].concat());
        bomb.extend(vec![0xbe_u8; 4_000]);
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, bomb))
            .unwrap();
        let outcome = raw.outcome(1);
        assert!(
            matches!(
                outcome,
                Outcome::Status(431) | Outcome::Ended | Outcome::Reset
            ),
            "{outcome:?}"
        );
        // As many headers as with HTTP/1.1.
        let names: Vec<String> = (0..120).map(|n| format!("x-{n}")).collect();
        let many: Vec<(&[u8], &[u8])> = names
            .iter()
            .map(|name| (name.as_bytes(), &b"x"[..]))
            .collect();
        let mut raw = Raw::begin(&serving, &[]);
        raw.send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            request("GET", "/dav/kept", &many),
        ))
        .unwrap();
        assert_eq!(raw.outcome(1), Outcome::Status(431));
    });
    serving.ana().lacks("/long");
}

#[test]
fn floods_of_frames_that_ask_nothing_end_the_connection() {
    let place = place();
    let serving = serve(&place, "");
    under_attack(&serving, || {
        for (name, flood) in [
            ("SETTINGS", frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 100])),
            ("PING", frame(PING, 0, 0, [0; 8])),
            ("PRIORITY", frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1])),
            ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])),
            ("unknown", frame(222, 0, 0, b"?")),
        ] {
            println!("{name}");
            ends(
                &mut Raw::begin(&serving, &[]),
                (0..500).map(|_| flood.repeat(100)),
            );
        }
        let mut raw = Raw::begin(&serving, &[]);
        raw.send(&frame(
            HEADERS,
            END_HEADERS,
            1,
            request("PUT", "/dav/empty", &[]),
        ))
        .unwrap();
        ends(
            &mut raw,
            (0..500).map(|_| frame(DATA, 0, 1, b"").repeat(100)),
        );
    });
    serving.ana().lacks("/empty");
}

#[test]
fn bodies_that_are_not_as_long_as_they_say_are_not_stored() {
    let place = place();
    let serving = serve(&place, "");
    under_attack(&serving, || {
        for (path, length, pieces) in [
            ("/dav/short", "5", &[&b"abc"[..]][..]),
            ("/dav/long", "5", &[b"abc", b"defg"]),
            ("/dav/none", "5", &[b""]),
            ("/dav/some", "0", &[b"abc"]),
            ("/dav/signed", "+3", &[b"abc"]),
            ("/dav/list", "3, 3", &[b"abc"]),
            ("/dav/huge", "99999999999999999999", &[b"abc"]),
        ] {
            let mut raw = Raw::begin(&serving, &[]);
            let list = request("PUT", path, &[(b"content-length", length.as_bytes())]);
            raw.send(&frame(HEADERS, END_HEADERS, 1, list)).unwrap();
            for (at, piece) in pieces.iter().enumerate() {
                let _ = raw.send(&frame(DATA, u8::from(at + 1 == pieces.len()), 1, piece));
            }
            let outcome = raw.outcome(1);
            let is_refused = matches!(
                outcome,
                Outcome::Reset | Outcome::Ended | Outcome::Status(400..500)
            );
            assert!(is_refused, "{path}: {outcome:?}");
            serving.ana().lacks(path.trim_start_matches("/dav"));
        }
        for body in [&b"abc"[..], b"abcd"] {
            let mut raw = Raw::begin(&serving, &[]);
            let list = request(
                "PUT",
                "/dav/two",
                &[(b"content-length", b"3"), (b"content-length", b"4")],
            );
            let _ = raw.send(
                &[
                    frame(HEADERS, END_HEADERS, 1, list),
                    frame(DATA, END_STREAM, 1, body),
                ]
                .concat(),
            );
            let outcome = raw.outcome(1);
            assert!(
                matches!(
                    outcome,
                    Outcome::Reset | Outcome::Ended | Outcome::Status(400..500)
                ),
                "{outcome:?}"
            );
        }
        serving.ana().lacks("/two");
    });
}

#[test]
fn heads_that_http_1_1_would_read_otherwise_are_refused() {
    let place = place();
    let serving = serve(&place, "");
    let headers: &[(&[u8], &[u8])] = &[
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"close"),
        (b"upgrade", b"h2c"),
        (b"te", b"gzip"),
        (b"x-a", b"b\r\nx-c: d"),
        (b"x-a", b"b\ntransfer-encoding: chunked"),
        (b"x-a", b"b\0"),
        (b"X-A", b"b"),
        (b"x a", b"b"),
        (b"x:a", b"b"),
        (b"x\r\na", b"b"),
        (b"", b"b"),
        (b":path", b"/dav/other"),
        (b":status", b"200"),
        (b"host", b"elsewhere"),
        (b"host", b"localhost, elsewhere"),
    ];
    for header in headers {
        refused(&serving, &request("PUT", "/dav/smuggled", &[*header]));
    }
    refused(
        &serving,
        &request(
            "PUT",
            "/dav/smuggled",
            &[(b"host", b"localhost"), (b"host", b"localhost")],
        ),
    );
    for target in [
        "dav/smuggled",
        "",
        "/dav/smuggled HTTP/1.1\r\nHost: x",
        "/dav/smug\0gled",
        "*",
    ] {
        refused(&serving, &request("PUT", target, &[]));
    }
    let with = |pairs: &[(&[u8], &[u8])]| {
        let known = [(&b":method"[..], &b"PUT"[..]), (b":path", b"/dav/smuggled")];
        list(&[&known, pairs].concat())
    };
    let cases: &[&[(&[u8], &[u8])]] = &[
        &[(b":scheme", b"https")],
        &[(b":scheme", b"https"), (b":authority", b"a b")],
        &[(b":scheme", b"https"), (b":authority", b"ana@localhost")],
        &[(b":scheme", b"https"), (b":authority", b"")],
        &[(b":scheme", b"ftp"), (b":authority", b"localhost")],
        &[(b":authority", b"localhost")],
        &[
            (b":scheme", b"https"),
            (b"x-a", b"b"),
            (b":authority", b"localhost"),
        ],
        &[
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":authority", b"localhost"),
        ],
    ];
    for case in cases {
        refused(&serving, &with(case));
    }
    assert_eq!(
        serving.ana().propfind("/", "1").multistatus().paths(),
        ["/dav"]
    );
}

/// Sends one PUT with this head over a connection of its own.
#[track_caller]
fn refused(serving: &Serving, list: &[u8]) {
    let mut raw = Raw::begin(serving, &[]);
    let ask = frame(HEADERS, END_HEADERS, 1, list);
    let _ = raw.send(&[ask, frame(DATA, END_STREAM, 1, b"smuggled")].concat());
    let outcome = raw.outcome(1);
    let is_refused = matches!(
        outcome,
        Outcome::Reset | Outcome::Ended | Outcome::Status(400)
    );
    assert!(
        is_refused,
        "{:?}: {outcome:?}",
        String::from_utf8_lossy(list)
    );
}

#[test]
fn answers_that_are_not_taken_are_taken_back_and_the_connection_goes_on() {
    let place = place();
    let serving = serve(&place, "SARANG_SERVER__BODY_TIMEOUT=2");
    serving.ana().store("/large", vec![b'x'; 4 << 20]);
    under_attack(&serving, || {
        // A window of nothing, and one that is opened by a byte now and then.
        let mut raw = Raw::begin(&serving, &[(4, 0)]);
        for n in 0..20 {
            raw.ask(2 * n + 1, "GET", "/dav/large");
        }
        let began = Instant::now();
        let mut reset = std::collections::BTreeSet::new();
        while reset.len() < 20 {
            std::thread::sleep(Duration::from_millis(50));
            raw.send(&frame(WINDOW_UPDATE, 0, 1, 10_u32.to_be_bytes()))
                .unwrap();
            let frame = raw.receive().expect("the connection goes on");
            if frame.kind == RST_STREAM {
                reset.insert(frame.stream);
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "only {} are taken back",
                reset.len()
            );
        }
        assert!(
            began.elapsed() >= Duration::from_secs(2) && began.elapsed() < Duration::from_secs(8)
        );
        assert!(raw.lives());
        // One that is made already and has begun to be sent lies in buffers: there is nothing to take back but the connection.
        let mut raw = Raw::begin(&serving, &[(4, 1)]);
        for n in 0..20 {
            raw.ask(2 * n + 1, "GET", "/dav/kept");
        }
        assert!(raw.ends_within(Duration::from_secs(10)));
    });
}

#[test]
fn bodies_that_do_not_come_are_given_up_and_the_connection_goes_on() {
    let place = place();
    let serving = serve(&place, "SARANG_SERVER__BODY_TIMEOUT=2");
    under_attack(&serving, || {
        let mut raw = Raw::begin(&serving, &[]);
        let began = Instant::now();
        for n in 0..20 {
            let list = request(
                "PUT",
                &format!("/dav/slow{n}"),
                &[(b"content-length", b"100000")],
            );
            raw.send(&frame(HEADERS, END_HEADERS, 2 * n + 1, list))
                .unwrap();
            raw.send(&frame(DATA, 0, 2 * n + 1, b"some")).unwrap();
        }
        let mut over = std::collections::BTreeSet::new();
        while over.len() < 20 {
            let frame = raw.receive().expect("the connection goes on");
            if matches!(frame.kind, HEADERS | RST_STREAM) {
                over.insert(frame.stream);
            }
        }
        assert!(
            began.elapsed() >= Duration::from_secs(2) && began.elapsed() < Duration::from_secs(8)
        );
        assert!(raw.lives());
    });
    assert_eq!(
        serving.ana().propfind("/", "1").multistatus().paths().len(),
        2
    );
}

#[test]
fn heads_that_do_not_come_and_connections_that_do_nothing_end() {
    let place = place();
    let serving = serve(
        &place,
        "SARANG_SERVER__HEADER_TIMEOUT=1 SARANG_SERVER__KEEP_ALIVE=2",
    );
    let limit = Duration::from_secs(6);
    let mut raw = Raw::silent(&serving);
    assert!(raw.ends_within(limit), "nothing was said");
    let mut raw = Raw::silent(&serving);
    raw.send(b"PRI * HTTP/2.0\r\n").unwrap();
    assert!(raw.ends_within(limit), "half a preface");
    for begun in [
        frame(HEADERS, 0, 1, request("GET", "/dav/", &[])),
        frame(HEADERS, END_HEADERS, 1, request("GET", "/dav/", &[]))[..30].to_vec(),
        frame(PING, 0, 0, [0; 8])[..11].to_vec(),
    ] {
        let mut raw = Raw::begin(&serving, &[]);
        raw.send(&begun).unwrap();
        assert!(raw.ends_within(limit), "{begun:?}");
    }
    let mut raw = Raw::begin(&serving, &[]);
    raw.ask(1, "OPTIONS", "/dav/");
    assert_eq!(raw.outcome(1), Outcome::Status(200));
    assert_eq!(raw.find(GOAWAY).expect("it is told").stream, 0);
    assert!(
        raw.ends_within(limit),
        "idle, though it does not say that it has heard"
    );
}

#[test]
fn a_stream_beyond_the_bound_is_refused_and_the_others_go_on() {
    let place = place();
    let serving = serve(&place, "");
    let mut raw = Raw::begin(&serving, &[]);
    for n in 0..101 {
        let list = request("PUT", &format!("/dav/n{n}"), &[(b"content-length", b"4")]);
        raw.send(&frame(HEADERS, END_HEADERS, 2 * n + 1, list))
            .unwrap();
    }
    assert_eq!(raw.outcome(201), Outcome::Reset);
    raw.send(&frame(DATA, END_STREAM, 1, b"done")).unwrap();
    assert_eq!(raw.outcome(1), Outcome::Status(201));
    serving.ana().holds("/n0", "done");
}
