//! Trees that become a folder of another.

use super::super::check::{TreeCheckOptions, check_tree};
use super::super::{LocalTree, tests::RELAXED};
use super::*;
use crate::storage::contract::{TestTree, commit, content, path, put};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

/// A tree with versions of two files, one of them in the trash.
async fn other() -> TempDir {
    let dir = TempDir::new().unwrap();
    let tree: TestTree = LocalTree::open(dir.path(), RELAXED).unwrap();
    for file in ["file", "gone"] {
        for content in [b"1", b"2"] {
            put(&tree, file, content).await;
        }
    }
    tree.delete(&path("gone"), commit()).await.unwrap();
    dir
}

/// What is at `theirs` has its history in this tree.
async fn is_whole(tree: &Arc<LocalTree>, dir: &TempDir, items: usize) {
    let tree: TestTree = tree.clone();
    assert_eq!(tree.versions(&path("theirs/file")).await.unwrap().len(), 1);
    let trashed = tree.list_trash(None, 9).await.unwrap();
    assert_eq!(trashed.len(), items);
    let item = trashed
        .into_iter()
        .find(|item| item.path == path("theirs/gone"))
        .unwrap();
    assert_eq!(item.deleted_by.unwrap().as_str(), "ada");
    assert!(item.deleted_at.is_some());
    tree.restore(&item.id, &path("back"), commit())
        .await
        .unwrap();
    assert_eq!(content(&tree, "back").await, b"2");
    assert_eq!(tree.versions(&path("back")).await.unwrap().len(), 1);
    assert!(!dir.path().join("home/theirs/.sarang").exists());
    let findings = check_tree(
        &dir.path().join("home"),
        TreeCheckOptions {
            served: false,
            repair: None,
        },
    )
    .unwrap()
    .findings;
    assert_eq!(findings, []);
}

#[tokio::test]
async fn an_adopted_tree_brings_its_history() {
    let dir = TempDir::new().unwrap();
    let other = other().await;
    let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
    // Names that are taken are no hindrance.
    let id = fs::read_dir(other.path().join(".sarang/trash/files"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let files = dir.path().join("home/.sarang/trash/files");
    let info = dir.path().join("home/.sarang/trash/info");
    fs::write(files.join(&id), "own").unwrap();
    fs::write(
        info.join(format!("{}.trashinfo", id.to_str().unwrap())),
        "[Trash Info]\nPath=own\n",
    )
    .unwrap();
    for history in fs::read_dir(other.path().join(".sarang/versions")).unwrap() {
        fs::create_dir(
            dir.path()
                .join("home/.sarang/versions")
                .join(history.unwrap().file_name()),
        )
        .unwrap();
    }
    tree.adopt(other.path(), &path("theirs")).await.unwrap();
    std::mem::forget(other);
    is_whole(&tree, &dir, 2).await;
}

/// Its overflow files may be named by what is away.
#[tokio::test]
async fn what_was_mounted_in_an_adopted_tree_is_kept_in_mind() {
    let dir = TempDir::new().unwrap();
    let other = other().await;
    let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
    let noted = other.path().join(inner_mounts::MOUNTED);
    let kept = dir.path().join("home").join(inner_mounts::MOUNTED);
    fs::write(&noted, "[").unwrap();
    let refused = tree.adopt(other.path(), &path("theirs")).await;
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
    assert!(noted.exists() && !kept.exists());
    fs::write(&noted, r#"[{"path":"disk","id":[1,2]}]"#).unwrap();
    tree.adopt(other.path(), &path("theirs")).await.unwrap();
    std::mem::forget(other);
    assert_eq!(
        fs::read_to_string(kept).unwrap(),
        r#"[{"path":"theirs/disk","id":[1,2]}]"#
    );
}

/// A crash between the two, and what was cut before.
#[tokio::test]
async fn a_history_that_was_left_behind_is_fetched() {
    let dir = TempDir::new().unwrap();
    let other = other().await;
    let home = dir.path().join("home");
    let tree = LocalTree::open(&home, RELAXED).unwrap();
    assert!(matches!(
        tree.adopt_history(&path("theirs")).await,
        Err(Error::NotFound)
    ));
    let own = sys::open_root(&other.path().join(".sarang")).unwrap();
    sys::set_adopted(fd(&own)).unwrap();
    fs::rename(other.path(), home.join("theirs")).unwrap();
    std::mem::forget(other);
    tree.adopt_history(&path("theirs")).await.unwrap();
    is_whole(&tree, &dir, 1).await;
    tree.adopt_history(&path("theirs")).await.unwrap();
}

/// A crash between the two, of which nobody else knows; the folder was renamed since.
#[tokio::test]
async fn a_start_fetches_a_history_that_was_left_behind() {
    for name in ["theirs", "renamed"] {
        let dir = TempDir::new().unwrap();
        let other = other().await;
        let home = dir.path().join("home");
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        AdoptionMarker::write(&tree.root, &path("theirs"))
            .unwrap()
            .keep();
        drop(tree);
        sys::set_adopted(fd(&sys::open_root(&other.path().join(".sarang")).unwrap())).unwrap();
        fs::rename(other.path(), home.join(name)).unwrap();
        std::mem::forget(other);
        let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
        assert_eq!(
            tree.versions(&path(&format!("{name}/file")))
                .await
                .unwrap()
                .len(),
            1
        );
        assert_eq!(tree.list_trash(None, 9).await.unwrap().len(), 1);
        assert!(!home.join(name).join(".sarang").exists());
        let own = fs::read_dir(home.join(".sarang"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert!(
            !own.into_iter()
                .any(|name| name.to_str().unwrap().starts_with(MARKER_PREFIX))
        );
    }
}

/// Its way into the trash is barred: another folder has come into the place of that.
#[tokio::test]
async fn a_start_fetches_a_history_that_could_not_come_along() {
    let dir = TempDir::new().unwrap();
    let other = other().await;
    let home = dir.path().join("home");
    let tree = LocalTree::open(&home, RELAXED).unwrap();
    let files = home.join(".sarang/trash/files");
    fs::remove_dir(&files)
        .and_then(|()| fs::create_dir(&files))
        .unwrap();
    tree.adopt(other.path(), &path("theirs")).await.unwrap();
    std::mem::forget(other);
    drop(tree);
    let tree = LocalTree::open(&home, RELAXED).unwrap();
    is_whole(&tree, &dir, 1).await;
}

#[tokio::test]
async fn what_cannot_be_taken_over_stays() {
    let dir = TempDir::new().unwrap();
    let other = other().await;
    let home = dir.path().join("home");
    let tree = LocalTree::open(&home, RELAXED).unwrap();
    for history in fs::read_dir(other.path().join(".sarang/versions")).unwrap() {
        let history = history.unwrap();
        let version = fs::read_dir(history.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .file_name();
        let taken = home.join(".sarang/versions").join(history.file_name());
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join(version), "own").unwrap();
    }
    let own = sys::open_root(&other.path().join(".sarang")).unwrap();
    sys::set_adopted(fd(&own)).unwrap();
    fs::rename(other.path(), home.join("theirs")).unwrap();
    std::mem::forget(other);
    tree.adopt_history(&path("theirs")).await.unwrap();
    assert_eq!(
        fs::read_dir(home.join("theirs/.sarang/versions"))
            .unwrap()
            .count(),
        2
    );
    assert_eq!(
        fs::read_dir(home.join(".sarang/trash/files"))
            .unwrap()
            .count(),
        1
    );
}
