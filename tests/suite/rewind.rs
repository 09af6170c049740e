//! A folder as it was at a moment, out of its trash, its versions and the chronicle of its changes.

use crate::harness::{Client, LOCK_BODY, NAME, Reply, TestServer};
use sarang::model::{AccountName, time};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What lies in a home: paths, and contents of files.
type Tree = BTreeMap<String, Option<String>>;

fn tree(home: &Path) -> Tree {
    fn walk(dir: &Path, at: &str, tree: &mut Tree) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{at}/{}", entry.file_name().to_str().unwrap());
            if name == "/.sarang" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                tree.insert(name.clone(), None);
                walk(&entry.path(), &name, tree);
            } else {
                tree.insert(name, Some(std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Tree::new();
    walk(home, "", &mut found);
    found
}

/// This moment, to the nanosecond.
fn now() -> String {
    let now = SystemTime::now();
    let nanos = now.duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    time::iso_date(now).replace('Z', &format!(".{nanos:09}Z"))
}

fn post(client: &Client, target: &str, body: &Value) -> Reply {
    client
        .raw("POST", target)
        .header("Content-Type", "application/json")
        .body(body.to_string())
        .send()
}

fn ask(client: &Client, path: &str, to: &str, more: &Value) -> Reply {
    let mut body = json!({"path": path, "to": to});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    post(client, "/api/v1/rewind", &body)
}

/// The changes, as `change path`.
fn changes(reply: Reply) -> Vec<String> {
    let report = reply.is(200).json();
    assert_eq!(report["lost"], json!([]), "{report}");
    let line = |change: &Value| {
        format!(
            "{} {}",
            change["change"].as_str().unwrap(),
            change["path"].as_str().unwrap()
        )
    };
    let mut lines: Vec<String> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect();
    lines.sort();
    lines
}

fn rewind(client: &Client, path: &str, to: &str) -> Vec<String> {
    changes(ask(client, path, to, &json!({})))
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    /// Some path, one to three names deep.
    fn path(&mut self) -> String {
        let names = ["a", "b", "c", "dé", "e e%"];
        (0..=self.roll(3))
            .flat_map(|_| ["/", names[self.roll(names.len())]])
            .collect()
    }
}

/// One random change; many are refused, as they would be.
fn act(client: &Client, dice: &mut Dice, content: &str) {
    let (one, other) = (dice.path(), dice.path());
    match dice.roll(12) {
        0..3 => drop(client.mkcol(&one)),
        3..6 => drop(client.put(&one, content)),
        6 => drop(client.put(&one, "")),
        7 => drop(client.delete(&one)),
        8..10 => drop(client.transfer("MOVE", &one, &other).send()),
        10 => drop(client.transfer("COPY", &one, &other).send()),
        _ => {
            let items = client.raw("GET", "/api/v1/trash").send().is(200).json()["items"].clone();
            let items = items.as_array().unwrap();
            if !items.is_empty() {
                let id = items[dice.roll(items.len())]["id"].as_str().unwrap();
                post(client, &format!("/api/v1/trash/{id}/restore"), &json!({}));
            }
        }
    }
}

/// Twenty rounds of ten changes, with the tree recorded after each; then back and forth to every moment.
fn every_moment_comes_back(seed: u64, is_parallel: bool) {
    let server = TestServer::start();
    let ana = server.ana();
    let home = server.home("ana");
    ana.store("/a", "first");
    ana.props("/", "0", "<D:quota-used-bytes/>").is(207);
    let mut moments = vec![(now(), tree(&home))];
    for round in 0..20_u64 {
        let turn = |at: usize| {
            let client = server.ana();
            let mut dice = Dice(seed + round * 100 + at as u64);
            dice.roll(1);
            (0..if at == 0 { 4 } else { 3 })
                .for_each(|n| act(&client, &mut dice, &format!("{round} {at} {n}")));
        };
        if is_parallel {
            std::thread::scope(|scope| {
                for at in 0..3 {
                    let turn = &turn;
                    scope.spawn(move || turn(at));
                }
            });
        } else {
            (0..3).for_each(turn);
        }
        moments.push((now(), tree(&home)));
    }
    assert!(
        moments.iter().map(|(_, tree)| tree.len()).max().unwrap() > 8,
        "the changes do something"
    );
    let mut dice = Dice(seed);
    for _ in 0..20 {
        let (moment, then) = &moments[dice.roll(moments.len())];
        let done = rewind(&ana, "/", moment);
        assert_eq!(
            tree(&home),
            *then,
            "seed {seed}, back to {moment}: {done:?}"
        );
        let used = ana.props("/", "0", "<D:quota-used-bytes/>").multistatus();
        let sum: usize = then.values().flatten().map(String::len).sum();
        assert_eq!(
            used.only().value("quota-used-bytes"),
            sum.to_string(),
            "the books are right"
        );
        let again = changes(ask(&ana, "/", moment, &json!({"dry_run": true})));
        assert!(again.is_empty(), "seed {seed}: {again:?}");
    }
}

#[test]
fn every_moment_of_200_changes_comes_back() {
    for seed in [1, 2, 3, 4] {
        every_moment_comes_back(seed * 1_000_003, false);
    }
}

#[test]
fn every_moment_of_changes_at_once_comes_back() {
    every_moment_comes_back(77, true);
}

#[test]
fn a_dry_run_says_what_would_change_and_chosen_items_come_back_alone() {
    let server = TestServer::start();
    let ana = server.ana();
    let home = server.home("ana");
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/sub").is(201);
    for name in ["/d/gone", "/d/moved", "/d/sub/x", &format!("/d{NAME}")] {
        ana.store(name, "old");
    }
    let (moment, then) = (now(), tree(&home));
    ana.delete("/d/gone").is(204);
    ana.transfer("MOVE", "/d/moved", "/d/sub/elsewhere")
        .send()
        .is(201);
    ana.store(&format!("/d{NAME}"), "new");
    ana.store("/d/later", "later");
    ana.store("/beside", "stays");
    let (changed, expected) = (
        tree(&home),
        [
            "discarded /d/later",
            "moved /d/moved",
            "restored /d/gone",
            &format!("reverted /d{NAME}"),
        ]
        .map(str::to_owned),
    );
    let dry = changes(ask(&ana, "/d", &moment, &json!({"dry_run": true})));
    let mut sorted = expected.to_vec();
    sorted.sort();
    assert_eq!(dry, sorted);
    assert_eq!(tree(&home), changed, "a dry run changes nothing");
    let only = json!({"only": ["/d/gone", "/d/later"]});
    assert_eq!(
        changes(ask(&ana, "/d", &moment, &only)),
        ["discarded /d/later", "restored /d/gone"]
    );
    ana.holds("/d/gone", "old");
    ana.holds("/d/sub/elsewhere", "old");
    assert_eq!(
        rewind(&ana, "/d", &moment),
        ["moved /d/moved".to_owned(), format!("reverted /d{NAME}")]
    );
    let mut with_beside = then;
    with_beside.insert("/beside".into(), Some("stays".into()));
    assert_eq!(tree(&home), with_beside);
    ask(&ana, "/beside", &moment, &json!({})).is(404);
    ask(&ana, "/", "2999-01-01T00:00:00Z", &json!({})).is(422);
    ask(&ana, "/", "yesterday", &json!({})).is(422);
    ask(&ana, "/d", &moment, &json!({"only": ["/beside"]})).is(422);
}

#[test]
fn a_rewind_is_rewound() {
    let server = TestServer::start();
    let ana = server.ana();
    let home = server.home("ana");
    ana.store("/x", "one");
    let first = now();
    ana.store("/x", "two");
    ana.mkcol("/new").is(201);
    ana.store("/new/y", "y");
    ana.transfer("MOVE", "/x", "/new/x").send().is(201);
    let (second, then) = (now(), tree(&home));
    rewind(&ana, "/", &first);
    assert_eq!(tree(&home), Tree::from([("/x".into(), Some("one".into()))]));
    rewind(&ana, "/", &second);
    assert_eq!(tree(&home), then);
    let server = server.restart();
    rewind(&server.ana(), "/", &first);
    assert_eq!(tree(&home), Tree::from([("/x".into(), Some("one".into()))]));
}

#[test]
fn a_lock_or_the_quota_refuses_before_anything_changes() {
    let server = TestServer::start();
    let ana = server.ana();
    let home = server.home("ana");
    ana.store("/big", vec![b'x'; 600]);
    ana.mkcol("/d").is(201);
    ana.store("/d/x", "one");
    let moment = now();
    ana.store("/d/x", "two");
    ana.delete("/big").is(204);
    ana.store("/other", vec![b'x'; 600]);
    ana.store("/z", "z");
    let changed = tree(&home);
    let token = ana.lock("/d/x").send().is(200).token();
    ask(&ana, "/", &moment, &json!({})).is(423);
    assert_eq!(tree(&home), changed);
    // Another's token, or none that is, opens nothing.
    ana.raw("POST", "/api/v1/rewind")
        .header("Content-Type", "application/json")
        .header("Lock-Token", "<urn:uuid:0>")
        .body(json!({"path": "/", "to": moment}).to_string())
        .send()
        .is(423);
    assert_eq!(tree(&home), changed);
    ana.unlock("/d/x", &token).is(204);
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), Some(1000)),
        )
        .unwrap();
    ask(&ana, "/", &moment, &json!({"only": ["/big", "/z"]})).is(507);
    assert_eq!(tree(&home), changed);
    rewind(&ana, "/", &moment);
    ana.holds("/d/x", "one");
    ana.lacks("/other");
}

#[test]
fn a_lock_on_a_folder_refuses_before_anything_in_it_changes() {
    let server = TestServer::start();
    let ana = server.ana();
    let home = server.home("ana");
    ana.mkcol("/d").is(201);
    ana.store("/x", "one");
    let moment = now();
    ana.transfer("MOVE", "/x", "/d/x").send().is(201);
    // What makes way for the other first.
    ana.store("/x", "two");
    let changed = tree(&home);
    for depth in ["0", "infinity"] {
        let token = ana
            .request("LOCK", "/d")
            .header("Depth", depth)
            .xml(LOCK_BODY)
            .send()
            .is(200)
            .token();
        ask(&ana, "/", &moment, &json!({})).is(423);
        assert_eq!(tree(&home), changed, "{depth}");
        ana.unlock("/d", &token).is(204);
    }
    rewind(&ana, "/", &moment);
    ana.holds("/x", "one");
}

#[test]
fn what_fits_in_the_end_is_not_refused_on_the_way() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", vec![b'x'; 600]);
    ana.store("/b", "one");
    let moment = now();
    ana.delete("/a").is(204);
    ana.store("/b", vec![b'x'; 600]);
    let app = server.app();
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), Some(1000)),
        )
        .unwrap();
    assert_eq!(rewind(&ana, "/", &moment), ["restored /a", "reverted /b"]);
    ana.holds("/b", "one");
}

#[test]
fn what_is_shared_is_its_owners_to_rewind() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/d").is(201);
    ana.store("/d/x", "one");
    let share = json!({"path": "/d", "to": {"account": "ben"}, "rights": "edit"});
    post(&ana, "/api/v1/shares", &share).is(201);
    let moment = now();
    ben.store("/Shared with me/d/x", "of ben");
    ask(&ben, "/Shared with me/d", &moment, &json!({})).is(403);
    ask(&ben, "/d", &moment, &json!({})).is(404);
    assert_eq!(rewind(&ana, "/d", &moment), ["reverted /d/x"]);
    ben.holds("/Shared with me/d/x", "one");
    let moment = now();
    ana.transfer("MOVE", "/d", "/e").send().is(201);
    rewind(&ana, "/", &moment);
    ben.holds("/Shared with me/d/x", "one");
}

#[test]
fn a_torn_line_and_what_was_purged_are_told() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "one");
    ana.store("/y", "y");
    let moment = now();
    ana.delete("/x").is(204);
    let log = server.home("ana").join(".sarang/history.log");
    let server = server.restart();
    let mut text = std::fs::read(&log).unwrap();
    text.extend(b"{\"at\":17,\"ev");
    std::fs::write(&log, text).unwrap();
    let ana = server.ana();
    ana.delete("/y").is(204);
    assert_eq!(
        changes(ask(&ana, "/", &moment, &json!({"dry_run": true}))),
        ["restored /x", "restored /y"]
    );
    let whole = std::fs::read(&log).unwrap();
    // What the chronicle does not tell of, the trash does, to the second.
    std::fs::remove_file(&log).unwrap();
    let early = time::iso_date(SystemTime::now() - std::time::Duration::from_secs(60));
    assert_eq!(
        changes(ask(&ana, "/", &early, &json!({"dry_run": true}))),
        ["restored /x", "restored /y"]
    );
    std::fs::write(&log, &whole).unwrap();
    let items = ana.raw("GET", "/api/v1/trash").send().is(200).json()["items"].clone();
    ana.raw(
        "DELETE",
        &format!("/api/v1/trash/{}", items[1]["id"].as_str().unwrap()),
    )
    .send()
    .is(204);
    let report = ask(&ana, "/", &moment, &json!({})).is(200).json();
    assert_eq!(
        (&report["lost"], &report["changes"][0]["path"]),
        (&json!(["/x"]), &"/y".into()),
        "{report}"
    );
    assert!(report["since"].as_str().unwrap().starts_with("20"));
    ana.holds("/y", "y");
}

#[test]
fn a_save_that_changed_nothing_is_nothing_to_take_back() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/x", "one");
    let then = now();
    ana.store("/x", "one");
    assert_eq!(
        changes(ask(&ana, "", &then, &json!({"dry_run": true}))),
        [""; 0]
    );
    ana.store("/x", "two");
    assert_eq!(changes(ask(&ana, "", &then, &json!({}))).len(), 1);
    ana.holds("/x", "one");
}

#[test]
fn what_a_rewind_replaces_is_kept_with_versions_off_too() {
    let server = TestServer::with(|config| config.history.versions = false);
    let ana = server.ana();
    ana.store("/new.docx", "");
    let before = now();
    ana.put("/new.docx", "a day of work").is(204);
    let after = now();
    assert_eq!(
        changes(ask(&ana, "/", &before, &json!({}))),
        ["reverted /new.docx"]
    );
    ana.holds("/new.docx", "");
    assert_eq!(
        changes(ask(&ana, "/", &after, &json!({}))),
        ["reverted /new.docx"]
    );
    ana.holds("/new.docx", "a day of work");
}
