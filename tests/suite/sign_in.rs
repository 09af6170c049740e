//! Sign-in over HTTP: verdicts change with the account at once, and guessing is slowed without harming anyone else.

use crate::harness::{NAME, PASSWORD, TestServer};
use sarang::app::removal::FilesDisposal;
use sarang::drive::{RequestPreconditions, UploadOptions};
use sarang::model::{AccountName, Error, VPath};
use sarang::storage::InitialContent;

fn ana() -> AccountName {
    AccountName::parse("ana").unwrap()
}

#[test]
fn a_new_password_holds_from_the_next_request_on() {
    let server = TestServer::start();
    let (old, ben, app) = (server.ana(), server.ben(), server.app());
    old.propfind("/", "0").is(207);
    ben.propfind("/", "0").is(207);
    server
        .block_on(app.auth.set_password(&ana(), b"another:good one"))
        .unwrap();
    drop(app);
    old.propfind("/", "0").is(401);
    server
        .stranger()
        .signed_in("ana", "another:good one")
        .propfind("/", "0")
        .is(207);
    ben.propfind("/", "0").is(207);
}

#[test]
fn a_disabled_account_is_out_from_the_next_request_on() {
    let server = TestServer::start();
    let (client, app) = (server.ana(), server.app());
    client.store(NAME, "x");
    server
        .block_on(app.auth.set_disabled(&ana(), true))
        .unwrap();
    client.get(NAME).is(401);
    server
        .block_on(app.auth.set_disabled(&ana(), false))
        .unwrap();
    client.holds(NAME, "x");
}

#[test]
fn wrong_passwords_are_401_then_slowed() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 3);
    let signed_in = server.ana();
    signed_in.propfind("/", "0").is(207);
    for at in 0..3 {
        server
            .stranger()
            .signed_in("ana", &format!("guess {at}"))
            .propfind("/", "0")
            .is(401);
    }
    let reply = server
        .stranger()
        .signed_in("ana", "guess 4")
        .propfind("/", "0")
        .is(429);
    assert!(
        reply
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u64>().is_ok()),
        "{reply}"
    );
    signed_in.propfind("/", "0").is(207);
    server.ben().propfind("/", "0").is(207);
}

#[test]
fn one_client_with_an_old_password_does_not_use_up_the_tries() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 3);
    let stale = server.stranger().signed_in("ana", "the old password");
    for _ in 0..10 {
        stale.propfind("/", "0").is(401);
    }
    server.ana().propfind("/", "0").is(207);
}

#[test]
fn an_unknown_account_looks_like_a_wrong_password() {
    let server = TestServer::start();
    let known = server
        .stranger()
        .signed_in("ana", "wrong password")
        .propfind("/", "0")
        .is(401);
    let unknown = server
        .stranger()
        .signed_in("nobody", PASSWORD)
        .propfind("/", "0")
        .is(401);
    assert_eq!(known.text(), unknown.text());
    let names = |reply: &crate::harness::Reply| {
        reply
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&known), names(&unknown));
}

#[test]
fn the_health_page_needs_no_account() {
    let server = TestServer::start();
    server.stranger().raw("GET", "/healthz").send().is(200);
}

#[test]
fn windows_and_mail_forms_of_a_name_sign_in() {
    let server = TestServer::start();
    for user in [
        "ANA",
        "CORP\\ana",
        "ana@drive.example",
        "CORP\\Ana@drive.example",
    ] {
        server
            .stranger()
            .signed_in(user, "wrong password")
            .propfind("/", "0")
            .is(401);
        let client = server.stranger().signed_in(user, PASSWORD);
        client.store("/a", user);
        server.ana().holds("/a", user);
    }
}

#[test]
fn the_wait_that_is_told_is_within_a_minute_and_binds_the_stranger_only() {
    let server = TestServer::with(|config| config.accounts.failures_per_account = 2);
    let known = server.ana();
    known.propfind("/", "0").is(207);
    for user in ["ana", "CORP\\ana"] {
        server
            .stranger()
            .signed_in(user, &format!("guess of {user}"))
            .propfind("/", "0")
            .is(401);
    }
    // Every form of the name counts together, and the right password waits like a guess when nobody knows it yet.
    let reply = server
        .stranger()
        .signed_in("ana@x", "one guess more")
        .propfind("/", "0")
        .is(429);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{reply}");
    known.propfind("/", "0").is(207);
    // What the active client has shown is told to no other connection: it could belong to the guesser.
    server.ana().propfind("/", "0").is(429);
    server.ben().propfind("/", "0").is(207);
}

#[test]
fn a_request_that_signed_in_before_its_account_went_makes_no_new_home() {
    let server = TestServer::start();
    let (client, app) = (server.ana(), server.app());
    client.store(NAME, "x");
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    server.block_on(async {
        let identity = app
            .auth
            .sign_in(b"header", "ana", PASSWORD.as_bytes(), here)
            .await
            .unwrap();
        app.remove_account(&ana(), FilesDisposal::Purge)
            .await
            .unwrap();
        assert!(app.drive(&identity).await.is_err());
    });
    assert!(!server.home("ana").exists());
    client.get(NAME).is(401);
}

#[test]
fn an_upload_under_way_ends_with_its_account() {
    let server = TestServer::start();
    let (client, app) = (server.ana(), server.app());
    client.store("/old", "old");
    let mut aside = String::new();
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    server.block_on(async {
        let identity = app
            .auth
            .sign_in(b"header", "ana", PASSWORD.as_bytes(), here)
            .await
            .unwrap();
        let drive = app.drive(&identity).await.unwrap();
        let announced = UploadOptions {
            len: None,
            estimate: None,
            modified: None,
            start: InitialContent::Empty,
            checksum: None,
        };
        let path = VPath::parse("late").unwrap();
        let mut upload = drive
            .begin_put(&path, announced, RequestPreconditions::default())
            .await
            .unwrap();
        upload.write(b"late".as_slice().into()).await.unwrap();
        let kept = app
            .remove_account(&ana(), FilesDisposal::Keep)
            .await
            .unwrap();
        aside = kept.aside.unwrap();
        assert!(matches!(upload.commit().await, Err(Error::Forbidden(_))));
        assert!(
            drive
                .mkdir(&path, RequestPreconditions::default())
                .await
                .is_err()
        );
        assert!(
            drive
                .delete(
                    &VPath::parse("old").unwrap(),
                    RequestPreconditions::default()
                )
                .await
                .is_err()
        );
    });
    let aside = server.data().join(aside);
    assert!(
        aside.join("old").exists() && !aside.join("late").exists() && !server.home("ana").exists()
    );
}
