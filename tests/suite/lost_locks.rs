//! A lock counts only while whoever holds it may still change what it is on: shares, team folders, app passwords, accounts.

use crate::harness::{Client, LOCK_BODY, PASSWORD, TestServer};
use sarang::model::AccountName;
use serde_json::{Value, json};

fn api(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let reply = client.api(method, path, body).is_any(&[200, 201, 204]);
    if reply.body.is_empty() {
        Value::Null
    } else {
        reply.json()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn administrator(server: &TestServer) -> Client {
    let role = sarang::model::Role::Admin;
    server
        .block_on(
            server
                .app()
                .auth
                .create(&name("zoe"), PASSWORD.as_bytes(), role, None),
        )
        .unwrap();
    server.stranger().signed_in("zoe", PASSWORD)
}

/// A server where ana shares `/docs` with ben, who has locked a file there; the id of the share.
fn shared() -> (TestServer, String) {
    let server = TestServer::start();
    server.ana().mkcol("/docs").is(201);
    server.ana().store("/docs/a", "a");
    let wish = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"});
    let id = text(&api(&server.ana(), "POST", "/shares", &wish)["id"]);
    server.ben().lock("/Shared with me/docs/a").send().is(200);
    server.ana().put("/docs/a", "x").is(423);
    (server, id)
}

/// What ends the right of a receiver, by the id of the share.
type End = dyn Fn(&TestServer, &str);

#[test]
fn with_a_share() {
    let ends: [(&str, &End); 5] = [
        ("revoked", &|server, id| {
            drop(api(
                &server.ana(),
                "DELETE",
                &format!("/shares/{id}"),
                &Value::Null,
            ));
        }),
        ("only to view", &|server, id| {
            drop(api(
                &server.ana(),
                "PATCH",
                &format!("/shares/{id}"),
                &json!({"rights": "view"}),
            ));
        }),
        ("expired", &|server, id| {
            let (app, id) = (server.app(), id.to_owned());
            let shares = &app.sharing.shares;
            server
                .block_on(shares.change(
                    |shares| shares.made_by(&name("ana"), &id),
                    |share| share.expires = Some(1),
                ))
                .unwrap();
        }),
        ("left", &|server, _| {
            drop(server.ben().delete("/Shared with me/docs").is(204));
        }),
        ("disabled", &|server, _| {
            server
                .block_on(server.app().auth.set_disabled(&name("ben"), true))
                .unwrap();
        }),
    ];
    for (why, end) in ends {
        let (server, id) = shared();
        end(&server, &id);
        server.ana().put("/docs/a", why).is(204);
        assert_eq!(
            api(&server.ana(), "GET", "/locks", &Value::Null)["items"],
            json!([]),
            "{why}"
        );
        server.ana().lock("/docs/a").send().is(200);
        let server = server.restart();
        server.ana().put("/docs/a", why).is(423);
    }
}

#[test]
fn with_an_account_that_is_disabled_and_for_good() {
    let (server, _) = shared();
    let zoe = administrator(&server);
    for disabled in [true, false] {
        api(
            &zoe,
            "PATCH",
            "/accounts/ben",
            &json!({"disabled": disabled}),
        );
        server.ana().put("/docs/a", "x").is(204);
    }
    assert_eq!(
        server
            .block_on(server.app().store.scan("lock/", "", 10))
            .unwrap(),
        []
    );
}

#[test]
fn with_an_app_password() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/docs").is(201);
    let device = |wish: Value| {
        let made = api(&ana, "POST", "/app-passwords", &wish);
        (
            text(&made["id"]),
            server.stranger().signed_in("ana", &text(&made["password"])),
        )
    };
    let (id, laptop) = device(json!({"name": "laptop"}));
    let token = laptop.lock("/docs/a").send().is(201).token();
    // All that an account signs in with is one holder.
    ana.request("PUT", "/docs/a")
        .header("If", format!("(<{token}>)"))
        .body("x")
        .send()
        .is(204);
    ana.put("/docs/a", "x").is(423);
    api(
        &ana,
        "DELETE",
        &format!("/app-passwords/{id}"),
        &Value::Null,
    );
    ana.put("/docs/a", "x").is(204);
    // After a restart, too.
    let (id, laptop) = device(json!({"name": "laptop"}));
    laptop.lock("/docs/a").send().is(200);
    let kept = ana.lock("/docs/b").send().is(201).token();
    let server = server.restart();
    let ana = server.ana();
    ana.put("/docs/a", "x").is(423);
    api(
        &ana,
        "DELETE",
        &format!("/app-passwords/{id}"),
        &Value::Null,
    );
    ana.put("/docs/a", "x").is(204);
    ana.put("/docs/b", "x").is(423);
    ana.unlock("/docs/b", &kept).is(204);
}

#[test]
fn a_confined_app_password_uses_no_lock_on_more_than_it_shows() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "a");
    let made = api(
        &ana,
        "POST",
        "/app-passwords",
        &json!({"name": "printer", "scope": "/docs"}),
    );
    let printer = server.stranger().signed_in("ana", &text(&made["password"]));
    let deep = ana
        .request("LOCK", "/docs")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    assert!(
        printer.propfind("/a", "0").is(207).text().contains(&deep),
        "a lock on all that it shows"
    );
    ana.unlock("/docs", &deep).is(204);
    ana.mkcol("/docs/sub").is(201);
    let made = api(
        &ana,
        "POST",
        "/app-passwords",
        &json!({"name": "scanner", "scope": "/docs/sub"}),
    );
    let scanner = server.stranger().signed_in("ana", &text(&made["password"]));
    let deep = ana
        .request("LOCK", "/docs")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    let seen = scanner.propfind("/", "0").is(207).text();
    assert!(
        seen.contains("activelock") && !seen.contains(&deep),
        "{seen}"
    );
    scanner.put("/new", "x").is(423);
}

#[test]
fn with_a_team_folder() {
    let server = TestServer::start();
    let (ana, zoe) = (server.ana(), administrator(&server));
    let members = json!([{"to": {"account": "ana"}, "rights": "edit"}, {"to": {"account": "ben"}, "rights": "edit"}]);
    api(
        &zoe,
        "POST",
        "/team-folders",
        &json!({"name": "Plans", "members": members}),
    );
    ana.store("/Team folders/Plans/a", "a");
    server.ben().lock("/Team folders/Plans/a").send().is(200);
    ana.put("/Team folders/Plans/a", "x").is(423);
    let only = json!([{"to": {"account": "ana"}, "rights": "edit"}, {"to": {"account": "ben"}, "rights": "view"}]);
    api(
        &zoe,
        "PATCH",
        "/team-folders/Plans",
        &json!({"members": only}),
    );
    ana.put("/Team folders/Plans/a", "x").is(204);
}
