//! Files that nobody may write (0444) and folders of that kind (0555), under a server that is not root: they are replaced, backed up,
//! copied and purged as all others, and keep their mode.

use crate::beside::{restore_version, tus};
use crate::harness::Client;
use crate::program::{Place, SARANG, Serving, give, said};
use rustix::process::geteuid;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

const DATA: &str = "sarang-data";
const USER: &str = "4242";

/// Runs the server by a user whom permissions bind, also where the tests run as root.
fn bound(line: &str) -> String {
    if geteuid().is_root() {
        format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups {SARANG} {line}")
    } else {
        format!("exec {SARANG} {line}")
    }
}

fn serve() -> (Place, Serving, Client) {
    let place = Place::new();
    place.add_ana();
    if geteuid().is_root() {
        assert!(give(place.path(), 4242));
    }
    let serving = place.serve_by(&bound("serve"));
    let ana = serving.ana();
    (place, serving, ana)
}

/// Runs a command by the same user; demands its success.
fn run(place: &Place, line: &str) -> Output {
    let output = place
        .command("sh")
        .args(["-c", &bound(line)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}: {}", said(&output));
    output
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn versions(client: &Client, path: &str) -> usize {
    let target = format!("/api/v1/versions?path={path}");
    let list = client.raw("GET", &target).send().is(200).json();
    list["items"].as_array().unwrap().len()
}

#[test]
fn a_read_only_file_is_replaced_and_keeps_its_mode_and_history() {
    let (place, _serving, ana) = serve();
    let file = place.path().join(DATA).join("homes/ana/saved");
    ana.store("/saved", "one");
    set_mode(&file, 0o444);
    ana.put("/saved", "two").is(204);
    assert_eq!((mode(&file), versions(&ana, "/saved")), (0o444, 1));
    let set = "<D:set><D:prop><x:a xmlns:x=\"http://example.org/x/\">1</x:a></D:prop></D:set>";
    let answer = ana.proppatch("/saved", set).send().is(207).text();
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    ana.put("/saved", "three").is(204);
    assert_eq!((mode(&file), versions(&ana, "/saved")), (0o444, 2));
    ana.holds("/saved", "three");

    tus(&ana, "saved", b"four");
    ana.holds("/saved", "four");
    assert_eq!((mode(&file), versions(&ana, "/saved")), (0o444, 3));
    // Its siblings: another file over it by COPY, and a former content of it.
    restore_version(&ana, "saved");
    ana.holds("/saved", "three");
    ana.store("/other", "x");
    ana.transfer("COPY", "/other", "/saved").send().is(204);
    ana.holds("/saved", "x");
}

#[test]
fn read_only_things_are_backed_up_restored_and_pruned() {
    let (place, _serving, ana) = serve();
    let home = place.path().join(DATA).join("homes/ana");
    ana.mkcol("/closed").is(201);
    for file in ["/closed/x", "/saved"] {
        ana.store(file, "one");
        ana.put(file, "two").is(204);
        set_mode(&home.join(&file[1..]), 0o444);
    }
    set_mode(&home.join("closed"), 0o555);
    for _ in 0..3 {
        run(&place, "backup backups --keep 1");
    }
    let made: Vec<_> = fs::read_dir(place.path().join("backups"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    let copy = made[0].path().join("files/homes/ana");
    assert_eq!(
        (mode(&copy.join("saved")), mode(&copy.join("closed"))),
        (0o444, 0o555)
    );
    set_mode(&home.join("closed"), 0o755);
}

#[test]
fn a_read_only_folder_in_the_trash_is_purged() {
    let (place, _serving, ana) = serve();
    let home = place.path().join(DATA).join("homes/ana");
    for folder in ["/cache", "/cache/mod", "/cache/mod/none"] {
        ana.mkcol(folder).is(201);
    }
    ana.store("/cache/mod/x", "1");
    set_mode(&home.join("cache/mod/none"), 0);
    set_mode(&home.join("cache/mod"), 0o555);
    ana.delete("/cache").is(204);
    ana.raw("DELETE", "/api/v1/trash")
        .send()
        .is_any(&[200, 204]);
    let left: Vec<_> = fs::read_dir(home.join(".sarang/tmp"))
        .unwrap()
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_copy_of_the_data_folder_keeps_the_history_of_read_only_files() {
    let (place, mut serving, ana) = serve();
    ana.store("/saved", "one");
    ana.put("/saved", "two").is(204);
    set_mode(&place.path().join(DATA).join("homes/ana/saved"), 0o444);
    serving.terminate();
    assert_eq!(serving.end(), Some(0));
    let copied = place
        .command("sh")
        .args([
            "-c",
            &format!("cp -a {DATA} copied && rm -rf {DATA} && mv copied {DATA}"),
        ])
        .status();
    assert!(copied.unwrap().success());
    let serving = place.serve_by(&bound("serve"));
    assert_eq!(versions(&serving.ana(), "/saved"), 1);
}
