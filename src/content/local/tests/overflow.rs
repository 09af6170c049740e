//! Overflow files under what a suite over HTTP does not reach: other file systems, other durabilities, changes that come at once.

use super::super::{LocalSettings, LocalTree};
use crate::config::Durability;
use crate::content::contract::{Tree, commit, path, put};
use crate::content::{DeadProp, PropChange};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn tree(dir: &Path, durability: Durability) -> Tree {
    LocalTree::open(
        dir,
        LocalSettings { durability, portable_names: false, versions: true, reserve: 0, modes: [0o600, 0o700] },
    )
    .unwrap()
}

fn set(name: &str, len: usize) -> PropChange {
    let xml = format!("<{name}>{}</{name}>", "v".repeat(len));
    PropChange::Set(DeadProp { ns: String::new(), name: name.into(), xml })
}

fn overflow(dir: &Path) -> usize {
    fs::read_dir(dir.join(".sarang/props")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_system_and_durability_keeps_them() {
    for durability in [Durability::Strict, Durability::Relaxed] {
        let folders =
            [TempDir::new().unwrap(), TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())];
        for dir in folders {
            let tree = tree(dir.path(), durability);
            put(&tree, "f", b"x").await;
            for len in [10, 3_000, 20_000, 65_000, 100] {
                tree.set_props(&path("f"), vec![set("a", len)], commit()).await.unwrap();
                let props = tree.props(&path("f")).await.unwrap();
                assert_eq!(props.iter().map(|prop| prop.value().len()).collect::<Vec<_>>(), [len]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_at_once_are_all_made() {
    let dir = TempDir::new().unwrap();
    let tree = Arc::new(tree(dir.path(), Durability::Relaxed));
    put(&tree, "f", b"x").await;
    let changes = (0..12).map(|at| {
        let tree = Arc::clone(&tree);
        tokio::spawn(async move {
            tree.set_props(&path("f"), vec![set(&format!("p{at}"), 1500)], commit()).await.unwrap();
            put(&tree, "f", format!("{at}").as_bytes()).await;
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    assert_eq!(tree.props(&path("f")).await.unwrap().len(), 12);
    let retention = crate::content::history::Retention::default();
    tree.expire(retention, std::time::SystemTime::now()).await.unwrap();
    assert_eq!(tree.props(&path("f")).await.unwrap().len(), 12);
    assert!((1..=12).contains(&overflow(dir.path())), "versions name theirs: {}", overflow(dir.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_given_away_brings_its_own() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    {
        let tree = tree(other.path(), Durability::Strict);
        put(&tree, "f", b"x").await;
        tree.set_props(&path("f"), vec![set("a", 20_000)], commit()).await.unwrap();
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
    let tree: Tree = local;
    tree.expire(crate::content::history::Retention::default(), std::time::SystemTime::now()).await.unwrap();
    assert_eq!(tree.props(&path("theirs/f")).await.unwrap().len(), 1);
    std::mem::forget(other);
}
