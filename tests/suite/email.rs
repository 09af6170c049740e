//! Whose an e-mail address is: it may let somebody in by the sign-in provider, so it changes with the password only, counts for
//! one account, and is compared as it is written but for the case of ASCII letters.

use crate::api_sessions::{LoggedIn, json};
use crate::harness::{PASSWORD, Reply};
use crate::openid::{House, MAIL, entered, name, refused};
use sarang::audit::AuditKind;
use sarang::auth::{EmailSource, FieldChange, ProfileChange};
use sarang::config::{Registration, UnknownSubjects};
use sarang::model::Role;
use serde_json::{Value, json};

fn patch(house: &House, who: &str, wish: &Value) -> Reply {
    json(
        house
            .server
            .stranger()
            .signed_in(who, PASSWORD)
            .raw("PATCH", "/api/v1/me"),
        wish,
    )
    .send()
}

fn says(house: &House, email: &str) {
    house
        .provider
        .person(json!({"sub": "person-1", "email": email, "email_verified": true}));
}

fn pointer(reply: Reply) -> String {
    reply.is(422).json()["errors"][0]["pointer"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_address_changes_with_the_present_password_only_and_its_owner_sees_since_when() {
    let house = House::new();
    let before = house
        .server
        .ben()
        .raw("GET", "/api/v1/me")
        .send()
        .is(200)
        .json();
    assert!(
        before.get("email_since").is_none() && before.get("email_source").is_none(),
        "{before}"
    );
    for email in [json!("ben@drive.example"), json!(MAIL)] {
        assert_eq!(
            pointer(patch(&house, "ben", &json!({"email": email}))),
            "/password"
        );
        assert_eq!(
            pointer(patch(
                &house,
                "ben",
                &json!({"email": email, "password": "wrong"})
            )),
            "/password"
        );
    }
    // A stolen session is not enough.
    let session = LoggedIn::new(&house.server, "ben");
    json(
        session.own("PATCH", "/api/v1/me"),
        &json!({"email": "evil@drive.example"}),
    )
    .send()
    .is(422);
    let wish = json!({"email": "ben@drive.example", "password": PASSWORD});
    let me = patch(&house, "ben", &wish).is(200).json();
    assert_eq!(
        (&me["email"], &me["email_source"]),
        (&"ben@drive.example".into(), &"owner".into())
    );
    assert!(me["email_since"].is_string(), "{me}");
    // What was shown may be sent back, and everything else changes without the password.
    let me = patch(
        &house,
        "ben",
        &json!({"email": "ben@drive.example", "display_name": "Ben"}),
    )
    .is(200)
    .json();
    assert_eq!(
        (&me["display_name"], &me["email_source"]),
        (&"Ben".into(), &"owner".into())
    );
    assert_eq!(
        pointer(patch(&house, "ben", &json!({"email": null}))),
        "/password"
    );
    patch(&house, "ben", &json!({"email": null, "password": PASSWORD})).is(200);
    let app = house.server.app();
    let filter = sarang::audit::AuditFilter {
        kind: Some(AuditKind::AccountChanged),
        ..Default::default()
    };
    house.server.block_on(app.audit.flush(false));
    let entries = house
        .server
        .block_on(app.audit.read(filter, u64::MAX, 100))
        .unwrap();
    let notes = format!("{entries:?}");
    assert!(
        notes.contains("e-mail from none to ben@drive.example"),
        "{notes}"
    );
    assert!(
        notes.contains("e-mail from ben@drive.example to none"),
        "{notes}"
    );
}

#[test]
fn somebody_elses_claim_neither_blocks_nor_lets_in() {
    let house = House::with(|config| config.accounts.registration = Registration::Open);
    let app = house.server.app();
    // Ben confirms ana's address with his password, however he writes it; it counts for her.
    for spelled in [MAIL.to_owned(), MAIL.to_uppercase(), format!(" {MAIL} ")] {
        patch(
            &house,
            "ben",
            &json!({"email": spelled, "password": PASSWORD}),
        )
        .is(200);
        says(&house, MAIL);
        assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
        house
            .server
            .block_on(app.auth.unlink_openid(&name("ana")))
            .unwrap();
    }
    // A mere claim, as of who registered with it, lets nobody in.
    let eva = json!({"name": "eva", "password": "blue kettle 77", "email": "eva@drive.example"});
    json(
        house.server.stranger().raw("POST", "/api/v1/register"),
        &eva,
    )
    .send()
    .is(201);
    says(&house, "eva@drive.example");
    refused(&house.sign_in(), 403);
    let client = house.server.stranger().signed_in("eva", "blue kettle 77");
    let wish = json!({"email": "eva@drive.example", "password": "blue kettle 77"});
    json(client.raw("PATCH", "/api/v1/me"), &wish)
        .send()
        .is(200);
    assert_eq!(
        entered(&house, &house.sign_in())["name"],
        "eva",
        "confirmed with the password, it counts"
    );
    // Of two who confirmed it the first; an administrator's word goes before both.
    house
        .server
        .block_on(app.auth.unlink_openid(&name("eva")))
        .unwrap();
    patch(
        &house,
        "ben",
        &json!({"email": "eva@drive.example", "password": PASSWORD}),
    )
    .is(200);
    assert_eq!(entered(&house, &house.sign_in())["name"], "eva");
    house
        .server
        .block_on(app.auth.unlink_openid(&name("eva")))
        .unwrap();
    house.set_email("ana", "EVA@drive.example");
    assert_eq!(entered(&house, &house.sign_in())["name"], "ana");
    let again = house.server.block_on(
        app.auth
            .set_email(&name("ben"), Some("eva@drive.example".into())),
    );
    assert!(again.is_err(), "one address is of one account");
    // To say again what an administrator said makes it no less.
    patch(
        &house,
        "ana",
        &json!({"email": "EVA@drive.example", "password": PASSWORD}),
    )
    .is(200);
    assert_eq!(
        app.auth.profile(&name("ana")).unwrap().email_source,
        Some(EmailSource::Administrator)
    );
}

#[test]
fn a_claim_does_not_keep_strangers_from_an_account_of_their_own() {
    let house = House::with(|config| {
        config.openid.strangers = UnknownSubjects::Create;
        config.accounts.registration = Registration::Open;
    });
    let eva = json!({"name": "eva", "password": "blue kettle 77", "email": "zoe@drive.example"});
    json(
        house.server.stranger().raw("POST", "/api/v1/register"),
        &eva,
    )
    .send()
    .is(201);
    let zoe = json!({"sub": "z", "preferred_username": "zoe", "email": "zoe@drive.example", "email_verified": true});
    house.provider.person(zoe);
    assert_eq!(entered(&house, &house.sign_in())["name"], "zoe");
}

#[test]
fn only_the_case_of_ascii_letters_is_the_same() {
    let house = House::new();
    for (kept, said, same) in [
        ("kim@drive.example", "KIM@DRIVE.example", true),
        ("kim@drive.example", "\u{212a}im@drive.example", false),
        ("\u{212a}im@drive.example", "kim@drive.example", false),
        ("kim@drive.example", "kim@drive.example ", false),
        ("kim@drive.example", " kim@drive.example", false),
        ("s@drive.example", "\u{17f}@drive.example", false),
        ("ä@drive.example", "Ä@drive.example", false),
        ("a\u{308}@drive.example", "ä@drive.example", false),
        ("kim@bücher.example", "kim@xn--bcher-kva.example", false),
        ("kim@bücher.example", "kim@bücher.example", true),
        ("kim@drive.example", "kim@drive.example.", false),
        ("kim@drive.example", "kim+x@drive.example", false),
    ] {
        house.set_email("ana", kept);
        says(&house, said);
        let reply = house.sign_in();
        if same {
            assert_eq!(entered(&house, &reply)["name"], "ana", "{kept} {said}");
            house
                .server
                .block_on(house.server.app().auth.unlink_openid(&name("ana")))
                .unwrap();
        } else {
            refused(&reply, 403);
        }
    }
    house
        .provider
        .person(json!({"sub": "p", "email": "ä@drive.example", "email_verified": false}));
    refused(&house.sign_in(), 403);
}

#[test]
fn an_administrator_sets_an_address() {
    let house = House::new();
    let app = house.server.app();
    house
        .server
        .block_on(
            app.auth
                .create(&name("root"), PASSWORD.as_bytes(), Role::Admin, None),
        )
        .unwrap();
    let root = house.server.stranger().signed_in("root", PASSWORD);
    let put = |client: &crate::harness::Client, who: &str, wish: Value| {
        json(
            client.raw("PUT", &format!("/api/v1/accounts/{who}/email")),
            &wish,
        )
        .send()
    };
    put(
        &house.server.ben(),
        "ben",
        json!({"email": "b@drive.example"}),
    )
    .is(403);
    put(&root, "nobody", json!({"email": "b@drive.example"})).is(404);
    assert_eq!(
        pointer(put(&root, "ben", json!({"email": "nowhere"}))),
        "/email"
    );
    assert_eq!(
        pointer(put(&root, "ben", json!({"email": MAIL.to_uppercase()}))),
        "/email"
    );
    put(&root, "ben", json!({})).is(422);
    put(&root, "ben", json!({"email": "b@drive.example"})).is(204);
    let shown = root
        .raw("GET", "/api/v1/accounts/ben")
        .send()
        .is(200)
        .json();
    assert_eq!(shown["email"], "b@drive.example");
    let me = house
        .server
        .ben()
        .raw("GET", "/api/v1/me")
        .send()
        .is(200)
        .json();
    assert_eq!(me["email_source"], "administrator");
    says(&house, "B@drive.example");
    assert_eq!(entered(&house, &house.sign_in())["name"], "ben");
    put(&root, "ben", json!({"email": null})).is(204);
    assert!(
        house
            .server
            .ben()
            .raw("GET", "/api/v1/me")
            .send()
            .json()
            .get("email")
            .is_none()
    );
    house.audited(AuditKind::AccountChanged, 2);
}

#[test]
fn an_address_of_before_it_was_noted_who_vouches_for_it_lets_nobody_in_until_it_is_confirmed() {
    let house = House::with(|config| config.accounts.registration = Registration::Open);
    let applicant = sarang::auth::Applicant {
        name: "old",
        password: b"blue kettle 77",
        invite: None,
        profile: ProfileChange {
            email: FieldChange::Set("old@drive.example".into()),
            ..ProfileChange::default()
        },
    };
    let here = "127.0.0.1".parse().unwrap();
    house
        .server
        .block_on(house.server.app().auth.register(applicant, here))
        .unwrap();
    says(&house, "old@drive.example");
    refused(&house.sign_in(), 403);
    let house = House {
        server: house.server.restart(),
        provider: house.provider,
    };
    refused(&house.sign_in(), 403);
}
