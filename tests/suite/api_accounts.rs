//! What people do with accounts of their own over real HTTP: profile, password, registration with an invite.

use crate::api_sessions::{LoggedIn, json, login};
use crate::harness::{Client, PASSWORD, Reply, TestServer};
use sarang::config::Registration;
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};

const NEW: &str = "another:good one";

fn put_password(client: &LoggedIn, old: &str, new: &str) -> Reply {
    json(
        client.own("PUT", "/api/v1/me/password"),
        &json!({"old": old, "new": new}),
    )
    .send()
}

/// An administrator's client.
fn boss(server: &TestServer) -> Client {
    let app = server.app();
    let name = AccountName::parse("boss").unwrap();
    server
        .block_on(
            app.auth
                .create(&name, PASSWORD.as_bytes(), Role::Admin, None),
        )
        .unwrap();
    server.stranger().signed_in("boss", PASSWORD)
}

/// Makes an invite; its id and secret.
fn invite(boss: &Client, wish: &Value) -> (String, String) {
    let made = json(boss.raw("POST", "/api/v1/invites"), wish)
        .send()
        .is(201)
        .json();
    (
        made["id"].as_str().unwrap().to_owned(),
        made["invite"].as_str().unwrap().to_owned(),
    )
}

fn register(server: &TestServer, application: &Value) -> Reply {
    json(
        server.stranger().raw("POST", "/api/v1/register"),
        application,
    )
    .send()
}

fn pointer(reply: Reply) -> String {
    reply.is(422).json()["errors"][0]["pointer"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_account_says_who_it_is_and_takes_it_back() {
    let server = TestServer::start();
    let ana = server.ana();
    let patch = |body: &Value| json(ana.raw("PATCH", "/api/v1/me"), body).send();
    let me = patch(&json!({"display_name": " Ana Müller ", "email": "ana@drive.example", "password": PASSWORD}))
        .is(200)
        .json();
    assert_eq!(
        (&me["display_name"], &me["email"]),
        (&"Ana Müller".into(), &"ana@drive.example".into())
    );
    let me = patch(&json!({"email": null, "password": PASSWORD}))
        .is(200)
        .json();
    assert!(
        me["display_name"] == "Ana Müller" && me.get("email").is_none(),
        "{me}"
    );
    assert_eq!(pointer(patch(&json!({"email": "nowhere"}))), "/email");
    assert_eq!(
        pointer(patch(&json!({"display_name": "a\u{202e}b"}))),
        "/display_name"
    );
    assert_eq!(pointer(patch(&json!({"role": "admin"}))), "/role");
    let server = server.restart();
    assert_eq!(
        server.ana().raw("GET", "/api/v1/me").send().json()["display_name"],
        "Ana Müller"
    );
    assert!(
        server
            .ben()
            .raw("GET", "/api/v1/me")
            .send()
            .json()
            .get("display_name")
            .is_none()
    );
}

#[test]
fn a_new_password_leaves_nothing_but_the_session_that_asked() {
    let server = TestServer::start();
    let (this, other) = (LoggedIn::new(&server, "ana"), LoggedIn::new(&server, "ana"));
    let basic = server.ana();
    let app_password = json(
        basic.raw("POST", "/api/v1/app-passwords"),
        &json!({"name": "x"}),
    )
    .send()
    .is(201)
    .json();
    let phone = server
        .stranger()
        .signed_in("ana", app_password["password"].as_str().unwrap());
    phone.propfind("/", "0").is(207);
    assert_eq!(pointer(put_password(&this, "wrong", NEW)), "/old");
    assert_eq!(pointer(put_password(&this, PASSWORD, "short")), "/new");
    assert_eq!(
        pointer(put_password(&this, PASSWORD, "password123")),
        "/new"
    );
    other.own("GET", "/api/v1/me").send().is(200);
    put_password(&this, PASSWORD, NEW).is(204);
    for _ in 0..20 {
        basic.propfind("/", "0").is(401);
        phone.propfind("/", "0").is(401);
        other.own("GET", "/api/v1/me").send().is(401);
        other.with_bearer("GET", "/api/v1/me").send().is(401);
        this.with_bearer("GET", "/api/v1/me").send().is(401);
        this.own("GET", "/api/v1/me").send().is(200);
    }
    login(&server, "ana", PASSWORD).is(401);
    login(&server, "ana", NEW).is(200);
    let server = server.restart();
    let this = LoggedIn {
        client: server.stranger(),
        ..this
    };
    this.own("GET", "/api/v1/me").send().is(200);
}

#[test]
fn guesses_at_the_old_password_are_throttled() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 2);
    let ana = LoggedIn::new(&server, "ana");
    for guess in ["one", "two"] {
        put_password(&ana, guess, NEW).is(422);
    }
    put_password(&ana, PASSWORD, NEW).is(429);
}

#[test]
fn notes_of_shares_links_and_invites_have_one_limit() {
    let server = TestServer::start();
    let (boss, ana) = (boss(&server), server.ana());
    ana.store("/a", "x");
    for (length, status) in [(1000, 201), (1001, 422)] {
        let note = "é".repeat(length);
        let share = json!({"path": "a", "to": {"account": "ben"}, "rights": "view", "note": note});
        let link = json!({"path": "a", "rights": "view", "note": note});
        let invite = json!({"note": note});
        for (who, path, body) in [
            (&ana, "/api/v1/shares", share),
            (&ana, "/api/v1/links", link),
            (&boss, "/api/v1/invites", invite),
        ] {
            let reply = json(who.raw("POST", path), &body).send().is(status);
            if status != 201 {
                let told = reply.text();
                assert!(
                    told.contains("A note has at most 1000 characters."),
                    "{path}: {told}"
                );
            }
        }
    }
}

#[test]
fn an_invite_makes_one_account() {
    let server = TestServer::start();
    let boss = boss(&server);
    let (id, secret) = invite(
        &boss,
        &json!({"note": "Cleo", "quota": 1000, "expires": "2999-01-01T00:00:00Z"}),
    );
    let list = boss.raw("GET", "/api/v1/invites").send().is(200).json();
    assert_eq!(
        (&list["items"][0]["id"], &list["items"][0]["note"]),
        (&id.into(), &"Cleo".into())
    );
    assert!(!list.to_string().contains(&secret), "{list}");
    let application =
        json!({"name": "Cleo", "password": NEW, "invite": secret, "display_name": "Cleo K"});
    let made = register(&server, &application).is(201).json();
    assert_eq!(made, json!({"name": "cleo", "role": "user", "quota": 1000}));
    let cleo = server.stranger().signed_in("cleo", NEW);
    cleo.store("/a", "x");
    assert_eq!(
        cleo.raw("GET", "/api/v1/me").send().json()["display_name"],
        "Cleo K"
    );
    register(
        &server,
        &json!({"name": "dora", "password": NEW, "invite": secret}),
    )
    .is(403);
    assert!(
        boss.raw("GET", "/api/v1/invites").send().json()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_wrong_with_an_application_spends_no_invite() {
    let server = TestServer::with(|config| config.accounts.failures_per_network = 100);
    let boss = boss(&server);
    let (_, secret) = invite(&boss, &json!({}));
    let apply = |name: &str, password: &str| {
        register(
            &server,
            &json!({"name": name, "password": password, "invite": secret, "email": "c@x"}),
        )
    };
    assert_eq!(pointer(apply("../c", NEW)), "/name");
    assert_eq!(pointer(apply("ana", NEW)), "/name");
    assert_eq!(pointer(apply("a-n-a", NEW)), "/name");
    assert_eq!(pointer(apply("cleo", "password123")), "/password");
    assert_eq!(
        pointer(register(&server, &json!({"name": "cleo", "password": NEW}))),
        "/invite"
    );
    assert_eq!(
        pointer(register(
            &server,
            &json!({"name": "c", "password": NEW, "invite": secret, "role": "admin"})
        )),
        "/role"
    );
    apply("cleo", NEW).is(201);
}

#[test]
fn many_uses_of_one_invite_at_once_make_one_account() {
    let server = TestServer::with(|config| config.accounts.failures_per_network = 100);
    let boss = boss(&server);
    let (_, secret) = invite(&boss, &json!({}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = |n: usize| {
            let (server, secret) = (&server, &secret);
            scope.spawn(move || {
                let name = format!("racer{n}");
                register(
                    server,
                    &json!({"name": name, "password": NEW, "invite": secret}),
                )
                .status
            })
        };
        let racers: Vec<_> = (0..8).map(one).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| matches!(status, 201 | 403 | 503)),
        "{statuses:?}"
    );
    assert_eq!(server.app().auth.list().len(), 4);
}

#[test]
fn invites_end_by_withdrawal_and_with_who_made_them() {
    let server = TestServer::start();
    let boss = boss(&server);
    let ((id, withdrawn), (_, orphaned)) = (invite(&boss, &json!({})), invite(&boss, &json!({})));
    boss.raw("DELETE", &format!("/api/v1/invites/{id}"))
        .send()
        .is(204);
    boss.raw("DELETE", &format!("/api/v1/invites/{id}"))
        .send()
        .is(404);
    register(
        &server,
        &json!({"name": "cleo", "password": NEW, "invite": withdrawn}),
    )
    .is(403);
    let app = server.app();
    let other = AccountName::parse("chief").unwrap();
    server
        .block_on(
            app.auth
                .create(&other, PASSWORD.as_bytes(), Role::Admin, None),
        )
        .unwrap();
    server
        .block_on(
            app.auth
                .set_disabled(&AccountName::parse("boss").unwrap(), true),
        )
        .unwrap();
    register(
        &server,
        &json!({"name": "cleo", "password": NEW, "invite": orphaned}),
    )
    .is(403);
    server
        .block_on(app.remove_account(
            &AccountName::parse("boss").unwrap(),
            sarang::app::removal::FilesDisposal::Keep,
        ))
        .unwrap();
    self::boss(&server);
    register(
        &server,
        &json!({"name": "cleo", "password": NEW, "invite": orphaned}),
    )
    .is(403);
    for (method, target) in [
        ("GET", "/api/v1/invites"),
        ("POST", "/api/v1/invites"),
        ("DELETE", "/api/v1/invites/x"),
    ] {
        json(server.ana().raw(method, target), &json!({}))
            .send()
            .is(403);
    }
}

#[test]
fn the_settings_say_who_may_register_and_tries_are_throttled() {
    let closed = TestServer::with(|config| config.accounts.registration = Registration::Closed);
    let (_, secret) = invite(&boss(&closed), &json!({}));
    register(
        &closed,
        &json!({"name": "cleo", "password": NEW, "invite": secret}),
    )
    .is(403);
    let open = TestServer::with(|config| {
        config.accounts.registration = Registration::Open;
        config.accounts.default_quota = Some(5);
        config.accounts.failures_per_network = 3;
    });
    assert_eq!(
        register(&open, &json!({"name": "cleo", "password": NEW}))
            .is(201)
            .json()["quota"],
        5
    );
    register(
        &open,
        &json!({"name": "dora", "password": NEW, "invite": "made up"}),
    )
    .is(403);
    json(
        open.stranger().raw("POST", "/api/v1/register"),
        &json!({"name": "dora", "password": NEW}),
    )
    .header("Sec-Fetch-Site", "cross-site")
    .send()
    .is(403);
    register(&open, &json!({"name": "dora", "password": NEW})).is(201);
    let reply = register(&open, &json!({"name": "emil", "password": NEW})).is(429);
    assert!(reply.header("retry-after").is_some());
    let first_day = TestServer::without_accounts();
    register(&first_day, &json!({"name": "cleo", "password": NEW})).is(403);
}
