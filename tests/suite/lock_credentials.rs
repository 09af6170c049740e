//! Locks end with the session or the password that took them, and go on with a session that outlives a new password.

use crate::api_sessions::{LoggedIn, json};
use crate::api_two_factor::turn_on;
use crate::harness::{Client, LOCK_BODY, PASSWORD, TestServer};
use sarang::model::AccountName;
use serde_json::{Value, json};

const NEW: &str = "red kettle 88";

fn lock(session: &LoggedIn, path: &str) {
    let request = session
        .own("LOCK", &format!("/dav{path}"))
        .header("Timeout", "Second-86400");
    request
        .header("Depth", "0")
        .xml(LOCK_BODY)
        .send()
        .is_any(&[200, 201]);
}

fn is_locked(client: &Client, path: &str) -> bool {
    client.put(path, "x").is_any(&[201, 204, 423]).status == 423
}

#[test]
fn a_lock_ends_with_the_session_that_took_it() {
    let server = TestServer::start();
    let (one, other) = (LoggedIn::new(&server, "ana"), LoggedIn::new(&server, "ana"));
    lock(&one, "/one");
    lock(&other, "/other");
    assert!(is_locked(&server.ana(), "/one") && is_locked(&server.ana(), "/other"));
    one.own("POST", "/api/v1/logout").send().is_any(&[200, 204]);
    assert!(!is_locked(&server.ana(), "/one"));
    assert!(is_locked(&server.ana(), "/other"));
    let server = server.restart();
    assert!(is_locked(&server.ana(), "/other"), "a restart ends neither");
    let locks = server
        .ana()
        .api("GET", "/locks", &Value::Null)
        .is(200)
        .json();
    assert_eq!(locks["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_lock_ends_with_the_password_that_took_it() {
    let server = TestServer::start();
    let kept = LoggedIn::new(&server, "ana");
    lock(&kept, "/by-session");
    server.ana().lock("/by-password").send().is(201);
    assert!(is_locked(&server.ana(), "/by-password"));
    let server = server.restart();
    assert!(is_locked(&server.ana(), "/by-password"));
    let kept = LoggedIn {
        client: server.stranger(),
        ..kept
    };
    json(
        kept.own("PUT", "/api/v1/me/password"),
        &json!({"old": PASSWORD, "new": NEW}),
    )
    .send()
    .is(204);
    let ana = server.ana().signed_in("ana", NEW);
    assert!(!is_locked(&ana, "/by-password"));
    assert!(is_locked(&ana, "/by-session"), "its session goes on");
    server
        .block_on(
            server
                .app()
                .auth
                .set_password(&AccountName::parse("ana").unwrap(), b"a third one 99"),
        )
        .unwrap();
    assert!(!is_locked(
        &server.ana().signed_in("ana", "a third one 99"),
        "/by-session"
    ));
}

#[test]
fn two_factor_sign_in_ends_what_the_password_alone_began() {
    let server = TestServer::start();
    let (own, thief) = (LoggedIn::new(&server, "ana"), LoggedIn::new(&server, "ana"));
    server.ana().lock("/by-password").send().is(201);
    turn_on(&own);
    own.own("GET", "/api/v1/me").send().is(200);
    thief.own("GET", "/api/v1/me").send().is(401);
    let freed = own.own("PUT", "/dav/by-password").body("x").send();
    freed.is_any(&[201, 204]);
}
