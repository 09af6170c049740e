//! What `.sarang/books` says of how many bytes a tree holds, so that nobody waits for a count when it is opened: while the tree is open,
//! and so after a crash, only what there is at most; after it was closed, exactly. A copy of the tree has no part in it.

use super::os::{self, Errno, Lookup, fd};
use super::root::explain;
use crate::model::{Error, Result, time};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, Read as _};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

/// Where it lies, below the root.
const FILE: &str = ".sarang/books";
/// The most bytes that are read of it.
const LARGEST: u64 = 1 << 20;
/// How many folders in the trash may wait to be measured; with more the tree is counted when it is opened.
const UNMEASURED: usize = 1000;
/// By how many bytes at least, and at most, the disk says that there may be more than there is.
const MARGINS: (u64, u64) = (64 << 20, 1 << 30);

/// What is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Bytes that count, if that is known.
    pub used: Option<u64>,
    /// What they are at most.
    pub most: u64,
    /// Folders in the trash whose bytes are still in `used`.
    pub unmeasured: Vec<String>,
    /// When they were counted last, and how long that took.
    pub counted: Option<(SystemTime, Duration)>,
    /// What files and history came to when they were last counted, and what has come since.
    pub total: (Option<u64>, u64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    /// The folder that it is about: a copy is another.
    of: [u64; 2],
    used: Option<u64>,
    most: u64,
    unmeasured: Vec<String>,
    /// Seconds since 1970, and milliseconds.
    counted: Option<(i64, u64)>,
    #[serde(default)]
    total: (Option<u64>, u64),
}

/// By how many bytes more than `used` the disk says that there may be.
pub(super) fn margin(used: u64) -> u64 {
    (used / 16).clamp(MARGINS.0, MARGINS.1)
}

/// Reads what is written, and lets only what there is at most stand; `None` where nothing is to be believed.
pub(super) fn take(top: BorrowedFd<'_>) -> Option<Written> {
    let found = read(top)
        .inspect_err(|error| tracing::warn!(%error, "how much a home holds is to be counted"))
        .ok()??;
    let Some(used) = found.used else {
        return Some(found);
    };
    let most = used.saturating_add(margin(used));
    let bound = Written {
        most,
        ..Written::default()
    };
    // On the disk before anything changes: a power cut must not leave what is right no more.
    match put(top, &bound).and_then(|()| sync(top)) {
        Ok(()) => Some(Written { most, ..found }),
        Err(error) => {
            tracing::warn!(%error, "what a home holds is to be counted");
            remove(top);
            None
        }
    }
}

/// Writes it, in the place of what was written before: what is cut short by a crash is not believed.
pub(super) fn write(top: BorrowedFd<'_>, written: &Written) -> Result<()> {
    put(top, written).map_err(|e| explain("write down how much there is", e))
}

/// Removes what is written.
pub(super) fn remove(top: BorrowedFd<'_>) {
    match os::unlink_file(top, FILE) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => {
            tracing::error!(%error, "what a home held cannot be removed: its quota may be judged wrongly");
        }
    }
}

fn read(top: BorrowedFd<'_>) -> Result<Option<Written>> {
    let doing = "read how much there is";
    let file = match os::open_read(top, FILE, Lookup::Full) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(explain(doing, e)),
    };
    let mut text = Vec::new();
    file.take(LARGEST)
        .read_to_end(&mut text)
        .map_err(|e| Error::io(doing, e))?;
    let here = of(top).map_err(|e| explain(doing, e))?;
    let page = serde_json::from_slice::<Page>(&text)
        .ok()
        .filter(|page| page.of == here);
    Ok(page.map(
        |Page {
             used,
             most,
             unmeasured,
             counted,
             total,
             ..
         }| {
            let counted = counted
                .map(|(when, took)| (time::from_unix_seconds(when), Duration::from_millis(took)));
            Written {
                used,
                most,
                unmeasured,
                counted,
                total,
            }
        },
    ))
}

fn put(top: BorrowedFd<'_>, written: &Written) -> os::Outcome<()> {
    let is_exact = written.unmeasured.len() <= UNMEASURED;
    let milliseconds = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let page = Page {
        of: of(top)?,
        used: written.used.filter(|_| is_exact),
        most: written.most,
        unmeasured: if is_exact {
            written.unmeasured.clone()
        } else {
            Vec::new()
        },
        counted: written
            .counted
            .map(|(when, took)| (time::unix_seconds(when), milliseconds(took))),
        total: if is_exact && written.used.is_some() {
            written.total
        } else {
            (None, 0)
        },
    };
    let text = serde_json::to_vec(&page).map_err(|_| Errno::INVAL)?;
    let file = match os::open_write(top, FILE) {
        Err(Errno::NOENT) => os::create_file(top, FILE)?,
        opened => opened?,
    };
    os::write_all(fd(&file), &mut [IoSlice::new(&text)], 0)?;
    os::truncate(fd(&file), text.len() as u64)
}

fn sync(top: BorrowedFd<'_>) -> os::Outcome<()> {
    os::sync_content(fd(&os::open_write(top, FILE)?))
}

/// What tells the folder from a copy of it.
fn of(top: BorrowedFd<'_>) -> os::Outcome<[u64; 2]> {
    os::stat_fd(top).map(|found| found.node.inode())
}

#[cfg(test)]
mod tests {
    use super::super::{LocalSettings, LocalTree};
    use super::*;
    use crate::content::contract::{commit, path, put};
    use crate::content::{Commit, ContentTree, Room, Start};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    const MANY: u64 = 1000;

    fn open(dir: &Path) -> Arc<LocalTree> {
        LocalTree::open(dir, LocalSettings::RELAXED).unwrap()
    }

    fn close(tree: Arc<LocalTree>) {
        LocalTree::close(tree).unwrap().settle();
    }

    /// A tree of 1000 bytes that has been counted.
    async fn counted(dir: &Path) -> Arc<LocalTree> {
        let tree = open(dir);
        fill(&tree, "a", 1000, u64::MAX).await.unwrap();
        assert_eq!(tree.usage().await.unwrap().used, MANY);
        tree
    }

    async fn fill(tree: &Arc<LocalTree>, name: &str, len: usize, limit: u64) -> Result<()> {
        let room = Room {
            len: Some(len as u64),
            limit: Some(limit),
        };
        let mut upload = tree.begin_put(&path(name), Start::Empty, room).await?;
        upload.write(vec![0; len].into()).await?;
        upload
            .commit(Commit {
                limit: Some(limit),
                ..commit()
            })
            .await
            .map(drop)
    }

    /// How often all files were looked at.
    fn walks(tree: &LocalTree) -> usize {
        tree.root.ledger.walks.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn after_a_clean_close_nobody_waits_for_a_count() {
        let dir = tempfile::tempdir().unwrap();
        close(counted(dir.path()).await);
        let tree = open(dir.path());
        assert!(matches!(
            fill(&tree, "b", 1, MANY).await,
            Err(Error::NoSpace)
        ));
        fill(&tree, "b", 1, MANY + 1).await.unwrap();
        assert_eq!(
            (tree.usage().await.unwrap().used, walks(&tree)),
            (MANY + 1, 0)
        );
    }

    #[tokio::test]
    async fn a_folder_in_the_trash_is_measured_after_a_close_as_before() {
        let dir = tempfile::tempdir().unwrap();
        let tree = counted(dir.path()).await;
        tree.mkdir(&path("folder"), commit()).await.unwrap();
        fill(&tree, "folder/b", 500, u64::MAX).await.unwrap();
        tree.delete(&path("folder"), commit()).await.unwrap();
        close(tree);
        let tree = open(dir.path());
        fill(&tree, "c", 500, MANY + 500).await.unwrap();
        assert_eq!(
            (tree.usage().await.unwrap().used, walks(&tree)),
            (MANY + 500, 0)
        );
    }

    #[tokio::test]
    async fn after_a_crash_it_is_judged_by_what_there_is_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let tree = counted(dir.path()).await;
        close(tree);
        let crashed = open(dir.path());
        fill(&crashed, "b", 500, u64::MAX).await.unwrap();
        drop(crashed);
        let tree = open(dir.path());
        // The count in the background must not come first.
        tree.root.ledger.recounting.store(true, Ordering::Relaxed);
        fill(&tree, "c", 1, MARGINS.0 * 2).await.unwrap();
        assert!(tree.root.ledger.is_vague() && walks(&tree) == 0);
        // What may not fit is counted before it is refused.
        assert!(matches!(
            fill(&tree, "d", 500, MANY + 1000).await,
            Err(Error::NoSpace)
        ));
        fill(&tree, "d", 499, MANY + 1000).await.unwrap();
        assert_eq!(
            (tree.usage().await.unwrap().used, walks(&tree)),
            (MANY + 1000, 1)
        );
    }

    #[tokio::test]
    async fn what_there_is_at_most_is_written_before_there_is_so_much() {
        let dir = tempfile::tempdir().unwrap();
        let tree = counted(dir.path()).await;
        let top = || os::open_root(dir.path()).unwrap();
        let said = || read(fd(&top())).unwrap().unwrap().most;
        for step in 1..40 {
            let growth = super::super::ledger::Growth {
                new: MARGINS.0 / 4,
                old: 0,
            };
            tree.root.ledger.note(&tree.root, growth);
            let used = MANY + step * MARGINS.0 / 4;
            assert!(said() >= used + margin(used) / 2, "{step}");
        }
    }

    #[tokio::test]
    async fn a_copy_beside_the_server_is_counted() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        close(counted(dir.path()).await);
        let copy = other.path().join("copy");
        drop(open(&copy));
        std::fs::copy(dir.path().join(FILE), copy.join(FILE)).unwrap();
        let tree = open(&copy);
        put(&(tree.clone() as crate::content::contract::Tree), "x", b"x").await;
        assert_eq!((tree.usage().await.unwrap().used, walks(&tree)), (1, 1));
    }
}
