//! Rows 57-67: GET and HEAD.

use crate::harness::{NAME, TestServer};

#[test]
fn row_057_head_of_a_collection_is_200() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for path in ["/d", "/d/", "/"] {
        assert!(ana.head(path).is(200).body.is_empty());
    }
    ana.raw("HEAD", "/dav").send().is(200);
    ana.propfind("/", "0").is(207);
}

#[test]
fn row_058_errors_to_head_have_no_body() {
    let server = TestServer::start();
    let (ana, stranger) = (server.ana(), server.stranger());
    let mut connection = server.connect();
    for (client, status) in [(&ana, 404), (&stranger, 401)] {
        connection
            .exchange(client.request("HEAD", "/missing").bytes())
            .is(status);
        connection
            .exchange(ana.request("PROPFIND", "/").header("Depth", "0").bytes())
            .is(207);
    }
}

#[test]
fn row_062_a_range_with_if_match() {
    let server = TestServer::start();
    let ana = server.ana();
    let tag = ana
        .store(NAME, "0123456789")
        .header("etag")
        .unwrap()
        .to_owned();
    let get = |tag: &str| {
        ana.request("GET", NAME)
            .header("Range", "bytes=2-4")
            .header("If-Match", tag)
            .send()
    };
    assert_eq!(get(&tag).is(206).body, b"234");
    get("\"nope\"").is(412);
}

#[test]
fn row_063_ranges() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "0123456789");
    let get = |range: &str| ana.request("GET", NAME).header("Range", range).send();
    for (range, body, told) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let reply = get(range).is(206);
        assert_eq!(
            (reply.text().as_str(), reply.header("content-range")),
            (body, Some(told)),
            "{range}"
        );
    }
    for range in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        assert_eq!(
            get(range).is(416).header("content-range"),
            Some("bytes */10"),
            "{range}"
        );
    }
    for range in [
        "bytes=4-2",
        "lines=1-2",
        "bytes=x",
        "bytes=",
        "bytes=99999999999999999999-",
    ] {
        let reply = get(range).is_any(&[200, 416]);
        assert!(
            reply.status == 416 || reply.body == b"0123456789",
            "{range}"
        );
    }
    assert!(
        ana.request("HEAD", NAME)
            .header("Range", "bytes=0-0")
            .send()
            .is_any(&[200, 206])
            .body
            .is_empty()
    );
}

#[test]
fn row_063_an_empty_file_has_no_range() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "");
    let reply = ana
        .request("GET", NAME)
        .header("Range", "bytes=0-")
        .send()
        .is_any(&[200, 416]);
    assert!(reply.status == 416 || reply.body.is_empty());
    ana.holds(NAME, "");
}

#[test]
fn row_064_head_of_a_file_is_complete() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "12345");
    let reply = ana.head(NAME).is(200);
    assert_eq!(
        (
            reply.header("content-length"),
            reply.header("accept-ranges")
        ),
        (Some("5"), Some("bytes"))
    );
    assert!(
        reply.header("etag").unwrap().starts_with('"')
            && reply.header("last-modified").unwrap().ends_with(" GMT")
    );
}

#[test]
fn row_065_odd_headers_are_passed_over() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let request = ana
        .request("GET", NAME)
        .header("Depth", "0")
        .header("Referer", "x")
        .header("translate", "f");
    assert_eq!(request.header("X-MSDAVEXT", "1").send().is(200).body, b"x");
}

#[test]
fn row_066_a_known_etag_is_304() {
    let server = TestServer::start();
    let ana = server.ana();
    let tag = ana.store(NAME, "x").header("etag").unwrap().to_owned();
    assert!(
        ana.request("GET", NAME)
            .header("If-None-Match", tag)
            .send()
            .is(304)
            .body
            .is_empty()
    );
}

#[test]
fn row_067_get_of_a_collection_is_no_error_of_ours() {
    let server = TestServer::start();
    server.ana().mkcol("/d").is(201);
    for path in ["/", "/d", "/d/"] {
        server.ana().get(path).is_any(&[200, 405]);
    }
}
