//! Requests that killed, robbed or fooled servers of this class (A1-A22), each with the outcome it must have here.

use crate::harness::{LOCK_BODY, NAME, TestServer, poll, url};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

#[test]
fn a01_nested_xml_is_refused_and_kills_nobody() {
    let server = TestServer::start();
    let ana = server.ana();
    for (method, levels) in [
        ("PROPFIND", 2_500),
        ("PROPPATCH", 2_500),
        ("LOCK", 2_500),
        ("PROPFIND", 200),
    ] {
        let body = format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        ana.request(method, "/")
            .header("Depth", "0")
            .xml(body)
            .send()
            .is(400);
    }
    let body = format!("{}{}", "<a>".repeat(60_000), "</a>".repeat(60_000));
    ana.request("PROPFIND", "/")
        .header("Depth", "0")
        .xml(body)
        .send()
        .is_any(&[400, 413]);
    ana.propfind("/", "0").is(207);
}

#[test]
fn a02_root_lock_and_unlock_leave_the_server_working() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let token = ana
        .request("LOCK", "/")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    ana.put(NAME, "x").is(423);
    ben.put(NAME, "x").is(201);
    ana.unlock("/", &token).is(204);
    ana.put(NAME, "x").is(201);
    ana.propfind("/", "1").is(207);
    ana.delete(NAME).is(204);
}

#[test]
fn a03_a_lock_ends_when_its_time_is_over() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "old");
    let lock = ana
        .request("LOCK", NAME)
        .header("Depth", "0")
        .header("Timeout", "Second-1")
        .xml(LOCK_BODY)
        .send()
        .is(200);
    assert!(
        lock.text().contains("Second-1<"),
        "the grant is at most what was asked: {lock}"
    );
    let freed = poll(Duration::from_secs(10), || {
        ana.put(NAME, "new").status == 204
    });
    assert!(freed, "the lock never ends");
    let stale = format!("(<{}>)", lock.token());
    ana.request("PUT", NAME)
        .header("If", stale)
        .body("by a dead lock")
        .send()
        .is(412);
    ana.holds(NAME, "new");
}

#[test]
fn a03_grants_are_capped() {
    let server = TestServer::with(|config| config.locks.max_timeout = 100);
    let ana = server.ana();
    for (at, asked) in [
        "Infinite",
        "Second-4100000000",
        "Infinite, Second-4100000000",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{at}");
        let reply = ana
            .request("LOCK", &path)
            .header("Timeout", asked)
            .xml(LOCK_BODY)
            .send()
            .is(201);
        let granted = reply
            .text()
            .split("Second-")
            .nth(1)
            .and_then(|rest| rest.split('<').next()?.parse::<u64>().ok());
        assert!(
            granted.is_some_and(|seconds| seconds <= 100),
            "{asked}: {reply}"
        );
    }
}

#[test]
fn a04_locks_are_limited_by_account_and_by_resource() {
    let server = TestServer::with(|config| {
        config.locks.per_account = 5;
        config.locks.per_resource = 2;
    });
    let (ana, ben) = (server.ana(), server.ben());
    let shared = LOCK_BODY.replace("exclusive", "shared");
    ana.request("LOCK", "/shared").xml(&shared).send().is(201);
    ana.request("LOCK", "/shared").xml(&shared).send().is(200);
    ana.request("LOCK", "/shared")
        .xml(&shared)
        .send()
        .is_any(&[429, 507]);
    for at in 0..3 {
        ana.lock(&format!("/{at}")).send().is(201);
    }
    ana.lock("/one too many").send().is_any(&[429, 507]);
    ana.lacks("/one too many");
    ben.lock("/0").send().is(201);
}

#[test]
fn a05_moving_or_copying_a_child_onto_its_ancestor_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    family(&server);
    for method in ["MOVE", "COPY"] {
        for target in ["/a", "/a/"] {
            ana.transfer(method, "/a/b", target)
                .send()
                .is_any(&[403, 409]);
            ana.transfer(method, "/a/b/file", target)
                .send()
                .is_any(&[403, 409]);
        }
        ana.transfer(method, "/a/b", "/").send().is_any(&[403, 409]);
    }
    family_is_whole(&server);
}

#[test]
fn a06_moving_or_copying_an_ancestor_onto_or_into_its_child_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    family(&server);
    for method in ["MOVE", "COPY"] {
        for target in ["/a/b", "/a/b/", "/a/new", "/a/b/file", "/a"] {
            ana.transfer(method, "/a", target)
                .send()
                .is_any(&[403, 409]);
        }
        ana.transfer(method, "/", "/a/b").send().is_any(&[403, 409]);
    }
    family_is_whole(&server);
}

fn family(server: &TestServer) {
    let ana = server.ana();
    ana.mkcol("/a").is(201);
    ana.mkcol("/a/b").is(201);
    ana.store("/a/b/file", "precious");
    ana.store("/a/sibling", "also precious");
}

#[track_caller]
fn family_is_whole(server: &TestServer) {
    let ana = server.ana();
    ana.holds("/a/b/file", "precious");
    ana.holds("/a/sibling", "also precious");
    let mut names = ana.propfind("/a", "1").multistatus().paths();
    names.sort();
    assert_eq!(names, ["/dav/a", "/dav/a/b", "/dav/a/sibling"]);
}

#[test]
fn a07_a_refused_overwrite_has_not_touched_the_target() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/from").is(201);
    ana.store("/from/new", "new");
    ana.mkcol("/to").is(201);
    ana.store("/to/old", "old");
    ana.lock("/to").header("X-Unused", "1").send().is(200);
    for method in ["MOVE", "COPY"] {
        ana.transfer(method, "/from", "/to").send().is(423);
        ana.transfer(method, "/missing", "/to")
            .send()
            .is_any(&[404, 423]);
    }
    ana.holds("/to/old", "old");
    ana.holds("/from/new", "new");
}

#[test]
fn a07_an_overwrite_replaces_the_whole_tree() {
    let server = TestServer::start();
    let ana = server.ana();
    for method in ["COPY", "MOVE"] {
        ana.mkcol("/from").is_any(&[201, 405]);
        ana.store("/from/new", "new");
        ana.delete("/to");
        ana.mkcol("/to").is(201);
        ana.store("/to/old", "old");
        ana.transfer(method, "/from", "/to").send().is(204);
        ana.holds("/to/new", "new");
        ana.lacks("/to/old");
    }
    ana.lacks("/from");
}

#[test]
fn a08_a_destination_elsewhere_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let port = server.address().port();
    for elsewhere in [
        "http://evil.example/dav/x",
        "//evil.example/dav/x",
        &format!("http://127.0.0.1.evil.example:{port}/dav/x"),
    ] {
        for method in ["MOVE", "COPY"] {
            ana.request(method, NAME)
                .header("Destination", elsewhere)
                .send()
                .is_any(&[400, 502]);
        }
    }
    ana.request("MOVE", NAME)
        .header("Destination", "http://evil.example/dav/x")
        .send()
        .is(502);
    ana.holds(NAME, "x");
    ana.lacks("/x");
}

#[test]
fn a10_many_ranges_never_multiply_the_file() {
    let server = TestServer::start();
    let ana = server.ana();
    let content: Vec<u8> = (0..100_000_u32)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    ana.store(NAME, &content);
    let many = format!("bytes=0-{}", ",0-".repeat(1_299));
    let scattered: Vec<String> = (0..1_300)
        .map(|i| format!("{}-{}", i * 70, i * 70 + 1))
        .collect();
    for ranges in [
        many,
        format!("bytes={}", scattered.join(",")),
        "bytes=0-99999,0-99999".into(),
    ] {
        let reply = ana.request("GET", NAME).header("Range", ranges).send();
        let reply = reply.is_any(&[200, 206, 416, 431]);
        assert!(
            reply.body.len() <= content.len() + 4096,
            "{} bytes for a file of 100,000",
            reply.body.len()
        );
        assert!(
            reply.status != 200 || reply.body == content,
            "a 200 is the whole file"
        );
    }
    let two = ana
        .request("GET", NAME)
        .header("Range", "bytes=0-9,20-29")
        .send()
        .is_any(&[200, 206]);
    assert!(two.status != 200 || two.body == content);
}

#[test]
fn a11_a_file_cut_while_it_is_read_ends_the_connection() {
    const LEN: u64 = 256 << 20;
    let server = TestServer::start();
    let ana = server.ana();
    let path = server.home("ana").join("big");
    ana.store("/big", "");
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(LEN)
        .unwrap();
    let mut connection = server.connect();
    connection
        .write(ana.request("GET", "/big").bytes())
        .unwrap();
    let head = connection.read_head("GET /big").unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("268435456"))
    );
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(10)
        .unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut received = 0;
    while let Ok(count @ 1..) = connection.read_some(&mut buffer) {
        received += count as u64;
    }
    assert!(
        received < LEN,
        "{received} bytes came: the missing ones were invented"
    );
    ana.holds("/big", [0; 10]);
}

#[test]
fn a12_special_files_do_not_exist() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/plain", "x");
    mknodat(
        CWD,
        server.home("ana").join("pipe"),
        FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .unwrap();
    ana.get("/pipe").is(404);
    ana.propfind("/pipe", "0").is(404);
    assert_eq!(
        ana.propfind("/", "1").multistatus().paths().len(),
        2,
        "the folder and /plain"
    );
    assert!(
        ana.put("/pipe", "x").status >= 400,
        "a PUT replaces no special file"
    );
    ana.get("/plain").is(200);
}

#[test]
fn a13_symlinks_lead_nowhere() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/plain", "x");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let home = server.home("ana");
    symlink(outside.path().join("secret"), home.join("file")).unwrap();
    symlink(outside.path(), home.join("folder")).unwrap();
    symlink(outside.path().join("fresh"), home.join("dangling")).unwrap();
    symlink("plain", home.join("inside")).unwrap();
    for path in ["/file", "/folder", "/folder/secret", "/dangling", "/inside"] {
        ana.get(path).is(404);
        ana.propfind(path, "0").is(404);
    }
    for path in ["/dangling", "/file", "/folder/fresh", "/folder/secret"] {
        assert!(ana.put(path, "evil").status >= 400, "{path}");
    }
    assert!(ana.delete("/folder/secret").status >= 400);
    assert!(
        ana.transfer("COPY", "/plain", "/folder/fresh")
            .send()
            .status
            >= 400
    );
    assert!(ana.mkcol("/folder/sub").status >= 400);
    assert_eq!(
        fs::read_to_string(outside.path().join("secret")).unwrap(),
        "secret"
    );
    assert_eq!(
        fs::read_dir(outside.path()).unwrap().count(),
        1,
        "nothing was made outside"
    );
    assert_eq!(
        ana.propfind("/", "1").multistatus().paths().len(),
        2,
        "the folder and /plain"
    );
}

#[test]
fn a13_deleting_a_folder_does_not_follow_symlinks_in_it() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), server.home("ana").join("d/link")).unwrap();
    ana.transfer("COPY", "/d", "/e").send().is(201);
    ana.delete("/d").is(204);
    ana.delete("/e").is(204);
    assert_eq!(
        fs::read_to_string(outside.path().join("secret")).unwrap(),
        "secret"
    );
}

#[test]
fn a14_a_put_breaks_hard_links() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/one", "shared");
    let home = server.home("ana");
    fs::hard_link(home.join("one"), home.join("two")).unwrap();
    ana.put("/one", "changed").is(204);
    ana.holds("/two", "shared");
    assert_eq!(fs::metadata(home.join("one")).unwrap().nlink(), 1);
    // The old content keeps the name that was made beside the server, and the one among the versions.
    assert_eq!(fs::metadata(home.join("two")).unwrap().nlink(), 2);
    assert_ne!(
        fs::metadata(home.join("one")).unwrap().ino(),
        fs::metadata(home.join("two")).unwrap().ino()
    );
}

#[test]
fn a15_no_request_writes_beyond_the_end() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "whole");
    ana.request("PUT", NAME)
        .header("Content-Range", "bytes 1099511627776-1099511627776/*")
        .body("x")
        .send()
        .is(400);
    ana.request("PUT", "/new")
        .header("Content-Range", "bytes 0-0/1")
        .body("x")
        .send()
        .is(400);
    let patch = |range: &str| {
        let request = ana
            .request("PATCH", NAME)
            .header("Content-Type", "application/x-sabredav-partialupdate");
        request
            .header("X-Update-Range", range)
            .body("x")
            .send()
            .status
    };
    for range in [
        "bytes=1099511627776-1099511627776",
        "bytes=18446744073709551615-",
        "bytes=-99",
        "bytes=6-6",
        "bytes=0-18446744073709551615",
    ] {
        let status = patch(range);
        assert!((400..500).contains(&status), "{range}: {status}");
    }
    ana.holds(NAME, "whole");
    ana.lacks("/new");
}

#[test]
fn a16_a_doctype_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>"#;
    let xxe = r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>"#;
    ana.store(NAME, "x");
    for (doctype, entity) in [(bomb, "&b;"), (xxe, "&x;"), ("<!DOCTYPE html>", "")] {
        let find = format!(
            r#"{doctype}<propfind xmlns="DAV:"><prop><getetag>{entity}</getetag></prop></propfind>"#
        );
        ana.request("PROPFIND", NAME)
            .header("Depth", "0")
            .xml(find)
            .send()
            .is(400);
        let patch = format!(
            r#"{doctype}<propertyupdate xmlns="DAV:"><set><prop><p xmlns="x:">{entity}</p></prop></set></propertyupdate>"#
        );
        ana.request("PROPPATCH", NAME).xml(patch).send().is(400);
        let lock = LOCK_BODY
            .split_once("?>")
            .unwrap()
            .1
            .replace("http://", &format!("{entity}http://"));
        ana.request("LOCK", NAME)
            .xml(format!("{doctype}{lock}"))
            .send()
            .is(400);
    }
}

#[test]
fn a17_depth_infinity_is_refused_by_name() {
    let server = TestServer::start();
    let reply = server.ana().propfind("/", "infinity").is(403);
    let text = reply.text();
    let document = roxmltree::Document::parse(&text).expect("a DAV:error body");
    let root = document.root_element();
    assert!(root.has_tag_name(("DAV:", "error")), "{reply}");
    assert!(
        root.children()
            .any(|node| node.has_tag_name(("DAV:", "propfind-finite-depth"))),
        "{reply}"
    );
}

#[test]
fn a18_dangerous_names_are_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    let long = "n".repeat(256);
    let deep = "d/".repeat(200);
    for name in [
        "a%0Ab",
        "a%00b",
        "a%7Fb",
        "a%FFb",
        "a%E2%80%AEtxt.exe",
        ".sarang",
        ".SARANG",
        ".sar%E2%80%8Dang",
        &long,
        &deep,
    ] {
        for target in [format!("/dav/{name}"), format!("/dav/{name}/x")] {
            let status = ana.raw("PUT", &target).body("x").send().status;
            assert!((400..500).contains(&status), "{target}: {status}");
        }
        let status = ana.raw("MKCOL", &format!("/dav/{name}")).send().status;
        assert!((400..500).contains(&status), "{name}: {status}");
    }
    assert_eq!(ana.propfind("/", "1").multistatus().paths(), ["/dav"]);
}

#[test]
fn a18_names_strange_only_to_windows_depend_on_the_setting() {
    let names = [
        "/CON",
        "/aux.txt",
        "/x.",
        "/trailing ",
        "/a:b",
        "/a\\b",
        "/q?",
    ];
    let server = TestServer::start();
    for name in names {
        server.ana().put(name, "x").is(201);
        server.ana().holds(name, "x");
    }
    assert_eq!(
        server.ana().propfind("/", "1").multistatus().paths().len(),
        1 + names.len()
    );
    let portable = TestServer::with(|config| config.drive.portable_names = true);
    for name in names {
        let status = portable.ana().put(name, "x").status;
        assert!((400..500).contains(&status), "{name}: {status}");
    }
}

#[test]
fn a19_both_spellings_of_a_name_are_one_file() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.put("/caf\u{e9}", "composed").is(201);
    ana.put("/cafe\u{301}", "decomposed").is(204);
    ana.holds("/caf\u{e9}", "decomposed");
    assert_eq!(
        ana.propfind("/", "1").multistatus().paths().len(),
        2,
        "the folder and one file"
    );
}

#[test]
fn a20_user_content_cannot_run_in_our_origin() {
    let server = TestServer::start();
    let ana = server.ana();
    for name in ["/x.html", "/x.svg", "/x.xhtml", "/x", "/x.js"] {
        ana.store(name, "<script>alert(1)</script>");
        let reply = ana.get(name).is(200);
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{reply}"
        );
        let policy = reply.header("content-security-policy").unwrap_or("");
        assert!(
            policy.contains("sandbox") && policy.contains("default-src 'none'"),
            "{reply}"
        );
    }
    for name in ["/x.html", "/x.svg", "/x.xhtml"] {
        let reply = ana.get(name);
        assert!(
            reply
                .header("content-disposition")
                .is_some_and(|v| v.starts_with("attachment")),
            "{reply}"
        );
    }
}

#[test]
fn a21_no_spelling_of_a_path_leaves_the_drive() {
    let server = TestServer::start();
    let ana = server.ana();
    server.ben().store("/secret", "of ben");
    let targets = [
        "/dav/../../../../etc/hostname",
        "/dav/%2e%2e/%2e%2e/%2e%2e/etc/hostname",
        "/dav/..%2f..%2f..%2fetc%2fhostname",
        "/dav/%2e%2e%2fben%2fsecret",
        "/dav/../ben/secret",
        "/dav/..%5cben%5csecret",
        "/dav/..\\ben\\secret",
        "/dav/%2fetc%2fhostname",
        "/dav/%00",
        "/dav/a%00/../secret",
        "/dav/%",
        "/dav/%zz",
        "/dav//etc/hostname",
        "/dav/.sarang/tmp",
        "/dav/%2esarang",
        "/dav/x/../.sarang",
    ];
    for target in targets {
        for method in ["GET", "PROPFIND", "DELETE"] {
            let reply = ana.raw(method, target).header("Depth", "0").send();
            assert!((400..500).contains(&reply.status), "{reply}");
        }
        let reply = ana
            .raw("COPY", target)
            .header("Destination", ana.absolute("/stolen"))
            .send();
        assert!((400..500).contains(&reply.status), "{reply}");
    }
    ana.store("/mine", "x");
    for target in [
        "/dav/../../outside",
        "/dav/%2e%2e/ben/planted",
        "/dav/.sarang/planted",
        "/outside",
        "/dav/..%2fben%2fx",
    ] {
        let reply = ana
            .request("COPY", "/mine")
            .header("Destination", format!("http://{}{target}", ana.host()))
            .send();
        assert!(
            (400..500).contains(&reply.status) || reply.status == 502,
            "{target}: {reply}"
        );
    }
    server.ben().holds("/secret", "of ben");
    assert_eq!(
        server.ben().propfind("/", "1").multistatus().paths().len(),
        2
    );
    ana.lacks("/stolen");
}

#[test]
fn a22_requests_that_can_be_read_two_ways_are_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    let (host, auth, path) = (ana.host(), ana.authorization().to_owned(), url(NAME));
    let put = |head: &str, body: &str| {
        let request =
            format!("PUT /dav{path} HTTP/1.1\r\nAuthorization: {auth}\r\n{head}\r\n{body}");
        server.connect().exchange(request).status
    };
    assert_eq!(put("Content-Length: 1\r\n", "x"), 400, "no Host");
    assert_eq!(
        put(
            &format!("Host: {host}\r\nHost: {host}\r\nContent-Length: 1\r\n"),
            "x"
        ),
        400,
        "two Hosts"
    );
    assert_eq!(
        put("Host: a b\r\nContent-Length: 1\r\n", "x"),
        400,
        "invalid Host"
    );
    assert_eq!(
        put("Host: \r\nContent-Length: 1\r\n", "x"),
        400,
        "empty Host"
    );
    let both = format!("Host: {host}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(put(&both, "1\r\nx\r\n0\r\n\r\n"), 400, "CL and TE");
    let twice = format!("Host: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n");
    assert_eq!(put(&twice, "x"), 400, "two lengths");
    assert_eq!(
        put(&format!("Host: {host}\r\nContent-Length: +1\r\n"), "x"),
        400,
        "signed length"
    );
    assert_eq!(
        put(&format!("Host: {host}\r\nContent-Length : 1\r\n"), "x"),
        400,
        "space before the colon"
    );
    let foreign = format!(
        "GET http://evil.example/dav/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\n\r\n"
    );
    assert_eq!(
        server.connect().exchange(foreign).status,
        400,
        "foreign absolute form"
    );
    ana.lacks(NAME);
}

#[test]
fn a22_the_own_absolute_form_is_served() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "x");
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        ana.absolute("/x"),
        ana.host(),
        ana.authorization()
    );
    assert_eq!(server.connect().exchange(request).is(200).body, b"x");
}

#[test]
fn a22_heads_are_limited() {
    let server = TestServer::start();
    let ana = server.ana();
    let many = "X-Filler: y\r\n".repeat(1_000);
    let huge = format!("X-Filler: {}\r\n", "y".repeat(1 << 20));
    for filler in [many, huge] {
        let request = format!("GET /dav/ HTTP/1.1\r\nHost: {}\r\n{filler}\r\n", ana.host());
        let status = server.connect().exchange(request).status;
        assert!([0, 400, 431].contains(&status), "{status}");
    }
    ana.propfind("/", "0").is(207);
}

#[test]
fn slow_heads_are_cut_off() {
    let server = TestServer::with(|config| config.server.header_timeout = 1);
    let mut connection = server.connect();
    connection.write("GET /dav/ HTTP/1.1\r\nHost: x").unwrap();
    let reply = connection.read_head("a head that never ends");
    assert!(
        reply.map_or(true, |reply| reply.status == 408),
        "the connection is closed"
    );
}

#[test]
fn stalled_bodies_are_cut_off() {
    let server = TestServer::with(|config| config.server.body_timeout = 1);
    let ana = server.ana();
    ana.store(NAME, "old");
    let mut connection = server.connect();
    let request = ana
        .request("PUT", NAME)
        .header("Content-Length", "1000")
        .body("only this")
        .bytes();
    connection.write(request).unwrap();
    let reply = connection.read_head("a body that never ends");
    assert!(
        reply.map_or(true, |reply| reply.status >= 400),
        "the upload is not accepted"
    );
    ana.holds(NAME, "old");
    assert!(
        poll(Duration::from_secs(5), || server.staged("ana").is_empty()),
        "{:?}",
        server.staged("ana")
    );
}

#[test]
fn connections_of_one_address_are_limited() {
    let server = TestServer::with(|config| config.server.max_connections_per_address = 4);
    let ana = server.ana();
    let request = ana.request("PROPFIND", "/").header("Depth", "0").bytes();
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = server.connect();
        connection.exchange(&request).is(207);
        held.push(connection);
    }
    let status = server.connect().exchange(&request).status;
    assert!(
        [0, 429, 503].contains(&status),
        "a fifth connection got {status}"
    );
    held.clear();
    let again = poll(Duration::from_secs(10), || {
        server.connect().exchange(&request).status == 207
    });
    assert!(again, "closed connections are never given back");
}

#[test]
fn large_xml_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    let body = format!(
        "<propfind xmlns=\"DAV:\"><prop>{}</prop></propfind>",
        "<getetag/>".repeat(200_000)
    );
    ana.request("PROPFIND", "/")
        .header("Depth", "0")
        .xml(body)
        .send()
        .is_any(&[400, 413]);
    ana.propfind("/", "0").is(207);
}
