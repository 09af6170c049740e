//! Rows 124-130: names, errors, housekeeping.

use crate::harness::{NAME, TestServer};
use std::fs;

#[test]
fn row_124_decomposed_and_composed_names_are_one() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/u\u{308}").is(201);
    ana.put("/\u{fc}/f", "x").is(201);
    ana.holds("/u\u{308}/f", "x");
    ana.mkcol("/\u{fc}").is(405);
    assert_eq!(ana.propfind("/", "1").multistatus().paths().len(), 2);
}

#[test]
fn row_125_names_made_by_others_are_listed() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    for name in ["a\\b", "a:b*?\"<>|", "dot.", "space ", "CON", "nul.txt"] {
        fs::write(server.home("ana").join(name), "x").unwrap();
        ana.holds(&format!("/{name}"), "x");
    }
    assert_eq!(ana.propfind("/", "1").multistatus().paths().len(), 8);
}

#[test]
fn row_127_a_refused_name_is_not_423() {
    let server = TestServer::start();
    server.ana().put("/.sarang", "x").is(400);
    server.ana().delete("/").is(403);
}

#[test]
fn row_128_a_connection_serves_many_requests_without_cookies() {
    let server = TestServer::start();
    let request = server
        .ana()
        .request("PROPFIND", "/")
        .header("Depth", "0")
        .bytes();
    let mut connection = server.connect();
    for _ in 0..50 {
        let reply = connection.exchange(&request).is(207);
        assert!(reply.header("set-cookie").is_none());
    }
    assert!(sarang::config::Config::default().server.keep_alive >= 60);
}

#[test]
fn row_130_spotlight_probes_are_answered() {
    let server = TestServer::start();
    for probe in ["/.metadata_never_index", "/.ql_disablethumbnails"] {
        server.ana().propfind(probe, "0").is_any(&[207, 404]);
    }
}
