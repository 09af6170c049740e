//! Backups by the program itself: made while clients write, and brought back after the whole data folder is lost.

use crate::harness::{Client, NAME, Reply, poll};
use crate::program::{PASSWORD, Place, SARANG, Serving, give, not_owned_by, said};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub const DATA: &str = "sarang-data";

#[track_caller]
pub fn ran(place: &Place, arguments: &[&str]) -> String {
    let output = place.run(arguments, PASSWORD);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub fn refused(place: &Place, arguments: &[&str]) -> String {
    let output = place.run(arguments, PASSWORD);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    said(&output)
}

/// The summary of a backup.
#[track_caller]
pub fn backup(place: &Place, arguments: &[&str]) -> Value {
    let line = [&["backup", "../backups", "--json"], arguments].concat();
    serde_json::from_str(&ran(place, &line)).unwrap()
}

/// A place whose folder of backups lies beside it.
pub fn place() -> (tempfile::TempDir, Place) {
    let around = tempfile::TempDir::new().unwrap();
    fs::create_dir(around.path().join("here")).unwrap();
    let place = Place::at(tempfile::TempDir::new_in(around.path()).unwrap());
    place.add_ana();
    (around, place)
}

pub fn generations(around: &tempfile::TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(around.path().join("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn api(client: &Client, path: &str, body: &Value) -> Value {
    client.api("POST", path, body).is(201).json()
}

fn link(serving: &Serving, token: &str) -> Reply {
    Client::new(serving.address, None)
        .raw("GET", &format!("/s/{token}/dav/"))
        .send()
}

/// A content that shows whether it is whole.
fn content(seed: usize) -> String {
    format!("{seed}\n").repeat(1 + seed * 97 % 20_000)
}

#[track_caller]
fn is_whole(text: &str) {
    let seed = text
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .unwrap_or_else(|| panic!("torn: {text:.20}"));
    assert!(text == content(seed), "torn content of {seed}");
}

/// Saves and moves until `over`; returns how often.
fn write_until(over: &AtomicBool, address: SocketAddr) -> usize {
    let ana = Client::new(address, Some(("ana", PASSWORD)));
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        ana.store(&format!("/busy/{}", count % 7), content(count));
        ana.store("/shared.txt", content(count));
        let (from, to) = if count.is_multiple_of(2) {
            ("one", "two")
        } else {
            ("two", "one")
        };
        ana.transfer(
            "MOVE",
            &format!("/{from}/wandering"),
            &format!("/{to}/wandering"),
        )
        .send()
        .is(201);
        ana.transfer("MOVE", &format!("/{from}/folder"), &format!("/{to}/folder"))
            .send()
            .is(201);
        count += 1;
    }
    count
}

fn fill(ana: &Client) -> (Value, Value) {
    for folder in ["/one", "/two", "/one/folder", "/busy", "/docs"] {
        ana.mkcol(folder).is(201);
    }
    for number in 0..40 {
        ana.store(&format!("/docs/{number}"), content(number));
    }
    ana.store("/one/wandering", "wandering");
    ana.store("/one/folder/in it", "in it");
    ana.store("/shared.txt", content(0));
    ana.request("PUT", NAME)
        .header("X-OC-Mtime", "1000000000")
        .body("first")
        .send()
        .is(201);
    ana.request("PUT", NAME)
        .header("X-OC-Mtime", "1000000000")
        .body("second")
        .send()
        .is(204);
    ana.proppatch(
        NAME,
        "<D:set><D:prop><x:color>blue</x:color></D:prop></D:set>",
    )
    .send()
    .is(207);
    ana.store("/gone", "gone");
    ana.delete("/gone").is(204);
    for path in ["/docs", "/shared.txt"] {
        api(
            ana,
            "/shares",
            &json!({"path": path, "to": {"account": "ben"}, "rights": "edit"}),
        );
    }
    let of_folder = api(ana, "/links", &json!({"path": "docs"}));
    (
        of_folder,
        api(ana, "/links", &json!({"path": "shared.txt"})),
    )
}

#[test]
fn what_was_acknowledged_before_a_backup_survives_the_loss_of_the_data_folder() {
    let (around, place) = place();
    ran(&place, &["user", "add", "ben", "--password-stdin"]);
    let serving = place.serve();
    let (of_folder, of_file) = fill(&serving.ana());
    let (over, address) = (AtomicBool::new(false), serving.address);
    let summary = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&over, address));
        // Saved by the writer at least once, so that the share has followed it.
        poll(Duration::from_secs(20), || {
            serving.ana().get("/busy/3").status == 200
        });
        let summary = backup(&place, &[]);
        over.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 3);
        summary
    });
    assert_eq!(summary["tally"]["failures"], json!([]), "{summary}");
    let tags = |ana: &Client| {
        ["/docs/7", NAME].map(|path| ana.head(path).is(200).header("etag").unwrap().to_owned())
    };
    let before = tags(&serving.ana());
    drop(serving);
    fs::remove_dir_all(place.path().join(DATA)).unwrap();
    let told = ran(&place, &["restore", "../backups"]);
    assert!(
        told.contains("Restored") && !told.contains("show nothing"),
        "{told}"
    );

    let serving = place.serve();
    assert!(
        !serving.greeting().contains("/setup"),
        "{}",
        serving.greeting()
    );
    let (ana, ben) = (serving.ana(), serving.ana().signed_in("ben", PASSWORD));
    for number in 0..40 {
        ana.holds(&format!("/docs/{number}"), content(number));
        ben.holds(&format!("/Shared with me/docs/{number}"), content(number));
    }
    ana.holds(NAME, "second");
    assert_eq!(
        tags(&ana),
        before,
        "clients that keep copies find nothing changed"
    );
    let modified = ana
        .head(NAME)
        .is(200)
        .header("last-modified")
        .unwrap()
        .to_owned();
    assert_eq!(modified, "Sun, 09 Sep 2001 01:46:40 GMT");
    assert!(
        ana.props(NAME, "0", "<color xmlns='http://example.org/x/'/>")
            .is(207)
            .text()
            .contains("blue")
    );
    for path in ["wandering", "folder/in it"] {
        let found = ["one", "two"].map(|folder| ana.get(&format!("/{folder}/{path}")).status);
        assert!(found.contains(&200), "{path} is lost: {found:?}");
    }
    for number in 0..7 {
        let reply = ana.get(&format!("/busy/{number}"));
        if reply.status == 200 {
            is_whole(&reply.text());
        }
    }
    is_whole(&ben.get("/Shared with me/shared.txt").is(200).text());
    assert!(link(&serving, of_folder["token"].as_str().unwrap()).status < 400);
    let file = format!("/s/{}/file", of_file["token"].as_str().unwrap());
    is_whole(
        &Client::new(serving.address, None)
            .raw("GET", &file)
            .send()
            .is(200)
            .text(),
    );
    let trash = ana.raw("GET", "/api/v1/trash").send().is(200).json();
    assert!(
        trash["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["path"] == "/gone"),
        "{trash}"
    );
    let versions = format!("/api/v1/versions?path={}", crate::harness::url(NAME));
    assert_eq!(
        ana.raw("GET", &versions).send().is(200).json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(
        ran(&place, &["audit"]).contains("ben"),
        "the audit log is there"
    );
    assert_eq!(generations(&around).len(), 1);
}

#[test]
fn a_second_backup_copies_only_what_has_changed() {
    let (around, place) = place();
    let serving = place.serve();
    let ana = serving.ana();
    for number in 0..30 {
        ana.store(&format!("/{number}"), content(number));
    }
    // What is younger than the steps of the clock counts as changed.
    std::thread::sleep(Duration::from_millis(100));
    let first = backup(&place, &[]);
    assert!(first["tally"]["copied"].as_u64().unwrap() >= 30, "{first}");
    ana.store("/7", "other");
    ana.store("/new", "new");
    ana.transfer("MOVE", "/8", "/eight").send().is(201);
    ana.delete("/9").is(204);
    let second = backup(&place, &[]);
    let tally = &second["tally"];
    assert!(tally["linked"].as_u64().unwrap() >= 27, "{second}");
    // The two that are new, those that were renamed, the version and notes of the trash, the audit log.
    assert!(tally["copied"].as_u64().unwrap() <= 8, "{second}");
    drop(serving);
    let whole = generations(&around);
    assert_eq!(whole.len(), 2);
    for (generation, old) in [(&whole[0], true), (&whole[1], false)] {
        let home = generation.join("files/homes/ana");
        assert_eq!(
            fs::read_to_string(home.join("7")).unwrap() == content(7),
            old
        );
        assert_eq!(
            (
                home.join("9").exists(),
                home.join("8").exists(),
                home.join("new").exists()
            ),
            (old, old, !old)
        );
        let data = place.path().join(if old { "old" } else { "new" });
        ran(
            &place,
            &[
                "restore",
                generation.to_str().unwrap(),
                "--to",
                data.to_str().unwrap(),
            ],
        );
        assert_eq!(data.join("homes/ana/9").exists(), old);
    }
    let third = backup(&place, &["--keep", "2", "--without-history"]);
    assert_eq!(third["history"], false);
    let left = generations(&around);
    assert_eq!((left.len(), &left[0]), (2, &whole[1]));
    assert!(!left[1].join("files/homes/ana/.sarang/trash").exists());
    assert!(left[0].join("files/homes/ana/.sarang/trash").exists());
}

#[test]
fn a_backup_that_is_killed_is_none_and_the_next_one_is() {
    let (around, place) = place();
    let home = place.path().join(DATA).join("homes/ana");
    for folder in 0..40 {
        let folder = home.join(folder.to_string());
        fs::create_dir_all(&folder).unwrap();
        for file in 0..100 {
            fs::write(folder.join(file.to_string()), "x").unwrap();
        }
    }
    let mut command = place.command(SARANG);
    let mut child = command
        .args(["backup", "../backups"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = |path: &Path| {
        path.join("files/homes/ana")
            .read_dir()
            .is_ok_and(|names| names.count() > 2)
    };
    let backups = around.path().join("backups");
    poll(Duration::from_secs(30), || {
        backups.is_dir() && generations(&around).iter().any(|path| begun(path))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let cut = generations(&around);
    assert_eq!(cut.len(), 1);
    assert!(
        cut[0]
            .extension()
            .is_some_and(|extension| extension == "partial"),
        "it was done before it was killed"
    );
    assert!(
        refused(&place, &["restore", "../backups", "--to", "other"]).contains("no whole backup")
    );
    assert!(!place.path().join("other/state").exists());
    let summary = backup(&place, &[]);
    assert!(
        summary["tally"]["files"].as_u64().unwrap() >= 4000,
        "{summary}"
    );
    let whole = generations(&around);
    assert_eq!(whole.len(), 1);
    assert!(whole[0].extension().is_none());
    assert_eq!(
        fs::read(whole[0].join("files/homes/ana/19/99")).unwrap(),
        b"x"
    );
}

#[test]
fn what_others_lay_into_the_folder_of_backups_stays_and_harms_nothing() {
    let (around, place) = place();
    backup(&place, &[]);
    let backups = around.path().join("backups");
    fs::write(backups.join("foo.partial"), "x").unwrap();
    fs::create_dir_all(backups.join("film.partial/files")).unwrap();
    fs::write(backups.join("2026-01-01T000000Z.partial"), "x").unwrap();
    fs::create_dir(backups.join("2026-01-02T000000Z.partial")).unwrap();
    backup(&place, &[]);
    let cut: Vec<_> = ["foo.partial", "film.partial", "2026-01-01T000000Z.partial"]
        .into_iter()
        .filter(|name| !backups.join(name).exists())
        .collect();
    assert_eq!(cut, [""; 0], "removed though they are others'");
    assert!(!backups.join("2026-01-02T000000Z.partial").exists());
}

#[test]
fn the_summary_in_json_tells_the_new_folder_and_how_many_were_removed() {
    let (around, place) = place();
    let first = backup(&place, &[]);
    assert_eq!(first["removed"], 0, "{first}");
    let second = backup(&place, &["--keep", "1"]);
    assert_eq!(second["removed"], 1, "{second}");
    let folder = Path::new(second["generation"].as_str().unwrap());
    assert_eq!(
        [folder.canonicalize().unwrap()],
        generations(&around)
            .iter()
            .map(|folder| folder.canonicalize().unwrap())
            .collect::<Vec<_>>()[..]
    );
}

#[test]
fn what_would_harm_is_refused() {
    let (around, place) = place();
    for inside in [
        "sarang-data/backups",
        "sarang-data",
        "./sarang-data/homes/new/deep",
    ] {
        assert!(
            refused(&place, &["backup", inside]).contains("within the data folder"),
            "{inside}"
        );
    }
    assert!(!place.path().join("sarang-data/backups").exists());
    fs::write(around.path().join("here/foreign"), "x").unwrap();
    assert!(refused(&place, &["backup", "../here"]).contains("something else than backups"));
    backup(&place, &[]);
    assert!(refused(&place, &["restore", "../backups"]).contains("is not empty"));
    assert!(refused(&place, &["restore", "../here", "--to", "other"]).contains("no whole backup"));
    let missing = refused(&Place::new(), &["backup", "x"]);
    assert!(missing.contains("There is no data folder"), "{missing}");

    // A restore that was cut short is not served.
    fs::write(place.path().join(DATA).join("restoring"), "").unwrap();
    assert!(refused(&place, &["serve"]).contains("was not finished"));
    assert!(refused(&place, &["restore", "../backups"]).contains("was not finished"));
}

#[test]
fn root_restores_for_the_owner_of_the_folder_that_is_there() {
    let (around, place) = place();
    let data = place.path().join(DATA);
    let home = data.join("homes/ana");
    fs::create_dir_all(&home).unwrap();
    for name in ["own", "of-another"] {
        fs::write(home.join(name), "x").unwrap();
    }
    if !give(place.path(), 4242) || !give(&home.join("of-another"), 4343) {
        return eprintln!("skipped: only root can give files to other users");
    }
    backup(&place, &[]);
    let target = around.path().join("target");
    fs::create_dir(&target).unwrap();
    assert!(give(&target, 5555));
    let restore = |to: &Path| {
        ran(
            &place,
            &["restore", "../backups", "--to", to.to_str().unwrap()],
        )
    };
    restore(&target);
    let other = target.join("homes/ana/of-another");
    assert_eq!(not_owned_by(5555, &target), [other.to_str().unwrap()]);
    assert_eq!(not_owned_by(4343, &other), [""; 0]);
    // A folder that is missing, or root's own, says nothing of the user of its server.
    let roots = around.path().join("roots");
    fs::create_dir(&roots).unwrap();
    for to in [roots, around.path().join("missing")] {
        restore(&to);
        assert_eq!(
            not_owned_by(4242, &to),
            [to.join("homes/ana/of-another").to_str().unwrap()]
        );
    }
}
