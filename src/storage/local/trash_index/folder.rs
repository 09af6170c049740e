//! What the folders of a trash say of its items, and which of them are wanted.

use crate::model::{AccountName, RelPath, Result};
use crate::storage::history::TrashedItem;
use crate::storage::local::dirs::TreeDirs;
use crate::storage::local::errors::map_errno;
use crate::storage::local::sys::{self, fd};
use crate::storage::local::trashinfo;
#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

pub(super) const DOING: &str = "read the trash";
/// What an item takes beside its text.
pub(super) const ITEM_OVERHEAD: usize = 96;
/// A trash whose folder of notes has so many bytes is read before somebody asks: some ten thousand items.
const LARGE: u64 = if cfg!(test) { 16 << 10 } else { 1 << 20 };

/// How much was read.
#[cfg(test)]
#[derive(Debug, Default)]
pub(in super::super) struct TrashReadCounts {
    pub names: AtomicUsize,
    pub notes: AtomicUsize,
}

/// Where an item comes from, as its note says.
#[derive(Clone, Debug, Default)]
pub(super) enum TrashOrigin {
    #[default]
    Unread,
    Unknown,
    Known(Box<(RelPath, Option<AccountName>)>),
}

impl TrashOrigin {
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Known(known) => ITEM_OVERHEAD + known.0.as_str().len(),
            _ => 0,
        }
    }
}

/// Which items are wanted.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct TrashFilter<'a> {
    /// What lay below this folder.
    pub below: &'a RelPath,
    /// What this account deleted or replaced.
    pub who: Option<&'a AccountName>,
}

/// The folders of the trash that an index is about.
#[derive(Clone, Copy)]
pub(super) struct TrashDir<'a> {
    pub(super) dirs: &'a TreeDirs,
    #[cfg(test)]
    pub(super) reads: &'a TrashReadCounts,
}

/// Whether a trash is so large that it is to be read before somebody asks.
pub(in super::super) fn is_large(dirs: &TreeDirs) -> bool {
    sys::folder_size(fd(&dirs.trash_info)).is_ok_and(|size| size >= LARGE)
}

impl TrashDir<'_> {
    /// When the folder of notes has changed last.
    pub(super) fn modified(self) -> Result<SystemTime> {
        sys::stat_fd(fd(&self.dirs.trash_info))
            .map(|found| found.node.modified)
            .map_err(|e| map_errno(DOING, e))
    }

    /// Where an item comes from, as its note says.
    fn origin(self, id: &str) -> Result<TrashOrigin> {
        #[cfg(test)]
        self.reads.notes.fetch_add(1, Ordering::Relaxed);
        let known = trashinfo::origin(self.dirs, id)?;
        Ok(known.map_or(TrashOrigin::Unknown, |known| {
            TrashOrigin::Known(Box::new(known))
        }))
    }

    /// The item called `id`, if it is there.
    pub(super) fn item(self, id: &str) -> Result<Option<TrashedItem>> {
        #[cfg(test)]
        self.reads.notes.fetch_add(1, Ordering::Relaxed);
        trashinfo::item(self.dirs, id.to_owned())
    }
}

impl TrashFilter<'_> {
    /// Whether an item is wanted, by its note, which is read once. `added` grows by what it takes to remember it.
    pub(super) fn matches(
        &self,
        folder: TrashDir<'_>,
        id: &str,
        origin: &mut TrashOrigin,
        added: &mut usize,
    ) -> Result<bool> {
        if self.below.is_root() && self.who.is_none() {
            return Ok(true);
        }
        if matches!(origin, TrashOrigin::Unread) {
            *origin = folder.origin(id)?;
            *added += origin.weight();
        }
        let TrashOrigin::Known(known) = origin else {
            return Ok(false);
        };
        Ok(known.0.is_within(self.below) && (self.who.is_none() || known.1.as_ref() == self.who))
    }
}
