//! What is under way when a link or share ends: downloads, archives and uploads end with it, and nobody takes a part for the whole.
//! And what visitors of a link hear of locks.

use crate::harness::{Client, Connection, LOCK_BODY, TestServer};
use sarang::model::AccountName;
use serde_json::{Value, json};

/// More than lies in the buffers between the server and a client that does not read.
pub const LARGE: u64 = 256 << 20;

fn api(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let reply = client.api(method, path, body).is_any(&[200, 201, 204]);
    if reply.body.is_empty() {
        Value::Null
    } else {
        reply.json()
    }
}

/// A server where ana has a folder with a large file and a small one.
fn server() -> TestServer {
    let server = TestServer::start();
    server.ana().mkcol("/docs").is(201);
    server.ana().store("/docs/small", "small");
    std::fs::File::create(server.home("ana").join("docs/large"))
        .unwrap()
        .set_len(LARGE)
        .unwrap();
    server
}

/// Begins a download, lets `end` happen in the middle of it, and demands that it is cut off.
#[track_caller]
fn cut_off(client: &Client, target: &str, end: impl FnOnce()) {
    let mut connection = begun(client, target);
    end();
    let rest = rest_of(&mut connection);
    assert!(rest < LARGE, "{target} went on to its end");
}

fn begun(client: &Client, target: &str) -> Connection {
    let address = client.host().parse().unwrap();
    let mut connection = Connection::open(address);
    connection.write(client.raw("GET", target).bytes()).unwrap();
    connection.read_head(target).unwrap().is(200);
    connection
}

/// How many bytes come before the server ends the connection, or the whole has come.
pub fn rest_of(connection: &mut Connection) -> u64 {
    let (mut read, mut buffer) = (0, vec![0; 1 << 20]);
    while read < LARGE {
        match connection.read_some(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(some) => read += some as u64,
        }
    }
    read
}

fn link(client: &Client, wish: &Value) -> (String, String) {
    let made = api(client, "POST", "/links", wish);
    (
        made["id"].as_str().unwrap().to_owned(),
        made["token"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn downloads_under_way_end_with_their_link() {
    let server = server();
    let (ana, visitor) = (server.ana(), server.stranger());
    for way in ["/dav/large", "/file?path=large", "/zip"] {
        let (id, token) = link(&ana, &json!({"path": "docs"}));
        let target = format!("/s/{token}{way}");
        cut_off(&visitor, &target, || {
            drop(api(&ana, "DELETE", &format!("/links/{id}"), &Value::Null));
        });
    }
    let (app, owner) = (server.app(), AccountName::parse("ana").unwrap());
    let (id, token) = link(&ana, &json!({"path": "docs"}));
    cut_off(&visitor, &format!("/s/{token}/dav/large"), || {
        server
            .block_on(app.links.change(&owner, &id, |record| {
                record.expires = Some(1);
                Ok(())
            }))
            .unwrap();
    });
    let (id, token) = link(&ana, &json!({"path": "docs"}));
    cut_off(&visitor, &format!("/s/{token}/dav/large"), || {
        api(
            &ana,
            "PATCH",
            &format!("/links/{id}"),
            &json!({"password": "new one"}),
        );
    });
    let (_, token) = link(&ana, &json!({"path": "docs"}));
    cut_off(&visitor, &format!("/s/{token}/dav/large"), || {
        server
            .block_on(app.auth.set_disabled(&owner, true))
            .unwrap();
    });
}

#[test]
fn what_does_not_end_a_link_ends_no_download() {
    let server = server();
    let (ana, visitor) = (server.ana(), server.stranger());
    let (id, token) = link(&ana, &json!({"path": "docs", "max_downloads": 1}));
    let mut connection = begun(&visitor, &format!("/s/{token}/file?path=large"));
    api(
        &ana,
        "PATCH",
        &format!("/links/{id}"),
        &json!({"note": "it is the last one"}),
    );
    visitor
        .raw("GET", &format!("/s/{token}/file?path=small"))
        .send()
        .is(404);
    assert_eq!(rest_of(&mut connection), LARGE);
}

#[test]
fn downloads_under_way_end_with_their_share() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    let wish = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "view"});
    for way in [
        "/dav/Shared%20with%20me/docs/large",
        "/api/v1/files/content?path=/Shared%20with%20me/docs/large",
    ] {
        let id = api(&ana, "POST", "/shares", &wish)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        cut_off(&ben, way, || {
            drop(api(&ana, "DELETE", &format!("/shares/{id}"), &Value::Null));
        });
    }
}

/// What is missing in a folder that is not shared any more has not vanished from it: the archive has no end.
#[test]
fn an_archive_of_a_share_that_ends_between_two_files_is_not_whole() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    for number in 0..20_000 {
        std::fs::write(server.home("ana").join(format!("docs/{number}")), [7; 1000]).unwrap();
    }
    for top in ["/Shared%20with%20me/docs", "/Shared%20with%20me"] {
        let wish = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "view"});
        let id = api(&ana, "POST", "/shares", &wish)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut connection = begun(&ben, &format!("/api/v1/zip?path={top}"));
        let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        // The share is open when a file of it has come.
        while !all.windows(5).any(|bytes| bytes == b"docs/") {
            let some = connection.read_some(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..some]);
        }
        api(&ana, "DELETE", &format!("/shares/{id}"), &Value::Null);
        while let Ok(some @ 1..) = connection.read_some(&mut buffer) {
            all.extend_from_slice(&buffer[..some]);
        }
        assert!(
            !all.windows(4).any(|bytes| bytes == b"PK\x05\x06"),
            "{top} came to its end"
        );
    }
}

#[test]
fn an_upload_under_way_is_not_published_by_a_link_that_has_ended() {
    let server = server();
    let (ana, visitor) = (server.ana(), server.stranger());
    let (id, token) = link(&ana, &json!({"path": "docs", "rights": "edit"}));
    let request = visitor
        .raw("PUT", &format!("/s/{token}/dav/late"))
        .header("Content-Length", "8");
    let mut connection = server.connect();
    connection
        .write(request.header("Expect", "100-continue").bytes())
        .unwrap();
    connection.read_continue();
    connection.write("half").unwrap();
    api(
        &ana,
        "PATCH",
        &format!("/links/{id}"),
        &json!({"rights": "view"}),
    );
    connection.write("half").unwrap();
    connection.read_reply(false, "PUT").unwrap().is(404);
    ana.lacks("/docs/late");
    assert!(server.staged("ana").is_empty());
}

#[test]
fn visitors_of_a_link_are_not_told_who_locks() {
    let server = server();
    let (ana, ben) = (server.ana(), server.ben());
    ana.request("LOCK", "/docs/small")
        .header("Depth", "0")
        .xml(LOCK_BODY.replace("http://example.org/~ana?a=1&amp;b=2", "Ana Secret"))
        .send()
        .is(200);
    let (_, token) = link(&ana, &json!({"path": "docs", "rights": "edit"}));
    let visitor = server.stranger();
    let small = format!("/s/{token}/dav/small");
    for method in ["PUT", "DELETE", "LOCK"] {
        let request = visitor.raw(method, &small);
        let refused = if method == "LOCK" {
            request.xml(LOCK_BODY).send()
        } else {
            request.send()
        }
        .is(423);
        assert!(
            !refused.text().contains("ana") && refused.text().contains("somebody else"),
            "{refused}"
        );
    }
    let seen = visitor
        .raw("PROPFIND", &small)
        .header("Depth", "0")
        .send()
        .is(207)
        .text();
    assert!(
        seen.contains("<D:activelock>") && !seen.contains("Ana Secret"),
        "{seen}"
    );
    // Whom it is shared with by name hears the name.
    api(
        &ana,
        "POST",
        "/shares",
        &json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"}),
    );
    assert!(
        ben.put("/Shared with me/docs/small", "x")
            .is(423)
            .text()
            .contains("ana")
    );
}
