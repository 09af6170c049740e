//! Room for what is live: where there is too little, the oldest of the history goes first, be it in the trash or a version.

use super::os::fd;
use super::root::Root;
use super::{tally, trashed, versions};
use crate::content::history::Expired;
use crate::model::{Error, Result};
use std::time::SystemTime;

/// Something of the history.
struct Former {
    when: SystemTime,
    bytes: u64,
    what: What,
}

enum What {
    /// An item of the trash.
    Item(String),
    /// A version: the name of its history, and its id.
    Version(String, String),
}

/// Lets go of the oldest until what is left has at most `most` bytes.
pub(super) fn fit(root: &Root, most: u64) -> Result<Expired> {
    let all = oldest_first(root)?;
    let sum = all.iter().fold(0_u64, |sum, former| sum.saturating_add(former.bytes));
    let_go(root, all, sum.saturating_sub(most))
}

/// Makes room on the disk for `len` bytes beside the reserve; nothing is let go where all of it would not be enough.
pub(super) fn make_room(root: &Root, len: u64) -> Result<Expired> {
    let _one_at_a_time = root.forgetting.lock();
    let missing = root.missing_room(len)?;
    if missing == 0 || root.held.until(SystemTime::now()).is_some() {
        return Ok(Expired::default());
    }
    let all = oldest_first(root)?;
    let sum = all.iter().fold(0_u64, |sum, former| sum.saturating_add(former.bytes));
    if sum < missing {
        return Ok(Expired::default());
    }
    let gone = let_go(root, all, missing)?;
    tracing::info!(
        items = gone.items,
        versions = gone.versions,
        "the disk is full: let go of the oldest of the history"
    );
    Ok(gone)
}

fn let_go(root: &Root, all: Vec<Former>, bytes: u64) -> Result<Expired> {
    let (mut gone, mut freed) = (Expired::default(), 0_u64);
    for former in all {
        if freed >= bytes {
            break;
        }
        let (outcome, count) = match &former.what {
            What::Item(id) => (trashed::purge(root, id), &mut gone.items),
            What::Version(history, id) => (versions::purge_of_history(root, history, id), &mut gone.versions),
        };
        match outcome {
            Ok(()) => *count += 1,
            // Somebody was faster, or it went with its file.
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        freed = freed.saturating_add(former.bytes);
    }
    Ok(gone)
}

/// All of the history whose age is known.
fn oldest_first(root: &Root) -> Result<Vec<Former>> {
    let mut all = Vec::new();
    for item in trashed::list(root)? {
        let Some(when) = item.when else { continue };
        let bytes = if item.node.folder { tally::trashed(root, &item.id)? } else { item.node.len };
        all.push(Former { when, bytes, what: What::Item(item.id) });
    }
    for history in versions::histories(root)? {
        for version in versions::of_history(fd(&root.versions), &history)? {
            let what = What::Version(history.clone(), version.id);
            all.push(Former { when: version.replaced, bytes: version.node.len, what });
        }
    }
    // They came newest first; the trash tells time by the second.
    all.reverse();
    all.sort_by_key(|former| former.when);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::{LocalSettings, LocalTree};
    use super::*;
    use crate::config::Durability;
    use crate::content::contract::{Tree, commit, path, put};
    use crate::content::history::Retention;
    use crate::content::{Room, Start};
    use std::sync::Arc;
    use std::time::Duration;

    const HUGE: u64 = 1 << 40;

    fn open(dir: &std::path::Path, reserve: u64) -> Arc<LocalTree> {
        let settings =
            LocalSettings { durability: Durability::Relaxed, portable_names: false, versions: true, reserve };
        LocalTree::open(dir, settings).unwrap()
    }

    async fn left(tree: &Tree) -> Vec<String> {
        let mut paths: Vec<_> =
            tree.trashed(None, 99).await.unwrap().into_iter().map(|item| item.path.as_str().to_owned()).collect();
        paths.sort();
        paths
    }

    /// Sets back when things in the trash were deleted, in the order of their names.
    fn age(dir: &std::path::Path) {
        for entry in std::fs::read_dir(dir.join(".sarang/trash/info")).unwrap() {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let year = 2001 + u32::from(file.file_name().unwrap().to_str().unwrap().as_bytes()[0] - b'a');
            let dated = text.lines().map(|line| match line.strip_prefix("DeletionDate=") {
                Some(_) => format!("DeletionDate={year}-01-01T00:00:00\n"),
                None => format!("{line}\n"),
            });
            std::fs::write(&file, dated.collect::<String>()).unwrap();
        }
    }

    #[tokio::test]
    async fn the_oldest_goes_until_the_rest_fits() {
        let dir = tempfile::tempdir().unwrap();
        let tree: Tree = open(dir.path(), 0);
        tree.mkdir(&path("b"), commit()).await.unwrap();
        for name in ["c", "a", "b/x"] {
            put(&tree, name, &[b'x'; 100]).await;
        }
        for name in ["c", "b", "a"] {
            tree.delete(&path(name), commit()).await.unwrap();
        }
        age(dir.path());
        put(&tree, "v", &[b'x'; 100]).await;
        put(&tree, "v", b"new").await;
        let fit = async |room| {
            let retention = Retention { room: Some(room), ..Retention::default() };
            tree.expire(retention, SystemTime::now()).await.unwrap()
        };
        assert_eq!(fit(400).await, Expired::default());
        assert_eq!(fit(399).await, Expired { items: 1, versions: 0 });
        assert_eq!(left(&tree).await, ["b", "c"]);
        assert_eq!(fit(150).await, Expired { items: 2, versions: 0 });
        assert_eq!(fit(100).await, Expired::default());
        tree.hold(SystemTime::now() + Duration::from_secs(60)).await.unwrap();
        assert_eq!(fit(0).await, Expired::default());
        tree.hold(SystemTime::now()).await.unwrap();
        assert_eq!(fit(99).await, Expired { items: 0, versions: 1 });
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_takes_of_the_oldest_what_is_needed_and_only_if_that_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let free = LocalTree::free_at(dir.path()).unwrap();
        // As much as the disk has, and some: how much that frees in truth is nothing, since these files have holes only.
        let begin = async |tree: &Tree| tree.begin_put(&path("x"), Start::Empty, Room::of(1)).await.map(drop);
        {
            let tree: Tree = open(dir.path(), 0);
            for name in ["a", "b", "c"] {
                put(&tree, name, b"x").await;
                tree.delete(&path(name), commit()).await.unwrap();
            }
        }
        age(dir.path());
        for entry in std::fs::read_dir(dir.path().join(".sarang/trash/files")).unwrap() {
            let file = std::fs::OpenOptions::new().write(true).open(entry.unwrap().path()).unwrap();
            file.set_len(HUGE).unwrap();
        }
        let hopeless: Tree = open(dir.path(), free + 4 * HUGE);
        assert!(matches!(begin(&hopeless).await, Err(Error::NoSpace)));
        assert_eq!(left(&hopeless).await, ["a", "b", "c"]);
        let tree: Tree = open(dir.path(), free + HUGE + HUGE / 2);
        tree.hold(SystemTime::now() + Duration::from_secs(60)).await.unwrap();
        assert!(matches!(begin(&tree).await, Err(Error::NoSpace)));
        assert_eq!(left(&tree).await, ["a", "b", "c"]);
        tree.hold(SystemTime::now()).await.unwrap();
        assert!(matches!(begin(&tree).await, Err(Error::NoSpace)));
        assert_eq!(left(&tree).await, ["c"]);
    }
}
