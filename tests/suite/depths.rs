//! Paths of 128 levels and 4096 bytes: nothing comes to lie deeper, whichever way it goes, and whatever is there is found, read and
//! in every archive.

use crate::files::unzip;
use crate::harness::{Client, Reply, TestServer};
use sarang::config::Config;
use sarang::model::time;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SENTENCE: &str = "A path may have at most 128 levels.";

/// So many folders, one in the other.
fn chain(levels: usize) -> String {
    "/l".repeat(levels)
}

/// Makes a folder beside the server; returns the path of a file at its end, so many levels below it.
fn make(home: &Path, top: &str, levels: usize) -> String {
    let folder = format!("{top}{}", chain(levels - 1));
    std::fs::create_dir_all(home.join(&folder[1..])).unwrap();
    std::fs::write(home.join(&folder[1..]).join("f"), "deep").unwrap();
    format!("{folder}/f")
}

/// Moves or copies in one of the ways there are; the status and what is said.
fn carry(client: &Client, way: &str, from: &str, to: &str) -> (u16, String) {
    let Some(call) = way.strip_prefix("API ") else {
        let reply = client.transfer(way, from, to).send();
        return (reply.status, reply.text());
    };
    let asked = json!({"items": [{"from": from, "to": to}]});
    let result = client
        .api("POST", &format!("/files/{call}"), &asked)
        .is(200)
        .json()["results"][0]
        .clone();
    (
        u16::try_from(result["status"].as_u64().unwrap()).unwrap(),
        result["detail"].as_str().unwrap_or_default().to_owned(),
    )
}

const WAYS: [&str; 4] = ["MOVE", "COPY", "API move", "API copy"];

fn post(client: &Client, path: &str, body: &Value) -> Reply {
    client.api("POST", path, body)
}

/// What each child of a folder is called, and of its children, to the end; asks each of them itself.
fn descend(client: &Client, top: &str) -> String {
    let mut at = top.to_owned();
    loop {
        let found = client.propfind(&at, "1").multistatus().paths();
        let Some(child) = found.get(1) else { return at };
        child["/dav".len()..]
            .trim_end_matches('/')
            .clone_into(&mut at);
        client.propfind(&at, "0").is(207);
    }
}

#[test]
fn nothing_is_moved_or_copied_to_where_it_would_be_too_deep() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    let deep = chain(100);
    std::fs::create_dir_all(home.join(&deep[1..])).unwrap();
    let file = make(&home, "/top", 28);
    let (below, target) = (&file["/top".len()..], format!("{deep}/top"));
    for way in WAYS {
        let (status, said) = carry(&ana, way, "/top", &target);
        assert!(
            status == 400 && said.contains(SENTENCE),
            "{way}: {status} {said}"
        );
        ana.lacks(&target);
        ana.holds(&file, "deep");
    }
    assert!(
        server.staged("ana").is_empty(),
        "{:?}",
        server.staged("ana")
    );
    // A folder at the last level counts as a file does, and one level less is right.
    std::fs::remove_file(home.join(&file[1..])).unwrap();
    std::fs::create_dir(home.join(&file[1..])).unwrap();
    for way in WAYS {
        assert_eq!(carry(&ana, way, "/top", &target).0, 400, "{way}");
        let less = format!("{}/top", chain(99));
        assert_eq!(carry(&ana, way, "/top", &less).0, 201, "{way}");
        ana.propfind(&format!("{less}{below}"), "0").is(207);
        if way.ends_with("COPY") || way.ends_with("copy") {
            ana.delete(&less).is(204);
        } else {
            assert_eq!(carry(&ana, way, &less, "/top").0, 201, "{way} back");
        }
    }
}

#[test]
fn nothing_is_moved_or_copied_to_where_its_path_would_be_too_long() {
    let server = TestServer::start();
    let ana = server.ana();
    let mut long = String::new();
    for _ in 0..16 {
        long = format!("{long}/{}", "a".repeat(239));
        ana.mkcol(&long).is(201);
    }
    // The path without its first slash is one byte too long with a name of 252.
    let name = |bytes| "b".repeat(bytes);
    assert_eq!(format!("{long}/t/in/{}", name(252)).len(), 4096 + 2);
    ana.mkcol("/t").is(201);
    ana.mkcol("/t/in").is(201);
    for way in WAYS {
        ana.store(&format!("/t/in/{}", name(252)), "x");
        let (status, said) = carry(&ana, way, "/t", &format!("{long}/t"));
        assert!(
            status == 400 && said.contains("A path may have at most 4096 bytes."),
            "{way}: {status} {said}"
        );
        ana.lacks(&format!("{long}/t"));
        let shorter = format!("/t/in/{}", name(251));
        ana.transfer("MOVE", &format!("/t/in/{}", name(252)), &shorter)
            .send()
            .is(201);
        assert_eq!(carry(&ana, way, "/t", &format!("{long}/t")).0, 201, "{way}");
        ana.holds(&format!("{long}{shorter}"), "x");
        if way.ends_with("ove") || way == "MOVE" {
            ana.transfer("MOVE", &format!("{long}/t"), "/t")
                .send()
                .is(201);
        } else {
            ana.delete(&format!("{long}/t")).is(204);
        }
        ana.delete(&shorter).is(204);
    }
}

#[test]
fn what_comes_to_lie_no_deeper_is_not_looked_over() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    let file = make(&home, "/top", 139);
    ana.mkcol("/in").is(201);
    ana.transfer("MOVE", "/top", "/in/top").send().is(400);
    ana.transfer("MOVE", "/top", "/pot").send().is(201);
    ana.transfer("MOVE", "/pot/l/l", "/l").send().is(201);
    ana.get(&file["/top/l".len()..]).is_any(&[400, 404]);
    for _ in 0..12 {
        ana.transfer("MOVE", "/l/l", "/m").send().is(201);
        ana.delete("/l").is(204);
        ana.transfer("MOVE", "/m", "/l").send().is(201);
    }
    ana.holds(&format!("{}/f", chain(125)), "deep");
}

#[test]
fn nothing_comes_back_to_where_it_would_be_too_deep() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    let deep = chain(100);
    std::fs::create_dir_all(home.join(&deep[1..])).unwrap();
    let file = make(&home, "/top", 28);
    ana.delete("/top").is(204);
    let item = || {
        ana.api("GET", "/trash", &Value::Null).json()["items"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let restore = |to: &str| {
        post(
            &ana,
            &format!("/trash/{}/restore", item()),
            &json!({"to": to}),
        )
    };
    let refused = restore(&format!("{deep}/top")).is(400).text();
    assert!(refused.contains(SENTENCE), "{refused}");
    ana.lacks(&format!("{deep}/top"));
    restore(&format!("{}/new/top", chain(100))).is(400);
    restore(&format!("{}/top", chain(99))).is(200);
    ana.holds(&format!("{}{file}", chain(99)), "deep");
    // Where it lay it fits, however deep that is.
    ana.delete(&format!("{}/top", chain(99))).is(204);
    post(&ana, &format!("/trash/{}/restore", item()), &json!({})).is(200);
    ana.holds(&format!("{}{file}", chain(99)), "deep");
}

#[test]
fn a_rewind_takes_what_is_too_deep_on_the_way_and_not_at_its_end() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    let (deep, moment) = (chain(60), || {
        std::thread::sleep(Duration::from_millis(20));
        let now = SystemTime::now();
        let nanos = now.duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
        time::iso_date(now).replace('Z', &format!(".{nanos:09}Z"))
    });
    let kept = make(&home, &format!("{deep}/top"), 10);
    make(&home, "/other", 80);
    let before = moment();
    std::thread::sleep(Duration::from_millis(20));
    ana.transfer("MOVE", &format!("{deep}/top"), "/top")
        .send()
        .is(201);
    ana.transfer("MOVE", "/other", "/top/other").send().is(201);
    post(&ana, "/rewind", &json!({"path": "/l", "to": before})).is(200);
    ana.holds(&kept, "deep");
    ana.lacks(&format!("{deep}/top/other"));
}

#[test]
fn another_root_takes_what_fits_there_and_nothing_deeper() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let at = "/Shared with me/in/top";
    ben.mkcol("/in").is(201);
    let share = json!({"path": "/in", "to": {"account": "ana"}, "rights": "edit"});
    post(&ben, "/shares", &share).is(201);
    for way in ["MOVE", "COPY"] {
        let file = make(&server.home("ana"), "/top", 127);
        let (status, said) = carry(&ana, way, "/top", at);
        assert!(
            status == 400 && said.contains(SENTENCE),
            "{way}: {status} {said}"
        );
        ana.holds(&file, "deep");
        ben.lacks("/in/top");
        std::fs::remove_dir_all(server.home("ana").join("top")).unwrap();
        let file = make(&server.home("ana"), "/top", 126);
        assert_eq!(carry(&ana, way, "/top", at).0, 201, "{way}");
        ben.holds(&format!("/in{file}"), "deep");
        // Its path is longer where the folder shows in another drive.
        ana.holds(&format!("/Shared with me/in{file}"), "deep");
        assert_eq!(descend(&ana, at), format!("/Shared with me/in{file}"));
        let archive = unzip(
            &ana.raw("GET", "/api/v1/zip?path=Shared%20with%20me")
                .send()
                .is(200)
                .body,
        );
        assert_eq!(
            archive
                .get(&format!("Shared with me/in{file}"))
                .map(Vec::as_slice),
            Some(&b"deep"[..])
        );
        ana.mkcol(&format!("{}/g", &format!("/Shared with me/in{file}")[..]))
            .is_any(&[400, 409]);
        ana.delete(at).is(204);
        if way == "COPY" {
            ana.delete("/top").is(204);
        }
    }
    // Built where nobody sees it, a copy would be shallow enough.
    std::fs::create_dir_all(server.home("ben").join(&format!("in{}", chain(100))[..])).unwrap();
    make(&server.home("ana"), "/top", 28);
    for way in ["MOVE", "COPY"] {
        assert_eq!(
            carry(
                &ana,
                way,
                "/top",
                &format!("/Shared with me/in{}/top", chain(100))
            )
            .0,
            400,
            "{way}"
        );
        ben.lacks(&format!("/in{}/top", chain(100)));
    }
    assert!(
        server.staged("ben").is_empty(),
        "{:?}",
        server.staged("ben")
    );
}

#[test]
fn what_is_in_the_trash_is_found_and_in_archives_however_deep_it_lay() {
    let server = TestServer::with(|config: &mut Config| {
        config.drive.trash_folder = Some("Trash".to_owned().try_into().unwrap());
    });
    let (ana, home) = (server.ana(), server.home("ana"));
    std::fs::create_dir_all(home.join(&chain(127)[1..])).unwrap();
    ana.store(&format!("{}/f", chain(127)), "deep");
    ana.put(&format!("{}/g", chain(128)), "deep").is(400);
    let mut long = String::new();
    for _ in 0..17 {
        ana.mkcol(if long.is_empty() { "/b" } else { &long })
            .is(201);
        long = if long.is_empty() {
            "/b".to_owned()
        } else {
            long
        } + &format!("/{}", "b".repeat(239));
    }
    let rest = 4096 + 1 - format!("{}/", long.rsplit_once('/').unwrap().0).len();
    let long = format!("{}/{}", long.rsplit_once('/').unwrap().0, "c".repeat(rest));
    assert_eq!(long.len(), 4096 + 1);
    ana.store(&long, "long");
    ana.holds(&long, "long");
    for top in ["/l", "/b"] {
        ana.delete(top).is(204);
    }
    let archive = unzip(&ana.raw("GET", "/api/v1/zip?path=").send().is(200).body);
    let contents: Vec<_> = archive
        .values()
        .filter(|content| !content.is_empty())
        .cloned()
        .collect();
    assert!(
        contents.len() == 2
            && contents.contains(&b"deep".to_vec())
            && contents.contains(&b"long".to_vec())
    );
    let shown = ana.propfind("/Trash", "1").multistatus().paths();
    for (path, content) in shown.iter().skip(1).map(|path| {
        (
            descend(&ana, &path["/dav".len()..]),
            &path["/dav/Trash/".len()..],
        )
    }) {
        ana.holds(
            &path,
            if content.starts_with('l') {
                "deep"
            } else {
                "long"
            },
        );
        let found = ana
            .raw(
                "GET",
                &format!("/api/v1/zip?path=Trash/{}", content.replace(' ', "%20")),
            )
            .send()
            .is(200);
        assert!(
            unzip(&found.body)
                .values()
                .any(|content| !content.is_empty())
        );
    }
    let top = shown
        .iter()
        .find(|path| path.starts_with("/dav/Trash/l"))
        .unwrap()["/dav".len()..]
        .to_owned();
    ana.transfer("COPY", &top, "/back").send().is(201);
    ana.holds(&format!("/back{}/f", chain(126)), "deep");
    ana.transfer("COPY", &top, "/back/again").send().is(400);
    ana.lacks("/back/again");
}

/// Beside the server anything can be made.
#[test]
fn an_archive_holds_what_no_address_reaches() {
    let server = TestServer::start();
    let ana = server.ana();
    let file = make(&server.home("ana"), "/top", 300);
    let archive = unzip(&ana.raw("GET", "/api/v1/zip?path=top").send().is(200).body);
    assert_eq!(
        archive.get(&file[1..]).map(Vec::as_slice),
        Some(&b"deep"[..])
    );
    ana.delete("/top").is(204);
    let items = ana.api("GET", "/trash", &Value::Null).json();
    assert_eq!(items["items"][0]["path"], "/top");
}

/// What an archive cannot hold cuts it off.
#[test]
fn an_archive_lacks_nothing_silently() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    std::fs::create_dir_all(home.join("top")).unwrap();
    std::fs::write(home.join("top/file"), "x").unwrap();
    let inner = format!("/{}", "n".repeat(240)).repeat(15);
    for _ in 0..19 {
        std::fs::create_dir_all(home.join(format!("next{inner}"))).unwrap();
        std::fs::rename(home.join("top"), home.join(format!("next{inner}/top"))).unwrap();
        std::fs::rename(home.join("next"), home.join("top")).unwrap();
    }
    assert_eq!(
        server
            .connect()
            .exchange(ana.raw("GET", "/api/v1/zip?path=top").bytes())
            .status,
        0
    );
    let part = home.join(format!("top{inner}/top"));
    std::fs::rename(part, home.join("rest")).unwrap();
    let archive = unzip(&ana.raw("GET", "/api/v1/zip?path=rest").send().is(200).body);
    assert!(archive.keys().any(|name| name.ends_with("/top/file")));
}

/// The names of many files are read where they could be too long, and what lies beside deep folders keeps nothing from being found.
#[test]
fn a_wide_folder_is_looked_over_whole() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    let deep = chain(124);
    std::fs::create_dir_all(home.join(&deep[1..])).unwrap();
    for at in 0..3_000 {
        std::fs::create_dir_all(home.join(format!("top/{at}"))).unwrap();
    }
    ana.transfer("MOVE", "/top", &format!("{deep}/top"))
        .send()
        .is(201);
    ana.transfer("MOVE", &format!("{deep}/top"), "/top")
        .send()
        .is(201);
    std::fs::create_dir_all(home.join("top/2999/a/b")).unwrap();
    std::fs::write(home.join("top/2999/a/b/file"), "x").unwrap();
    ana.transfer("MOVE", "/top", &format!("{deep}/top"))
        .send()
        .is(400);
    ana.holds("/top/2999/a/b/file", "x");
}
