//! What is deleted or replaced lies whole in the trash, described, whatever its name and however many delete at once.

use crate::harness::{Client, Immutable, TestServer};
use percent_encoding::percent_decode_str;
use sarang::drive::{RequestPreconditions, UploadOptions};
use sarang::model::{AccountName, Identity, Irrevocable, Role, VPath};
use sarang::storage::InitialContent;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The trash of ana: name in `files/` to the path it had; every file has its description and the other way round.
fn trash(server: &TestServer) -> BTreeMap<String, String> {
    let names = |folder: &str| {
        let entries =
            std::fs::read_dir(server.home("ana").join(".sarang/trash").join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
    };
    let (files, infos) = (names("files"), names("info"));
    assert_eq!(files.len(), infos.len(), "{files:?} {infos:?}");
    let describe = |name: String| {
        let info = server
            .home("ana")
            .join(".sarang/trash/info")
            .join(format!("{name}.trashinfo"));
        let text = std::fs::read_to_string(info)
            .unwrap_or_else(|e| panic!("{name} has no description: {e}"));
        let path = text
            .lines()
            .find_map(|line| line.strip_prefix("Path="))
            .expect("a path");
        (
            name,
            percent_decode_str(path).decode_utf8().unwrap().into_owned(),
        )
    };
    files.into_iter().map(describe).collect()
}

fn lies(server: &TestServer, path: &str, content: &str) -> bool {
    let files = server.home("ana").join(".sarang/trash/files");
    trash(server).into_iter().any(|(name, was)| {
        was == path[1..]
            && std::fs::read(files.join(name)).is_ok_and(|bytes| bytes == content.as_bytes())
    })
}

#[test]
fn names_of_255_bytes_can_be_deleted_and_replaced() {
    let server = TestServer::start();
    let ana = server.ana();
    for long in [
        "x".repeat(255),
        format!("{}y", "é".repeat(127)),
        "漢".repeat(85),
    ] {
        let path = format!("/{long}");
        assert_eq!(long.len(), 255);
        ana.store("/other", "other");
        ana.store(&path, "1");
        ana.delete(&path).is(204);
        assert!(lies(&server, &path, "1"));
        ana.store(&path, "2");
        ana.transfer("COPY", "/other", &path).send().is(204);
        assert!(lies(&server, &path, "2"));
        ana.holds(&path, "other");
        ana.store(&path, "3");
        ana.transfer("MOVE", "/other", &path).send().is(204);
        assert!(lies(&server, &path, "3"));
        ana.mkcol("/folder").is(201);
        ana.transfer("MOVE", "/folder", &path).send().is(204);
        ana.delete(&path).is(204);
        assert!(server.staged("ana").is_empty());
    }
}

#[test]
fn a_name_beyond_255_bytes_is_refused_everywhere() {
    let server = TestServer::start();
    let (ana, path) = (server.ana(), format!("/{}", "x".repeat(256)));
    ana.store("/a", "x");
    for reply in [
        ana.put(&path, "x"),
        ana.mkcol(&path),
        ana.transfer("MOVE", "/a", &path).send(),
    ] {
        assert!((400..500).contains(&reply.status), "{reply}");
    }
    ana.holds("/a", "x");
}

#[test]
fn many_deletes_of_one_name_each_lay_one_file_to_rest() {
    let server = TestServer::start();
    let (stored, deleted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for at in 0..6 {
            let (server, stored, deleted) = (&server, &stored, &deleted);
            scope.spawn(move || {
                let ana: Client = server.ana();
                for round in 0..60 {
                    if at % 2 == 0 {
                        // Only what is made anew comes to the trash; a replaced content is freed.
                        if ana
                            .put("/same", format!("{at} {round}"))
                            .is_any(&[201, 204])
                            .status
                            == 201
                        {
                            stored.fetch_add(1, Ordering::Relaxed);
                        }
                    } else if ana.delete("/same").is_any(&[204, 404]).status == 204 {
                        deleted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let left = usize::from(server.ana().get("/same").status == 200);
    assert_eq!(
        stored.load(Ordering::Relaxed),
        deleted.load(Ordering::Relaxed) + left
    );
    let trash = trash(&server);
    assert_eq!(trash.len(), deleted.load(Ordering::Relaxed));
    assert!(trash.values().all(|path| path == "same"));
}

#[test]
fn moving_a_name_onto_another_name_of_the_same_file_leaves_one() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/one", "x");
    std::fs::hard_link(
        server.home("ana").join("one"),
        server.home("ana").join("two"),
    )
    .unwrap();
    ana.transfer("MOVE", "/one", "/two").send().is(204);
    ana.lacks("/one");
    ana.holds("/two", "x");
    assert!(trash(&server).is_empty(), "nothing was deleted");
}

#[test]
fn quick_overwrites_with_one_time_and_length_never_repeat_a_tag() {
    let server = TestServer::start();
    let ana = server.ana();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut repeated = Vec::new();
    for at in 0..2000 {
        let reply = ana
            .request("PUT", "/a")
            .header("X-OC-Mtime", "1700000000")
            .body(format!("{at:08}"))
            .send();
        let tag = reply
            .is_any(&[201, 204])
            .header("etag")
            .expect("an ETag")
            .to_owned();
        if let Some(before) = seen.insert(tag, at) {
            repeated.push((before, at));
        }
    }
    assert!(
        repeated.is_empty(),
        "{} tags repeat, such as {:?}",
        repeated.len(),
        repeated.first()
    );
}

#[test]
fn first_requests_at_once_do_not_take_each_others_uploads_for_leftovers() {
    let mut server = TestServer::start();
    let account = AccountName::parse("ana").unwrap();
    let identity = Arc::new(Identity::whole(
        account,
        Role::User,
        None,
        Arc::new(Irrevocable),
    ));
    for round in 0..10 {
        server = server.restart();
        let put = |at: u64| {
            let (app, identity) = (server.app(), Arc::clone(&identity));
            async move {
                tokio::time::sleep(Duration::from_micros(at * 100)).await;
                for n in 0..5 {
                    let path = VPath::parse(&format!("{round}-{at}-{n}")).unwrap();
                    let announced = UploadOptions {
                        len: None,
                        estimate: None,
                        modified: None,
                        start: InitialContent::Empty,
                        checksum: None,
                    };
                    let drive = app.drive(&identity).await.unwrap();
                    let mut upload = drive
                        .begin_put(&path, announced, RequestPreconditions::default())
                        .await
                        .unwrap();
                    upload.write(vec![b'x'; 600 << 10].into()).await.unwrap();
                    upload
                        .commit()
                        .await
                        .unwrap_or_else(|error| panic!("{path:?}: {error}"));
                }
            }
        };
        let puts: Vec<_> = (0..12).map(|at| server.spawn(put(at))).collect();
        for put in puts {
            server.block_on(put).unwrap();
        }
    }
}

#[test]
fn a_home_replaced_beside_the_server_is_found_again() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", "x");
    let id = std::fs::read(server.home("ana").join(".sarang/home")).unwrap();
    std::fs::remove_dir_all(server.home("ana")).unwrap();
    std::fs::create_dir_all(server.home("ana").join(".sarang")).unwrap();
    std::fs::write(server.home("ana").join(".sarang/home"), id).unwrap();
    std::fs::write(server.home("ana").join("b"), "restored").unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    ana.holds("/b", "restored");
    ana.lacks("/a");
    ana.put("/c", "y").is(201);
    assert!(server.home("ana").join("c").exists());
}

#[test]
fn an_item_that_cannot_be_deleted_keeps_no_other_in_the_trash() {
    let server = TestServer::start();
    let ana = server.ana();
    for name in ["/a", "/b", "/c"] {
        ana.store(name, "content");
        ana.delete(name).is(204);
    }
    let name = trash(&server)
        .into_iter()
        .find_map(|(name, was)| (was == "b").then_some(name))
        .unwrap();
    let Some(immutable) =
        Immutable::make(&server.home("ana").join(".sarang/trash/files").join(name))
    else {
        return;
    };
    let refused = ana.raw("DELETE", "/api/v1/trash").send();
    drop(immutable);
    refused.is(403);
    assert_eq!(trash(&server).into_values().collect::<Vec<_>>(), ["b"]);
    let emptied = ana.raw("DELETE", "/api/v1/trash").send().is(200).json();
    assert_eq!(emptied["items"], 1);
}
