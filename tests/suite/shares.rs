//! What accounts show each other, seen from every side over real HTTP: rights, locks, quota, and that a share shows one thing only.

use crate::harness::{Client, LOCK_BODY, NAME, PASSWORD, Reply, TestServer};
use sarang::model::{AccountName, Role};
use serde_json::{Value, json};

fn api(client: &Client, method: &str, path: &str, body: &Value) -> Reply {
    client.api(method, path, body)
}

/// Shares with ben; the id of the share.
#[track_caller]
fn share(owner: &Client, path: &str, rights: &str) -> String {
    let asked = json!({"path": path, "to": {"account": "ben"}, "rights": rights});
    api(owner, "POST", "/shares", &asked).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub fn names(client: &Client, path: &str) -> Vec<String> {
    let reply = client.propfind(path, "1").is(207).text();
    let hrefs = reply
        .split("<D:href>")
        .skip(2)
        .filter_map(|rest| rest.split('<').next());
    let mut names: Vec<_> = hrefs
        .filter(|href| href.starts_with("/dav/"))
        .map(|href| {
            let name = href.trim_end_matches('/').rsplit('/').next().unwrap();
            percent_encoding::percent_decode_str(name)
                .decode_utf8()
                .unwrap()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

pub fn admin(server: &TestServer) -> Client {
    let name = AccountName::parse("root").unwrap();
    let app = server.app();
    server
        .block_on(
            app.auth
                .create(&name, PASSWORD.as_bytes(), Role::Admin, None),
        )
        .unwrap();
    server.ana().signed_in("root", PASSWORD)
}

const MOUNT: &str = "/Shared with me/docs";

#[test]
fn a_shared_folder_is_a_place_in_the_other_drive() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.mkcol("/docs-private").is(201);
    ana.store("/docs/a.txt", "from ana");
    ana.store("/docs-private/secret", "no");
    assert!(
        names(&ben, "/").is_empty(),
        "the folder is there only while something is in it"
    );
    ben.lacks("/Shared with me");
    let id = share(&ana, "/docs", "edit");
    assert_eq!(names(&ben, "/"), ["Shared with me"]);
    assert_eq!(names(&ben, "/Shared with me"), ["docs"]);
    assert_eq!(names(&ben, MOUNT), ["a.txt"]);
    ben.holds(&format!("{MOUNT}/a.txt"), "from ana");
    ben.put(&format!("{MOUNT}{NAME}"), "from ben").is(201);
    ana.holds(&format!("/docs{NAME}"), "from ben");
    ben.mkcol(&format!("{MOUNT}/sub")).is(201);
    ben.transfer(
        "MOVE",
        &format!("{MOUNT}/a.txt"),
        &format!("{MOUNT}/sub/b.txt"),
    )
    .send()
    .is(201);
    ana.holds("/docs/sub/b.txt", "from ana");
    let etag =
        |client: &Client, path: &str| client.head(path).is(200).header("etag").unwrap().to_owned();
    assert_eq!(
        etag(&ana, "/docs/sub/b.txt"),
        etag(&ben, &format!("{MOUNT}/sub/b.txt"))
    );
    for outside in [
        "/Shared with me/docs-private/secret",
        "/Shared with me/docs/../docs-private/secret",
        "/docs/a.txt",
    ] {
        ben.lacks(outside);
    }
    ben.put("/Shared with me/docs-private", "x").is(403);
    let mine = api(&ana, "GET", "/shares", &Value::Null).is(200).json();
    assert_eq!(
        (&mine["items"][0]["id"], &mine["items"][0]["path"]),
        (&id.clone().into(), &"/docs".into())
    );
    let incoming = api(&ben, "GET", "/shares/incoming", &Value::Null)
        .is(200)
        .json();
    assert_eq!(incoming["items"][0]["path"], MOUNT);
    assert_eq!(incoming["items"][0]["owner"], "ana");
    let server = server.restart();
    server
        .ben()
        .holds(&format!("{MOUNT}/sub/b.txt"), "from ana");
    api(
        &server.ana(),
        "DELETE",
        &format!("/shares/{id}"),
        &Value::Null,
    )
    .is(204);
    server.ben().lacks(MOUNT);
    assert!(names(&server.ben(), "/").is_empty());
}

#[test]
fn to_view_is_not_to_change() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "1");
    ben.store("/mine", "2");
    let id = share(&ana, "/docs", "view");
    let inside = format!("{MOUNT}/a");
    ben.holds(&inside, "1");
    for refused in [
        ben.put(&inside, "x"),
        ben.put(&format!("{MOUNT}/new"), "x"),
        ben.delete(&inside),
        ben.mkcol(&format!("{MOUNT}/sub")),
        ben.transfer("MOVE", &inside, "/taken").send(),
        ben.transfer("COPY", "/mine", &format!("{MOUNT}/new"))
            .send(),
        ben.transfer("MOVE", "/mine", &inside).send(),
        ben.proppatch(&inside, "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>")
            .send(),
        ben.lock(&inside).send(),
    ] {
        refused.is(403);
    }
    ana.holds("/docs/a", "1");
    ben.holds("/mine", "2");
    assert_eq!(names(&ana, "/docs"), ["a"]);
    ben.transfer("COPY", &inside, "/copy").send().is(201);
    ben.holds("/copy", "1");
    api(
        &ben,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"rights": "edit"}),
    )
    .is(403);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"rights": "edit"}),
    )
    .is(204);
    ben.put(&inside, "x").is(204);
    api(
        &ben,
        "POST",
        "/shares",
        &json!({"path": MOUNT, "to": {"account": "ana"}, "rights": "view"}),
    )
    .is(403);
}

#[test]
fn locks_hold_on_every_way_to_a_file() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "1");
    share(&ana, "/docs", "edit");
    let inside = format!("{MOUNT}/a");
    let token = ben.lock(&inside).send().is(200).token();
    ana.put("/docs/a", "x").is(423);
    ana.delete("/docs").is(423);
    ana.lock("/docs/a").send().is(423);
    let seen = ana
        .props("/docs/a", "0", "<D:lockdiscovery/>")
        .is(207)
        .text();
    assert!(
        seen.contains("<D:lockroot><D:href>/dav/docs/a</D:href>") && !seen.contains(&token),
        "{seen}"
    );
    let own = ben.props(&inside, "0", "<D:lockdiscovery/>").is(207).text();
    assert!(
        own.contains("<D:href>/dav/Shared%20with%20me/docs/a</D:href></D:lockroot>")
            && own.contains(&token),
        "{own}"
    );
    let tagged = format!("<{}> (<{token}>)", ben.absolute(&inside));
    ben.request("PUT", &inside)
        .header("If", tagged)
        .body("2")
        .send()
        .is(204);
    ben.unlock(&inside, &token).is(204);
    let lock = ana
        .request("LOCK", "/")
        .header("Depth", "infinity")
        .xml(LOCK_BODY)
        .send()
        .is(200)
        .token();
    ben.put(&inside, "x").is(423);
    let above = ben.props(&inside, "0", "<D:lockdiscovery/>").is(207).text();
    assert!(
        above.contains("<D:lockroot><D:href>/dav/Shared%20with%20me/docs/</D:href>"),
        "no path of the owner's: {above}"
    );
    ana.unlock("/", &lock).is(204);
    ben.put(&inside, "3").is(204);
    ana.holds("/docs/a", "3");
}

#[test]
fn what_ends_a_share_ends_it_with_the_next_request() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let inside = format!("{MOUNT}/a");
    let ways: [&dyn Fn(&str); 5] = [
        &|id| drop(api(&ana, "DELETE", &format!("/shares/{id}"), &Value::Null).is(204)),
        &|_| drop(ana.delete("/docs").is(204)),
        &|id| drop(api(&ben, "DELETE", &format!("/shares/{id}"), &Value::Null).is(204)),
        &|_| drop(ben.delete(MOUNT).is(204)),
        &|_| {
            ana.store("/other", "x");
            ana.transfer("MOVE", "/other", "/docs")
                .header("Overwrite", "T")
                .send()
                .is(204);
        },
    ];
    for (number, end) in ways.iter().enumerate() {
        ana.request("DELETE", "/docs").send().is_any(&[204, 404]);
        ana.mkcol("/docs").is(201);
        ana.store("/docs/a", "1");
        let id = share(&ana, "/docs", "edit");
        ben.holds(&inside, "1");
        end(&id);
        ben.get(&inside).is(404);
        ben.put(&inside, "x").is_any(&[404, 409]);
        ben.lacks(MOUNT);
        ben.lacks("/Shared with me");
        assert!(names(&ben, "/").is_empty(), "way {number}");
    }
    ana.request("DELETE", "/docs").send().is(204);
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "another");
    ben.get(&inside).is(404);
    assert!(
        names(&ben, "/").is_empty(),
        "made again under the same name, it is another folder"
    );
}

#[test]
fn the_locks_of_those_who_are_out_end() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "1");
    ana.store("/docs/own", "1");
    ana.lock("/docs/own").send().is(200);
    let id = share(&ana, "/docs", "edit");
    ben.lock(&format!("{MOUNT}/a")).send().is(200);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"note": "still there"}),
    )
    .is(204);
    ana.put("/docs/a", "x").is(423);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"rights": "view"}),
    )
    .is(204);
    ana.put("/docs/a", "x").is(204);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"rights": "edit"}),
    )
    .is(204);
    ben.lock(&format!("{MOUNT}/a")).send().is(200);
    api(&ana, "DELETE", &format!("/shares/{id}"), &Value::Null).is(204);
    ana.put("/docs/a", "y").is(204);
    ana.put("/docs/own", "her own lock stays").is(423);
}

#[test]
fn an_owner_who_may_not_sign_in_shows_nothing() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    let id = share(&ana, "/docs", "edit");
    let (name, app) = (AccountName::parse("ana").unwrap(), server.app());
    server.block_on(app.auth.set_disabled(&name, true)).unwrap();
    ben.lacks(MOUNT);
    assert!(names(&ben, "/Shared with me").is_empty());
    server
        .block_on(app.auth.set_disabled(&name, false))
        .unwrap();
    ben.propfind(MOUNT, "0").is(207);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"expires": "2001-01-01T00:00:00Z"}),
    )
    .is(422);
    server
        .block_on(app.remove_account(&name, sarang::app::removal::FilesDisposal::Keep))
        .unwrap();
    ben.lacks(MOUNT);
    assert!(names(&ben, "/").is_empty());
}

#[test]
fn a_share_follows_its_folder_and_file() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.mkcol("/elsewhere").is(201);
    ana.store("/docs/a", "1");
    ana.store("/f.txt", "file");
    share(&ana, "/docs", "view");
    share(&ana, "/f.txt", "edit");
    ana.transfer("MOVE", "/docs", "/elsewhere/papers")
        .send()
        .is(201);
    ben.holds("/Shared with me/papers/a", "1");
    ana.mkcol("/docs").is(201);
    ben.lacks("/Shared with me/docs");
    ana.transfer("MOVE", "/elsewhere", "/e2").send().is(201);
    ben.holds("/Shared with me/papers/a", "1");
    ben.put("/Shared with me/f.txt", "by ben").is(204);
    ana.holds("/f.txt", "by ben");
    ana.put("/f.txt", "by ana").is(204);
    ben.holds("/Shared with me/f.txt", "by ana");
    ben.mkcol("/Shared with me/f.txt/x")
        .is_any(&[403, 404, 405, 409]);
    ana.store("/g", "another file");
    ana.transfer("MOVE", "/g", "/f.txt")
        .header("Overwrite", "T")
        .send()
        .is(204);
    ben.get("/Shared with me/f.txt").is(404);
    // Behind the server's back, too, a share never shows another thing of the same name.
    let home = server.home("ana");
    std::fs::rename(home.join("e2/papers"), home.join("e2/away")).unwrap();
    std::fs::create_dir(home.join("e2/papers")).unwrap();
    std::fs::write(home.join("e2/papers/a"), "not shared").unwrap();
    ben.get("/Shared with me/papers/a").is(404);
}

#[test]
fn the_owner_pays() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    share(&ana, "/docs", "edit");
    let app = server.app();
    let quota = |name: &str, quota| {
        server
            .block_on(
                app.auth
                    .set_quota(&AccountName::parse(name).unwrap(), quota),
            )
            .unwrap();
    };
    quota("ana", Some(100));
    quota("ben", Some(5));
    ben.put(&format!("{MOUNT}/a"), [b'x'; 60]).is(201);
    ben.put("/mine", [b'x'; 60]).is(507);
    ben.put(&format!("{MOUNT}/b"), [b'x'; 60]).is(507);
    ana.put("/b", [b'x'; 60]).is(507);
    let told = ben
        .props(
            MOUNT,
            "0",
            "<D:quota-used-bytes/><D:quota-available-bytes/>",
        )
        .is(207)
        .text();
    assert!(
        told.contains("<D:quota-used-bytes>60<") && told.contains("<D:quota-available-bytes>40<"),
        "{told}"
    );
    ben.transfer("MOVE", &format!("{MOUNT}/a"), "/a")
        .send()
        .is(507);
    ana.holds("/docs/a", [b'x'; 60]);
    ben.lacks("/a");
}

#[test]
fn moves_between_drives_keep_all_and_trash_the_source() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ana.mkcol("/docs/sub").is(201);
    ana.store("/docs/sub/a", "1");
    ana.proppatch(
        "/docs/sub/a",
        "<D:set><D:prop><x:a>kept</x:a></D:prop></D:set>",
    )
    .send()
    .is(207);
    ana.proppatch(
        "/docs/sub",
        "<D:set><D:prop><x:b>folder</x:b></D:prop></D:set>",
    )
    .send()
    .is(207);
    share(&ana, "/docs", "edit");
    let modified = ana
        .head("/docs/sub/a")
        .header("last-modified")
        .unwrap()
        .to_owned();
    ben.transfer("MOVE", &format!("{MOUNT}/sub"), "/sub")
        .send()
        .is(201);
    ben.holds("/sub/a", "1");
    assert_eq!(
        ben.head("/sub/a").header("last-modified"),
        Some(modified.as_str())
    );
    assert!(ben.propfind("/sub/a", "0").text().contains(">kept<"));
    assert!(ben.propfind("/sub", "0").text().contains(">folder<"));
    ana.lacks("/docs/sub");
    assert!(
        server
            .home("ana")
            .join(".sarang/trash/files")
            .read_dir()
            .unwrap()
            .count()
            == 1
    );
    assert_eq!(names(&ben, "/"), ["Shared with me", "sub"]);
    ben.transfer("COPY", "/sub", &format!("{MOUNT}/back"))
        .send()
        .is(201);
    ana.holds("/docs/back/a", "1");
    ben.transfer("COPY", "/sub/a", &format!("{MOUNT}/back/a"))
        .header("Overwrite", "F")
        .send()
        .is(412);
    ben.store("/sub/a", "2");
    ben.transfer("COPY", "/sub", &format!("{MOUNT}/back"))
        .header("Overwrite", "T")
        .send()
        .is(204);
    ana.holds("/docs/back/a", "2");
    let token = ana.lock("/docs/back/a").send().is(200).token();
    ben.transfer("MOVE", &format!("{MOUNT}/back/a"), "/b")
        .send()
        .is(423);
    ben.transfer("MOVE", "/sub/a", &format!("{MOUNT}/back/a"))
        .send()
        .is(423);
    ben.lacks("/b");
    ben.holds("/sub/a", "2");
    ana.unlock("/docs/back/a", &token).is(204);
    ben.transfer("MOVE", "/sub/a", &format!("{MOUNT}/back/a"))
        .header("If", format!("({})", "[\"no\"]"))
        .send()
        .is(412);
    ben.transfer("MOVE", "/sub/a", &format!("{MOUNT}/back/c"))
        .send()
        .is(201);
    ben.lacks("/sub/a");
}

#[test]
fn the_folder_of_shares_is_nobodys_to_change() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    ben.store("/mine", "x");
    let id = share(&ana, "/docs", "edit");
    for refused in [
        ben.delete("/Shared with me"),
        ben.transfer("MOVE", "/Shared with me", "/x").send(),
        ben.transfer("MOVE", "/mine", "/Shared with me").send(),
        ben.transfer("MOVE", "/mine", "/Shared with me/mine").send(),
        ben.transfer("COPY", "/mine", MOUNT).send(),
        ben.mkcol("/Shared with me/new"),
        ben.put("/Shared with me/new", "x"),
        ben.lock("/Shared with me").send(),
        ben.lock("/Shared with me/new").send(),
        ben.proppatch(
            "/Shared with me",
            "<D:set><D:prop><x:a>1</x:a></D:prop></D:set>",
        )
        .send(),
        ben.transfer("MOVE", MOUNT, "/docs").send(),
    ] {
        refused.is_any(&[403, 405]);
    }
    ben.transfer("MOVE", MOUNT, "/Shared with me/ana's")
        .send()
        .is(201);
    assert_eq!(names(&ben, "/Shared with me"), ["ana's"]);
    ana.propfind("/docs", "0").is(207);
    api(
        &ben,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"name": "über \"<x>"}),
    )
    .is(204);
    assert_eq!(names(&ben, "/Shared with me"), ["über \"<x>"]);
    for hostile in ["..", "a/b", ".sarang", "", "a\u{0}", "\u{202e}gpj"] {
        api(
            &ben,
            "PATCH",
            &format!("/shares/{id}"),
            &json!({"name": hostile}),
        )
        .is(422);
    }
    ben.get("/Shared with me").is(200);
    ben.holds("/mine", "x");
}

#[test]
fn a_folder_is_not_made_where_a_mount_is() {
    let server = TestServer::with(|config| {
        config.drive.trash_folder = Some("Trash".to_owned().try_into().unwrap());
    });
    let (ana, ben, root) = (server.ana(), server.ben(), admin(&server));
    for (folder, rights) in [("/docs", "edit"), ("/seen", "view")] {
        ana.mkcol(folder).is(201);
        share(&ana, folder, rights);
    }
    let members = json!([{"to": {"account": "ben"}, "rights": "edit"}]);
    let team = json!({"name": "Plans", "members": members});
    api(&root, "POST", "/team-folders", &team).is(201);
    for there in [
        "/Shared with me",
        MOUNT,
        "/Shared with me/seen",
        "/Team folders",
        "/Team folders/Plans",
        "/Trash",
    ] {
        ben.mkcol(there).is(405);
        api(&ben, "POST", "/files/folder", &json!({"path": there})).is(409);
        ben.propfind(there, "0").is(207);
    }
    for nowhere in ["/Shared with me/new", "/Team folders/new", "/Trash/new"] {
        ben.mkcol(nowhere).is(403);
    }
}

#[test]
fn names_that_clash_are_told_apart_and_nothing_is_hidden() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    for folder in ["/docs", "/x", "/x/docs", "/x/Docs"] {
        ana.mkcol(folder).is(201);
    }
    ben.mkcol("/Shared with me").is(201);
    ben.store("/Shared with me/own", "mine");
    for path in ["/docs", "/x/docs", "/x/Docs"] {
        share(&ana, path, "view");
    }
    ben.holds("/Shared with me/own", "mine");
    assert_eq!(names(&ben, "/"), ["Shared with me", "Shared with me (1)"]);
    let mut shown: Vec<_> = names(&ben, "/Shared with me (1)")
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    shown.sort();
    assert_eq!(shown, ["docs", "docs (1)", "docs (2)"]);
}

#[test]
fn shares_are_asked_for_with_care() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    let ask = |asked: Value| api(&ana, "POST", "/shares", &asked);
    for (asked, pointer) in [
        (
            json!({"path": "/docs", "to": {"account": "nobody"}, "rights": "view"}),
            "/to/account",
        ),
        (
            json!({"path": "/docs", "to": {"group": "nobody"}, "rights": "view"}),
            "/to/group",
        ),
        (
            json!({"path": "/docs", "to": {"account": "ana"}, "rights": "view"}),
            "/to/account",
        ),
        (
            json!({"path": "/none", "to": {"account": "ben"}, "rights": "view"}),
            "/path",
        ),
        (
            json!({"path": "/../ben", "to": {"account": "ben"}, "rights": "view"}),
            "/path",
        ),
        (
            json!({"path": "/docs", "to": {"account": "ben"}, "rights": "drop"}),
            "/rights",
        ),
        (
            json!({"path": "/docs", "to": {"account": "ben"}, "rights": "view", "expires": "tomorrow"}),
            "/expires",
        ),
    ] {
        let problem = ask(asked).is(422).json();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    ask(json!({"path": "/", "to": {"account": "ben"}, "rights": "view"})).is(403);
    let id = share(&ana, "/docs", "view");
    ask(json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"})).is(409);
    let admin = admin(&server);
    api(
        &admin,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"rights": "edit"}),
    )
    .is(404);
    api(&admin, "DELETE", &format!("/shares/{id}"), &Value::Null).is(404);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"name": "x"}),
    )
    .is(422);
    api(
        &ana,
        "PATCH",
        &format!("/shares/{id}"),
        &json!({"note": "n", "expires": "2999-01-01T00:00:00Z"}),
    )
    .is(204);
    let seen = api(&ben, "GET", "/shares/incoming", &Value::Null)
        .is(200)
        .json();
    assert_eq!(
        (&seen["items"][0]["note"], &seen["items"][0]["expires"]),
        (&"n".into(), &"2999-01-01T00:00:00Z".into())
    );
}

#[test]
fn groups_and_team_folders_show_to_their_members() {
    let server = TestServer::start();
    let (ana, ben, root) = (server.ana(), server.ben(), admin(&server));
    api(&ana, "POST", "/groups", &json!({"name": "staff"})).is(403);
    api(
        &root,
        "POST",
        "/groups",
        &json!({"name": "staff", "members": ["nobody"]}),
    )
    .is(422);
    api(
        &root,
        "POST",
        "/groups",
        &json!({"name": "staff", "members": ["ben", "ana"]}),
    )
    .is(201);
    api(&root, "POST", "/groups", &json!({"name": "staff"})).is(409);
    ana.mkcol("/docs").is(201);
    api(
        &ana,
        "POST",
        "/shares",
        &json!({"path": "/docs", "to": {"group": "staff"}, "rights": "edit"}),
    )
    .is(201);
    ben.put(&format!("{MOUNT}/a"), "x").is(201);
    ben.lock(&format!("{MOUNT}/a")).send().is(200);
    assert_eq!(
        names(&ana, "/"),
        ["docs"],
        "nobody is shown what is their own"
    );
    api(
        &root,
        "PATCH",
        "/groups/staff",
        &json!({"members": ["ana"]}),
    )
    .is(200);
    ben.get(&format!("{MOUNT}/a")).is(404);
    ana.put("/docs/a", "the lock of who is out has ended")
        .is(204);
    let made = json!({"name": "Plans 2030", "members": [{"to": {"group": "staff"}, "rights": "view"}, {"to": {"account": "ben"}, "rights": "edit"}], "quota": 100});
    api(&root, "POST", "/team-folders", &made).is(201);
    api(
        &root,
        "POST",
        "/team-folders",
        &json!({"name": "plans 2030"}),
    )
    .is(409);
    for hostile in ["../homes", ".x", "a/b", ""] {
        api(&root, "POST", "/team-folders", &json!({"name": hostile})).is(422);
    }
    let file = "/Team folders/Plans 2030/a";
    ben.put(file, "plan").is(201);
    ben.put("/Team folders/Plans 2030/big", [b'x'; 200]).is(507);
    ana.holds(file, "plan");
    ana.put(file, "x").is(403);
    assert_eq!(names(&ana, "/"), ["Team folders", "docs"]);
    let server = server.restart();
    let (ana, ben) = (server.ana(), server.ben());
    let root = ana.signed_in("root", PASSWORD);
    ana.holds(file, "plan");
    ben.delete("/Team folders/Plans 2030").is(403);
    api(&root, "DELETE", "/groups/staff", &Value::Null).is(204);
    ana.lacks("/Team folders");
    api(
        &root,
        "DELETE",
        "/team-folders/Plans%202030?purge=true",
        &Value::Null,
    )
    .is(204);
    ben.lacks(file);
    assert!(!server.data().join("teams/Plans 2030").exists());
}

#[test]
fn the_folders_of_mounts_have_the_names_of_the_settings() {
    let server = TestServer::with(|config| {
        config.drive.shared_folder = String::from("Von anderen").try_into().unwrap();
        config.drive.team_folder = String::from("E\u{301}quipe").try_into().unwrap();
    });
    let (ana, ben, root) = (server.ana(), server.ben(), admin(&server));
    ana.mkcol("/docs").is(201);
    share(&ana, "/docs", "edit");
    let team = json!({"name": "Plans", "members": [{"to": {"account": "ben"}, "rights": "edit"}]});
    api(&root, "POST", "/team-folders", &team).is(201);
    assert_eq!(names(&ben, "/"), ["Von anderen", "\u{c9}quipe"]);
    ben.store("/Von anderen/docs/new", "x");
    ben.store("/\u{c9}quipe/Plans/new", "x");
    ana.holds("/docs/new", "x");
    // The usual names are names like any other then.
    ben.lacks("/Shared with me");
    ben.mkcol("/Shared with me").is(201);
    ben.mkcol("/Team folders").is(201);
}

#[test]
fn a_copy_into_anothers_drive_that_fails_leaves_nothing() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    share(&ana, "/docs", "edit");
    ben.mkcol("/big").is(201);
    ben.mkcol("/big/sub").is(201);
    for file in ["/big/a", "/big/sub/b", "/big/sub/c"] {
        ben.store(file, vec![b'x'; 1000]);
    }
    let quota = sarang::auth::AccountUpdate {
        quota: Some(Some(2500)),
        ..Default::default()
    };
    let name = AccountName::parse("ana").unwrap();
    server
        .block_on(server.app().auth.update(&name, quota, None))
        .unwrap();
    ben.transfer("COPY", "/big", &format!("{MOUNT}/big"))
        .send()
        .is(507);
    assert!(names(&ana, "/docs").is_empty());
    assert!(server.staged("ana").is_empty(), "nothing is left of it");
    let trash = server.home("ana").join(".sarang/trash/files");
    assert_eq!(
        std::fs::read_dir(trash).unwrap().count(),
        0,
        "and nothing lies in ana's trash"
    );
    let used = ana.props("/", "0", "<D:quota-used-bytes/>").multistatus();
    assert_eq!(used.only().value("quota-used-bytes"), "0");
    ben.delete("/big/sub/c").is(204);
    ben.transfer("COPY", "/big", &format!("{MOUNT}/big"))
        .send()
        .is(201);
    assert_eq!(names(&ana, "/docs/big"), ["a", "sub"]);
    assert!(server.staged("ana").is_empty());
    let used = ana.props("/", "0", "<D:quota-used-bytes/>").multistatus();
    assert_eq!(used.only().value("quota-used-bytes"), "2000");
}

#[test]
fn a_folder_copied_alone_over_a_file_ends_its_lock_and_share() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/folder").is(201);
    ana.store("/file", "x");
    share(&ana, "/file", "edit");
    let lock = ana.lock("/file").send().is(200);
    let token = lock.header("lock-token").unwrap();
    let copy = || {
        ana.transfer("COPY", "/folder", "/file")
            .header("Depth", "0")
    };
    copy().send().is(423);
    copy()
        .header("If", format!("({token}) (Not <DAV:no-lock>)"))
        .send()
        .is(204);
    ana.mkcol("/file/inside").is(201);
    assert_eq!(
        api(&ana, "GET", "/shares", &Value::Null).is(200).json()["items"],
        json!([])
    );
    ben.lacks("/Shared with me");
    // Onto a folder it changes no more than the properties.
    share(&ana, "/file", "edit");
    copy().send().is(204);
    assert_eq!(names(&ben, "/Shared with me/file"), ["inside"]);
}

#[test]
fn what_a_copy_from_another_drive_replaces_lies_in_the_trash() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/docs").is(201);
    share(&ana, "/docs", "edit");
    for (method, content) in [("COPY", "second"), ("MOVE", "third")] {
        ben.store("/mine", content);
        ana.store("/docs/x", "first");
        ben.transfer(method, "/mine", &format!("{MOUNT}/x"))
            .header("Overwrite", "T")
            .send()
            .is(204);
        ana.holds("/docs/x", content);
        let versions = api(&ana, "GET", "/versions?path=docs/x", &Value::Null)
            .is(200)
            .json();
        assert_eq!(
            versions["items"].as_array().unwrap().len(),
            0,
            "another file has no past of this one"
        );
        let trash = api(&ana, "GET", "/trash", &Value::Null).is(200).json();
        assert_eq!(
            (&trash["items"][0]["path"], &trash["items"][0]["by"]),
            (&"/docs/x".into(), &"ben".into())
        );
    }
    let quota = sarang::auth::AccountUpdate {
        quota: Some(Some(5)),
        ..Default::default()
    };
    server
        .block_on(
            server
                .app()
                .auth
                .update(&AccountName::parse("ana").unwrap(), quota, None),
        )
        .unwrap();
    for (content, status) in [("third", 204), ("longer", 507)] {
        ben.store("/mine", content);
        ben.transfer("COPY", "/mine", &format!("{MOUNT}/x"))
            .header("Overwrite", "T")
            .send()
            .is(status);
    }
    ana.holds("/docs/x", "third");
    assert!(server.staged("ana").is_empty());
}

#[test]
fn names_that_nobody_has_are_tried_a_bounded_number_of_times() {
    let server = TestServer::start();
    let (ana, _) = (server.ana(), server.ben().mkcol("/x").is(201));
    ana.mkcol("/d").is(201);
    let share = |name: &str| {
        api(
            &ana,
            "POST",
            "/shares",
            &json!({"path": "/d", "to": {"account": name}, "rights": "view"}),
        )
    };
    for n in 0..60 {
        share(&format!("nobody{n}")).is(422);
    }
    share("nobody").is(429);
    share("ben").is(429);
}
