//! Dead properties that are larger than an extended attribute may be: they follow their file wherever it goes, and nothing is left of them.

use crate::harness::{Client, NAME, TestServer, poll, url};
use crate::links;
use crate::program::{PASSWORD, Place, said};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const X: &str = "{http://example.org/x/}";

/// A value of so many bytes that can be told from others.
fn value(seed: usize, len: usize) -> String {
    let text = format!("{seed}.").repeat(len);
    text[..len].to_owned()
}

fn instruction(name: &str, value: &str) -> String {
    format!("<D:set><D:prop><x:{name}>{value}</x:{name}></D:prop></D:set>")
}

/// Sets a property; the status that it got.
#[track_caller]
fn set(client: &Client, path: &str, name: &str, value: &str) -> u16 {
    let answer = client
        .proppatch(path, &instruction(name, value))
        .send()
        .multistatus();
    answer.only().status_of(&format!("{X}{name}"))
}

#[track_caller]
fn has(client: &Client, path: &str, name: &str, wanted: &str) {
    let answer = client
        .props(
            path,
            "0",
            &format!("<x:{name} xmlns:x=\"http://example.org/x/\"/>"),
        )
        .multistatus();
    assert!(
        answer.only().value(&format!("{X}{name}")) == wanted,
        "{path} has another {name}, or none"
    );
}

fn overflow(home: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(home.join(".sarang/props")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Waits until so many overflow files are left.
#[track_caller]
fn comes_to(home: &Path, count: usize) {
    let is_so = || overflow(home).len() == count;
    assert!(
        poll(Duration::from_secs(20), is_so),
        "{} overflow files, not {count}",
        overflow(home).len()
    );
}

fn trash(client: &Client) -> Vec<Value> {
    client.raw("GET", "/api/v1/trash").send().is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn properties_up_to_64_kib_are_taken_and_above_it_the_sentence_says_so() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    ana.mkcol("/d").is(201);
    for path in [NAME, "/d"] {
        for len in [1, 3000, 4096, 5000, 20_000, 65_000, 65_536, 10] {
            assert_eq!(
                set(&ana, path, "big", &value(len, len)),
                200,
                "{path}: {len}"
            );
            has(&ana, path, "big", &value(len, len));
        }
        let reply = ana
            .proppatch(path, &instruction("big", &value(1, 65_537)))
            .send();
        assert_eq!(
            reply.multistatus().only().status_of(&format!("{X}big")),
            507
        );
        assert!(
            reply.text().contains("may have 64 KiB of values"),
            "{reply}"
        );
        has(&ana, path, "big", &value(10, 10));
        // Many small ones come to the same.
        for at in 0..16 {
            assert_eq!(
                set(&ana, path, &format!("p{at}"), &value(at, 4095)),
                200,
                "{path}: {at}"
            );
        }
        assert_eq!(set(&ana, path, "more", &value(1, 100)), 507, "{path}");
        has(&ana, path, "p15", &value(15, 4095));
        assert_eq!(set(&ana, path, "p3", ""), 200, "less is always taken");
    }
    ana.holds(NAME, "x");
    let listed = ana
        .props("/", "1", "<x:p7 xmlns:x=\"http://example.org/x/\"/>")
        .multistatus();
    for path in [NAME, "/d"] {
        assert_eq!(listed.at(path).value(&format!("{X}p7")), value(7, 4095));
    }
    comes_to(&server.home("ana"), 2);
    for path in [NAME, "/d"] {
        for name in (0..16).map(|at| format!("p{at}")).chain(["big".into()]) {
            ana.proppatch(
                path,
                &format!("<D:remove><D:prop><x:{name}/></D:prop></D:remove>"),
            )
            .send()
            .is(207);
        }
    }
    comes_to(&server.home("ana"), 0);
}

#[test]
fn they_go_where_their_file_goes() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let (file, folder) = (value(1, 30_000), value(2, 31_000));
    ana.mkcol("/a").is(201);
    ana.store("/a/f", "1");
    assert_eq!(
        (set(&ana, "/a", "d", &folder), set(&ana, "/a/f", "f", &file)),
        (200, 200)
    );
    let stand = |client: &Client, at: &str| {
        has(client, at, "d", &folder);
        has(client, &format!("{at}/f"), "f", &file);
    };
    ana.store("/a/f", "2");
    ana.store("/a/.f.tmp", "3");
    stand(&ana, "/a");
    ana.transfer("MOVE", "/a", "/b").send().is(201);
    stand(&ana, "/b");
    // A COPY is on its own: what happens to one does nothing to the other.
    ana.transfer("COPY", "/b", "/c").send().is(201);
    ana.delete("/b").is(204);
    for item in trash(&ana) {
        ana.raw(
            "DELETE",
            &format!("/api/v1/trash/{}", item["id"].as_str().unwrap()),
        )
        .send()
        .is_any(&[200, 204]);
    }
    comes_to(&server.home("ana"), 2);
    stand(&ana, "/c");
    // Into the trash and back, and over what stands there.
    ana.delete("/c").is(204);
    let id = trash(&ana)[0]["id"].as_str().unwrap().to_owned();
    ana.api("POST", &format!("/trash/{id}/restore"), &json!({}))
        .is(200);
    stand(&ana, "/c");
    // A former content comes back under the properties that the file has now.
    ana.store("/c/f", "4");
    let target = format!("/api/v1/versions?path={}", url("/c/f"));
    let versions = ana.raw("GET", &target).send().is(200).json();
    let version = versions["items"][0]["id"].as_str().unwrap().to_owned();
    ana.api(
        "POST",
        "/versions/restore",
        &json!({"path": "/c/f", "id": version}),
    )
    .is_any(&[200, 204]);
    stand(&ana, "/c");
    // Into another drive and back.
    let share = json!({"path": "/c", "to": {"account": "ben"}, "rights": "edit"});
    ana.api("POST", "/shares", &share).is(201);
    ben.transfer("COPY", "/Shared with me/c", "/mine")
        .send()
        .is(201);
    stand(&ben, "/mine");
    ben.transfer("MOVE", "/mine", "/Shared with me/c/back")
        .send()
        .is(201);
    stand(&ana, "/c/back");
    ana.transfer("COPY", "/c/back/f", "/c/g").send().is(201);
    has(&ana, "/c/g", "f", &file);
    drop((ana, ben));
    let server = server.restart();
    stand(&server.ana(), "/c");
    stand(&server.ana(), "/c/back");
}

#[test]
fn a_shallow_copy_onto_a_folder_replaces_them() {
    let server = TestServer::start();
    let ana = server.ana();
    for path in ["/a", "/b", "/none"] {
        ana.mkcol(path).is(201);
    }
    assert_eq!(
        (
            set(&ana, "/a", "v", &value(1, 9000)),
            set(&ana, "/b", "w", &value(2, 9000))
        ),
        (200, 200)
    );
    ana.transfer("COPY", "/a", "/b")
        .header("Depth", "0")
        .send()
        .is(204);
    has(&ana, "/b", "v", &value(1, 9000));
    comes_to(&server.home("ana"), 2);
    ana.transfer("COPY", "/none", "/b")
        .header("Depth", "0")
        .send()
        .is(204);
    assert_eq!(
        ana.props(
            "/b",
            "0",
            &format!("<x:v xmlns:x=\"{}\"/>", "http://example.org/x/")
        )
        .multistatus()
        .only()
        .status_of(&format!("{X}v")),
        404
    );
    comes_to(&server.home("ana"), 1);
    has(&ana, "/a", "v", &value(1, 9000));
}

/// A copy with all attributes, as administrators make it.
fn cp(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .args(["-a", "--reflink=never"])
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_copy_made_beside_the_server_shares_no_fate() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    ana.store("/one", "x");
    assert_eq!(set(&ana, "/one", "v", &value(1, 20_000)), 200);
    cp(&home.join("one"), &home.join("two"));
    has(&ana, "/two", "v", &value(1, 20_000));
    assert_eq!(set(&ana, "/one", "v", &value(2, 20_000)), 200);
    comes_to(&home, 2);
    has(&ana, "/two", "v", &value(1, 20_000));
    cp(&home.join("two"), &home.join("three"));
    ana.delete("/two").is(204);
    for item in trash(&ana) {
        ana.raw(
            "DELETE",
            &format!("/api/v1/trash/{}", item["id"].as_str().unwrap()),
        )
        .send()
        .is_any(&[200, 204]);
    }
    server.block_on(server.app().expire_history()).unwrap();
    has(&ana, "/three", "v", &value(1, 20_000));
    has(&ana, "/one", "v", &value(2, 20_000));
    assert_eq!(overflow(&home).len(), 2);
    // A name that leads elsewhere is none of ours.
    let status = Command::new("setfattr")
        .args([
            "-n",
            "user.sarang.props",
            "-v",
            "{\"file\":\"../../../etc/passwd\"}",
        ])
        .arg(home.join("three"))
        .status();
    if status.is_ok_and(|status| status.success()) {
        assert_eq!(ana.propfind("/three", "0").status, 500);
        ana.propfind("/", "1").is(207);
    }
}

fn used() -> Place {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve();
    let ana = serving.ana();
    ana.mkcol("/d").is(201);
    for path in ["/kept", "/lost", "/gone"] {
        ana.store(path, "1");
        ana.store(path, "2");
        assert_eq!(set(&ana, path, "v", &value(1, 20_000)), 200);
        assert_eq!(set(&ana, path, "v", &value(2, 20_000)), 200);
    }
    assert_eq!(set(&ana, "/d", "v", &value(2, 20_000)), 200);
    comes_to(&home(&place), 4);
    place
}

fn home(place: &Place) -> PathBuf {
    place.path().join("sarang-data/homes/ana")
}

fn check(place: &Place, arguments: &[&str]) -> (String, bool) {
    let output = place.run(&[&["check"], arguments].concat(), "");
    (
        String::from_utf8(output.stdout.clone()).unwrap() + &said(&output),
        output.status.success(),
    )
}

#[test]
fn a_check_finds_what_is_missing_and_what_nothing_names() {
    let place = used();
    let (text, clean) = check(&place, &[]);
    assert!(clean, "{text}");
    let before = overflow(&home(&place));
    fs::remove_file(home(&place).join("gone")).unwrap();
    let name = named_by(&home(&place).join("lost"));
    assert!(before.contains(&name));
    fs::remove_file(home(&place).join(".sarang/props").join(&name)).unwrap();
    let (text, clean) = check(&place, &[]);
    assert!(
        !clean && text.contains("the properties of \"lost\" are lost"),
        "{text}"
    );
    assert!(
        text.contains("1 files in .sarang/props keep properties of nothing"),
        "{text}"
    );
    let (text, _) = check(&place, &["--repair"]);
    assert!(text.matches("(repaired)").count() >= 2, "{text}");
    let (text, clean) = check(&place, &[]);
    assert!(clean, "{text}");
    let serving = place.serve();
    let ana = serving.ana();
    has(&ana, "/kept", "v", &value(2, 20_000));
    has(&ana, "/d", "v", &value(2, 20_000));
    assert_eq!(set(&ana, "/lost", "v", &value(3, 20_000)), 200);
}

/// The overflow file that the attribute of a file names.
fn named_by(file: &Path) -> String {
    let mut room = [0; 64];
    let len = rustix::fs::getxattr(file, "user.sarang.props", &mut room).unwrap();
    let text: Value = serde_json::from_slice(&room[..len]).unwrap();
    text["file"].as_str().unwrap().to_owned()
}

#[test]
fn a_backup_brings_them_back_and_takes_no_others_along() {
    let around = tempfile::TempDir::new().unwrap();
    let backups = around.path().join("backups");
    let place = used();
    fs::write(
        home(&place).join(".sarang/props/00000000000000000000000000000000"),
        "[]",
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let backup = || {
        let output = place.run(&["backup", backups.to_str().unwrap(), "--json"], PASSWORD);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let (first, second) = (backup(), backup());
    assert_eq!(
        (&first["tally"]["failures"], &second["tally"]["failures"]),
        (&json!([]), &json!([]))
    );
    assert!(second["tally"]["linked"].as_u64().unwrap() >= 7, "{second}");
    fs::remove_dir_all(place.path().join("sarang-data")).unwrap();
    let output = place.run(&["restore", backups.to_str().unwrap()], PASSWORD);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(overflow(&home(&place)).len(), 4);
    let (text, clean) = check(&place, &[]);
    assert!(clean, "{text}");
    let serving = place.serve();
    for path in ["/kept", "/lost", "/gone", "/d"] {
        has(&serving.ana(), path, "v", &value(2, 20_000));
    }
}

#[test]
fn a_killed_server_leaves_the_old_or_the_new_and_no_litter() {
    let place = used();
    for round in 0..6 {
        let mut serving = place.serve();
        let ana = serving.ana();
        let before = ana
            .props("/kept", "0", "<x:v xmlns:x=\"http://example.org/x/\"/>")
            .multistatus();
        let before = before.only().value(&format!("{X}v")).to_owned();
        let address = serving.address;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let ana = Client::new(address, Some(("ana", PASSWORD)));
                for seed in 0.. {
                    let body = instruction("v", &value(100 * round + seed, 40_000));
                    let request = ana.proppatch("/kept", &body);
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| request.send()))
                        .is_err()
                    {
                        break;
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(60 + 17 * round as u64));
            serving.kill();
        });
        let serving = place.serve();
        let after = serving
            .ana()
            .props("/kept", "0", "<x:v xmlns:x=\"http://example.org/x/\"/>")
            .multistatus();
        let after = after.only().value(&format!("{X}v")).to_owned();
        let seed = after
            .split('.')
            .next()
            .and_then(|seed| seed.parse().ok())
            .expect("the properties are lost");
        assert!(after == before || after == value(seed, 40_000), "a mix");
        comes_to(&home(&place), 4);
    }
}

/// They are bytes of the drive they lie in: nobody gets beyond its quota by them, also with files of no bytes.
#[test]
fn they_count_for_the_quota_of_whose_drive_it_is() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.mkcol("/d").is(201);
    for n in 0..6 {
        ana.store(&format!("/d/f{n}"), "");
    }
    let name = sarang::model::AccountName::parse("ana").unwrap();
    server
        .block_on(server.app().auth.set_quota(&name, Some(65_000)))
        .unwrap();
    ana.api(
        "POST",
        "/shares",
        &json!({"path": "/d", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    let link = format!(
        "/s/{}/dav",
        links::share(&ana, &json!({"path": "d", "rights": "edit"})).token
    );
    let by_link = |n: usize| {
        let body = format!(
            "<D:propertyupdate xmlns:D=\"DAV:\" xmlns:x=\"http://example.org/x/\">{}</D:propertyupdate>",
            instruction("big", &value(n, 20_000))
        );
        let reply = server
            .stranger()
            .raw("PROPPATCH", &format!("{link}/f{n}"))
            .xml(body)
            .send();
        reply.multistatus().only().status_of(&format!("{X}big"))
    };
    let used = || {
        ana.api("GET", "/me", &Value::Null).is(200).json()["used"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(set(&ana, "/d/f0", "big", &value(0, 20_000)), 200);
    if overflow(&server.home("ana")).is_empty() {
        println!("skipped: attributes of the file system are large");
        return;
    }
    assert_eq!(
        set(&ben, "/Shared with me/d/f1", "big", &value(1, 20_000)),
        200
    );
    assert_eq!(by_link(2), 200);
    assert!((60_000..65_000).contains(&used()), "{}", used());
    assert_eq!(
        (
            by_link(3),
            set(&ben, "/Shared with me/d/f4", "big", &value(4, 20_000))
        ),
        (507, 507)
    );
    assert_eq!(set(&ana, "/d/f5", "big", &value(5, 20_000)), 507);
    ana.put("/d/more", vec![b'x'; 10_000]).is(507);
    ana.transfer("COPY", "/d/f0", "/d/copy").send().is(507);
    ana.put("/d/f0", "x").is(204);
    // What is deleted for good makes room.
    ana.delete("/d").is(204);
    ana.raw("DELETE", "/api/v1/trash")
        .send()
        .is_any(&[200, 204]);
    assert!(poll(Duration::from_secs(20), || used() == 0), "{}", used());
}
