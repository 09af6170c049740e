//! Moves from one drive into another, with clients that save meanwhile, refusals and crashes in between: what was acknowledged is in
//! one place, whole.

use crate::harness::{Client, TestServer, poll};
use crate::program::{PASSWORD, Place, Serving};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

const TARGET: &str = "/Shared with me/in/d";

/// Ben lets ana change his folder.
fn share(ana: &Client, ben: &Client) {
    ben.mkcol("/in").is(201);
    let asked = json!({"path": "/in", "to": {"account": "ana"}, "rights": "edit"});
    ben.api("POST", "/shares", &asked).is(201);
    assert_eq!(ana.propfind("/Shared with me/in", "0").status, 207);
}

/// `/d` with so many files, and what is in them.
fn fill(ana: &Client, count: usize) -> BTreeMap<String, String> {
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/sub").is(201);
    let files: BTreeMap<_, _> = (0..count)
        .map(|n| {
            (
                if n % 2 == 0 {
                    format!("f{n}")
                } else {
                    format!("sub/f{n}")
                },
                format!("at first {n}"),
            )
        })
        .collect();
    for (name, text) in &files {
        ana.store(&format!("/d/{name}"), text);
    }
    files
}

/// The files below a folder on disk, and what is in them.
fn files_in(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(dir) else {
        return found;
    };
    for entry in entries.map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(
                files_in(&entry.path())
                    .into_iter()
                    .map(|(path, text)| (format!("{name}/{path}"), text)),
            );
        } else {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    found
}

/// Changes files in `/d` until that is refused, because it has moved away; `files` is then what was acknowledged. Tells after a few changes.
fn change_on(ana: &Client, files: &mut BTreeMap<String, String>, begun: &mpsc::Sender<()>) {
    for n in 0.. {
        if n == 12 {
            begun.send(()).unwrap();
        }
        let name = match n % 4 {
            0 => format!("f{}", n % 40 * 2),
            1 => format!("new {n}"),
            2 => format!("sub/f{}", n % 30 * 2 + 1),
            _ => format!("new {}", n - 2),
        };
        let text = format!("saved {n}");
        let reply = if n % 4 == 3 {
            ana.delete(&format!("/d/{name}"))
        } else {
            ana.put(&format!("/d/{name}"), &text)
        };
        match reply.status {
            201 | 204 if n % 4 == 3 => drop(files.remove(&name)),
            201 | 204 => drop(files.insert(name, text)),
            404 | 409 => return,
            status => panic!("{name}: {status}"),
        }
    }
}

#[test]
fn what_is_saved_while_a_folder_moves_into_another_drive_comes_along() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    share(&ana, &ben);
    let mut files = fill(&ana, 300);
    let (writer, mover) = (server.ana(), server.ana());
    let (begun, has_begun) = mpsc::channel();
    let mut changed = std::thread::scope(|scope| {
        let mover = scope.spawn(move || {
            has_begun.recv().expect("the writer is refused at once");
            mover.transfer("MOVE", "/d", TARGET).send().is(201)
        });
        change_on(&writer, &mut files, &begun);
        mover.join().unwrap();
        files
    });
    assert_eq!(files_in(&server.home("ben").join("in/d")), changed);
    ana.lacks("/d");
    let trashed = ana
        .api("GET", "/trash?limit=9", &json!(null))
        .is(200)
        .json();
    // A file that was deleted in the same moment may stand before it.
    let folder = trashed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["path"] == "/d")
        .expect("the folder");
    let id = folder["id"].as_str().unwrap().to_owned();
    assert_eq!(
        files_in(&server.home("ana").join(".sarang/trash/files").join(id)),
        changed
    );
    // That so much went is noted by a task of its own.
    assert!(poll(Duration::from_secs(5), || server
        .staged("ana")
        .is_empty()
        && server.staged("ben").is_empty()));
    // And back, over what stands there.
    ana.mkcol("/d").is(201);
    ana.transfer("MOVE", TARGET, "/d").send().is(204);
    changed.insert("last".to_owned(), "one".to_owned());
    ana.store("/d/last", "one");
    assert_eq!(files_in(&server.home("ana").join("d")), changed);
}

#[test]
fn a_file_saved_while_it_moves_into_another_drive_comes_along() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    share(&ana, &ben);
    for n in 0..20 {
        ana.store("/file", vec![b'0'; 3 << 20]);
        let (writer, mover) = (server.ana(), server.ana());
        let last = std::thread::scope(|scope| {
            let mover = scope.spawn(move || {
                mover
                    .transfer("MOVE", "/file", "/Shared with me/in/file")
                    .send()
            });
            let mut last = None;
            for save in 0.. {
                let text = format!("{n} {save}");
                match writer
                    .request("PUT", "/file")
                    .header("If-Match", "*")
                    .body(&text)
                    .send()
                    .status
                {
                    204 => last = Some(text),
                    412 => break,
                    status => panic!("{status}"),
                }
            }
            mover.join().unwrap().is_any(&[201, 204]);
            last
        });
        match last {
            Some(text) => ben.holds("/in/file", text),
            None => ben.holds("/in/file", vec![b'0'; 3 << 20]),
        }
    }
}

#[test]
fn a_move_into_another_drive_that_is_refused_leaves_the_source_where_it_was() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    share(&ana, &ben);
    let files = fill(&ana, 40);
    ana.store("/d/large", vec![b'x'; 100_000]);
    let app = server.app();
    server
        .block_on(app.auth.set_quota(
            &sarang::model::AccountName::parse("ben").unwrap(),
            Some(50_000),
        ))
        .unwrap();
    ana.transfer("MOVE", "/d", TARGET).send().is(507);
    ben.store("/in/d", "in the way");
    ana.delete("/d/large").is(204);
    ana.transfer("MOVE", "/d", TARGET)
        .header("Overwrite", "F")
        .send()
        .is(412);
    ben.holds("/in/d", "in the way");
    assert_eq!(files_in(&server.home("ana").join("d")), files);
    assert_eq!(
        files_in(&server.home("ana").join(".sarang/trash/files")).len(),
        1
    );
    assert_eq!(
        (server.staged("ana"), server.staged("ben")),
        (Vec::new(), Vec::new())
    );
}

/// The name is looked at only when the copy gets it, once the source is out of sight.
#[test]
fn a_move_that_is_refused_at_its_end_brings_the_source_back() {
    let server = TestServer::with(|config| config.drive.portable_names = true);
    let (ana, ben) = (server.ana(), server.ben());
    share(&ana, &ben);
    let files = fill(&ana, 4);
    ana.store("/file", "x");
    for source in ["/d", "/file"] {
        ana.transfer("MOVE", source, "/Shared with me/in/a:b")
            .send()
            .is(400);
    }
    assert_eq!(files_in(&server.home("ana").join("d")), files);
    ana.holds("/file", "x");
    let trashed = ana.api("GET", "/trash", &json!(null)).is(200).json();
    assert_eq!(trashed["items"], json!([]));
    assert!(poll(Duration::from_secs(5), || server
        .staged("ana")
        .is_empty()
        && server.staged("ben").is_empty()));
}

/// Ends the program in the middle of a move, at moments all over it.
#[test]
fn a_crash_in_a_move_into_another_drive_leaves_one_whole_tree() {
    let place = Place::new();
    place.add_ana();
    assert!(
        place
            .run(&["user", "add", "ben", "--password-stdin"], PASSWORD)
            .status
            .success()
    );
    let homes = place.path().join("sarang-data/homes");
    let ben = |serving: &Serving| serving.ana().signed_in("ben", PASSWORD);
    let mut serving = place.serve();
    share(&serving.ana(), &ben(&serving));
    let began = std::time::Instant::now();
    let files = fill(&serving.ana(), 60);
    let took = began.elapsed();
    let mut sides = [0; 2];
    // A busy machine moves more slowly than it stored the files: then until the move comes to its end.
    for n in 0..60_u32 {
        if n >= 16 && sides.iter().all(|count| *count > 0) {
            break;
        }
        let ana = serving.ana();
        let mover = std::thread::spawn(move || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                ana.transfer("MOVE", "/d", TARGET).send().status
            }))
            .ok()
        });
        std::thread::sleep(took * n / 12);
        serving.kill();
        let answered = mover.join().unwrap().is_some();
        serving = place.serve();
        // Opened at their first use.
        serving.ana().propfind("/", "0").is(207);
        ben(&serving).propfind("/", "0").is(207);
        let (here, there) = (
            files_in(&homes.join("ana/d")),
            files_in(&homes.join("ben/in/d")),
        );
        let trashed = files_in(&homes.join("ana/.sarang/trash/files"));
        let text = format!(
            "{n}: {} here, {} there, {} in the trash",
            here.len(),
            there.len(),
            trashed.len()
        );
        assert!(
            here == files || (here.is_empty() && there == files && trashed.len() == files.len()),
            "{text}"
        );
        assert!(there == files || there.is_empty() && !answered, "{text}");
        assert!(here.is_empty() || trashed.is_empty(), "{text}");
        for home in ["ana", "ben"] {
            assert_eq!(
                fs::read_dir(homes.join(home).join(".sarang/tmp"))
                    .unwrap()
                    .count(),
                0,
                "{text}"
            );
        }
        sides[usize::from(here.is_empty())] += 1;
        if here.is_empty() {
            serving.ana().api("DELETE", "/trash", &json!(null)).is(200);
            serving.ana().transfer("COPY", TARGET, "/d").send().is(201);
        }
        if !there.is_empty() {
            ben(&serving).delete("/in/d").is(204);
            ben(&serving).api("DELETE", "/trash", &json!(null)).is(200);
        }
    }
    assert!(
        sides.iter().all(|count| *count > 0),
        "all crashes left it on one side: {sides:?}"
    );
}
