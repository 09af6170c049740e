//! An app password for a folder, at work over WebDAV: the folder is the whole drive, in every address that comes and goes.

use crate::harness::{Client, LOCK_BODY, TestServer};
use serde_json::{Value, json};

/// A client that signs in with an app password of ana's.
fn confined(server: &TestServer, wish: &Value) -> Client {
    let ana = server.ana();
    let asked = ana
        .raw("POST", "/api/v1/app-passwords")
        .header("Content-Type", "application/json");
    let made = asked.body(wish.to_string()).send().is(201).json();
    ana.signed_in("ana", made["password"].as_str().unwrap())
}

fn prepared() -> (TestServer, Client, Client) {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/docs", "/docs/in", "/docs-private"] {
        ana.mkcol(folder).is(201);
    }
    for file in ["/docs/a", "/docs/in/b", "/docs-private/c", "/top"] {
        ana.store(file, file);
    }
    let docs = confined(&server, &json!({"name": "docs", "scope": "/docs"}));
    (server, ana, docs)
}

#[test]
fn addresses_are_relative_to_the_scope() {
    let (_server, ana, docs) = prepared();
    let mut paths = docs.propfind("/", "1").multistatus().paths();
    paths.sort();
    assert_eq!(paths, ["/dav", "/dav/a", "/dav/in"]);
    docs.holds("/in/b", "/docs/in/b");
    for outside in [
        "/docs/a",
        "/top",
        "/docs-private/c",
        "/../top",
        "/../docs-private/c",
    ] {
        docs.get(outside).is_any(&[403, 404]);
    }
    for outside in ["/dav/%2e%2e/top", "/dav/in/../../docs-private/c"] {
        docs.raw("GET", outside).send().is_any(&[403, 404]);
    }
    docs.transfer("MOVE", "/a", "/in/a").send().is(201);
    ana.holds("/docs/in/a", "/docs/a");
    docs.transfer("COPY", "/in/a", "/top").send().is(201);
    ana.holds("/docs/top", "/docs/a");
    ana.holds("/top", "/top");
    docs.request("COPY", "/in/a")
        .header("Destination", "/dav/../docs-private/x")
        .send()
        .is_any(&[400, 403, 502]);
    ana.lacks("/docs-private/x");
    for refused in [
        docs.delete("/"),
        docs.transfer("MOVE", "/", "/x").send(),
        docs.transfer("MOVE", "/in", "/").send(),
        docs.transfer("COPY", "/in", "/").send(),
    ] {
        refused.is(403);
    }
}

#[test]
fn locks_and_conditions_speak_of_the_scope() {
    let (_server, ana, docs) = prepared();
    let reply = docs
        .request("LOCK", "/in")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200);
    assert!(
        reply
            .text()
            .contains("<D:lockroot><D:href>/dav/in/</D:href>"),
        "{reply}"
    );
    let token = reply.token();
    let seen = ana
        .props("/docs/in/b", "0", "<D:lockdiscovery/>")
        .is(207)
        .text();
    assert!(
        seen.contains("<D:lockroot><D:href>/dav/docs/in/</D:href>"),
        "{seen}"
    );
    ana.put("/docs/in/b", "x").is(423);
    let tagged = |path: &str| format!("<{}> (<{token}>)", docs.absolute(path));
    docs.request("PUT", "/in/b")
        .header("If", tagged("/docs/in"))
        .body("x")
        .send()
        .is(412);
    docs.request("PUT", "/in/b")
        .header("If", tagged("/in"))
        .body("x")
        .send()
        .is(204);
    ana.holds("/docs/in/b", "x");
    docs.unlock("/in", &token).is(204);
    ana.request("LOCK", "/")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200);
    let above = docs
        .props("/in/b", "0", "<D:lockdiscovery/>")
        .is(207)
        .text();
    assert!(
        above.contains("<D:lockroot><D:href>/dav/</D:href>") && !above.contains("docs"),
        "{above}"
    );
}

#[test]
fn a_scope_that_is_gone_is_nowhere() {
    let (_server, ana, docs) = prepared();
    ana.transfer("MOVE", "/docs", "/papers").send().is(201);
    docs.propfind("/", "1").is(404);
    docs.get("/a").is(404);
    docs.put("/new", "x").is(404);
    docs.mkcol("/new").is(404);
    docs.delete("/a").is(404);
    docs.lock("/new").send().is(404);
    docs.proppatch("/a", "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
        .send()
        .is(404);
    ana.transfer("MOVE", "/papers/a", "/a").send().is(201);
    docs.transfer("COPY", "/a", "/b").send().is(404);
}

#[test]
fn to_read_is_to_change_nothing() {
    let (server, ana, _docs) = prepared();
    let reader = confined(
        &server,
        &json!({"name": "player", "scope": "/docs", "rights": "view"}),
    );
    let token = ana.lock("/docs/in/b").send().is(200).token();
    reader.holds("/a", "/docs/a");
    for refused in [
        reader.put("/a", "x"),
        reader.put("/new", "x"),
        reader.mkcol("/new"),
        reader.delete("/a"),
        reader.transfer("MOVE", "/a", "/b").send(),
        reader.transfer("COPY", "/a", "/b").send(),
        reader.lock("/a").send(),
        reader.lock("/new").send(),
        reader.unlock("/in/b", &token),
        reader
            .proppatch("/a", "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
            .send(),
    ] {
        refused.is(403);
    }
    assert_eq!(reader.propfind("/", "1").multistatus().paths().len(), 3);
}

#[test]
fn a_scope_may_lie_in_what_others_share() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ben.mkcol("/docs").is(201);
    ben.mkcol("/docs/in").is(201);
    ben.store("/docs/in/b", "1");
    let asked = json!({"path": "/docs", "to": {"account": "ana"}, "rights": "edit"});
    let request = ben
        .raw("POST", "/api/v1/shares")
        .header("Content-Type", "application/json");
    let id = request.body(asked.to_string()).send().is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let inner = confined(
        &server,
        &json!({"name": "in", "scope": "/Shared with me/docs/in"}),
    );
    inner.holds("/b", "1");
    inner.put("/c", "2").is(201);
    ben.holds("/docs/in/c", "2");
    inner.delete("/").is(403);
    ana.propfind("/Shared with me/docs", "0").is(207);
    let whole = confined(
        &server,
        &json!({"name": "docs", "scope": "/Shared with me/docs"}),
    );
    whole.delete("/").is(403);
    whole.holds("/in/c", "2");
    ben.raw("DELETE", &format!("/api/v1/shares/{id}"))
        .send()
        .is(204);
    inner.get("/b").is(404);
    whole.propfind("/", "0").is(404);
    whole.put("/x", "x").is_any(&[404, 409]);
}

/// That a client finds nothing, and stores nothing.
#[track_caller]
fn finds_nothing(client: &Client) {
    client.propfind("/", "1").is(404);
    client.get("/a").is(404);
    client.put("/late", "x").is(404);
    client.mkcol("/late").is(404);
    client.delete("/a").is(404);
    client.lock("/late").send().is(404);
    client.raw("GET", "/api/v1/files?path=/").send().is(404);
}

#[test]
fn another_folder_of_the_name_is_not_the_scope() {
    let (server, ana, docs) = prepared();
    ana.transfer("MOVE", "/docs", "/papers").send().is(201);
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "another");
    finds_nothing(&docs);
    ana.holds("/docs/a", "another");
    ana.lacks("/docs/late");
    let server = server.restart();
    let (ana, docs) = (server.ana(), docs_again(&server, &docs));
    finds_nothing(&docs);
    ana.transfer("MOVE", "/docs", "/others").send().is(201);
    finds_nothing(&docs);
    ana.transfer("MOVE", "/papers", "/docs").send().is(201);
    docs.holds("/a", "/docs/a");
    docs.put("/new", "x").is(201);
    ana.holds("/docs/new", "x");
    // From the trash it comes back as what it was.
    ana.delete("/docs").is(204);
    ana.mkcol("/docs").is(201);
    finds_nothing(&docs);
}

/// The same client, after a restart on another port.
fn docs_again(server: &TestServer, docs: &Client) -> Client {
    server.stranger().authorized(docs.authorization())
}

#[test]
fn another_share_of_the_name_is_not_the_scope() {
    let server = TestServer::start();
    server.add_account("eva");
    let (ana, ben) = (server.ana(), server.ben());
    let eva = ana.signed_in("eva", crate::harness::PASSWORD);
    for owner in [&ben, &eva] {
        owner.mkcol("/docs").is(201);
        owner.mkcol("/docs/in").is(201);
        owner.store("/docs/in/a", "1");
        owner.store("/docs/a", "1");
    }
    let asked = json!({"path": "/docs", "to": {"account": "ana"}, "rights": "edit"});
    let id = ben.api("POST", "/shares", &asked).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let [hall, whole, inner] = ["", "/docs", "/docs/in"].map(|below| {
        confined(
            &server,
            &json!({"name": "x", "scope": format!("/Shared with me{below}")}),
        )
    });
    hall.holds("/docs/in/a", "1");
    whole.holds("/a", "1");
    inner.holds("/a", "1");
    ben.api("DELETE", &format!("/shares/{id}"), &Value::Null)
        .is(204);
    finds_nothing(&hall);
    ana.mkcol("/Shared with me").is(201);
    ana.store("/Shared with me/a", "my own");
    for client in [&hall, &whole, &inner] {
        finds_nothing(client);
    }
    ana.delete("/Shared with me").is(204);
    eva.api("POST", "/shares", &asked).is(201);
    ana.holds("/Shared with me/docs/a", "1");
    finds_nothing(&whole);
    finds_nothing(&inner);
    hall.holds("/docs/a", "1");
    eva.lacks("/docs/late");
    eva.lacks("/docs/in/late");
}

#[test]
fn another_team_folder_of_the_name_is_not_the_scope() {
    let server = TestServer::start();
    let (ana, root) = (server.ana(), crate::shares::admin(&server));
    let made = json!({"name": "Plans", "members": [{"to": {"account": "ana"}, "rights": "edit"}]});
    root.api("POST", "/team-folders", &made).is(201);
    let plans = confined(
        &server,
        &json!({"name": "plans", "scope": "/Team folders/Plans"}),
    );
    plans.put("/a", "x").is(201);
    root.api("DELETE", "/team-folders/Plans", &Value::Null)
        .is(204);
    finds_nothing(&plans);
    root.api("POST", "/team-folders", &made).is(201);
    ana.store("/Team folders/Plans/a", "another");
    finds_nothing(&plans);
    ana.holds("/Team folders/Plans/a", "another");
}

/// As those of before this was kept.
#[test]
fn a_scope_that_nothing_was_at_is_whatever_has_the_name() {
    let server = TestServer::start();
    let ana = server.ana();
    let camera = confined(&server, &json!({"name": "camera", "scope": "/Camera"}));
    camera.put("/a", "x").is(404);
    ana.mkcol("/Camera").is(201);
    camera.put("/a", "1").is(201);
    ana.transfer("MOVE", "/Camera", "/Old").send().is(201);
    ana.mkcol("/Camera").is(201);
    camera.put("/a", "2").is(201);
    ana.holds("/Camera/a", "2");
}
