//! Why clients failed, as their owner reads it: each cause with what to do, and nothing that a stranger could learn from it or fill.

use crate::api_sessions::{LoggedIn, json};
use crate::api_two_factor::turn_on;
use crate::harness::client::Request;
use crate::harness::{Client, PASSWORD, TestServer, poll};
use crate::program::{self, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::auth::{AccountUpdate, NewAppPassword};
use sarang::model::{AccountName, Identity, RelPath, Rights, Role};
use serde_json::{Value, json};
use std::time::Duration;

const WINDOWS: &str = "Microsoft-WebDAV-MiniRedir/10.0.19045";

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// What the account's list says.
fn told(account: &Client) -> Vec<Value> {
    account
        .raw("GET", "/api/v1/me/failures")
        .send()
        .is(200)
        .json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

/// What an administrator reads of an account.
fn told_of(server: &TestServer, account: &str) -> Vec<Value> {
    let app = server.app();
    if app.auth.account(&name("boss")).is_none() {
        server
            .block_on(
                app.auth
                    .create(&name("boss"), PASSWORD.as_bytes(), Role::Admin, None),
            )
            .unwrap();
    }
    let boss = server.stranger().signed_in("boss", PASSWORD);
    let listed = boss
        .raw("GET", &format!("/api/v1/accounts/{account}/failures"))
        .send()
        .is(200)
        .json();
    listed["items"].as_array().unwrap().clone()
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect()
}

/// A request of Windows.
fn windows<'a>(client: &'a Client, method: &str, path: &str) -> Request<'a> {
    client.request(method, path).header("User-Agent", WINDOWS)
}

/// A listing with a password, from an address; the server trusts this machine as a proxy.
fn try_from(server: &TestServer, (user, password): (&str, &str), agent: &str, from: &str) -> u16 {
    let client = server.stranger().signed_in(user, password);
    client
        .request("PROPFIND", "/")
        .header("Depth", "0")
        .header("User-Agent", agent)
        .header("X-Forwarded-For", from)
        .send()
        .status
}

fn proxied() -> TestServer {
    TestServer::with(|config| config.server.trusted_proxies = vec![[127, 0, 0, 1].into()])
}

#[test]
fn each_failure_on_a_drive_is_told_with_its_cause_and_what_to_do() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/held.txt", "1");
    ana.lock("/held.txt").send().is(200);
    windows(&ana, "PUT", "/none/a.txt").body("1").send().is(409);
    windows(&ana, "PUT", "/held.txt").body("2").send().is(423);
    windows(&ana, "PUT", "/held.txt")
        .header("If-Match", "\"other\"")
        .body("2")
        .send()
        .is(412);
    ana.raw("PUT", "/dav/a%01b")
        .header("User-Agent", WINDOWS)
        .body("1")
        .send()
        .is(400);
    windows(&ana, "MOVE", "/held.txt")
        .header("Destination", "http://elsewhere.example/dav/b")
        .send()
        .is(502);
    windows(&ana, "SEARCH", "/").send().is(405);
    windows(&ana, "PUT", "/short.txt")
        .header("X-Expected-Entity-Length", "9")
        .chunked()
        .body("1")
        .send()
        .is(400);
    windows(&ana, "PROPFIND", "/")
        .header("Depth", "1")
        .body("x".repeat(2 << 20))
        .send()
        .is(413);
    server
        .block_on(server.app().auth.set_quota(&name("ana"), Some(10)))
        .unwrap();
    windows(&ana, "PUT", "/large.txt")
        .body("x".repeat(100))
        .send()
        .is(507);
    windows(&ana, "PROPFIND", "/not there").send().is(404);
    let told = told(&ana);
    let newest_first = [
        "no-space",
        "too-large",
        "truncated",
        "method",
        "destination",
        "bad-name",
        "precondition-failed",
        "locked",
        "parent-missing",
    ];
    assert_eq!(kinds(&told), newest_first, "{told:#?}");
    for one in &told {
        assert_eq!(
            (&one["client"], &one["from"], &one["count"]),
            (&"Windows".into(), &"127.0.0.1".into(), &1.into())
        );
        let sentence = |key: &str| one[key].as_str().unwrap().ends_with('.');
        assert!(sentence("cause") && sentence("remedy"), "{one}");
    }
    let of = |kind: &str| told.iter().find(|one| one["kind"] == kind).unwrap();
    assert_eq!(
        of("locked")["cause"],
        "The file or folder is locked by ana."
    );
    assert_eq!(
        (&of("locked")["method"], &of("locked")["path"]),
        (&"PUT".into(), &"/held.txt".into())
    );
    assert_eq!(
        of("method")["cause"],
        "The drive does not know the method SEARCH."
    );
    let german = ana
        .raw("GET", "/api/v1/me/failures")
        .header("Accept-Language", "de-AT, en;q=0.5")
        .send()
        .json();
    assert_eq!(
        german["items"][7]["cause"],
        "Die Datei oder der Ordner ist von ana gesperrt."
    );
}

#[test]
fn sign_ins_that_failed_say_which_device_and_why() {
    let server = proxied();
    let (app, ana) = (server.app(), server.ana());
    let made = json(
        ana.raw("POST", "/api/v1/app-passwords"),
        &json!({"name": "Laptop"}),
    )
    .send()
    .is(201)
    .json();
    let laptop = made["password"].as_str().unwrap();
    assert_eq!(
        try_from(&server, ("ana", laptop), "rclone/v1.60", "192.0.2.1"),
        207
    );
    let is_noted = || {
        app.auth.app_passwords_of(&name("ana"))[0]
            .1
            .last_use
            .is_some()
    };
    assert!(poll(Duration::from_secs(5), is_noted));
    let identity = Identity::clone(
        &server
            .block_on(app.auth.sign_in(
                b"-",
                "ana",
                PASSWORD.as_bytes(),
                std::net::IpAddr::from([192, 0, 2, 9]),
            ))
            .unwrap(),
    );
    let new = |name: &str, expires| NewAppPassword {
        name: name.into(),
        scope: RelPath::default(),
        target: None,
        rights: Rights::Edit,
        expires,
    };
    let (_, ended) = server
        .block_on(
            app.auth
                .add_app_password(&identity, new("Old phone", Some(1))),
        )
        .unwrap();
    assert_eq!(
        try_from(&server, ("ana", &ended), "okhttp/4", "192.0.2.1"),
        401
    );
    for _ in 0..2 {
        assert_eq!(
            try_from(&server, ("ana", "wrong"), "rclone/v1.60", "192.0.2.1"),
            401
        );
    }
    assert_eq!(
        try_from(&server, ("ana", "wrong too"), "davfs2/1.6", "192.0.2.1"),
        401
    );
    let list = told(&ana);
    let lines: Vec<_> = list
        .iter()
        .map(|one| {
            (
                one["kind"].as_str().unwrap(),
                one["client"].as_str().unwrap(),
                one["device"].as_str(),
                one["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("wrong-password", "davfs2", None, 1),
            ("wrong-password", "rclone", Some("Laptop"), 1),
            ("ended-app-password", "Android", Some("Old phone"), 1),
        ]
    );
    for n in 0..9 {
        try_from(
            &server,
            ("ana", &format!("guess {n}")),
            "curl/8",
            "192.0.2.1",
        );
    }
    assert_eq!(kinds(&told(&ana))[0], "throttled");
    turn_on(&LoggedIn::new(&server, "ana"));
    assert_eq!(
        try_from(&server, ("ana", PASSWORD), "gvfs/1.50", "192.0.2.5"),
        401
    );
    assert_eq!(kinds(&told_of(&server, "ana"))[0], "second-factor");
    let disable = AccountUpdate {
        disabled: Some(true),
        ..AccountUpdate::default()
    };
    server
        .block_on(app.auth.update(&name("ana"), disable, None))
        .unwrap();
    assert_eq!(
        try_from(&server, ("ana", PASSWORD), "gvfs/1.50", "192.0.2.6"),
        401
    );
    assert_eq!(
        kinds(&told_of(&server, "ana"))[..2],
        ["disabled", "second-factor"]
    );
}

#[test]
fn windows_without_tls_is_told_to_who_sits_at_the_same_address_until_it_signs_in() {
    let server = proxied();
    let ana = server.ana();
    let ask = |agent: &str, from: &str| {
        let request = server.stranger();
        request
            .raw("OPTIONS", "/")
            .header("User-Agent", agent)
            .header("X-Forwarded-For", from)
            .send()
            .is(401);
    };
    let seen_from = |from: &str| {
        let list = ana
            .raw("GET", "/api/v1/me/failures")
            .header("X-Forwarded-For", from)
            .send()
            .is(200)
            .json();
        kinds(list["items"].as_array().unwrap())
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    ask(WINDOWS, "192.0.2.1");
    ask("gvfs/1.50", "192.0.2.1");
    assert_eq!(seen_from("192.0.2.1"), ["windows-plain-http"]);
    assert!(seen_from("192.0.2.2").is_empty());
    assert_eq!(
        try_from(&server, ("ana", PASSWORD), WINDOWS, "192.0.2.1"),
        207
    );
    assert!(seen_from("192.0.2.1").is_empty());
}

#[test]
fn nobody_else_reads_it_and_an_app_password_does_not() {
    let server = TestServer::start();
    let ana = server.ana();
    windows(&ana, "PUT", "/none/a.txt").body("1").send().is(409);
    let made = json(
        ana.raw("POST", "/api/v1/app-passwords"),
        &json!({"name": "Laptop"}),
    )
    .send()
    .is(201)
    .json();
    let laptop = server
        .stranger()
        .signed_in("ana", made["password"].as_str().unwrap());
    laptop.raw("GET", "/api/v1/me/failures").send().is(403);
    server
        .stranger()
        .raw("GET", "/api/v1/me/failures")
        .send()
        .is(401);
    assert!(told(&server.ben()).is_empty());
    for account in ["ana", "nobody"] {
        server
            .ben()
            .raw("GET", &format!("/api/v1/accounts/{account}/failures"))
            .send()
            .is(403);
    }
    assert_eq!(kinds(&told_of(&server, "ana")), ["parent-missing"]);
    let boss = server.stranger().signed_in("boss", PASSWORD);
    boss.raw("GET", "/api/v1/accounts/nobody/failures")
        .send()
        .is(404);
}

#[test]
fn a_stranger_gets_the_same_answers_for_every_name_and_fills_no_list() {
    let server = TestServer::with(|config| {
        config.server.trusted_proxies = vec![[127, 0, 0, 1].into()];
        config.accounts.failures_per_account = 2;
    });
    let ana = server.ana();
    windows(&ana, "PUT", "/none/a.txt").body("1").send().is(409);
    let answers = |user: &str, net: u8| -> Vec<(u16, String, Option<String>)> {
        let ask = |n: usize| {
            let basic = format!("Basic {}", STANDARD.encode(format!("{user}:guess {n}")));
            let client = server.stranger();
            let request = client
                .request("PROPFIND", "/")
                .header("Authorization", basic);
            let agent = [
                "curl/8",
                WINDOWS,
                "rclone/1",
                "gvfs/1",
                "davfs2/1",
                "okhttp/4",
                "cadaver/0.24",
            ][n % 7];
            let request = request
                .header("User-Agent", agent)
                .header("X-Forwarded-For", format!("198.51.100.{net}"));
            let reply = request.send();
            // Seconds until it may come again go on while the test does.
            let text = reply.text().replace(|c: char| c.is_ascii_digit(), "");
            (
                reply.status,
                text,
                reply.header("www-authenticate").map(str::to_owned),
            )
        };
        (0..9).map(ask).collect()
    };
    let mut judged = 0;
    for net in 0..3 {
        let (of_ana, of_nobody) = (answers("ana", net), answers("nobody", net));
        assert_eq!(of_ana, of_nobody);
        judged += of_ana.iter().filter(|(status, ..)| *status == 401).count() as u64;
    }
    let told = told(&ana);
    assert!(
        told.len() <= 6 && kinds(&told).contains(&"parent-missing"),
        "{told:#?}"
    );
    let counted = told
        .iter()
        .filter(|one| one["kind"] == "wrong-password")
        .map(|one| one["count"].as_u64().unwrap());
    assert_eq!(
        counted.sum::<u64>(),
        judged,
        "as many as the throttle counted: {told:#?}"
    );
    let throttled = told
        .iter()
        .filter(|one| one["kind"] == "throttled")
        .collect::<Vec<_>>();
    assert_eq!(
        (throttled.len(), throttled[0]["count"].as_u64()),
        (1, Some(27 - judged)),
        "{told:#?}"
    );
}

#[test]
fn an_account_of_the_same_name_does_not_read_what_the_one_before_failed_at() {
    let server = TestServer::start();
    let (app, ana) = (server.app(), server.ana());
    windows(&ana, "PUT", "/none/a.txt").body("1").send().is(409);
    assert_eq!(told(&ana).len(), 1);
    let removed = server
        .block_on(app.remove_account(&name("ana"), sarang::app::removal::FilesDisposal::Keep));
    removed.unwrap();
    server
        .block_on(
            app.auth
                .create(&name("ana"), PASSWORD.as_bytes(), Role::User, None),
        )
        .unwrap();
    assert!(told(&ana).is_empty());
}

#[test]
fn the_command_asks_the_running_server() {
    let place = Place::new();
    place.add_ana();
    let refused = place.run(&["user", "failures", "ana"], "");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("only a running one remembers"),
        "{refused:?}"
    );
    let serving = place.serve();
    let ana = Client::new(serving.address, Some(("ana", program::PASSWORD)));
    for _ in 0..2 {
        windows(&ana, "PUT", "/none/a.txt").body("1").send().is(409);
    }
    let output = place.run(&["user", "failures", "ana"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Windows from 127.0.0.1, 2 times, PUT /none/a.txt\n    The folder that"),
        "{output:?}"
    );
    let output = place.run(&["user", "failures", "ana", "--json"], "");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json[0]["kind"], &json[0]["count"]),
        (&"parent-missing".into(), &2.into())
    );
    let nobody = place.run(&["user", "failures", "nobody"], "");
    assert!(
        String::from_utf8_lossy(&nobody.stderr).contains("There is no account nobody."),
        "{nobody:?}"
    );
}
