//! What a check cannot see has owners all the same.

use super::*;
use crate::model::Result;
use crate::storage::contract::{TestTree, commit, path, put};
use crate::storage::local::tests::RELAXED;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const REPAIR: TreeCheckOptions = TreeCheckOptions {
    served: false,
    repair: Some(RELAXED),
};

/// Checks and repairs as a process does that permissions bind, whoever runs the tests.
fn repair(home: PathBuf) -> Result<TreeCheckReport> {
    let check = move || {
        let mut sets = capabilities(None).unwrap();
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).unwrap();
        check_tree(&home, REPAIR)
    };
    std::thread::spawn(check).join().unwrap()
}

/// A home in which the file `folder/file` has one version.
async fn home_with_version(dir: &tempfile::TempDir) -> PathBuf {
    let home = dir.path().join("home");
    let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
    tree.mkdir(&path("folder"), commit()).await.unwrap();
    for content in [b"1", b"2"] {
        put(&tree, "folder/file", content).await;
    }
    home
}

async fn version_count(home: &Path, file: &str) -> usize {
    let tree: TestTree = LocalTree::open(home, RELAXED).unwrap();
    tree.versions(&path(file)).await.unwrap().len()
}

#[tokio::test]
async fn versions_of_files_below_a_name_that_is_no_text_are_not_orphans() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_with_version(&dir).await;
    let renamed = home.join(OsStr::from_bytes(b"fo\xfflder"));
    fs::rename(home.join("folder"), &renamed).unwrap();
    assert_eq!(check_tree(&home, REPAIR).unwrap().findings, []);
    fs::rename(renamed, home.join("folder")).unwrap();
    assert_eq!(version_count(&home, "folder/file").await, 1);
    let renamed = home.join("folder").join(OsStr::from_bytes(b"\xff"));
    fs::rename(home.join("folder/file"), &renamed).unwrap();
    assert_eq!(check_tree(&home, REPAIR).unwrap().findings, []);
}

#[tokio::test]
async fn no_versions_are_orphans_while_something_cannot_be_read() {
    for unreadable in ["folder", "folder/file"] {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_version(&dir).await;
        let hidden = home.join(unreadable);
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o000)).unwrap();
        let report = repair(home.clone()).unwrap();
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(report.findings, []);
        assert!(
            report.notes.iter().any(|note| note.contains(unreadable)),
            "{:?}",
            report.notes
        );
        assert_eq!(version_count(&home, "folder/file").await, 1);
    }
}

#[tokio::test]
async fn versions_are_orphans_once_all_could_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_with_version(&dir).await;
    fs::remove_file(home.join("folder/file")).unwrap();
    let findings = repair(home).unwrap().findings;
    assert!(
        matches!(&*findings, [one] if one.repaired && one.what.contains("are of no file")),
        "{findings:?}"
    );
}

/// What is mounted in a drive and away now may hold the file.
#[tokio::test]
async fn no_versions_are_orphans_while_a_mount_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_with_version(&dir).await;
    fs::remove_file(home.join("folder/file")).unwrap();
    fs::write(
        home.join(crate::storage::local::overflow::inner_mounts::MOUNTED),
        r#"[{"path":"disk","id":[1,2]}]"#,
    )
    .unwrap();
    let report = repair(home).unwrap();
    assert_eq!(report.findings, []);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("versions") && note.contains("disk")),
        "{:?}",
        report.notes
    );
}

#[tokio::test]
async fn properties_are_kept_while_something_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_with_version(&dir).await;
    let kept = home
        .join(crate::storage::local::internal_dirs::PROPS)
        .join("0".repeat(32));
    fs::write(&kept, "[]").unwrap();
    let hidden = home.join("folder");
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o000)).unwrap();
    let report = repair(home.clone()).unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(report.findings, []);
    assert!(kept.exists());
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains(".sarang/props")),
        "{:?}",
        report.notes
    );
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_note_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_with_version(&dir).await;
    let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
    let kept = tree.delete(&path("folder"), commit()).await.unwrap().id;
    drop(tree);
    let trash = home.join(".sarang/trash");
    fs::write(trash.join("files/odd.18a0b1c2d3e4"), "x").unwrap();
    fs::create_dir(trash.join("info/odd.18a0b1c2d3e4.trashinfo")).unwrap();
    let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
    let listed = tree.list_trash(None, 10).await.unwrap();
    assert_eq!(
        listed.iter().map(|item| &item.id).collect::<Vec<_>>(),
        [&kept]
    );
    drop(tree);
    let found = check_tree(&home, REPAIR).unwrap().findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].what.contains("has a note that cannot be read"),
        "{found:?}"
    );
}
