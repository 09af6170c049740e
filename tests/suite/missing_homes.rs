//! A disk that is not mounted is not an empty drive: what was made and is not there is 503, nothing is made in its place, and all is
//! well when it is back.

use crate::harness::{Client, Reply, TestServer};
use crate::links;
use crate::program::{PASSWORD, Place, said};
use crate::shares::admin;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// As long as it may take until the server sees that a home is gone.
const SEEN: Duration = Duration::from_millis(1200);

fn unmount(home: &Path) -> PathBuf {
    let away = home.with_extension("disk");
    fs::rename(home, &away).unwrap();
    sleep(SEEN);
    away
}

fn mount(away: &Path, home: &Path) {
    let _ = fs::remove_dir(home);
    fs::rename(away, home).unwrap();
    sleep(SEEN);
}

#[track_caller]
fn is_missing(reply: Reply) {
    let text = reply.is(503).text();
    assert!(text.contains("not mounted"), "{text}");
}

/// Everything that leads to the files of ana.
#[track_caller]
fn all_is_missing(server: &TestServer, link: &links::Shared) {
    let (ana, ben) = (server.ana(), server.ben());
    is_missing(ana.propfind("/", "1"));
    is_missing(ana.get("/docs/a"));
    is_missing(ana.request("PUT", "/new").body("x").send());
    is_missing(ana.mkcol("/folder"));
    is_missing(ana.delete("/docs"));
    is_missing(ana.lock("/docs/a").send());
    is_missing(ana.transfer("MOVE", "/docs", "/other").send());
    is_missing(ana.raw("GET", "/api/v1/files?path=docs").send());
    is_missing(ana.raw("GET", "/api/v1/trash").send());
    is_missing(ana.raw("GET", "/api/v1/files/search?name=a").send());
    is_missing(ben.propfind("/Shared with me", "1"));
    is_missing(ben.propfind("/Shared with me/docs", "1"));
    is_missing(ben.get("/Shared with me/docs/a"));
    is_missing(
        ben.request("PUT", "/Shared with me/docs/a")
            .body("x")
            .send(),
    );
    is_missing(links::page(server, link, ""));
    is_missing(links::dav(server, link, "PROPFIND", "/"));
    assert!(
        ben.propfind("/", "1").is(207).text().contains("/dav/mine"),
        "ben has his own"
    );
    ben.holds("/mine", "ben's");
    let found = ben
        .raw("GET", "/api/v1/files/search?name=mine")
        .send()
        .is(200)
        .json();
    assert_eq!(
        (&found["items"][0][0], &found["cut"]),
        (&json!("mine"), &json!("unreachable")),
        "{found}"
    );
}

fn used() -> (TestServer, links::Shared) {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "x");
    server.ben().store("/mine", "ben's");
    let wish = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"});
    ana.api("POST", "/shares", &wish).is(201);
    let link = links::share(&ana, &json!({"path": "docs"}));
    (server, link)
}

#[test]
fn a_home_whose_disk_is_gone_is_503_and_nothing_is_made_in_its_place() {
    let (server, link) = used();
    let home = server.home("ana");
    let away = unmount(&home);
    all_is_missing(&server, &link);
    assert!(!home.exists(), "it was made anew");
    // What a mount point is while nothing is mounted.
    fs::create_dir(&home).unwrap();
    all_is_missing(&server, &link);
    let server = server.restart();
    all_is_missing(&server, &link);
    assert_eq!(
        fs::read_dir(&home).unwrap().count(),
        0,
        "something was made below the mount point"
    );
    mount(&away, &home);
    server.ana().holds("/docs/a", "x");
    server.ben().holds("/Shared with me/docs/a", "x");
    links::dav(&server, &link, "PROPFIND", "/").is(207);
    server.ana().put("/new", "y").is(201);
}

#[test]
fn a_folder_that_is_another_does_not_pass_for_the_home() {
    let (server, link) = used();
    server.ben().store("/x", "y");
    let home = server.home("ana");
    let away = unmount(&home);
    // Another's home, whole.
    copy(&server.home("ben"), &home);
    all_is_missing(&server, &link);
    assert!(!home.join("new").exists());
    fs::remove_dir_all(&home).unwrap();
    // A link into nowhere.
    std::os::unix::fs::symlink("/nowhere/at/all", &home).unwrap();
    sleep(SEEN);
    all_is_missing(&server, &link);
    fs::remove_file(&home).unwrap();
    // The same on another disk is the home.
    copy(&away, &home);
    sleep(SEEN);
    server.ana().holds("/docs/a", "x");
    server.ana().put("/new", "y").is(201);
    assert!(home.join("new").exists());
}

fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn where_no_home_is_there_none_is_made() {
    let (server, _) = used();
    let homes = server.data().join("homes");
    let away = unmount(&homes);
    let root = admin(&server);
    is_missing(root.propfind("/", "1"));
    is_missing(root.put("/new", "x"));
    assert!(
        !homes.exists() || fs::read_dir(&homes).unwrap().count() == 0,
        "a home was made where the disk is to be"
    );
    mount(&away, &homes);
    root.put("/new", "x").is(201);
}

#[test]
fn jobs_and_lists_pass_over_a_home_that_is_missing_and_name_it() {
    let (server, _) = used();
    let root = admin(&server);
    root.store("/gone", "x");
    root.delete("/gone").is(204);
    let home = server.home("ana");
    let away = unmount(&home);
    let app = server.app();
    assert!(
        server.block_on(app.expire_history()).is_err(),
        "the job says nothing"
    );
    assert!(server.block_on(app.expire_uploads()).is_err());
    assert_eq!(server.app().missing_trees(), ["home/ana"]);
    let listed = root
        .raw("GET", "/api/v1/accounts?usage=true")
        .send()
        .is(200)
        .json();
    let used = |name: &str| {
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["name"] == name)
            .unwrap()["used"]
            .clone()
    };
    assert_eq!((used("ana"), used("ben")), (Value::Null, json!(5)));
    assert_eq!(
        root.raw("GET", "/api/v1/overview").send().is(200).json()["missing"],
        json!(["home/ana"])
    );
    assert!(!home.exists());
    mount(&away, &home);
    server.block_on(app.expire_history()).unwrap();
    assert_eq!(
        root.raw("GET", "/api/v1/overview").send().is(200).json()["missing"],
        json!([])
    );
}

#[test]
fn a_home_from_before_there_were_ids_is_taken_over() {
    let server = TestServer::start();
    fs::create_dir_all(server.home("ana")).unwrap();
    fs::write(server.home("ana").join("old"), "x").unwrap();
    let ana = server.ana();
    ana.holds("/old", "x");
    let away = unmount(&server.home("ana"));
    is_missing(ana.propfind("/", "1"));
    mount(&away, &server.home("ana"));
    ana.holds("/old", "x");
}

#[test]
fn an_account_whose_files_are_missing_is_not_purged_and_the_next_of_its_name_gets_none_of_them() {
    let (server, _) = used();
    let root = admin(&server);
    let home = server.home("ana");
    let away = unmount(&home);
    for files in ["purge", "transfer&to=ben"] {
        is_missing(
            root.raw("DELETE", &format!("/api/v1/accounts/ana?files={files}"))
                .send(),
        );
    }
    server.ana().propfind("/", "0").is(503);
    root.raw("DELETE", "/api/v1/accounts/ana?files=keep")
        .send()
        .is_any(&[200, 204]);
    let new = json!({"name": "ana", "password": crate::harness::PASSWORD, "role": "user"});
    root.api("POST", "/accounts", &new).is(201);
    let ana: Client = server.ana();
    ana.put("/mine", "x").is(201);
    ana.lacks("/docs");
    // The disk comes back over what was made.
    fs::rename(&home, home.with_extension("below")).unwrap();
    mount(&away, &home);
    is_missing(ana.propfind("/", "1"));
}

#[test]
fn a_missing_home_can_be_given_up() {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve();
    serving.ana().store("/a", "x");
    let home = place.path().join("sarang-data/homes/ana");
    let give_up = || place.run(&["new-home", "homes/ana"], "");
    assert!(said(&give_up()).contains("not missing"));
    let _away = unmount(&home);
    is_missing(serving.ana().get("/a"));
    let checked = place.run(&["check"], "");
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        !checked.status.success() && text.contains("homes/ana: it is missing"),
        "{text}"
    );
    assert!(
        text.contains("sarang new-home homes/ana") && !text.contains("made at the first use"),
        "{text}"
    );
    assert!(!home.exists());
    assert!(give_up().status.success());
    serving.ana().lacks("/a");
    serving.ana().put("/b", "x").is(201);
    assert!(!place.run(&["new-home", "homes/eva"], "").status.success());
}

#[test]
fn what_named_things_in_a_home_that_is_made_anew_shows_nothing_of_the_new_one() {
    let place = Place::new();
    place.add_ana();
    assert!(
        place
            .run(&["user", "add", "ben", "--password-stdin"], PASSWORD)
            .status
            .success()
    );
    let serving = place.serve();
    let (ana, ben) = (serving.ana(), serving.ana().signed_in("ben", PASSWORD));
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "old");
    ana.api(
        "POST",
        "/shares",
        &json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    ana.api(
        "POST",
        "/shares",
        &json!({"path": "/docs/a", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    let link = links::share(&ana, &json!({"path": "docs"}));
    ben.holds("/Shared with me/docs/a", "old");
    let home = place.path().join("sarang-data/homes/ana");
    let _away = unmount(&home);
    is_missing(ana.get("/docs/a"));
    assert!(place.run(&["new-home", "homes/ana"], "").status.success());
    // The receiver and a visitor come first, before the home is made.
    let stranger = |target: &str| serving.ana().raw("GET", target).send().status;
    let nothing_shows = || {
        let listed = ben.propfind("/Shared with me", "1").is(207).text();
        assert!(
            !listed.contains("docs") && !listed.contains(">a<"),
            "{listed}"
        );
        ben.lacks("/Shared with me/docs");
        ben.lacks("/Shared with me/docs/a");
        assert_eq!(ben.put("/Shared with me/docs/b", "x").status, 404);
        assert_eq!(stranger(&format!("/s/{}", link.token)), 404);
    };
    nothing_shows();
    // What comes to lie under the same names is something else.
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "new");
    nothing_shows();
    ana.holds("/docs/a", "new");
    drop(serving);
    let checked = place.run(&["check", "--repair"], "");
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success() || text.contains("repaired"),
        "{text}"
    );
    let again = place.run(&["check"], "");
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stdout)
    );
    let serving = place.serve();
    serving.ana().holds("/docs/a", "new");
}

#[test]
fn a_backup_does_not_take_a_missing_home_for_deleted() {
    let around = tempfile::TempDir::new().unwrap();
    let place = Place::at(tempfile::TempDir::new_in(around.path()).unwrap());
    place.add_ana();
    assert!(
        place
            .run(&["user", "add", "ben", "--password-stdin"], PASSWORD)
            .status
            .success()
    );
    let serving = place.serve();
    let (ana, ben) = (serving.ana(), serving.ana().signed_in("ben", PASSWORD));
    ana.mkcol("/docs").is(201);
    ana.store("/docs/a", "from ana");
    ana.proppatch(
        "/docs",
        "<D:set><D:prop><x:color>blue</x:color></D:prop></D:set>",
    )
    .send()
    .is(207);
    ana.store("/docs/b", "old");
    ana.store("/docs/b", "new");
    ana.api(
        "POST",
        "/shares",
        &json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    ben.store("/b", "from ben");
    let backup = || place.run(&["backup", "../backups", "--keep", "1"], "");
    assert!(backup().status.success());
    let home = place.path().join("sarang-data/homes/ana");
    let away = unmount(&home);
    fs::create_dir(&home).unwrap();
    for _ in 0..2 {
        let made = backup();
        let text = format!("{}{}", String::from_utf8_lossy(&made.stdout), said(&made));
        assert!(
            !made.status.success() && text.contains("homes/ana: it is missing"),
            "{text}"
        );
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    }
    // Back again, the next one copies nothing of hers anew.
    mount(&away, &home);
    let whole = place.run(&["backup", "../backups", "--keep", "1", "--json"], "");
    let summary: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(summary["tally"]["failures"], json!([]), "{summary}");
    let _away = unmount(&home);
    backup();
    drop(serving);
    let restored = around.path().join("restored");
    let restore = place.run(
        &["restore", "../backups", "--to", restored.to_str().unwrap()],
        "",
    );
    assert!(restore.status.success(), "{}", said(&restore));
    fs::remove_dir_all(place.path().join("sarang-data")).unwrap();
    fs::rename(restored, place.path().join("sarang-data")).unwrap();
    let serving = place.serve();
    serving.ana().holds("/docs/a", "from ana");
    assert!(
        serving
            .ana()
            .propfind("/docs", "0")
            .is(207)
            .text()
            .contains("blue")
    );
    serving
        .ana()
        .signed_in("ben", PASSWORD)
        .holds("/Shared with me/docs/b", "new");
    drop(serving);
    let checked = place.run(&["check"], "");
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

#[test]
fn a_data_folder_that_is_gone_is_not_a_new_server() {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve();
    serving.ana().store("/a", "x");
    drop(serving);
    let data = place.path().join("sarang-data");
    let state = data.join("state");
    let away = place.path().join("state");
    fs::rename(&state, &away).unwrap();
    for command in [
        &["serve"][..],
        &["user", "list"],
        &["user", "add", "eva", "--password-stdin"],
    ] {
        let refused = place.run(command, PASSWORD);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(
            said(&refused).contains("state is gone") && refused.stdout.is_empty(),
            "{refused:?}"
        );
        assert!(!state.exists(), "a new state was made");
    }
    fs::create_dir(&state).unwrap();
    assert!(
        said(&place.run(&["serve"], "")).contains("state is gone"),
        "a mount point of the state alone"
    );
    fs::remove_dir(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    place.serve().ana().holds("/a", "x");
    // Only its files, as when the rest lies on another disk.
    fs::rename(&state, &away).unwrap();
    fs::remove_file(data.join("sarang.data")).unwrap();
    assert!(said(&place.run(&["serve"], "")).contains("sarang serve --new"));
    let anew = place.serve_by(&format!("exec {} serve --new", crate::program::SARANG));
    assert!(
        anew.greeting().contains("/setup?token="),
        "{}",
        anew.greeting()
    );
}

/// A link to a disk that is not there.
#[test]
fn a_home_that_is_a_link_into_nowhere_is_missing() {
    let server = TestServer::start();
    let (home, disk) = (server.home("ana"), tempfile::tempdir().unwrap());
    fs::create_dir_all(home.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(disk.path().join("ana"), &home).unwrap();
    is_missing(server.ana().propfind("/", "1"));
    fs::create_dir(disk.path().join("ana")).unwrap();
    server.ana().store("/a", "x");
    assert!(disk.path().join("ana/a").exists());
}

/// The machine is set up with the disks in /etc/fstab: here one of our own, which only root may put there.
#[test]
fn what_lies_on_a_disk_that_is_set_up_and_not_mounted_is_not_made() {
    let within = |place: &Place, point: &str, then: &str| {
        let (top, fstab) = (
            fs::canonicalize(place.path()).unwrap(),
            place.path().join("fstab"),
        );
        fs::write(
            &fstab,
            format!("UUID=1 {} ext4 nofail 0 2\n", top.join(point).display()),
        )
        .unwrap();
        let mount = format!("mount --bind \"{}\" /etc/fstab || exit 77", fstab.display());
        format!(
            "exec unshare -m sh -c '{mount}; exec {} {then}'",
            crate::program::SARANG
        )
    };
    let place = Place::new();
    let line = within(&place, "sarang-data", "user list");
    let refused = place.command("sh").args(["-c", &line]).output().unwrap();
    if refused.status.code() == Some(77) || said(&refused).contains("unshare") {
        return println!("skipped: nothing can be mounted here: {}", said(&refused));
    }
    assert!(
        said(&refused).contains("not mounted") && !refused.status.success(),
        "{refused:?}"
    );
    assert!(
        !place.path().join("sarang-data/state").exists(),
        "a new state was made"
    );
    place.add_ana();
    let serving = place.serve_by(&within(&place, "sarang-data/homes/ana", "serve"));
    is_missing(serving.ana().propfind("/", "1"));
    is_missing(serving.ana().put("/a", "x"));
    assert!(
        !place.path().join("sarang-data/homes/ana").exists(),
        "a home was made below the mount point"
    );
    drop(serving);
    place.serve().ana().store("/a", "x");
}
