//! Tests of user.

use super::*;
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
    serde_json::to_string(&command.into_request().unwrap()).unwrap()
}

fn refusal(line: &str) -> String {
    ParsedLine::try_parse_from(format!("user {line}").split(' '))
        .unwrap_err()
        .to_string()
}

#[test]
fn lines_become_requests() {
    assert_eq!(request("list --json"), r#"{"do":"user-list"}"#);
    assert_eq!(
        request("disable ANA"),
        r#"{"do":"user-disable","name":"ana"}"#
    );
    assert_eq!(
        request("two-factor-off ana"),
        r#"{"do":"user-two-factor-off","name":"ana"}"#
    );
    assert_eq!(
        request("enable ana"),
        r#"{"do":"user-enable","name":"ana"}"#
    );
    assert_eq!(
        request("remove ana --keep-files"),
        r#"{"do":"user-remove","name":"ana","files":"keep"}"#
    );
    assert_eq!(
        request("remove ana --purge-files"),
        r#"{"do":"user-remove","name":"ana","files":"purge"}"#
    );
    let transfer = r#"{"do":"user-remove","name":"ana","files":{"transfer":"ben"}}"#;
    assert_eq!(request("remove ana --transfer-to ben"), transfer);
    let at = r#"{"do":"user-remove","name":"ana","files":{"purge-at":"/srv/ana"}}"#;
    assert_eq!(request("remove ana --purge /srv/ana"), at);
    assert_eq!(
        request("role ana admin"),
        r#"{"do":"user-role","name":"ana","role":"admin"}"#
    );
    assert_eq!(
        request("quota ana 1.5K"),
        r#"{"do":"user-quota","name":"ana","quota":1536}"#
    );
    assert_eq!(
        request("email ana a@x.example"),
        r#"{"do":"user-email","name":"ana","email":"a@x.example"}"#
    );
    assert_eq!(
        request("email ana none"),
        r#"{"do":"user-email","name":"ana","email":null}"#
    );
    assert_eq!(
        request("quota ana none"),
        r#"{"do":"user-quota","name":"ana","quota":null}"#
    );
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
    let account = |name: &str, quota, disabled| AccountView {
        name: AccountName::parse(name).unwrap(),
        role: Role::User,
        disabled,
        quota,
        created: 784_111_777,
        email: None,
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
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(dir.path().join("control.sock")).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut line = String::new();
        BufReader::new(&mut stream)
            .read_line(&mut line)
            .await
            .unwrap();
        stream
            .write_all(b"{\"refused\":\"There is no account ana.\"}\n")
            .await
            .unwrap();
        line
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
    assert_eq!(
        server.await.unwrap().trim(),
        r#"{"do":"user-disable","name":"ana"}"#
    );
}
