//! Tests of user.

use super::super::calls::named;
use super::*;
use crate::app::App;
use crate::audit::{ActorKind, AuditEntry, AuditFilter, AuditKind};
use crate::control::{ApiCall, Client};
use crate::http::api::admin::accounts::{NewAccount, NewPassword};
use clap::Parser;

#[derive(Debug, Parser)]
struct ParsedLine {
    #[command(subcommand)]
    command: UserCommand,
}

fn request(line: &str) -> String {
    let command = ParsedLine::try_parse_from(format!("user {line}").split(' '))
        .unwrap()
        .command;
    let call = command.call().unwrap();
    let text = format!("{call:?}").replace("/api/v1/", "");
    let body = call.into_request().unwrap().into_body();
    format!("{text} {}", std::str::from_utf8(&body).unwrap())
        .trim_end()
        .to_owned()
}

fn refusal(line: &str) -> String {
    ParsedLine::try_parse_from(format!("user {line}").split(' '))
        .unwrap_err()
        .to_string()
}

#[test]
fn lines_become_requests() {
    for (line, expected) in [
        ("list --json", "GET accounts"),
        ("disable ANA", r#"PATCH accounts/ana {"disabled":true}"#),
        ("enable ana", r#"PATCH accounts/ana {"disabled":false}"#),
        ("two-factor-off ana", "DELETE accounts/ana/two-factor"),
        ("remove ana --keep-files", "DELETE accounts/ana?files=keep"),
        (
            "remove ana --purge-files",
            "DELETE accounts/ana?files=purge",
        ),
        (
            "remove ana --transfer-to ben",
            "DELETE accounts/ana?files=transfer&to=ben",
        ),
        (
            "remove ana --purge /srv/ana",
            "DELETE accounts/ana?files=purge&path=%2Fsrv%2Fana",
        ),
        ("role ana admin", r#"PATCH accounts/ana {"role":"admin"}"#),
        ("quota ana 1.5K", r#"PATCH accounts/ana {"quota":1536}"#),
        ("quota ana none", r#"PATCH accounts/ana {"quota":null}"#),
        (
            "email ana a@x.example",
            r#"PUT accounts/ana/email {"email":"a@x.example"}"#,
        ),
        ("email ana none", r#"PUT accounts/ana/email {"email":null}"#),
        (
            "link ana s1",
            r#"POST accounts/ana/openid {"subject":"s1"}"#,
        ),
        ("unlink ana", "DELETE accounts/ana/openid"),
    ] {
        assert_eq!(request(line), expected);
    }
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    assert!(refusal("remove ana").contains("--keep-files"));
    assert!(refusal("remove ana --keep-files --purge-files").contains("cannot be used with"));
    assert!(refusal("quota ana much").contains("is no size"));
    assert!(refusal("disable ../ana").contains("An account name is 1 to 64 letters"));
    let Ok(ParsedLine {
        command: UserCommand::Add { quota, admin, .. },
    }) = ParsedLine::try_parse_from([
        "user",
        "add",
        "ana",
        "--admin",
        "--quota",
        "none",
        "--password-stdin",
    ])
    else {
        panic!()
    };
    assert_eq!((quota, admin), (Some(Limit(None)), true));
}

#[test]
fn accounts_are_listed_in_columns() {
    let account = |name: &str, quota, disabled| AccountDocument {
        name: AccountName::parse(name).unwrap(),
        role: Role::User,
        disabled,
        quota,
        created: "1994-11-06T08:49:37Z".into(),
        email: None,
        home: None,
        used: None,
    };
    let text = table(&[
        account("ana", Some(10 << 30), false),
        account("longer.name", None, true),
    ]);
    let expected = "NAME         ROLE   SIGN-IN        QUOTA  CREATED
ana          user   enabled       10 GiB  1994-11-06
longer.name  user   disabled   unlimited  1994-11-06
";
    assert_eq!(text, expected);
    assert!(table(&[]).contains("sarang user add"));
}

#[tokio::test]
async fn a_refusal_of_the_server_becomes_the_error() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(dir.path().join("control.sock")).unwrap();
    let server = tokio::spawn(async move {
        // Whether anybody answers is tried first.
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 1000];
        let len = stream.read(&mut asked).await.unwrap();
        let body =
            r#"{"type":"about:blank","title":"x","status":404,"code":"not_found","detail":"x"}"#;
        let len_line = format!("content-length: {}", body.len());
        let answer = format!("HTTP/1.1 404 Not Found\r\n{len_line}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked[..len].to_vec()).unwrap()
    });
    let config = Config {
        data_dir: dir.path().into(),
        ..Config::default()
    };
    let command = UserCommand::Disable {
        name: AccountName::parse("ana").unwrap(),
    };
    let error = run(command, config).await.unwrap_err();
    assert_eq!(error.to_string(), "There is no account ana.");
    let asked = server.await.unwrap();
    assert!(
        asked.starts_with("PATCH /api/v1/accounts/ana HTTP/1.1\r\n"),
        "{asked}"
    );
}

/// What a command says, of a data folder that this process has open.
async fn said(app: &std::sync::Arc<App>, line: &str) -> Result<String> {
    let command = ParsedLine::try_parse_from(format!("user {line}").split(' '))
        .unwrap()
        .command;
    let call = command.call().unwrap();
    calls::change(&Client::in_process(app), &command, call).await
}

fn new_account(name: &str, quota: Option<Limit>, password: &str) -> ApiCall {
    ApiCall::post(&["accounts"]).json(&NewAccount {
        name: AccountName::parse(name).unwrap(),
        password: password.to_owned().into(),
        role: Role::Admin,
        quota: quota.map(|limit| limit.0),
        home: None,
    })
}

async fn open_app(quota: Option<u64>) -> (tempfile::TempDir, std::sync::Arc<App>) {
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
async fn commands_change_accounts() {
    let (_dir, app) = open_app(Some(5)).await;
    let client = Client::in_process(&app);
    let name = |text: &str| AccountName::parse(text).unwrap();
    let account = |who: &str| app.auth.account(&name(who));
    for (who, quota, stored) in [
        ("ana", None, Some(5)),
        ("ben", Some(Limit(None)), None),
        ("eva", Some(Limit(Some(7))), Some(7)),
    ] {
        let made: AccountDocument = client
            .ask(new_account(who, quota, "blue kettle 77"))
            .await
            .unwrap();
        assert_eq!((made.quota, made.role), (stored, Role::Admin));
        assert_eq!(account(who).unwrap().quota, stored);
    }
    said(&app, "disable ana").await.unwrap();
    assert!(account("ana").unwrap().disabled);
    said(&app, "enable ana").await.unwrap();
    assert!(!account("ana").unwrap().disabled);
    said(&app, "quota eva none").await.unwrap();
    assert_eq!(account("eva").unwrap().quota, None);
    said(&app, "role eva user").await.unwrap();
    assert_eq!(account("eva").unwrap().role, Role::User);
    said(&app, "email ana a@x.example").await.unwrap();
    assert_eq!(
        account("ana").unwrap().email.as_deref(),
        Some("a@x.example")
    );
    let password = "green teapot 88".to_owned().into();
    let set = ApiCall::put(&["accounts", "ana", "password"]).json(&NewPassword { password });
    let () = client.ask(set).await.unwrap();
    let here = std::net::IpAddr::from([192, 0, 2, 1]);
    let signed_in = app.auth.sign_in(b"h", "ana", b"green teapot 88", here);
    assert!(signed_in.await.is_ok());
    said(&app, "link ana s1").await.unwrap();
    let again = said(&app, "link eva s1").await.unwrap_err();
    assert!(again.to_string().contains("linked already"), "{again}");
    assert_eq!(app.auth.openid_links_of(&name("ana")).len(), 1);
    said(&app, "unlink ana").await.unwrap();
    let again = said(&app, "unlink ana").await.unwrap_err();
    assert_eq!(again.to_string(), "ana is linked to nobody.");
    let again = said(&app, "two-factor-off ana").await.unwrap_err();
    assert_eq!(again.to_string(), "The sign-in of ana asks for no code.");
    assert_eq!(
        said(&app, "remove ben --keep-files").await.unwrap(),
        "Removed ben.\nIt had no files.\n"
    );
    let left: Vec<AccountDocument> = client.list(&["accounts"]).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|account| account.name).collect();
    assert_eq!(left, [name("ana"), name("eva")]);
    app.audit.flush(false).await;
    let filter = AuditFilter::default();
    let entries = app.audit.read(filter, u64::MAX, 100).await.unwrap();
    assert!(
        entries.len() >= 9 && entries.iter().any(|entry| entry.note == "role user"),
        "{entries:?}"
    );
    let is_no_sign_in = |entry: &&AuditEntry| entry.kind != AuditKind::SignIn;
    for entry in entries.iter().filter(is_no_sign_in) {
        assert_eq!(
            (entry.by, &entry.who, &entry.from),
            (ActorKind::CommandLine, &None, &None),
            "{entry:?}"
        );
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn refusals_are_sentences_that_name_the_account() {
    let (_dir, app) = open_app(None).await;
    let client = Client::in_process(&app);
    let refusal = async |line: &str| said(&app, line).await.unwrap_err().to_string();
    for line in [
        "disable ana",
        "two-factor-off ana",
        "unlink ana",
        "remove ana --purge-files",
    ] {
        assert_eq!(refusal(line).await, "There is no account ana.", "{line}");
    }
    let weak = client
        .ask::<AccountDocument>(new_account("ana", None, "short"))
        .await
        .unwrap_err();
    assert!(weak.to_string().contains("at least 10"), "{weak}");
    let add = || client.ask::<AccountDocument>(new_account("ana", None, "blue kettle 77"));
    add().await.unwrap();
    let again = named("account", "ana")(add().await.unwrap_err());
    assert_eq!(again.to_string(), "There is already an account ana.");
    for line in ["disable ana", "role ana user", "remove ana --keep-files"] {
        assert!(refusal(line).await.contains("last administrator"), "{line}");
    }
    app.close().await.unwrap();
}
