//! A name is not a person: nothing of a removed account or team folder passes to the next of its name, its files lie aside until an
//! administrator brings them back, and a stop between two steps of a removal leaves nothing half done.

use crate::harness::{Client, NAME, PASSWORD, Reply, TestServer, poll};
use sarang::app::removal::{FilesDisposal, RemovalStep};
use sarang::audit::{AuditFilter, AuditKind};
use sarang::auth::AccountUpdate;
use sarang::config::Registration;
use sarang::control::ApiCall;
use sarang::http::api::admin::accounts::RemovedAccount;
use sarang::model::{AccountName, Error, Role};
use sarang::sharing::groups::GroupName;
use sarang::storage::local::check::{TreeCheckOptions, check_tree};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const OTHER: &str = "green teapot 88";

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// A server with the administrator root, where everybody may register.
fn start() -> TestServer {
    let server = TestServer::with(|config| config.accounts.registration = Registration::Open);
    create(&server, "root", PASSWORD);
    let what = AccountUpdate {
        role: Some(Role::Admin),
        ..AccountUpdate::default()
    };
    server
        .block_on(server.app().auth.update(&name("root"), what, None))
        .unwrap();
    server
}

fn create(server: &TestServer, who: &str, password: &str) {
    server
        .block_on(
            server
                .app()
                .auth
                .create(&name(who), password.as_bytes(), Role::User, None),
        )
        .unwrap();
}

fn root(server: &TestServer) -> Client {
    server.stranger().signed_in("root", PASSWORD)
}

#[track_caller]
fn api(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let reply = client.api(method, path, body).is_any(&[200, 201, 204]);
    if reply.body.is_empty() {
        Value::Null
    } else {
        reply.json()
    }
}

fn ask_to_register(server: &TestServer) -> Reply {
    let wish = json!({"name": "ana", "password": OTHER});
    let request = server.stranger();
    let request = request
        .raw("POST", "/api/v1/register")
        .header("Content-Type", "application/json");
    request.body(wish.to_string()).send()
}

/// Registers the next ana.
fn register(server: &TestServer) -> Client {
    ask_to_register(server).is(201);
    server.stranger().signed_in("ana", OTHER)
}

/// Lets ana own, share, lock, upload and belong to whatever there is.
fn settle_in(server: &TestServer) {
    let (ana, ben, root) = (server.ana(), server.ben(), root(server));
    ana.mkcol("/docs").is(201);
    for path in [NAME, "/docs/a", "/gone"] {
        ana.store(path, "first");
        ana.store(path, "second");
    }
    ana.delete("/gone").is(204);
    ben.mkcol("/his").is(201);
    api(
        &root,
        "POST",
        "/groups",
        &json!({"name": "crew", "members": ["ana", "ben"]}),
    );
    let members = json!([{"to": {"account": "ana"}, "rights": "edit"}, {"to": {"group": "crew"}, "rights": "edit"}]);
    api(
        &root,
        "POST",
        "/team-folders",
        &json!({"name": "Plans", "members": members}),
    );
    ana.store("/Team folders/Plans/ours", "ours");
    api(
        &ana,
        "POST",
        "/shares",
        &json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"}),
    );
    api(
        &ben,
        "POST",
        "/shares",
        &json!({"path": "/his", "to": {"account": "ana"}, "rights": "edit"}),
    );
    api(&ana, "POST", "/links", &json!({"path": "docs"}));
    api(&ana, "POST", "/app-passwords", &json!({"name": "phone"}));
    ana.lock(NAME).send().is(200);
    ana.lock("/Team folders/Plans/ours").send().is(200);
    ben.lock("/Shared with me/docs/a").send().is(200);
    upload(&ana, "large").is(201);
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_email(&name("ana"), Some("ana@drive.example".into())),
        )
        .unwrap();
    server
        .block_on(
            app.auth
                .link_openid(&name("ana"), "https://id.example", "person-1"),
        )
        .unwrap();
}

fn upload(client: &Client, path: &str) -> Reply {
    use base64::Engine as _;
    let path = base64::prelude::BASE64_STANDARD.encode(path);
    let request = client
        .raw("POST", "/api/v1/uploads")
        .header("Tus-Resumable", "1.0.0");
    request
        .header("Upload-Length", "1000")
        .header("Upload-Metadata", format!("path {path}"))
        .send()
}

/// Demands that nothing at all is told of the former ana, nor kept of her.
#[track_caller]
fn owes_nothing(server: &TestServer, ana: &Client) {
    let app = server.app();
    let me = api(ana, "GET", "/me", &Value::Null);
    assert!(
        me["groups"] == json!([]) && me.get("email").is_none() && me["used"] == 0,
        "{me}"
    );
    let listed = ana.propfind("/", "infinity").is_any(&[207, 403]);
    assert!(
        !listed.text().contains("docs") && !listed.text().contains("Plans"),
        "{listed}"
    );
    for path in [
        "/trash",
        "/links",
        "/shares",
        "/shares/incoming",
        "/app-passwords",
        "/me/openid",
    ] {
        let page = api(ana, "GET", path, &Value::Null);
        assert_eq!(page["items"], json!([]), "{path}");
    }
    ana.lacks(NAME);
    ana.store(NAME, "hers");
    assert!(
        app.locks
            .all()
            .iter()
            .all(|lock| lock.holder.account != name("ana") && &*lock.resource.root != "home/ana")
    );
    assert!(app.uploads.owners().is_empty());
    assert!(!app.sharing.accounts_named().contains(&name("ana")));
    assert!(app.links.owners().is_empty());
    server.ben().lacks("/Shared with me/docs/a");
}

fn removed(server: &TestServer) -> Vec<Value> {
    api(&root(server), "GET", "/removed-files", &Value::Null)["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn a_kept_home_lies_aside_and_comes_back_at_an_administrators_wish_alone() {
    let server = start();
    settle_in(&server);
    let done = api(
        &root(&server),
        "DELETE",
        "/accounts/ana?files=keep",
        &Value::Null,
    );
    let place = done["kept"].as_str().unwrap().to_owned();
    assert!(
        place.starts_with("homes/ana.removed-20")
            && server.data().join(&place).join(&NAME[1..]).exists(),
        "{place}"
    );
    assert!(!server.home("ana").exists());
    let app = server.app();
    assert!(
        !app.sharing.accounts_named().contains(&name("ana")),
        "records name nobody"
    );
    assert!(app.links.owners().is_empty() && app.uploads.owners().is_empty());
    drop(app);
    let ana = register(&server);
    owes_nothing(&server, &ana);
    let server = server.restart();
    let ana = server.stranger().signed_in("ana", OTHER);
    ana.holds(NAME, "hers");
    let listed = removed(&server);
    assert_eq!(
        (listed.len(), &listed[0]["place"], &listed[0]["name"]),
        (1, &place.as_str().into(), &"ana".into())
    );
    assert_eq!(
        (&listed[0]["kind"], &listed[0]["deleting"]),
        (&"home".into(), &false.into())
    );
    // Nobody but administrators sees or moves it, and it is no account.
    ana.api("GET", "/removed-files", &Value::Null).is(403);
    let id = listed[0]["id"].as_str().unwrap();
    let to = |to: Value| json!({"to": to});
    ana.api(
        "POST",
        &format!("/removed-files/{id}/restore"),
        &to(json!({"home": "ana"})),
    )
    .is(403);
    ana.api("DELETE", &format!("/removed-files/{id}"), &Value::Null)
        .is(403);
    let accounts = api(&root(&server), "GET", "/accounts", &Value::Null);
    assert!(!accounts.to_string().contains("removed"), "{accounts}");
    let wish = |to: Value| {
        root(&server).api(
            "POST",
            &format!("/removed-files/{id}/restore"),
            &json!({"to": to}),
        )
    };
    wish(json!({"home": "ana"})).is(403); // it holds files
    wish(json!({"home": "nobody"})).is(404);
    wish(json!({"team": "Nothing"})).is(404);
    let back = wish(json!({"folder": "ana"})).is(200).json();
    assert_eq!(back["folder"], "/Files of ana");
    ana.holds(&format!("/Files of ana{NAME}"), "second");
    assert!(removed(&server).is_empty());
    wish(json!({"folder": "ana"})).is(404);
    server.block_on(server.app().audit.flush(false));
    let filter = AuditFilter {
        kind: Some(AuditKind::RemovedFilesRestored),
        ..AuditFilter::default()
    };
    let entries = server
        .block_on(server.app().audit.read(filter, u64::MAX, 10))
        .unwrap();
    assert!(format!("{entries:?}").contains(&place), "{entries:?}");
}

#[test]
fn a_kept_home_becomes_a_home_again_with_its_trash_and_versions() {
    let server = start();
    settle_in(&server);
    api(
        &root(&server),
        "DELETE",
        "/accounts/ana?files=keep",
        &Value::Null,
    );
    let ana = register(&server);
    ana.propfind("/", "0").is(207); // her home is made, and empty
    let id = removed(&server)[0]["id"].as_str().unwrap().to_owned();
    api(
        &root(&server),
        "POST",
        &format!("/removed-files/{id}/restore"),
        &json!({"to": {"home": "ana"}}),
    );
    ana.holds(NAME, "second");
    assert_eq!(
        api(&ana, "GET", "/trash", &Value::Null)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    ana.store("/new", "new");
    assert!(server.home("ana").join("new").exists() && removed(&server).is_empty());
    let server = server.restart();
    server
        .stranger()
        .signed_in("ana", OTHER)
        .holds("/new", "new");
}

#[test]
fn while_files_are_deleted_the_next_of_the_name_loses_nothing() {
    let server = start();
    let ana = server.ana();
    for folder in 0..20 {
        ana.mkcol(&format!("/{folder}")).is(201);
        let dir = server.home("ana").join(folder.to_string());
        for file in 0..500 {
            std::fs::write(dir.join(file.to_string()), b"x").unwrap();
        }
    }
    let (over, stored) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            api(
                &root(&server),
                "DELETE",
                "/accounts/ana?files=purge",
                &Value::Null,
            );
            over.store(true, Ordering::SeqCst);
        });
        assert!(poll(Duration::from_secs(20), || server
            .app()
            .auth
            .account(&name("ana"))
            .is_none()));
        // As soon as the name is free.
        let is_made = || {
            let (app, ana) = (server.app(), name("ana"));
            server
                .block_on(app.auth.create(&ana, OTHER.as_bytes(), Role::User, None))
                .is_ok()
        };
        assert!(poll(Duration::from_secs(20), is_made));
        let next = server.stranger().signed_in("ana", OTHER);
        for n in 0..40 {
            next.put(&format!("/new-{n}"), "new").is(201);
            stored.fetch_add(1, Ordering::SeqCst);
        }
        assert!(poll(Duration::from_secs(60), || over.load(Ordering::SeqCst)));
        for n in 0..stored.load(Ordering::SeqCst) {
            next.holds(&format!("/new-{n}"), "new");
        }
    });
    let left: Vec<_> = std::fs::read_dir(server.data().join("homes"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["ana"], "what was removed is deleted");
    assert!(removed(&server).is_empty());
}

#[test]
fn a_transfer_leaves_the_name_without_anything() {
    let server = start();
    settle_in(&server);
    let done = api(
        &root(&server),
        "DELETE",
        "/accounts/ana?files=transfer&to=ben",
        &Value::Null,
    );
    assert_eq!(done["folder"], "/Files of ana");
    let ana = register(&server);
    owes_nothing(&server, &ana);
    server
        .ben()
        .holds(&format!("/Files of ana{NAME}"), "second");
    assert!(removed(&server).is_empty());
    has_her_history(&server);
}

#[test]
fn what_was_deleted_is_listed_by_time_in_whatever_drive_that_was() {
    let server = start();
    let (ana, ben) = (server.ana(), server.ben());
    // His home is open before hers.
    for (client, path) in [(&ben, "/his"), (&ana, "/hers")] {
        client.store(path, "x");
    }
    ana.delete("/hers").is(204);
    ben.delete("/his").is(204);
    api(
        &root(&server),
        "DELETE",
        "/accounts/ana?files=transfer&to=ben",
        &Value::Null,
    );
    let trash = api(&ben, "GET", "/trash", &Value::Null);
    let paths: Vec<_> = trash["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].clone())
        .collect();
    assert_eq!(paths, ["/his", "/Files of ana/hers"]);
}

/// Demands that what ana had in her trash, and her former contents, are ben's.
#[track_caller]
fn has_her_history(server: &TestServer) {
    let ben = server.ben();
    let trash = api(&ben, "GET", "/trash", &Value::Null);
    let items = trash["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{trash}");
    assert_eq!(
        (&items[0]["path"], &items[0]["by"]),
        (&json!("/Files of ana/gone"), &json!("ana")),
        "{trash}"
    );
    let back = api(
        &ben,
        "POST",
        &format!("/trash/{}/restore", items[0]["id"].as_str().unwrap()),
        &json!({}),
    );
    assert_eq!(back["path"], "/Files of ana/gone");
    for file in ["docs/a", "gone"] {
        let query = format!("path=Files of ana/{file}").replace(' ', "%20");
        let versions = api(&ben, "GET", &format!("/versions?{query}"), &Value::Null);
        let versions = versions["items"].as_array().unwrap();
        assert_eq!(versions.len(), 1, "{file}: {versions:?}");
        let id = versions[0]["id"].as_str().unwrap();
        let former = ben
            .raw("GET", &format!("/api/v1/versions/content?{query}&id={id}"))
            .send()
            .is(200);
        assert_eq!(former.text(), "first", "{file}");
    }
    let care = TreeCheckOptions {
        served: true,
        repair: None,
    };
    let found = check_tree(&server.home("ben"), care).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
    assert!(!server.home("ben").join("Files of ana/.sarang").exists());
}

#[test]
fn a_team_folder_passes_nothing_to_the_next_of_its_name_either() {
    for purge in [false, true] {
        let server = start();
        settle_in(&server);
        let root = root(&server);
        let ana = server.ana();
        upload(&ana, "Team folders/Plans/large").is(201);
        api(
            &root,
            "DELETE",
            &format!("/team-folders/Plans?purge={purge}"),
            &Value::Null,
        );
        assert!(!server.data().join("teams/Plans").exists());
        let members = json!([{"to": {"account": "ben"}, "rights": "edit"}]);
        let wish = json!({"name": "Plans", "members": members});
        api(&root, "POST", "/team-folders", &wish);
        let ben = server.ben();
        ben.lacks("/Team folders/Plans/ours");
        assert!(server.app().uploads.in_root("team/Plans").is_empty());
        let listed = removed(&server);
        assert_eq!(listed.len(), usize::from(!purge));
        if purge {
            continue;
        }
        assert_eq!(listed[0]["kind"], "team");
        let id = listed[0]["id"].as_str().unwrap();
        api(
            &root,
            "POST",
            &format!("/removed-files/{id}/restore"),
            &json!({"to": {"team": "Plans"}}),
        );
        ben.holds("/Team folders/Plans/ours", "ours");
    }
}

#[test]
fn what_lies_where_a_new_account_will_have_its_home_is_laid_aside_first() {
    let server = start();
    // As a version left it that kept files under their name, or as somebody put it there.
    for (folder, who) in [("homes", "cleo"), ("teams", "Trips")] {
        let dir = server.data().join(folder).join(who);
        std::fs::create_dir_all(dir.join(".sarang")).unwrap();
        std::fs::write(dir.join("secret"), b"another's").unwrap();
    }
    create(&server, "cleo", OTHER);
    let members = json!([{"to": {"account": "cleo"}, "rights": "edit"}]);
    api(
        &root(&server),
        "POST",
        "/team-folders",
        &json!({"name": "Trips", "members": members}),
    );
    let cleo = server.stranger().signed_in("cleo", OTHER);
    cleo.lacks("/secret");
    cleo.lacks("/Team folders/Trips/secret");
    assert_eq!(removed(&server).len(), 2);
    for odd in ["ana.removed-1", "x.removed-20261129t120102z"] {
        let (app, odd) = (server.app(), name(odd));
        let made = server.block_on(app.auth.create(&odd, OTHER.as_bytes(), Role::User, None));
        assert!(matches!(made, Err(Error::BadName(_))), "{odd}");
    }
    root(&server)
        .api("POST", "/team-folders", &json!({"name": "Plans.removed-1"}))
        .is(422);
}

/// A removal that stops after so many steps is finished by the next start, whichever they were.
#[test]
fn a_stop_between_any_two_steps_is_finished_by_the_next_start() {
    for files in [
        FilesDisposal::Keep,
        FilesDisposal::Purge,
        FilesDisposal::Transfer(name("ben")),
    ] {
        for taken in 0..=RemovalStep::ALL.len() {
            let server = start();
            settle_in(&server);
            let app = server.app();
            let id = server
                .block_on(app.begin_removal(&name("ana"), files.clone()))
                .unwrap();
            for step in &RemovalStep::ALL[..taken] {
                server.block_on(app.take_step(&id, *step)).unwrap();
                if *step == RemovalStep::Free {
                    break;
                }
                // Until then nobody gets the name, nor one that looks like it.
                for taken in ["ana", "a.n.a"] {
                    let taken = name(taken);
                    let made = app.auth.create(&taken, OTHER.as_bytes(), Role::User, None);
                    assert!(
                        matches!(
                            server.block_on(made),
                            Err(Error::Exists | Error::BadName(_))
                        ),
                        "{files:?} {step:?}"
                    );
                }
            }
            server.ana().propfind("/", "0").is(401);
            drop(app);
            let server = server.restart();
            let ana = register(&server);
            owes_nothing(&server, &ana);
            let gone = || {
                let homes = std::fs::read_dir(server.data().join("homes")).unwrap();
                homes
                    .filter(|home| {
                        home.as_ref()
                            .unwrap()
                            .file_name()
                            .to_string_lossy()
                            .contains(".removed-")
                    })
                    .count()
            };
            match &files {
                FilesDisposal::Keep => {
                    let listed = removed(&server);
                    assert_eq!(listed.len(), 1, "{taken}");
                    let place = server.data().join(listed[0]["place"].as_str().unwrap());
                    assert_eq!(
                        std::fs::read_to_string(place.join(&NAME[1..])).unwrap(),
                        "second",
                        "{taken}"
                    );
                }
                FilesDisposal::Purge | FilesDisposal::PurgeAt(_) => {
                    assert!(poll(Duration::from_secs(10), || gone() == 0), "{taken}");
                }
                FilesDisposal::Transfer(_) => {
                    server
                        .ben()
                        .holds(&format!("/Files of ana{NAME}"), "second");
                    assert_eq!(gone(), 0, "{taken}");
                    has_her_history(&server);
                }
            }
        }
    }
}

#[test]
fn a_removal_that_was_begun_goes_on_when_it_is_asked_for_again() {
    let server = start();
    settle_in(&server);
    server
        .block_on(
            server
                .app()
                .begin_removal(&name("ana"), FilesDisposal::Keep),
        )
        .unwrap();
    let done = api(
        &root(&server),
        "DELETE",
        "/accounts/ana?files=purge",
        &Value::Null,
    );
    assert!(
        server.data().join(done["kept"].as_str().unwrap()).exists(),
        "what was said first holds"
    );
    root(&server)
        .api("DELETE", "/accounts/ana?files=purge", &Value::Null)
        .is(404);
    let ana = register(&server);
    owes_nothing(&server, &ana);
}

#[test]
fn files_whose_receiver_went_are_kept() {
    let server = start();
    settle_in(&server);
    let app = server.app();
    server
        .block_on(app.begin_removal(&name("ana"), FilesDisposal::Transfer(name("ben"))))
        .unwrap();
    server
        .block_on(app.remove_account(&name("ben"), FilesDisposal::Keep))
        .unwrap();
    drop(app);
    let server = server.restart();
    let places: Vec<String> = removed(&server)
        .iter()
        .map(|files| files["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(places, ["ana", "ben"]);
    register(&server).lacks(NAME);
}

#[test]
fn the_command_line_lists_and_purges() {
    let server = start();
    settle_in(&server);
    let remove = ApiCall::delete(&["accounts", "ana"]).query(&json!({"files": "keep"}));
    let done: RemovedAccount = server.ask_locally(remove).unwrap();
    let place = done.kept.unwrap();
    let listed: Value = server
        .ask_locally(ApiCall::get(&["removed-files"]))
        .unwrap();
    let listed = listed["items"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["place"]), (1, &json!(place)));
    let purge = |which: &str| server.ask_locally::<()>(ApiCall::delete(&["removed-files", which]));
    let refused = purge("homes/ben");
    assert!(
        refused.is_err() && server.home("ben").exists(),
        "{refused:?}"
    );
    purge(&place).unwrap();
    assert!(!server.data().join(&place).exists() && removed(&server).is_empty());
}

/// The state comes from an export that is older than the files: made when a removal had begun, and since then it was finished and the next
/// ana came.
#[test]
fn the_files_of_the_next_holder_are_not_deleted_for_the_one_before() {
    let server = start();
    settle_in(&server);
    server
        .block_on(
            server
                .app()
                .begin_removal(&name("ana"), FilesDisposal::Purge),
        )
        .unwrap();
    let home = server.home("ana");
    std::fs::remove_dir_all(&home).unwrap();
    std::fs::create_dir_all(home.join(".sarang")).unwrap();
    std::fs::write(
        home.join(".sarang/home"),
        "0123456789abcdef0123456789abcdef\n",
    )
    .unwrap();
    std::fs::write(home.join("hers"), "hers").unwrap();
    let server = server.restart();
    assert!(poll(Duration::from_secs(5), || removed(&server).len() == 1));
    let kept = removed(&server)[0].clone();
    let place = server.data().join(kept["place"].as_str().unwrap());
    assert!(
        kept["deleting"] == false && std::fs::read_to_string(place.join("hers")).unwrap() == "hers",
        "{kept}"
    );
    owes_nothing(&server, &register(&server));
}

/// A home on a disk of its own cannot be renamed. Only root may mount: without it that is said.
#[test]
fn a_home_that_is_a_mount_point_is_laid_aside_once_it_is_unmounted() {
    use std::process::Command;
    let server = start();
    let home = server.home("ana");
    std::fs::create_dir_all(&home).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(&home)
        .output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        println!("skipped: only root may mount");
        return;
    }
    server.ana().store("/a", "x");
    let reply = root(&server).api("DELETE", "/accounts/ana?files=keep", &Value::Null);
    // A start cannot finish it either: whoever took the name now would get the files.
    let server = server.restart();
    let taken = ask_to_register(&server);
    let unmounted = Command::new("umount").arg("-l").arg(&home).status();
    assert!(unmounted.unwrap().success());
    let told = reply.is(403).text();
    assert!(told.contains("unmount it"), "{told}");
    taken.is(422);
    server.block_on(server.app().finish_removals()).unwrap();
    register(&server).lacks("/a");
}

/// A name is no group either: what named the former one, pending invites and what a crash in its removal left too, gives the next of its
/// name nothing, and what is given to that stays.
#[test]
fn the_next_group_of_a_name_gets_nothing_of_the_former() {
    for crashes in [false, true] {
        let server = start();
        let (ana, ben, root) = (server.ana(), server.ben(), root(&server));
        let crew = json!({"name": "crew", "members": ["ben"]});
        let to = json!({"group": "crew"});
        for name in ["/docs", "/next"] {
            ana.mkcol(name).is(201);
            ana.store(&format!("{name}/a"), "hers");
        }
        api(&root, "POST", "/groups", &crew);
        api(
            &ana,
            "POST",
            "/shares",
            &json!({"path": "/docs", "to": to, "rights": "edit"}),
        );
        let plans = json!({"name": "Plans", "members": [{"to": to, "rights": "edit"}]});
        api(&root, "POST", "/team-folders", &plans);
        let invite = api(&root, "POST", "/invites", &json!({"groups": ["crew"]}));
        ben.store("/Team folders/Plans/ours", "ours");
        ben.holds("/Shared with me/docs/a", "hers");
        if crashes {
            let app = server.app();
            server
                .block_on(
                    app.sharing
                        .groups
                        .remove(&GroupName::parse("crew").unwrap()),
                )
                .unwrap();
        } else {
            api(&root, "DELETE", "/groups/crew", &Value::Null);
        }
        api(&root, "POST", "/groups", &crew);
        api(
            &ana,
            "POST",
            "/shares",
            &json!({"path": "/next", "to": to, "rights": "view"}),
        );
        api(
            &root,
            "POST",
            "/team-folders",
            &json!({"name": "Next", "members": [{"to": to, "rights": "edit"}]}),
        );
        let has_the_next_only = |server: &TestServer| {
            let ben = server.ben();
            ben.lacks("/Shared with me/docs/a");
            ben.lacks("/Team folders/Plans/ours");
            ben.holds("/Shared with me/next/a", "hers");
            ben.mkcol("/Team folders/Next/made").is_any(&[201, 405]);
        };
        has_the_next_only(&server);
        drop((ana, ben, root));
        let server = server.restart();
        has_the_next_only(&server);
        let shares = api(&server.ana(), "GET", "/shares", &Value::Null);
        let paths: Vec<_> = shares["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|share| &share["path"])
            .collect();
        assert_eq!(paths, ["/next"]);
        let app = server.app();
        assert!(app.sharing.teams.find("Plans").unwrap().members.is_empty());
        let wish = json!({"name": "cleo", "password": OTHER, "invite": invite["invite"]});
        server.stranger().api("POST", "/register", &wish).is(201);
        let cleo = server.stranger().signed_in("cleo", OTHER);
        assert_eq!(
            api(&cleo, "GET", "/me", &Value::Null)["groups"],
            json!([]),
            "{crashes}"
        );
        cleo.lacks("/Shared with me/next/a");
    }
}
