//! Overflow files under what a suite over HTTP does not reach: other file systems, other durabilities, changes that come at once.

use super::super::{LocalSettings, LocalTree};
use crate::config::Durability;
use crate::model::Error;
use crate::storage::contract::{TestTree, commit, path, put};
use crate::storage::history::Retention;
use crate::storage::{CopyDepth, DeadProp, PropChange, WriteOptions};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn tree(dir: &Path, durability: Durability) -> TestTree {
    LocalTree::open(
        dir,
        LocalSettings {
            durability,
            portable_names: false,
            versions: true,
            reserve: 0,
            modes: [0o600, 0o700],
        },
    )
    .unwrap()
}

fn set(name: &str, len: usize) -> PropChange {
    let xml = format!("<{name}>{}</{name}>", "v".repeat(len));
    PropChange::Set(DeadProp {
        ns: String::new(),
        name: name.into(),
        xml,
    })
}

fn overflow(dir: &Path) -> usize {
    fs::read_dir(dir.join(".sarang/props")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_system_and_durability_keeps_them() {
    for durability in [Durability::Strict, Durability::Relaxed] {
        let folders = [
            TempDir::new().unwrap(),
            TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap()),
        ];
        for dir in folders {
            let tree = tree(dir.path(), durability);
            put(&tree, "f", b"x").await;
            for len in [10, 3_000, 20_000, 65_000, 100] {
                tree.set_props(&path("f"), vec![set("a", len)], commit())
                    .await
                    .unwrap();
                let props = tree.props(&path("f")).await.unwrap();
                assert_eq!(
                    props
                        .iter()
                        .map(|prop| prop.value().len())
                        .collect::<Vec<_>>(),
                    [len]
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_at_once_are_all_made() {
    let dir = TempDir::new().unwrap();
    let tree = tree(dir.path(), Durability::Relaxed);
    put(&tree, "f", b"x").await;
    let changes = (0..12).map(|at| {
        let tree = Arc::clone(&tree);
        tokio::spawn(async move {
            tree.set_props(&path("f"), vec![set(&format!("p{at}"), 1500)], commit())
                .await
                .unwrap();
            put(&tree, "f", format!("{at}").as_bytes()).await;
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    assert_eq!(tree.props(&path("f")).await.unwrap().len(), 12);
    let retention = crate::storage::history::Retention::default();
    tree.expire(retention, std::time::SystemTime::now())
        .await
        .unwrap();
    assert_eq!(tree.props(&path("f")).await.unwrap().len(), 12);
    assert!(
        (1..=12).contains(&overflow(dir.path())),
        "versions name theirs: {}",
        overflow(dir.path())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_given_away_brings_its_own() {
    let dir = TempDir::new().unwrap();
    let other = TempDir::new().unwrap();
    {
        let tree = tree(other.path(), Durability::Strict);
        put(&tree, "f", b"x").await;
        tree.set_props(&path("f"), vec![set("a", 20_000)], commit())
            .await
            .unwrap();
    }
    let local = LocalTree::open(
        dir.path(),
        LocalSettings {
            durability: Durability::Strict,
            portable_names: false,
            versions: true,
            reserve: 0,
            modes: [0o600, 0o700],
        },
    );
    let local = local.unwrap();
    local.adopt(other.path(), &path("theirs")).await.unwrap();
    let tree: TestTree = local;
    tree.expire(
        crate::storage::history::Retention::default(),
        std::time::SystemTime::now(),
    )
    .await
    .unwrap();
    assert_eq!(tree.props(&path("theirs/f")).await.unwrap().len(), 1);
    std::mem::forget(other);
}

/// Bytes of all overflow files.
fn bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir.join(".sarang/props")).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_count_as_bytes_of_their_tree() {
    const LEN: usize = 20_000;
    let dir = TempDir::new().unwrap();
    let tree = tree(dir.path(), Durability::Strict);
    let used = async || tree.usage().await.unwrap().used;
    let limited = |limit| WriteOptions {
        limit: Some(limit),
        ..commit()
    };
    for name in ["f", "g"] {
        put(&tree, name, b"").await;
    }
    tree.mkdir(&path("d"), commit()).await.unwrap();
    assert_eq!(used().await, 0);
    tree.set_props(&path("f"), vec![set("a", LEN)], commit())
        .await
        .unwrap();
    let one = bytes(dir.path());
    if one == 0 {
        println!("skipped: the file system takes attributes of {LEN} bytes");
        return;
    }
    assert_eq!(used().await, one);
    // One byte too few refuses, and leaves nothing; as many are enough.
    let changes = || vec![set("a", LEN)];
    let refused = tree
        .set_props(&path("g"), changes(), limited(2 * one - 1))
        .await;
    assert!(matches!(refused, Err(Error::NoSpace)), "{refused:?}");
    assert_eq!((used().await, bytes(dir.path())), (one, one));
    tree.set_props(&path("g"), changes(), limited(2 * one))
        .await
        .unwrap();
    assert_eq!(used().await, 2 * one);
    // What is replaced is given back once it is swept, since a version may name it: until then there must be room for both.
    let replaced = tree
        .set_props(&path("g"), changes(), limited(3 * one - 1))
        .await;
    assert!(matches!(replaced, Err(Error::NoSpace)), "{replaced:?}");
    tree.set_props(&path("g"), changes(), limited(3 * one))
        .await
        .unwrap();
    let sweep = async || {
        tree.expire(Retention::default(), std::time::SystemTime::now())
            .await
            .unwrap();
    };
    sweep().await;
    assert_eq!((used().await, bytes(dir.path())), (2 * one, 2 * one));
    // Copies, also into a folder and of one onto another.
    let copy = async |from: &str, to: &str, reach, limit| {
        tree.copy(&path(from), &path(to), reach, limited(limit))
            .await
            .map(drop)
    };
    assert!(matches!(
        copy("f", "copy", CopyDepth::Infinity, 3 * one - 1).await,
        Err(Error::NoSpace)
    ));
    sweep().await;
    assert_eq!(used().await, 2 * one);
    copy("f", "copy", CopyDepth::Infinity, 3 * one)
        .await
        .unwrap();
    tree.set_props(&path("d"), changes(), limited(4 * one))
        .await
        .unwrap();
    assert_eq!(used().await, 4 * one);
    tree.mkdir(&path("e"), commit()).await.unwrap();
    assert!(matches!(
        copy("d", "e", CopyDepth::Zero, 5 * one - 1).await,
        Err(Error::NoSpace)
    ));
    copy("d", "e", CopyDepth::Zero, 5 * one).await.unwrap();
    assert_eq!(used().await, 5 * one);
    // What is deleted for good is given back.
    for name in ["f", "g", "copy", "d", "e"] {
        let id = tree.delete(&path(name), commit()).await.unwrap().id;
        tree.purge(&id).await.unwrap();
    }
    sweep().await;
    assert_eq!((used().await, bytes(dir.path())), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_finds_them_as_they_are_on_the_books() {
    let dir = TempDir::new().unwrap();
    let settings = LocalSettings {
        durability: Durability::Relaxed,
        portable_names: false,
        versions: true,
        reserve: 0,
        modes: [0o600, 0o700],
    };
    let tree = LocalTree::open(dir.path(), settings).unwrap();
    let shared: TestTree = tree.clone();
    put(&shared, "f", b"1234").await;
    shared.usage().await.unwrap();
    for len in [20_000, 30_000, 40_000] {
        shared
            .set_props(&path("f"), vec![set("a", len)], commit())
            .await
            .unwrap();
        shared
            .copy(
                &path("f"),
                &path(&format!("copy{len}")),
                CopyDepth::Infinity,
                commit(),
            )
            .await
            .unwrap();
        put(&shared, "f", format!("{len}").as_bytes()).await;
    }
    assert_eq!(tree.recount_usage().await.unwrap(), None);
    assert_eq!(
        shared.usage().await.unwrap().used,
        bytes(dir.path()) + 5 + 4 + 5 + 5
    );
}
