//! Conditional requests: If-Match, If-None-Match, If-Modified-Since, and the `If` header of RFC 4918 section 10.4.

use crate::harness::{Client, NAME, Reply, TestServer};
use base64::Engine as _;
use serde_json::json;

const STALE: &str = "urn:uuid:00000000-0000-4000-8000-000000000000";

fn etag(client: &Client, path: &str) -> String {
    let tag = client
        .head(path)
        .is(200)
        .header("etag")
        .expect("an ETag")
        .to_owned();
    assert!(
        tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2,
        "strong and quoted: {tag}"
    );
    tag
}

#[test]
fn if_match_guards_a_put() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let tag = etag(&ana, NAME);
    let put = |value: &str, body| {
        ana.request("PUT", NAME)
            .header("If-Match", value)
            .body(body)
            .send()
            .status
    };
    assert_eq!(put("\"nope\"", "no"), 412);
    assert_eq!(
        put(&format!("W/{tag}"), "no"),
        412,
        "a weak tag never matches strongly"
    );
    assert_eq!(put(&tag, "2"), 204);
    assert_eq!(put(&tag, "no"), 412, "the tag has changed");
    assert_eq!(put(&format!("\"nope\", {}", etag(&ana, NAME)), "3"), 204);
    assert_eq!(put("*", "4"), 204);
    ana.holds(NAME, "4");
    ana.request("PUT", "/missing")
        .header("If-Match", "*")
        .body("x")
        .send()
        .is(412);
    ana.lacks("/missing");
}

#[test]
fn if_unmodified_since_guards_every_change() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.request("PUT", NAME)
        .header("X-OC-Mtime", "981173106")
        .body("1")
        .send()
        .is(201);
    let (then, before) = (
        "Sat, 03 Feb 2001 04:05:06 GMT",
        "Sat, 03 Feb 2001 04:05:05 GMT",
    );
    let with = |method: &str, since: &str| {
        ana.transfer(method, NAME, "/new")
            .header("If-Unmodified-Since", since)
            .body("")
            .send()
            .status
    };
    for method in ["PUT", "DELETE", "MOVE", "COPY"] {
        assert_eq!(with(method, before), 412, "{method}");
    }
    ana.holds(NAME, "1");
    ana.lacks("/new");
    assert_eq!(with("COPY", then), 201);
    assert_eq!(with("DELETE", then), 204);
}

#[test]
fn conditions_that_contradict_each_other_change_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    let put = || {
        ana.request("PUT", "/new")
            .header("If-Match", "*")
            .header("If-None-Match", "*")
            .body("x")
            .send()
    };
    put().is(400);
    ana.lacks("/new");
}

#[test]
fn conditions_that_agree_are_all_judged() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let tag = etag(&ana, NAME);
    let put = |none_match: &str, body| {
        ana.request("PUT", NAME)
            .header("If-Match", &tag)
            .header("If-None-Match", none_match)
            .body(body)
            .send()
            .status
    };
    assert_eq!(put(&tag, "no"), 412);
    assert_eq!(
        put(&format!("W/{tag}"), "no"),
        412,
        "RFC 9110 section 13.1.2: compared weakly"
    );
    assert_eq!(put("\"another\"", "2"), 204);
    ana.holds(NAME, "2");
    let then = "Sat, 03 Feb 2001 04:05:06 GMT";
    let put = || {
        ana.request("PUT", "/new")
            .header("If-None-Match", "*")
            .header("If-Unmodified-Since", then)
            .body("x")
    };
    put().send().is(201);
    put().send().is(412);
}

#[test]
fn what_an_if_header_refuses_is_refused_before_the_body() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let head = ana
        .request("PUT", NAME)
        .header("If", "([\"no such tag\"])")
        .header("Expect", "100-continue")
        .header("Content-Length", "1000000")
        .bytes();
    let mut connection = server.connect();
    connection.write(head).unwrap();
    let mut first = [0; 12];
    let mut got = 0;
    while got < first.len() {
        let more = connection.read_some(&mut first[got..]).unwrap();
        assert!(more > 0, "closed without an answer");
        got += more;
    }
    assert_eq!(&first, b"HTTP/1.1 412", "no 100 Continue comes before it");
    ana.holds(NAME, "1");
}

#[test]
fn a_refused_body_of_any_size_and_form_lets_its_client_see_why() {
    let server = TestServer::start();
    let ana = server.ana();
    let body = vec![b'x'; 3 << 20];
    ana.request("PUT", "/no/such")
        .body(&body)
        .chunked()
        .send()
        .is(409);
    ana.request("PUT", "/no/such").body(&body).send().is(409);
    ana.request("PUT", "/no/such")
        .body(&body[..500_000])
        .chunked()
        .send()
        .is(409);
    ana.put("/after", "x").is(201);
}

#[test]
fn if_none_match_guards_a_put() {
    let server = TestServer::start();
    let ana = server.ana();
    let put = |value: &str, body| {
        ana.request("PUT", NAME)
            .header("If-None-Match", value)
            .body(body)
            .send()
            .status
    };
    assert_eq!(put("*", "1"), 201);
    assert_eq!(put("*", "no"), 412);
    assert_eq!(put(&etag(&ana, NAME), "no"), 412);
    assert_eq!(
        put(&format!("W/{}", etag(&ana, NAME)), "no"),
        412,
        "RFC 9110 section 13.1.2: compared weakly"
    );
    assert_eq!(put("\"another\"", "2"), 204);
    ana.holds(NAME, "2");
}

#[test]
fn conditions_guard_every_change() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let with = |method: &str| {
        ana.transfer(method, NAME, "/new")
            .header("If-Match", "\"nope\"")
            .send()
            .status
    };
    assert_eq!(with("MOVE"), 412);
    assert_eq!(with("DELETE"), 412);
    ana.proppatch(NAME, "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
        .header("If-Match", "\"nope\"")
        .send()
        .is(412);
    ana.holds(NAME, "1");
    ana.lacks("/new");
    assert_eq!(
        ana.props(NAME, "0", "<x:a xmlns:x=\"http://example.org/x/\"/>")
            .multistatus()
            .only()
            .props[0]
            .status,
        404
    );
    ana.request("DELETE", NAME)
        .header("If-Match", etag(&ana, NAME))
        .send()
        .is(204);
}

#[test]
fn conditional_gets_answer_304() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let tag = etag(&ana, NAME);
    let date = ana.head(NAME).header("last-modified").unwrap().to_owned();
    let get = |name: &str, value: &str| ana.request("GET", NAME).header(name, value).send();
    let reply = get("If-None-Match", &tag).is(304);
    assert_eq!(reply.header("etag"), Some(tag.as_str()));
    get("If-None-Match", &format!("W/{tag}")).is(304);
    get("If-None-Match", "*").is(304);
    get("If-None-Match", "\"nope\"").is(200);
    get("If-Modified-Since", &date).is(304);
    get("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT").is(200);
    get("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT").is(412);
    get("If-Match", "\"nope\"").is(412);
    get("If-Match", &tag).is(200);
    let both = ana
        .request("GET", NAME)
        .header("If-None-Match", "\"nope\"")
        .header("If-Modified-Since", &date);
    both.send().is(200);
}

#[test]
fn if_lists_are_judged() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let token = ana.lock(NAME).send().is(200).token();
    let tag = etag(&ana, NAME);
    let here = ana.absolute(NAME);
    let relative = here
        .split_once("/dav")
        .map(|(_, rest)| format!("/dav{rest}"))
        .unwrap();
    let put = |value: &str| {
        ana.request("PUT", NAME)
            .header("If", value)
            .body("1")
            .send()
            .status
    };
    for good in [
        format!("(<{token}>)"),
        format!("(<{token}> [{tag}])"),
        format!("([\"nope\"]) (<{token}>)"),
        format!("<{here}> (<{token}>)"),
        format!("<{relative}> (<{token}>)"),
        format!("(Not <{STALE}> <{token}>)"),
        format!("(<{token}>) (Not <DAV:no-lock>)"),
        format!("(<{token}> Not [\"nope\"])"),
    ] {
        let value = good.replace(&tag, &etag(&ana, NAME));
        assert_eq!(put(&value), 204, "{value}");
    }
    for (bad, status) in [
        (format!("(<{STALE}>)"), 412),
        (format!("(<{token}> [\"nope\"])"), 412),
        (format!("(Not <{token}>)"), 412),
        (format!("(<{token}> <{STALE}>)"), 412),
        (format!("(Not <{STALE}>)"), 423),
        (format!("([{tag}] <{STALE}>)"), 412),
    ] {
        assert_eq!(put(&bad), status, "{bad}");
    }
    ana.holds(NAME, "1");
}

#[test]
fn a_malformed_if_is_400() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    for bad in [
        "(",
        "()",
        "<x",
        "(<x)",
        "([x",
        "x",
        "(Not)",
        "<http://x/>",
        ")(",
        "(<urn:x>) junk",
    ] {
        ana.request("PUT", NAME)
            .header("If", bad)
            .body("no")
            .send()
            .is(400);
    }
    ana.holds(NAME, "1");
}

#[test]
fn an_etag_list_needs_no_lock() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    ana.request("PUT", NAME)
        .header("If", format!("([{}])", etag(&ana, NAME)))
        .body("2")
        .send()
        .is(204);
    ana.request("PUT", NAME)
        .header("If", "([\"nope\"])")
        .body("no")
        .send()
        .is(412);
    ana.request("DELETE", NAME)
        .header("If", "([\"nope\"])")
        .send()
        .is(412);
    ana.holds(NAME, "2");
}

#[test]
fn a_tag_for_another_resource_is_judged_there() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/one", "1");
    ana.store("/two", "2");
    let (one, two) = (ana.absolute("/one"), ana.absolute("/two"));
    let tag = etag(&ana, "/two");
    let put = |value: String| {
        ana.request("PUT", "/one")
            .header("If", value)
            .body("x")
            .send()
            .status
    };
    assert_eq!(put(format!("<{two}> ([{tag}])")), 204);
    assert_eq!(put(format!("<{two}> ([\"nope\"])")), 412);
    assert_eq!(put(format!("<{one}> ([{tag}])")), 412);
}

#[test]
fn an_etag_changes_with_every_content() {
    let server = TestServer::start();
    let ana = server.ana();
    let mut seen = std::collections::BTreeSet::new();
    for body in ["a", "b", "a", "b", ""] {
        let put = ana
            .store(NAME, body)
            .header("etag")
            .expect("PUT returns an ETag")
            .to_owned();
        assert_eq!(put, etag(&ana, NAME));
        assert_eq!(
            put,
            ana.props(NAME, "0", "<D:getetag/>")
                .multistatus()
                .only()
                .value("getetag")
        );
        assert!(seen.insert(put), "a tag was used twice");
    }
}

/// A client whose condition has failed need not ask what is there now; who may not see it is not told.
#[test]
fn a_412_carries_the_tag_of_what_is_there() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "1");
    let etag = ana.head(NAME).header("etag").unwrap().to_owned();
    let stale = ("If-Match", "\"stale\"");
    let tagged = |reply: Reply| {
        assert_eq!(
            (reply.status, reply.header("etag")),
            (412, Some(&*etag)),
            "{reply}"
        );
    };
    let ask =
        |method: &str, (name, value): (&str, &str)| ana.request(method, NAME).header(name, value);
    for condition in [
        stale,
        ("If-None-Match", "*"),
        ("If", "([\"stale\"])"),
        ("If-None-Match", &etag),
    ] {
        tagged(ask("PUT", condition).body("2").send());
        tagged(ask("DELETE", condition).send());
        for method in ["COPY", "MOVE"] {
            tagged(
                ask(method, condition)
                    .header("Destination", ana.absolute("/to"))
                    .send(),
            );
        }
        let patch =
            ask("PATCH", condition).header("Content-Type", "application/x-sabredav-partialupdate");
        tagged(patch.header("X-Update-Range", "append").body("x").send());
    }
    for method in ["GET", "HEAD"] {
        tagged(ask(method, stale).send());
        tagged(
            ask(
                method,
                ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            )
            .send(),
        );
    }
    tagged(
        ask(
            "PUT",
            ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        )
        .body("2")
        .send(),
    );
    let set = "<D:set><D:prop><x:p>1</x:p></D:prop></D:set>";
    tagged(
        ana.proppatch(NAME, set)
            .header("If", "([\"stale\"])")
            .send(),
    );
    tagged(ana.lock(NAME).header("If", "([\"stale\"])").send());
    tagged(
        ana.request("LOCK", NAME)
            .header("If", "(<urn:uuid:00000000-0000-4000-8000-000000000000>)")
            .send(),
    );
    ana.store("/to", "there");
    tagged(
        ana.transfer("MOVE", NAME, "/to")
            .header("Overwrite", "F")
            .send(),
    );
    let content = "/api/v1/files/content?path=fi%20le%24%25%3C%3E%C3%A9.txt";
    tagged(
        ana.raw("PUT", content)
            .header(stale.0, stale.1)
            .body("2")
            .send(),
    );
    tagged(ana.raw("GET", content).header(stale.0, stale.1).send());
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let metadata = format!(
        "path {},if_match {}",
        encode(&NAME[1..]),
        encode("\"stale\"")
    );
    let tus = ana
        .raw("POST", "/api/v1/uploads")
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "3");
    tagged(tus.header("Upload-Metadata", metadata).body("").send());
    ana.holds(NAME, "1");
    let nothing = ana
        .request("PUT", "/new")
        .header(stale.0, stale.1)
        .body("x")
        .send()
        .is(412);
    assert_eq!(nothing.header("etag"), None);
}

#[test]
fn a_destination_with_an_unescaped_query_or_fragment_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/from", "1");
    ana.store("/what", "2");
    for method in ["MOVE", "COPY"] {
        for (absolute, tail) in [
            (true, "what?.txt"),
            (false, "what?"),
            (true, "what#1"),
            (false, "what?a=b#c"),
        ] {
            let to = if absolute {
                format!("{}{tail}", ana.absolute("/"))
            } else {
                format!("/dav/{tail}")
            };
            let reply = ana
                .request(method, "/from")
                .header("Destination", &to)
                .send()
                .is(400);
            assert!(reply.text().contains("%3F"), "{reply}");
        }
        for tagged in ["</dav/from?x> ([\"a\"])", "</dav/from#x> ([\"a\"])"] {
            ana.transfer(method, "/from", "/to")
                .header("If", tagged)
                .send()
                .is(400);
        }
    }
    ana.holds("/from", "1");
    ana.holds("/what", "2");
    ana.transfer("MOVE", "/from", "/what?#.txt").send().is(201);
    ana.holds("/what?#.txt", "1");
}

/// What is shared is taken out of the drive, or renamed there, under the conditions of the request; that changes nothing
/// of what it shows, so no lock is in the way.
#[test]
fn conditions_guard_a_share_that_is_left_or_renamed() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let at = "/Shared with me/docs";
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "a");
    let asked = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"});
    ana.api("POST", "/shares", &asked).is(201);
    let leave = || ben.request("DELETE", at);
    let rename = || ben.transfer("MOVE", at, "/Shared with me/papers");
    for (name, value) in [
        ("If-Match", "\"other\""),
        ("If-None-Match", "*"),
        ("If", "(<urn:uuid:0>)"),
        ("If", "([\"other\"])"),
    ] {
        leave().header(name, value).send().is(412);
        rename().header(name, value).send().is(412);
        ben.holds(&format!("{at}/a"), "a");
    }
    ben.lock(&format!("{at}/a")).send().is(200);
    let back = ben.transfer("MOVE", "/Shared with me/papers", at);
    rename().header("If-Match", "*").send().is(201);
    back.send().is(201);
    leave().header("If-Match", "*").send().is(204);
    ben.lacks(at);
    ana.holds("/docs/a", "a");
}
