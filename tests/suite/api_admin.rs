//! Administration over the API: accounts, the audit log, the overview, locks; who may, and what it leaves behind.

use crate::harness::{Client, NAME, PASSWORD, Reply, TestServer};
use sarang::auth::AccountUpdate;
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};

const OTHER: &str = "green teapot 88";

/// A server whose `ana` administers.
fn start() -> TestServer {
    let server = TestServer::start();
    let what = AccountUpdate {
        role: Some(Role::Admin),
        ..AccountUpdate::default()
    };
    server
        .block_on(
            server
                .app()
                .auth
                .update(&AccountName::parse("ana").unwrap(), what, None),
        )
        .unwrap();
    server
}

fn send(client: &Client, method: &str, target: &str, body: &Value) -> Reply {
    client
        .raw(method, target)
        .header("Content-Type", "application/json")
        .body(body.to_string())
        .send()
}

fn names(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect()
}

fn kinds(server: &TestServer, query: &str) -> Vec<String> {
    let page = server
        .ana()
        .raw("GET", &format!("/api/v1/audit?limit=1000{query}"))
        .send()
        .is(200)
        .json();
    let items = page["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|item| {
            format!(
                "{} {}",
                item["kind"].as_str().unwrap(),
                item["target"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn only_administrators_get_in() {
    let server = start();
    for (method, target) in [
        ("GET", "/api/v1/accounts"),
        ("GET", "/api/v1/accounts/ana"),
        ("DELETE", "/api/v1/accounts/ana?files=keep"),
        ("GET", "/api/v1/audit"),
        ("GET", "/api/v1/audit/export"),
        ("GET", "/api/v1/overview"),
    ] {
        server.stranger().raw(method, target).send().is(401);
        assert_eq!(
            server.ben().raw(method, target).send().is(403).json()["code"],
            "forbidden",
            "{target}"
        );
    }
    let new = json!({"name": "eva", "password": OTHER});
    send(&server.ben(), "POST", "/api/v1/accounts", &new).is(403);
    send(
        &server.ben(),
        "PATCH",
        "/api/v1/accounts/ben",
        &json!({"role": "admin"}),
    )
    .is(403);
    send(
        &server.ben(),
        "PUT",
        "/api/v1/accounts/ana/password",
        &json!({"password": OTHER}),
    )
    .is(403);
    assert_eq!(server.app().auth.list().len(), 2);
}

#[test]
fn accounts_are_made_found_changed_and_removed() {
    let server = start();
    let ana = server.ana();
    let new = json!({"name": "Eva", "password": OTHER, "quota": 1000});
    let made = send(&ana, "POST", "/api/v1/accounts", &new).is(201);
    assert_eq!(made.header("location"), Some("/api/v1/accounts/eva"));
    let made = made.json();
    assert_eq!(
        (&made["name"], &made["role"], &made["quota"]),
        (&json!("eva"), &json!("user"), &json!(1000))
    );
    assert!(
        made.get("used").is_none() && !made.to_string().contains("argon2"),
        "{made}"
    );
    assert_eq!(
        send(&ana, "POST", "/api/v1/accounts", &new).is(409).json()["code"],
        "exists"
    );
    let eva = server.stranger().signed_in("eva", OTHER);
    eva.store(NAME, "12345");
    eva.put("/large", vec![b'x'; 1001]).is(507);

    let page = ana
        .raw("GET", "/api/v1/accounts?limit=2")
        .send()
        .is(200)
        .json();
    assert_eq!(names(&page), ["ana", "ben"]);
    let next = page["next"].as_str().unwrap();
    let page = ana
        .raw("GET", &format!("/api/v1/accounts?limit=2&cursor={next}"))
        .send()
        .is(200)
        .json();
    assert_eq!((names(&page), page.get("next")), (vec!["eva"], None));
    let page = ana
        .raw("GET", "/api/v1/accounts?query=V&usage=true")
        .send()
        .is(200)
        .json();
    assert_eq!(
        (names(&page), &page["items"][0]["used"]),
        (vec!["eva"], &json!(5))
    );

    let target = "/api/v1/accounts/eva";
    let changed = send(&ana, "PATCH", target, &json!({"disabled": true}))
        .is(200)
        .json();
    assert_eq!(
        (&changed["disabled"], &changed["quota"]),
        (&json!(true), &json!(1000))
    );
    eva.get(NAME).is(401);
    let changed = send(
        &ana,
        "PATCH",
        target,
        &json!({"disabled": false, "quota": null}),
    )
    .is(200)
    .json();
    assert_eq!(
        (&changed["disabled"], &changed["quota"]),
        (&json!(false), &Value::Null)
    );
    eva.store("/large", vec![b'x'; 1001]);
    send(&ana, "PATCH", target, &json!({"role": "admin"})).is(200);
    eva.raw("GET", "/api/v1/overview").send().is(200);
    send(&ana, "PATCH", target, &json!({"role": "user"})).is(200);
    eva.raw("GET", "/api/v1/overview").send().is(403);
    send(
        &ana,
        "PUT",
        "/api/v1/accounts/eva/password",
        &json!({"password": PASSWORD}),
    )
    .is(204);
    eva.get(NAME).is(401);
    let removed = ana
        .raw("DELETE", "/api/v1/accounts/eva?files=keep")
        .send()
        .is(200)
        .json();
    ana.raw("GET", target).send().is(404);
    ana.raw("DELETE", "/api/v1/accounts/eva?files=keep")
        .send()
        .is(404);
    let kept = server.data().join(removed["kept"].as_str().unwrap());
    assert!(kept.join(&NAME[1..]).exists() && !server.home("eva").exists());
    let acts = kinds(&server, "&account=eva");
    assert_eq!(
        acts.iter()
            .filter(|act| *act == "account-changed eva")
            .count(),
        4,
        "{acts:?}"
    );
    for act in [
        "account-created eva",
        "password-changed eva",
        "account-removed eva",
        "sign-in eva",
    ] {
        assert!(acts.iter().any(|known| known == act), "{act}: {acts:?}");
    }
    assert!(
        !acts
            .iter()
            .any(|act| act.contains(OTHER) || act.contains(PASSWORD))
    );
}

#[test]
fn what_is_wrong_is_pointed_at() {
    let server = start();
    let ana = server.ana();
    let point = |method: &str, target: &str, body: Value| {
        let reply = send(&ana, method, target, &body).is(422).json();
        reply["errors"][0]["pointer"].as_str().unwrap().to_owned()
    };
    let all = "/api/v1/accounts";
    assert_eq!(
        point("POST", all, json!({"name": "e/va", "password": OTHER})),
        "/name"
    );
    assert_eq!(
        point("POST", all, json!({"name": "eva", "password": "short"})),
        "/password"
    );
    assert_eq!(
        point(
            "POST",
            all,
            json!({"name": "eva", "password": OTHER, "quota": -1})
        ),
        "/quota"
    );
    assert_eq!(
        point("PATCH", "/api/v1/accounts/ben", json!({"quota": u64::MAX})),
        "/quota"
    );
    assert_eq!(
        point(
            "POST",
            all,
            json!({"name": "eva", "password": OTHER, "email": "x"})
        ),
        "/email"
    );
    assert_eq!(
        point("POST", all, json!({"name": "b-en", "password": OTHER})),
        "/name"
    );
    assert_eq!(
        point("PATCH", "/api/v1/accounts/ben", json!({"name": "eva"})),
        "/name"
    );
    assert_eq!(
        point("PATCH", "/api/v1/accounts/ben", json!({"role": null})),
        "/role"
    );
    assert_eq!(
        point("PATCH", "/api/v1/accounts/ben", json!(["admin", null])),
        ""
    );
    assert_eq!(
        point(
            "PUT",
            "/api/v1/accounts/ben/password",
            json!({"password": "short"})
        ),
        "/password"
    );
    for query in [
        "",
        "files=lose",
        "files=keep&to=ana",
        "files=transfer",
        "files=transfer&to=ben",
        "files=transfer&to=zoe",
    ] {
        ana.raw("DELETE", &format!("/api/v1/accounts/ben?{query}"))
            .send()
            .is(422);
    }
    send(
        &ana,
        "PATCH",
        "/api/v1/accounts/zoe",
        &json!({"disabled": true}),
    )
    .is(404);
    ana.raw("GET", "/api/v1/accounts/n%2Fo").send().is(404);
    assert_eq!(server.app().auth.list().len(), 2);
}

#[test]
fn a_change_made_meanwhile_is_not_overwritten() {
    let server = start();
    let ana = server.ana();
    let target = "/api/v1/accounts/ben";
    let seen = ana.raw("GET", target).send().is(200);
    let tag = seen.header("etag").unwrap().to_owned();
    let patch = |tag: &str| {
        let request = ana
            .raw("PATCH", target)
            .header("Content-Type", "application/json")
            .header("If-Match", tag);
        request.body(json!({"quota": 7}).to_string()).send()
    };
    send(&ana, "PATCH", target, &json!({"quota": 5})).is(200);
    patch(&tag).is(412);
    assert_eq!(ana.raw("GET", target).send().json()["quota"], 5);
    let tag = ana
        .raw("GET", target)
        .send()
        .header("etag")
        .unwrap()
        .to_owned();
    let changed = patch(&tag).is(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    patch("*").is(200);
}

#[test]
fn the_last_administrator_stays() {
    let server = start();
    let ana = server.ana();
    let all_refused = || {
        send(
            &ana,
            "PATCH",
            "/api/v1/accounts/ana",
            &json!({"role": "user"}),
        )
        .is(403);
        send(
            &ana,
            "PATCH",
            "/api/v1/accounts/ana",
            &json!({"disabled": true}),
        )
        .is(403);
        let reply = ana
            .raw("DELETE", "/api/v1/accounts/ana?files=purge")
            .send()
            .is(403);
        assert!(
            reply.json()["detail"]
                .as_str()
                .unwrap()
                .contains("last administrator"),
            "{reply}"
        );
    };
    ana.store(NAME, "x");
    all_refused();
    // One that may not sign in does not count.
    send(
        &ana,
        "PATCH",
        "/api/v1/accounts/ben",
        &json!({"role": "admin", "disabled": true}),
    )
    .is(200);
    all_refused();
    ana.holds(NAME, "x");
    send(
        &ana,
        "PATCH",
        "/api/v1/accounts/ben",
        &json!({"disabled": false}),
    )
    .is(200);
    send(
        &ana,
        "PATCH",
        "/api/v1/accounts/ana",
        &json!({"role": "user"}),
    )
    .is(200);
    ana.raw("GET", "/api/v1/accounts").send().is(403);
}

#[test]
fn two_administrators_cannot_demote_each_other_at_once() {
    let server = start();
    let demote = |client: Client, whom: &str| {
        let body = json!({"role": "user"});
        send(&client, "PATCH", &format!("/api/v1/accounts/{whom}"), &body).is_any(&[200, 401, 403]);
    };
    for _ in 0..10 {
        for name in ["ana", "ben"] {
            let what = AccountUpdate {
                role: Some(Role::Admin),
                ..AccountUpdate::default()
            };
            server
                .block_on(
                    server
                        .app()
                        .auth
                        .update(&AccountName::parse(name).unwrap(), what, None),
                )
                .unwrap();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| demote(server.ana(), "ben"));
            scope.spawn(|| demote(server.ben(), "ana"));
        });
        assert!(
            server
                .app()
                .auth
                .list()
                .iter()
                .any(|account| account.role == Role::Admin)
        );
    }
}

#[test]
fn transferred_files_become_a_folder_of_the_other_drive() {
    let server = start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/Files of ben").is(201);
    ben.mkcol("/deep").is(201);
    ben.store(&format!("/deep{NAME}"), "12345");
    ben.store("/gone", "in the trash");
    ben.delete("/gone").is(204);
    ben.lock("/deep").send().is(200);
    ana.props("/", "0", "<D:quota-used-bytes/>");
    let moved = ana
        .raw("DELETE", "/api/v1/accounts/ben?files=transfer&to=ana")
        .send()
        .is(200)
        .json();
    assert_eq!(moved["folder"], "/Files of ben (2)");
    ben.get(NAME).is(401);
    ana.holds(&format!("/Files of ben (2)/deep{NAME}"), "12345");
    assert!(!server.home("ben").exists());
    let trash = ana.api("GET", "/trash", &json!(null)).is(200).json();
    assert_eq!(
        trash["items"][0]["path"], "/Files of ben (2)/gone",
        "nothing is lost"
    );
    assert!(!server.home("ana").join("Files of ben (2)/.sarang").exists());
    let listing = ana.propfind("/Files of ben (2)", "1").multistatus();
    assert_eq!(listing.responses.len(), 2, "{listing:?}");
    let used = ana.props("/", "0", "<D:quota-used-bytes/>").multistatus();
    assert_eq!(used.only().value("quota-used-bytes"), "5");
    // It is a folder like any other.
    ana.store("/Files of ben (2)/deep/new", "x");
    ana.transfer("MOVE", "/Files of ben (2)/deep", "/deep")
        .send()
        .is(201);
    ana.delete("/Files of ben (2)").is(204);
    assert!(kinds(&server, "&kind=account-removed").contains(&"account-removed ben".to_owned()));
}

#[test]
fn the_audit_log_pages_filters_and_survives_a_restart() {
    let server = start();
    for n in 0..5 {
        send(
            &server.ana(),
            "PATCH",
            "/api/v1/accounts/ben",
            &json!({"quota": n}),
        )
        .is(200);
    }
    let server = server.restart();
    send(
        &server.ana(),
        "PATCH",
        "/api/v1/accounts/ben",
        &json!({"quota": 9}),
    )
    .is(200);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let target = format!("/api/v1/audit?kind=account-changed&limit=2{cursor}");
        let page = server.ana().raw("GET", &target).send().is(200).json();
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let notes: Vec<&str> = seen
        .iter()
        .map(|entry| entry["note"].as_str().unwrap())
        .collect();
    assert_eq!(
        notes,
        [9, 4, 3, 2, 1, 0].map(|n| format!("quota {n} bytes"))
    );
    assert_eq!(
        (&seen[0]["by"], &seen[0]["who"], &seen[0]["from"]),
        (&"account".into(), &"ana".into(), &"127.0.0.1".into())
    );
    let ids: Vec<u64> = seen
        .iter()
        .map(|entry| entry["id"].as_u64().unwrap())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    assert!(kinds(&server, "&to=1999-01-01T00:00:00Z").is_empty());
    assert!(kinds(&server, "&from=2999-01-01T00:00:00%2B02:00").is_empty());
    assert!(kinds(&server, "&from=1999-01-01T00:00:00Z&account=ben").len() >= 6);
    for query in [
        "kind=murder",
        "from=yesterday",
        "cursor=!",
        "limit=0",
        "x=1",
        "account=..",
    ] {
        server
            .ana()
            .raw("GET", &format!("/api/v1/audit?{query}"))
            .send()
            .is(422);
    }
}

#[test]
fn the_audit_log_is_exported_without_formulas() {
    let server = start();
    let app = server.app();
    let actor = sarang::audit::Actor::Link {
        id: "=cmd".into(),
        owner: AccountName::parse("ana").unwrap(),
    };
    let event = sarang::audit::AuditEvent::new(
        actor,
        sarang::audit::AuditKind::LinkRemoved,
        "a\n=1+1,\"b\"",
    )
    .with_note("@x");
    server.block_on(async { app.audit.record(event).await });
    let lines = server
        .ana()
        .raw("GET", "/api/v1/audit/export")
        .send()
        .is(200);
    assert_eq!(lines.header("content-type"), Some("application/jsonl"));
    let text = lines.text();
    let newest: Value = serde_json::from_str(
        text.lines()
            .find(|line| line.contains("link-removed"))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&newest["target"], &newest["who"]),
        (&json!("a\\u{a}=1+1,\"b\""), &json!("=cmd"))
    );
    let csv = server
        .ana()
        .raw("GET", "/api/v1/audit/export?format=csv&kind=link-removed")
        .send()
        .is(200);
    assert!(
        csv.header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    let text = csv.text();
    let rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows[0], "id,at,by,who,from,kind,target,note,outcome,count");
    assert!(
        rows[1]
            .ends_with(r#""link","'=cmd","","link-removed","a\u{a}=1+1,""b""","'@x","done","1""#),
        "{text}"
    );
    assert_eq!(rows.len(), 3);
}

#[test]
fn wrong_passwords_are_counted_together() {
    let server = start();
    for n in 0..4 {
        server
            .ana()
            .signed_in("ben", &format!("wrong{n}"))
            .propfind("/", "0")
            .is_any(&[401, 429]);
    }
    server.block_on(server.app().audit.flush(true));
    let page = server
        .ana()
        .raw("GET", "/api/v1/audit?kind=sign-in-failed")
        .send()
        .is(200)
        .json();
    let items = page["items"].as_array().unwrap();
    let total: u64 = items
        .iter()
        .map(|item| item["count"].as_u64().unwrap())
        .sum();
    assert_eq!((items.len(), total), (2, 4), "{page}");
    assert_eq!(
        (&items[0]["target"], &items[0]["by"], &items[0]["outcome"]),
        (&json!("ben"), &json!("nobody"), &json!("refused"))
    );
}

#[test]
fn the_overview_and_the_locks_say_who_has_what_open() {
    let server = start();
    let (ana, ben) = (server.ana(), server.ben());
    ben.store(NAME, "12345");
    let token = ben.lock(NAME).send().is(200).token();
    let overview = ana.raw("GET", "/api/v1/overview").send().is(200).json();
    assert_eq!(
        (
            &overview["accounts"],
            &overview["administrators"],
            &overview["locks"]
        ),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(
        (&overview["used"], &overview["writable"]),
        (&json!(5), &json!(true))
    );
    assert!(
        overview["connections"].as_u64().unwrap() >= 2
            && overview["requests"].as_u64().unwrap() >= 3,
        "{overview}"
    );
    assert!(overview["free"].as_u64().unwrap() > 0 && overview.get("exported").is_none());

    let locks = ana.raw("GET", "/api/v1/locks").send().is(200);
    assert!(
        !locks.text().contains(&token),
        "the token is its holder's alone"
    );
    let lock = locks.json()["items"][0].clone();
    assert_eq!(
        (&lock["holder"], &lock["root"], &lock["path"]),
        (&json!("ben"), &json!("home/ben"), &json!(NAME))
    );
    assert!(
        lock["summary"]
            .as_str()
            .unwrap()
            .starts_with("open by ben since 20"),
        "{lock}"
    );
    let since = lock["since"].clone();
    let server = server.restart();
    let (ana, ben) = (server.ana(), server.ben());
    let lock = ana.raw("GET", "/api/v1/locks").send().is(200).json()["items"][0].clone();
    assert_eq!(lock["since"], since);
    // In one's own drive one sees and ends locks; not in another's.
    let target = format!("/api/v1/locks/{}", lock["id"].as_str().unwrap());
    ana.lock("/hers").send().is_any(&[200, 201]);
    let seen = ben.raw("GET", "/api/v1/locks").send().is(200).json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
    let hers = ana.raw("GET", "/api/v1/locks").send().json()["items"]
        .as_array()
        .unwrap()
        .clone();
    let hers = hers.iter().find(|lock| lock["holder"] == "ana").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    ben.raw("DELETE", &format!("/api/v1/locks/{hers}"))
        .send()
        .is(404);
    ana.raw("DELETE", &target).send().is(204);
    ana.raw("DELETE", &target).send().is(404);
    ben.request("PUT", NAME)
        .header("If", format!("(<{token}>)"))
        .body("x")
        .send()
        .is(412);
    ben.store(NAME, "free");
    assert_eq!(kinds(&server, "&kind=lock-broken").len(), 1);
}

#[test]
fn whoever_holds_a_lock_in_what_is_shared_sees_and_ends_it() {
    let server = start();
    let (ana, ben) = (server.ana(), server.ben());
    for folder in ["/private", "/private/docs"] {
        ana.mkcol(folder).is(201);
    }
    ana.store("/private/docs/a", "a");
    ana.store("/private/docs/b", "b");
    let wish = json!({"path": "/private/docs", "to": {"account": "ben"}, "rights": "edit"});
    ana.api("POST", "/shares", &wish).is(201);
    ben.lock("/Shared with me/docs/a").send().is(200);
    ana.lock("/private/docs/b").send().is(200);
    let locks = |client: &Client| {
        let page = client.raw("GET", "/api/v1/locks").send().is(200).json();
        page["items"].as_array().unwrap().clone()
    };
    assert_eq!(locks(&ana).len(), 2);
    let seen = locks(&ben);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (&seen[0]["holder"], &seen[0]["root"], &seen[0]["path"]),
        (&json!("ben"), &json!("home/ana"), &json!("/docs/a")),
        "where the folder lies in its owner's drive is not told"
    );
    let end = |lock: &Value| {
        let target = format!("/api/v1/locks/{}", lock["id"].as_str().unwrap());
        ben.raw("DELETE", &target).send()
    };
    let other = locks(&ana).into_iter().find(|lock| lock["holder"] == "ana");
    end(&other.unwrap()).is(404);
    end(&seen[0]).is(204);
    assert_eq!(locks(&ana).len(), 1);
    ana.put("/private/docs/a", "free").is(204);
}
