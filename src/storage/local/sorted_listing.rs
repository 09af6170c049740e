//! Reading a folder in the order of its names, from any of them on. The names are read first, and what they name only when its turn comes: a
//! page of a large folder costs what is on it, and the folder's names once for all its pages.

mod name_cache;

use super::LocalTree;
use super::errors::map_errno;
use super::list::{entry_by_name, open_folder, with_read_permit};
use super::names::{require_file_or_folder, visible_name};
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use crate::model::{RelPath, Result};
use crate::storage::{DirEntry, FileId, Listing};
use async_trait::async_trait;
use name_cache::{FolderKey, NameCollector, SortedNames};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Names read in one piece; the kernel's last buffer may bring some more.
const NAMES: usize = 4096;
/// Entries looked at in one piece.
const PIECE: usize = 256;
const DOING: &str = "read the folder";
/// How many folders with more names than a piece of entries are read at a time: small ones need not wait for them.
static LARGE: Semaphore = Semaphore::const_new(4);

/// A folder being read in order.
pub(super) struct SortedListing {
    state: Option<SortedListingState>,
    large: Option<SemaphorePermit<'static>>,
}

struct SortedListingState {
    root: Arc<TreeRoot>,
    dir: OwnedFd,
    key: FolderKey,
    /// The last name that was looked at.
    after: Option<String>,
    /// Entries still wanted.
    left: usize,
    stage: ListingStage,
}

enum ListingStage {
    /// Names are to be read.
    Begin,
    /// Some were.
    Names(NameCollector, Vec<u8>),
    /// What they name is looked at, from this one on.
    Entries(Arc<SortedNames>, usize),
}

/// What a piece of work has come to.
enum ListingProgress {
    /// So many names are known, and what they name is not.
    Names(usize),
    Entries(Vec<DirEntry>),
    End,
}

impl LocalTree {
    /// Begins to read at most so many entries of a folder, those after a name.
    pub(super) async fn list_sorted(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<SortedListing> {
        let opened = |root: &Arc<TreeRoot>,
                      path: &RelPath,
                      lookup: Lookup|
         -> Result<Option<(OwnedFd, FolderKey)>> {
            let Some(dir) = open_folder(root, path, lookup)? else {
                return Ok(None);
            };
            let disk = sys::disk_of(fd(&dir)).map_err(|e| map_errno(DOING, e))?;
            let node =
                require_file_or_folder(sys::stat_fd(fd(&dir)).map_err(|e| map_errno(DOING, e))?)?
                    .node;
            Ok(Some((dir, (disk, FileId::derived(&node)))))
        };
        let (dir, key) = self.look_up(path, opened).await?;
        // Whoever begins to read has the names as they are now.
        let kept = after
            .as_deref()
            .and_then(|after| name_cache::cached(key, after));
        let large = if kept.is_some() {
            LARGE.acquire().await.ok()
        } else {
            None
        };
        let stage = kept.map_or(ListingStage::Begin, |(names, at)| {
            ListingStage::Entries(names, at)
        });
        let begun = SortedListingState {
            root: Arc::clone(&self.root),
            dir,
            key,
            after,
            left: most,
            stage,
        };
        Ok(SortedListing {
            state: Some(begun),
            large,
        })
    }
}

#[async_trait]
impl Listing for SortedListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        while let Some(mut state) = self.state.take() {
            let root = Arc::clone(&state.root);
            let (state, piece) =
                with_read_permit(&root, move || state.work().map(|piece| (state, piece))).await?;
            match piece {
                ListingProgress::End => break,
                ListingProgress::Names(known) if known > PIECE && self.large.is_none() => {
                    self.large = LARGE.acquire().await.ok();
                }
                ListingProgress::Names(_) => {}
                ListingProgress::Entries(page) => {
                    self.state = Some(state);
                    if !page.is_empty() {
                        return Ok(page);
                    }
                    continue;
                }
            }
            self.state = Some(state);
        }
        self.large = None;
        Ok(Vec::new())
    }
}

impl SortedListingState {
    /// One piece of work.
    fn work(&mut self) -> Result<ListingProgress> {
        match std::mem::replace(&mut self.stage, ListingStage::Begin) {
            ListingStage::Begin => {
                // Reading moves the place of a descriptor: each time a fresh one.
                self.dir = sys::open_folder(fd(&self.dir), "", Lookup::Full)
                    .map_err(|e| map_errno(DOING, e))?;
                self.stage =
                    ListingStage::Names(NameCollector::after(self.after.clone()), Vec::new());
                Ok(ListingProgress::Names(0))
            }
            ListingStage::Names(reading, room) => self.read_names(reading, room),
            ListingStage::Entries(names, at) => self.look(names, at),
        }
    }

    fn read_names(
        &mut self,
        mut reading: NameCollector,
        mut room: Vec<u8>,
    ) -> Result<ListingProgress> {
        let more = sys::read_dir(fd(&self.dir), &mut room, NAMES, |name, kind| {
            if kind != Some(FileKind::Other)
                && let Some(name) = visible_name(name)
            {
                reading.add(name);
            }
            Ok::<_, Errno>(())
        });
        let is_more = more.map_err(|e| map_errno(DOING, e))?;
        let known = reading.len();
        self.stage = if is_more {
            ListingStage::Names(reading, room)
        } else {
            let names = Arc::new(reading.finish());
            if names.len() > self.left || !names.is_all {
                name_cache::store(self.key, &names);
            }
            ListingStage::Entries(names, 0)
        };
        Ok(ListingProgress::Names(known))
    }

    fn look(&mut self, names: Arc<SortedNames>, at: usize) -> Result<ListingProgress> {
        let piece = names.from(at, PIECE.min(self.left));
        let Some(last) = piece.last() else {
            let is_end = names.is_all || self.left == 0;
            return Ok(if is_end {
                ListingProgress::End
            } else {
                ListingProgress::Names(0)
            });
        };
        let mut page = Vec::with_capacity(piece.len());
        for name in piece {
            page.extend(entry_by_name(fd(&self.dir), name).map_err(|e| map_errno(DOING, e))?);
        }
        self.after = Some(last.to_string());
        self.left -= page.len();
        let next = at + piece.len();
        self.stage = ListingStage::Entries(names, next);
        Ok(ListingProgress::Entries(page))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::RELAXED;
    use super::*;
    use crate::storage::Tree;

    async fn page(tree: &LocalTree, after: Option<&str>, most: usize) -> Vec<String> {
        let folder = RelPath::parse("d").unwrap();
        let mut listing = tree
            .list_after(&folder, after.map(str::to_owned), most)
            .await
            .unwrap();
        let mut names = Vec::new();
        loop {
            let page = listing.next_page().await.unwrap();
            if page.is_empty() {
                return names;
            }
            names.extend(page.into_iter().map(|entry| entry.name));
        }
    }

    fn number(n: usize) -> String {
        format!("{n:05}")
    }

    /// Names that have come since the first page was read are on no later one: the folder is not read again.
    #[tokio::test]
    async fn the_names_are_read_once_for_all_pages() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("d");
        std::fs::create_dir(&folder).unwrap();
        for n in 0..10_000 {
            std::fs::write(folder.join(number(2 * n)), "").unwrap();
        }
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        let mut seen: Vec<String> = Vec::new();
        let mut after: Option<String> = None;
        for n in 0.. {
            let page = page(&tree, after.as_deref(), 1000).await;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            seen.extend(page);
            if n == 0 {
                std::fs::write(folder.join(number(15_001)), "").unwrap();
                std::fs::remove_file(folder.join(number(16_000))).unwrap();
            }
        }
        assert_eq!(
            seen,
            (0..10_000)
                .map(|n| number(2 * n))
                .filter(|name| *name != number(16_000))
                .collect::<Vec<_>>()
        );
        let again = page(&tree, None, 20_000).await;
        assert!(again.contains(&number(15_001)) && again.len() == 10_000);
    }
}
