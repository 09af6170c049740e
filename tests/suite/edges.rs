//! What stands before every front: other sites' requests, caches, the form of targets, codings, and bodies that lead nowhere.

use crate::harness::{Client, PASSWORD, Reply, TestServer};
use serde_json::json;
use std::fs;

const NEVER_CHANGED: &str = "as it was";

struct Links {
    edit: String,
    drop: String,
}

/// `/shared/a.txt`, with a link for editing and one for uploads.
fn with_links(server: &TestServer) -> Links {
    let ana = server.ana();
    ana.mkcol("/shared").is(201);
    ana.store("/shared/a.txt", NEVER_CHANGED);
    let link = |rights: &str| {
        let made = ana
            .api(
                "POST",
                "/links",
                &json!({"path": "shared", "rights": rights}),
            )
            .is(201)
            .json();
        made["token"].as_str().unwrap().to_owned()
    };
    Links {
        edit: link("edit"),
        drop: link("drop"),
    }
}

fn app_password(server: &TestServer) -> Client {
    let made = server
        .ana()
        .api("POST", "/app-passwords", &json!({"name": "a"}))
        .is(201)
        .json();
    server
        .stranger()
        .signed_in("ana", made["password"].as_str().unwrap())
}

/// Every front's changes, by whoever may make them.
fn changes(links: &Links) -> Vec<(bool, &'static str, String, &'static str, String)> {
    const FORM: &str = "multipart/form-data; boundary=x";
    const JSON: &str = "application/json";
    let part = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nnew\r\n--x--\r\n";
    let (edit, drop) = (&links.edit, &links.drop);
    let register = json!({"name": "eve", "password": PASSWORD}).to_string();
    let change = |own, method, target: &str, kind, body: &str| {
        (own, method, target.to_owned(), kind, body.to_owned())
    };
    vec![
        change(true, "PUT", "/dav/shared/a.txt", "", "new"),
        change(true, "POST", "/dav/shared/a.txt", FORM, part),
        change(true, "DELETE", "/dav/shared/a.txt", "", ""),
        change(true, "MKCOL", "/dav/new", "", ""),
        change(true, "UNLOCK", "/dav/shared/a.txt", "", ""),
        change(
            true,
            "POST",
            "/api/v1/files?path=shared&overwrite=true",
            FORM,
            part,
        ),
        change(
            true,
            "PUT",
            "/api/v1/files/content?path=shared/a.txt",
            "",
            "new",
        ),
        change(
            true,
            "POST",
            "/api/v1/files/delete",
            JSON,
            r#"{"paths":["shared/a.txt"]}"#,
        ),
        change(true, "POST", "/api/v1/uploads", "", ""),
        change(true, "DELETE", "/api/v1/trash", "", ""),
        change(false, "PUT", &format!("/s/{edit}/dav/a.txt"), "", "new"),
        change(false, "PUT", &format!("/s/{drop}/dav/b.txt"), "", "new"),
        change(false, "POST", &format!("/s/{edit}/upload"), FORM, part),
        change(false, "POST", &format!("/s/{drop}/upload"), FORM, part),
        change(
            false,
            "POST",
            &format!("/s/{edit}/password"),
            "application/x-www-form-urlencoded",
            "password=x",
        ),
        change(false, "POST", "/api/v1/register", JSON, &register),
        change(
            false,
            "POST",
            "/api/v1/login",
            JSON,
            &json!({"name": "ana", "password": PASSWORD}).to_string(),
        ),
        change(false, "POST", "/api/v1/setup", JSON, "{}"),
        change(
            false,
            "POST",
            "/setup",
            "application/x-www-form-urlencoded",
            "name=eve",
        ),
        change(
            false,
            "POST",
            "/openid/code",
            "application/x-www-form-urlencoded",
            "code=1",
        ),
    ]
}

#[test]
fn another_site_changes_nothing_whatever_the_credential() {
    let server = TestServer::with(|config| {
        config.accounts.registration = sarang::config::Registration::Open;
    });
    let links = with_links(&server);
    let (basic, app, stranger) = (server.ana(), app_password(&server), server.stranger());
    for headers in [
        vec![("Origin", "http://evil.example")],
        vec![("Origin", "null")],
        vec![("Origin", "http://127.0.0.1")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "http://127.0.0.1:1"),
        ],
        vec![
            ("Sec-Fetch-Site", "none"),
            ("Origin", "http://evil.example"),
        ],
    ] {
        for (own, method, target, kind, body) in changes(&links) {
            let clients = if own {
                vec![&basic, &app]
            } else {
                vec![&stranger]
            };
            for client in clients {
                let mut request = client.raw(method, &target).body(&body);
                if !kind.is_empty() {
                    request = request.header("Content-Type", kind);
                }
                let request = headers.iter().fold(request, |request, (name, value)| {
                    request.header(name, value)
                });
                let reply = request.send().is(403);
                assert!(reply.text().contains("another site"), "{headers:?} {reply}");
                let json = reply
                    .header("content-type")
                    .is_some_and(|kind| kind.contains("problem+json"));
                assert_eq!(json, !target.contains("dav/"), "{reply}");
            }
        }
    }
    basic.holds("/shared/a.txt", NEVER_CHANGED);
    assert_eq!(basic.propfind("/", "1").multistatus().paths().len(), 2);
    assert_eq!(
        basic.propfind("/shared", "1").multistatus().paths().len(),
        2
    );
    server
        .stranger()
        .signed_in("eve", PASSWORD)
        .propfind("/", "0")
        .is(401);
}

#[test]
fn own_pages_extensions_and_programs_go_on() {
    let server = TestServer::start();
    let links = with_links(&server);
    let ana = server.ana();
    let own = format!("http://{}", ana.host());
    for headers in [
        vec![],
        vec![("Origin", own.as_str())],
        vec![("Sec-Fetch-Site", "same-origin"), ("Origin", own.as_str())],
        vec![("Sec-Fetch-Site", "none")],
        vec![
            ("Sec-Fetch-Site", "none"),
            ("Origin", "moz-extension://4711"),
        ],
    ] {
        let put = headers.iter().fold(
            ana.request("PUT", "/x").body("x"),
            |request, (name, value)| request.header(name, value),
        );
        put.send().is_any(&[201, 204]);
        let stranger = server.stranger();
        let upload = stranger.raw("POST", &format!("/s/{}/upload", links.drop));
        let upload = headers
            .iter()
            .fold(upload, |request, (name, value)| request.header(name, value));
        let part = "--x\r\nContent-Disposition: form-data; filename=\"n\"\r\n\r\nnew\r\n--x--\r\n";
        upload
            .header("Content-Type", "multipart/form-data; boundary=x")
            .body(part)
            .send()
            .is(200);
    }
    // What changes nothing may be asked for by anybody: browsers show no other site the answer.
    for method in ["GET", "HEAD", "OPTIONS", "PROPFIND"] {
        let reply = ana
            .raw(method, "/dav/x")
            .header("Depth", "0")
            .header("Origin", "http://evil.example")
            .send();
        reply.is_any(&[200, 207]);
    }
    let page = server
        .stranger()
        .raw("GET", &format!("/s/{}", links.drop))
        .send()
        .is(200)
        .text();
    assert!(
        page.contains("name=\"referrer\" content=\"same-origin\""),
        "its forms say where they come from"
    );
}

#[test]
fn every_answer_is_for_who_asked_and_changed_by_no_proxy() {
    let server = TestServer::start();
    let links = with_links(&server);
    let (ana, stranger) = (server.ana(), server.stranger());
    let etag = ana.get("/shared/a.txt").header("etag").unwrap().to_owned();
    let confined = |reply: Reply| {
        let said = reply.header("cache-control").unwrap_or_default();
        let wanted = ["private", "no-cache", "no-transform"];
        assert!(
            wanted
                .iter()
                .all(|word| said.split(", ").any(|it| it == *word)),
            "{said:?}: {reply}"
        );
        assert_eq!(
            reply
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("cache-control"))
                .count(),
            1
        );
    };
    let fronts = [
        (&ana, "/dav".to_owned(), "/shared/a.txt", "/shared/"),
        (&stranger, format!("/s/{}/dav", links.edit), "/a.txt", "/"),
    ];
    for (client, base, file, folder) in fronts {
        let ask = |method: &str, path: &str| {
            client
                .raw(method, &format!("{base}{path}"))
                .header("Depth", "1")
        };
        for method in [
            "GET",
            "HEAD",
            "OPTIONS",
            "PROPFIND",
            "LOCK",
            "PROPPATCH",
            "REPORT",
            "POST",
            "UNLOCK",
        ] {
            for path in [file, folder, "/none", "/none/none", "/a%00"] {
                confined(ask(method, path).send());
            }
        }
        confined(ask("GET", file).header("Range", "bytes=1-2").send().is(206));
        confined(
            ask("GET", file)
                .header("Range", "bytes=0-0,2-3")
                .send()
                .is(206),
        );
        confined(
            ask("GET", file)
                .header("Range", "bytes=999-")
                .send()
                .is(416),
        );
        for method in ["GET", "HEAD"] {
            confined(
                ask(method, file)
                    .header("If-None-Match", &etag)
                    .send()
                    .is(304),
            );
            confined(
                ask(method, file)
                    .header("If-Match", "\"other\"")
                    .send()
                    .is(412),
            );
        }
        confined(ask("PROPFIND", file).body("<no").send().is(400));
        confined(
            client
                .raw("PUT", &format!("{base}{folder}new"))
                .body("new")
                .send()
                .is_any(&[201, 204]),
        );
        confined(
            client
                .raw("DELETE", &format!("{base}{folder}new"))
                .send()
                .is(204),
        );
        confined(
            client
                .raw("MKCOL", &format!("{base}{folder}"))
                .send()
                .is(405),
        );
    }
    confined(
        stranger
            .raw("PROPFIND", "/dav/")
            .header("Depth", "0")
            .send()
            .is(401),
    );
    confined(ana.raw("PROPFIND", "/").header("Depth", "1").send().is(207));
    for target in [
        "/api/v1/me",
        "/api/v1/files?path=shared",
        "/api/v1/files/stat?path=shared",
        "/api/v1/files/content?path=shared/a.txt",
        "/api/v1/files/content?path=none",
        "/api/v1/files/search?name=a",
        "/api/v1/files/zip?path=shared",
        "/api/v1/links",
        "/api/v1/none",
    ] {
        confined(ana.raw("GET", target).send());
        confined(stranger.raw("GET", target).send());
        confined(ana.raw("GET", target).header("If-None-Match", &etag).send());
    }
    confined(
        ana.raw("GET", "/api/v1/files/content?path=shared/a.txt")
            .header("Range", "bytes=1-2")
            .send()
            .is(206),
    );
    for what in [
        "",
        "?path=a.txt",
        "/file?path=a.txt",
        "/zip",
        "?path=none",
        "/none",
    ] {
        confined(
            stranger
                .raw("GET", &format!("/s/{}{what}", links.edit))
                .send(),
        );
        confined(
            stranger
                .raw("HEAD", &format!("/s/{}{what}", links.edit))
                .send(),
        );
    }
    confined(stranger.raw("GET", "/s/unknown").send().is(404));
}

#[test]
fn empty_and_dot_segments_are_none_on_every_front() {
    let server = TestServer::start();
    let links = with_links(&server);
    let (ana, stranger) = (server.ana(), server.stranger());
    let edit = &links.edit;
    for base in [
        "//dav",
        "/./dav",
        "///.//dav",
        "/dav/",
        "/dav/.",
        "/dav//./",
    ] {
        for (method, path, expected) in [
            ("GET", "/shared/a.txt", 200),
            ("HEAD", "/shared//a.txt", 200),
            ("PROPFIND", "/shared/", 207),
            ("PROPFIND", "", 207),
            ("OPTIONS", "/shared", 200),
            ("PUT", "/x", 201),
            ("COPY", "/x", 201),
            ("DELETE", "/y", 204),
            ("MKCOL", "/new/.", 201),
            ("MOVE", "/x", 201),
            ("DELETE", "/y", 204),
            ("DELETE", "/./new", 204),
        ] {
            let depth = if method == "PROPFIND" {
                "0"
            } else {
                "infinity"
            };
            let request = ana
                .raw(method, &format!("{base}{path}"))
                .header("Depth", depth);
            let goes = matches!(method, "COPY" | "MOVE");
            let request = if goes {
                request.header("Destination", "//dav/./y")
            } else {
                request
            };
            request.send().is(expected);
        }
    }
    for target in [
        format!("//s/{edit}/dav/a.txt"),
        format!("/s//{edit}/./dav//a.txt"),
        format!("/./s/{edit}//file?path=a.txt"),
    ] {
        assert_eq!(
            stranger.raw("GET", &target).send().is(200).text(),
            NEVER_CHANGED,
            "{target}"
        );
    }
    ana.raw("GET", "//api/./v1//me").send().is(200);
    stranger.raw("GET", "//api/v1/me").send().is(401);
    stranger.raw("GET", "//healthz").send().is(200);
    // A folder is meant, so that nothing is written.
    ana.raw("PUT", "//dav/shared/a.txt/.")
        .body("new")
        .send()
        .is(405);
    // What lies outside of a front stays outside of it.
    for target in [
        format!("//s/{edit}//..//../dav/shared/a.txt"),
        format!("/s/{edit}/dav/.//../../../dav/shared/a.txt"),
        format!("/s/{edit}/dav//%2e%2e//%2e%2e/%2e/dav/shared/a.txt"),
        format!("//s/{edit}/dav/..//a.txt"),
        "/./s/..//api/v1/me".to_owned(),
        "//dav/..//api/v1/me".to_owned(),
        "/%2e/dav/shared/a.txt".to_owned(),
        "/%2f/dav/shared/a.txt".to_owned(),
    ] {
        for client in [&stranger, &ana] {
            let reply = client.raw("GET", &target).send();
            assert!(
                (400..500).contains(&reply.status) && !reply.text().contains(NEVER_CHANGED),
                "{reply}"
            );
        }
    }
    ana.holds("/shared/a.txt", NEVER_CHANGED);
}

#[test]
fn an_absolute_target_decides_which_server_is_meant() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "x");
    let auth = ana.authorization().to_owned();
    let ask = |method: &str, target: &str, version: &str, lines: &str| {
        let request =
            format!("{method} {target} HTTP/{version}\r\nAuthorization: {auth}\r\n{lines}\r\n");
        server.connect().exchange(request)
    };
    for (target, host) in [
        ("http://drive.example/dav/x", "drive.example"),
        ("http://drive.example:80/dav/x", "drive.example"),
        ("http://Drive.Example/dav//x", "drive.example:80"),
        ("https://drive.example/dav/x", "drive.example:443"),
        ("https://drive.example:443/dav/x", "DRIVE.example"),
        ("http://[::1]/dav/x", "[::1]:80"),
    ] {
        assert_eq!(
            ask("GET", target, "1.1", &format!("Host: {host}\r\n"))
                .is(200)
                .body,
            b"x",
            "{target} {host}"
        );
    }
    for (target, host) in [
        ("http://drive.example/dav/x", "other.example"),
        ("http://drive.example:81/dav/x", "drive.example"),
        ("http://drive.example/dav/x", "drive.example:443"),
        ("https://drive.example/dav/x", "drive.example:80"),
        ("http://ana@drive.example/dav/x", "drive.example"),
        ("ftp://drive.example/dav/x", "drive.example"),
        ("drive.example:80", "drive.example:80"),
        ("*", "drive.example"),
    ] {
        let reply = ask("GET", target, "1.1", &format!("Host: {host}\r\n")).is(400);
        assert!(
            reply.body.is_empty() || reply.header("connection") == Some("close"),
            "{target} {host}: {reply}"
        );
    }
    ask(
        "CONNECT",
        "drive.example:80",
        "1.1",
        "Host: drive.example:80\r\n",
    )
    .is(400);
    ask("OPTIONS", "*", "1.1", "Host: drive.example\r\n").is(200);
    // The server that the target names is the one that addresses in headers are compared with, with or without a Host.
    let lines = "Destination: http://drive.example:80/dav/y\r\n";
    ask("COPY", "http://drive.example/dav/x", "1.0", lines).is(201);
    ask("COPY", "http://other.example/dav/x", "1.0", lines).is(502);
    let tagged = |tag: &str| {
        let lines = format!(
            "Host: drive.example:80\r\nContent-Length: 1\r\nIf: <{tag}> ([\"none\"]) (Not <urn:none>)\r\n"
        );
        let request = format!(
            "PUT http://drive.example/dav/x HTTP/1.1\r\nAuthorization: {auth}\r\n{lines}\r\nx"
        );
        server.connect().exchange(request)
    };
    tagged("http://drive.example/dav/x").is(204);
    tagged("http://drive.example:80/dav/x").is(204);
}

#[test]
fn a_coding_other_than_chunked_is_not_implemented() {
    let server = TestServer::start();
    let ana = server.ana();
    let (host, auth) = (ana.host(), ana.authorization().to_owned());
    for lines in [
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "gzip\r\nContent-Length: 5",
    ] {
        for target in ["/dav/x", "/api/v1/files/content?path=x", "/healthz"] {
            let mut connection = server.connect();
            let reply = connection.exchange(format!(
                "PUT {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nTransfer-Encoding: {lines}\r\n\r\n\
                 1\r\nx\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"
            ));
            assert_eq!(
                (
                    reply.is(501).header("connection"),
                    connection.read_some(&mut [0; 9]).unwrap_or(0)
                ),
                (Some("close"), 0)
            );
        }
    }
    ana.lacks("/x");
}

#[test]
fn a_large_folder_comes_by_pages() {
    let server = TestServer::start();
    let links = with_links(&server);
    let folder = server.home("ana").join("shared");
    for n in 0..2500 {
        fs::write(folder.join(format!("{n:05} & é.txt")), "x").unwrap();
    }
    let stranger = server.stranger();
    let (mut target, mut names) = (format!("/s/{}?path=", links.edit), Vec::new());
    loop {
        let text = stranger.raw("GET", &target).send().is(200).text();
        let page: Vec<String> = text
            .split("<tr><td><a ")
            .skip(1)
            .map(|row| row.split(['>', '<']).nth(1).unwrap().to_owned())
            .collect();
        assert!(page.len() <= 1000);
        names.extend(page);
        let Some(at) = text.find("\">Next page") else {
            break;
        };
        target = text[..at].rsplit('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!((names.len(), names.is_sorted()), (2501, true));
    let first = server
        .ana()
        .raw("GET", "/api/v1/files?path=shared&limit=2000")
        .send()
        .is(200)
        .json();
    let next = format!(
        "/api/v1/files?path=shared&limit=2000&cursor={}",
        first["next"].as_str().unwrap()
    );
    let last = server.ana().raw("GET", &next).send().is(200).json();
    assert_eq!(last["items"].as_array().unwrap().len(), 501);
    assert_eq!(last["items"][500][0], "a.txt");
}

#[test]
fn a_form_that_leads_nowhere_is_refused_early() {
    let server = TestServer::start();
    let links = with_links(&server);
    let (ana, stranger) = (server.ana(), server.stranger());
    let endless =
        |start: &str, filler: &str| start.to_owned() + &filler.repeat((1 << 20) / filler.len());
    let head = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"new\"\r\n";
    for body in [
        endless("", "no boundary "),
        endless("--x", "\t"),
        endless("--x\r\nX: ", "y"),
        endless(head, "X: y\r\n"),
        endless(&format!("{head}\r\nx\r\n--x"), " "),
    ] {
        for (client, target) in [
            (&ana, "/api/v1/files?path=shared".to_owned()),
            (&stranger, format!("/s/{}/upload", links.drop)),
            (&stranger, format!("/s/{}/upload", links.edit)),
        ] {
            let kind = "multipart/form-data; boundary=x";
            for chunked in [false, true] {
                let request = client
                    .raw("POST", &target)
                    .header("Content-Type", kind)
                    .body(&body);
                let reply = if chunked {
                    request.chunked().send()
                } else {
                    request.send()
                };
                assert!(
                    reply.status == 400 && reply.text().contains("form"),
                    "{reply}"
                );
            }
        }
    }
}
