//! Resumable uploads by tus 1.0.0: every step, every refusal, broken lines, restarts.

use crate::harness::{Client, Connection, Immutable, NAME, Reply, TestServer, poll};
use crate::program::Place;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::model::AccountName;
use sha2::{Digest, Sha256};
use std::fs;
use std::time::Duration;

const ALL: &str = "/api/v1/uploads";

/// `Upload-Metadata` with these pairs.
fn metadata(pairs: &[(&str, &str)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{key} {}", STANDARD.encode(value)))
        .collect::<Vec<_>>()
        .join(",")
}

fn begin_with(client: &Client, len: usize, pairs: &[(&str, &str)]) -> Reply {
    let request = client
        .raw("POST", ALL)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", len.to_string());
    request
        .header("Upload-Metadata", metadata(pairs))
        .body("")
        .send()
}

/// Begins an upload to a path; returns its address.
fn begin(client: &Client, path: &str, len: usize) -> String {
    begin_with(client, len, &[("path", path)])
        .is(201)
        .header("location")
        .unwrap()
        .to_owned()
}

fn patch(client: &Client, at: &str, offset: usize, body: impl AsRef<[u8]>) -> Reply {
    let request = client
        .raw("PATCH", at)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", offset.to_string());
    request
        .header("Content-Type", "application/offset+octet-stream")
        .body(body)
        .send()
}

fn head(client: &Client, at: &str) -> Reply {
    client
        .raw("HEAD", at)
        .header("Tus-Resumable", "1.0.0")
        .send()
}

fn offset(reply: &Reply) -> usize {
    reply.header("upload-offset").unwrap().parse().unwrap()
}

fn end(client: &Client, at: &str) -> Reply {
    client
        .raw("DELETE", at)
        .header("Tus-Resumable", "1.0.0")
        .send()
}

fn aside(server: &TestServer, account: &str) -> usize {
    fs::read_dir(server.home(account).join(".sarang/uploads")).map_or(0, Iterator::count)
}

fn set_quota(server: &TestServer, bytes: Option<u64>) {
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), bytes),
        )
        .unwrap();
}

/// A header that changes what the file becomes, and that means nothing here, is refused before a part replaces a whole file.
#[test]
fn headers_that_mean_nothing_here_are_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/f", "whole");
    for (name, value) in [
        ("Upload-Concat", "partial"),
        ("Upload-Concat", "final;/api/v1/uploads/a"),
        ("If-Match", "\"other\""),
        ("If-None-Match", "*"),
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:01 GMT"),
        ("If", "([\"other\"])"),
    ] {
        let reply = ana
            .raw("POST", ALL)
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Length", "4")
            .header("Upload-Metadata", metadata(&[("path", "f")]))
            .header("Content-Type", "application/offset+octet-stream")
            .header(name, value)
            .body("part")
            .send()
            .is(400);
        let detail = reply.json()["detail"].to_string();
        let said = if name == "Upload-Concat" {
            name
        } else {
            "Upload-Metadata"
        };
        assert!(detail.contains(said), "{name}: {detail}");
        ana.holds("/f", "whole");
    }
    assert_eq!(aside(&server, "ana"), 0);
}

/// What clients say of their files is kept in memory for as long as the upload: a few words, and no more.
#[test]
fn metadata_has_a_limit_that_any_path_fits_in() {
    let server = TestServer::start();
    let ana = server.ana();
    let long = "x".repeat(9000);
    let refused = begin_with(&ana, 1, &[("path", "a"), ("note", &long)]).is(400);
    assert!(refused.text().contains("8 KiB"), "{}", refused.text());
    assert_eq!(
        (
            aside(&server, "ana"),
            server.app().uploads.unfinished().len()
        ),
        (0, 0)
    );
    let name = "\u{e9}".repeat(127);
    for folder in 0..14 {
        ana.mkcol(&["/", &vec![name.as_str(); folder + 1].join("/")].concat())
            .is(201);
    }
    begin(&ana, &vec![name.as_str(); 15].join("/"), 1);
}

#[test]
fn a_file_comes_in_parts_and_shows_when_it_is_whole() {
    let server = TestServer::start();
    let ana = server.ana();
    let options = server.stranger().raw("OPTIONS", ALL).send().is(204);
    assert_eq!(options.header("tus-version"), Some("1.0.0"));
    assert!(
        options
            .header("tus-extension")
            .unwrap()
            .contains("creation-with-upload")
    );
    let made = begin_with(
        &ana,
        9,
        &[("path", NAME), ("modified", "1234567890123"), ("other", "")],
    )
    .is(201);
    assert_eq!(
        (offset(&made), made.header("tus-resumable")),
        (0, Some("1.0.0"))
    );
    assert!(made.header("upload-expires").unwrap().ends_with("GMT"));
    let at = made.header("location").unwrap();
    assert_eq!(offset(&patch(&ana, at, 0, "abc").is(204)), 3);
    ana.lacks(NAME);
    let state = head(&ana, at).is(200);
    assert_eq!(
        (offset(&state), state.header("upload-length")),
        (3, Some("9"))
    );
    assert!(state.header("cache-control").unwrap().contains("no-store"));
    assert!(
        state
            .header("upload-metadata")
            .unwrap()
            .starts_with("path ")
    );
    patch(&ana, at, 3, "def").is(204);
    let last = patch(&ana, at, 6, "ghi").is(204);
    assert_eq!(offset(&last), 9);
    ana.holds(NAME, "abcdefghi");
    let file = ana.head(NAME).is(200);
    assert_eq!(file.header("etag"), last.header("etag"));
    assert_eq!(
        file.header("last-modified"),
        Some("Fri, 13 Feb 2009 23:31:30 GMT")
    );
    assert_eq!(
        offset(&head(&ana, at).is(200)),
        9,
        "whoever did not hear of the end finds it"
    );
    patch(&ana, at, 9, "").is(204);
    patch(&ana, at, 0, "x").is(409);
    ana.holds(NAME, "abcdefghi");
    assert_eq!(aside(&server, "ana"), 0);
}

#[test]
fn refusals_are_precise_and_keep_what_has_come() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.raw("POST", ALL)
        .header("Upload-Length", "3")
        .body("")
        .send()
        .is(412);
    ana.raw("POST", ALL)
        .header("Tus-Resumable", "0.2.2")
        .header("Upload-Length", "3")
        .body("")
        .send()
        .is(412);
    for (len, pairs, status) in [
        ("3", metadata(&[]), 400),
        ("-1", metadata(&[("path", "x")]), 400),
        ("x", metadata(&[("path", "x")]), 400),
        ("18446744073709551615", metadata(&[("path", "x")]), 413),
        ("3", "path !!".into(), 400),
        ("3", metadata(&[("path", "../x")]), 400),
        ("3", metadata(&[("filename", "a/b")]), 400),
        ("3", metadata(&[("path", ".sarang/tmp/x")]), 400),
        ("+3", metadata(&[("path", "x")]), 400),
        ("3", metadata(&[("path", "x"), ("modified", "1.7e12")]), 400),
        ("3", metadata(&[("path", "x"), ("modified", "+5")]), 400),
        (
            "3",
            metadata(&[("path", "x"), ("modified", "yesterday")]),
            400,
        ),
        (
            "3",
            metadata(&[("path", "x"), ("lastModified", "0x5")]),
            400,
        ),
        ("3", metadata(&[("path", "missing/x")]), 409),
        ("300000", metadata(&[("path", "missing/x")]), 409),
        ("300000", metadata(&[("path", "")]), 409),
    ] {
        let request = ana
            .raw("POST", ALL)
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Length", len);
        let reply = request.header("Upload-Metadata", &pairs).body("").send();
        let late = reply.status == 201 && pairs.contains("path");
        assert!(reply.status == status || late, "{len} {pairs}: {reply:?}");
        if late {
            patch(&ana, reply.header("location").unwrap(), 0, "abc").is(status);
        }
    }
    let at = begin(&ana, "x", 6);
    patch(&ana, &at, 0, "abc").is(204);
    patch(&ana, &at, 2, "c").is(409);
    patch(&ana, &at, 4, "e").is(409);
    patch(&ana, &at, 3, "defg").is(413);
    let wrong = ana
        .raw("PATCH", &at)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", "3");
    wrong
        .header("Content-Type", "text/plain")
        .body("def")
        .send()
        .is(415);
    assert_eq!(offset(&head(&ana, &at).is(200)), 3);
    for other in [&ben, &server.stranger()] {
        assert!([401, 404].contains(&head(other, &at).status));
        assert!([401, 404].contains(&patch(other, &at, 3, "def").status));
        assert!([401, 404].contains(&end(other, &at).status));
    }
    ana.raw("POST", &at)
        .header("Tus-Resumable", "1.0.0")
        .body("")
        .send()
        .is(400);
    let over = ana
        .raw("POST", &at)
        .header("X-HTTP-Method-Override", "PATCH")
        .header("Tus-Resumable", "1.0.0");
    let over = over
        .header("Upload-Offset", "3")
        .header("Content-Type", "application/offset+octet-stream");
    over.body("def").send().is(204);
    ana.holds("/x", "abcdef");
    head(&ana, "/api/v1/uploads/..%2F..%2Fx").is(404);
}

#[test]
fn checksums_are_checked_before_a_byte_is_kept() {
    let server = TestServer::start();
    let ana = server.ana();
    let at = begin(&ana, "x", 600_000);
    let part = vec![b'x'; 300_000];
    let send = |offset: usize, sum: &str| {
        let request = ana
            .raw("PATCH", &at)
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Offset", offset.to_string());
        let request = request.header("Content-Type", "application/offset+octet-stream");
        request.header("Upload-Checksum", sum).body(&part).send()
    };
    let sum = format!("sha256 {}", STANDARD.encode(Sha256::digest(&part)));
    send(0, &sum).is(204);
    send(
        300_000,
        &format!("sha256 {}", STANDARD.encode(Sha256::digest(b"other"))),
    )
    .is(460);
    send(300_000, &format!("sha1 {}", STANDARD.encode([0; 20]))).is(460);
    send(300_000, "md5 xxxx").is(400);
    assert_eq!(offset(&head(&ana, &at).is(200)), 300_000);
    send(300_000, &sum).is(204);
    ana.holds("/x", vec![b'x'; 600_000]);
}

#[test]
fn the_first_bytes_may_come_at_once_and_there_may_be_none() {
    let server = TestServer::start();
    let ana = server.ana();
    let request = ana
        .raw("POST", ALL)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "6");
    let request = request.header("Upload-Metadata", metadata(&[("filename", "a.txt")]));
    let made = request
        .header("Content-Type", "application/offset+octet-stream")
        .body("abc")
        .send()
        .is(201);
    assert_eq!(offset(&made), 3);
    patch(&ana, made.header("location").unwrap(), 3, "def").is(204);
    ana.holds("/a.txt", "abcdef");
    begin(&ana, "empty", 0);
    ana.holds("/empty", "");
}

#[test]
fn what_stands_there_is_replaced_only_under_the_conditions_it_was_begun_with() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "old");
    begin_with(&ana, 3, &[("path", "x"), ("overwrite", "false")]).is(409);
    begin_with(&ana, 3, &[("path", "x"), ("if_match", "\"no\"")]).is(412);
    let etag = ana.head("/x").header("etag").unwrap().to_owned();
    let at = begin_with(&ana, 3, &[("path", "x"), ("if_match", &etag)])
        .is(201)
        .header("location")
        .unwrap()
        .to_owned();
    let fresh = begin_with(&ana, 3, &[("path", "y"), ("overwrite", "false")]).is(201);
    let fresh = fresh.header("location").unwrap();
    ana.store("/x", "changed");
    ana.store("/y", "made");
    patch(&ana, &at, 0, "new").is(412);
    patch(&ana, fresh, 0, "new").is(409);
    ana.holds("/x", "changed");
    ana.holds("/y", "made");
    ana.delete("/y").is(204);
    patch(&ana, fresh, 3, "").is(204);
    ana.holds("/y", "new");
    let at = begin(&ana, "x", 3);
    let token = ana.lock("/x").send().is(200).token();
    patch(&ana, &at, 0, "new").is(423);
    ana.holds("/x", "changed");
    let request = ana
        .raw("PATCH", &at)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", "3");
    let request = request.header("Content-Type", "application/offset+octet-stream");
    request
        .header("Lock-Token", format!("<{token}>"))
        .body("")
        .send()
        .is(204);
    ana.holds("/x", "new");
    assert_eq!(
        ana.raw("GET", "/api/v1/versions?path=x").send().json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn room_is_promised_at_the_beginning_and_kept_over_a_restart() {
    let server = TestServer::start();
    let ana = server.ana();
    set_quota(&server, Some(1000));
    begin_with(&ana, 1001, &[("path", "x")]).is(507);
    let at = begin(&ana, "x", 700);
    begin_with(&ana, 301, &[("path", "y")]).is(507);
    ana.put("/y", vec![0; 301]).is(507);
    patch(&ana, &at, 0, vec![b'x'; 300]).is(204);
    let server = server.restart();
    let ana = server.ana();
    ana.put("/y", vec![0; 301]).is(507);
    ana.put("/y", vec![0; 300]).is(201);
    assert_eq!(offset(&head(&ana, &at).is(200)), 300);
    patch(&ana, &at, 300, vec![b'x'; 400]).is(204);
    ana.holds("/x", vec![b'x'; 700]);
    ana.put("/z", "z").is(507);
    set_quota(&server, Some(2000));
    let at = begin(&ana, "z", 1000);
    ana.put("/w", "w").is(507);
    end(&ana, &at).is(204);
    head(&ana, &at).is(404);
    patch(&ana, &at, 0, "x").is(404);
    assert_eq!(aside(&server, "ana"), 0);
    ana.put("/w", "w").is(201);
}

#[test]
fn a_broken_line_costs_only_what_was_on_it() {
    let server = TestServer::start();
    let ana = server.ana();
    let whole: Vec<u8> = (0..4_000_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let at = begin(&ana, "x", whole.len());
    let mut come = 0;
    for _ in 0..20 {
        let mut line = server.connect();
        let rest = &whole[come..];
        let sent = 150_000.min(rest.len());
        let request = format!(
            "PATCH {at} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {come}\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
            ana.host(),
            ana.authorization(),
            rest.len()
        );
        line.write([request.as_bytes(), &rest[..sent]].concat())
            .unwrap();
        // Its client asks on another line while this one hangs, as after a change of networks.
        let file = server.home("ana").join(format!(
            ".sarang/uploads/{}",
            at.rsplit('/').next().unwrap()
        ));
        poll(Duration::from_secs(2), || {
            fs::metadata(&file).unwrap().len() > come as u64
        });
        let now = offset(&head(&ana, &at).is(200));
        assert!((come..=come + sent).contains(&now));
        come = now;
        drop(line);
    }
    assert!(come > 0, "nothing was kept of twenty attempts");
    patch(&ana, &at, come, &whole[come..]).is(204);
    ana.holds("/x", &whole);
}

/// One part of which only the first bytes come; the line stays open.
fn hang(client: &Client, at: &str, whole: &[u8], sent: usize) -> Connection {
    let mut line = Connection::open(client.host().parse().unwrap());
    let request = format!(
        "PATCH {at} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
        client.host(),
        client.authorization(),
        whole.len()
    );
    line.write([request.as_bytes(), &whole[..sent]].concat())
        .unwrap();
    line
}

#[test]
fn a_stop_in_a_part_keeps_what_has_come() {
    let server = TestServer::with(|config| config.server.shutdown_grace = 1);
    let ana = server.ana();
    let (whole, sent) = (vec![b'x'; 6_000_000], 3_500_000);
    let at = begin(&ana, "x", whole.len());
    let file = server.home("ana").join(format!(
        ".sarang/uploads/{}",
        at.rsplit('/').next().unwrap()
    ));
    let line = hang(&ana, &at, &whole, sent);
    assert!(poll(Duration::from_secs(20), || fs::metadata(&file)
        .unwrap()
        .len()
        > sent as u64 - 200_000));
    std::thread::sleep(Duration::from_millis(300));
    let server = server.restart();
    drop(line);
    let ana = server.ana();
    assert_eq!(offset(&head(&ana, &at).is(200)), sent);
    patch(&ana, &at, sent, &whole[sent..]).is(204);
    ana.holds("/x", &whole);
}

/// The program is ended as by a crash in a part of 90 MB.
#[test]
fn a_crash_in_a_large_part_costs_what_was_not_on_the_disk_yet() {
    const STEP: usize = 8 << 20;
    let place = Place::new();
    place.add_ana();
    let mut serving = place.serve();
    let ana = serving.ana();
    let whole: Vec<u8> = (0..90_000_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let at = begin(&ana, "x", whole.len());
    let sent = 80_000_000;
    let line = hang(&ana, &at, &whole, sent);
    let uploads = place.path().join("sarang-data/homes/ana/.sarang/uploads");
    let file = uploads.join(at.rsplit('/').next().unwrap());
    assert!(poll(Duration::from_secs(60), || fs::metadata(&file)
        .unwrap()
        .len()
        > sent as u64 - 200_000));
    serving.kill();
    drop(line);
    let serving = place.serve();
    let ana = serving.ana();
    let come = offset(&head(&ana, &at).is(200));
    assert!((sent - 2 * STEP - 200_000..=sent).contains(&come), "{come}");
    patch(&ana, &at, come, &whole[come..]).is(204);
    ana.holds("/x", &whole);
}

#[test]
fn what_nobody_goes_on_with_is_given_up() {
    let server = TestServer::with(|config| config.drive.upload_days = 0);
    let ana = server.ana();
    let at = begin(&ana, "x", 10);
    head(&ana, &at).is(404);
    fs::write(server.home("ana").join(".sarang/uploads/stray"), "x").unwrap();
    assert_eq!(aside(&server, "ana"), 2);
    let app = server.app();
    server.block_on(app.expire_uploads()).unwrap();
    assert_eq!(aside(&server, "ana"), 0);
}

#[test]
fn an_app_password_sees_its_own_folder_and_changes_nothing_by_reading() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/docs").is(201);
    let app_password = |wish: serde_json::Value| {
        let made = crate::api_sessions::json(ana.raw("POST", "/api/v1/app-passwords"), &wish)
            .send()
            .is(201)
            .json();
        ana.signed_in("ana", made["password"].as_str().unwrap())
    };
    let reader = app_password(serde_json::json!({"name": "reader", "rights": "view"}));
    let confined = app_password(serde_json::json!({"name": "confined", "scope": "/docs"}));
    begin_with(&reader, 3, &[("path", "x")]).is(403);
    let at = begin(&ana, "x", 3);
    patch(&reader, &at, 0, "abc").is(403);
    end(&reader, &at).is(403);
    head(&confined, &at).is(404);
    let own = begin(&confined, "x", 3);
    head(&ana, &own).is(404);
    patch(&confined, &own, 0, "abc").is(204);
    ana.holds("/docs/x", "abc");
    patch(&ana, &at, 0, "abc").is(204);
}

#[test]
fn an_upload_goes_into_a_share_and_ends_with_it() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    let asked =
        serde_json::json!({"path": "docs", "to": {"account": "ben"}, "rights": "edit"}).to_string();
    let post = |body: &str| {
        ana.raw("POST", "/api/v1/shares")
            .header("Content-Type", "application/json")
            .body(body)
            .send()
    };
    let share = post(&asked).is(201).json();
    let (one, other) = (
        begin(&ben, "Shared with me/docs/one", 6),
        begin(&ben, "Shared with me/docs/other", 6),
    );
    assert_eq!((aside(&server, "ana"), aside(&server, "ben")), (2, 0));
    patch(&ben, &one, 0, "abcdef").is(204);
    patch(&ben, &other, 0, "abc").is(204);
    ana.holds("/docs/one", "abcdef");
    ana.raw(
        "DELETE",
        &format!("/api/v1/shares/{}", share["id"].as_str().unwrap()),
    )
    .send()
    .is(204);
    patch(&ben, &other, 3, "def").is(404);
    ana.lacks("/docs/other");
}

#[test]
fn an_upload_that_cannot_be_deleted_keeps_no_other_on_the_disk() {
    let server = TestServer::start();
    let ana = server.ana();
    for n in 0..3 {
        let at = begin(&ana, &format!("/{n}"), 5);
        patch(&ana, &at, 0, "abc").is(204);
    }
    let app = server.app();
    for upload in app.uploads.unfinished() {
        server.block_on(app.uploads.remove(&upload)).unwrap();
    }
    let folder = server.home("ana").join(".sarang/uploads");
    let first = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .min()
        .unwrap();
    let Some(immutable) = Immutable::make(&first) else {
        return;
    };
    let outcome = server.block_on(app.expire_uploads());
    drop(immutable);
    assert!(outcome.is_err());
    assert_eq!(aside(&server, "ana"), 1);
    server.block_on(app.expire_uploads()).unwrap();
    assert_eq!(aside(&server, "ana"), 0);
}

#[test]
fn who_may_only_look_cuts_no_part_that_another_sends() {
    let server = TestServer::start();
    let ana = server.ana();
    let made = ana
        .api(
            "POST",
            "/app-passwords",
            &serde_json::json!({"name": "viewer", "rights": "view"}),
        )
        .is(201)
        .json();
    let viewer = server.stranger().signed_in(
        "ana",
        made["password"]
            .as_str()
            .or(made["secret"].as_str())
            .unwrap(),
    );
    let at = begin(&ana, "/file", 6);
    let mut line = server.connect();
    let head = format!(
        "PATCH {at} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: 6\r\n\r\nabc",
        ana.host(),
        ana.authorization()
    );
    line.write(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    self::head(&viewer, &at).is(403);
    patch(&viewer, &at, 0, "x").is(403);
    end(&viewer, &at).is(403);
    line.write(b"def").unwrap();
    line.read_reply(false, "PATCH").unwrap().is(204);
    ana.holds("/file", "abcdef");
}
