//! Requests change accounts, and refusals are sentences.

use super::*;
use crate::config::Config;
use crate::model::Role;

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn add(text: &str, quota: QuotaChoice, password: &str) -> Request {
    Request::UserAdd {
        name: name(text),
        role: Role::Admin,
        quota,
        password: Password::new(password.into()),
        home: None,
    }
}

async fn app(quota: Option<u64>) -> (tempfile::TempDir, Arc<App>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    config.accounts.default_quota = quota;
    config.server.public_url = "https://files.example".into();
    config.openid = crate::config::OpenIdConfig::of("https://id.example", "sarang", "secret");
    (dir, App::open(config).await.unwrap())
}

#[tokio::test]
async fn requests_change_accounts() {
    let (_dir, app) = app(Some(5)).await;
    let ask = |request| execute(&app, request);
    for (who, quota, stored) in [
        ("ana", QuotaChoice::Default, Some(5)),
        ("ben", QuotaChoice::Unlimited, None),
        ("eva", QuotaChoice::Bytes(7), Some(7)),
    ] {
        assert!(matches!(
            ask(add(who, quota, "blue kettle 77")).await,
            Response::Done
        ));
        let account = app.auth.account(&name(who)).unwrap();
        assert_eq!((account.quota, account.role), (stored, Role::Admin));
    }
    assert!(matches!(
        ask(Request::UserDisable { name: name("ana") }).await,
        Response::Done
    ));
    assert!(app.auth.account(&name("ana")).unwrap().disabled);
    assert!(matches!(
        ask(Request::UserEnable { name: name("ana") }).await,
        Response::Done
    ));
    assert!(!app.auth.account(&name("ana")).unwrap().disabled);
    assert!(matches!(
        ask(Request::UserQuota {
            name: name("eva"),
            quota: None
        })
        .await,
        Response::Done
    ));
    assert_eq!(app.auth.account(&name("eva")).unwrap().quota, None);
    assert!(matches!(
        ask(Request::UserRole {
            name: name("eva"),
            role: Role::User
        })
        .await,
        Response::Done
    ));
    assert_eq!(app.auth.account(&name("eva")).unwrap().role, Role::User);
    let password = Password::new("green teapot 88".into());
    assert!(matches!(
        ask(Request::UserPasswd {
            name: name("ana"),
            password
        })
        .await,
        Response::Done
    ));
    let here = std::net::IpAddr::from([192, 0, 2, 1]);
    assert!(
        app.auth
            .sign_in(b"h", "ana", b"green teapot 88", here)
            .await
            .is_ok()
    );
    assert!(matches!(
        ask(Request::UserLink {
            name: name("ana"),
            subject: "s1".into()
        })
        .await,
        Response::Done
    ));
    let again = ask(Request::UserLink {
        name: name("eva"),
        subject: "s1".into(),
    })
    .await;
    assert!(matches!(again, Response::Refused(why) if why.contains("linked already")));
    assert_eq!(app.auth.openid_links_of(&name("ana")).len(), 1);
    assert!(matches!(
        ask(Request::UserUnlink { name: name("ana") }).await,
        Response::Done
    ));
    let again = ask(Request::UserUnlink { name: name("ana") }).await;
    assert!(matches!(again, Response::Refused(why) if why == "ana is linked to nobody."));
    assert!(matches!(
        ask(Request::UserRemove {
            name: name("ben"),
            files: FilesDisposal::Keep
        })
        .await,
        Response::Aside(None)
    ));
    let Response::Accounts(left) = ask(Request::UserList).await else {
        panic!()
    };
    assert_eq!(
        left.into_iter().map(|a| a.name).collect::<Vec<_>>(),
        [name("ana"), name("eva")]
    );
    let Response::Audit(entries) = ask(Request::Audit {
        filter: AuditFilter::default(),
        limit: 100,
    })
    .await
    else {
        panic!()
    };
    assert!(
        entries.len() >= 9 && entries.iter().any(|entry| entry.note == "role user"),
        "{entries:?}"
    );
    app.close().await.unwrap();
}

#[tokio::test]
async fn refusals_are_sentences_that_name_the_account() {
    let (_dir, app) = app(None).await;
    let refusal = async |request| match execute(&app, request).await {
        Response::Refused(sentence) => sentence,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refusal(Request::UserDisable { name: name("ana") }).await,
        "There is no account ana."
    );
    assert_eq!(
        refusal(Request::LockBreak { id: "x".into() }).await,
        "There is no lock x."
    );
    assert!(
        refusal(add("ana", QuotaChoice::Default, "short"))
            .await
            .contains("at least 10")
    );
    execute(&app, add("ana", QuotaChoice::Default, "blue kettle 77")).await;
    let again = refusal(add("ana", QuotaChoice::Default, "blue kettle 77")).await;
    assert_eq!(again, "There is already an account ana.");
    for request in [
        Request::UserDisable { name: name("ana") },
        Request::UserRole {
            name: name("ana"),
            role: Role::User,
        },
        Request::UserRemove {
            name: name("ana"),
            files: FilesDisposal::Keep,
        },
    ] {
        assert!(refusal(request).await.contains("last administrator"));
    }
    app.close().await.unwrap();
}

#[test]
fn requests_survive_the_wire_and_hide_passwords_from_logs() {
    let request = add("ana", QuotaChoice::Bytes(9), "blue kettle 77");
    assert!(!format!("{request:?}").contains("kettle"));
    let line = serde_json::to_string(&request).unwrap();
    let back: Request = serde_json::from_str(&line).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), line);
    let Request::UserAdd {
        quota, password, ..
    } = back
    else {
        panic!()
    };
    assert_eq!(
        (quota, password.as_bytes()),
        (QuotaChoice::Bytes(9), b"blue kettle 77".as_slice())
    );
}
