//! An overwritten file costs no more of the disk than the bound allows.

use super::super::LocalTree;
use super::super::tests::RELAXED;
use super::super::total_usage::LEAST;
use super::*;
use crate::model::Error;
use crate::storage::contract::{TestTree, commit, path};
use crate::storage::history::History as _;
use crate::storage::{CopyDepth, InitialContent, SpaceRequest, Tree as _, WriteOptions};
use std::path::Path;
use std::time::Duration;

const PIECE: u64 = LEAST / 4;

fn limited(limit: u64) -> WriteOptions {
    WriteOptions {
        limit: Some(limit),
        ..commit()
    }
}

async fn save(tree: &Arc<LocalTree>, name: &str, n: u8, limit: u64) -> Result<()> {
    let room = SpaceRequest {
        len: Some(PIECE),
        limit: Some(limit),
    };
    let mut upload = tree
        .begin_upload(&path(name), InitialContent::Empty, room)
        .await?;
    upload
        .write(vec![n; usize::try_from(PIECE).unwrap()].into())
        .await?;
    upload.commit(limited(limit)).await?;
    counted(tree).await;
    Ok(())
}

/// Waits until nothing is looked at in the background.
async fn counted(tree: &Arc<LocalTree>) {
    while tree.root.total_usage.is_counting() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Bytes of all files below a folder, the tree's own among them.
fn on_disk(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| match entry.metadata().unwrap() {
        found if found.is_dir() => on_disk(&entry.path()),
        found => found.len(),
    });
    sizes.sum::<u64>()
}

/// The notes and the change log are small.
fn is_within(dir: &Path, bytes: u64) -> bool {
    on_disk(dir) <= bytes + (1 << 20)
}

async fn versions(tree: &Arc<LocalTree>, name: &str) -> Vec<String> {
    let tree: TestTree = tree.clone();
    tree.versions(&path(name))
        .await
        .unwrap()
        .into_iter()
        .map(|version| version.id)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_overwrites_a_file_again_and_again_lets_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut tree = LocalTree::open(dir.path(), RELAXED).unwrap();
    // However often the tree is closed and opened again.
    for n in 0..40 {
        save(&tree, "big", n, LEAST).await.unwrap();
        assert!(
            is_within(dir.path(), 2 * LEAST),
            "{n}: {}",
            on_disk(dir.path())
        );
        if n > 20 {
            let Ok(closed) = LocalTree::close(tree) else {
                panic!("it is in use")
            };
            closed.save_usage();
            tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        }
    }
    assert!(versions(&tree, "big").await.len() >= 3, "the newest stay");
    for n in 0..20 {
        let to = path(if n % 2 == 0 { "copy" } else { "other" });
        tree.copy(&path("big"), &to, CopyDepth::Infinity, limited(LEAST))
            .await
            .unwrap();
        counted(&tree).await;
        assert!(
            is_within(dir.path(), 2 * LEAST),
            "{n}: {}",
            on_disk(dir.path())
        );
    }
    assert_eq!(tree.usage().await.unwrap().used, 3 * PIECE);
}

/// Purging one version of many says nothing of how much there is.
#[tokio::test(flavor = "multi_thread")]
async fn who_purges_a_version_between_two_saves_gets_no_further() {
    for is_held in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        if is_held {
            tree.set_retention_hold(SystemTime::now() + Duration::from_secs(3600))
                .await
                .unwrap();
        }
        let mut refused = 0;
        for n in 0..30 {
            refused += u32::from(save(&tree, "big", n, LEAST).await.is_err());
            let mut upload = tree
                .begin_upload(&path("small"), InitialContent::Empty, SpaceRequest::of(1))
                .await
                .unwrap();
            upload.write(vec![n].into()).await.unwrap();
            upload.commit(commit()).await.unwrap();
            if let Some(id) = versions(&tree, "small").await.first() {
                tree.purge_version(&path("small"), id).await.unwrap();
            }
            let most = if is_held { 3 * LEAST } else { 2 * LEAST };
            assert!(
                is_within(dir.path(), most),
                "{is_held} {n}: {}",
                on_disk(dir.path())
            );
        }
        assert_eq!(refused > 0, is_held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_announced_lets_nothing_go() {
    let dir = tempfile::tempdir().unwrap();
    let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
    for n in 0..8 {
        save(&tree, "big", n, LEAST).await.unwrap();
    }
    let before = versions(&tree, "big").await;
    let begin = |name: &str, len| {
        let tree = tree.clone();
        let at = path(name);
        async move {
            tree.begin_upload(
                &at,
                InitialContent::Empty,
                SpaceRequest {
                    len: Some(len),
                    limit: Some(LEAST),
                },
            )
            .await
        }
    };
    for len in [LEAST, 2 * LEAST, 100 * LEAST, u64::MAX] {
        assert!(
            matches!(begin("more", len).await, Err(Error::NoSpace)),
            "{len}"
        );
    }
    let mut under_way = Vec::new();
    for _ in 0..20 {
        under_way.push(begin("big", PIECE).await.unwrap());
    }
    drop(under_way);
    counted(&tree).await;
    assert_eq!(versions(&tree, "big").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_history_is_held_more_than_the_bound_is_refused_and_bringing_back_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
    save(&tree, "big", 0, LEAST).await.unwrap();
    tree.set_retention_hold(SystemTime::now() + Duration::from_secs(3600))
        .await
        .unwrap();
    let refused = async |times| {
        for n in 1..times {
            if let Err(error) = save(&tree, "big", n, LEAST).await {
                assert!(matches!(error, Error::LimitReached(_)), "{error:?}");
                return true;
            }
        }
        false
    };
    assert!(refused(20).await);
    assert!(is_within(dir.path(), 3 * LEAST), "{}", on_disk(dir.path()));
    let kept = versions(&tree, "big").await;
    assert_eq!(kept.len(), 11, "none has gone");
    // All that an attack has replaced can be brought back.
    for id in &kept[..3] {
        tree.restore_version(&path("big"), id, limited(LEAST))
            .await
            .unwrap();
    }
    counted(&tree).await;
    assert!(refused(2).await);
    for id in versions(&tree, "big").await.iter().take(4) {
        tree.purge_version(&path("big"), id).await.unwrap();
    }
    save(&tree, "big", 99, LEAST).await.unwrap();
    // And is let go once nothing is held.
    tree.set_retention_hold(SystemTime::now()).await.unwrap();
    assert!(!refused(20).await);
    assert!(is_within(dir.path(), 2 * LEAST), "{}", on_disk(dir.path()));
}

/// A quota that was lowered keeps nobody from making less of what there is.
#[tokio::test(flavor = "multi_thread")]
async fn what_shrinks_is_let_through_beyond_a_lowered_quota() {
    let dir = tempfile::tempdir().unwrap();
    let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
    for n in 0..4 {
        save(&tree, &format!("f{n}"), n, LEAST).await.unwrap();
    }
    for n in 0..16 {
        save(&tree, "f0", n, 1).await.unwrap();
    }
    assert!(is_within(dir.path(), 2 * LEAST), "{}", on_disk(dir.path()));
}
