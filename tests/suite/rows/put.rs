//! Rows 68-85: PUT.

use crate::harness::{NAME, TestServer};

#[test]
fn row_070_a_chunked_put_is_stored_whole() {
    let server = TestServer::start();
    let ana = server.ana();
    let body: Vec<u8> = (0..1_000_003_u32)
        .map(|i| u8::try_from(i % 253).unwrap())
        .collect();
    ana.request("PUT", NAME)
        .body(&body)
        .chunked()
        .send()
        .is(201);
    ana.holds(NAME, &body);
    ana.request("PUT", NAME).body("").chunked().send().is(204);
    ana.holds(NAME, "");
}

#[test]
fn row_069_a_wrong_expected_length_is_no_whole_upload() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.request("PUT", NAME)
        .header("X-Expected-Entity-Length", "5")
        .body("12345")
        .chunked()
        .send()
        .is(201);
    ana.holds(NAME, "12345");
    for wrong in ["99", "6", "4", "0", "five"] {
        ana.request("PUT", NAME)
            .header("X-Expected-Entity-Length", wrong)
            .body("other")
            .chunked()
            .send()
            .is(400);
        ana.request("PUT", "/new")
            .header("X-Expected-Entity-Length", wrong)
            .body("other")
            .chunked()
            .send()
            .is(400);
    }
    ana.holds(NAME, "12345");
    ana.lacks("/new");
}

#[test]
fn row_072_put_returns_validators_that_last() {
    let server = TestServer::start();
    let ana = server.ana();
    for status in [201, 204] {
        let put = ana.put(NAME, "x").is(status);
        let head = ana.head(NAME);
        for name in ["etag", "last-modified"] {
            assert!(put.header(name).is_some(), "{name} in {put}");
            assert_eq!(put.header(name), head.header(name));
        }
    }
}

#[test]
fn row_075_a_tagged_if_of_davfs2_is_accepted() {
    let server = TestServer::start();
    let ana = server.ana();
    let request = ana.lock(NAME).header("If-None-Match", "*");
    let token = request.send().is(201).token();
    let tagged = format!("<{}> (<{token}>)", ana.absolute(NAME));
    ana.request("PUT", NAME)
        .header("If", tagged)
        .body("x")
        .send()
        .is(204);
    ana.unlock(NAME, &token).is(204);
}

#[test]
fn row_077_a_token_without_if_is_accepted_or_423() {
    let server = TestServer::start();
    let ana = server.ana();
    let token = ana.lock(NAME).send().is(201).token();
    let reply = ana
        .request("PUT", NAME)
        .header("Lock-Token", format!("<{token}>"))
        .body("x")
        .send();
    assert!([204, 423].contains(&reply.status), "{reply}");
    let stale = "<urn:uuid:00000000-0000-4000-8000-000000000000>";
    ana.request("PUT", NAME)
        .header("Lock-Token", stale)
        .body("no")
        .send()
        .is_any(&[409, 412, 423]);
}

#[test]
fn row_080_gvfs_headers_on_put() {
    let server = TestServer::start();
    let ana = server.ana();
    let request = ana
        .request("PUT", NAME)
        .header("Overwrite", "T")
        .header("X-OC-Mtime", "981173106");
    let reply = request.body("x").send().is(201);
    assert_eq!(reply.header("x-oc-mtime"), Some("accepted"));
    assert_eq!(
        ana.head(NAME).header("last-modified"),
        Some("Sat, 03 Feb 2001 04:05:06 GMT")
    );
}

#[test]
fn row_081_a_part_is_never_stored_as_the_whole() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "whole");
    ana.request("PUT", NAME)
        .header("Content-Range", "bytes 0-0/5")
        .body("x")
        .send()
        .is_any(&[400, 501]);
    ana.holds(NAME, "whole");
}

#[test]
fn row_082_the_server_names_nobody_else() {
    let server = TestServer::start();
    let reply = server.ana().request("OPTIONS", "/").send().is(200);
    let name = reply.header("server").unwrap_or("");
    assert!(!name.contains("Apache") && !name.contains("IIS"), "{name}");
    if reply
        .header("dav")
        .unwrap()
        .contains("sabredav-partialupdate")
    {
        server.ana().store(NAME, "x");
        let patch = server
            .ana()
            .request("PATCH", NAME)
            .header("X-Update-Range", "append")
            .body("y")
            .send()
            .status;
        assert!(
            [200, 204, 400, 415].contains(&patch),
            "PATCH is promised: {patch}"
        );
    }
}

#[test]
fn row_085_a_put_on_a_collection_changes_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    for path in ["/d", "/d/", "/"] {
        ana.put(path, "no").is_any(&[405, 409]);
    }
    ana.holds("/d/f", "x");
    let status = ana.put("/new/", "x").status;
    assert!(
        (400..500).contains(&status),
        "a file has no trailing slash: {status}"
    );
}
