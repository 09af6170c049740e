//! Uploads that do not arrive whole change nothing and leave nothing behind (A9).

use crate::harness::{NAME, TestServer, poll};
use std::time::Duration;

const LEN: usize = 1 << 20;

#[test]
fn a09_an_upload_cut_anywhere_keeps_the_old_content() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "old");
    let etag = ana.head(NAME).header("etag").unwrap().to_owned();
    for percent in [0, 1, 50, 99] {
        cut(&server, NAME, percent, false);
        cut(&server, NAME, percent, true);
        cut(&server, "/new", percent, false);
    }
    settles(&server);
    ana.holds(NAME, "old");
    assert_eq!(ana.head(NAME).header("etag"), Some(etag.as_str()));
    ana.lacks("/new");
}

#[test]
fn a_reader_sees_the_old_or_the_new_whole() {
    let server = TestServer::start();
    let ana = server.ana();
    let (old, new) = (vec![b'o'; LEN], vec![b'n'; LEN]);
    ana.store(NAME, &old);
    let mut connection = server.connect();
    let bytes = ana.request("PUT", NAME).body(&new).bytes();
    let (first, rest) = bytes.split_at(bytes.len() - 10);
    connection.write(first).unwrap();
    ana.holds(NAME, &old);
    connection.write(rest).unwrap();
    assert_eq!(connection.read_reply(false, "PUT").unwrap().status, 204);
    ana.holds(NAME, &new);
}

#[test]
fn two_uploads_of_one_name_never_mix() {
    let server = TestServer::start();
    let ana = server.ana();
    let (one, two) = (vec![b'1'; LEN], vec![b'2'; LEN / 2]);
    let mut slow = server.connect();
    let bytes = ana.request("PUT", NAME).body(&one).bytes();
    let (first, rest) = bytes.split_at(LEN / 3);
    slow.write(first).unwrap();
    ana.store(NAME, &two);
    ana.holds(NAME, &two);
    let _ = slow.write(rest);
    assert!(slow.read_reply(false, "PUT").unwrap().status < 300);
    ana.holds(NAME, &one);
}

#[test]
fn a_lock_taken_during_an_upload_stops_it() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "old");
    let mut slow = server.connect();
    let bytes = ana.request("PUT", NAME).body(vec![b'n'; LEN]).bytes();
    let (first, rest) = bytes.split_at(LEN / 2);
    slow.write(first).unwrap();
    ana.lock(NAME).send().is(200);
    let _ = slow.write(rest);
    assert_eq!(slow.read_reply(false, "PUT").unwrap().status, 423);
    ana.holds(NAME, "old");
    settles(&server);
}

#[test]
fn a_condition_is_judged_when_the_upload_ends() {
    let server = TestServer::start();
    let ana = server.ana();
    let mut slow = server.connect();
    let bytes = ana
        .request("PUT", NAME)
        .header("If-None-Match", "*")
        .body(vec![b'n'; LEN])
        .bytes();
    let (first, rest) = bytes.split_at(LEN / 2);
    slow.write(first).unwrap();
    ana.store(NAME, "first");
    let _ = slow.write(rest);
    assert_eq!(slow.read_reply(false, "PUT").unwrap().status, 412);
    ana.holds(NAME, "first");
    settles(&server);
}

/// Sends `percent` of an upload and closes the connection.
fn cut(server: &TestServer, path: &str, percent: usize, chunked: bool) {
    let ana = server.ana();
    let request = ana.request("PUT", path).body(vec![b'n'; LEN]);
    let bytes = if chunked {
        request.chunked().bytes()
    } else {
        request.bytes()
    };
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let sent = head + (bytes.len() - head) * percent / 100;
    let mut connection = server.connect();
    connection.write(&bytes[..sent]).unwrap();
    connection.finish();
    if let Ok(reply) = connection.read_reply(false, "a cut PUT") {
        assert!(reply.status >= 400, "a cut PUT was acknowledged: {reply}");
    }
}

fn settles(server: &TestServer) {
    assert!(
        poll(Duration::from_secs(5), || server.staged("ana").is_empty()),
        "staged: {:?}",
        server.staged("ana")
    );
}
