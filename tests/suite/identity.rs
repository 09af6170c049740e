//! A file is itself, whatever it is called, holds and lies on: what is bound to it stays so, and a copy is another file.

use crate::harness::{Client, TestServer, propfind_body};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[track_caller]
fn share(ana: &Client, path: &str) {
    let body = json!({"path": path, "to": {"account": "ben"}, "rights": "edit"});
    ana.api("POST", "/shares", &body).is(201);
}

#[track_caller]
fn link(ana: &Client, path: &str) -> String {
    let made = ana
        .api("POST", "/links", &json!({"path": path, "rights": "view"}))
        .is(201)
        .json();
    made["token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn versions(ana: &Client, path: &str) -> Vec<Value> {
    let reply = ana
        .raw("GET", &format!("/api/v1/versions?path={path}"))
        .send()
        .is(200);
    reply.json()["items"].as_array().unwrap().clone()
}

/// Deletes something, and empties the trash.
fn purge(ana: &Client, path: &str) {
    ana.delete(path).is(204);
    ana.raw("DELETE", "/api/v1/trash")
        .send()
        .is_any(&[200, 204]);
}

fn etag(client: &Client, path: &str) -> String {
    client.head(path).is(200).header("etag").unwrap().to_owned()
}

fn run(program: &str, arguments: &[&str], paths: [&Path; 2]) {
    assert!(
        Command::new(program)
            .args(arguments)
            .args(paths)
            .status()
            .unwrap()
            .success(),
        "{program}"
    );
}

#[test]
fn a_shared_file_stays_shared_however_many_save_it_at_once() {
    let server = TestServer::start();
    let ana = server.ana();
    let files: Vec<String> = (0..6).map(|number| format!("/file {number}")).collect();
    for file in &files {
        ana.store(file, "0");
        share(&ana, file);
    }
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (server, files) = (&server, &files);
            scope.spawn(move || {
                let (ana, ben) = (server.ana(), server.ben());
                for round in 0..5 {
                    for file in files {
                        let body = format!("{writer} {round}");
                        match writer {
                            0 => ben
                                .put(&format!("/Shared with me{file}"), body)
                                .is_any(&[204]),
                            _ => ana.put(file, body).is_any(&[204]),
                        };
                    }
                }
            });
        }
    });
    for file in &files {
        let body = ana.get(file).is(200).text();
        server.ben().holds(&format!("/Shared with me{file}"), body);
    }
}

#[test]
fn a_share_follows_its_file_in_the_step_that_moves_it() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    for folder in ["/one", "/two"] {
        ana.mkcol(folder).is(201);
    }
    ana.store("/one/file", "x");
    share(&ana, "/one/file");
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let ana = server.ana();
            for round in 0..60 {
                let (from, to) = if round % 2 == 0 {
                    ("one", "two")
                } else {
                    ("two", "one")
                };
                ana.transfer("MOVE", &format!("/{from}/file"), &format!("/{to}/file"))
                    .send()
                    .is(201);
            }
        });
        let rename = |name: &str| {
            let share = &ben
                .raw("GET", "/api/v1/shares/incoming")
                .send()
                .is(200)
                .json()["items"][0];
            let id = share["id"].as_str().map(str::to_owned);
            id.map(|id| {
                ben.api("PATCH", &format!("/shares/{id}"), &json!({"name": name}))
                    .is_any(&[204, 404])
            })
        };
        while !mover.is_finished() {
            // What a receiver changes meanwhile does not set the path back.
            rename("renamed");
            rename("file");
        }
        mover.join().unwrap();
    });
    ben.holds("/Shared with me/file", "x");
    // After the restart it must be known where it has come to lie.
    ana.transfer("MOVE", "/one/file", "/two/file")
        .send()
        .is(201);
    ben.holds("/Shared with me/file", "x");
    drop((ana, ben));
    let server = server.restart();
    server.ben().holds("/Shared with me/file", "x");
}

#[test]
fn all_is_as_it_was_on_another_disk() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/folder").is(201);
    for path in ["/folder/inner", "/file", "/gone"] {
        ana.store(path, "first");
        ana.store(path, "second one");
    }
    ana.request("PUT", "/old")
        .header("X-OC-Mtime", "1000000000")
        .body("old")
        .send()
        .is(201);
    for path in ["/folder", "/file"] {
        share(&ana, path);
    }
    let links = ["/folder", "/file"].map(|path| link(&ana, path));
    ana.delete("/gone").is(204);
    let files = ["/folder/inner", "/file", "/old"];
    let tags = files.map(|path| etag(&ana, path));
    let inode = |server: &TestServer| {
        std::fs::metadata(server.home("ana").join("file"))
            .map(|f| std::os::unix::fs::MetadataExt::ino(&f))
            .unwrap()
    };
    let before = inode(&server);
    drop(ana);
    let server = server.on_another_disk();
    assert_ne!(inode(&server), before);
    let (ana, ben) = (server.ana(), server.ben());
    assert_eq!(files.map(|path| etag(&ana, path)), tags);
    ben.holds("/Shared with me/folder/inner", "second one");
    ben.holds("/Shared with me/file", "second one");
    for token in &links {
        server
            .stranger()
            .raw("PROPFIND", &format!("/s/{token}/dav/"))
            .header("Depth", "0")
            .xml(propfind_body("<D:getetag/>"))
            .send()
            .is(207);
    }
    assert_eq!(versions(&ana, "/file").len(), 1);
    assert_eq!(versions(&ana, "/folder/inner").len(), 1);
    let gone = ana.raw("GET", "/api/v1/trash").send().is(200).json()["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    ana.api("POST", &format!("/trash/{gone}/restore"), &json!({}))
        .is_any(&[200, 204]);
    assert_eq!(versions(&ana, "/gone").len(), 1);
    // And it goes on: a save keeps what is bound, a purge takes the versions along.
    ana.store("/file", "third");
    ben.holds("/Shared with me/file", "third");
    assert_eq!(versions(&ana, "/file").len(), 2);
    purge(&ana, "/gone");
    assert_eq!(
        std::fs::read_dir(server.home("ana").join(".sarang/versions"))
            .unwrap()
            .count(),
        2
    );
}

#[test]
fn a_copy_made_beside_the_server_has_a_history_of_its_own() {
    for (program, arguments) in [("cp", &["-a"][..]), ("ln", &[])] {
        let server = TestServer::start();
        let (ana, ben, home) = (server.ana(), server.ben(), server.home("ana"));
        for content in ["first", "second"] {
            ana.store("/file", content);
        }
        share(&ana, "/file");
        let copy = |name: &str| run(program, arguments, [&home.join("file"), &home.join(name)]);
        copy("deleted");
        copy("saved");
        copy("replaced");
        purge(&ana, "/deleted");
        assert_eq!(
            versions(&ana, "/file").len(),
            1,
            "{program}: the original's versions went with the copy"
        );
        ana.store("/saved", "by itself");
        assert!(!versions(&ana, "/saved").is_empty());
        assert_eq!(
            versions(&ana, "/file").len(),
            1,
            "{program}: a save of the copy is a version of the original"
        );
        purge(&ana, "/saved");
        ana.store("/other", "other");
        ana.transfer("MOVE", "/other", "/replaced").send().is(204);
        ana.raw("DELETE", "/api/v1/trash")
            .send()
            .is_any(&[200, 204]);
        assert_eq!(versions(&ana, "/file").len(), 1, "{program}");
        ana.store("/file", "third");
        assert_eq!(versions(&ana, "/file").len(), 2, "{program}");
        ben.holds("/Shared with me/file", "third");
    }
}

#[test]
fn the_original_can_go_and_its_copy_keeps_what_is_its_own() {
    for (program, arguments) in [("cp", &["-a"][..]), ("ln", &[])] {
        let server = TestServer::start();
        let (ana, home) = (server.ana(), server.home("ana"));
        for content in ["first", "second"] {
            ana.store("/file", content);
        }
        run(program, arguments, [&home.join("file"), &home.join("copy")]);
        ana.store("/copy", "its own");
        let kept = versions(&ana, "/copy").len();
        purge(&ana, "/file");
        assert_eq!(versions(&ana, "/copy").len(), kept, "{program}");
        ana.holds("/copy", "its own");
    }
}

#[test]
fn a_file_that_is_moved_onto_a_copy_of_it_takes_its_place() {
    let server = TestServer::start();
    let (ana, ben, home) = (server.ana(), server.ben(), server.home("ana"));
    for content in ["first", "second"] {
        ana.store("/file", content);
    }
    share(&ana, "/file");
    // With the same time and length, and so the same tag.
    run("cp", &["-a"], [&home.join("file"), &home.join("copy")]);
    assert_eq!(etag(&ana, "/file"), etag(&ana, "/copy"));
    ana.transfer("MOVE", "/file", "/copy").send().is(204);
    ana.lacks("/file");
    assert_eq!(versions(&ana, "/copy").len(), 1);
    ben.holds("/Shared with me/copy", "second");
    let trash = ana.raw("GET", "/api/v1/trash").send().is(200).json();
    assert_eq!(trash["items"][0]["path"], "/copy");
}

#[test]
fn a_copy_through_the_server_is_another_file_and_a_restored_one_is_the_same() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store("/file", "first");
    ana.store("/file", "second");
    share(&ana, "/file");
    ana.transfer("COPY", "/file", "/copy").send().is(201);
    assert!(versions(&ana, "/copy").is_empty());
    ana.delete("/file").is(204);
    ana.transfer("MOVE", "/copy", "/file").send().is(201);
    ben.lacks("/Shared with me/file");
}

#[test]
fn no_tag_comes_again_for_another_content() {
    let server = TestServer::start();
    let ana = server.ana();
    let mut seen = std::collections::HashSet::new();
    for round in 0..40 {
        // Of one length, at one second that the client sets, or now.
        let request = ana.request("PUT", "/file").body(format!("{round:04}"));
        let request = if round % 2 == 0 {
            request.header("X-OC-Mtime", "1000000000")
        } else {
            request
        };
        request.send().is_any(&[201, 204]);
        assert!(seen.insert(etag(&ana, "/file")), "{round}");
    }
    assert_eq!(
        ana.head("/file")
            .is(200)
            .header("last-modified")
            .unwrap()
            .len(),
        29
    );
    // Files of one length swap their names; what was written beside the server with a time in whole seconds, too.
    for name in ["a", "b"] {
        let path = server.home("ana").join(name);
        std::fs::write(&path, name).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        std::fs::File::open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    let before = ["/a", "/b"].map(|path| etag(&ana, path));
    assert_ne!(before[0], before[1]);
    for (from, to) in [("/a", "/c"), ("/b", "/a"), ("/c", "/b")] {
        ana.transfer("MOVE", from, to).send().is(201);
    }
    assert_eq!(["/b", "/a"].map(|path| etag(&ana, path)), before);
}
