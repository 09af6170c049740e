//! The quota to the byte, by every way that brings bytes: one less fits, as many fit, one more is 507 and changes nothing.

use crate::harness::{Client, Reply, TestServer};
use sarang::model::AccountName;
use serde_json::{Value, json};

const QUOTA: u64 = 10_000;

/// One way to bring bytes: brings them to `/new`, which is not there before, or to nothing that is seen.
type Way = fn(&TestServer, &Client, usize) -> Reply;

fn body(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}

fn post(client: &Client, target: &str, body: &Value) -> Reply {
    client
        .raw("POST", target)
        .header("Content-Type", "application/json")
        .body(body.to_string())
        .send()
}

fn set_quota(server: &TestServer, bytes: Option<u64>) {
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), bytes),
        )
        .unwrap();
}

fn used(ana: &Client) -> u64 {
    let answer = ana.props("/", "0", "<D:quota-used-bytes/>").multistatus();
    answer.only().value("quota-used-bytes").parse().unwrap()
}

/// What makes something of so many bytes beyond the quota's reach, then sets the quota so that `room` is left.
fn with_room(server: &TestServer, ana: &Client, room: u64) {
    set_quota(server, None);
    let fill = QUOTA.checked_sub(used(ana) + room).unwrap();
    ana.store("/fill", body(usize::try_from(fill).unwrap()));
    set_quota(server, Some(QUOTA));
}

fn put(_: &TestServer, ana: &Client, len: usize) -> Reply {
    ana.put("/new", body(len))
}

fn put_chunked(_: &TestServer, ana: &Client, len: usize) -> Reply {
    ana.request("PUT", "/new").body(body(len)).chunked().send()
}

fn put_announced_otherwise(_: &TestServer, ana: &Client, len: usize) -> Reply {
    ana.request("PUT", "/new")
        .header("X-Expected-Entity-Length", len.to_string())
        .body(body(len))
        .chunked()
        .send()
}

fn patch(_: &TestServer, ana: &Client, len: usize) -> Reply {
    ana.put("/new", "").is(201);
    let request = ana
        .request("PATCH", "/new")
        .header("Content-Type", "application/x-sabredav-partialupdate");
    request
        .header("X-Update-Range", "append")
        .body(body(len))
        .send()
}

fn put_on_a_lock(_: &TestServer, ana: &Client, len: usize) -> Reply {
    let token = ana.lock("/new").send().is(201).token();
    let reply = ana
        .request("PUT", "/new")
        .header("If", format!("(<{token}>)"))
        .body(body(len))
        .send();
    ana.unlock("/new", &token).is(204);
    reply
}

fn upload(_: &TestServer, ana: &Client, len: usize) -> Reply {
    ana.raw("PUT", "/api/v1/files/content?path=new")
        .body(body(len))
        .send()
}

fn link_upload(server: &TestServer, ana: &Client, len: usize) -> Reply {
    let link = post(
        ana,
        "/api/v1/links",
        &json!({"path": "drop", "rights": "drop"}),
    )
    .is(201)
    .json();
    let target = format!("{}/dav/new", link["url"].as_str().unwrap());
    server.stranger().raw("PUT", &target).body(body(len)).send()
}

fn shared_upload(server: &TestServer, ana: &Client, len: usize) -> Reply {
    let asked = json!({"path": "drop", "to": {"account": "ben"}, "rights": "edit"});
    post(ana, "/api/v1/shares", &asked).is_any(&[201, 409]);
    server.ben().put("/Shared with me/drop/new", body(len))
}

fn carried(server: &TestServer, ana: &Client, len: usize) -> Reply {
    let ben = server.ben();
    let asked = json!({"path": "drop", "to": {"account": "ben"}, "rights": "edit"});
    post(ana, "/api/v1/shares", &asked).is_any(&[201, 409]);
    ben.put("/mine", body(len)).is_any(&[201, 204]);
    ben.transfer("COPY", "/mine", "/Shared with me/drop/new")
        .send()
}

fn carried_folder(server: &TestServer, ana: &Client, len: usize) -> Reply {
    let ben = server.ben();
    let asked = json!({"path": "drop", "to": {"account": "ben"}, "rights": "edit"});
    post(ana, "/api/v1/shares", &asked).is_any(&[201, 409]);
    ben.mkcol("/folder").is_any(&[201, 405]);
    ben.put("/folder/one", body(len / 2)).is_any(&[201, 204]);
    ben.put("/folder/two", body(len - len / 2))
        .is_any(&[201, 204]);
    ben.transfer("COPY", "/folder", "/Shared with me/drop/new")
        .send()
}

/// A copy, a folder's copy and a way back from the trash need their source first: it lies within the quota.
fn copy(_: &TestServer, ana: &Client, _: usize) -> Reply {
    ana.transfer("COPY", "/source", "/new").send()
}

fn restore(_: &TestServer, ana: &Client, _: usize) -> Reply {
    let trash = ana.raw("GET", "/api/v1/trash").send().is(200).json();
    let items = trash["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["path"] == "/gone").unwrap();
    let target = format!("/api/v1/trash/{}/restore", item["id"].as_str().unwrap());
    post(ana, &target, &json!({"to": "/new"}))
}

fn try_at(server: &TestServer, name: &str, way: Way, prepare: impl Fn(&Client, usize)) {
    let ana = server.ana();
    for (len, fits) in [(99, true), (100, true), (101, false)] {
        prepare(&ana, len);
        with_room(server, &ana, 100);
        let before = used(&ana);
        let reply = way(server, &ana, len);
        let brought = if fits { len as u64 } else { 0 };
        assert_eq!(
            reply.status / 100,
            if fits { 2 } else { 5 },
            "{name} of {len} bytes: {reply:?}"
        );
        assert!(
            fits || reply.status == 507,
            "{name} of {len} bytes: {reply:?}"
        );
        assert_eq!(used(&ana), before + brought, "{name} of {len} bytes");
        set_quota(server, None);
        for path in ["/new", "/drop/new", "/source", "/gone", "/fill"] {
            ana.delete(path).is_any(&[204, 404]);
        }
        assert_eq!(used(&ana), 0, "{name} of {len} bytes");
    }
}

#[test]
fn every_way_of_bringing_bytes_ends_at_the_quota() {
    let server = TestServer::start();
    server.ana().mkcol("/drop").is(201);
    let ways: [(&str, Way); 10] = [
        ("PUT", put),
        ("a chunked PUT", put_chunked),
        (
            "a chunked PUT with its length beside",
            put_announced_otherwise,
        ),
        ("PATCH", patch),
        ("PUT on a lock", put_on_a_lock),
        ("an upload by the API", upload),
        ("an upload by a link", link_upload),
        ("an upload into a share", shared_upload),
        ("a copy from another drive", carried),
        ("a copy of a folder from another drive", carried_folder),
    ];
    for (name, way) in ways {
        try_at(&server, name, way, |_, _| {});
    }
    try_at(&server, "COPY", copy, |ana, len| {
        ana.store("/source", body(len));
    });
    try_at(&server, "COPY of a folder", copy, |ana, len| {
        ana.mkcol("/source").is(201);
        ana.store("/source/one", body(len / 2));
        ana.store("/source/two", body(len - len / 2));
    });
    try_at(&server, "a file from the trash", restore, |ana, len| {
        ana.store("/gone", body(len));
        ana.delete("/gone").is(204);
    });
    try_at(&server, "a folder from the trash", restore, |ana, len| {
        ana.mkcol("/gone").is(201);
        ana.store("/gone/one", body(len));
        ana.delete("/gone").is(204);
    });
}

#[test]
fn what_takes_no_room_works_at_the_quota() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", body(500));
    set_quota(&server, Some(500));
    ana.mkcol("/d").is(201);
    ana.transfer("MOVE", "/a", "/d/a").send().is(201);
    ana.proppatch(
        "/d/a",
        "<D:set><D:prop><x xmlns='urn:x'>y</x></D:prop></D:set>",
    )
    .send()
    .is(207);
    let token = ana.lock("/empty").send().is(201).token();
    ana.unlock("/empty", &token).is(204);
    ana.put("/d/a", body(500)).is(204);
    ana.put("/b", body(1)).is(507);
    ana.delete("/d").is(204);
    ana.put("/b", body(500)).is(201);
}

#[test]
fn a_team_folder_has_a_quota_of_its_own() {
    let server = TestServer::start();
    let (root, ben) = (crate::shares::admin(&server), server.ben());
    let made = json!({"name": "Plans", "members": [{"to": {"account": "ben"}, "rights": "edit"}], "quota": 100});
    post(&root, "/api/v1/team-folders", &made).is(201);
    ben.put("/Team folders/Plans/a", body(101)).is(507);
    ben.put("/Team folders/Plans/a", body(100)).is(201);
    ben.request("PUT", "/Team folders/Plans/b")
        .body("1")
        .chunked()
        .send()
        .is(507);
    ben.put("/Team folders/Plans/a", body(99)).is(204);
    ben.put("/Team folders/Plans/b", "1").is(201);
    ben.put("/c", body(1000)).is(201);
}

/// What the home's books say of how much is used, exactly.
fn kept(server: &TestServer) -> Value {
    let text = std::fs::read(server.home("ana").join(".sarang/books")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["used"].clone()
}

#[test]
fn a_clean_stop_keeps_the_count_and_a_start_takes_it_back() {
    let server = TestServer::start();
    set_quota(&server, Some(QUOTA));
    server.ana().put("/a", body(100)).is(201);
    assert_eq!(
        kept(&server),
        Value::Null,
        "after a crash it would not be right"
    );
    let server = server.restart();
    assert_eq!(kept(&server), json!(100));
    server.ana().put("/b", body(9901)).is(507);
    assert_eq!(kept(&server), Value::Null);
    server.ana().put("/b", body(9900)).is(201);
    let server = server.restart();
    assert_eq!(
        (kept(&server), used(&server.ana())),
        (json!(10_000), 10_000)
    );
}
