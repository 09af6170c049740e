//! Data folders that former commits made open with the present program, and everything that was in them is there. They are packed as JSON with the
//! attributes of their files, not as an archive: neither git nor tar without options keeps `user.*`, which ids, hashes and properties are in.

use crate::harness::{Client, Reply, TestServer, url};
use crate::program::PASSWORD;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::fs::{AtFlags, CWD, StatxFlags, XattrFlags, setxattr, statx};
use sarang::app::App;
use sarang::config::Config;
use sarang::model::Error;
use sarang::state::sled::SledStore;
use sarang::state::{Batch, StateStore};
use sarang::storage::local::LocalTree;
use sarang::storage::local::check::{TreeCheckOptions, check_tree};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
const BEFORE_FILE_IDS: &str = "data-before-file-ids.json";
const BEFORE_TLS: &str = "data-before-tls.json";
/// Where in a label the sign of the inode lies that it was written for: behind hash, check and id.
const SIGN: std::ops::Range<usize> = 55..63;

/// What stays the same of a file where it lies: inode and birth.
fn node(path: &Path) -> [u64; 2] {
    let facts = statx(
        CWD,
        path,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS.union(StatxFlags::BTIME),
    )
    .unwrap();
    if facts.stx_mask & StatxFlags::BTIME.bits() == 0 {
        return [facts.stx_ino, 0];
    }
    let birth = facts.stx_btime;
    [
        facts.stx_ino,
        u64::try_from(birth.tv_sec).unwrap() * 1_000_000_000 + u64::from(birth.tv_nsec),
    ]
}

/// The folder, and what is known of it; `None` where files have no attributes.
fn unpack(name: &str) -> Option<(TempDir, Value)> {
    let packed = fs::read(Path::new(FIXTURES).join(name)).unwrap();
    let (top, packed) = (
        TempDir::new().unwrap(),
        serde_json::from_slice::<Value>(&packed).unwrap(),
    );
    if setxattr(top.path(), "user.probe", b"x", XattrFlags::empty()).is_err() {
        println!(
            "skipped: the file system of {} has no user attributes",
            top.path().display()
        );
        return None;
    }
    let entries = packed["entries"].as_array().unwrap();
    let place = |entry: &Value| top.path().join(entry["path"].as_str().unwrap());
    for entry in entries {
        let path = place(entry);
        match entry.get("len") {
            None => fs::create_dir_all(&path).unwrap(),
            Some(len) => {
                let file = File::create(&path).unwrap();
                file.set_len(len.as_u64().unwrap()).unwrap();
                for part in entry["parts"].as_array().unwrap() {
                    let content = BASE64_STANDARD.decode(part[1].as_str().unwrap()).unwrap();
                    file.write_all_at(&content, part[0].as_u64().unwrap())
                        .unwrap();
                }
            }
        }
        for (name, value) in entry["attributes"].as_object().unwrap() {
            let value = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
            setxattr(&path, name.as_str(), &value, XattrFlags::empty()).unwrap();
        }
    }
    // What is made in a folder changes its time.
    for entry in entries.iter().rev() {
        let modified = UNIX_EPOCH + Duration::from_nanos(entry["modified"].as_u64().unwrap());
        File::open(place(entry))
            .unwrap()
            .set_times(FileTimes::new().set_modified(modified))
            .unwrap();
        let mode = u32::try_from(entry["mode"].as_u64().unwrap()).unwrap();
        fs::set_permissions(place(entry), Permissions::from_mode(mode)).unwrap();
    }
    Some((top, packed))
}

/// Lets nothing be over meanwhile, and, where it names files by inode and birth, lets it name those that they have now.
async fn refresh(top: &Path, packed: &Value, rebinds: bool) {
    let entries = packed["entries"].as_array().unwrap();
    // A link to a file that was saved since knows it by a mark in its properties, and no file has that inode any more.
    let now_of = |old: &Value| {
        let entry = entries.iter().find(|entry| entry["node"] == *old)?;
        Some(json!(node(&top.join(entry["path"].as_str()?))))
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let store = SledStore::open(&top.join("state")).unwrap();
    let mut batch = Batch::new();
    for (prefix, node, time) in [
        ("share/", "/node", ""),
        ("link/", "/target/node", ""),
        ("lock/", "", "/ends"),
        ("upload/", "", "/expires"),
        ("invite/", "", "/expires"),
    ] {
        let records = store.scan(prefix, "", 100).await.unwrap();
        assert!(!records.is_empty() || prefix == "invite/", "{prefix}");
        for (key, text) in records {
            let mut record: Value = serde_json::from_str(&text).unwrap();
            if let Some(bound) = record
                .pointer_mut(node)
                .filter(|_| rebinds && !node.is_empty())
            {
                *bound = now_of(bound).unwrap_or_else(|| bound.clone());
            }
            if !time.is_empty() {
                *record
                    .pointer_mut(time)
                    .unwrap_or_else(|| panic!("{key}: {text}")) = json!(now + 3600);
            }
            batch = batch.put(key, record.to_string());
        }
    }
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
}

/// Lets labels be written for the inodes that the files have now, where they were for those that they had.
fn relabel(top: &Path, packed: &Value) {
    let sign = |inode: u64, born: u64| (inode.rotate_left(32) ^ born).to_le_bytes();
    let mut relabelled = 0;
    for entry in packed["entries"].as_array().unwrap() {
        let Some(label) = entry["attributes"]["user.sarang"].as_str() else {
            continue;
        };
        let mut label = BASE64_STANDARD.decode(label).unwrap();
        let [inode, born] = [0, 1].map(|at| entry["node"][at].as_u64().unwrap());
        if label.get(SIGN) != Some(&sign(inode, born)) {
            continue;
        }
        let path = top.join(entry["path"].as_str().unwrap());
        let [inode, born] = node(&path);
        label[SIGN].copy_from_slice(&sign(inode, born));
        setxattr(&path, "user.sarang", &label, XattrFlags::empty()).unwrap();
        relabelled += 1;
    }
    assert!(relabelled > 10, "{relabelled}");
}

/// Where the folder lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// On the inodes that it was made on.
    InPlace,
    /// On others, as after `cp -a`.
    Copied,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

struct Former {
    server: TestServer,
    facts: Value,
}

impl Former {
    fn open(fixture: &str, lies: Lies) -> Option<Self> {
        let (top, packed) = unpack(fixture)?;
        let has_ids = fixture != BEFORE_FILE_IDS;
        runtime().block_on(refresh(
            top.path(),
            &packed,
            !has_ids && lies == Lies::InPlace,
        ));
        if has_ids && lies == Lies::InPlace {
            relabel(top.path(), &packed);
        }
        Some(Self {
            server: TestServer::over(top),
            facts: packed["facts"].clone(),
        })
    }

    fn of(&self, name: &str) -> Client {
        self.server.stranger().signed_in(name, PASSWORD)
    }

    fn fact(&self, pointer: &str) -> &str {
        self.facts.pointer(pointer).unwrap().as_str().unwrap()
    }

    fn link(&self, name: &str, method: &str, rest: &str) -> Reply {
        self.server
            .stranger()
            .raw(
                method,
                &format!("/s/{}{rest}", self.fact(&format!("/links/{name}"))),
            )
            .send()
    }
}

fn list(client: &Client, path: &str) -> Vec<Value> {
    client.api("GET", path, &Value::Null).is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

/// The former contents of a file, oldest first.
fn former(client: &Client, path: &str) -> Vec<String> {
    let versions = list(client, &format!("/versions?path={path}"));
    let mut ids: Vec<&str> = versions
        .iter()
        .map(|version| version["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let read = |id| {
        client
            .raw(
                "GET",
                &format!("/api/v1/versions/content?path={path}&id={id}"),
            )
            .send()
            .is(200)
            .text()
    };
    ids.into_iter().map(read).collect()
}

#[track_caller]
fn has_files(former: &Former) {
    let (ana, ben) = (former.of("ana"), former.of("ben"));
    for (path, content) in [
        ("/docs/a.txt", "third"),
        ("/docs/deep/b.txt", "deep"),
        ("/docs/moved.txt", "m"),
        ("/docs/from-ben.txt", "by ben"),
        ("/single.txt", "three"),
        ("/café.txt", "accent"),
        ("/plain.txt", "never overwritten"),
        ("/Team folders/Plans/ours.txt", "ours 2"),
    ] {
        ana.holds(path, content);
    }
    for (path, content) in [
        ("/Team folders/Plans/ours.txt", "ours 2"),
        ("/Shared with me/docs/a.txt", "third"),
        ("/Shared with me/docs/deep/b.txt", "deep"),
        ("/Shared with me/single.txt", "three"),
    ] {
        ben.holds(path, content);
    }
    assert!(
        ana.props(
            "/docs/a.txt",
            "0",
            "<x:color xmlns:x=\"http://example.org/x/\"/>"
        )
        .is(207)
        .text()
        .contains("blue")
    );
    let large = ana
        .props("/docs", "0", "<x:big xmlns:x=\"http://example.org/x/\"/>")
        .is(207)
        .text();
    assert!(large.contains(&"y".repeat(3000)));
}

/// Versions, and the trash, which this empties.
#[track_caller]
fn has_history(former_data: &Former) {
    let ana = former_data.of("ana");
    // Versions and trash, of which each file has its own.
    assert_eq!(former(&ana, "docs/a.txt"), ["first", "second"]);
    assert_eq!(former(&ana, "single.txt"), ["one", "two"]);
    assert_eq!(former(&ana, "plain.txt"), Vec::<String>::new());
    let trash = list(&ana, "/trash");
    let mut paths: Vec<&str> = trash
        .iter()
        .map(|item| item["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/gone.txt", "/gone.txt", "/old"]);
    let mut gone = Vec::new();
    for item in trash {
        let back = ana.api(
            "POST",
            &format!("/trash/{}/restore", item["id"].as_str().unwrap()),
            &json!({}),
        );
        let path = back.is_any(&[200, 201]).json()["path"]
            .as_str()
            .unwrap()
            .to_owned();
        if item["path"] != "/old" {
            gone.push((
                ana.get(&path).is(200).text(),
                former(&ana, &url(&path[1..])),
            ));
        }
    }
    ana.holds("/old/inside.txt", "inside 2");
    assert_eq!(former(&ana, "old/inside.txt"), ["inside 1"]);
    gone.sort();
    assert_eq!(
        gone,
        [
            ("gone 2".to_owned(), vec!["gone 1".to_owned()]),
            ("gone again".to_owned(), Vec::new())
        ]
    );
}

/// Quota, group, team folder, and what lets others in.
#[track_caller]
fn has_state(former_data: &Former) {
    let (ana, root) = (former_data.of("ana"), former_data.of("root"));
    assert_eq!(
        ana.api("GET", "/me", &Value::Null).is(200).json()["quota"],
        10 << 20
    );
    assert_eq!(
        root.api("GET", "/accounts/root", &Value::Null)
            .is(200)
            .json()["role"],
        "admin"
    );
    assert!(
        root.api("GET", "/groups", &Value::Null)
            .is(200)
            .text()
            .contains("crew")
    );
    assert_eq!(list(&root, "/team-folders")[0]["quota"], 1_000_000);
    // Links.
    assert_eq!(
        former_data.link("download", "GET", "/file").is(200).text(),
        "never overwritten"
    );
    assert_eq!(
        former_data.link("file", "GET", "/file").is(200).text(),
        "three"
    );
    let edit = format!("/s/{}/dav/deep/b.txt", former_data.fact("/links/edit"));
    former_data
        .server
        .stranger()
        .raw("GET", &edit)
        .send()
        .is(401);
    former_data
        .server
        .stranger()
        .signed_in("guest", "seaside")
        .raw("GET", &edit)
        .send()
        .is(200);
    former_data.link("drop", "GET", "").is(200);
    // The app password, for its folder.
    let phone = former_data
        .server
        .stranger()
        .signed_in("ana", former_data.fact("/app_password"));
    phone.holds("/deep/b.txt", "deep");
    phone.lacks("/single.txt");
}

/// What is under way goes on, and what is saved anew or moved from now on keeps what is bound to it, over a restart, too.
#[track_caller]
fn goes_on(mut former_data: Former) {
    let (ana, ben) = (former_data.of("ana"), former_data.of("ben"));
    // The lock holds for who has its token.
    ben.put("/Shared with me/docs/a.txt", "x").is(423);
    let token = format!("(<{}>)", former_data.fact("/lock"));
    ana.put("/docs/a.txt", "x").is(423);
    ana.request("PUT", "/docs/a.txt")
        .header("If", &token)
        .body("fourth")
        .send()
        .is(204);
    ben.holds("/Shared with me/docs/a.txt", "fourth");
    assert_eq!(former(&ana, "docs/a.txt"), ["first", "second", "third"]);
    // The upload goes on.
    let at = former_data.fact("/upload").to_owned();
    let tus = |method: &str| ana.raw(method, &at).header("Tus-Resumable", "1.0.0");
    assert_eq!(
        tus("HEAD").send().is(200).header("upload-offset"),
        Some("10")
    );
    let part = tus("PATCH")
        .header("Upload-Offset", "10")
        .header("Content-Type", "application/offset+octet-stream");
    part.body("abcdefghijklmnopqrst").send().is(204);
    ana.holds("/docs/film.bin", "0123456789abcdefghijklmnopqrst");
    ana.request("PUT", "/docs/a.txt")
        .header("If", &token)
        .body("third")
        .send()
        .is(204);
    ana.store("/single.txt", "three");
    drop((ana, ben));
    former_data.server = former_data.server.restart();
    has_files(&former_data);
    former_data
        .of("ana")
        .transfer("MOVE", "/single.txt", "/moved.txt")
        .send()
        .is(201);
    former_data
        .of("ben")
        .holds("/Shared with me/moved.txt", "three");
    // The same content again is no version.
    assert_eq!(former(&former_data.of("ana"), "moved.txt"), ["one", "two"]);
}

#[track_caller]
fn has_everything(fixture: &str, lies: Lies) {
    let Some(former_data) = Former::open(fixture, lies) else {
        return;
    };
    has_files(&former_data);
    has_history(&former_data);
    has_state(&former_data);
    goes_on(former_data);
}

#[test]
fn everything_of_a_data_folder_from_before_files_had_ids_is_there() {
    has_everything(BEFORE_FILE_IDS, Lies::InPlace);
}

#[test]
fn everything_of_a_data_folder_from_before_tls_is_there() {
    has_everything(BEFORE_TLS, Lies::InPlace);
}

#[test]
fn everything_of_a_copy_of_a_data_folder_from_before_tls_is_there() {
    has_everything(BEFORE_TLS, Lies::Copied);
}

#[test]
fn second_factors_invites_removed_accounts_and_large_properties_from_before_tls_are_there() {
    let Some(former_data) = Former::open(BEFORE_TLS, Lies::InPlace) else {
        return;
    };
    let stranger = former_data.server.stranger();
    let sign_in = |code: Option<&str>| {
        stranger.api(
            "POST",
            "/login",
            &json!({"name": "cia", "password": PASSWORD, "code": code}),
        )
    };
    sign_in(None).is(401);
    sign_in(Some(former_data.fact("/recovery_code"))).is(200);
    sign_in(Some(former_data.fact("/recovery_code"))).is(401);
    let wish = json!({"name": "eve", "password": "green kettle 78", "invite": former_data.fact("/invite")});
    stranger.api("POST", "/register", &wish).is(201);
    stranger
        .signed_in("eve", "green kettle 78")
        .holds("/Team folders/Plans/ours.txt", "ours 2");
    let removed = list(&former_data.of("root"), "/removed-files");
    assert_eq!(removed.len(), 1, "{removed:?}");
    let back = format!(
        "/removed-files/{}/restore",
        removed[0]["id"].as_str().unwrap()
    );
    former_data
        .of("root")
        .api("POST", &back, &json!({"to": {"home": "ben"}}))
        .is_any(&[200, 201, 204]);
    former_data.of("ben").holds("/left.txt", "left behind");
    let ana = former_data.of("ana");
    let huge = ana
        .props(
            "/plain.txt",
            "0",
            "<x:huge xmlns:x=\"http://example.org/x/\"/>",
        )
        .is(207)
        .text();
    assert!(huge.contains(&"z".repeat(5000)));
}

#[test]
fn hashes_hold_and_nothing_is_found_wrong() {
    for fixture in [BEFORE_FILE_IDS, BEFORE_TLS] {
        has_sound_trees(fixture);
    }
}

#[track_caller]
fn has_sound_trees(fixture: &str) {
    let Some(former_data) = Former::open(fixture, Lies::InPlace) else {
        return;
    };
    let home = former_data.server.home("ana");
    let before = LocalTree::scrub_at(&home).unwrap();
    assert_eq!(
        (before.new, before.damaged.len(), before.unreadable.len()),
        (0, 0, 0),
        "{before:?}"
    );
    assert!(before.files > 10, "{before:?}");
    has_files(&former_data);
    for tree in [home.clone(), former_data.server.data().join("teams/Plans")] {
        let found = check_tree(
            &tree,
            TreeCheckOptions {
                served: true,
                repair: None,
            },
        )
        .unwrap()
        .findings;
        assert!(found.is_empty(), "{found:?}");
        let after = LocalTree::scrub_at(&tree).unwrap();
        assert_eq!((after.new, after.damaged), (0, Vec::new()));
    }
    fs::write(home.join("plain.txt"), "NEVER overwritten").unwrap();
    let kept = LocalTree::scrub_at(&home).unwrap();
    assert_eq!(
        (kept.new, kept.damaged.len()),
        (1, 0),
        "it was changed, not damaged"
    );
}

#[test]
fn what_was_bound_to_inodes_shows_nothing_elsewhere_and_all_else_is_there() {
    let Some((top, packed)) = unpack(BEFORE_FILE_IDS) else {
        return;
    };
    let former_data = Former {
        server: TestServer::over(top),
        facts: packed["facts"].clone(),
    };
    let (ana, ben) = (former_data.of("ana"), former_data.of("ben"));
    ana.holds("/docs/a.txt", "third");
    assert_eq!(former(&ana, "docs/a.txt"), ["first", "second"]);
    ben.lacks("/Shared with me/docs");
    former_data.link("edit", "GET", "").is_any(&[401, 404]);
    // What is shared anew is there.
    let wish = json!({"path": "/docs/deep", "to": {"account": "ben"}, "rights": "view"});
    ana.api("POST", "/shares", &wish).is(201);
    ben.holds("/Shared with me/deep/b.txt", "deep");
}

/// Puts other texts under keys of the state, which have to be as they are expected: key, text that is there, text that shall be.
async fn swap(data: &Path, changes: &[[String; 3]]) {
    let store = SledStore::open(&data.join("state")).unwrap();
    let mut batch = Batch::new();
    for [key, there, wanted] in changes {
        assert_eq!(
            store.get(key).await.unwrap().as_ref(),
            Some(there),
            "{key} stays as it was"
        );
        batch = batch.put(key, wanted);
    }
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
}

/// One record of each kind that has a version: kind to key and text.
async fn one_of_each_kind(data: &Path) -> BTreeMap<String, (String, String)> {
    let store = SledStore::open(&data.join("state")).unwrap();
    let records = store.scan("", "", 1000).await.unwrap();
    store.close().await.unwrap();
    let has_version =
        |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|record| record["v"].is_u64());
    let versioned = records.into_iter().filter(|(_, text)| has_version(text));
    versioned
        .map(|(key, text)| (key.split('/').next().unwrap().to_owned(), (key, text)))
        .collect()
}

/// As what a program of later would leave to this one, if it were put in its place.
#[test]
fn what_a_newer_program_wrote_is_refused_in_words_and_nothing_is_lost() {
    let Some((top, packed)) = unpack(BEFORE_TLS) else {
        return;
    };
    let (data, runtime) = (top.path(), runtime());
    runtime.block_on(refresh(data, &packed, false));
    let kinds = runtime.block_on(one_of_each_kind(data));
    assert!(kinds.len() >= 12, "{:?}", kinds.keys());
    let config = Config {
        data_dir: data.to_owned(),
        ..Config::default()
    };
    let mut back = Vec::new();
    for (key, text) in kinds.into_values() {
        let mut record: Value = serde_json::from_str(&text).unwrap();
        record["v"] = json!(99);
        let newer = record.to_string();
        back.push([key.clone(), text.clone(), newer.clone()]);
        runtime.block_on(swap(data, &back));
        match runtime.block_on(App::open(config.clone())) {
            Err(Error::Corrupt(sentence)) => {
                assert!(
                    sentence.contains(&format!("{key} was written by a newer")),
                    "{sentence}"
                );
            }
            opened => panic!("{key}: {:?}", opened.err()),
        }
        back = vec![[key, newer, text]];
    }
    runtime.block_on(swap(data, &back));
    let former_data = Former {
        server: TestServer::over(top),
        facts: packed["facts"].clone(),
    };
    has_files(&former_data);
    has_history(&former_data);
    has_state(&former_data);
    goes_on(former_data);
}
