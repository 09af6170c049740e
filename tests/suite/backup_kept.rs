//! What a backup keeps whatever goes wrong: what cannot be read any more, and itself when the clock was wrong. And what it never
//! takes in: the folder of backups.

use crate::backup::{DATA, backup, generations, place, ran, refused};
use crate::program::{Place, SARANG, said};
use rustix::process::geteuid;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

const OVERLAP: &str = "within a home or team folder";

/// Whether a backup to a folder is refused before it has made anything; ended before long should it copy itself.
#[track_caller]
fn is_refused(place: &Place, mount: Option<(&Path, &Path)>, dir: &Path, sentence: &str) {
    let mount = mount.map_or(String::new(), |(from, to)| {
        format!(
            "mount --bind '{}' '{}' || exit 77; ",
            from.display(),
            to.display()
        )
    });
    let line = format!("{mount}exec timeout 10 {SARANG} backup '{}'", dir.display());
    let mut command = place.command(if mount.is_empty() { "sh" } else { "unshare" });
    command
        .args(if mount.is_empty() {
            &[][..]
        } else {
            &["-m", "sh"]
        })
        .args(["-c", &line]);
    let output = command.output().unwrap();
    if output.status.code() == Some(77) || said(&output).contains("unshare") {
        return println!("skipped: nothing can be mounted here: {}", said(&output));
    }
    assert!(
        said(&output).contains(sentence) && output.status.code() == Some(1),
        "{}: {output:?}",
        dir.display()
    );
    assert!(!dir.exists(), "{} was made", dir.display());
}

#[test]
fn a_backup_below_a_home_that_is_a_link_or_a_mount_is_refused() {
    let (around, place) = place();
    let (srv, homes) = (
        around.path().join("srv"),
        place.path().join(DATA).join("homes"),
    );
    for folder in ["srv/l1", "srv/ben/deep", "srv/inner", "alias"] {
        fs::create_dir_all(around.path().join(folder)).unwrap();
    }
    for home in ["ben", "eva/inner"] {
        fs::create_dir_all(homes.join(home)).unwrap();
    }
    symlink(srv.join("l1"), homes.join("l1")).unwrap();
    is_refused(&place, None, &srv.join("l1/backups"), OVERLAP);
    is_refused(
        &place,
        Some((&srv.join("ben"), &homes.join("ben"))),
        &srv.join("ben/backups"),
        OVERLAP,
    );
    is_refused(
        &place,
        Some((&srv.join("ben/deep"), &homes.join("ben"))),
        &srv.join("ben/deep/backups"),
        OVERLAP,
    );
    is_refused(
        &place,
        Some((&srv.join("inner"), &homes.join("eva/inner"))),
        &srv.join("inner/backups"),
        OVERLAP,
    );
    let (data, alias) = (place.path().join(DATA), around.path().join("alias"));
    is_refused(
        &place,
        Some((&data, &alias)),
        &alias.join("backups"),
        "within the data folder",
    );
    // Beside them is well, and what was there before stays.
    ran(&place, &["backup", srv.join("beside").to_str().unwrap()]);
    symlink(srv.join("beside"), homes.join("led")).unwrap();
    assert!(refused(&place, &["backup", srv.join("beside").to_str().unwrap()]).contains(OVERLAP));
    let left: Vec<_> = fs::read_dir(srv.join("beside"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left.len(), 2, "the marker and one generation: {left:?}");
}

/// A backup by a user whom permissions bind, also where the tests run as root; what it says.
fn bound(place: &Place) -> String {
    let line = ["backup", "../backups", "--keep", "1"];
    let mut command = place.command(if geteuid().is_root() {
        "setpriv"
    } else {
        SARANG
    });
    if geteuid().is_root() {
        let caps = "-dac_override,-dac_read_search";
        command.args([
            format!("--bounding-set={caps}"),
            format!("--inh-caps={caps}"),
            SARANG.to_owned(),
        ]);
    }
    let output = command.args(line).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        said(&output)
    )
}

#[test]
fn what_cannot_be_read_any_more_is_kept_from_the_backup_before() {
    let (around, place) = place();
    let home = place.path().join(DATA).join("homes/ana");
    let odd = Path::new("plain").join(OsStr::from_bytes(b"caf\xe9"));
    let held = [
        Path::new("closed"),
        Path::new("folder/y"),
        Path::new("folder/deep/x"),
        &odd,
    ];
    for path in held.iter().chain(&[Path::new("plain/open")]) {
        fs::create_dir_all(home.join(path).parent().unwrap()).unwrap();
        fs::write(home.join(path), path.as_os_str().as_bytes()).unwrap();
    }
    // What is younger than the steps of the clock counts as changed.
    std::thread::sleep(std::time::Duration::from_millis(100));
    backup(&place, &[]);
    let first = generations(&around).pop().unwrap().join("files/homes/ana");
    let inode = fs::metadata(first.join("folder/deep/x")).unwrap().ino();
    let closed = [Path::new("closed"), Path::new("folder"), &odd];
    let modes: Vec<_> = closed
        .iter()
        .map(|path| fs::metadata(home.join(path)).unwrap().permissions())
        .collect();
    for path in closed {
        fs::set_permissions(home.join(path), Permissions::from_mode(0o0)).unwrap();
    }
    fs::write(home.join("never"), "x").unwrap();
    fs::set_permissions(home.join("never"), Permissions::from_mode(0o0)).unwrap();
    for round in 0..3 {
        let text = bound(&place);
        for path in ["closed", "folder", "plain/caf\u{fffd}"] {
            let told: Vec<_> = text
                .lines()
                .filter(|line| line.contains(&format!("homes/ana/{path}: ")))
                .collect();
            assert!(
                told.len() == 1 && told[0].contains("this backup has it as the one before had it"),
                "{text}"
            );
        }
        assert!(
            text.contains("homes/ana/never: it cannot be read") && text.contains("in no backup"),
            "{text}"
        );
        let left = generations(&around);
        assert_eq!(left.len(), 1);
        for path in held {
            let kept = fs::read(left[0].join("files/homes/ana").join(path));
            assert_eq!(
                kept.ok().as_deref(),
                Some(path.as_os_str().as_bytes()),
                "round {round}: {}",
                path.display()
            );
        }
        let kept = fs::metadata(left[0].join("files/homes/ana/folder/deep/x")).unwrap();
        assert_eq!(kept.ino(), inode, "it was copied");
    }
    for (path, mode) in closed.iter().zip(modes) {
        fs::set_permissions(home.join(path), mode).unwrap();
    }
    fs::remove_file(home.join("never")).unwrap();
    let summary = backup(&place, &["--keep", "1"]);
    assert_eq!(summary["tally"]["failures"], json!([]), "{summary}");
    ran(&place, &["restore", "../backups", "--to", "restored"]);
    for path in held {
        let restored = place.path().join("restored/homes/ana").join(path);
        assert_eq!(fs::read(restored).unwrap(), path.as_os_str().as_bytes());
    }
}

#[test]
fn a_backup_from_a_time_that_is_yet_to_come_is_not_the_newest() {
    for numbered in [true, false] {
        let (around, place) = place();
        backup(&place, &[]);
        let made = generations(&around).pop().unwrap();
        if !numbered {
            let mut header: Value =
                serde_json::from_slice(&fs::read(made.join("backup.json")).unwrap()).unwrap();
            header.as_object_mut().unwrap().remove("number");
            fs::write(made.join("backup.json"), header.to_string()).unwrap();
        }
        let ahead = made.with_file_name("2099-01-01T000000Z");
        fs::rename(&made, &ahead).unwrap();
        let file = place.path().join(DATA).join("homes/ana/file");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "two").unwrap();
        let told = ran(&place, &["backup", "../backups"]);
        assert!(
            told.contains("2099-01-01T000000Z lies in the future"),
            "{told}"
        );
        ran(&place, &["restore", "../backups", "--to", "restored"]);
        assert_eq!(
            fs::read_to_string(place.path().join("restored/homes/ana/file")).unwrap(),
            "two"
        );
        fs::write(&file, "three").unwrap();
        let told = ran(&place, &["backup", "../backups", "--keep", "1"]);
        assert!(told.contains("Removed 2 older backups"), "{told}");
        let left = generations(&around);
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(
            fs::read_to_string(left[0].join("files/homes/ana/file")).unwrap(),
            "three"
        );
    }
}

#[test]
fn holes_of_a_file_take_no_room_in_a_backup() {
    let (around, place) = place();
    let home = place.path().join(DATA).join("homes/ana");
    fs::create_dir_all(&home).unwrap();
    let file = fs::File::create(home.join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_at(b"middle", 32 << 20).unwrap();
    fs::File::create(home.join("hole"))
        .unwrap()
        .set_len((64 << 20) + 7)
        .unwrap();
    if file.metadata().unwrap().blocks() > 2048 {
        return println!("skipped: this file system keeps no holes");
    }
    backup(&place, &[]);
    let made = generations(&around).pop().unwrap().join("files/homes/ana");
    for name in ["sparse", "hole"] {
        let (copy, original) = (
            fs::metadata(made.join(name)).unwrap(),
            fs::metadata(home.join(name)).unwrap(),
        );
        assert_eq!(copy.len(), original.len());
        assert!(
            copy.blocks() <= original.blocks() + 64,
            "{name}: {} blocks",
            copy.blocks()
        );
    }
    assert!(fs::read(made.join("sparse")).unwrap() == fs::read(home.join("sparse")).unwrap());
}
