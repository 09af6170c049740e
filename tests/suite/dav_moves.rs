//! COPY, MOVE, MKCOL, DELETE: destinations in every form, overwrites, and nothing lost.

use crate::harness::{NAME, TestServer, poll, url};
use sarang::model::AccountName;
use std::time::Duration;

#[test]
fn destinations_come_in_many_forms() {
    let server = TestServer::start();
    let ana = server.ana();
    let (host, path) = (ana.host(), url("/dav/t ü%.txt"));
    let forms = [
        format!("http://{host}{path}"),
        format!("https://{host}{path}"),
        format!("webdav://{host}{path}"),
        format!("webdavs://{host}{path}"),
        format!("dav://{host}{path}"),
        format!("http://ana:p%40ss@{host}{path}"),
        path.clone(),
    ];
    for form in forms {
        ana.store(NAME, &form);
        ana.request("MOVE", NAME)
            .header("Destination", &form)
            .send()
            .is_any(&[201, 204]);
        ana.holds("/t ü%.txt", &form);
        ana.lacks(NAME);
    }
}

#[test]
fn configured_names_are_own_hosts() {
    let server = TestServer::with(|config| config.server.hosts = vec!["drive.example".into()]);
    let ana = server.ana();
    ana.store(NAME, "x");
    ana.request("MOVE", NAME)
        .header("Destination", "https://drive.example/dav/a")
        .send()
        .is(201);
    ana.request("MOVE", "/a")
        .header("Destination", "https://other.example/dav/b")
        .send()
        .is(502);
    ana.holds("/a", "x");
}

#[test]
fn bad_destinations_are_400_or_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    ana.request("MOVE", NAME).send().is(400);
    ana.request("MOVE", NAME)
        .header("Destination", "/dav/%zz")
        .send()
        .is(400);
    for bad in [
        "",
        "relative",
        "http://",
        "/dav/%00",
        "/dav/../../x",
        "/elsewhere/x",
        "http:///dav/x",
    ] {
        let status = ana
            .request("MOVE", NAME)
            .header("Destination", bad)
            .send()
            .status;
        assert!(
            (400..500).contains(&status) || status == 502,
            "{bad:?}: {status}"
        );
    }
    ana.holds(NAME, "x");
}

#[test]
fn overwrite_f_protects_the_target() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", "a");
    ana.store("/b", "b");
    ana.mkcol("/d").is(201);
    for method in ["MOVE", "COPY"] {
        for target in ["/b", "/d"] {
            ana.transfer(method, "/a", target)
                .header("Overwrite", "F")
                .send()
                .is(412);
        }
    }
    ana.transfer("MOVE", "/a", "/new")
        .header("Overwrite", "F")
        .send()
        .is(201);
    ana.holds("/b", "b");
    ana.holds("/new", "a");
    ana.propfind("/d", "0").is(207);
}

#[test]
fn a_malformed_overwrite_or_depth_is_400() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.transfer("MOVE", "/d", "/e")
        .header("Overwrite", "maybe")
        .send()
        .is(400);
    for method in ["COPY", "MOVE"] {
        ana.transfer(method, "/d", "/e")
            .header("Depth", "1")
            .send()
            .is(400);
    }
    ana.request("DELETE", "/d")
        .header("Depth", "1")
        .send()
        .is(400);
    ana.propfind("/d", "2").is(400);
    ana.propfind("/d", "0").is(207);
    ana.lacks("/e");
}

#[test]
fn moves_and_deletes_of_depth_0_reach_everything() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "f");
    ana.transfer("MOVE", "/d", "/e")
        .header("Depth", "0")
        .send()
        .is(201);
    ana.holds("/e/f", "f");
    ana.request("DELETE", "/e")
        .header("Depth", "0")
        .send()
        .is(204);
    ana.lacks("/e/f");
}

#[test]
fn the_drive_itself_is_no_destination() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/f", "f");
    ana.mkcol("/d").is(201);
    ana.store("/d/in", "in");
    for method in ["COPY", "MOVE"] {
        for source in ["/f", "/d", "/missing"] {
            for target in ["/dav/", "/dav", "/dav//", "/dav/x/.."] {
                ana.request(method, source)
                    .header("Destination", target)
                    .send()
                    .is(403);
                let absolute = format!("http://{}{target}", ana.host());
                ana.request(method, source)
                    .header("Destination", absolute)
                    .send()
                    .is(403);
            }
        }
        ana.transfer(method, "/", "/copy").send().is(403);
    }
    ana.holds("/f", "f");
    ana.holds("/d/in", "in");
    assert_eq!(ana.propfind("/", "1").multistatus().paths().len(), 3);
}

#[test]
fn kinds_replace_each_other_whole() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/file", "file");
    ana.mkcol("/folder").is(201);
    ana.store("/folder/in", "in");
    ana.transfer("COPY", "/file", "/folder").send().is(204);
    ana.holds("/folder", "file");
    ana.mkcol("/other").is(201);
    ana.store("/other/in", "in");
    ana.transfer("MOVE", "/other", "/file").send().is(204);
    ana.holds("/file/in", "in");
    ana.lacks("/other");
}

#[test]
fn a_missing_source_or_parent_changes_nothing() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a", "a");
    for method in ["MOVE", "COPY"] {
        ana.transfer(method, "/missing", "/a").send().is(404);
        ana.transfer(method, "/a", "/no/such").send().is(409);
        ana.transfer(method, "/a", "/a/child")
            .send()
            .is_any(&[403, 409]);
    }
    ana.holds("/a", "a");
}

#[test]
fn a_copy_of_a_folder_is_whole_or_shallow() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/e").is(201);
    ana.store("/d/e/f", "f");
    ana.transfer("COPY", "/d", "/deep").send().is(201);
    ana.holds("/deep/e/f", "f");
    ana.transfer("COPY", "/d", "/shallow")
        .header("Depth", "0")
        .send()
        .is(201);
    assert_eq!(
        ana.propfind("/shallow", "1").multistatus().paths(),
        ["/dav/shallow"]
    );
    ana.holds("/d/e/f", "f");
}

#[test]
fn dead_properties_and_times_travel() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.request("PUT", "/d/f")
        .header("X-OC-Mtime", "981173106")
        .body("x")
        .send()
        .is(201);
    for path in ["/d", "/d/f"] {
        ana.proppatch(
            path,
            "<D:set><D:prop><x:colour>blue</x:colour></D:prop></D:set>",
        )
        .send()
        .is(207);
    }
    ana.transfer("COPY", "/d", "/copy").send().is(201);
    ana.transfer("MOVE", "/d", "/moved").send().is(201);
    for path in ["/copy", "/copy/f", "/moved", "/moved/f"] {
        let reply = ana
            .props(path, "0", "<x:colour xmlns:x=\"http://example.org/x/\"/>")
            .multistatus();
        assert_eq!(
            reply.only().value("{http://example.org/x/}colour"),
            "blue",
            "{path}"
        );
    }
    let moved = ana.head("/moved/f");
    assert_eq!(
        moved.header("last-modified"),
        Some("Sat, 03 Feb 2001 04:05:06 GMT")
    );
}

#[test]
fn mkcol_answers_by_the_table() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.mkcol("/d").is(405);
    ana.mkcol("/d/").is(405);
    ana.mkcol("/no/such").is(409);
    ana.store("/file", "x");
    ana.mkcol("/file").is(405);
    ana.mkcol("/file/d").is_any(&[403, 409]);
    ana.request("MKCOL", "/body")
        .xml("<anything/>")
        .send()
        .is(415);
    ana.lacks("/body");
    ana.mkcol("/").is(405);
}

#[test]
fn delete_takes_the_tree_and_nothing_beside_it() {
    let server = TestServer::start();
    let ana = server.ana();
    for folder in ["/a", "/ab", "/a/b"] {
        ana.mkcol(folder).is(201);
        ana.store(&format!("{folder}/f"), "x");
    }
    ana.delete("/a").is(204);
    ana.lacks("/a");
    ana.lacks("/a/b/f");
    ana.holds("/ab/f", "x");
    ana.delete("/a").is(404);
    ana.delete("/").is(403);
    ana.holds("/ab/f", "x");
}

#[test]
fn a_delete_ends_in_the_trash() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "kept");
    ana.delete("/d").is(204);
    let trash = server.home("ana").join(".sarang/trash");
    let names: Vec<_> = std::fs::read_dir(trash.join("files"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(std::fs::read_to_string(names[0].join("f")).unwrap(), "kept");
    let info: Vec<_> = std::fs::read_dir(trash.join("info"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let text = std::fs::read_to_string(&info[0]).unwrap();
    assert!(
        text.starts_with("[Trash Info]\n")
            && text.contains("\nPath=")
            && text.contains("\nDeletionDate="),
        "{text}"
    );
}

#[test]
fn a_change_is_carried_through_when_the_client_leaves() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/big").is(201);
    for at in 0..200 {
        std::fs::write(server.home("ana").join(format!("big/{at}")), "x").unwrap();
    }
    let mut connection = server.connect();
    connection
        .write(ana.transfer("COPY", "/big", "/copy").bytes())
        .unwrap();
    drop(connection);
    let arrived = || ana.propfind("/copy", "1").status == 207;
    if poll(Duration::from_secs(5), arrived) {
        assert_eq!(
            ana.propfind("/copy", "1").multistatus().paths().len(),
            201,
            "a copy appears whole"
        );
    }
    assert!(
        poll(Duration::from_secs(5), || server.staged("ana").is_empty()),
        "{:?}",
        server.staged("ana")
    );
}

#[test]
fn copies_stay_within_the_quota() {
    let server = TestServer::start();
    let (ana, app) = (server.ana(), server.app());
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), Some(10_000)),
        )
        .unwrap();
    drop(app);
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/e").is(201);
    ana.store("/d/a", vec![b'a'; 2_000]);
    ana.store("/d/e/b", vec![b'b'; 2_000]);
    ana.transfer("COPY", "/d", "/one").send().is(201);
    ana.transfer("COPY", "/d", "/two").send().is(507);
    ana.lacks("/two");
    assert!(
        server.staged("ana").is_empty(),
        "{:?}",
        server.staged("ana")
    );
    ana.transfer("COPY", "/d/a", "/last").send().is(201);
    ana.transfer("COPY", "/d/a", "/more").send().is(507);
    ana.holds("/one/e/b", vec![b'b'; 2_000]);
}
