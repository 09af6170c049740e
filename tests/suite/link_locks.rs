//! Locks of a link's visitors: they are the link's own, few, and end with whatever let the visitors in.

use crate::harness::{LOCK_BODY, Reply, TestServer};
use crate::links::{Shared, api, share};
use sarang::model::AccountName;
use serde_json::{Value, json};

fn server() -> TestServer {
    let server = TestServer::start();
    server.ana().mkcol("/docs").is(201);
    server.ana().store("/docs/a", "a");
    server
}

fn edit(server: &TestServer) -> Shared {
    share(
        &server.ana(),
        &json!({"path": "docs", "rights": "edit", "password": "old"}),
    )
}

fn ask(
    server: &TestServer,
    shared: &Shared,
    (method, name): (&str, &str),
    headers: &[(&str, String)],
) -> Reply {
    let client = server.stranger().signed_in("anybody", "old");
    let mut request = client.raw(method, &format!("/s/{}/dav/{name}", shared.token));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if method == "LOCK" {
        request.xml(LOCK_BODY).send()
    } else {
        request.send()
    }
}

fn lock(server: &TestServer, shared: &Shared, name: &str) -> Reply {
    ask(
        server,
        shared,
        ("LOCK", name),
        &[("Depth", "0".into()), ("Timeout", "Second-86400".into())],
    )
}

fn own_locks(server: &TestServer) -> Vec<Value> {
    server
        .ana()
        .api("GET", "/locks", &Value::Null)
        .is(200)
        .json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn visitors_have_a_small_budget_of_their_own() {
    let server = TestServer::with(|config| config.locks.per_account = 60);
    server.ana().mkcol("/docs").is(201);
    let (one, other) = (edit(&server), edit(&server));
    for n in 0..50 {
        lock(&server, &one, &format!("{n}")).is(201);
    }
    for n in 50..60 {
        lock(&server, &one, &format!("{n}")).is(507);
    }
    lock(&server, &other, "other").is(201);
    for n in 0..60 {
        server.ana().lock(&format!("/own{n}")).send().is(201);
    }
    server.ana().lock("/more").send().is(507);
    // One that ends makes room.
    let token = lock(&server, &other, "again").is(201).token();
    ask(
        &server,
        &other,
        ("UNLOCK", "again"),
        &[("Lock-Token", format!("<{token}>"))],
    )
    .is(204);
    lock(&server, &one, "50").is(507);
    assert_eq!(server.app().locks.all().len(), 111);
}

#[test]
fn visitors_do_not_fill_up_what_one_file_may_have() {
    let server = TestServer::with(|config| config.locks.per_resource = 2);
    server.ana().mkcol("/docs").is(201);
    server.ana().store("/docs/a", "a");
    let shared = edit(&server);
    let body = LOCK_BODY.replace("exclusive", "shared");
    let take = |status: u16| {
        let client = server.stranger().signed_in("x", "old");
        client
            .raw("LOCK", &format!("/s/{}/dav/a", shared.token))
            .header("Depth", "0")
            .xml(&body)
            .send()
            .is(status);
    };
    take(200);
    take(200);
    take(507);
    server
        .ana()
        .request("LOCK", "/docs/a")
        .header("Depth", "0")
        .xml(&body)
        .send()
        .is(200);
}

#[test]
fn owner_and_visitors_cannot_use_each_others_tokens() {
    let server = server();
    let (ana, shared, other) = (server.ana(), edit(&server), edit(&server));
    let if_token = |token: &str| ("If", format!("(<{token}>)"));
    let own = ana.lock("/docs/a").send().is(200).token();
    ask(&server, &shared, ("PUT", "a"), &[if_token(&own)]).is(423);
    ask(
        &server,
        &shared,
        ("PUT", "a"),
        &[("Lock-Token", format!("<{own}>"))],
    )
    .is(423);
    ask(&server, &shared, ("DELETE", "a"), &[if_token(&own)]).is(423);
    ask(
        &server,
        &shared,
        ("UNLOCK", "a"),
        &[("Lock-Token", format!("<{own}>"))],
    )
    .is(403);
    let client = server.stranger().signed_in("x", "old");
    let refresh = client
        .raw("LOCK", &format!("/s/{}/dav/a", shared.token))
        .header("If", format!("(<{own}>)"));
    refresh.send().is(412);
    ana.unlock("/docs/a", &own).is(204);

    let theirs = lock(&server, &shared, "a").is(200).token();
    for put in [
        ("If", format!("(<{theirs}>)")),
        ("Lock-Token", format!("<{theirs}>")),
    ] {
        let refused = ana
            .request("PUT", "/docs/a")
            .header(put.0, &put.1)
            .body("x")
            .send()
            .is(423);
        assert!(refused.text().contains("a visitor of a link"), "{refused}");
        ask(&server, &other, ("PUT", "a"), &[put]).is(423);
    }
    ana.unlock("/docs/a", &theirs).is(403);
    assert!(
        !ana.propfind("/docs/a", "0")
            .is(207)
            .text()
            .contains(&theirs),
        "the owner is not told the token"
    );
    ask(
        &server,
        &other,
        ("UNLOCK", "a"),
        &[("Lock-Token", format!("<{theirs}>"))],
    )
    .is(403);
    ask(&server, &shared, ("PUT", "a"), &[if_token(&theirs)]).is(204);
    // The owner breaks it.
    let listed = own_locks(&server);
    assert_eq!(
        (&listed[0]["holder"], &listed[0]["link"]),
        (&json!("ana"), &json!(shared.id))
    );
    assert!(
        listed[0]["summary"]
            .as_str()
            .unwrap()
            .contains("a visitor of a link of ana")
    );
    ana.api(
        "DELETE",
        &format!("/locks/{}", listed[0]["id"].as_str().unwrap()),
        &Value::Null,
    )
    .is(204);
    ana.put("/docs/a", "owner's").is(204);
    ask(&server, &shared, ("PUT", "a"), &[if_token(&theirs)]).is(412);
}

fn change(server: &TestServer, shared: &Shared, body: &Value) {
    api(&server.ana(), "PATCH", &format!("/{}", shared.id), body).is(200);
}

/// What ends the right of a link's visitors.
type End = dyn Fn(&TestServer, &Shared);

#[test]
fn they_end_with_whatever_let_the_visitors_in() {
    let ends: [(&str, &End); 7] = [
        ("removed", &|server, shared| {
            drop(
                api(
                    &server.ana(),
                    "DELETE",
                    &format!("/{}", shared.id),
                    &Value::Null,
                )
                .is(204),
            );
        }),
        ("fewer rights", &|server, shared| {
            change(server, shared, &json!({"rights": "view"}));
        }),
        ("only to add", &|server, shared| {
            change(server, shared, &json!({"rights": "drop"}));
        }),
        ("new password", &|server, shared| {
            change(server, shared, &json!({"password": "new"}));
        }),
        ("password taken away", &|server, shared| {
            change(server, shared, &json!({"password": null}));
        }),
        ("expired", &|server, shared| {
            let owner = AccountName::parse("ana").unwrap();
            let links = &server.app().links;
            server
                .block_on(links.change(&owner, &shared.id, |record| {
                    record.expires = Some(1);
                    Ok(())
                }))
                .unwrap();
        }),
        ("used up", &|server, shared| {
            change(server, shared, &json!({"max_downloads": 1}));
            ask(server, shared, ("GET", "b"), &[]).is(200);
        }),
    ];
    for (why, end) in ends {
        let server = server();
        let ana = server.ana();
        ana.store("/docs/b", "b");
        let shared = edit(&server);
        let token = lock(&server, &shared, "a").is(200).token();
        ana.put("/docs/a", "x").is(423);
        end(&server, &shared);
        assert_eq!(own_locks(&server), Vec::<Value>::new(), "{why}");
        assert!(
            !ana.propfind("/docs/a", "0")
                .is(207)
                .text()
                .contains("activelock"),
            "{why}"
        );
        ana.put("/docs/a", "owner's").is(204);
        // Nor does it stand in the way of another lock, or come back beside it.
        let own = ana.lock("/docs/a").send().is(200).token();
        let server = server.restart();
        let ana = server.ana();
        assert_eq!(own_locks(&server).len(), 1, "{why}");
        ana.request("PUT", "/docs/a")
            .header("If", format!("(<{own}>)"))
            .body("y")
            .send()
            .is(204);
        ana.request("PUT", "/docs/a")
            .header("If", format!("(<{token}>)"))
            .body("y")
            .send()
            .is(412);
        ana.unlock("/docs/a", &own).is(204);
        ana.put("/docs/a", "z").is(204);
    }
}

#[test]
fn what_ended_does_not_come_back_with_the_right() {
    let server = server();
    let (ana, shared) = (server.ana(), edit(&server));
    let token = lock(&server, &shared, "a").is(200).token();
    for rights in ["view", "edit"] {
        api(
            &ana,
            "PATCH",
            &format!("/{}", shared.id),
            &json!({"rights": rights}),
        )
        .is(200);
    }
    ana.put("/docs/a", "owner's").is(204);
    ask(
        &server,
        &shared,
        ("PUT", "a"),
        &[("If", format!("(<{token}>)"))],
    )
    .is(412);
    // Other changes of the link leave its locks alone.
    let token = lock(&server, &shared, "a").is(200).token();
    api(
        &ana,
        "PATCH",
        &format!("/{}", shared.id),
        &json!({"note": "x", "expires": "2099-01-31T12:00:00Z"}),
    )
    .is(200);
    ana.put("/docs/a", "x").is(423);
    ask(
        &server,
        &shared,
        ("PUT", "a"),
        &[("If", format!("(<{token}>)"))],
    )
    .is(204);
}

#[test]
fn they_survive_a_restart_as_what_they_are() {
    let server = server();
    let shared = edit(&server);
    let token = lock(&server, &shared, "a").is(200).token();
    let server = server.restart();
    let ana = server.ana();
    ana.put("/docs/a", "x").is(423);
    ana.request("PUT", "/docs/a")
        .header("If", format!("(<{token}>)"))
        .body("x")
        .send()
        .is(423);
    ask(
        &server,
        &shared,
        ("PUT", "a"),
        &[("If", format!("(<{token}>)"))],
    )
    .is(204);
    api(
        &ana,
        "PATCH",
        &format!("/{}", shared.id),
        &json!({"password": "new"}),
    )
    .is(200);
    ana.put("/docs/a", "x").is(204);
    let server = server.restart();
    server.ana().put("/docs/a", "y").is(204);
    assert_eq!(own_locks(&server), Vec::<Value>::new());
}
