//! Room on a disk that several trees share: what one upload was promised, no other gets, and it is there again once the upload has
//! ended, whichever way. Needs a small file system, so root; without it that is said.

use crate::harness::{Client, Connection, Reply, TestServer};
use crate::links::share;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sarang::model::AccountName;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// A file system of 96 MiB in memory.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: only root may mount");
        None
    }

    fn server(&self) -> TestServer {
        let data: PathBuf = self.0.path().join("data");
        // The state store keeps more room for itself than this disk has.
        TestServer::with(|config| {
            for home in ["homes", "teams"] {
                std::fs::create_dir_all(data.join(home)).unwrap();
                link(&data.join(home), &config.data_dir.join(home));
            }
        })
    }
}

fn link(to: &Path, from: &Path) {
    std::os::unix::fs::symlink(to, from).unwrap();
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn begin(client: &Client, path: &str, len: usize) -> Reply {
    let request = client
        .raw("POST", "/api/v1/uploads")
        .header("Tus-Resumable", "1.0.0");
    let request = request.header("Upload-Length", len.to_string()).body("");
    request
        .header("Upload-Metadata", format!("path {}", STANDARD.encode(path)))
        .send()
}

fn part(client: &Client, at: &str, offset: usize, body: &[u8]) -> Reply {
    let request = client
        .raw("PATCH", at)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", offset.to_string());
    request
        .header("Content-Type", "application/offset+octet-stream")
        .body(body)
        .send()
}

fn end(client: &Client, at: &str) {
    client
        .raw("DELETE", at)
        .header("Tus-Resumable", "1.0.0")
        .send()
        .is(204);
}

#[test]
fn room_is_promised_once_on_a_disk() {
    let Some(disk) = Disk::mount() else { return };
    let server = disk.server();
    let (ana, ben) = (server.ana(), server.ben());
    ana.store("/small", vec![1; 20 * MIB]);
    let at = begin(&ana, "a", 60 * MIB)
        .is(201)
        .header("location")
        .unwrap()
        .to_owned();
    for client in [&ana, &ben] {
        begin(client, "b", 60 * MIB).is(507);
        client.put("/b", vec![2; 30 * MIB]).is(507);
        client
            .request("PUT", "/b")
            .body(vec![2; 30 * MIB])
            .chunked()
            .send()
            .is(507);
        client.lacks("/b");
    }
    ana.transfer("COPY", "/small", "/copy").send().is(507);
    ana.lacks("/copy");
    let body = vec![3; 60 * MIB];
    assert_eq!(
        part(&ana, &at, 0, &body[..30 * MIB])
            .is(204)
            .header("upload-offset"),
        Some("31457280")
    );
    begin(&ben, "b", 30 * MIB).is(507);
    let server = server.restart();
    let (ana, ben) = (server.ana(), server.ben());
    begin(&ben, "b", 30 * MIB).is(507);
    part(&ana, &at, 30 * MIB, &body[30 * MIB..]).is(204);
    assert!(ana.get("/a").is(200).body == body);
    begin(&ben, "b", 30 * MIB).is(507);
    drop((ana, ben, server));
}

#[test]
fn promised_room_is_given_back() {
    let Some(disk) = Disk::mount() else { return };
    let server = disk.server();
    let (ana, ben) = (server.ana(), server.ben());
    for _ in 0..3 {
        let at = begin(&ana, "a", 70 * MIB)
            .is(201)
            .header("location")
            .unwrap()
            .to_owned();
        begin(&ben, "b", 70 * MIB).is(507);
        part(&ana, &at, 0, &vec![1; 10 * MIB]).is(204);
        end(&ana, &at);
        let at = begin(&ben, "b", 70 * MIB)
            .is(201)
            .header("location")
            .unwrap()
            .to_owned();
        end(&ben, &at);
    }
    let uploads: Vec<_> = (0..6)
        .map(|n| {
            let client = if n % 2 == 0 {
                server.ana()
            } else {
                server.ben()
            };
            (client, format!("/big{n}"))
        })
        .collect();
    let stored = std::thread::scope(|scope| {
        let running: Vec<_> = uploads
            .into_iter()
            .map(|(client, path)| {
                scope.spawn(move || {
                    client
                        .put(&path, vec![4; 40 * MIB])
                        .is_any(&[201, 507])
                        .status
                })
            })
            .collect();
        running
            .into_iter()
            .map(|run| run.join().unwrap())
            .filter(|status| *status == 201)
            .count()
    });
    assert!((1..=2).contains(&stored), "{stored} of 40 MiB each on 96");
}

/// Only what is not finished counts.
#[test]
fn finished_uploads_are_not_unfinished() {
    let server = TestServer::start();
    let ana = server.ana();
    for n in 0..1010 {
        begin(&ana, &format!("f{}", n % 7), 0).is(201);
    }
    begin(&ana, "last", 5).is(201);
}

/// Visitors of links are not known: what all of them together announce and do not send holds 64 MiB.
#[test]
fn visitors_who_only_announce_do_not_hold_the_room_of_a_home() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/inbox").is(201);
    let app = server.app();
    let quota = Some(150 * MIB as u64);
    server
        .block_on(
            app.auth
                .set_quota(&AccountName::parse("ana").unwrap(), quota),
        )
        .unwrap();
    let links =
        ["drop", "edit"].map(|rights| share(&ana, &json!({"path": "inbox", "rights": rights})));
    let visitor = server.stranger();
    let announce = |n: usize| {
        let request = visitor
            .raw("PUT", &format!("/s/{}/dav/{n}", links[n % 2].token))
            .header("Content-Length", (40 * MIB).to_string())
            .header("Expect", "100-continue");
        let mut connection = server.connect();
        connection.write(request.bytes()).unwrap();
        connection.read_continue();
        connection
    };
    let slow: Vec<Connection> = (0..3).map(announce).collect();
    // Three times 40 MiB would leave the owner 30.
    ana.store("/own", vec![1; 60 * MIB]);
    // What was promised, and what is beyond that, is there as it comes.
    for (n, mut line) in slow.into_iter().take(2).enumerate() {
        line.write(vec![2; 40 * MIB]).unwrap();
        assert_eq!(line.read_reply(false, "PUT").unwrap().status, 201);
        assert!(ana.get(&format!("/inbox/{n}")).is(200).body == vec![2; 40 * MIB]);
    }
    ana.put("/more", vec![3; 20 * MIB]).is(507);
}
