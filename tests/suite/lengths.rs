//! Uploads that end properly and bring fewer or more bytes than announced, as proxies make them that drop bodies: 400, and nothing
//! has changed. Every way to write, every header that announces.

use crate::harness::{Client, NAME, Reply, TestServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const EXPECTED: &str = "X-Expected-Entity-Length";
const FORM: &str =
    "--x\r\nContent-Disposition: form-data; name=f; filename=old\r\n\r\nother\r\n--x--\r\n";

/// A way to write over `/old`, with what was announced for the body; in chunks, unless its length is to be told, too.
type Way = fn(&Client, (&str, &str), bool) -> Reply;

fn put(client: &Client, (name, value): (&str, &str), framed: bool) -> Reply {
    let request = client
        .request("PUT", "/old")
        .header(name, value)
        .body("other");
    if framed {
        request.send()
    } else {
        request.chunked().send()
    }
}

/// In chunks it is always refused.
fn patch(client: &Client, (name, value): (&str, &str), _framed: bool) -> Reply {
    let request = client
        .request("PATCH", "/old")
        .header("Content-Type", "application/x-sabredav-partialupdate");
    request
        .header("X-Update-Range", "append")
        .header(name, value)
        .body("other")
        .send()
}

fn api_put(client: &Client, (name, value): (&str, &str), framed: bool) -> Reply {
    let request = client
        .raw("PUT", "/api/v1/files/content?path=old")
        .header(name, value)
        .body("other");
    if framed {
        request.send()
    } else {
        request.chunked().send()
    }
}

fn form(client: &Client, (name, value): (&str, &str), framed: bool) -> Reply {
    let request = client.raw("POST", "/api/v1/files?overwrite=true");
    let request = request
        .header("Content-Type", "multipart/form-data; boundary=x")
        .header(name, value)
        .body(FORM);
    if framed {
        request.send()
    } else {
        request.chunked().send()
    }
}

const WAYS: [(&str, Way, usize); 4] = [
    ("PUT", put, 5),
    ("PATCH", patch, 5),
    ("API", api_put, 5),
    ("form", form, FORM.len()),
];

#[test]
fn another_length_than_announced_is_400_and_changes_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/old", "before");
    let etag = ana.head("/old").header("etag").unwrap().to_owned();
    for (way, write, len) in WAYS {
        for wrong in [len + 94, len - 1, 0, len + 1] {
            for framed in [false, true] {
                let reply = write(&ana, (EXPECTED, &wrong.to_string()), framed);
                assert_eq!(
                    reply.status, 400,
                    "{way} of {wrong} bytes, framed: {framed}: {reply}"
                );
                assert_eq!(
                    ana.head("/old").header("etag"),
                    Some(&*etag),
                    "{way} of {wrong} bytes, framed: {framed}"
                );
            }
        }
        for malformed in [
            "+5",
            "5.0",
            "-5",
            "0x5",
            "",
            "5,5",
            "five",
            "1e1",
            "99999999999999999999999",
        ] {
            write(&ana, (EXPECTED, malformed), false).is(400);
            write(&ana, (EXPECTED, malformed), true).is(400);
        }
        ana.holds("/old", "before");
    }
    assert!(server.staged("ana").is_empty());
    let twice = ana
        .request("PUT", "/old")
        .header(EXPECTED, "5")
        .header(EXPECTED, "9")
        .body("other")
        .chunked();
    twice.send().is(400);
    for wrong in ["99", "4", "0", "+5"] {
        put(&ana, ("OC-Total-Length", wrong), false).is(400);
        put(&ana, ("OC-Total-Length", wrong), true).is(400);
    }
    let both = ana
        .request("PUT", "/old")
        .header(EXPECTED, "5")
        .header("OC-Total-Length", "6")
        .body("other")
        .chunked();
    both.send().is(400);
    ana.holds("/old", "before");
    for (way, write, len) in WAYS {
        let reply = write(&ana, (EXPECTED, &len.to_string()), way == "API");
        assert!(reply.status < 300, "{way}: {reply}");
    }
    put(&ana, ("OC-Total-Length", "5"), true).is(204);
    put(&ana, ("OC-Total-Length", "5"), false).is(204);
    ana.holds("/old", "other");
}

#[test]
fn a_body_that_was_dropped_whole_makes_no_file() {
    let server = TestServer::start();
    let ana = server.ana();
    for framed in [true, false] {
        let request = ana.request("PUT", NAME).header(EXPECTED, "99").body("");
        let reply = if framed {
            request.send()
        } else {
            request.chunked().send()
        };
        reply.is(400);
        ana.lacks(NAME);
    }
    ana.request("PUT", NAME)
        .header(EXPECTED, "0")
        .body("")
        .chunked()
        .send()
        .is(201);
    ana.holds(NAME, "");
    let body: Vec<u8> = (0..1_000_003_u32)
        .map(|i| u8::try_from(i % 253).unwrap())
        .collect();
    for (wrong, status) in [("1000004", 400), ("1000002", 400), ("1000003", 204)] {
        ana.request("PUT", NAME)
            .header(EXPECTED, wrong)
            .body(&body)
            .chunked()
            .send()
            .is(status);
        ana.holds(NAME, if status == 400 { &[] } else { &body[..] });
    }
    let mut connection = server.connect();
    let head = format!(
        "PUT /dav/cut HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: 99\r\n\r\nshort",
        ana.host(),
        ana.authorization()
    );
    connection.write(head.as_bytes()).unwrap();
    drop(connection);
    ana.lacks("/cut");
}

/// tus keeps parts, so that a short one is no loss: the file shows when all of `Upload-Length` has come. A part that says how long it
/// is, is held to that.
#[test]
fn an_upload_in_parts_shows_when_all_of_it_has_come() {
    let server = TestServer::start();
    let ana = server.ana();
    let tus = |method: &str, at: &str| ana.raw(method, at).header("Tus-Resumable", "1.0.0");
    let begin = tus("POST", "/api/v1/uploads").header("Upload-Length", "99");
    let begin = begin
        .header(
            "Upload-Metadata",
            format!("path {}", STANDARD.encode("tus")),
        )
        .body("");
    let at = begin.send().is(201).header("location").unwrap().to_owned();
    let part = |offset: &str| {
        let request = tus("PATCH", &at).header("Upload-Offset", offset);
        request
            .header("Content-Type", "application/offset+octet-stream")
            .chunked()
    };
    let offset = || {
        tus("HEAD", &at)
            .send()
            .is(200)
            .header("upload-offset")
            .unwrap()
            .to_owned()
    };
    part("0")
        .header(EXPECTED, "99")
        .body("short")
        .send()
        .is(400);
    part("0")
        .header(EXPECTED, "4")
        .body("longer")
        .send()
        .is(400);
    assert_eq!(offset(), "0");
    part("0").body("short").send().is(204);
    ana.lacks("/tus");
    part("5").body("x".repeat(95)).send().is(413);
    assert_eq!(offset(), "5");
    ana.lacks("/tus");
    part("5")
        .header(EXPECTED, "94")
        .body("x".repeat(94))
        .send()
        .is(204);
    assert_eq!(ana.get("/tus").is(200).body.len(), 99);
}
