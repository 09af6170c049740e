//! PROPFIND: its three forms, what is asked and what is told, and folders of any size.

use crate::harness::{NAME, TestServer};
use std::fs;

#[test]
fn allprop_tells_the_live_properties() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "12345");
    let answer = ana.propfind("/", "1").multistatus();
    let (folder, file) = (&answer.responses[0], answer.at(NAME));
    assert_eq!((folder.href.as_str(), answer.responses.len()), ("/dav/", 2));
    assert_eq!(file.path(), format!("/dav{NAME}"));
    assert!(
        folder
            .find("resourcetype")
            .unwrap()
            .children
            .contains(&"{DAV:}collection".into())
    );
    assert!(file.find("resourcetype").unwrap().children.is_empty());
    assert_eq!(file.value("getcontentlength"), "5");
    for name in ["getetag", "getlastmodified", "creationdate"] {
        assert!(!file.value(name).is_empty(), "{name}");
    }
    assert!(!file.value("getcontenttype").is_empty());
    assert!(
        file.order.iter().all(|status| *status == 200),
        "allprop reports nothing as missing: {:?}",
        file.order
    );
}

#[test]
fn propname_gives_names_without_values() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "12345");
    ana.proppatch(
        NAME,
        "<D:set><D:prop><x:colour>blue</x:colour></D:prop></D:set>",
    )
    .send()
    .is(207);
    let body = r#"<propfind xmlns="DAV:"><propname/></propfind>"#;
    let answer = ana
        .request("PROPFIND", NAME)
        .header("Depth", "0")
        .xml(body)
        .send()
        .multistatus();
    let file = answer.only();
    for name in [
        "getetag",
        "getcontentlength",
        "resourcetype",
        "{http://example.org/x/}colour",
    ] {
        assert_eq!(file.value(name), "", "{name}");
    }
}

#[test]
fn depth_infinity_of_a_file_is_the_file() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "12345");
    let answer = ana.propfind(NAME, "infinity").multistatus();
    assert_eq!(answer.only().value("getcontentlength"), "5");
    ana.propfind("/nothing", "infinity").is(404);
}

#[test]
fn include_adds_to_allprop() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let body = r#"<propfind xmlns="DAV:"><allprop/><include><quota-used-bytes/><nonsense/></include></propfind>"#;
    let answer = ana
        .request("PROPFIND", "/")
        .header("Depth", "0")
        .xml(body)
        .send()
        .multistatus();
    let folder = answer.only();
    assert!(folder.value("quota-used-bytes").parse::<u64>().is_ok());
    assert!(!folder.value("getlastmodified").is_empty());
    assert_eq!(folder.status_of("nonsense"), 404);
}

#[test]
fn malformed_finds_are_400() {
    let server = TestServer::start();
    let ana = server.ana();
    let bodies = [
        "<",
        "<propfind/>",
        "<x xmlns='DAV:'/>",
        "<propfind xmlns='DAV:'/>",
        "<propfind xmlns='DAV:'><prop/><allprop/></propfind>",
        "<propfind xmlns='DAV:'><propname/><allprop/></propfind>",
        "<propfind xmlns='DAV:'><prop><bar:foo xmlns:bar=''/></prop></propfind>",
        "<propfind xmlns='DAV:'><prop><q:foo/></prop></propfind>",
        "<propfind xmlns='DAV:'><prop></propfind>",
        "<propfind xmlns='DAV:'><allprop/></propfind><second/>",
        "not xml",
    ];
    for body in bodies {
        ana.request("PROPFIND", "/")
            .header("Depth", "0")
            .xml(body)
            .send()
            .is(400);
    }
    ana.request("PROPFIND", "/")
        .header("Depth", "0")
        .xml(b"<propfind xmlns='DAV:'>\xff<allprop/></propfind>")
        .send()
        .is(400);
}

#[test]
fn odd_property_names_come_back_well_formed() {
    let server = TestServer::start();
    let ana = server.ana();
    let body = r#"<a:propfind xmlns:a="DAV:"><a:prop><none xmlns=""/><q:é xmlns:q="urn:&lt;&amp;&quot;"/><a:getetag/></a:prop></a:propfind>"#;
    let answer = ana
        .request("PROPFIND", "/")
        .header("Depth", "0")
        .xml(body)
        .send()
        .multistatus();
    assert_eq!(answer.only().status_of("{}none"), 404);
    assert_eq!(answer.only().status_of("{urn:<&\"}é"), 404);
}

#[test]
fn a_large_folder_is_told_whole() {
    const COUNT: usize = 10_000;
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/large").is(201);
    let folder = server.home("ana").join("large");
    for at in 0..COUNT {
        fs::write(folder.join(format!("é & {at}.txt")), "x").unwrap();
    }
    let reply = ana.propfind("/large", "1");
    let mut paths = reply.multistatus().paths();
    assert_eq!(paths[0], "/dav/large", "the folder itself comes first");
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), COUNT + 1);
    assert!(paths.contains(&"/dav/large/é & 9999.txt".into()));
    assert!(
        reply.body.len() / (COUNT + 1) < 900,
        "{} bytes an entry",
        reply.body.len() / (COUNT + 1)
    );
}

#[test]
fn what_is_hidden_is_not_told() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "x");
    ana.delete("/x").is(204);
    assert_eq!(ana.propfind("/", "1").multistatus().paths(), ["/dav"]);
    for hidden in [
        "/.sarang",
        "/.sarang/trash",
        "/.SARANG/tmp",
        "/.sar\u{200d}ang",
    ] {
        for method in ["GET", "HEAD", "PROPFIND", "OPTIONS", "DELETE", "UNLOCK"] {
            ana.request(method, hidden)
                .header("Depth", "0")
                .header("Lock-Token", "<urn:x>")
                .send()
                .is(404);
        }
        ana.transfer("COPY", hidden, "/stolen").send().is(404);
        ana.proppatch(hidden, "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
            .send()
            .is(404);
        ana.put(hidden, "x").is(400);
        ana.mkcol(hidden).is(400);
        ana.lock(hidden).send().is(400);
    }
    ana.lacks("/stolen");
    ana.propfind(&format!("/{}", "n".repeat(256)), "0").is(404);
    ana.raw("GET", "/dav/%zz").send().is(400);
}

#[test]
fn the_deepest_folder_that_is_listed_can_be_asked_for() {
    let server = TestServer::start();
    let ana = server.ana();
    let deepest = vec!["d"; 128].join("/");
    fs::create_dir_all(server.home("ana").join(&deepest)).unwrap();
    let parent = format!("/{}", vec!["d"; 127].join("/"));
    let child = format!("/dav/{deepest}");
    assert!(
        ana.propfind(&parent, "1")
            .multistatus()
            .paths()
            .contains(&child)
    );
    ana.propfind(&format!("/{deepest}"), "1").is(207);
    ana.put(&format!("/{deepest}/e"), "x").is(400);
}

#[test]
fn changes_beside_the_server_are_seen() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.propfind("/", "1").is(207);
    fs::write(server.home("ana").join("beside"), "x").unwrap();
    ana.holds("/beside", "x");
    assert_eq!(ana.propfind("/", "1").multistatus().paths().len(), 2);
    fs::remove_file(server.home("ana").join("beside")).unwrap();
    ana.lacks("/beside");
}

#[test]
fn what_a_put_stored_is_plain_on_disk() {
    let server = TestServer::start();
    server.ana().store(NAME, "plain");
    assert_eq!(
        fs::read_to_string(server.home("ana").join(&NAME[1..])).unwrap(),
        "plain"
    );
}

#[test]
fn accounts_do_not_see_each_other() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store(NAME, "of ana");
    ben.lacks(NAME);
    ben.store(NAME, "of ben");
    ana.holds(NAME, "of ana");
    ana.delete(NAME).is(204);
    ben.holds(NAME, "of ben");
}
