//! What `.sarang/books` says of how many bytes a tree holds, so that nobody waits for a count when it is opened: while the tree is open,
//! and so after a crash, only what there is at most; after it was closed, exactly. A copy of the tree has no part in it.

use super::errors::map_errno;
use super::sys::{self, Errno, Lookup, fd};
use crate::model::{Error, Result, time};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, Read as _};
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

/// Where it lies, below the root.
const FILE: &str = ".sarang/books";
/// The most bytes that are read of it.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// How many folders in the trash may wait to be measured; with more the tree is counted when it is opened.
const MAX_UNMEASURED: usize = 1000;
/// By how many bytes at least, and at most, the disk says that there may be more than there is.
const MARGINS: (u64, u64) = (64 << 20, 1 << 30);

/// What is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UsageRecord {
    /// Bytes that count, if that is known.
    pub used: Option<u64>,
    /// What they are at most.
    pub upper_bound: u64,
    /// Folders in the trash whose bytes are still in `used`.
    pub unmeasured: Vec<String>,
    /// When they were counted last, and how long that took.
    pub counted: Option<(SystemTime, Duration)>,
    /// What files and history came to when they were last counted, and what has come since.
    pub total: (Option<u64>, u64),
}

#[derive(Debug, Serialize, Deserialize)]
struct UsageFileJson {
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
pub(super) fn load(top: BorrowedFd<'_>) -> Option<UsageRecord> {
    let found = read(top)
        .inspect_err(|error| tracing::warn!(%error, "how much a home holds is to be counted"))
        .ok()??;
    let Some(used) = found.used else {
        return Some(found);
    };
    let most = used.saturating_add(margin(used));
    let bound = UsageRecord {
        upper_bound: most,
        ..UsageRecord::default()
    };
    // On the disk before anything changes: a power cut must not leave what is right no more.
    match write_file(top, &bound).and_then(|()| sync(top)) {
        Ok(()) => Some(UsageRecord {
            upper_bound: most,
            ..found
        }),
        Err(error) => {
            tracing::warn!(%error, "what a home holds is to be counted");
            remove(top);
            None
        }
    }
}

/// Writes it, in the place of what was written before: what is cut short by a crash is not believed.
pub(super) fn write(top: BorrowedFd<'_>, written: &UsageRecord) -> Result<()> {
    write_file(top, written).map_err(|e| map_errno("write down how much there is", e))
}

/// Removes what is written.
pub(super) fn remove(top: BorrowedFd<'_>) {
    match sys::unlink_file(top, FILE) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => {
            tracing::error!(%error, "what a home held cannot be removed: its quota may be judged wrongly");
        }
    }
}

fn read(top: BorrowedFd<'_>) -> Result<Option<UsageRecord>> {
    let doing = "read how much there is";
    let file = match sys::open_read(top, FILE, Lookup::Full) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(map_errno(doing, e)),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut text)
        .map_err(|e| Error::io(doing, e))?;
    let here = folder_id(top).map_err(|e| map_errno(doing, e))?;
    let page = serde_json::from_slice::<UsageFileJson>(&text)
        .ok()
        .filter(|page| page.of == here);
    Ok(page.map(
        |UsageFileJson {
             used,
             most,
             unmeasured,
             counted,
             total,
             ..
         }| {
            let counted = counted
                .map(|(when, took)| (time::from_unix_seconds(when), Duration::from_millis(took)));
            UsageRecord {
                used,
                upper_bound: most,
                unmeasured,
                counted,
                total,
            }
        },
    ))
}

fn write_file(top: BorrowedFd<'_>, written: &UsageRecord) -> sys::SysResult<()> {
    let is_exact = written.unmeasured.len() <= MAX_UNMEASURED;
    let milliseconds = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let page = UsageFileJson {
        of: folder_id(top)?,
        used: written.used.filter(|_| is_exact),
        most: written.upper_bound,
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
    let file = match sys::open_write(top, FILE) {
        Err(Errno::NOENT) => sys::create_file(top, FILE)?,
        opened => opened?,
    };
    sys::write_all(fd(&file), &mut [IoSlice::new(&text)], 0)?;
    sys::truncate(fd(&file), text.len() as u64)
}

fn sync(top: BorrowedFd<'_>) -> sys::SysResult<()> {
    sys::sync_content(fd(&sys::open_write(top, FILE)?))
}

/// What tells the folder from a copy of it.
fn folder_id(top: BorrowedFd<'_>) -> sys::SysResult<[u64; 2]> {
    sys::stat_fd(top).map(|found| found.node.inode())
}

#[cfg(test)]
mod tests {
    use super::super::{LocalSettings, LocalTree};
    use super::*;
    use crate::storage::contract::{commit, path, put};
    use crate::storage::{InitialContent, SpaceRequest, Tree, WriteOptions};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    const MANY: u64 = 1000;

    fn open(dir: &Path) -> Arc<LocalTree> {
        LocalTree::open(dir, LocalSettings::RELAXED).unwrap()
    }

    fn close(tree: Arc<LocalTree>) {
        LocalTree::close(tree).unwrap().save_usage();
    }

    /// A tree of 1000 bytes that has been counted.
    async fn counted(dir: &Path) -> Arc<LocalTree> {
        let tree = open(dir);
        fill(&tree, "a", 1000, u64::MAX).await.unwrap();
        assert_eq!(tree.usage().await.unwrap().used, MANY);
        tree
    }

    async fn fill(tree: &Arc<LocalTree>, name: &str, len: usize, limit: u64) -> Result<()> {
        let room = SpaceRequest {
            len: Some(len as u64),
            limit: Some(limit),
        };
        let mut upload = tree
            .begin_upload(&path(name), InitialContent::Empty, room)
            .await?;
        upload.write(vec![0; len].into()).await?;
        upload
            .commit(WriteOptions {
                limit: Some(limit),
                ..commit()
            })
            .await
            .map(drop)
    }

    /// How often all files were looked at.
    fn walks(tree: &LocalTree) -> usize {
        tree.root.usage.walks.load(Ordering::Relaxed)
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
        tree.root.usage.recounting.store(true, Ordering::Relaxed);
        fill(&tree, "c", 1, MARGINS.0 * 2).await.unwrap();
        assert!(tree.root.usage.is_estimate() && walks(&tree) == 0);
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
        let top = || sys::open_root(dir.path()).unwrap();
        let said = || read(fd(&top())).unwrap().unwrap().upper_bound;
        for step in 1..40 {
            let growth = super::super::usage_counter::UsageDelta {
                added: MARGINS.0 / 4,
                removed: 0,
            };
            tree.root.usage.apply(&tree.root, growth);
            let used = MANY + step * MARGINS.0 / 4;
            assert!(said() >= used + margin(used) / 2, "{step}");
        }
    }

    #[tokio::test]
    async fn a_copy_beside_the_server_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        close(counted(dir.path()).await);
        let copy = other.path().join("copy");
        drop(open(&copy));
        std::fs::copy(dir.path().join(FILE), copy.join(FILE)).unwrap();
        let tree = open(&copy);
        put(
            &(tree.clone() as crate::storage::contract::TestTree),
            "x",
            b"x",
        )
        .await;
        assert_eq!((tree.usage().await.unwrap().used, walks(&tree)), (1, 1));
    }
}
