//! PROPPATCH, modification times, and partial updates.

use crate::harness::{NAME, TestServer};

const X: &str = "{http://example.org/x/}";
const COLOUR: &str = "<x:colour xmlns:x=\"http://example.org/x/\"/>";

#[test]
fn dead_properties_are_kept_as_sent() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let value = r#"<x:colour xml:lang="de"><x:deep a="1">bl&#228;u &amp; <y xmlns="urn:y">&lt;</y></x:deep></x:colour>"#;
    let set = format!("<D:set><D:prop>{value}</D:prop></D:set>");
    let reply = ana.proppatch(NAME, &set).send().multistatus();
    assert_eq!(reply.only().status_of(&format!("{X}colour")), 200);
    let look = || {
        ana.props(NAME, "0", COLOUR)
            .multistatus()
            .only()
            .find(&format!("{X}colour"))
            .map(|p| p.xml.clone())
    };
    let kept = look().unwrap();
    let document = roxmltree::Document::parse(&kept).expect("it declares every namespace it uses");
    let deep = document.root_element().first_element_child().unwrap();
    assert_eq!(
        (deep.attribute("a"), deep.text()),
        (Some("1"), Some("bl\u{e4}u & "))
    );
    let inner = deep.first_element_child().unwrap();
    assert_eq!(
        (inner.tag_name().namespace(), inner.text()),
        (Some("urn:y"), Some("<"))
    );
    assert_eq!(
        document
            .root_element()
            .attribute((roxmltree::NS_XML_URI, "lang")),
        Some("de")
    );
    ana.proppatch(NAME, "<D:remove><D:prop><x:colour/></D:prop></D:remove>")
        .send()
        .is(207);
    assert_eq!(
        ana.props(NAME, "0", COLOUR)
            .multistatus()
            .only()
            .status_of(&format!("{X}colour")),
        404
    );
}

#[test]
fn property_changes_happen_in_order() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let steps = "<D:set><D:prop><x:colour>1</x:colour></D:prop></D:set><D:remove><D:prop><x:colour/></D:prop></D:remove>\
                 <D:set><D:prop><x:colour>2</x:colour></D:prop></D:set>";
    ana.proppatch(NAME, steps).send().is(207);
    assert_eq!(
        ana.props(NAME, "0", COLOUR)
            .multistatus()
            .only()
            .value(&format!("{X}colour")),
        "2"
    );
}

#[test]
fn property_changes_are_all_or_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let steps = "<D:set><D:prop><x:colour>1</x:colour><D:getetag>mine</D:getetag></D:prop></D:set>";
    let answer = ana.proppatch(NAME, steps).send().multistatus();
    assert_eq!(answer.only().status_of("getetag"), 403);
    assert_eq!(answer.only().status_of(&format!("{X}colour")), 424);
    assert_eq!(
        ana.props(NAME, "0", COLOUR)
            .multistatus()
            .only()
            .status_of(&format!("{X}colour")),
        404
    );
}

#[test]
fn properties_survive_a_put_and_a_restart() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    ana.proppatch(
        NAME,
        "<D:set><D:prop><x:colour>blue</x:colour></D:prop></D:set>",
    )
    .send()
    .is(207);
    ana.store(NAME, "2");
    drop(ana);
    let server = server.restart();
    let ana = server.ana();
    assert_eq!(
        ana.props(NAME, "0", COLOUR)
            .multistatus()
            .only()
            .value(&format!("{X}colour")),
        "blue"
    );
    ana.holds(NAME, "2");
}

#[test]
fn too_many_properties_are_507() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let mut refused = false;
    for at in 0..100 {
        let set = format!(
            "<D:set><D:prop><x:p{at}>{}</x:p{at}></D:prop></D:set>",
            "v".repeat(4_000)
        );
        let reply = ana.proppatch(NAME, &set).send();
        let status = if reply.status == 207 {
            reply.multistatus().only().props[0].status
        } else {
            reply.status
        };
        assert!([200, 507].contains(&status), "{reply}");
        refused |= status == 507;
    }
    assert!(refused, "400 KB of properties on one file were accepted");
    ana.holds(NAME, "1");
    ana.propfind("/", "1").is(207);
}

#[test]
fn x_oc_mtime_sets_the_time() {
    let server = TestServer::start();
    let ana = server.ana();
    let put = |value: &str| {
        ana.request("PUT", NAME)
            .header("X-OC-Mtime", value)
            .body("x")
            .send()
    };
    let reply = put("981173106").is(201);
    assert_eq!(reply.header("x-oc-mtime"), Some("accepted"));
    assert_eq!(
        ana.head(NAME).header("last-modified"),
        Some("Sat, 03 Feb 2001 04:05:06 GMT")
    );
    assert_eq!(reply.header("etag"), ana.head(NAME).header("etag"));
    for decimal in ["981173106.0", "981173106.987654321"] {
        put(decimal).is(204);
        assert_eq!(
            ana.head(NAME).header("last-modified"),
            Some("Sat, 03 Feb 2001 04:05:06 GMT")
        );
    }
    let etag = ana.head(NAME).header("etag").unwrap().to_owned();
    for odd in [
        "1.7e9",
        "+5",
        "0x5",
        "5.",
        ".5",
        "5.x",
        "5 6",
        "1,5",
        "1_000",
        "--5",
        "-",
        "5s",
        "nonsense",
        "",
        "99999999999999999999999",
    ] {
        put(odd).is(400);
        let api = ana
            .raw(
                "PUT",
                "/api/v1/files/content?path=fi%20le%24%25%3C%3E%C3%A9.txt",
            )
            .header("X-OC-Mtime", odd);
        api.body("x").send().is(400);
        let set = format!("<D:set><D:prop><D:lastmodified>{odd}</D:lastmodified></D:prop></D:set>");
        if !odd.is_empty() {
            let answer = ana.proppatch(NAME, &set).send().multistatus();
            assert_ne!(answer.only().status_of("lastmodified"), 200, "{odd}");
        }
    }
    ana.request("PUT", NAME)
        .header("X-OC-Mtime", "5")
        .header("X-OC-Mtime", "6")
        .body("x")
        .send()
        .is(400);
    assert_eq!(ana.head(NAME).header("etag"), Some(&*etag));
}

#[test]
fn lastmodified_sets_the_time() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let set = "<D:set><D:prop><D:lastmodified>981173106</D:lastmodified></D:prop></D:set>";
    let answer = ana.proppatch(NAME, set).send().multistatus();
    assert_eq!(answer.only().status_of("lastmodified"), 200);
    assert_eq!(
        ana.head(NAME).header("last-modified"),
        Some("Sat, 03 Feb 2001 04:05:06 GMT")
    );
}

#[test]
fn patch_updates_a_part() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "0123456789");
    let patch = |range: &str, body: &str| {
        let request = ana
            .request("PATCH", NAME)
            .header("Content-Type", "application/x-sabredav-partialupdate");
        request.header("X-Update-Range", range).body(body).send()
    };
    patch("bytes=2-4", "abc").is_any(&[200, 204]);
    ana.holds(NAME, "01abc56789");
    patch("append", "Z").is_any(&[200, 204]);
    ana.holds(NAME, "01abc56789Z");
    patch("bytes=-1", "Y").is_any(&[200, 204]);
    ana.holds(NAME, "01abc56789Y");
    patch("bytes=10-", "XY").is_any(&[200, 204]);
    ana.holds(NAME, "01abc56789XY");
    for range in ["bytes=4-2", "bytes=0-1", "lines=1-2", ""] {
        let status = patch(range, "abc").status;
        assert!((400..500).contains(&status), "{range}: {status}");
    }
    let request = ana
        .request("PATCH", NAME)
        .header("X-Update-Range", "append");
    request
        .header("Content-Type", "text/plain")
        .body("x")
        .send()
        .is(415);
    ana.holds(NAME, "01abc56789XY");
}

#[test]
fn patch_keeps_to_locks_and_conditions() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "0123456789");
    let patch = |name: &str, value: &str| {
        let request = ana
            .request("PATCH", NAME)
            .header("Content-Type", "application/x-sabredav-partialupdate");
        request
            .header("X-Update-Range", "append")
            .header(name, value)
            .body("X")
            .send()
    };
    patch("If-Match", "\"nope\"").is(412);
    let token = ana.lock(NAME).send().is(200).token();
    patch("X-Unused", "1").is(423);
    ana.holds(NAME, "0123456789");
    patch("If", &format!("(<{token}>)")).is_any(&[200, 204]);
    ana.holds(NAME, "0123456789X");
}
