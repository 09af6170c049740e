//! Who did what is in the audit log: each kind of act, done over real HTTP, leaves its entry with actor, address and target.

use crate::api_sessions::{LoggedIn, json};
use crate::api_two_factor::turn_on;
use crate::harness::{Client, PASSWORD, Reply, TestServer, poll};
use sarang::config::OpenIdConfig;
use sarang::control::ApiCall;
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const OTHER: &str = "green teapot 88";

fn start() -> (TestServer, Client) {
    let server = TestServer::with(|config| {
        config.accounts.failures_per_account = 100;
        config.history.burst_count = 12;
        config.server.public_url = "http://files.test".into();
        config.openid = OpenIdConfig::of("http://127.0.0.1:2", "sarang", "never asked");
    });
    let root = AccountName::parse("root").unwrap();
    server
        .block_on(
            server
                .app()
                .auth
                .create(&root, PASSWORD.as_bytes(), Role::Admin, None),
        )
        .unwrap();
    let root = server.ana().signed_in("root", PASSWORD);
    (server, root)
}

fn send(client: &Client, method: &str, path: &str, body: &Value) -> Reply {
    let request = client.raw(method, &format!("/api/v1{path}"));
    if body.is_null() {
        request.send()
    } else {
        json(request, body).send()
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn entries(root: &Client, kind: &str) -> Vec<Value> {
    let page = root
        .raw("GET", &format!("/api/v1/audit?limit=1000&kind={kind}"))
        .send()
        .is(200)
        .json();
    page["items"].as_array().unwrap().clone()
}

/// Demands the newest entry of a kind: done by `who` from here to `target`, with these words in its note.
#[track_caller]
fn told(root: &Client, kind: &str, who: &str, target: &str, note: &str) {
    let all = entries(root, kind);
    let entry = all.first().unwrap_or_else(|| panic!("no entry of {kind}"));
    let by = if who == "nobody" { "nobody" } else { "account" };
    assert_eq!(
        (
            text(entry, "by"),
            text(entry, "target"),
            text(entry, "outcome")
        ),
        (by, target, "done"),
        "{entry}"
    );
    assert_eq!(
        (text(entry, "from"), entry["count"].as_u64()),
        ("127.0.0.1", Some(1)),
        "{entry}"
    );
    assert!(by == "nobody" || text(entry, "who") == who, "{entry}");
    assert!(
        text(entry, "note").contains(note),
        "{note:?} is not in {entry}"
    );
}

fn made(client: &Client, path: &str, body: &Value) -> String {
    send(client, "POST", path, body).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn sessions(server: &TestServer, root: &Client) {
    let (one, other) = (LoggedIn::new(server, "ana"), LoggedIn::new(server, "ana"));
    told(root, "session-started", "ana", &other.id, "Nest/1");
    one.own("DELETE", &format!("/api/v1/sessions/{}", other.id))
        .send()
        .is(204);
    told(root, "session-ended", "ana", &other.id, "");
    LoggedIn::new(server, "ana");
    one.own("DELETE", "/api/v1/sessions").send().is(204);
    told(
        root,
        "session-ended",
        "ana",
        "ana",
        "all but the one that asked",
    );
    one.own("POST", "/api/v1/logout").send().is(204);
    told(root, "session-ended", "ana", &one.id, "");
}

fn app_passwords(server: &TestServer, root: &Client) {
    let id = made(
        &server.ana(),
        "/app-passwords",
        &json!({"name": "phone", "scope": "/docs", "rights": "view"}),
    );
    told(
        root,
        "app-password-created",
        "ana",
        &id,
        "\"phone\", view in /docs",
    );
    send(
        &server.ana(),
        "DELETE",
        &format!("/app-passwords/{id}"),
        &Value::Null,
    )
    .is(204);
    told(root, "app-password-removed", "ana", &id, "");
}

fn groups(root: &Client) {
    send(
        root,
        "POST",
        "/groups",
        &json!({"name": "crew", "members": ["ben"]}),
    )
    .is(201);
    told(root, "group-created", "root", "crew", "members ben");
    send(root, "PATCH", "/groups/crew", &json!({"members": []})).is(200);
    told(root, "group-changed", "root", "crew", "no members");
    send(root, "DELETE", "/groups/crew", &Value::Null).is(204);
    told(root, "group-removed", "root", "crew", "");
    send(root, "DELETE", "/groups/crew", &Value::Null).is(404);
    assert_eq!(
        entries(root, "group-removed").len(),
        1,
        "what did not happen is not told"
    );
}

fn team_folders(root: &Client) {
    let members = json!([{"to": {"account": "ana"}, "rights": "edit"}]);
    send(
        root,
        "POST",
        "/team-folders",
        &json!({"name": "Plans", "members": members, "quota": 7}),
    )
    .is(201);
    told(
        root,
        "team-folder-created",
        "root",
        "Plans",
        "ana edit; quota 7 bytes",
    );
    send(
        root,
        "PATCH",
        "/team-folders/Plans",
        &json!({"members": [], "quota": null}),
    )
    .is(200);
    told(
        root,
        "team-folder-changed",
        "root",
        "Plans",
        "no members; quota unlimited",
    );
    send(
        root,
        "DELETE",
        "/team-folders/Plans?purge=true",
        &Value::Null,
    )
    .is(204);
    told(
        root,
        "team-folder-removed",
        "root",
        "Plans",
        "its files are deleted",
    );
}

fn shares(server: &TestServer, root: &Client) {
    let (ana, ben) = (server.ana(), server.ben());
    let share = |path: &str| {
        made(
            &ana,
            "/shares",
            &json!({"path": path, "to": {"account": "ben"}, "rights": "view"}),
        )
    };
    for folder in ["/docs", "/more", "/last"] {
        ana.mkcol(folder).is(201);
    }
    let id = share("/docs");
    told(
        root,
        "share-created",
        "ana",
        &id,
        "/docs of ana to ben, view",
    );
    let place = format!("/shares/{id}");
    send(&ana, "PATCH", &place, &json!({"rights": "edit"})).is(204);
    told(root, "share-changed", "ana", &id, "to ben, edit");
    send(&ben, "PATCH", &place, &json!({"name": "hers"})).is(204);
    told(root, "share-changed", "ben", &id, "ben names it \"hers\"");
    send(&ben, "DELETE", &place, &Value::Null).is(204);
    told(root, "share-changed", "ben", &id, "ben left it");
    send(&ana, "DELETE", &place, &Value::Null).is(204);
    told(
        root,
        "share-removed",
        "ana",
        &id,
        "/docs of ana to ben, edit",
    );
    let id = share("/docs");
    send(root, "DELETE", &format!("/admin/shares/{id}"), &Value::Null).is(204);
    told(
        root,
        "share-ended",
        "root",
        &id,
        "/docs of ana to ben, view",
    );
    // The same by way of the drive: a mount renamed and left, and what is shared deleted. WebDAV tells no address.
    let (more, last) = (share("/more"), share("/last"));
    ben.transfer("MOVE", "/Shared with me/more", "/Shared with me/mine")
        .send()
        .is(201);
    assert!(text(&entries(root, "share-changed")[0], "note").contains("ben names it \"mine\""));
    ben.delete("/Shared with me/mine").is(204);
    let newest = entries(root, "share-changed")[0].clone();
    assert!(
        text(&newest, "target") == more && text(&newest, "note").contains("ben left it"),
        "{newest}"
    );
    ana.delete("/last").is(204);
    let newest = entries(root, "share-removed")[0].clone();
    assert_eq!(
        (text(&newest, "target"), text(&newest, "who")),
        (last.as_str(), "ana"),
        "{newest}"
    );
}

fn links(server: &TestServer, root: &Client) {
    let ana = server.ana();
    let id = made(&ana, "/links", &json!({"path": "/docs"}));
    told(root, "link-created", "ana", &id, "docs");
    send(
        &ana,
        "PATCH",
        &format!("/links/{id}"),
        &json!({"note": "x"}),
    )
    .is(200);
    told(root, "link-changed", "ana", &id, "docs");
    send(&ana, "DELETE", &format!("/links/{id}"), &Value::Null).is(204);
    told(root, "link-removed", "ana", &id, "docs");
    let id = made(&ana, "/links", &json!({"path": "/docs"}));
    send(root, "DELETE", &format!("/admin/links/{id}"), &Value::Null).is(204);
    told(root, "link-ended", "root", &id, "/docs of ana");
}

fn registration(server: &TestServer, root: &Client) {
    let withdrawn = made(root, "/invites", &json!({"note": "for Cleo"}));
    told(root, "invite-created", "root", &withdrawn, "for Cleo");
    send(
        root,
        "DELETE",
        &format!("/invites/{withdrawn}"),
        &Value::Null,
    )
    .is(204);
    told(root, "invite-removed", "root", &withdrawn, "");
    for group in ["staff", "gone"] {
        send(root, "POST", "/groups", &json!({"name": group})).is(201);
    }
    let wish = json!({"groups": ["staff", "gone"]});
    let invite = send(root, "POST", "/invites", &wish).is(201).json();
    told(
        root,
        "invite-created",
        "root",
        text(&invite, "id"),
        "into gone, staff",
    );
    send(root, "DELETE", "/groups/gone", &Value::Null).is(204);
    let application = json!({"name": "cleo", "password": OTHER, "invite": invite["invite"]});
    send(&server.stranger(), "POST", "/register", &application).is(201);
    told(root, "account-created", "nobody", "cleo", "with the invite");
    told(
        root,
        "group-changed",
        "nobody",
        "staff",
        "cleo joined by invite",
    );
    let note = "made the account cleo, not in the group gone, which is no more, in the group staff";
    told(root, "invite-used", "nobody", text(&invite, "id"), note);
}

fn own_account(server: &TestServer, root: &Client) {
    let cleo = server.stranger().signed_in("cleo", OTHER);
    send(&cleo, "PATCH", "/me", &json!({"display_name": "Cleo"})).is(200);
    told(root, "account-changed", "cleo", "cleo", "display name");
    send(
        &cleo,
        "PUT",
        "/me/password",
        &json!({"old": OTHER, "new": PASSWORD}),
    )
    .is(204);
    told(root, "password-changed", "cleo", "cleo", "");
    let ana = LoggedIn::new(server, "ana");
    turn_on(&ana);
    told(root, "two-factor-changed", "ana", "ana", "on");
    json(
        ana.own("DELETE", "/api/v1/me/two-factor"),
        &json!({"password": PASSWORD}),
    )
    .send()
    .is(204);
    told(root, "two-factor-changed", "ana", "ana", "off");
}

fn provider(root: &Client) {
    send(
        root,
        "POST",
        "/accounts/ana/openid",
        &json!({"subject": "17"}),
    )
    .is(201);
    told(
        root,
        "openid-linked",
        "root",
        "ana",
        "to 17 of http://127.0.0.1:2",
    );
    send(root, "DELETE", "/accounts/ana/openid", &Value::Null).is(204);
    told(root, "openid-unlinked", "root", "ana", "");
}

fn accounts_and_locks(server: &TestServer, root: &Client) {
    let cleo = server.stranger().signed_in("cleo", PASSWORD);
    cleo.lock("/new").send().is(201);
    let locks = root.raw("GET", "/api/v1/locks").send().is(200).json();
    send(
        root,
        "DELETE",
        &format!("/locks/{}", text(&locks["items"][0], "id")),
        &Value::Null,
    )
    .is(204);
    told(root, "lock-broken", "root", "home/cleo/new", "held by cleo");
    send(root, "DELETE", "/accounts/cleo?files=keep", &Value::Null).is(200);
    told(root, "account-removed", "root", "cleo", "kept");
    server
        .stranger()
        .signed_in("ben", "wrong")
        .propfind("/", "0")
        .is(401);
    server.block_on(server.app().audit.flush(true));
}

fn a_burst(server: &TestServer, root: &Client) {
    let ben = server.ben();
    for n in 0..14 {
        ben.store(&format!("/{n}"), "x");
    }
    (0..14).for_each(|n| drop(ben.delete(&format!("/{n}")).is(204)));
    assert!(poll(Duration::from_secs(20), || !entries(
        root,
        "history-held"
    )
    .is_empty()));
    let newest = entries(root, "history-held")[0].clone();
    assert_eq!(
        (text(&newest, "who"), text(&newest, "target")),
        ("ben", "ben"),
        "{newest}"
    );
}

fn the_past(server: &TestServer, root: &Client) {
    let ana = server.ana();
    for content in ["one", "two"] {
        ana.store("/past", content);
    }
    let versions = ana
        .raw("GET", "/api/v1/versions?path=/past")
        .send()
        .is(200)
        .json();
    let version = text(&versions["items"][0], "id");
    send(
        &ana,
        "DELETE",
        &format!("/versions?path=/past&id={version}"),
        &Value::Null,
    )
    .is(204);
    told(root, "history-purged", "ana", "ana", "a version of /past");
    ana.delete("/past").is(204);
    let id = text(
        &send(&ana, "GET", "/trash", &Value::Null).json()["items"][0],
        "id",
    )
    .to_owned();
    send(&ana, "DELETE", &format!("/trash/{id}"), &Value::Null).is(204);
    told(root, "history-purged", "ana", "ana", &id);
    for _ in 0..2 {
        ana.store("/past", "x");
        ana.delete("/past").is(204);
    }
    let trash = ["local", "accounts", "ana", "trash"];
    let listed: Value = server.ask_locally(ApiCall::get(&trash)).unwrap();
    let item = [&trash[..], &[text(&listed["items"][0], "id"), "restore"]].concat();
    let restore = ApiCall::post(&item).json(&json!({}));
    server.ask_locally::<Value>(restore).unwrap();
    let newest = entries(root, "history-restored")[0].clone();
    assert_eq!(
        (
            text(&newest, "by"),
            text(&newest, "target"),
            text(&newest, "note")
        ),
        ("command-line", "ana", "/past")
    );
    send(&ana, "DELETE", "/trash", &Value::Null).is(200);
    told(root, "history-purged", "ana", "ana", "all of the trash: ");
    ana.store("/gone", "x");
    ana.delete("/gone").is(204);
    let emptied: Value = server.ask_locally(ApiCall::delete(&trash)).unwrap();
    assert_eq!(emptied["items"], 1);
    let newest = entries(root, "history-purged")[0].clone();
    assert_eq!(
        (text(&newest, "by"), text(&newest, "target")),
        ("command-line", "ana"),
        "{newest}"
    );
}

fn removed_files(server: &TestServer, root: &Client) {
    for (who, restored) in [("xena", true), ("yara", false)] {
        let name = AccountName::parse(who).unwrap();
        server
            .block_on(
                server
                    .app()
                    .auth
                    .create(&name, OTHER.as_bytes(), Role::User, None),
            )
            .unwrap();
        server.stranger().signed_in(who, OTHER).store("/file", "x");
        send(
            root,
            "DELETE",
            &format!("/accounts/{who}?files=keep"),
            &Value::Null,
        )
        .is(200);
        let files = server
            .app()
            .removed_files()
            .into_iter()
            .find(|files| files.name == who)
            .unwrap();
        let at = format!("/removed-files/{}", files.id);
        if restored {
            send(
                root,
                "POST",
                &format!("{at}/restore"),
                &json!({"to": {"folder": "ana"}}),
            )
            .is(200);
            told(
                root,
                "removed-files-restored",
                "root",
                &files.place,
                "into the drive of ana",
            );
        } else {
            send(root, "DELETE", &at, &Value::Null).is(204);
            told(root, "removed-files-purged", "root", &files.place, "");
        }
    }
}

/// A kind that is in the document and that nothing here brings about fails this test.
#[test]
fn every_kind_of_act_leaves_its_entry() {
    let (server, root) = start();
    sessions(&server, &root);
    app_passwords(&server, &root);
    groups(&root);
    team_folders(&root);
    shares(&server, &root);
    links(&server, &root);
    registration(&server, &root);
    own_account(&server, &root);
    provider(&root);
    accounts_and_locks(&server, &root);
    removed_files(&server, &root);
    the_past(&server, &root);
    a_burst(&server, &root);
    let document = server
        .stranger()
        .raw("GET", "/api/v1/openapi.json")
        .send()
        .is(200)
        .json();
    let kinds = document["components"]["schemas"]["AuditKind"]["enum"]
        .as_array()
        .unwrap();
    let known: BTreeSet<&str> = kinds.iter().map(|kind| kind.as_str().unwrap()).collect();
    assert!(known.len() >= 26, "{known:?}");
    let silent: Vec<&&str> = known
        .iter()
        .filter(|kind| entries(&root, kind).is_empty())
        .collect();
    assert!(silent.is_empty(), "nothing here writes {silent:?}");
    let all = root
        .raw("GET", "/api/v1/audit/export")
        .send()
        .is(200)
        .text();
    assert!(
        !all.contains(PASSWORD) && !all.contains(OTHER),
        "no secrets"
    );
}

#[test]
fn an_administrator_turns_two_factor_off_and_the_sessions_end() {
    let (server, root) = start();
    let target = "/accounts/ana/two-factor";
    send(&root, "DELETE", target, &Value::Null).is(404);
    let ana = LoggedIn::new(&server, "ana");
    turn_on(&ana);
    server.ana().propfind("/", "0").is(401);
    let overview = root.raw("GET", "/api/v1/overview").send().is(200).json();
    assert_eq!(overview["sessions"], 1);
    send(&server.ben(), "DELETE", target, &Value::Null).is(403);
    send(&root, "DELETE", target, &Value::Null).is(204);
    ana.own("GET", "/api/v1/me").send().is(401);
    ana.with_bearer("GET", "/api/v1/me").send().is(401);
    server.ana().propfind("/", "0").is(207);
    told(
        &root,
        "two-factor-changed",
        "root",
        "ana",
        "off, and its sessions ended",
    );
    assert_eq!(
        root.raw("GET", "/api/v1/overview").send().json()["sessions"],
        0
    );
    // The same by command.
    let again = LoggedIn::new(&server, "ana");
    turn_on(&again);
    let ask =
        |name: &str| server.ask_locally::<()>(ApiCall::delete(&["accounts", name, "two-factor"]));
    ask("ana").unwrap();
    again.own("GET", "/api/v1/me").send().is(401);
    let newest = entries(&root, "two-factor-changed")[0].clone();
    assert_eq!(
        (text(&newest, "by"), text(&newest, "target")),
        ("command-line", "ana"),
        "{newest}"
    );
    assert!(ask("ana").unwrap_err().is_not_found());
    assert!(ask("zoe").unwrap_err().is_not_found());
}

#[test]
fn an_invite_puts_into_groups_at_once() {
    let (server, root) = start();
    send(
        &root,
        "POST",
        "/groups",
        &json!({"name": "staff", "members": ["ben"]}),
    )
    .is(201);
    let wrong = send(
        &root,
        "POST",
        "/invites",
        &json!({"groups": ["staff", "nobody"]}),
    )
    .is(422)
    .json();
    assert_eq!(wrong["errors"][0]["pointer"], "/groups/1");
    server.ana().mkcol("/docs").is(201);
    made(
        &server.ana(),
        "/shares",
        &json!({"path": "/docs", "to": {"group": "staff"}, "rights": "edit"}),
    );
    let invite = send(
        &root,
        "POST",
        "/invites",
        &json!({"groups": ["staff", "staff"]}),
    )
    .is(201)
    .json();
    let open = root.raw("GET", "/api/v1/invites").send().is(200).json();
    assert_eq!(open["items"][0]["groups"], json!(["staff"]));
    let server = server.restart();
    let application = json!({"name": "cleo", "password": OTHER, "invite": invite["invite"]});
    send(&server.stranger(), "POST", "/register", &application).is(201);
    let cleo = server.stranger().signed_in("cleo", OTHER);
    cleo.store("/Shared with me/docs/new", "at once");
    assert_eq!(
        cleo.raw("GET", "/api/v1/me").send().is(200).json()["groups"],
        json!(["staff"])
    );
    assert_eq!(
        server.ana().raw("GET", "/api/v1/me").send().is(200).json()["groups"],
        json!([])
    );
    let root = server.ana().signed_in("root", PASSWORD);
    let groups = root.raw("GET", "/api/v1/groups").send().is(200).json();
    assert_eq!(groups["items"][0]["members"], json!(["ben", "cleo"]));
}

/// What changes nothing is no entry, what is repeated is counted: thousands of both leave what others did where it is.
#[test]
fn changes_of_nothing_are_not_told_and_repeats_are_counted() {
    let (server, root) = start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/d").is(201);
    let link = format!(
        "/links/{}",
        made(
            &ana,
            "/links",
            &json!({"path": "d", "rights": "view", "note": "n"})
        )
    );
    let with = json!({"account": "ben"});
    let share = format!(
        "/shares/{}",
        made(
            &ana,
            "/shares",
            &json!({"path": "d", "to": with, "rights": "view"})
        )
    );
    send(
        &root,
        "POST",
        "/groups",
        &json!({"name": "staff", "members": ["ana"]}),
    )
    .is(201);
    send(
        &root,
        "POST",
        "/team-folders",
        &json!({"name": "Plans", "members": [], "quota": 7}),
    )
    .is(201);
    send(&ana, "PATCH", "/me", &json!({"display_name": "Ana"})).is(200);
    send(&ben, "PATCH", &share, &json!({"name": "hers"})).is(204);
    let count = |kind: &str| {
        entries(&root, kind)
            .iter()
            .map(|entry| entry["count"].as_u64().unwrap())
            .sum::<u64>()
    };
    let kinds = [
        "link-changed",
        "share-changed",
        "account-changed",
        "group-changed",
        "team-folder-changed",
    ];
    let before = kinds.map(count);
    for _ in 0..5 {
        send(
            &ana,
            "PATCH",
            &link,
            &json!({"note": "n", "rights": "view"}),
        )
        .is(200);
        send(&ana, "PATCH", &link, &json!({})).is(200);
        send(&ana, "PATCH", &share, &json!({"rights": "view"})).is(204);
        send(&ben, "PATCH", &share, &json!({"name": "hers"})).is(204);
        send(&ana, "PATCH", "/me", &json!({"display_name": "Ana"})).is(200);
        send(
            &root,
            "PATCH",
            "/groups/staff",
            &json!({"members": ["ana"]}),
        )
        .is(200);
        send(&root, "PATCH", "/team-folders/Plans", &json!({"quota": 7})).is(200);
        send(
            &root,
            "PATCH",
            "/accounts/ana",
            &json!({"role": "user", "disabled": false}),
        )
        .is(200);
        ana.raw("DELETE", "/api/v1/trash").send().is(200);
        ana.raw("DELETE", "/api/v1/sessions").send().is(204);
    }
    assert_eq!(kinds.map(count), before);
    assert_eq!((count("history-purged"), count("session-ended")), (0, 0));
    for note in ["a", "b"].iter().cycle().take(100) {
        send(&ana, "PATCH", &link, &json!({"note": note})).is(200);
    }
    let told = entries(&root, "link-changed");
    assert!(told.len() <= 2, "{told:?}");
    assert_eq!(
        told.iter()
            .map(|entry| entry["count"].as_u64().unwrap())
            .sum::<u64>(),
        100
    );
    assert!(
        !entries(&root, "group-created").is_empty(),
        "what the administrator did is there"
    );
}
