//! Rows 19-51: PROPFIND.

use crate::harness::{NAME, TestServer, url};

#[test]
fn row_019_no_body_is_allprop() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let answer = ana
        .request("PROPFIND", NAME)
        .header("Depth", "0")
        .header("Content-Length", "0")
        .send()
        .multistatus();
    assert_eq!(answer.only().value("getcontentlength"), "1");
}

#[test]
fn row_020_a_folder_without_slash_is_not_redirected() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for path in ["/d", "/d/"] {
        for depth in ["0", "1"] {
            assert_eq!(
                ana.propfind(path, depth).multistatus().only().path(),
                "/dav/d"
            );
        }
    }
    for method in ["HEAD", "OPTIONS"] {
        ana.request(method, "/d").send().is(200);
    }
    ana.proppatch("/d", "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
        .send()
        .is(207);
    let token = ana.lock("/d").send().is(200).token();
    ana.unlock("/d", &token).is(204);
    ana.delete("/d").is(204);
}

#[test]
fn row_022_a_missing_name_is_cheap() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.propfind("/", "0").is(207);
    let start = std::time::Instant::now();
    for at in 0..200 {
        ana.propfind(&format!("/._probe{at}"), "0").is(404);
    }
    assert!(
        start.elapsed().as_secs() < 4,
        "200 probes took {:?}: is every one hashed?",
        start.elapsed()
    );
}

#[test]
fn row_027_hrefs_are_encoded() {
    let server = TestServer::start();
    let ana = server.ana();
    let name = "/a b[c]{d}|e^f`g\"h<i>j%k#l?m;n+o&p'q文😀.txt";
    ana.store(name, "x");
    let answer = ana.propfind("/", "1").multistatus();
    let href = &answer.at(name).href;
    assert!(
        href.bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"[]{}|^`\"<>#?&".contains(&byte)),
        "{href}"
    );
    for code in ["%20", "%25", "%23", "%3F", "%5B", "%7C"] {
        assert!(href.contains(code), "{code} in {href}");
    }
}

#[test]
fn row_028_names_round_trip() {
    let server = TestServer::start();
    let ana = server.ana();
    for name in [
        "/100% sure",
        "/pct%20lit",
        "/hash#semi;",
        "/q?x=1",
        "/plus+plus",
        "/uni-ü-文件-😀",
        "/a&b",
        "/-",
        "/~",
    ] {
        ana.put(name, name).is(201);
        ana.holds(name, name);
        assert_eq!(
            ana.propfind(name, "0").multistatus().only().path(),
            format!("/dav{name}")
        );
        ana.delete(name).is(204);
    }
}

#[test]
fn row_029_found_properties_come_before_missing_ones() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let asked = r#"<D:nonsense/><D:getetag/><q:odd xmlns:q="urn:q"/><D:getcontentlength/>"#;
    let answer = ana.props(NAME, "0", asked).multistatus();
    let file = answer.only();
    assert_eq!(file.order, [200, 404]);
    assert_eq!(
        (
            file.status_of("getetag"),
            file.status_of("nonsense"),
            file.status_of("{urn:q}odd")
        ),
        (200, 404, 404)
    );
}

#[test]
fn row_030_only_unknown_properties_still_have_a_propstat() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    for path in [NAME, "/"] {
        let answer = ana
            .props(path, "0", r#"<q:odd xmlns:q="urn:q"/>"#)
            .multistatus();
        assert_eq!(answer.only().order, [404]);
        assert_eq!(
            answer.only().status,
            None,
            "a response has propstats or a status, not both"
        );
    }
}

#[test]
fn row_031_no_depth_is_answered_with_the_self_entry() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    for (path, own) in [("/", "/dav".to_owned()), (NAME, format!("/dav{NAME}"))] {
        assert_eq!(
            ana.request("PROPFIND", path).send().multistatus().paths()[0],
            own
        );
    }
}

#[test]
fn row_032_depth_1_on_a_file_is_one_response() {
    let server = TestServer::start();
    server.ana().store(NAME, "x");
    assert_eq!(
        server.ana().propfind(NAME, "1").multistatus().only().path(),
        format!("/dav{NAME}")
    );
}

#[test]
fn row_033_the_self_entry_is_first_and_once() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/a", "x");
    let paths = ana.propfind("/d", "1").multistatus().paths();
    assert_eq!(paths, ["/dav/d", "/dav/d/a"]);
}

#[test]
fn row_034_depth_infinity_is_refused_with_its_condition() {
    let server = TestServer::start();
    let reply = server.ana().propfind("/", "infinity").is(403);
    assert!(reply.text().contains("propfind-finite-depth"), "{reply}");
}

#[test]
fn row_035_noroot_lists_the_members() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let paths = ana.propfind("/", "1,noroot").multistatus().paths();
    assert!(paths.contains(&format!("/dav{NAME}")), "{paths:?}");
}

#[test]
fn row_036_collection_is_the_first_child_of_resourcetype() {
    let server = TestServer::start();
    let answer = server
        .ana()
        .props("/", "0", "<D:resourcetype/>")
        .multistatus();
    assert_eq!(
        answer.only().find("resourcetype").unwrap().children[0],
        "{DAV:}collection"
    );
}

#[test]
fn row_039_displayname_is_the_last_segment_or_absent() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let answer = ana.props(NAME, "0", "<D:displayname/>").multistatus();
    let name = answer.only().find("displayname").unwrap();
    assert!(name.status == 404 || name.text == NAME[1..], "{name:?}");
}

#[test]
fn row_041_supportedlock_tells_exclusive_write() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let answer = ana.props(NAME, "0", "<D:supportedlock/>").multistatus();
    let kinds = &answer.only().find("supportedlock").unwrap().children;
    for kind in [
        "lockentry",
        "lockscope",
        "exclusive",
        "shared",
        "locktype",
        "write",
    ] {
        assert!(
            kinds.contains(&format!("{{DAV:}}{kind}")),
            "{kind} in {kinds:?}"
        );
    }
}

#[test]
fn row_043_the_owner_comes_back_verbatim() {
    let server = TestServer::start();
    let ana = server.ana();
    let owners = [
        "<D:owner>plain &amp; text</D:owner>",
        "<D:owner><D:href>mailto:a@b</D:href></D:owner>",
    ];
    for (at, owner) in owners.into_iter().enumerate() {
        let path = format!("/{at}");
        let body = format!(
            r#"<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>{owner}</D:lockinfo>"#
        );
        ana.request("LOCK", &path).xml(body).send().is(201);
        let answer = ana.props(&path, "0", "<D:lockdiscovery/>").multistatus();
        let found = &answer.only().find("lockdiscovery").unwrap().xml;
        let content = owner
            .trim_start_matches("<D:owner>")
            .trim_end_matches("</D:owner>");
        let text = content
            .trim_start_matches("<D:href>")
            .trim_end_matches("</D:href>");
        assert!(found.contains(text), "{content} in {found}");
        assert_eq!(
            found.contains("href>mailto"),
            content.contains("<D:href>"),
            "{found}"
        );
    }
}

#[test]
fn row_044_the_etag_is_one_string_everywhere() {
    let server = TestServer::start();
    let ana = server.ana();
    let put = ana.store(NAME, "x").header("etag").unwrap().to_owned();
    let asked = ana.props(NAME, "0", "<D:getetag/>").multistatus();
    assert!(put.starts_with('"') && put.ends_with('"'));
    assert_eq!(asked.only().value("getetag"), put);
    assert_eq!(ana.get(NAME).header("etag"), Some(put.as_str()));
    assert_eq!(ana.head(NAME).header("etag"), Some(put.as_str()));
}

#[test]
fn row_046_malformed_xml_is_400() {
    let server = TestServer::start();
    server
        .ana()
        .request("PROPFIND", "/")
        .header("Depth", "0")
        .xml("<propfind")
        .send()
        .is(400);
}

#[test]
fn row_047_an_entry_takes_few_bytes() {
    let server = TestServer::start();
    let ana = server.ana();
    for at in 0..20 {
        ana.store(&format!("/picture {at}.jpg"), "x");
    }
    let asked =
        "<D:resourcetype/><D:getcontentlength/><D:getlastmodified/><D:creationdate/><D:getetag/>";
    let reply = ana.props("/", "1", asked).is(207);
    assert!(
        reply.body.len() / 21 <= 500,
        "{} bytes an entry",
        reply.body.len() / 21
    );
}

#[test]
fn row_048_the_type_and_status_lines_are_exact() {
    let server = TestServer::start();
    let reply = server.ana().propfind("/", "0");
    assert_eq!(
        reply.header("content-type"),
        Some("application/xml; charset=utf-8")
    );
    assert!(reply.text().contains(">HTTP/1.1 200 OK<"), "{reply}");
}

#[test]
fn row_049_there_is_one_prefix_and_no_white_space() {
    let server = TestServer::start();
    server.ana().store(NAME, "x");
    let text = server.ana().propfind("/", "1").text();
    assert_eq!(
        text.matches("=\"DAV:\"").count(),
        1,
        "DAV: is bound once: {text}"
    );
    let body = text
        .split_once("?>")
        .map_or(text.as_str(), |(_, rest)| rest)
        .trim();
    assert!(!body.contains(">\n") && !body.contains("> <"), "{body}");
}

#[test]
fn row_050_double_slashes_dots_and_queries_change_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    for target in [
        "/dav//d//f",
        "/dav/./d/./f",
        "/dav/d/f?unknown=1",
        "/dav/d/x/../f",
        "/dav/d/%66",
    ] {
        assert_eq!(ana.raw("GET", target).send().is(200).body, b"x", "{target}");
        ana.raw("PROPFIND", target)
            .header("Depth", "0")
            .send()
            .is(207);
    }
    let name = url(NAME);
    assert!(name.contains("%20") && name.contains("%25"));
}
