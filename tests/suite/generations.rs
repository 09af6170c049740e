//! One generation ends everything, also what was begun under it: what an account began with an old password, before it was disabled
//! or got another role, does not complete afterwards; and nothing of an account passes to the next one of its name.

use crate::api_sessions::{LoggedIn, json};
use crate::api_two_factor;
use crate::harness::{Connection, PASSWORD, Reply, TestServer, poll};
use crate::openid::{House, Journey, MAIL, entered, kept, name, refused};
use sarang::app::App;
use sarang::app::removal::FilesDisposal;
use sarang::auth::AccountUpdate;
use sarang::config::Registration;
use sarang::model::Role;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const NEW: &str = "green teapot 88";

/// What ends a generation of ana's credentials.
const ENDS: [&str; 5] = ["password", "disabled", "role", "removed", "namesake"];

fn end(server: &TestServer, how: &str) {
    let app = server.app();
    let ana = name("ana");
    let alter =
        |what: AccountUpdate| drop(server.block_on(app.auth.update(&ana, what, None)).unwrap());
    match how {
        "password" => server
            .block_on(app.auth.set_password(&ana, NEW.as_bytes()))
            .unwrap(),
        "disabled" => {
            alter(AccountUpdate {
                disabled: Some(true),
                ..AccountUpdate::default()
            });
            alter(AccountUpdate {
                disabled: Some(false),
                ..AccountUpdate::default()
            });
        }
        "role" => {
            alter(AccountUpdate {
                role: Some(Role::Admin),
                ..AccountUpdate::default()
            });
            add_admin(server, &app);
            alter(AccountUpdate {
                role: Some(Role::User),
                ..AccountUpdate::default()
            });
        }
        _ => {
            remove(server, &app);
            if how == "namesake" {
                server
                    .block_on(app.auth.create(&ana, PASSWORD.as_bytes(), Role::User, None))
                    .unwrap();
            }
        }
    }
}

fn remove(server: &TestServer, app: &Arc<App>) {
    server
        .block_on(app.remove_account(&name("ana"), FilesDisposal::Keep))
        .unwrap();
}

fn add_admin(server: &TestServer, app: &App) {
    // The second time it is there.
    let _ = server.block_on(
        app.auth
            .create(&name("root"), PASSWORD.as_bytes(), Role::Admin, None),
    );
}

/// A request whose body comes only after `between`.
fn slow(server: &TestServer, head: &str, body: &Value, between: impl FnOnce()) -> Reply {
    let body = body.to_string();
    let mut connection = Connection::open(server.address());
    let text = format!(
        "{head}Host: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        server.address(),
        body.len(),
        &body[..1]
    );
    connection.write(text).unwrap();
    // The server has read the head when the account's credentials end.
    std::thread::sleep(Duration::from_millis(150));
    between();
    connection.write(&body[1..]).unwrap();
    connection.read_reply(false, head).unwrap()
}

#[test]
fn a_link_to_the_provider_completes_under_the_credentials_that_asked_for_it_only() {
    for how in ENDS {
        let house = House::new();
        house.provider.person(json!({"sub": "evil"}));
        let ana = LoggedIn::new(&house.server, "ana");
        let begun = json(
            ana.own("POST", "/api/v1/me/openid"),
            &json!({"password": PASSWORD}),
        )
        .send()
        .is(200);
        let target = house
            .provider
            .authorize(begun.json()["location"].as_str().unwrap());
        end(&house.server, how);
        refused(
            &house
                .server
                .stranger()
                .raw("GET", &target)
                .header("Cookie", kept(&begun))
                .send(),
            403,
        );
        assert!(
            house
                .server
                .app()
                .auth
                .openid_links_of(&name("ana"))
                .is_empty(),
            "{how}"
        );
        refused(&house.sign_in(), 403);
    }
}

fn send_code(house: &House, cookie: &str, code: &str) -> Reply {
    let client = house.server.stranger();
    let request = client
        .raw("POST", "/openid/code")
        .header("Content-Type", "application/x-www-form-urlencoded");
    request
        .header("Cookie", cookie)
        .body(format!("code={code}"))
        .send()
}

#[test]
fn a_sign_in_that_owes_a_code_ends_with_what_it_stood_on() {
    type Change = fn(&House);
    let unlink: Change = |house| {
        drop(
            house
                .server
                .block_on(house.server.app().auth.unlink_openid(&name("ana"))),
        );
    };
    let relink: Change = |house| {
        house
            .server
            .block_on(house.server.app().auth.unlink_openid(&name("ana")))
            .unwrap();
        house.link("ana", "another");
    };
    let readdress: Change = |house| house.set_email("ana", "other@drive.example");
    let password: Change = |house| end(&house.server, "password");
    let disabled: Change = |house| end(&house.server, "disabled");
    let role: Change = |house| end(&house.server, "role");
    for (is_linked, change) in [
        (true, unlink),
        (true, relink),
        (false, readdress),
        (true, password),
        (true, disabled),
        (true, role),
    ] {
        let house = House::new();
        if is_linked {
            house.link("ana", "person-1");
        }
        let (_, recovery) = api_two_factor::turn_on(&LoggedIn::new(&house.server, "ana"));
        let cookie = kept(&house.sign_in());
        change(&house);
        refused(&send_code(&house, &cookie, &recovery[0]), 403);
        let links = house.server.app().auth.openid_links_of(&name("ana"));
        assert!(!links.iter().any(|link| link.subject == "person-1") || is_linked);
    }
    let house = House::new();
    let (_, recovery) = api_two_factor::turn_on(&LoggedIn::new(&house.server, "ana"));
    let cookie = kept(&house.sign_in());
    assert_eq!(
        entered(&house, &send_code(&house, &cookie, &recovery[0]))["name"],
        "ana",
        "where nothing has changed"
    );
}

#[test]
fn a_second_factor_that_was_begun_is_not_confirmed_later() {
    for how in ["password", "disabled", "role", "namesake"] {
        let server = TestServer::start();
        let app = api_two_factor::begin(&LoggedIn::new(&server, "ana"));
        end(&server, how);
        let password = if how == "password" { NEW } else { PASSWORD };
        let ana = server.stranger().signed_in("ana", password);
        let confirmed = json(
            ana.raw("POST", "/api/v1/me/two-factor/confirm"),
            &json!({"code": app.code(0)}),
        )
        .send();
        assert_eq!(confirmed.status, 404, "{how}: {confirmed}");
        ana.propfind("/", "0").is(207);
    }
}

#[test]
fn a_request_whose_body_comes_after_the_end_changes_nothing() {
    for how in ENDS {
        for (method, path, body) in [
            ("POST", "/api/v1/app-passwords", json!({"name": "x"})),
            ("PATCH", "/api/v1/me", json!({"display_name": "Mallory"})),
            ("POST", "/api/v1/links", json!({"path": "docs"})),
            (
                "POST",
                "/api/v1/shares",
                json!({"path": "/docs", "to": {"account": "ben"}, "rights": "view"}),
            ),
        ] {
            let server = TestServer::start();
            server.ana().mkcol("/docs").is(201);
            let head = format!(
                "{method} {path} HTTP/1.1\r\nAuthorization: {}\r\n",
                server.ana().authorization()
            );
            let reply = slow(&server, &head, &body, || end(&server, how));
            assert_eq!(reply.status, 401, "{how} {path}: {reply}");
            let app = server.app();
            assert!(app.auth.app_passwords_of(&name("ana")).is_empty(), "{how}");
            assert!(
                app.links.of(&name("ana")).is_empty()
                    && app.sharing.shares.of(&name("ana")).is_empty(),
                "{how}"
            );
        }
    }
}

#[test]
fn an_administrator_who_is_none_any_more_completes_nothing() {
    for (method, path, body) in [
        ("POST", "/api/v1/invites", json!({})),
        (
            "POST",
            "/api/v1/accounts",
            json!({"name": "eva", "password": NEW, "role": "admin"}),
        ),
        (
            "PUT",
            "/api/v1/accounts/ben/password",
            json!({"password": NEW}),
        ),
        ("PUT", "/api/v1/accounts/ben/email", json!({"email": MAIL})),
        (
            "POST",
            "/api/v1/groups",
            json!({"name": "crew", "members": ["ana"]}),
        ),
    ] {
        let server = TestServer::start();
        let app = server.app();
        add_admin(&server, &app);
        let alter = |role| {
            let what = AccountUpdate {
                role: Some(role),
                ..AccountUpdate::default()
            };
            drop(
                server
                    .block_on(app.auth.update(&name("ana"), what, None))
                    .unwrap(),
            );
        };
        alter(Role::Admin);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nAuthorization: {}\r\n",
            server.ana().authorization()
        );
        slow(&server, &head, &body, || alter(Role::User)).is(401);
        assert!(
            app.auth.account(&name("eva")).is_none() && app.auth.open_invites().is_empty(),
            "{path}"
        );
        server.ben().propfind("/", "0").is(207);
    }
}

#[test]
fn invites_end_with_the_credentials_of_who_made_them_for_good() {
    for how in ["password", "disabled", "role", "namesake"] {
        let server = TestServer::with(|config| config.accounts.registration = Registration::Invite);
        let app = server.app();
        add_admin(&server, &app);
        let promote = || {
            let what = AccountUpdate {
                role: Some(Role::Admin),
                ..AccountUpdate::default()
            };
            drop(
                server
                    .block_on(app.auth.update(&name("ana"), what, None))
                    .unwrap(),
            );
        };
        promote();
        let made = json(server.ana().raw("POST", "/api/v1/invites"), &json!({}))
            .send()
            .is(201)
            .json();
        end(&server, how);
        // An administrator again, and still not under the same credentials.
        promote();
        assert!(app.auth.open_invites().is_empty(), "{how}");
        let wish = json!({"name": "cleo", "password": NEW, "invite": made["invite"]});
        json(server.stranger().raw("POST", "/api/v1/register"), &wish)
            .send()
            .is(403);
        let server = server.restart();
        assert!(server.app().auth.open_invites().is_empty(), "{how}");
    }
}

#[test]
fn a_journey_that_ends_after_the_account_was_made_anew_lets_nobody_in() {
    let house = House::new();
    house.link("ana", "person-1");
    let journey = Journey::begin(&house, "/api/v1/openid/start");
    house.provider.person(json!({"sub": "person-1"}));
    end(&house.server, "namesake");
    refused(&journey.end(), 403);
    // Also when both were made in the same second.
    assert!(poll(Duration::from_secs(1), || house
        .server
        .app()
        .auth
        .openid_links_of(&name("ana"))
        .is_empty()));
}
