//! Links for uploads: no status, and nothing else of an answer, tells what lies in their folder.

use crate::harness::{Client, LOCK_BODY, Reply, TestServer, url};
use crate::links::{Shared, api, share, upload};
use serde_json::{Value, json};

/// What an answer shows, without what is another in each answer.
fn shown(reply: &Reply) -> (u16, String, Vec<String>) {
    let mut names: Vec<_> = reply
        .headers
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    names.sort();
    (reply.status, reply.text(), names)
}

fn put(client: &Client, shared: &Shared, name: &str) -> Reply {
    client
        .raw("PUT", &format!("/s/{}/dav/{}", shared.token, url(name)))
        .body("sent")
        .send()
}

/// A folder for uploads in which there are a file, a folder, names that are locked, and names in other spellings.
fn server() -> (TestServer, Shared) {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/inbox", "/inbox/folder"] {
        ana.mkcol(folder).is(201);
    }
    for file in [
        "/inbox/taken",
        "/inbox/locked",
        "/inbox/caf\u{e9}",
        "/inbox/a.tar.gz",
    ] {
        ana.store(file, "ana's");
    }
    ana.store(&format!("/inbox/{}", "x".repeat(255)), "ana's");
    for name in ["/inbox/locked", "/inbox/reserved"] {
        ana.lock(name).send().is_any(&[200, 201]);
    }
    std::os::unix::fs::symlink("taken", server.home("ana").join("inbox/hidden")).unwrap();
    let shared = share(&ana, &json!({"path": "inbox", "rights": "drop"}));
    (server, shared)
}

const TAKEN: [&str; 7] = [
    "taken",
    "locked",
    "folder",
    "reserved",
    "hidden",
    "cafe\u{301}",
    "a.tar.gz",
];

fn names_in(server: &TestServer) -> Vec<String> {
    let reply = server
        .ana()
        .api("GET", "/files?path=/inbox", &Value::Null)
        .is(200)
        .json();
    reply["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_method_answers_the_same_whatever_lies_there() {
    let (server, shared) = server();
    let visitor = server.stranger();
    let conditions: [&[(&str, &str)]; 9] = [
        &[],
        &[("If-None-Match", "*")],
        &[("If-None-Match", "\"1-2-3-4\"")],
        &[("If-Match", "*")],
        &[("If-Match", "\"1-2-3-4\"")],
        &[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")],
        &[("If", "([\"1-2-3-4\"])")],
        &[(
            "If",
            "(Not <urn:uuid:00000000-0000-4000-8000-000000000000>)",
        )],
        &[("Overwrite", "F"), ("Depth", "0")],
    ];
    let methods = [
        "PUT",
        "PATCH",
        "MKCOL",
        "LOCK",
        "GET",
        "HEAD",
        "DELETE",
        "PROPFIND",
        "PROPPATCH",
        "OPTIONS",
        "UNLOCK",
    ];
    let long = "x".repeat(255);
    for method in methods {
        for (n, headers) in conditions.iter().enumerate() {
            let ask = |name: &str| {
                let mut request =
                    visitor.raw(method, &format!("/s/{}/dav/{}", shared.token, url(name)));
                for (name, value) in *headers {
                    request = request.header(name, value);
                }
                request = match method {
                    "PATCH" => request
                        .header("Content-Type", "application/x-sabredav-partialupdate")
                        .header("X-Update-Range", "append"),
                    "LOCK" => request.xml(LOCK_BODY),
                    "UNLOCK" => request.header(
                        "Lock-Token",
                        "<urn:uuid:00000000-0000-4000-8000-000000000000>",
                    ),
                    _ => request,
                };
                let body = if matches!(method, "PUT" | "PATCH") {
                    "sent"
                } else {
                    ""
                };
                shown(&if body.is_empty() {
                    request.send()
                } else {
                    request.body(body).send()
                })
            };
            let expected = ask(&format!("free-{method}-{n}"));
            for name in TAKEN.into_iter().chain([long.as_str()]) {
                assert_eq!(ask(name), expected, "{method} {name} {headers:?}");
            }
        }
    }
    for method in ["COPY", "MOVE"] {
        let ask = |name: &str| {
            let base = format!("/s/{}/dav", shared.token);
            let request = visitor.raw(method, &format!("{base}/source"));
            shown(
                &request
                    .header("Destination", format!("{base}/{}", url(name)))
                    .send(),
            )
        };
        let expected = ask("free");
        assert!(TAKEN.iter().all(|name| ask(name) == expected), "{method}");
    }
    for name in ["taken", "locked", "caf\u{e9}", "a.tar.gz"] {
        server.ana().holds(&format!("/inbox/{name}"), "ana's");
    }
}

#[test]
fn what_is_taken_gets_a_number_and_all_that_was_sent_is_there() {
    let (server, shared) = server();
    let visitor = server.stranger();
    for name in TAKEN {
        put(&visitor, &shared, name).is(201);
    }
    let told = upload(&server, &shared, "", "taken", "form").is(200).text();
    assert!(
        told.contains("taken: uploaded") && !told.contains("(3)"),
        "{told}"
    );
    let ana = server.ana();
    for name in [
        "taken (2)",
        "locked (2)",
        "folder (2)",
        "reserved (2)",
        "a.tar (2).gz",
        "cafe\u{301} (2)",
    ] {
        ana.holds(&format!("/inbox/{name}"), "sent");
    }
    ana.holds("/inbox/taken (3)", "form");
    for _ in 0..30 {
        put(&visitor, &shared, "often").is(201);
    }
    let often: Vec<_> = names_in(&server)
        .into_iter()
        .filter(|name| name.starts_with("often"))
        .collect();
    assert_eq!(often.len(), 30, "{often:?}");
    assert!(often.contains(&"often (20)".to_owned()));
    for name in ["x".repeat(255), "\u{e9}".repeat(127)] {
        put(&visitor, &shared, &name).is(201);
        put(&visitor, &shared, &name).is(201);
    }
    assert!(ana.get("/inbox/taken (2)").header("etag").is_some());
    // Nothing of what lies there is handed on.
    ana.proppatch(
        "/inbox/taken",
        "<D:set><D:prop><Z:secret xmlns:Z='z'>s</Z:secret></D:prop></D:set>",
    )
    .send()
    .is(207);
    put(&visitor, &shared, "taken").is(201);
    assert!(
        !ana.propfind("/inbox/taken (4)", "0")
            .is(207)
            .text()
            .contains("secret")
    );
}

#[test]
fn those_who_send_the_same_name_at_once_all_get_through() {
    let (server, shared) = server();
    let mut open: Vec<_> = (0..16).map(|_| server.connect()).collect();
    let request = server.stranger();
    for (n, connection) in open.iter_mut().enumerate() {
        let name = if n % 2 == 0 { "taken" } else { "new" };
        let put = request
            .raw("PUT", &format!("/s/{}/dav/{name}", shared.token))
            .body(n.to_string());
        connection.write(put.bytes()).unwrap();
    }
    for connection in &mut open {
        connection.read_reply(false, "PUT").unwrap().is(201);
    }
    let names = names_in(&server);
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("taken"))
            .count(),
        9,
        "{names:?}"
    );
    assert_eq!(
        names.iter().filter(|name| name.starts_with("new")).count(),
        8,
        "{names:?}"
    );
}

#[test]
fn a_name_that_is_taken_while_a_file_is_on_its_way_changes_nothing() {
    let (server, shared) = server();
    let mut connection = server.connect();
    let request = server.stranger();
    let put = request
        .raw("PUT", &format!("/s/{}/dav/slow", shared.token))
        .header("Content-Length", "8");
    connection.write(put.bytes()).unwrap();
    connection.write("half").unwrap();
    server.ana().store("/inbox/slow", "faster");
    connection.write("half").unwrap();
    connection.read_reply(false, "PUT").unwrap().is(201);
    server.ana().holds("/inbox/slow", "faster");
    server.ana().holds("/inbox/slow (2)", "halfhalf");
    assert!(server.staged("ana").is_empty());
}

#[test]
fn a_full_drive_and_a_locked_folder_refuse_every_name_alike() {
    let (server, shared) = server();
    let visitor = server.stranger();
    let lock = server.ana().lock("/inbox").send().is(200).token();
    let expected = shown(&put(&visitor, &shared, "free").is(423));
    for name in TAKEN {
        assert_eq!(shown(&put(&visitor, &shared, name)), expected, "{name}");
    }
    server.ana().unlock("/inbox", &lock).is(204);
    let owner = sarang::model::AccountName::parse("ana").unwrap();
    server
        .block_on(server.app().auth.set_quota(&owner, Some(1)))
        .unwrap();
    let expected = shown(&put(&visitor, &shared, "free").is(507));
    for name in TAKEN {
        assert_eq!(shown(&put(&visitor, &shared, name)), expected, "{name}");
    }
    assert!(names_in(&server).iter().all(|name| !name.contains("(2)")));
    let link = api(
        &server.ana(),
        "GET",
        &format!("/{}", shared.id),
        &Value::Null,
    )
    .is(200)
    .json();
    assert_eq!(link["rights"], "drop");
}

/// A condition may cost a look at the disk: who visits a link has sixteen in a request, whatever they name; who signs in has more.
#[test]
fn conditions_by_links_are_few() {
    let (server, drop) = server();
    let edit = share(&server.ana(), &json!({"path": "inbox", "rights": "edit"}));
    let conditions = |base: &str, count: usize| {
        let lists: Vec<_> = (0..count)
            .map(|n| format!("<{base}/other{n}> (Not [\"1-2-3-4\"])"))
            .collect();
        lists.join(" ")
    };
    for shared in [&drop, &edit] {
        let base = format!("/s/{}/dav", shared.token);
        for method in ["PUT", "PROPPATCH", "MKCOL", "DELETE"] {
            let ask = |count| {
                let at = format!("{base}/{method}{count}");
                let request = server.stranger();
                let reply = request
                    .raw(method, &at)
                    .header("If", conditions(&base, count))
                    .send();
                (reply.status, reply.text())
            };
            assert!(
                ask(17).1.contains("at most 16 conditions"),
                "{method}: {:?}",
                ask(17)
            );
            assert_eq!(ask(200).0, 400, "{method}");
            assert!(!ask(16).1.contains("conditions"), "{method}: {:?}", ask(16));
        }
        let all_in_one = format!("({})", "Not <urn:x> ".repeat(17));
        server
            .stranger()
            .raw("PUT", &format!("{base}/one"))
            .header("If", all_in_one)
            .body("x")
            .send()
            .is(400);
    }
    server
        .ana()
        .request("PUT", "/own")
        .header("If", conditions("/dav", 200))
        .body("x")
        .send()
        .is(201);
}
