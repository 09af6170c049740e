//! What somebody has put into a drive beside the server and no drive shows: it goes along in copies, moves and backups, and is counted.

use crate::harness::{Client, TestServer};
use crate::program::{PASSWORD, Place};
use crate::shares::admin;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// Names that are allowed on the disk and in no drive.
const NAMES: [&[u8]; 6] = [
    b"bell\x07",
    b"over\xe2\x80\xaeride",
    b"latin\xfc",
    b".sarang",
    b"new\nline",
    b"tab\t",
];

fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Puts one of each kind into a folder.
fn plant(folder: &Path) {
    for (at, bytes) in NAMES.iter().enumerate() {
        fs::write(folder.join(name(bytes)), format!("content {at}")).unwrap();
        let below = folder.join(OsString::from_vec([b"d\x07", *bytes].concat()));
        fs::create_dir(&below).unwrap();
        fs::write(below.join("shown"), "deep").unwrap();
        fs::write(below.join(name(b"deep\xff")), "deeper").unwrap();
    }
    symlink("/etc/passwd", folder.join("link")).unwrap();
    symlink("nowhere", folder.join(name(b"link\xff"))).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    drop(UnixListener::bind(folder.join("socket")).unwrap());
}

/// All below a folder by its path: contents, where links lead, kinds.
fn contents(folder: &Path) -> BTreeMap<OsString, String> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let what = if kind.is_dir() {
                waiting.push(path.clone());
                "folder".to_owned()
            } else if kind.is_symlink() {
                format!("to {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_file() {
                fs::read_to_string(&path).unwrap()
            } else {
                format!("pipe {} socket {}", kind.is_fifo(), kind.is_socket())
            };
            found.insert(
                path.strip_prefix(folder).unwrap().as_os_str().to_owned(),
                what,
            );
        }
    }
    found
}

fn used(client: &Client) -> u64 {
    let answer = client
        .props("/", "0", "<D:quota-used-bytes/>")
        .multistatus();
    answer.only().value("quota-used-bytes").parse().unwrap()
}

#[test]
fn what_no_drive_shows_goes_along() {
    let server = TestServer::start();
    let (ana, ben) = (server.ana(), server.ben());
    let (home, bens) = (server.home("ana"), server.home("ben"));
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/e").is(201);
    ana.store("/d/e/f", "f");
    plant(&home.join("d"));
    plant(&home.join("d/e"));
    let all = contents(&home.join("d"));
    assert!(all.len() > 50, "{all:?}");
    ana.transfer("COPY", "/d", "/copied").send().is(201);
    assert_eq!(contents(&home.join("copied")), all);
    assert!(
        ana.propfind("/copied", "1")
            .is(207)
            .text()
            .matches("<D:response>")
            .count()
            == 2,
        "it is not shown"
    );
    ana.transfer("COPY", "/d", "/copied")
        .header("Overwrite", "T")
        .send()
        .is(204);
    assert_eq!(contents(&home.join("copied")), all);
    ana.api(
        "POST",
        "/files/copy",
        &json!({"items": [{"from": "/d", "to": "/by api"}]}),
    )
    .is_any(&[200, 207]);
    assert_eq!(contents(&home.join("by api")), all);
    // Into another drive and back.
    ana.api(
        "POST",
        "/shares",
        &json!({"path": "/d", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    ben.transfer("COPY", "/Shared with me/d", "/mine")
        .send()
        .is(201);
    assert_eq!(contents(&bens.join("mine")), all);
    ben.transfer("MOVE", "/mine", "/Shared with me/d/back")
        .send()
        .is(201);
    assert_eq!(contents(&home.join("d/back")), all);
    // Into the trash, back, and away for good.
    ana.delete("/d/back").is(204);
    let item = ana.raw("GET", "/api/v1/trash").send().is(200).json()["items"][0].clone();
    let id = item["id"].as_str().unwrap();
    ana.api("POST", &format!("/trash/{id}/restore"), &json!({}))
        .is(200);
    assert_eq!(contents(&home.join("d/back")), all);
    let _ = used(&ana);
    ana.delete("/d/back").is(204);
    for item in ana.raw("GET", "/api/v1/trash").send().is(200).json()["items"]
        .as_array()
        .unwrap()
    {
        let id = item["id"].as_str().unwrap();
        ana.raw("DELETE", &format!("/api/v1/trash/{id}"))
            .send()
            .is_any(&[200, 204]);
    }
    assert!(
        server.staged("ana").is_empty(),
        "{:?}",
        server.staged("ana")
    );
}

#[test]
fn what_no_drive_shows_is_counted() {
    let server = TestServer::start();
    let (ana, home) = (server.ana(), server.home("ana"));
    ana.mkcol("/d").is(201);
    let dir = home.join("d").join(name(b"odd\xff"));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("x"), vec![b'x'; 1000]).unwrap();
    fs::create_dir(home.join("d/.sarang")).unwrap();
    fs::write(home.join("d/.sarang/x"), vec![b'x'; 100]).unwrap();
    let before = used(&ana);
    assert_eq!(before, 1100);
    ana.transfer("COPY", "/d", "/e").send().is(201);
    assert_eq!(used(&ana), 2200);
    ana.delete("/e").is(204);
    assert_eq!(used(&ana), 1100);
    let root = admin(&server);
    root.api("PATCH", "/accounts/ana", &json!({"quota": 2000}))
        .is_any(&[200, 204]);
    ana.transfer("COPY", "/d", "/e").send().is(507);
    assert_eq!(used(&ana), 1100);
}

#[test]
fn a_device_is_told_by_name_and_nothing_is_copied() {
    let server = TestServer::start();
    let (ana, ben, home) = (server.ana(), server.ben(), server.home("ana"));
    ana.mkcol("/d").is(201);
    ana.mkcol("/d/e").is(201);
    let device = home.join("d/e/device");
    if !Command::new("mknod")
        .arg(&device)
        .args(["c", "1", "3"])
        .status()
        .unwrap()
        .success()
    {
        println!("skipped: only root makes devices");
        return;
    }
    ana.api(
        "POST",
        "/shares",
        &json!({"path": "/d", "to": {"account": "ben"}, "rights": "edit"}),
    )
    .is(201);
    for reply in [
        ana.transfer("COPY", "/d", "/copied").send(),
        ana.api(
            "POST",
            "/files/copy",
            &json!({"items": [{"from": "/d", "to": "/copied"}]}),
        ),
        ben.transfer("COPY", "/Shared with me/d", "/copied").send(),
    ] {
        assert!(
            reply.status == 403 || reply.text().contains("403"),
            "{reply}"
        );
        assert!(reply.text().contains("e/device"), "{reply}");
    }
    ana.lacks("/copied");
    ben.lacks("/copied");
    ben.transfer("MOVE", "/Shared with me/d/e", "/moved")
        .send()
        .is(403);
    assert!(device.exists(), "a move that cannot take all takes nothing");
}

#[test]
fn a_backup_has_them_and_a_check_names_them() {
    let around = tempfile::TempDir::new().unwrap();
    let backups = around.path().join("backups");
    let place = Place::new();
    place.add_ana();
    let home = place.path().join("sarang-data/homes/ana");
    place.serve().ana().mkcol("/d").is(201);
    plant(&home.join("d"));
    let all = contents(&home.join("d"));
    let output = place.run(&["check"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "they are no damage: {text}");
    for told in [
        "d/bell\\u{7}",
        "d/link",
        "d/pipe",
        "d/.sarang",
        "latin\u{fffd}",
    ] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    for _ in 0..2 {
        let output = place.run(&["backup", backups.to_str().unwrap()], PASSWORD);
        assert!(output.status.success(), "{output:?}");
    }
    fs::remove_dir_all(place.path().join("sarang-data")).unwrap();
    let output = place.run(&["restore", backups.to_str().unwrap()], PASSWORD);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(contents(&home.join("d")), all);
}
