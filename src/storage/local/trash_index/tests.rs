//! Pages of a trash, by what they read.

use super::super::trashinfo::TRASHINFO;
use super::super::{LocalSettings, LocalTree};
use super::window::{MAX_WINDOW_ITEMS, QUICK, TICK, truncate_keys, weight_of};
use super::*;
use crate::storage::Tree;
use crate::storage::contract::{TestTree, commit, path};
use crate::storage::history::History;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

const MANY: usize = 600;

/// A tree with so many items in its trash, every tenth of them from a folder `a`.
async fn tree(dir: &std::path::Path) -> Arc<LocalTree> {
    let tree = LocalTree::open(dir, LocalSettings::RELAXED).unwrap();
    tree.mkdir(&path("a"), commit()).await.unwrap();
    for n in 0..MANY {
        let at = path(&if n % 10 == 0 {
            format!("a/{n}")
        } else {
            format!("{n}")
        });
        tree.mkdir(&at, commit()).await.unwrap();
        tree.delete(&at, commit()).await.unwrap();
    }
    tokio::time::sleep(2 * TICK).await;
    tree
}

/// How much is read while something is done.
async fn work<T>(tree: &LocalTree, act: impl AsyncFnOnce() -> T) -> (T, usize, usize) {
    let work = || {
        let work = &tree.root.trash_index.reads;
        (
            work.names.load(Ordering::Relaxed),
            work.notes.load(Ordering::Relaxed),
        )
    };
    let before = work();
    let done = act().await;
    (done, work().0 - before.0, work().1 - before.1)
}

#[tokio::test]
async fn a_page_reads_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path()).await;
    let (first, names, notes) =
        work(&tree, async || tree.list_trash(None, 10).await.unwrap()).await;
    assert_eq!((first.len(), names, notes), (10, MANY, 10));
    let mut after = None;
    let mut seen = 0;
    let ((), names, notes) = work(&tree, async || {
        loop {
            let page = tree.list_trash(after.as_deref(), 10).await.unwrap();
            let Some(last) = page.last() else { break };
            (after, seen) = (Some(last.id.clone()), seen + page.len());
        }
    })
    .await;
    assert_eq!((seen, names, notes), (MANY, 0, MANY));
}

#[tokio::test]
async fn what_lay_elsewhere_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path()).await;
    let below = path("a");
    let page = async |after: Option<&str>| {
        tree.list_trash_below(&below, None, after, 10)
            .await
            .unwrap()
    };
    let (first, _, notes) = work(&tree, async || page(None).await).await;
    assert!(
        (first.len(), notes <= 10 * 10 + 10) == (10, true),
        "{notes}"
    );
    assert!(first.iter().all(|item| item.path.is_within(&below)));
    let (all, _, notes) = work(&tree, async || {
        tree.list_trash_below(&below, None, None, MANY)
            .await
            .unwrap()
    })
    .await;
    assert!(
        (all.len(), notes <= MANY + all.len()) == (MANY / 10, true),
        "{notes}"
    );
    let ((again, last), names, notes) = work(&tree, async || {
        (page(None).await, page(Some(&all[MANY / 10 - 2].id)).await)
    })
    .await;
    assert_eq!(
        (again, last, names, notes),
        (first, all[MANY / 10 - 1..].to_vec(), 0, 11)
    );
}

#[tokio::test]
async fn our_own_changes_need_no_new_look() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path()).await;
    let newest = async || tree.list_trash(None, 1).await.unwrap().remove(0);
    let first = newest().await;
    // As of a trash that takes long to be read.
    tree.root.trash_index.window.lock().as_mut().unwrap().took = QUICK * 2;
    tree.mkdir(&path("new"), commit()).await.unwrap();
    tree.delete(&path("new"), commit()).await.unwrap();
    let (new, names, _) = work(&tree, async || newest().await).await;
    assert_eq!((new.path.as_str(), names), ("new", 0));
    tree.purge(&new.id).await.unwrap();
    let (again, names, notes) = work(&tree, async || newest().await).await;
    assert_eq!((again, names, notes), (first, 0, 1));
}

#[tokio::test]
async fn what_other_programs_do_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path()).await;
    let before = tree.list_trash(None, MANY).await.unwrap();
    let own = dir.path().join(".sarang/trash");
    std::fs::remove_file(own.join(format!("info/{}{TRASHINFO}", before[0].id))).unwrap();
    std::fs::write(own.join("files/theirs"), "x").unwrap();
    std::fs::write(
        own.join("info/theirs.trashinfo"),
        "[Trash Info]\nPath=a/theirs\n",
    )
    .unwrap();
    let after = tree.list_trash(None, MANY + 1).await.unwrap();
    assert_eq!((after.len(), &after[..MANY - 1]), (MANY, &before[1..]));
    assert_eq!(after[MANY - 1].id, "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_trash_is_read_before_somebody_asks() {
    let dir = tempfile::tempdir().unwrap();
    drop(tree(dir.path()).await);
    let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
    let read = || tree.root.trash_index.reads.names.load(Ordering::Relaxed);
    for _ in 0..1000 {
        if read() == MANY {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (first, names, notes) =
        work(&tree, async || tree.list_trash(None, 10).await.unwrap()).await;
    assert_eq!((first.len(), names, notes, read()), (10, 0, 10, MANY));
}

#[tokio::test]
async fn only_after_a_crash_is_the_trash_looked_over_at_the_start() {
    for is_crash in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
        tree.usage().await.unwrap();
        let note = dir
            .path()
            .join(format!(".sarang/trash/info/gone.1{TRASHINFO}"));
        std::fs::write(&note, "[Trash Info]\nPath=gone\n").unwrap();
        if is_crash {
            drop(tree);
        } else {
            LocalTree::close(tree).unwrap().save_usage();
        }
        let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
        assert!(tree.list_trash(None, 9).await.unwrap().is_empty());
        assert_eq!(note.exists(), !is_crash);
    }
}

#[tokio::test]
async fn a_window_that_is_read_has_the_newest_and_keeps_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
    let folder = tree.root.trash_index.folder(&tree.root);
    let mut window = TrashWindow::read(folder, None, SystemTime::UNIX_EPOCH, None).unwrap();
    let mut keys: Vec<TrashKey> = (0..MAX_WINDOW_ITEMS + 5)
        .map(|n| key_of(&format!("x.{n:x}")))
        .collect();
    assert!(
        truncate_keys(&mut keys)
            && keys.len() == MAX_WINDOW_ITEMS
            && keys.iter().max() == Some(&key_of("x.5"))
    );
    let former =
        [0, 7, MAX_WINDOW_ITEMS * 2].map(|n| (key_of(&format!("x.{n:x}")), TrashOrigin::Unknown));
    window.fill(keys, former.into());
    let known = window
        .items
        .iter()
        .filter(|(_, origin)| matches!(origin, TrashOrigin::Unknown));
    assert_eq!(
        known.map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        [key_of("x.7")]
    );
    let weight: usize = window
        .items
        .iter()
        .map(|(key, origin)| weight_of(key, origin))
        .sum();
    assert_eq!(window.bytes, weight);
}

#[tokio::test]
async fn windows_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let tree: TestTree = tree(dir.path()).await;
    let all = tree.list_trash(None, usize::MAX).await.unwrap();
    let mut window = TrashWindow {
        items: BTreeMap::new(),
        after: None,
        has_more: false,
        seen: SystemTime::UNIX_EPOCH,
        may_be_stale: false,
        read: Instant::now(),
        took: QUICK,
        bytes: 0,
    };
    for n in 0..=MAX_WINDOW_ITEMS {
        window.add(key_of(&format!("x.{n:x}")), TrashOrigin::Unread);
    }
    assert!(window.has_more && window.items.len() == MAX_WINDOW_ITEMS && all.len() == MANY);
    assert!(
        window.covers(None)
            && window.covers(Some(&key_of("x.2")))
            && !window.covers(Some(&key_of("x.1")))
    );
}
