//! The limit of a link's downloads: what counts as one, and that no more get through than it has left.

use crate::harness::{Reply, TestServer};
use crate::links::{Shared, api, dav, page, server, share};
use serde_json::{Value, json};

fn counted(server: &TestServer, shared: &Shared) -> u64 {
    let link = api(
        &server.ana(),
        "GET",
        &format!("/{}", shared.id),
        &Value::Null,
    )
    .is(200)
    .json();
    link["downloads"].as_u64().unwrap()
}

fn ask(
    server: &TestServer,
    shared: &Shared,
    (method, rest): (&str, &str),
    header: (&str, &str),
) -> Reply {
    let client = server.stranger();
    client
        .raw(method, &format!("/s/{}{rest}", shared.token))
        .header(header.0, header.1)
        .send()
}

#[test]
fn what_brings_no_content_is_no_download() {
    let server = server();
    let shared = share(
        &server.ana(),
        &json!({"path": "shared", "max_downloads": 1}),
    );
    let etag = server
        .ana()
        .head("/shared/a.txt")
        .header("etag")
        .unwrap()
        .to_owned();
    for file in ["/file?path=a.txt", "/dav/a.txt"] {
        for (header, status) in [
            (("If-None-Match", etag.as_str()), 304),
            (("If-None-Match", "*"), 304),
            (("If-Modified-Since", "Fri, 31 Dec 2100 23:59:59 GMT"), 304),
            (("If-Match", "\"other\""), 412),
            (
                ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
                412,
            ),
            (("If-Match", "\""), 400),
        ] {
            ask(&server, &shared, ("GET", file), header).is(status);
            assert_eq!(counted(&server, &shared), 0, "{file} {header:?}");
        }
        for header in [
            ("Accept", "*/*"),
            ("Range", "bytes=0-1"),
            ("If-None-Match", etag.as_str()),
        ] {
            ask(&server, &shared, ("HEAD", file), header).is_any(&[200, 304]);
        }
    }
    for rest in [
        "/file?path=none",
        "/file?path=sub",
        "/dav/none",
        "/zip?path=none",
        "/zip?path=a.txt",
    ] {
        page(&server, &shared, rest).is(404);
    }
    for (method, rest) in [
        ("GET", "/dav/"),
        ("GET", "/dav/sub"),
        ("HEAD", "/zip"),
        ("GET", ""),
        ("PUT", "/dav/a.txt"),
    ] {
        ask(&server, &shared, (method, rest), ("Accept", "*/*"));
    }
    dav(&server, &shared, "PROPFIND", "/").is(207);
    // What cannot be opened: its mode keeps the server out, unless that runs as root.
    std::os::unix::fs::symlink("/etc/passwd", server.home("ana").join("shared/odd")).unwrap();
    for rest in ["/file?path=odd", "/dav/odd"] {
        page(&server, &shared, rest).is(404);
    }
    assert_eq!(counted(&server, &shared), 0);
    page(&server, &shared, "/file?path=a.txt").is(200);
    page(&server, &shared, "/file?path=a.txt").is(404);
    assert_eq!(counted(&server, &shared), 1);
}

#[test]
fn ranges_of_a_limited_link_are_the_whole_file() {
    let server = server();
    let shared = share(
        &server.ana(),
        &json!({"path": "shared", "max_downloads": 8}),
    );
    for (n, range) in ["bytes=1-2", "bytes=5-", "bytes=900-", "bytes=0-0,2-3"]
        .into_iter()
        .enumerate()
    {
        for (m, file) in ["/file?path=a.txt", "/dav/a.txt"].into_iter().enumerate() {
            let whole = ask(&server, &shared, ("GET", file), ("Range", range)).is(200);
            assert_eq!(whole.text(), "/shared/a.txt");
            assert_eq!(
                whole.header("accept-ranges"),
                Some("none"),
                "nobody shall try"
            );
            assert_eq!(counted(&server, &shared), (2 * n + m + 1) as u64);
        }
    }
    // Without a limit they are what was asked for, and what is not there is told.
    let free = share(&server.ana(), &json!({"path": "shared"}));
    for file in ["/file?path=a.txt", "/dav/a.txt"] {
        assert_eq!(
            ask(&server, &free, ("GET", file), ("Range", "bytes=1-2"))
                .is(206)
                .text(),
            "sh"
        );
        ask(&server, &free, ("GET", file), ("Range", "bytes=900-")).is(416);
    }
}

#[test]
fn of_many_at_once_as_many_get_through_as_are_left() {
    let server = server();
    for left in [1, 3] {
        for rest in ["/file?path=a.txt", "/dav/a.txt", "/zip", "/zip?path=sub"] {
            let shared = share(
                &server.ana(),
                &json!({"path": "shared", "max_downloads": left}),
            );
            let target = format!("/s/{}{rest}", shared.token);
            let mut open: Vec<_> = (0..24).map(|_| server.connect()).collect();
            for connection in &mut open {
                connection
                    .write(format!(
                        "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n",
                        server.address()
                    ))
                    .unwrap();
            }
            let replies = open
                .iter_mut()
                .map(|connection| connection.read_reply(false, rest).unwrap());
            let got = replies.filter(|reply| matches!(reply.status, 200)).count();
            assert_eq!(got, left, "{rest}");
            assert_eq!(counted(&server, &shared), left as u64);
        }
    }
}
