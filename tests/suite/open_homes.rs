//! More accounts than homes that are kept open: closed and opened again, nothing is lost and nobody notices.

use crate::harness::{Client, PASSWORD, TestServer, poll};
use crate::strange_disk::Lease;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::model::{AccountName, Role};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const LIMIT: usize = 3;
const MANY: usize = 12;

/// A server that keeps few homes open, and accounts `u0`, `u1` ...
fn crowded() -> (TestServer, Vec<Client>) {
    let server = TestServer::with(|config| config.storage.open_homes = LIMIT);
    let clients = (0..MANY).map(|n| {
        let name = format!("u{n}");
        let made = server.app();
        let account = AccountName::parse(&name).unwrap();
        server
            .block_on(
                made.auth
                    .create(&account, PASSWORD.as_bytes(), Role::User, None),
            )
            .unwrap();
        Client::new(server.address(), Some((&name, PASSWORD)))
    });
    let clients = clients.collect();
    (server, clients)
}

/// The homes that this process has descriptors of.
fn open_homes(server: &TestServer) -> BTreeSet<String> {
    let homes = server.data().join("homes");
    let entries = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inside = entries.filter_map(|path| {
        path.strip_prefix(&homes)
            .ok()?
            .iter()
            .next()
            .map(ToOwned::to_owned)
    });
    inside
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[track_caller]
fn few_are_open(server: &TestServer) {
    let few = || open_homes(server).len() <= LIMIT;
    assert!(
        poll(Duration::from_secs(5), few),
        "open are {:?}",
        open_homes(server)
    );
}

fn begin(client: &Client, path: &str, len: usize) -> String {
    let request = client
        .raw("POST", "/api/v1/uploads")
        .header("Tus-Resumable", "1.0.0");
    let request = request.header("Upload-Length", len.to_string());
    let begun = request
        .header("Upload-Metadata", format!("path {}", STANDARD.encode(path)))
        .body("")
        .send()
        .is(201);
    begun.header("location").unwrap().to_owned()
}

fn patch(client: &Client, at: &str, offset: usize, body: &str) -> u16 {
    let request = client
        .raw("PATCH", at)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", offset.to_string());
    request
        .header("Content-Type", "application/offset+octet-stream")
        .body(body)
        .send()
        .status
}

#[test]
fn homes_are_closed_and_opened_again_and_what_was_begun_goes_on() {
    let (server, clients) = crowded();
    let mut begun = Vec::new();
    for client in &clients {
        client.mkcol("/docs").is(201);
        client.store("/docs/a", "old");
        client.store("/docs/a", "new");
        client.store("/gone", "x");
        client.delete("/gone").is(204);
        let locked = client.lock("/docs/a").send().is(200);
        let token = locked.token();
        let at = begin(client, "/docs/upload", 6);
        assert_eq!(patch(client, &at, 0, "abc"), 204);
        begun.push((token, at));
    }
    few_are_open(&server);
    for (client, (token, at)) in clients.iter().zip(&begun) {
        client.holds("/docs/a", "new");
        client.put("/docs/a", "other").is(423);
        client
            .request("PUT", "/docs/a")
            .header("If", format!("(<{token}>)"))
            .body("mine")
            .send()
            .is(204);
        assert_eq!(patch(client, at, 3, "def"), 204);
        client.holds("/docs/upload", "abcdef");
        client
            .request("PROPFIND", "/docs")
            .header("Depth", "1")
            .send()
            .is(207);
    }
    few_are_open(&server);
    let server = server.restart();
    let last = Client::new(server.address(), Some(("u11", PASSWORD)));
    last.holds("/docs/a", "mine");
}

#[test]
fn room_that_was_promised_stays_promised_in_a_home_that_was_closed() {
    let (server, clients) = crowded();
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("u0").unwrap(), Some(1000)),
        )
        .unwrap();
    let at = begin(&clients[0], "/large", 800);
    for client in &clients[1..] {
        client.store("/a", "x");
    }
    assert!(
        poll(Duration::from_secs(5), || !open_homes(&server)
            .contains("u0")),
        "an unfinished upload keeps it open"
    );
    clients[0].put("/other", "x".repeat(300)).is(507);
    assert_eq!(patch(&clients[0], &at, 0, &"x".repeat(800)), 204);
    clients[0].put("/other", "x".repeat(300)).is(507);
    clients[0].put("/other", "x".repeat(200)).is(201);
}

#[test]
fn a_home_that_is_in_use_is_not_closed() {
    let (server, clients) = crowded();
    clients[0].store("/first", "x");
    let mut slow = server.connect();
    let head = format!(
        "PUT /dav/slow HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: 2000000\r\n\r\n",
        clients[0].host(),
        clients[0].authorization()
    );
    slow.write(head).unwrap();
    slow.write(vec![b'x'; 1_000_000]).unwrap();
    assert!(poll(Duration::from_secs(5), || open_homes(&server)
        .contains("u0")));
    for round in 0..2 {
        for client in &clients[1..] {
            client.put(&format!("/{round}"), "x").is(201);
        }
        assert!(
            open_homes(&server).contains("u0"),
            "an upload was under way in it"
        );
    }
    slow.write(vec![b'x'; 1_000_000]).unwrap();
    slow.read_reply(false, "PUT /slow").unwrap().is(201);
    assert_eq!(clients[0].get("/slow").is(200).body.len(), 2_000_000);
    few_are_open(&server);
}

#[test]
fn the_home_that_was_used_least_lately_is_closed_first() {
    let (server, clients) = crowded();
    for client in &clients[1..] {
        clients[0].store("/a", "x");
        client.store("/a", "x");
        few_are_open(&server);
        assert!(
            open_homes(&server).contains("u0"),
            "the others were used longer ago"
        );
    }
}

/// A home that cannot be opened now may lack descriptors; here another program keeps its lease on what is to be read first.
#[test]
fn homes_that_nobody_uses_make_way_for_one_that_cannot_be_opened() {
    let server = TestServer::start();
    server.ben().store("/a", "x");
    let server = server.restart();
    let (ana, ben) = (server.ana(), server.ben());
    let Some(lease) = Lease::take(&server.home("ben").join(".sarang/home")) else {
        return eprintln!("skipped: needs python3 and a file system with leases");
    };
    ana.store("/a", "x");
    ben.get("/a").is(503);
    assert!(
        poll(Duration::from_secs(5), || !open_homes(&server)
            .contains("ana")),
        "it keeps its descriptors"
    );
    drop(lease);
    ben.holds("/a", "x");
    ana.holds("/a", "x");
}

#[test]
fn the_hourly_jobs_open_only_what_has_something_to_expire() {
    let (server, clients) = crowded();
    let app = server.app();
    clients[0].store("/stays", "x");
    for client in &clients[2..] {
        client.store("/gone", "x");
        client.delete("/gone").is(204);
    }
    for n in 2..MANY {
        age(&server.home(&format!("u{n}")));
    }
    few_are_open(&server);
    let (before, left) = (
        open_homes(&server),
        server.home("u0").join(".sarang/tmp/left"),
    );
    assert!(!before.contains("u0"));
    fs::write(&left, "").unwrap();
    server.block_on(app.expire_history()).unwrap();
    server.block_on(app.expire_uploads()).unwrap();
    for n in 2..MANY {
        let left = fs::read_dir(server.home(&format!("u{n}")).join(".sarang/trash/files"))
            .unwrap()
            .count();
        assert_eq!(left, 0, "u{n} was not expired");
    }
    assert!(
        !server.home("u1").exists() && !server.home("ana").exists(),
        "a folder for who never came"
    );
    assert!(
        left.exists(),
        "a home was opened in which nothing was to be done"
    );
    let closed = || open_homes(&server).is_subset(&before);
    assert!(
        poll(Duration::from_secs(5), closed),
        "a job left open {:?}, before {before:?}",
        open_homes(&server)
    );
}

/// Makes what lies in the trash of a home look old.
fn age(home: &std::path::Path) {
    for note in fs::read_dir(home.join(".sarang/trash/info")).unwrap() {
        let path = note.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("DeletionDate="))
            .unwrap()
            .to_owned();
        fs::write(
            &path,
            text.replace(&line, "DeletionDate=2001-01-01T00:00:00"),
        )
        .unwrap();
    }
}
