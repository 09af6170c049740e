//! What plain files add to the contract: confinement, what lies in `.sarang`, and what is on the disk afterwards.

use super::{LocalSettings, LocalTree, sys};
use crate::config::Durability;
use crate::model::{Error, RelPath};
use crate::storage::contract::{HOSTILE, commit, content, names, path, put};
use crate::storage::step_contract::TestLocks;
use crate::storage::{CopyDepth, Expect, InitialContent, SpaceRequest, Tree, WriteOptions};
use bytes::Bytes;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

mod crashes;
mod lacking;
mod overflow;

pub(super) const RELAXED: LocalSettings = LocalSettings {
    durability: Durability::Relaxed,
    portable_names: false,
    versions: true,
    reserve: 0,
    modes: [0o600, 0o700],
};

impl LocalSettings {
    /// What most tests open a tree with.
    pub(crate) const RELAXED: Self = RELAXED;
}

fn relaxed() -> (Arc<dyn Tree>, TempDir) {
    open(RELAXED)
}

fn strict() -> (Arc<dyn Tree>, TempDir) {
    open(LocalSettings {
        durability: Durability::Strict,
        ..RELAXED
    })
}

fn relaxed_under(locks: Arc<TestLocks>) -> (Arc<dyn Tree>, TempDir) {
    open_under(RELAXED, locks)
}

fn strict_under(locks: Arc<TestLocks>) -> (Arc<dyn Tree>, TempDir) {
    let durability = Durability::Strict;
    open_under(
        LocalSettings {
            durability,
            ..RELAXED
        },
        locks,
    )
}

fn open_under(settings: LocalSettings, locks: Arc<TestLocks>) -> (Arc<dyn Tree>, TempDir) {
    let dir = TempDir::new().unwrap();
    let tree = LocalTree::open(&dir.path().join("home"), settings).unwrap();
    tree.set_locks(locks);
    (tree, dir)
}

fn open(settings: LocalSettings) -> (Arc<dyn Tree>, TempDir) {
    let dir = TempDir::new().unwrap();
    (
        LocalTree::open(&dir.path().join("home"), settings).unwrap(),
        dir,
    )
}

/// What is not kept on the file system that the tests run on: TMPDIR, as `tests/file-systems/run` sets it.
fn not_kept_here() -> Vec<&'static str> {
    let dir = TempDir::new().unwrap();
    lacking::not_kept(
        LocalTree::open(dir.path(), RELAXED)
            .unwrap()
            .missing_features(),
    )
}

mod relaxed_durability {
    crate::storage::contract::contract!(super::relaxed, without super::not_kept_here);
    crate::storage::step_contract::step_contract!(super::relaxed_under, without super::not_kept_here);
}

mod strict_durability {
    crate::storage::contract::contract!(super::strict, without super::not_kept_here);
    crate::storage::step_contract::step_contract!(super::strict_under, without super::not_kept_here);
}

/// A home with what must not be followed or shown, made beside the server, and a secret next to it.
fn home_with_traps() -> (Arc<dyn Tree>, TempDir) {
    let (tree, dir) = relaxed();
    let home = dir.path().join("home");
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/secret"), "secret").unwrap();
    symlink("../outside/secret", home.join("file link")).unwrap();
    symlink(dir.path().join("outside"), home.join("folder link")).unwrap();
    symlink("../outside/not yet", home.join("dangling")).unwrap();
    symlink("real", home.join("inner link")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(home.join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    fs::write(home.join("new\nline"), "x").unwrap();
    fs::write(home.join("\u{202e}txt.exe"), "x").unwrap();
    fs::write(
        home.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"not\xffutf8")),
        "x",
    )
    .unwrap();
    fs::create_dir(home.join("real")).unwrap();
    fs::write(home.join("real/f"), "f").unwrap();
    (tree, dir)
}

#[tokio::test]
async fn only_files_and_folders_exist() {
    let (tree, dir) = home_with_traps();
    assert_eq!(names(&tree, "").await, ["real"]);
    let traps = [
        "file link",
        "folder link",
        "folder link/secret",
        "dangling",
        "inner link",
        "inner link/f",
        "pipe",
    ];
    for trap in traps.map(path) {
        assert!(
            matches!(tree.stat(&trap).await, Err(Error::NotFound)),
            "{trap}"
        );
        assert!(
            matches!(tree.open(&trap).await.map(drop), Err(Error::NotFound)),
            "{trap}"
        );
        assert!(
            matches!(tree.list(&trap, true).await.map(drop), Err(Error::NotFound)),
            "{trap}"
        );
        assert!(
            matches!(tree.props(&trap).await, Err(Error::NotFound)),
            "{trap}"
        );
        assert!(
            matches!(tree.delete(&trap, commit()).await, Err(Error::NotFound)),
            "{trap}"
        );
        assert!(
            matches!(
                tree.rename(&trap, &path("x"), commit()).await,
                Err(Error::NotFound)
            ),
            "{trap}"
        );
        assert!(
            matches!(
                tree.copy(&trap, &path("x"), CopyDepth::Infinity, commit())
                    .await,
                Err(Error::NotFound)
            ),
            "{trap}"
        );
        let upload = tree
            .begin_upload(&trap, InitialContent::Empty, SpaceRequest::default())
            .await;
        let put = match upload {
            Ok(upload) => upload.commit(commit()).await.map(drop),
            Err(e) => Err(e),
        };
        assert!(
            matches!(put, Err(Error::Forbidden(_) | Error::ParentMissing)),
            "{trap}: {put:?}"
        );
        let moved = tree.rename(&path("real"), &trap, commit()).await;
        assert!(
            matches!(moved, Err(Error::Forbidden(_) | Error::ParentMissing)),
            "{trap}: {moved:?}"
        );
    }
    assert!(matches!(
        tree.mkdir(&path("folder link/d"), commit()).await,
        Err(Error::ParentMissing)
    ));
    assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(dir.path().join("outside/secret")).unwrap(),
        "secret"
    );
    assert!(
        fs::symlink_metadata(dir.path().join("home/dangling"))
            .unwrap()
            .is_symlink()
    );
    tree.copy(&path("real"), &path("copy"), CopyDepth::Infinity, commit())
        .await
        .unwrap();
    assert_eq!(names(&tree, "").await, ["copy", "real"]);
}

#[tokio::test]
async fn links_in_a_tree_are_copied_and_not_followed() {
    let (tree, dir) = relaxed();
    let inner = dir.path().join("home/d");
    fs::create_dir(&inner).unwrap();
    symlink("/etc/passwd", inner.join("link")).unwrap();
    fs::write(inner.join("f"), "f").unwrap();
    tree.copy(&path("d"), &path("c"), CopyDepth::Infinity, commit())
        .await
        .unwrap();
    assert_eq!(
        fs::read_link(dir.path().join("home/c/link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert!(matches!(
        tree.stat(&path("c/link")).await,
        Err(Error::NotFound)
    ));
}

#[tokio::test]
async fn a_hard_link_elsewhere_keeps_its_content() {
    let (tree, dir) = relaxed();
    put(&tree, "a", b"old").await;
    fs::hard_link(dir.path().join("home/a"), dir.path().join("other")).unwrap();
    put(&tree, "a", b"new").await;
    assert_eq!(fs::read_to_string(dir.path().join("other")).unwrap(), "old");
}

/// Two names of one file are two files once one of them was saved: each has a history that the other cannot delete, on another disk as well.
#[tokio::test]
async fn a_file_that_lost_a_name_to_another_keeps_a_history_of_its_own() {
    let (tree, dir) = relaxed();
    for text in [b"1", b"2"] {
        put(&tree, "a", text).await;
    }
    let home = dir.path().join("home");
    fs::hard_link(home.join("a"), home.join("b")).unwrap();
    put(&tree, "a", b"3").await;
    drop(tree);
    let other = dir.path().join("other");
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .arg(&home)
            .arg(&other)
            .status()
            .unwrap()
            .success()
    );
    let tree: Arc<dyn Tree> = LocalTree::open(&other, RELAXED).unwrap();
    assert_ne!(
        tree.identify(&path("a")).await.unwrap().1,
        tree.identify(&path("b")).await.unwrap().1
    );
    for (file, versions) in [("a", 2), ("b", 1)] {
        assert_eq!(
            tree.versions(&path(file)).await.unwrap().len(),
            versions,
            "{file}"
        );
    }
    let id = tree.delete(&path("b"), commit()).await.unwrap().id;
    tree.purge(&id).await.unwrap();
    assert_eq!(tree.versions(&path("a")).await.unwrap().len(), 2);
}

/// The kernel's clock stands still for some milliseconds.
#[tokio::test]
async fn two_contents_that_other_programs_write_at_once_are_not_read_under_one_tag() {
    let (tree, dir) = relaxed();
    for _ in 0..20 {
        let mut read = Vec::new();
        for content in ["1", "2"] {
            fs::write(dir.path().join("home/f"), content).unwrap();
            let reader = tree.open(&path("f")).await.unwrap();
            read.push((
                reader.node().etag.to_string(),
                reader.read_at(0, 9).await.unwrap(),
            ));
        }
        assert_ne!(read[0].0, read[1].0);
        for content in ["3", "4"] {
            fs::write(dir.path().join("home/f"), content).unwrap();
            assert!(tree.scrub().await.unwrap().damaged.is_empty());
        }
    }
}

#[tokio::test]
async fn files_are_plain_and_private() {
    let (tree, dir) = relaxed();
    tree.mkdir(&path("d"), commit()).await.unwrap();
    put(&tree, &format!("d/{HOSTILE}"), b"as it is").await;
    let on_disk = dir.path().join("home/d").join(HOSTILE);
    assert_eq!(fs::read(&on_disk).unwrap(), b"as it is");
    assert_eq!(
        fs::metadata(&on_disk).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for folder in [
        "home",
        "home/d",
        "home/.sarang",
        "home/.sarang/tmp",
        "home/.sarang/versions",
    ] {
        assert_eq!(
            fs::metadata(dir.path().join(folder))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o700,
            "{folder}"
        );
    }
}

fn in_folder(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_deleted_or_replaced_lies_in_the_trash() {
    for (tree, dir) in [relaxed(), strict()] {
        let sarang = dir.path().join("home/.sarang");
        tree.mkdir(&path("d é"), commit()).await.unwrap();
        put(&tree, "d é/a%b", b"one").await;
        tree.delete(&path("d é/a%b"), commit()).await.unwrap();
        let [name] = &in_folder(&sarang.join("trash/files"))[..] else {
            panic!("one file")
        };
        assert!(name.starts_with("a%b."));
        assert_eq!(
            fs::read(sarang.join("trash/files").join(name)).unwrap(),
            b"one"
        );
        assert_eq!(
            in_folder(&sarang.join("trash/info")),
            [format!("{name}.trashinfo")]
        );
        let info = fs::read_to_string(sarang.join("trash/info").join(format!("{name}.trashinfo")))
            .unwrap();
        let lines: Vec<_> = info.lines().collect();
        assert_eq!(lines[..2], ["[Trash Info]", "Path=d%20%C3%A9/a%25b"]);
        let date = lines[2].strip_prefix("DeletionDate=").unwrap();
        assert!(
            date.len() == 19 && date.starts_with("20") && date.as_bytes()[10] == b'T',
            "{date}"
        );
        assert_eq!(lines[3], "X-Sarang-Who=ada");
        for (from, to) in [("f", "g"), ("f", "d é"), ("d", "g")] {
            let before = in_folder(&sarang.join("trash/files")).len();
            for name in [from, to] {
                if name.starts_with('d') {
                    tree.mkdir(&path(name), commit()).await.ok()
                } else {
                    None
                };
                if !name.starts_with('d') {
                    put(&tree, name, name.as_bytes()).await;
                }
            }
            tree.copy(&path(from), &path(to), CopyDepth::Infinity, commit())
                .await
                .unwrap();
            tree.rename(&path(from), &path(to), commit()).await.unwrap();
            assert_eq!(in_folder(&sarang.join("trash/files")).len(), before + 2);
            assert_eq!(in_folder(&sarang.join("trash/info")).len(), before + 2);
            tree.delete(&path(to), commit()).await.unwrap();
        }
        assert!(in_folder(&sarang.join("tmp")).is_empty());
    }
}

#[tokio::test]
async fn nothing_is_left_behind_by_what_fails() {
    let (tree, dir) = relaxed();
    put(&tree, "a", b"x").await;
    put(&tree, "b", b"x").await;
    tree.mkdir(&path("d"), commit()).await.unwrap();
    let never = commit().expecting(Expect::Etag(vec![]));
    for size in [10, 3 << 20] {
        let mut dropped = tree
            .begin_upload(&path("a"), InitialContent::Present, SpaceRequest::default())
            .await
            .unwrap();
        dropped.write(Bytes::from(vec![1; size])).await.unwrap();
        drop(dropped);
        let mut refused = tree
            .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::default())
            .await
            .unwrap();
        refused.write(Bytes::from(vec![1; size])).await.unwrap();
        refused.commit(never.clone()).await.unwrap_err();
    }
    tree.delete(&path("a"), never.clone()).await.unwrap_err();
    tree.rename(&path("a"), &path("b"), never.clone())
        .await
        .unwrap_err();
    tree.copy(&path("d"), &path("b"), CopyDepth::Infinity, never)
        .await
        .unwrap_err();
    let sarang = dir.path().join("home/.sarang");
    for _ in 0..1000 {
        if in_folder(&sarang.join("tmp")).is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for folder in ["tmp", "trash/files", "trash/info"] {
        assert!(in_folder(&sarang.join(folder)).is_empty(), "{folder}");
    }
}

/// Refused in the last moment: by what the one who writes expects to be there.
#[tokio::test]
async fn a_refused_overwrite_leaves_no_empty_history() {
    let (tree, dir) = relaxed();
    put(&tree, "file", b"1").await;
    let refuse = commit().expecting(Expect::Absent);
    let mut upload = tree
        .begin_upload(
            &path("file"),
            InitialContent::Empty,
            SpaceRequest::default(),
        )
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"2")).await.unwrap();
    assert!(upload.commit(refuse).await.is_err());
    assert!(in_folder(&dir.path().join("home/.sarang/versions")).is_empty());
}

#[tokio::test]
async fn the_reserve_stays_free() {
    let (tree, _dir) = open(LocalSettings {
        reserve: 1 << 60,
        ..RELAXED
    });
    let early = tree
        .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::of(1))
        .await;
    assert!(matches!(early.map(drop), Err(Error::NoSpace)));
    let mut unknown = tree
        .begin_upload(&path("a"), InitialContent::Empty, SpaceRequest::default())
        .await
        .unwrap();
    unknown.write(Bytes::from_static(b"x")).await.unwrap();
    assert!(matches!(
        unknown.commit(commit()).await,
        Err(Error::NoSpace)
    ));
    assert_eq!(tree.usage().await.unwrap().free, 0);
    assert!(names(&tree, "").await.is_empty());
}

#[tokio::test]
async fn portable_names_are_for_new_names_only() {
    let (tree, dir) = open(LocalSettings {
        portable_names: true,
        ..RELAXED
    });
    fs::write(dir.path().join("home/a:b"), "x").unwrap();
    assert_eq!(content(&tree, "a:b").await, b"x");
    put(&tree, "ok", b"x").await;
    let bad = path("what?");
    assert!(matches!(
        tree.begin_upload(&bad, InitialContent::Empty, SpaceRequest::default())
            .await
            .map(drop),
        Err(Error::BadName(_))
    ));
    assert!(matches!(
        tree.mkdir(&bad, commit()).await,
        Err(Error::BadName(_))
    ));
    assert!(matches!(
        tree.rename(&path("ok"), &bad, commit()).await,
        Err(Error::BadName(_))
    ));
    assert!(matches!(
        tree.copy(&path("ok"), &bad, CopyDepth::Infinity, commit())
            .await,
        Err(Error::BadName(_))
    ));
    assert!(
        tree.rename(&path("a:b"), &path("fine"), commit())
            .await
            .unwrap()
            .created()
    );
    assert_eq!(
        tree.stored_path(&RelPath::root()).await.unwrap(),
        RelPath::root()
    );
}

/// Until then another write could have the same time, and two contents one tag.
#[tokio::test]
async fn what_was_written_beside_the_server_is_read_once_the_clock_has_moved_on() {
    let (tree, dir) = relaxed();
    let file = dir.path().join("home/f");
    fs::write(&file, "1").unwrap();
    let milliseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let written = UNIX_EPOCH + Duration::from_millis(milliseconds.try_into().unwrap());
    fs::File::open(&file)
        .unwrap()
        .set_modified(written)
        .unwrap();
    drop(tree.open(&path("f")).await.unwrap());
    assert!(written.elapsed().unwrap() >= super::read::TICK);
}

#[tokio::test]
async fn a_scrub_finds_what_has_rotted_and_passes_over_what_was_changed_by_hand() {
    let (tree, dir) = relaxed();
    let home = dir.path().join("home");
    for name in ["sound", "rotten", "edited"] {
        put(&tree, name, b"content").await;
    }
    put(&tree, "old", b"first").await;
    put(&tree, "old", b"second").await;
    let rot = |file: &std::path::Path| {
        let time = std::fs::metadata(file).unwrap().modified().unwrap();
        let open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        std::os::unix::fs::FileExt::write_at(&open, b"C", 0).unwrap();
        open.set_modified(time).unwrap();
    };
    rot(&home.join("rotten"));
    let history = std::fs::read_dir(home.join(".sarang/versions"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let version = std::fs::read_dir(history)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    rot(&version);
    std::fs::write(home.join("edited"), "by hand").unwrap();
    let mut found = tree.scrub().await.unwrap();
    found.damaged.sort();
    let version = version.strip_prefix(&home).unwrap().to_str().unwrap();
    assert_eq!(found.damaged, [version, "rotten"]);
    assert_eq!((found.files, found.new), (5, 1));
}

/// As docs/backup.md tells to bring a file back over the one that is there, and why not by `cp -a`.
#[tokio::test]
async fn a_file_that_is_copied_back_keeps_its_versions_unless_its_attributes_come_along() {
    for (how, versions) in [("-p", 1), ("-a", 0)] {
        let (tree, dir) = relaxed();
        put(&tree, "file", b"1").await;
        let backup = dir.path().join("backup");
        let copy = |how: &str, from: &Path, to: &Path| {
            let mut copied = std::process::Command::new("cp");
            assert!(copied.arg(how).args([from, to]).status().unwrap().success());
        };
        let file = dir.path().join("home/file");
        copy("-a", &file, &backup);
        put(&tree, "file", b"2").await;
        copy(how, &backup, &file);
        assert_eq!(content(&tree, "file").await, b"1");
        let kept = tree.versions(&path("file")).await.unwrap().len();
        assert_eq!(kept, versions, "{how}");
    }
}
