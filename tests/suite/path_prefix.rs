//! Below a path (`server.public_url` with one): whether a proxy takes it off or passes it on, every address that goes out has it, and
//! those that come in count with it and without.

use crate::harness::{LOCK_BODY, Reply, TestServer};
use serde_json::json;

const PREFIX: &str = "/nest/drive";

fn server() -> TestServer {
    TestServer::with(|config| config.server.public_url = format!("http://files.example{PREFIX}"))
}

/// Every address in a page or multistatus that begins with a slash.
fn addresses(reply: &Reply, opening: &str) -> Vec<String> {
    let text = reply.text();
    let found = text.split(opening).skip(1);
    let found: Vec<String> = found
        .map(|rest| rest.split(['"', '<']).next().unwrap().to_owned())
        .filter(|address| address.starts_with('/'))
        .collect();
    assert!(!found.is_empty(), "no {opening} in {text}");
    found
}

#[test]
fn dav_addresses_have_the_prefix_whether_the_proxy_strips_it_or_not() {
    let server = server();
    let ana = server.ana();
    ana.mkcol("/a b").is(201);
    ana.store("/a b/f", "text");
    for base in ["/dav", "/nest/drive/dav"] {
        let listed = ana
            .raw("PROPFIND", &format!("{base}/a%20b/"))
            .header("Depth", "1")
            .send();
        assert_eq!(
            addresses(&listed.is(207), "<D:href>"),
            ["/nest/drive/dav/a%20b/", "/nest/drive/dav/a%20b/f"]
        );
        let found = ana.raw("GET", &format!("{base}/a%20b/f")).send();
        assert_eq!(found.is(200).text(), "text");
    }
    for above in ["/", "/nest/drive/", "/nest/drive"] {
        let listed = ana.raw("PROPFIND", above).header("Depth", "1").send();
        assert_eq!(
            addresses(&listed.is(207), "<D:href>"),
            ["/nest/drive/", "/nest/drive/dav/"]
        );
    }
    ana.raw("GET", "/nest/drivedav/a%20b/f").send().is(404);
    ana.raw("GET", "/nest/dav/a%20b/f").send().is(404);
}

#[test]
fn dav_headers_name_addresses_with_the_prefix_or_without() {
    let server = server();
    let ana = server.ana();
    ana.store("/f", "text");
    let host = ana.host();
    let targets = [
        format!("http://{host}{PREFIX}/dav/one"),
        format!("{PREFIX}/dav/two"),
        format!("http://{host}/dav/three"),
    ];
    for target in &targets {
        ana.request("COPY", "/f")
            .header("Destination", target)
            .send()
            .is(201);
    }
    for name in ["/one", "/two", "/three"] {
        ana.get(name).is(200);
    }
    let elsewhere = ana
        .request("COPY", "/f")
        .header("Destination", "/nest/other/dav/x")
        .send();
    assert!(
        [400, 403, 409, 502].contains(&elsewhere.status),
        "{}",
        elsewhere.status
    );
    let locked = ana.request("LOCK", "/f").xml(LOCK_BODY).send().is(200);
    let token = locked.header("lock-token").unwrap().to_owned();
    assert_eq!(
        addresses(&locked, "<D:lockroot><D:href>"),
        ["/nest/drive/dav/f"]
    );
    ana.put("/f", "no").is(423);
    let with_tag = |at: &str| format!("<{at}> ({token})");
    for at in [
        format!("{PREFIX}/dav/f"),
        format!("http://{host}{PREFIX}/dav/f"),
        "/dav/f".into(),
    ] {
        ana.request("PUT", "/f")
            .header("If", with_tag(&at))
            .body("held")
            .send()
            .is(204);
    }
}

#[test]
fn pages_links_and_locations_are_below_the_prefix() {
    let server = server();
    let ana = server.ana();
    ana.mkcol("/shared").is(201);
    ana.store("/shared/page.html", "<a href=\"/\">mine</a>");
    for name in ["href=\"", "src=\""] {
        for address in addresses(&server.stranger().raw("GET", PREFIX).send().is(200), name) {
            let file = server.stranger().raw("GET", &address).send();
            assert!(address.starts_with("/nest/drive/_/"), "{address}");
            file.is(200);
        }
    }
    let made = ana
        .api("POST", "/links", &json!({"path": "/shared"}))
        .is(201)
        .json();
    let url = made["url"].as_str().unwrap();
    assert_eq!(
        url,
        format!("{PREFIX}/s/{}", made["token"].as_str().unwrap())
    );
    let page = server.stranger().raw("GET", url).send();
    for address in addresses(&page.is(200), "href=\"") {
        assert!(address.starts_with("/nest/drive/"), "{address}");
        server.stranger().raw("GET", &address).send().is(200);
    }
    let listed = server
        .stranger()
        .raw("PROPFIND", &format!("{url}/dav/"))
        .header("Depth", "1")
        .send();
    assert_eq!(
        addresses(&listed.is(207), "<D:href>"),
        [format!("{url}/dav/"), format!("{url}/dav/page.html")]
    );
    // A file of a user stays as it is.
    let file = server
        .stranger()
        .raw("GET", &format!("{url}/file?path=page.html"))
        .send();
    assert_eq!(file.is(200).text(), "<a href=\"/\">mine</a>");
    let begun = ana.raw("POST", "/nest/drive/api/v1/uploads");
    let begun = begun
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "3");
    let begun = begun.header("Upload-Metadata", "path L3R1cw==").send();
    let place = begun.is(201).header("location").unwrap().to_owned();
    assert!(place.starts_with("/nest/drive/api/v1/uploads/"), "{place}");
    let part = ana
        .raw("PATCH", &place)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", "0");
    let part = part
        .header("Content-Type", "application/offset+octet-stream")
        .body("tus")
        .send();
    part.is(204);
    assert_eq!(ana.get("/tus").is(200).text(), "tus");
}

#[test]
fn requests_of_browsers_are_this_sites_by_the_origin_without_the_path() {
    let server = server();
    let signing = json!({"name": "ana", "password": crate::harness::PASSWORD}).to_string();
    let ask = |origin: &str| {
        let client = server.stranger();
        let request = client
            .raw("POST", "/nest/drive/api/v1/login")
            .header("Origin", origin);
        request
            .header("Content-Type", "application/json")
            .body(&signing)
            .send()
            .status
    };
    assert_eq!(ask("http://files.example"), 200);
    assert_eq!(ask("http://other.example"), 403);
}

#[test]
fn cookies_of_links_are_for_the_path_that_browsers_see() {
    let server = server();
    let ana = server.ana();
    ana.store("/f", "text");
    let body = json!({"path": "/f", "password": "secret"});
    let made = ana.api("POST", "/links", &body).is(201).json();
    let url = made["url"].as_str().unwrap();
    let entered = server
        .stranger()
        .raw("POST", &format!("{url}/password"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Origin", "http://files.example")
        .body("password=secret")
        .send()
        .is(303);
    assert_eq!(entered.header("location"), Some(url));
    let cookie = entered.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains(&format!("; Path={url};")), "{cookie}");
    let pass = cookie.split(';').next().unwrap();
    let visitor = server.stranger();
    let file = visitor.raw("GET", &format!("{url}/file"));
    assert_eq!(file.header("Cookie", pass).send().is(200).text(), "text");
}
