//! Looking for people to share with, and what all share for those who administer.

use crate::harness::{Client, PASSWORD, Reply, TestServer};
use crate::shares::admin;
use sarang::auth::AccountUpdate;
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};

fn add(server: &TestServer, name: &str) {
    let name = AccountName::parse(name).unwrap();
    server
        .block_on(
            server
                .app()
                .auth
                .create(&name, PASSWORD.as_bytes(), Role::User, None),
        )
        .unwrap();
}

fn search(client: &Client, text: &str) -> Reply {
    client
        .raw("GET", &format!("/api/v1/people?search={text}"))
        .send()
}

fn found(client: &Client, text: &str) -> Vec<String> {
    let reply = search(client, text).is(200).json();
    let to = |one: &Value| {
        one["to"]["account"]
            .as_str()
            .or(one["to"]["group"].as_str())
            .unwrap()
            .to_owned()
    };
    reply["items"].as_array().unwrap().iter().map(to).collect()
}

#[test]
fn people_and_groups_are_found_by_the_beginning_of_a_name() {
    let server = TestServer::start();
    let (root, ana, ben) = (admin(&server), server.ana(), server.ben());
    for name in ["bennet", "cleo", "gone-ben"] {
        add(&server, name);
    }
    ben.api("PATCH", "/me", &json!({"display_name": "Émile Zola"}))
        .is(200);
    root.api(
        "POST",
        "/groups",
        &json!({"name": "benchmarks", "members": []}),
    )
    .is(201);
    assert_eq!(found(&ana, "be"), ["ben", "benchmarks", "bennet"]);
    assert_eq!(
        found(&ana, "BEN"),
        ["ben", "benchmarks", "bennet"],
        "in either case"
    );
    for shown in ["%C3%A9mi", "zo", "%C3%89mile%20z"] {
        assert_eq!(found(&ana, shown), ["ben"], "{shown}");
    }
    let items = search(&ana, "zola").json()["items"].clone();
    assert_eq!(
        items,
        json!([{"to": {"account": "ben"}, "display_name": "Émile Zola"}])
    );
    assert_eq!(
        found(&ben, "ben"),
        ["benchmarks", "bennet"],
        "nobody finds themselves"
    );
    assert!(
        found(&ana, "en").is_empty() && found(&ana, "ben@").is_empty(),
        "the beginning alone"
    );
    let disabled = AccountUpdate {
        disabled: Some(true),
        ..AccountUpdate::default()
    };
    server
        .block_on(
            server
                .app()
                .auth
                .update(&AccountName::parse("bennet").unwrap(), disabled, None),
        )
        .unwrap();
    assert_eq!(found(&ana, "ben"), ["ben", "benchmarks"]);
    for short in ["", "b", "%20b%20"] {
        assert_eq!(
            search(&ana, short).is(422).json()["errors"][0]["pointer"],
            "/search"
        );
    }
    search(&server.stranger(), "ben").is(401);
}

#[test]
fn at_most_ten_are_told_and_a_search_a_second() {
    let server = TestServer::start();
    let root = admin(&server);
    for n in 0..9 {
        add(&server, &format!("many{n}"));
    }
    for n in 0..9 {
        root.api(
            "POST",
            "/groups",
            &json!({"name": format!("many-group{n}"), "members": []}),
        )
        .is(201);
    }
    let ana = server.ana();
    assert_eq!(found(&ana, "many").len(), 10);
    let answers: Vec<_> = (0..60).map(|_| search(&ana, "many").status).collect();
    assert!(
        answers.ends_with(&[429]) && answers.iter().filter(|status| **status == 200).count() == 59,
        "{answers:?}"
    );
    assert!(search(&ana, "many").header("retry-after").is_some());
    assert_eq!(found(&server.ben(), "many").len(), 10, "others go on");
}

#[test]
fn the_search_can_be_turned_off() {
    let server = TestServer::with(|config| config.accounts.people_search = false);
    let root = admin(&server);
    assert_eq!(
        search(&server.ana(), "ben").is(403).json()["code"],
        "forbidden"
    );
    assert_eq!(
        found(&root, "ben"),
        ["ben"],
        "administrators see all accounts anyway"
    );
}

#[test]
fn administrators_list_and_end_what_everybody_shares() {
    let server = TestServer::start();
    let (root, ana, ben) = (admin(&server), server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a.txt", "x");
    let share = ana.api(
        "POST",
        "/shares",
        &json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"}),
    );
    let share = share.is(201).json()["id"].as_str().unwrap().to_owned();
    let link = ana
        .api("POST", "/links", &json!({"path": "docs"}))
        .is(201)
        .json();
    let (link, token) = (
        link["id"].as_str().unwrap(),
        link["token"].as_str().unwrap(),
    );
    for client in [&ana, &ben] {
        for path in ["/admin/shares", "/admin/links"] {
            client.api("GET", path, &Value::Null).is(403);
        }
        client
            .api("DELETE", &format!("/admin/shares/{share}"), &Value::Null)
            .is(403);
        client
            .api("DELETE", &format!("/admin/links/{link}"), &Value::Null)
            .is(403);
    }
    let list = |path: &str| root.api("GET", path, &Value::Null).is(200).json();
    let shares = list("/admin/shares");
    let one = &shares["items"][0];
    assert_eq!(
        (&one["owner"], &one["path"], &one["to"]),
        (&json!("ana"), &json!("/docs"), &json!({"account": "ben"}))
    );
    let links = list("/admin/links");
    assert_eq!(
        (&links["items"][0]["owner"], &links["items"][0]["id"]),
        (&json!("ana"), &json!(link))
    );
    assert!(!links.to_string().contains(token));
    let lock = ben
        .lock("/Shared with me/docs/a.txt")
        .body(crate::harness::LOCK_BODY)
        .send()
        .is(200)
        .token();
    for (kind, id) in [("shares", share.as_str()), ("links", link)] {
        root.api("DELETE", &format!("/admin/{kind}/{id}"), &Value::Null)
            .is(204);
        root.api("DELETE", &format!("/admin/{kind}/{id}"), &Value::Null)
            .is(404);
        assert_eq!(list(&format!("/admin/{kind}"))["items"], json!([]));
    }
    ben.lacks("/Shared with me");
    ana.put("/docs/a.txt", "y").is(204);
    assert!(!lock.is_empty());
    server
        .stranger()
        .raw("GET", &format!("/s/{token}"))
        .send()
        .is(404);
    for (kind, id, note) in [
        ("share-ended", share.as_str(), "/docs of ana to ben, edit"),
        ("link-ended", link, "/docs of ana"),
    ] {
        let entries = list(&format!("/audit?kind={kind}"));
        let entry = &entries["items"][0];
        assert_eq!(
            (&entry["who"], &entry["target"], &entry["note"]),
            (&json!("root"), &json!(id), &json!(note))
        );
    }
}
