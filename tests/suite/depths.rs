//! Paths of 128 levels and 4096 bytes: nothing comes to lie deeper, whichever way it goes, and whatever is there is found, read and
//! in every archive.

use crate::files::unzip;
use crate::harness::{Client, TestServer};
use sarang::config::Config;
use serde_json::Value;
use std::path::Path;

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

/// What each child of a folder is called, and of its children, to the end; asks each of them itself.
fn descend(client: &Client, top: &str) -> String {
    let mut at = top.to_owned();
    loop {
        let found = client.propfind(&at, "1").multistatus().paths();
        let Some(child) = found.get(1) else { return at };
        child["/dav".len()..].trim_end_matches('/').clone_into(&mut at);
        client.propfind(&at, "0").is(207);
    }
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
        ana.mkcol(if long.is_empty() { "/b" } else { &long }).is(201);
        long = if long.is_empty() { "/b".to_owned() } else { long } + &format!("/{}", "b".repeat(239));
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
    let contents: Vec<_> = archive.values().filter(|content| !content.is_empty()).cloned().collect();
    assert!(contents.len() == 2 && contents.contains(&b"deep".to_vec()) && contents.contains(&b"long".to_vec()));
    let shown = ana.propfind("/Trash", "1").multistatus().paths();
    for (path, content) in
        shown.iter().skip(1).map(|path| (descend(&ana, &path["/dav".len()..]), &path["/dav/Trash/".len()..]))
    {
        ana.holds(&path, if content.starts_with('l') { "deep" } else { "long" });
        let found = ana.raw("GET", &format!("/api/v1/zip?path=Trash/{}", content.replace(' ', "%20"))).send().is(200);
        assert!(unzip(&found.body).values().any(|content| !content.is_empty()));
    }
    let top = shown.iter().find(|path| path.starts_with("/dav/Trash/l")).unwrap()["/dav".len()..].to_owned();
    ana.transfer("COPY", &top, "/back").send().is(201);
    ana.holds(&format!("/back{}/f", chain(126)), "deep");
}

/// Beside the server anything can be made.
#[test]
fn an_archive_holds_what_no_address_reaches() {
    let server = TestServer::start();
    let ana = server.ana();
    let file = make(&server.home("ana"), "/top", 300);
    let archive = unzip(&ana.raw("GET", "/api/v1/zip?path=top").send().is(200).body);
    assert_eq!(archive.get(&file[1..]).map(Vec::as_slice), Some(&b"deep"[..]));
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
    assert_eq!(server.connect().exchange(ana.raw("GET", "/api/v1/zip?path=top").bytes()).status, 0);
    let part = home.join(format!("top{inner}/top"));
    std::fs::rename(part, home.join("rest")).unwrap();
    let archive = unzip(&ana.raw("GET", "/api/v1/zip?path=rest").send().is(200).body);
    assert!(archive.keys().any(|name| name.ends_with("/top/file")));
}
