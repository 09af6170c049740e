//! What old and unusual clients send: XML in other encodings, bodies of RFC 2518, ranges of empty files, loose conditions, headers in several
//! lines, lock tokens in `Lock-Token`.

use crate::harness::client::Request;
use crate::harness::{LOCK_BODY, NAME, Reply, TestServer, propfind_body};
use sarang::model::time;
use serde_json::json;

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    ["\u{feff}", text]
        .concat()
        .encode_utf16()
        .flat_map(unit)
        .collect()
}

/// A body in every encoding that is read.
fn encoded(xml: &str) -> Vec<Vec<u8>> {
    let bare = xml.split_once("?>").map_or(xml, |(_, rest)| rest);
    let declared =
        |encoding: &str| format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{bare}");
    vec![
        utf16(bare, u16::to_le_bytes),
        utf16(bare, u16::to_be_bytes),
        utf16(&declared("utf-16"), u16::to_le_bytes),
        utf16(&declared("UTF-16"), u16::to_be_bytes),
        declared("ISO-8859-1")
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect(),
    ]
}

#[test]
fn xml_is_read_in_every_encoding_that_must_be() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    for body in encoded(&propfind_body("<D:getcontentlength/>")) {
        let answer = ana
            .request("PROPFIND", NAME)
            .header("Depth", "0")
            .xml(&body)
            .send()
            .is(207)
            .text();
        assert!(answer.contains("<D:getcontentlength>1<"), "{answer}");
        let above = ana
            .raw("PROPFIND", "/")
            .header("Depth", "0")
            .xml(&body)
            .send();
        above.is(207);
    }
    let update = "<D:propertyupdate xmlns:D=\"DAV:\"><D:set><D:prop><v xmlns=\"u\">größe</v></D:prop></D:set></D:propertyupdate>";
    for body in encoded(update) {
        let answer = ana
            .request("PROPPATCH", NAME)
            .xml(&body)
            .send()
            .is(207)
            .text();
        assert!(answer.contains(" 200 OK"), "{answer}");
        let stored = ana.props(NAME, "0", "<v xmlns=\"u\"/>").is(207).text();
        assert!(stored.contains(">größe</v>"), "{stored}");
        let remove = "<D:remove><D:prop><v xmlns=\"u\"/></D:prop></D:remove>";
        ana.proppatch(NAME, remove).send().is(207);
    }
    for body in encoded(LOCK_BODY) {
        let token = ana
            .request("LOCK", NAME)
            .header("Depth", "0")
            .xml(&body)
            .send()
            .is(200)
            .token();
        ana.unlock(NAME, &token).is(204);
    }
}

#[test]
fn no_encoding_is_a_way_around_the_rules_of_xml() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let bomb = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><D:propfind xmlns:D=\"DAV:\"><D:prop><b>&b;</b></D:prop></D:propfind>";
    let whole = utf16(
        &propfind_body("<a/>").replace("utf-8", "utf-16"),
        u16::to_le_bytes,
    );
    let mut bodies = encoded(bomb);
    bodies.push(whole[..whole.len() - 1].to_vec());
    bodies.push(whole[2..].to_vec());
    bodies.push([&whole[..60], &[0x00, 0xd8], &whole[60..]].concat());
    bodies.push(
        propfind_body("<a/>")
            .replace("utf-8", "utf-16")
            .into_bytes(),
    );
    bodies.push(propfind_body("<a/>").replace("utf-8", "utf-7").into_bytes());
    for body in bodies {
        for method in ["PROPFIND", "PROPPATCH", "LOCK"] {
            let reply = ana
                .request(method, NAME)
                .header("Depth", "0")
                .xml(&body)
                .send();
            assert_eq!(reply.status, 400, "{method}: {reply}");
        }
        ana.transfer("COPY", NAME, "/copy")
            .xml(&body)
            .send()
            .is_any(&[400, 415]);
    }
    let large = |len: usize| {
        utf16(
            &format!(
                "{}<!--{}-->",
                propfind_body("<a/>").replace("utf-8", "utf-16"),
                "x".repeat(len)
            ),
            u16::to_le_bytes,
        )
    };
    ana.request("PROPFIND", NAME)
        .header("Depth", "0")
        .xml(large(60_000))
        .send()
        .is(207);
    ana.request("PROPFIND", NAME)
        .header("Depth", "0")
        .xml(large(65_600))
        .send()
        .is(413);
    ana.lacks("/copy");
}

#[test]
fn copies_and_moves_take_the_body_of_rfc_2518_and_no_other() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let behavior = |inner: &str| {
        format!(
            "<?xml version=\"1.0\"?><d:propertybehavior xmlns:d=\"DAV:\">{inner}</d:propertybehavior>"
        )
    };
    for inner in [
        "<d:omit/>",
        "<d:keepalive>*</d:keepalive>",
        "<d:keepalive><d:href>DAV:getetag</d:href><d:href>u:x</d:href></d:keepalive>",
    ] {
        ana.transfer("COPY", NAME, "/copy")
            .xml(behavior(inner))
            .send()
            .is(201);
        ana.transfer("MOVE", "/copy", "/moved")
            .xml(behavior(inner))
            .send()
            .is(201);
        let bare = behavior(inner).replace("<?xml version=\"1.0\"?>", "");
        ana.transfer("MOVE", "/moved", "/copy")
            .xml(utf16(&bare, u16::to_le_bytes))
            .send()
            .is(201);
        ana.delete("/copy").is(204);
    }
    for body in [
        "x",
        " ",
        "<propertybehavior/>",
        &propfind_body("<a/>"),
        &"x".repeat(200_000),
    ] {
        ana.transfer("COPY", NAME, "/copy").xml(body).send().is(415);
        ana.transfer("MOVE", NAME, "/copy").xml(body).send().is(415);
    }
    ana.transfer("MOVE", NAME, "/copy")
        .xml(behavior("<d:omit/><d:keepalive>*</d:keepalive>"))
        .send()
        .is(400);
    ana.request("MKCOL", "/d")
        .xml(behavior("<d:omit/>"))
        .send()
        .is(415);
    ana.request("DELETE", NAME)
        .xml(behavior("<d:omit/>"))
        .send()
        .is(415);
    ana.request("PROPFIND", NAME)
        .header("Depth", "0")
        .xml("")
        .send()
        .is(207);
    ana.request("MKCOL", "/e").xml("").send().is(201);
    ana.transfer("COPY", NAME, "/copy").xml("").send().is(201);
    ana.holds(NAME, "x");
}

#[test]
fn an_empty_file_is_whole_in_every_range() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/empty", "");
    ana.store("/d/empty", "y");
    ana.store("/d/empty", "");
    let made = ana
        .api("POST", "/links", &json!({"path": "d", "rights": "view"}))
        .is(201)
        .json();
    let (link, stranger) = (
        format!("/s/{}", made["token"].as_str().unwrap()),
        server.stranger(),
    );
    let etag = ana.head("/d/empty").header("etag").unwrap().to_owned();
    let date = ana
        .head("/d/empty")
        .header("last-modified")
        .unwrap()
        .to_owned();
    let doors = [
        (&ana, "/dav/d/empty".to_owned()),
        (&ana, "/api/v1/files/content?path=d/empty".to_owned()),
        (&stranger, format!("{link}/file?path=empty")),
        (&stranger, format!("{link}/dav/empty")),
    ];
    for (client, target) in &doors {
        for range in [
            "bytes=0-",
            "bytes=0-0",
            "bytes=7-9",
            "bytes=-5",
            "bytes=-0",
            "bytes=0-,-1",
            "bytes=1-1,3-3",
            "x=1",
        ] {
            for method in ["GET", "HEAD"] {
                for (name, value) in [
                    ("X", ""),
                    ("If-Range", etag.as_str()),
                    ("If-Range", date.as_str()),
                    ("If-Range", "\"x\""),
                ] {
                    let reply = client
                        .raw(method, target)
                        .header("Range", range)
                        .header(name, value)
                        .send()
                        .is(200);
                    assert!(
                        reply.body.is_empty() && reply.header("content-range").is_none(),
                        "{reply}"
                    );
                    assert_eq!(reply.header("content-length"), Some("0"));
                }
            }
        }
    }
    ana.raw("GET", "/api/v1/zip?path=d")
        .header("Range", "bytes=0-")
        .send()
        .is(200);
    stranger
        .raw("GET", &format!("{link}/zip"))
        .header("Range", "bytes=0-")
        .send()
        .is(200);
}

#[test]
fn conditions_on_reading_are_read_leniently_at_every_door() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "content");
    let made = ana
        .api("POST", "/links", &json!({"path": "d", "rights": "view"}))
        .is(201)
        .json();
    let (link, stranger) = (
        format!("/s/{}", made["token"].as_str().unwrap()),
        server.stranger(),
    );
    let etag = ana.head("/d/f").header("etag").unwrap().to_owned();
    let bare = etag.trim_matches('"').to_owned();
    let date = ana.head("/d/f").header("last-modified").unwrap().to_owned();
    let doors = [
        (&ana, "/dav/d/f".to_owned()),
        (&ana, "/api/v1/files/content?path=d/f".to_owned()),
        (&stranger, format!("{link}/file?path=f")),
        (&stranger, format!("{link}/dav/f")),
    ];
    for (client, target) in &doors {
        for method in ["GET", "HEAD"] {
            let ask = |lines: &[(&str, &str)]| {
                lines
                    .iter()
                    .fold(client.raw(method, target), |request, (name, value)| {
                        request.header(name, value)
                    })
                    .send()
                    .status
            };
            for odd in ["", ",", &bare, "\"", "W/", "*, \"x\"", "garbage \"x\""] {
                assert_eq!(
                    ask(&[("If-None-Match", odd)]),
                    200,
                    "{method} {target}: {odd}"
                );
                assert_eq!(
                    ask(&[("If-None-Match", odd), ("If-Modified-Since", &date)]),
                    200,
                    "{odd}"
                );
            }
            assert_eq!(
                ask(&[("If-None-Match", "\"x\""), ("If-None-Match", &etag)]),
                304
            );
            assert_eq!(ask(&[("If-None-Match", ""), ("If-None-Match", &etag)]), 304);
            assert_eq!(
                ask(&[("If-None-Match", &bare), ("If-None-Match", &etag)]),
                304
            );
            assert_eq!(ask(&[("If-Match", "\"x\""), ("If-Match", &etag)]), 200);
            assert_eq!(ask(&[("If-Match", "\"x\""), ("If-Match", "\"y\"")]), 412);
            assert_eq!(ask(&[("Range", "bytes=0-0"), ("Range", "bytes=1-1")]), 200);
            assert_eq!(
                ask(&[("If-Modified-Since", &date), ("If-Modified-Since", &date)]),
                200
            );
        }
    }
    let listing = ana
        .raw("GET", "/api/v1/files")
        .send()
        .is(200)
        .header("etag")
        .unwrap()
        .to_owned();
    ana.raw("GET", "/api/v1/files")
        .header("If-None-Match", "x")
        .header("If-None-Match", &listing)
        .send()
        .is(304);
    ana.raw("GET", "/api/v1/files")
        .header("If-None-Match", "x")
        .send()
        .is(200);
}

#[test]
fn conditions_of_changes_in_several_lines_are_one_list() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let etag = || ana.head(NAME).header("etag").unwrap().to_owned();
    let put = |lines: &[(&str, &str)]| {
        lines
            .iter()
            .fold(ana.request("PUT", NAME), |request, (name, value)| {
                request.header(name, value)
            })
            .body("y")
            .send()
            .status
    };
    assert_eq!(put(&[("If-Match", "\"x\""), ("If-Match", &etag())]), 204);
    assert_eq!(put(&[("If-Match", "\"x\""), ("If-Match", "\"y\"")]), 412);
    assert_eq!(
        put(&[("If-None-Match", "\"x\""), ("If-None-Match", &etag())]),
        412
    );
    assert_eq!(put(&[("If-None-Match", "*"), ("If-None-Match", "*")]), 412);
    assert_eq!(
        put(&[("If", "([\"x\"])"), ("If", &format!("([{}])", etag()))]),
        204
    );
    assert_eq!(put(&[("If", "([\"x\"])"), ("If", "([\"y\"])")]), 412);
    assert_eq!(put(&[("If", "([\"x\"]"), ("If", ")")]), 400);
    let token = ana.lock(NAME).send().is(200).token();
    assert_eq!(
        put(&[("If", "(<urn:uuid:0>)"), ("If", &format!("(<{token}>)"))]),
        204
    );
    assert_eq!(
        put(&[
            ("Lock-Token", "<urn:uuid:0>"),
            ("Lock-Token", &format!("<{token}>"))
        ]),
        204
    );
    assert_eq!(put(&[("Lock-Token", "<urn:uuid:0>")]), 423);
}

/// Sends a request without the token, which is 423, and with it in `Lock-Token` alone.
fn takes(token: &str, send: impl Fn(&[(&str, &str)]) -> Reply) -> Reply {
    let refused = send(&[]);
    let is_refused = refused.status == 423 || refused.text().contains("\"status\":423");
    assert!(is_refused, "without the token: {refused}");
    send(&[("Lock-Token", &format!("<{token}>"))])
}

/// A request with headers and a body.
fn send(request: Request<'_>, headers: &[(&str, &str)], body: &str) -> Reply {
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    if body.is_empty() {
        request.send()
    } else {
        request.body(body).send()
    }
}

#[test]
fn lock_token_alone_submits_a_token_to_every_changing_method() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    for name in ["/d/f", "/d/g", "/other"] {
        ana.store(name, "x");
    }
    let token = ana
        .request("LOCK", "/d")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    let dav = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        takes(&token, |token| {
            send(ana.request(method, path), &[headers, token].concat(), body)
        })
    };
    let into = |path: &str| ana.absolute(path);
    let update = "<D:propertyupdate xmlns:D=\"DAV:\"><D:set><D:prop><a/></D:prop></D:set></D:propertyupdate>";
    dav("PUT", "/d/f", &[], "y").is(204);
    dav("PUT", "/d/new", &[], "y").is(201);
    let patch = [
        ("Content-Type", "application/x-sabredav-partialupdate"),
        ("X-Update-Range", "append"),
    ];
    dav("PATCH", "/d/f", &patch, "z").is(204);
    dav("PROPPATCH", "/d/f", &[], update).is(207);
    dav("MKCOL", "/d/sub", &[], "").is(201);
    dav("COPY", "/other", &[("Destination", &into("/d/copy"))], "").is(201);
    dav("MOVE", "/d/copy", &[("Destination", &into("/d/moved"))], "").is(201);
    dav("DELETE", "/d/moved", &[], "").is(204);
    let api = |method: &str, target: &str, kind: &str, body: &str| {
        let target = format!("/api/v1/files{target}");
        takes(&token, |token| {
            send(
                ana.raw(method, &target),
                &[&[("Content-Type", kind)], token].concat(),
                body,
            )
        })
    };
    let json = "application/json";
    api("PUT", "/content?path=d/f", "text/plain", "raw").is(200);
    api("POST", "/folder", json, r#"{"path": "d/made"}"#).is(201);
    let ok = |reply: Reply| {
        assert!(
            reply.is(200).json()["results"][0]["status"]
                .as_u64()
                .unwrap()
                < 300
        );
    };
    ok(api(
        "POST",
        "/copy",
        json,
        r#"{"items": [{"from": "other", "to": "d/c"}]}"#,
    ));
    ok(api(
        "POST",
        "/move",
        json,
        r#"{"items": [{"from": "d/c", "to": "d/m"}]}"#,
    ));
    ok(api("POST", "/delete", json, r#"{"paths": ["d/m"]}"#));
    let form = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"form\"\r\n\r\nx\r\n--x--\r\n";
    ok(api(
        "POST",
        "?path=d",
        "multipart/form-data; boundary=x",
        form,
    ));
    // A refresh, and a new lock in a folder whose members are locked.
    ana.request("LOCK", "/d")
        .header("Lock-Token", format!("<{token}>"))
        .send()
        .is(200);
    let both = ana
        .request("LOCK", "/d")
        .header("Lock-Token", format!("<{token}>"))
        .header("If", format!("(<{token}>)"));
    both.send().is(200);
    ana.request("UNLOCK", "/d")
        .header("Lock-Token", format!("<{token}>, <urn:uuid:0>"))
        .send()
        .is(400);
    ana.unlock("/d", &token).is(204);
    let shallow = ana.lock("/d").send().is(200).token();
    ana.lock("/d/unmapped").send().is(423);
    ana.lock("/d/unmapped")
        .header("Lock-Token", format!("<{shallow}>"))
        .send()
        .is(201);
}

/// What restores a file, a version or a whole folder is a change as others are: it needs the token, and takes it.
#[test]
fn what_is_locked_is_restored_with_its_token() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/x", "one");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let moment = precise_now();
    ana.store("/d/x", "second");
    ana.store("/d/new", "new");
    ana.store("/d/gone", "gone");
    ana.delete("/d/gone").is(204);
    let trash = ana.api("GET", "/trash", &json!(null)).is(200).json();
    let gone = trash["items"][0]["id"].as_str().unwrap().to_owned();
    let token = ana
        .request("LOCK", "/d")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    let post = |target: String, body: serde_json::Value| {
        takes(&token, |headers| {
            let request = ana.raw("POST", &target);
            let json = [("Content-Type", "application/json")];
            send(request, &[&json[..], headers].concat(), &body.to_string())
        })
    };
    let versions = ana.raw("GET", "/api/v1/versions?path=/d/x").send().is(200);
    let former = versions.json()["items"][0]["id"].clone();
    post(
        "/api/v1/versions/restore".to_owned(),
        json!({"path": "/d/x", "id": former}),
    )
    .is(204);
    ana.holds("/d/x", "one");
    let target = format!("/api/v1/trash/{gone}/restore");
    post(target, json!({"to": "/d/more/gone"})).is(200);
    ana.holds("/d/more/gone", "gone");
    let rewound = post(
        "/api/v1/rewind".to_owned(),
        json!({"path": "/d", "to": moment}),
    );
    assert_eq!(rewound.is(200).json()["lost"], json!([]));
    ana.holds("/d/x", "one");
    ana.lacks("/d/new");
    ana.lacks("/d/more");
    ana.put("/d/x", "x").is(423);
}

/// The time with all its digits.
fn precise_now() -> String {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    time::iso_date(now).replace('Z', &format!(".{:09}Z", since.subsec_nanos()))
}
