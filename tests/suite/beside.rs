//! Other programs beside the server, a media server or Samba say, read what people save: permissions, groups and ACLs are as the
//! settings and the folders say, in whatever way a file comes.

use crate::harness::{Client, TestServer};
use crate::program::{PASSWORD, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::process::geteuid;
use sarang::config::Mode;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// A group that the server has no business in but by a folder's.
const GROUP: u32 = 54_321;
const DEFAULT_ACL: &str = "system.posix_acl_default";
const ACL: &str = "system.posix_acl_access";
const FORM: &str =
    "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"form\"\r\n\r\nx\r\n--b--\r\n";

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// An ACL as the kernel takes it: owner and owner group, a named user, mask, others.
fn acl(owner: u16, group: u16, named: u16, mask: u16, others: u16) -> Vec<u8> {
    let entry = |tag: u16, rights: u16, id: u32| {
        [
            &tag.to_le_bytes()[..],
            &rights.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let none = u32::MAX;
    let entries = [
        entry(1, owner, none),
        entry(2, named, 4242),
        entry(4, group, none),
        entry(16, mask, none),
    ];
    [vec![2, 0, 0, 0], entries.concat(), entry(32, others, none)].concat()
}

fn acl_of(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut room = vec![0; 1024];
    let len = getxattr(path, name, &mut room).ok()?;
    room.truncate(len);
    Some(room)
}

/// Files and folders below a folder, without what a tree keeps for itself.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_name() != ".sarang")
    {
        found.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        }
    }
    found
}

pub fn tus(client: &Client, path: &str, body: &[u8]) {
    let request = client
        .raw("POST", "/api/v1/uploads")
        .header("Tus-Resumable", "1.0.0");
    let metadata = format!("path {}", STANDARD.encode(path));
    let request = request
        .header("Upload-Length", body.len().to_string())
        .header("Upload-Metadata", metadata);
    let at = request
        .body("")
        .send()
        .is(201)
        .header("location")
        .unwrap()
        .to_owned();
    let request = client
        .raw("PATCH", &at)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Offset", "0");
    request
        .header("Content-Type", "application/offset+octet-stream")
        .body(body)
        .send()
        .is_any(&[200, 204]);
}

pub fn restore_version(client: &Client, path: &str) {
    let versions = client
        .raw("GET", &format!("/api/v1/versions?path={path}"))
        .send()
        .is(200)
        .json();
    let id = versions["items"][0]["id"].as_str().unwrap().to_owned();
    client
        .api(
            "POST",
            "/versions/restore",
            &json!({"path": path, "id": id}),
        )
        .is_any(&[200, 204]);
}

/// Makes something in a folder in every way there is; `/in` is a folder of ben's that ana may change.
fn everything(ana: &Client, dir: &str) {
    let at = |name: &str| format!("{dir}/{name}");
    ana.store(&at("small"), "x");
    ana.store(&at("large"), vec![7; 3 << 20]);
    ana.request("PUT", &at("chunked"))
        .body(vec![7; 300_000])
        .chunked()
        .send()
        .is(201);
    ana.mkcol(&at("folder")).is(201);
    ana.store(&at("folder/inner"), "x");
    ana.transfer("COPY", &at("small"), &at("copy"))
        .send()
        .is(201);
    ana.transfer("COPY", &at("folder"), &at("copied folder"))
        .send()
        .is(201);
    ana.store(&at("small"), "again");
    restore_version(ana, &at("small"));
    tus(ana, &at("tus"), b"over tus");
    let request = ana.raw("POST", &format!("/api/v1/files?path={dir}/"));
    request
        .header("Content-Type", "multipart/form-data; boundary=b")
        .body(FORM)
        .send()
        .is(200);
    ana.store(&at("gone"), "x");
    ana.delete(&at("gone")).is(204);
    let id = ana.api("GET", "/trash", &Value::Null).is(200).json()["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    ana.api("POST", &format!("/trash/{id}/restore"), &json!({}))
        .is_any(&[200, 201, 204]);
    for (name, verb) in [("theirs", "COPY"), ("their folder", "MOVE")] {
        ana.transfer(verb, &format!("/Shared with me/in/{name}"), &at(name))
            .send()
            .is(201);
    }
}

fn share(ana: &Client, ben: &Client) {
    ben.mkcol("/in").is(201);
    ben.mkcol("/in/their folder").is(201);
    for file in ["theirs", "their folder/file"] {
        ben.store(&format!("/in/{file}"), "x");
    }
    ben.api(
        "POST",
        "/shares",
        &json!({"path": "/in", "to": {"account": "ana"}, "rights": "edit"}),
    )
    .is(201);
    assert_eq!(ana.propfind("/Shared with me/in", "0").status, 207);
}

#[test]
fn the_mode_is_what_the_settings_say_whatever_the_umask() {
    for (umask, set, file, folder) in [
        ("000", "", 0o600, 0o700),
        (
            "077",
            "SARANG_STORAGE__FILE_MODE=0644 SARANG_STORAGE__FOLDER_MODE=755",
            0o644,
            0o755,
        ),
    ] {
        let place = Place::new();
        place.add_ana();
        assert!(
            place
                .run(&["user", "add", "ben", "--password-stdin"], PASSWORD)
                .status
                .success()
        );
        let serving = place.serve_by(&format!(
            "umask {umask}; export {set} X=; exec {} serve",
            crate::program::SARANG
        ));
        let (ana, ben) = (
            serving.ana(),
            Client::new(serving.address, Some(("ben", PASSWORD))),
        );
        share(&ana, &ben);
        ana.mkcol("/d").is(201);
        everything(&ana, "/d");
        let home = place.path().join("sarang-data/homes/ana");
        let made = below(&home);
        assert_eq!(made.len(), 15, "{made:?}");
        for path in made {
            let expected = if path.is_dir() { folder } else { file };
            assert_eq!(mode(&path), expected, "{}, umask {umask}", path.display());
        }
        assert_eq!(mode(&home.join(".sarang")), 0o700);
    }
}

#[test]
fn a_folder_with_the_set_group_id_bit_hands_on_its_group() {
    if !geteuid().is_root() {
        return println!("skipped: only root may give files to any group");
    }
    let server = TestServer::with(|config| {
        config.storage.file_mode = Mode::try_from("0640".to_owned()).unwrap();
        config.storage.folder_mode = Mode::try_from("0750".to_owned()).unwrap();
    });
    let ana = server.ana();
    share(&ana, &server.ben());
    ana.mkcol("/d").is(201);
    let dir = server.home("ana").join("d");
    chown(&dir, None, Some(GROUP)).unwrap();
    set_mode(&dir, 0o2770);
    everything(&ana, "/d");
    for path in below(&dir) {
        let expected = if path.is_dir() { 0o2750 } else { 0o640 };
        let group = fs::metadata(&path).unwrap().gid();
        assert_eq!(
            (format!("{:o}", mode(&path)), group),
            (format!("{expected:o}"), GROUP),
            "{}",
            path.display()
        );
    }
    ana.store("/beside", "x");
    assert_ne!(
        fs::metadata(server.home("ana").join("beside"))
            .unwrap()
            .gid(),
        GROUP
    );
}

#[test]
fn a_default_acl_is_inherited_as_by_any_program() {
    let server = TestServer::start();
    let ana = server.ana();
    share(&ana, &server.ben());
    ana.mkcol("/d").is(201);
    let dir = server.home("ana").join("d");
    if setxattr(&dir, DEFAULT_ACL, &acl(7, 5, 7, 7, 0), XattrFlags::empty()).is_err() {
        return println!("skipped: this file system has no ACLs");
    }
    everything(&ana, "/d");
    // What any program gets that makes a file and a folder there.
    fs::write(dir.join("plain"), "x").unwrap();
    fs::create_dir(dir.join("plain folder")).unwrap();
    let (plain, plain_folder) = (
        acl_of(&dir.join("plain"), ACL),
        acl_of(&dir.join("plain folder"), ACL),
    );
    assert!(plain.is_some() && plain_folder.is_some());
    for path in below(&dir) {
        let (expected, handed_on) = if path.is_dir() {
            (&plain_folder, true)
        } else {
            (&plain, false)
        };
        assert_eq!(acl_of(&path, ACL), *expected, "{}", path.display());
        assert_eq!(
            acl_of(&path, DEFAULT_ACL).is_some(),
            handed_on,
            "{}",
            path.display()
        );
    }
    ana.store("/beside", "x");
    assert_eq!(
        (
            acl_of(&server.home("ana").join("beside"), ACL),
            mode(&server.home("ana").join("beside"))
        ),
        (None, 0o600)
    );
}

/// Saves a file anew, in one of the ways there are.
type Overwrite = fn(&Client);

#[test]
fn a_file_that_is_overwritten_keeps_mode_group_and_acl() {
    let server = TestServer::start();
    let ana = server.ana();
    let is_root = geteuid().is_root();
    let rights = acl(6, 6, 6, 6, 4);
    let ways: [(&str, Overwrite); 6] = [
        ("PUT", |ana| drop(ana.put("/f", "new").is(204))),
        ("a large PUT", |ana| {
            drop(ana.put("/f", vec![7; 3 << 20]).is(204));
        }),
        ("COPY", |ana| {
            drop(ana.transfer("COPY", "/other", "/f").send().is(204));
        }),
        ("tus", |ana| tus(ana, "/f", b"over tus")),
        ("a version", |ana| restore_version(ana, "/f")),
        ("append", |ana| {
            let request = ana
                .request("PATCH", "/f")
                .header("X-Update-Range", "append")
                .body("more");
            request
                .header("Content-Type", "application/x-sabredav-partialupdate")
                .send()
                .is_any(&[200, 204]);
        }),
    ];
    ana.store("/other", "other");
    for with_acl in [false, true] {
        for (way, overwrite) in ways {
            ana.store("/f", "old");
            ana.put("/f", "older").is_any(&[201, 204]);
            let file = server.home("ana").join("f");
            if is_root {
                chown(&file, Some(4321), Some(GROUP)).unwrap();
            }
            set_mode(&file, 0o664);
            if with_acl && setxattr(&file, ACL, &rights, XattrFlags::empty()).is_err() {
                return println!("skipped: this file system has no ACLs");
            }
            let facts = |path: &Path| {
                let facts = fs::metadata(path).unwrap();
                (
                    facts.mode() & 0o7777,
                    facts.uid(),
                    facts.gid(),
                    acl_of(path, ACL),
                )
            };
            let (before, inode) = (facts(&file), fs::metadata(&file).unwrap().ino());
            overwrite(&ana);
            assert_ne!(fs::metadata(&file).unwrap().ino(), inode, "{way}");
            assert_eq!(facts(&file), before, "{way}");
            ana.delete("/f").is(204);
        }
    }
}
