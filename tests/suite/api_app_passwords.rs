//! App passwords over real HTTP: shown once, confined, and gone from the next request on.

use crate::api_sessions::{LoggedIn, json};
use crate::harness::{Client, NAME, TestServer, poll};
use sarang::model::{AccountName, Rights, Via};
use serde_json::{Value, json};
use std::time::Duration;

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// Makes one; its id and secret.
fn add(owner: &Client, wish: &Value) -> (String, String) {
    let made = json(owner.raw("POST", "/api/v1/app-passwords"), wish)
        .send()
        .is(201)
        .json();
    (
        made["id"].as_str().unwrap().to_owned(),
        made["password"].as_str().unwrap().to_owned(),
    )
}

fn list(owner: &Client) -> Vec<Value> {
    let list = owner
        .raw("GET", "/api/v1/app-passwords")
        .send()
        .is(200)
        .json();
    list["items"].as_array().unwrap().clone()
}

#[test]
fn an_app_password_signs_its_account_in_and_no_other() {
    let server = TestServer::start();
    let ana = server.ana();
    let (id, secret) = add(&ana, &json!({"name": "Phone"}));
    assert!(secret.len() == 39 && id != secret);
    for typed in [
        secret.clone(),
        secret.to_uppercase(),
        secret.replace('-', ""),
        secret.replace('-', " "),
    ] {
        let phone = server.stranger().signed_in("CORP\\Ana", &typed);
        phone.store(NAME, typed.as_bytes());
        ana.holds(NAME, typed.as_bytes());
    }
    server
        .stranger()
        .authorized(&format!("Bearer {secret}"))
        .raw("GET", "/api/v1/me")
        .send()
        .is(200);
    server
        .stranger()
        .signed_in("ben", &secret)
        .propfind("/", "0")
        .is(401);
    server
        .stranger()
        .signed_in("ana", &secret[1..])
        .propfind("/", "0")
        .is(401);
    let phone = server.stranger().signed_in("ana", &secret);
    for (method, target) in [
        ("GET", "/api/v1/app-passwords"),
        ("GET", "/api/v1/sessions"),
        ("POST", "/api/v1/session/refresh"),
    ] {
        phone.raw(method, target).send().is(403);
    }
    phone
        .raw("DELETE", &format!("/api/v1/app-passwords/{id}"))
        .send()
        .is(403);
    let login = json!({"name": "ana", "password": secret});
    json(server.stranger().raw("POST", "/api/v1/login"), &login)
        .send()
        .is(401);
}

#[test]
fn it_is_listed_without_its_secret_and_revoked_by_its_owner_alone() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let wish = json!({"name": " Phone ", "scope": "/Photos/2026/", "rights": "view", "expires": "2999-12-31T23:59:59Z"});
    let (id, secret) = add(&ana, &wish);
    let [item] = &list(&ana)[..] else {
        panic!("one")
    };
    assert_eq!(
        (&item["id"], &item["name"], &item["scope"]),
        (&id.as_str().into(), &"Phone".into(), &"/Photos/2026".into())
    );
    assert_eq!(
        (&item["rights"], &item["expires"]),
        (&"view".into(), &"2999-12-31T23:59:59Z".into())
    );
    assert!(
        item.get("last_use").is_none() && !item.to_string().contains(&secret),
        "{item}"
    );
    let phone = server.stranger().signed_in("ana", &secret);
    let use_it = || phone.raw("GET", "/api/v1/openapi.json").send().is(200);
    use_it();
    phone.propfind("/", "0");
    assert!(poll(Duration::from_secs(10), || list(&ana)[0]["last_use"]
        ["address"]
        == "127.0.0.1"));
    assert!(list(&ben).is_empty());
    ben.raw("DELETE", &format!("/api/v1/app-passwords/{id}"))
        .send()
        .is(404);
    ana.raw("DELETE", &format!("/api/v1/app-passwords/{id}"))
        .send()
        .is(204);
    ana.raw("DELETE", &format!("/api/v1/app-passwords/{id}"))
        .send()
        .is(404);
    phone.propfind("/", "0").is(401);
    server
        .stranger()
        .authorized(&format!("Bearer {secret}"))
        .raw("GET", "/api/v1/me")
        .send()
        .is(401);
    assert!(list(&ana).is_empty());
}

#[test]
fn its_identity_carries_what_it_is_confined_to() {
    let server = TestServer::start();
    let (id, secret) = add(
        &server.ana(),
        &json!({"name": "Backup", "scope": "/a/b", "rights": "view"}),
    );
    let app = server.app();
    let caller = sarang::auth::SessionClient {
        address: [127, 0, 0, 1].into(),
        agent: "",
    };
    let identity = server
        .block_on(async { app.auth.by_app_password(Some("ana"), &secret, caller) })
        .unwrap();
    assert_eq!(
        (identity.via.clone(), identity.rights),
        (Via::AppPassword(id), Rights::View)
    );
    assert!(identity.scope.as_str() == "a/b" && identity.is_confined());
}

#[test]
fn it_outlives_a_restart_and_ends_with_password_disabling_and_removal() {
    let server = TestServer::start();
    let (_, secret) = add(&server.ana(), &json!({"name": "Phone"}));
    let server = server.restart();
    let (app, phone) = (server.app(), server.stranger().signed_in("ana", &secret));
    phone.propfind("/", "0").is(207);
    server
        .block_on(app.auth.set_disabled(&name("ana"), true))
        .unwrap();
    phone.propfind("/", "0").is(401);
    server
        .block_on(app.auth.set_disabled(&name("ana"), false))
        .unwrap();
    phone.propfind("/", "0").is(401);
    let (_, secret) = add(&server.ana(), &json!({"name": "Phone"}));
    let phone = server.stranger().signed_in("ana", &secret);
    phone.propfind("/", "0").is(207);
    server
        .block_on(app.auth.set_password(&name("ana"), b"another:good one"))
        .unwrap();
    phone.propfind("/", "0").is(401);
    let (_, secret) = add(&server.ben(), &json!({"name": "Phone"}));
    let phone = server.stranger().signed_in("ben", &secret);
    server
        .block_on(app.remove_account(&name("ben"), sarang::app::removal::FilesDisposal::Keep))
        .unwrap();
    phone.propfind("/", "0").is(401);
}

#[test]
fn wishes_that_cannot_be_point_at_the_field() {
    let server = TestServer::start();
    let ana = LoggedIn::new(&server, "ana");
    for (wish, pointer) in [
        (json!({"name": ""}), "/name"),
        (json!({"name": "a\nb"}), "/name"),
        (json!({"name": "x".repeat(101)}), "/name"),
        (json!({"name": "x", "scope": "/a/../b"}), "/scope"),
        (json!({"name": "x", "rights": "drop"}), "/rights"),
        (json!({"name": "x", "rights": "all"}), "/rights"),
        (
            json!({"name": "x", "expires": "2001-01-01T00:00:00Z"}),
            "/expires",
        ),
        (json!({"name": "x", "expires": "soon"}), "/expires"),
        (json!({"name": "x", "role": "admin"}), "/role"),
    ] {
        let reply = json(ana.own("POST", "/api/v1/app-passwords"), &wish)
            .send()
            .is(422);
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{reply}");
    }
}
