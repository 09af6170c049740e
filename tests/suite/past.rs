//! The trash and versions through the API: seen, restored, purged, by their owner only.

use crate::harness::{Client, NAME, Reply, TestServer, url};
use sarang::control::ApiCall;
use sarang::http::api::history::{FileVersions, Purged, RestoredItem, TrashItemView};
use sarang::http::api::page::Page;
use sarang::model::AccountName;
use serde_json::{Value, json};

fn post(client: &Client, target: &str, body: &Value) -> Reply {
    client
        .raw("POST", target)
        .header("Content-Type", "application/json")
        .body(body.to_string())
        .send()
}

fn trash(client: &Client) -> Vec<Value> {
    client.raw("GET", "/api/v1/trash").send().is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap()
}

#[test]
fn what_is_deleted_comes_back_where_it_lay_or_beside() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store(&format!("/d{NAME}"), "one");
    ana.delete("/d").is(204);
    let items = trash(&ana);
    assert_eq!(
        (
            items.len(),
            &items[0]["path"],
            &items[0]["kind"],
            &items[0]["by"]
        ),
        (1, &"/d".into(), &"folder".into(), &"ana".into())
    );
    let target = format!("/api/v1/trash/{}/restore", id(&items[0]));
    assert_eq!(post(&ana, &target, &json!({})).is(200).json()["path"], "/d");
    ana.holds(&format!("/d{NAME}"), "one");
    assert!(trash(&ana).is_empty());
    post(&ana, &target, &json!({})).is(404);
    ana.store("/d/x.txt", "old");
    ana.delete("/d/x.txt").is(204);
    ana.store("/d/x.txt", "new");
    let item = trash(&ana).remove(0);
    let target = format!("/api/v1/trash/{}/restore", id(&item));
    post(&ana, &target, &json!({"to": "/d/x.txt"})).is(409);
    assert_eq!(
        post(&ana, &target, &json!({})).is(200).json()["path"],
        "/d/x (restored).txt"
    );
    ana.holds("/d/x (restored).txt", "old");
    ana.holds("/d/x.txt", "new");
}

#[test]
fn the_folders_that_held_it_are_made_again() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/a").is(201);
    ana.mkcol("/a/b").is(201);
    ana.store("/a/b/x", "x");
    ana.delete("/a/b/x").is(204);
    ana.delete("/a").is(204);
    let item = trash(&ana)
        .into_iter()
        .find(|item| item["path"] == "/a/b/x")
        .unwrap();
    post(
        &ana,
        &format!("/api/v1/trash/{}/restore", id(&item)),
        &json!({}),
    )
    .is(200);
    ana.holds("/a/b/x", "x");
}

#[test]
fn locks_on_what_stays_as_it_is_keep_nothing_in_the_trash() {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/a", "/a/b"] {
        ana.mkcol(folder).is(201);
    }
    for file in ["/x", "/a/b/x"] {
        ana.store(file, "old");
        ana.delete(file).is(204);
    }
    ana.store("/x", "new");
    ana.lock("/x").send().is(200);
    ana.lock("/a").send().is(200);
    for (item, place) in trash(&ana).iter().zip(["/a/b/x", "/x (restored)"]) {
        let target = format!("/api/v1/trash/{}/restore", id(item));
        assert_eq!(
            post(&ana, &target, &json!({})).is(200).json()["path"],
            place
        );
    }
    ana.store("/c", "c");
    ana.delete("/c").is(204);
    let target = format!("/api/v1/trash/{}/restore", id(&trash(&ana)[0]));
    post(&ana, &target, &json!({"to": "/a/c"})).is(423);
    post(&ana, &target, &json!({"to": "/x"})).is_any(&[409, 423]);
    assert_eq!(trash(&ana).len(), 1);
}

#[test]
fn the_trash_is_its_owners_and_comes_in_pages() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    for n in 0..5 {
        ana.store(&format!("/{n}"), "x");
        ana.delete(&format!("/{n}")).is(204);
    }
    let (mut paths, mut target) = (Vec::new(), "/api/v1/trash?limit=2".to_owned());
    loop {
        let page = ana.raw("GET", &target).send().is(200).json();
        paths.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["path"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        target = format!("/api/v1/trash?limit=2&cursor={next}");
    }
    assert_eq!(paths, ["/4", "/3", "/2", "/1", "/0"]);
    let item = trash(&ana).remove(0);
    assert!(trash(&ben).is_empty());
    post(
        &ben,
        &format!("/api/v1/trash/{}/restore", id(&item)),
        &json!({}),
    )
    .is(404);
    ben.raw("DELETE", &format!("/api/v1/trash/{}", id(&item)))
        .send()
        .is(404);
    ana.raw("DELETE", &format!("/api/v1/trash/{}", id(&item)))
        .send()
        .is(204);
    ana.raw("DELETE", &format!("/api/v1/trash/{}", id(&item)))
        .send()
        .is(404);
    ana.raw("DELETE", "/api/v1/trash/..%2Finfo").send().is(404);
    assert_eq!(trash(&ana).len(), 4);
}

fn trash_of(client: &Client, folder: &str) -> Vec<Value> {
    let target = format!("/api/v1/trash?folder={}", url(folder));
    client.raw("GET", &target).send().is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn a_receiver_restores_what_they_deleted_and_nothing_else() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    for folder in ["/docs", "/docs/in", "/private"] {
        ana.mkcol(folder).is(201);
    }
    for file in ["/docs/in/a", "/docs/b", "/private/c", "/docs/d"] {
        ana.store(file, file);
    }
    let wish = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"});
    let share = post(&ana, "/api/v1/shares", &wish).is(201).json();
    let shown = "/Shared with me/docs";
    ben.delete(&format!("{shown}/in")).is(204);
    ben.delete(&format!("{shown}/b")).is(204);
    ana.delete("/docs/d").is(204);
    ana.delete("/private/c").is(204);
    let items = trash_of(&ben, shown);
    let paths: Vec<_> = items
        .iter()
        .map(|item| item["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, [format!("{shown}/b"), format!("{shown}/in")]);
    assert!(trash(&ben).is_empty(), "their own trash has nothing of it");
    let theirs = trash(&ana);
    assert_eq!(theirs.len(), 4);
    let restore = |client: &Client, item: &Value, body: &Value| {
        post(client, &format!("/api/v1/trash/{}/restore", id(item)), body)
    };
    for others in theirs.iter().filter(|item| item["by"] == "ana") {
        restore(&ben, others, &json!({"folder": shown})).is(404);
    }
    restore(&ben, &items[1], &json!({})).is(404);
    restore(&ben, &items[1], &json!({"folder": shown, "to": "/mine"})).is(403);
    assert_eq!(
        restore(&ben, &items[1], &json!({"folder": shown}))
            .is(200)
            .json()["path"],
        format!("{shown}/in")
    );
    ana.holds("/docs/in/a", "/docs/in/a");
    ana.store("/docs/b", "another");
    let beside = restore(&ben, &items[0], &json!({"folder": shown}))
        .is(200)
        .json();
    assert_eq!(beside["path"], format!("{shown}/b (restored)"));
    ana.holds("/docs/b (restored)", "/docs/b");
    assert_eq!(
        trash_of(&ana, "/docs").len(),
        1,
        "the owner sees a folder's trash alone"
    );
    // Whoever may only look neither sees nor restores, and nothing is left when the share has ended.
    ben.delete(&format!("{shown}/in")).is(204);
    let target = format!("/api/v1/shares/{}", share["id"].as_str().unwrap());
    let patch = ana
        .raw("PATCH", &target)
        .header("Content-Type", "application/json")
        .body(r#"{"rights":"view"}"#);
    patch.send().is(204);
    ben.raw("GET", &format!("/api/v1/trash?folder={}", url(shown)))
        .send()
        .is(403);
    ana.raw("DELETE", &target).send().is(204);
    ben.raw("GET", &format!("/api/v1/trash?folder={}", url(shown)))
        .send()
        .is(404);
}

#[test]
fn members_of_a_team_folder_restore_what_any_of_them_deleted() {
    let server = TestServer::start();
    let member = |name: &str| json!({"to": {"account": name}, "rights": "edit"});
    let made = json!({"name": "Plans", "members": [member("ana"), member("ben")]});
    post(
        &crate::shares::admin(&server),
        "/api/v1/team-folders",
        &made,
    )
    .is(201);
    let (ana, ben) = (server.ana(), server.ben());
    ana.store("/Team folders/Plans/a", "plan");
    ana.delete("/Team folders/Plans/a").is(204);
    let items = trash_of(&ben, "/Team folders/Plans");
    assert_eq!((items.len(), &items[0]["by"]), (1, &"ana".into()));
    let target = format!("/api/v1/trash/{}/restore", id(&items[0]));
    post(&ben, &target, &json!({"folder": "/Team folders/Plans"})).is(200);
    ana.holds("/Team folders/Plans/a", "plan");
}

#[test]
fn a_file_goes_back_to_a_former_content_and_forth() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    for content in ["one", "second", "third!!"] {
        ana.store("/x.txt", content);
    }
    let versions = |client: &Client| client.raw("GET", "/api/v1/versions?path=/x.txt").send();
    let items = versions(&ana).is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        items
            .iter()
            .map(|item| item["size"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [6, 3]
    );
    let content = |client: &Client, id: &str| {
        client
            .raw(
                "GET",
                &format!("/api/v1/versions/content?path=/x.txt&id={id}"),
            )
            .send()
    };
    assert_eq!(content(&ana, id(&items[1])).is(200).text(), "one");
    assert_eq!(
        content(&ana, id(&items[1])).header("x-content-type-options"),
        Some("nosniff")
    );
    content(&ana, "..").is(404);
    content(&ben, id(&items[1])).is(404);
    versions(&ben).is(404);
    post(
        &ben,
        "/api/v1/versions/restore",
        &json!({"path": "/x.txt", "id": id(&items[1])}),
    )
    .is(404);
    post(
        &ana,
        "/api/v1/versions/restore",
        &json!({"path": "/x.txt", "id": id(&items[1])}),
    )
    .is(204);
    ana.holds("/x.txt", "one");
    let again = versions(&ana).is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!((again.len(), again[0]["size"].as_u64()), (3, Some(7)));
    ana.lock("/x.txt").send().is(200);
    post(
        &ana,
        "/api/v1/versions/restore",
        &json!({"path": "/x.txt", "id": id(&again[0])}),
    )
    .is(423);
    ana.holds("/x.txt", "one");
}

#[test]
fn content_is_told_by_its_hash_and_checked_against_the_clients() {
    let server = TestServer::start();
    let ana = server.ana();
    let put = |sum: &str| {
        ana.request("PUT", NAME)
            .header("OC-Checksum", sum)
            .body("hello")
            .send()
    };
    put("SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d").is(201);
    put("ADLER32:00000000 SHA256:2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824")
        .is(204);
    put("SHA1:0000000000000000000000000000000000000000").is(400);
    put("SHA256:xyz").is(400);
    put("MD5:00").is(204);
    ana.holds(NAME, "hello");
    let target = format!("/api/v1/files/content?path={}", crate::harness::url(NAME));
    ana.raw("PUT", &target)
        .header("OC-Checksum", "sha1:00")
        .body("x")
        .send()
        .is(460);
    let digest = "blake3=:6o8WPbOGgpJeRJHF5Y1Ls1Bu+MFOt4qG6QjFYkpnIA8=:";
    for range in ["bytes=0-4", "bytes=1-2"] {
        let reply = ana
            .request("GET", NAME)
            .header("Range", range)
            .send()
            .is(206);
        assert_eq!(
            reply.header("repr-digest"),
            Some(digest),
            "of the whole file"
        );
    }
    assert_eq!(ana.get(NAME).header("repr-digest"), Some(digest));
    ana.request("PATCH", NAME)
        .header("Content-Type", "application/x-sabredav-partialupdate")
        .header("X-Update-Range", "append")
        .body("!")
        .send()
        .is(204);
    assert_eq!(ana.get(NAME).header("repr-digest"), None);
}

#[test]
fn the_trash_is_emptied_and_a_version_purged_by_the_owner_only() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    for n in 0..3 {
        ana.store(&format!("/{n}"), "x");
        ana.delete(&format!("/{n}")).is(204);
    }
    assert_eq!(
        ben.raw("DELETE", "/api/v1/trash").send().is(200).json()["items"],
        0
    );
    assert_eq!(trash(&ana).len(), 3);
    assert_eq!(
        ana.raw("DELETE", "/api/v1/trash").send().is(200).json()["items"],
        3
    );
    assert!(trash(&ana).is_empty());
    ana.mkcol("/d").is(201);
    for content in ["one", "second", "third!!"] {
        ana.store("/d/x", content);
    }
    post(
        &ana,
        "/api/v1/shares",
        &json!({"path": "/d", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    let versions = || {
        ana.raw("GET", "/api/v1/versions?path=/d/x")
            .send()
            .is(200)
            .json()["items"]
            .clone()
    };
    let oldest = versions()[1]["id"].as_str().unwrap().to_owned();
    ben.raw(
        "DELETE",
        &format!("/api/v1/versions?path=/Shared%20with%20me/d/x&id={oldest}"),
    )
    .send()
    .is(403);
    ana.raw("DELETE", &format!("/api/v1/versions?path=/d/x&id={oldest}"))
        .send()
        .is(204);
    ana.raw("DELETE", &format!("/api/v1/versions?path=/d/x&id={oldest}"))
        .send()
        .is(404);
    assert_eq!(versions().as_array().unwrap().len(), 1);
    ana.holds("/d/x", "third!!");
}

/// Where the command line finds the past of an account.
fn at<'a>(name: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["local", "accounts", name], rest].concat()
}

#[test]
fn administrators_recall_the_past_of_a_drive() {
    let server = TestServer::start();
    let ana = server.ana();
    for content in ["one", "second"] {
        ana.store("/x", content);
    }
    for name in ["/y", "/z"] {
        ana.store(name, name);
        ana.delete(name).is(204);
    }
    let trash = at("ana", &["trash"]);
    let listed: Page<TrashItemView> = server.ask_locally(ApiCall::get(&trash)).unwrap();
    let items = listed.items;
    assert_eq!(
        items
            .iter()
            .map(|item| item.path.as_str())
            .collect::<Vec<_>>(),
        ["/z", "/y"]
    );
    let restore = ApiCall::post(&at("ana", &["trash", &items[1].id, "restore"]));
    let back: RestoredItem = server.ask_locally(restore.json(&json!({}))).unwrap();
    assert_eq!(back.path, "/y");
    ana.holds("/y", "/y");
    let versions = |name, path: &str| {
        let call = ApiCall::get(&at(name, &["versions"])).query(&json!({"path": path}));
        server.ask_locally::<FileVersions>(call)
    };
    let id = versions("ana", "/x").unwrap().items[0].id.clone();
    let revert = ApiCall::post(&at("ana", &["versions", "restore"]));
    let back: RestoredItem = server
        .ask_locally(revert.json(&json!({"path": "/x", "id": id})))
        .unwrap();
    assert_eq!(back.path, "/x");
    ana.holds("/x", "one");
    let emptied: Purged = server.ask_locally(ApiCall::delete(&trash)).unwrap();
    assert_eq!(emptied.items, 1);
    let purge = ApiCall::delete(&at("ana", &["trash", &items[0].id]));
    assert!(
        server
            .ask_locally::<Purged>(purge)
            .unwrap_err()
            .is_not_found()
    );
    let none = server.ask_locally::<Page<TrashItemView>>(ApiCall::get(&at("zoe", &["trash"])));
    assert!(none.unwrap_err().is_not_found());
    assert!(versions("ana", "/no").unwrap_err().is_not_found());
}

#[test]
fn the_history_has_what_the_quota_leaves() {
    let server = TestServer::start();
    let ana = server.ana();
    for n in 0..4 {
        ana.store(&format!("/{n}"), vec![b'x'; 300]);
        ana.delete(&format!("/{n}")).is(204);
    }
    ana.store("/kept", vec![b'x'; 300]);
    let app = server.app();
    server.block_on(app.expire_history()).unwrap();
    assert_eq!(
        trash(&ana).len(),
        4,
        "without a quota it has what the disk leaves"
    );
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), Some(1000)),
        )
        .unwrap();
    server.block_on(app.expire_history()).unwrap();
    assert_eq!(
        trash(&ana)
            .iter()
            .map(|item| item["path"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["/3", "/2"]
    );
    // It is never the reason for a refusal.
    ana.store("/more", vec![b'x'; 700]);
    server.block_on(app.expire_history()).unwrap();
    assert!(trash(&ana).is_empty());
    ana.holds("/kept", vec![b'x'; 300]);
}

#[test]
fn how_long_versions_are_kept_is_said_in_the_settings() {
    for (hours, kept) in [(1, 1), (0, 0)] {
        let server = TestServer::with(|config| {
            let history = &mut config.history;
            (
                history.all_hours,
                history.hourly_days,
                history.daily_days,
                history.weekly_days,
            ) = (hours, 0, 0, 0);
        });
        let ana = server.ana();
        ana.store("/f", "one");
        ana.store("/f", "two");
        server.block_on(server.app().expire_history()).unwrap();
        let versions = ana
            .raw("GET", "/api/v1/versions?path=/f")
            .send()
            .is(200)
            .json();
        assert_eq!(versions["items"].as_array().unwrap().len(), kept);
    }
}

/// Where a folder was is a file now: what lay in it goes to the top, whatever it is and however deep, beside what is there.
#[test]
fn what_lay_below_what_is_a_file_now_is_restored_to_the_top() {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/a", "/a/b", "/a/b/dir"] {
        ana.mkcol(folder).is(201);
    }
    ana.store("/a/b/dir/in", "in");
    ana.store(&format!("/a/b{NAME}"), "deep");
    ana.store("/a/x.txt", "x");
    ana.store("/x.txt", "taken");
    for path in ["/a/b/dir", &format!("/a/b{NAME}"), "/a/x.txt", "/a"] {
        ana.delete(path).is(204);
    }
    ana.store("/a", "a file now");
    for (lay, now) in [
        ("/a/b/dir", "/dir"),
        (&*format!("/a/b{NAME}"), NAME),
        ("/a/x.txt", "/x (restored).txt"),
    ] {
        let item = trash(&ana)
            .into_iter()
            .find(|item| item["path"] == lay)
            .unwrap();
        let target = format!("/api/v1/trash/{}/restore", url(id(&item)));
        assert_eq!(
            post(&ana, &target, &json!({})).is(200).json()["path"],
            now,
            "{lay}"
        );
    }
    ana.holds("/dir/in", "in");
    ana.holds(NAME, "deep");
    ana.holds("/x (restored).txt", "x");
    ana.holds("/x.txt", "taken");
    ana.holds("/a", "a file now");
    let item = trash(&ana).remove(0);
    let target = format!("/api/v1/trash/{}/restore", url(id(&item)));
    post(&ana, &target, &json!({"to": "/a/here"})).is_any(&[409]);
    assert_eq!(
        post(&ana, &target, &json!({})).is(200).json()["path"],
        "/a (restored)"
    );
}
