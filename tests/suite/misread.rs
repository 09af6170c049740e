//! What this server, or the client itself, could take for something else than is meant: it is refused, and nothing changes.

use crate::harness::{Client, LOCK_BODY, TestServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

fn photos() -> (TestServer, Client) {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/photos").is(201);
    ana.store("/photos/1.jpg", "picture");
    ana.store("/notes", "kept");
    (server, ana)
}

#[test]
fn a_name_with_an_unescaped_hash_or_question_mark_changes_nothing_else() {
    let (_server, ana) = photos();
    for mark in ['#', '?'] {
        let at = |path: &str| format!("/dav{}", path.replace('|', &mark.to_string()));
        ana.raw("DELETE", &at("/photos/|1.jpg")).send().is(400);
        ana.raw("PUT", &at("/notes|1")).body("x").send().is(400);
        ana.raw("MKCOL", &at("/new|1")).send().is(400);
        ana.raw("MOVE", &at("/photos/|1.jpg"))
            .header("Destination", ana.absolute("/moved"))
            .send()
            .is(400);
        ana.raw("LOCK", &at("/notes|1"))
            .xml(LOCK_BODY)
            .send()
            .is(400);
    }
    ana.raw("PUT", "/api/v1/files/content?path=notes#1")
        .body("x")
        .send()
        .is(400);
    ana.raw("DELETE", &format!("/dav/photos/{}#1", "x".repeat(200)))
        .send()
        .is(400);
    ana.holds("/photos/1.jpg", "picture");
    ana.holds("/notes", "kept");
    for path in ["/new", "/moved"] {
        ana.lacks(path);
    }
    ana.raw("GET", "/dav/notes?download").send().is(200);
}

#[test]
fn a_query_that_is_no_text_names_nothing() {
    let (server, ana) = photos();
    for byte in ["%ff", "%fe", "%c3"] {
        ana.raw("PUT", &format!("/api/v1/files/content?path=photos/{byte}"))
            .body("x")
            .send()
            .is(400);
        ana.raw("GET", &format!("/api/v1/files?path={byte}"))
            .send()
            .is(400);
        ana.raw("GET", &format!("/api/v1/files/search?path=&name={byte}"))
            .send()
            .is(400);
    }
    assert_eq!(
        std::fs::read_dir(server.home("ana").join("photos"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn overwrite_of_a_resumable_upload_is_one_of_two_words() {
    let (_server, ana) = photos();
    let begin = |word: Option<&str>| {
        let word = word
            .map(|word| format!(",overwrite {}", STANDARD.encode(word)))
            .unwrap_or_default();
        let request = ana
            .raw("POST", "/api/v1/uploads")
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Length", "3");
        request
            .header(
                "Upload-Metadata",
                format!("path {}{word}", STANDARD.encode("/notes")),
            )
            .body("")
            .send()
    };
    for word in ["False", "FALSE", "no", "0", "", "True"] {
        begin(Some(word)).is(400);
    }
    begin(Some("false")).is(409);
    begin(Some("true")).is(201);
    begin(None).is(201);
    ana.holds("/notes", "kept");
}

#[test]
fn a_body_that_is_compressed_is_no_file() {
    let (_server, ana) = photos();
    let mut coded = GzEncoder::new(Vec::new(), Compression::fast());
    coded.write_all(b"plain").unwrap();
    let coded = coded.finish().unwrap();
    ana.request("PUT", "/notes")
        .header("Content-Encoding", "gzip")
        .body(&coded)
        .send()
        .is(415);
    ana.request("PUT", "/fresh")
        .header("Content-Encoding", "identity, gzip")
        .body(&coded)
        .send()
        .is(415);
    ana.raw("PUT", "/api/v1/files/content?path=notes")
        .header("Content-Encoding", "br")
        .body(&coded)
        .send()
        .is(415);
    ana.holds("/notes", "kept");
    ana.lacks("/fresh");
    ana.request("PUT", "/fresh")
        .header("Content-Encoding", "gzip")
        .body(&coded)
        .chunked()
        .send()
        .is(415);
    ana.request("GET", "/notes")
        .header("Content-Encoding", "gzip")
        .send()
        .is(200);
    ana.request("PUT", "/notes")
        .header("Content-Encoding", "identity")
        .body("plain")
        .send()
        .is(204);
}

#[test]
fn a_body_without_a_length_in_http_1_0_empties_no_file() {
    let (server, ana) = photos();
    for target in ["/dav/notes", "/api/v1/files/content?path=notes"] {
        let mut connection = server.connect();
        let head = format!(
            "PUT {target} HTTP/1.0\r\nHost: {}\r\nAuthorization: {}\r\n\r\nnew",
            ana.host(),
            ana.authorization()
        );
        connection.write(head.as_bytes()).unwrap();
        connection.read_reply(false, "PUT").unwrap().is(411);
    }
    ana.holds("/notes", "kept");
}

#[test]
fn ranges_are_of_get_alone() {
    let (_server, ana) = photos();
    for range in ["bytes=0-1", "bytes=99-"] {
        for target in ["/dav/notes", "/api/v1/files/content?path=notes"] {
            let reply = ana
                .raw("HEAD", target)
                .header("Range", range)
                .send()
                .is(200);
            assert_eq!(
                reply.header("content-length"),
                Some("4"),
                "{target} {range}"
            );
        }
    }
}

#[test]
fn a_folder_is_judged_by_its_tag() {
    let (_server, ana) = photos();
    let etag = ana
        .propfind("/photos", "0")
        .multistatus()
        .only()
        .value("getetag")
        .to_owned();
    for method in ["GET", "HEAD"] {
        ana.request(method, "/photos")
            .header("If-Match", "\"x\"")
            .send()
            .is(412);
        ana.request(method, "/photos")
            .header("If-Match", &etag)
            .send()
            .is(200);
        ana.request(method, "/photos")
            .header("If-None-Match", &etag)
            .send()
            .is(304);
    }
}

#[test]
fn conditions_hold_for_locks_that_are_ended_or_prolonged() {
    let (_server, ana) = photos();
    let token = ana
        .lock("/notes")
        .send()
        .is(200)
        .header("lock-token")
        .unwrap()
        .to_owned();
    let own = format!("({token})");
    for (name, value) in [
        ("If", "([\"zz\"])".to_owned()),
        ("If", "(<urn:no>)".to_owned()),
        ("If-Match", "\"zz\"".to_owned()),
    ] {
        ana.request("UNLOCK", "/notes")
            .header("Lock-Token", &token)
            .header(name, value)
            .send()
            .is(412);
    }
    for value in [format!("({token} [\"zz\"])"), format!("(Not {token})")] {
        ana.request("LOCK", "/notes")
            .header("If", value)
            .send()
            .is(412);
    }
    ana.request("LOCK", "/notes")
        .header("If", &own)
        .header("If-Match", "\"zz\"")
        .send()
        .is(412);
    ana.request("LOCK", "/notes")
        .header("If", &own)
        .send()
        .is(200);
    ana.request("UNLOCK", "/notes")
        .header("Lock-Token", &token)
        .header("If", &own)
        .send()
        .is(204);
}

#[test]
fn a_checksum_is_held_to_or_refused() {
    let (_server, ana) = photos();
    ana.request("PUT", "/notes")
        .header("OC-Checksum", format!("SHA1:+0{}", "00".repeat(19)))
        .body("x")
        .send()
        .is(400);
    let patch = ana
        .request("PATCH", "/notes")
        .header("X-Update-Range", "bytes=0-0");
    let patch = patch.header("Content-Type", "application/x-sabredav-partialupdate");
    patch
        .header("OC-Checksum", format!("SHA1:{}", "00".repeat(20)))
        .body("x")
        .send()
        .is(400);
    ana.holds("/notes", "kept");
}

#[test]
fn a_password_is_the_same_in_both_forms_of_unicode() {
    let server = TestServer::start();
    let (composed, apart) = ("gr\u{fc}ne Wiese 77", "gru\u{308}ne Wiese 77");
    for (n, made) in [composed, apart].into_iter().enumerate() {
        let name = sarang::model::AccountName::parse(&format!("person{n}")).unwrap();
        server
            .block_on(server.app().auth.create(
                &name,
                made.as_bytes(),
                sarang::model::Role::User,
                None,
            ))
            .unwrap();
        for typed in [composed, apart] {
            server
                .stranger()
                .signed_in(name.as_str(), typed)
                .propfind("/", "0")
                .is(207);
        }
    }
}
