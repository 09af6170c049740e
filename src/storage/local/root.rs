//! An open tree: its folders, and what is kept in memory about the files in them. The calls of one tree share it.

use super::change_log::ChangeLogWriter;
use super::dirs::{LocalSettings, TreeDirs};
use super::disk_latency::DiskLatency;
use super::internal_dirs::{self, PROPS, failed};
use super::overflow::OverflowFiles;
use super::retention_hold::RetentionHold;
use super::sys::{self, Errno, fd};
use super::thumbnails::ThumbnailCache;
use super::total_usage::TotalUsage;
use super::trash_index::TrashIndex;
use super::tree_id;
use super::usage_counter::UsageCounter;
use crate::model::Result;
use crate::storage::TreeLocks;
use parking_lot::Mutex;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// An open tree.
#[derive(Debug)]
pub(super) struct TreeRoot {
    dirs: TreeDirs,
    pub usage: UsageCounter,
    pub total_usage: TotalUsage,
    pub change_log: ChangeLogWriter,
    pub overflow: OverflowFiles,
    pub trash_index: TrashIndex,
    pub retention_hold: RetentionHold,
    pub thumbnails: ThumbnailCache,
    pub disk_latency: DiskLatency,
    /// Held while the oldest of the history is purged for want of space.
    pub purge_lock: Mutex<()>,
    /// When that freed nothing.
    pub purge_was_futile_at: Mutex<Option<Instant>>,
    /// The locks that stand in it; none where it was not told of any.
    pub locks: OnceLock<Arc<dyn TreeLocks>>,
    refuses_changes: AtomicBool,
}

/// Whatever takes the folders alone takes an open tree as well.
impl Deref for TreeRoot {
    type Target = TreeDirs;

    fn deref(&self) -> &TreeDirs {
        &self.dirs
    }
}

impl TreeRoot {
    /// Opens `path` and makes what is missing.
    pub fn open(path: &Path, settings: LocalSettings) -> Result<Self> {
        Self::with(TreeDirs::open(path, settings)?)
    }

    /// Opens the tree with this id at `path`; `None` when it is not there, and then nothing is made.
    pub fn open_known(path: &Path, id: &str, settings: LocalSettings) -> Result<Option<Self>> {
        let dir = match sys::open_root(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        if tree_id::read(fd(&dir))?.is_none_or(|found| found != id) {
            return Ok(None);
        }
        Self::with(TreeDirs::within(dir, settings)?).map(Some)
    }

    fn with(dirs: TreeDirs) -> Result<Self> {
        let top = fd(&dirs.dir);
        let overflow = OverflowFiles::new(fd(&internal_dirs::open(top, PROPS)?))?;
        let retention_hold = RetentionHold::load(top)?;
        let (usage, total_usage) = UsageCounter::open(top);
        Ok(Self {
            dirs,
            usage,
            total_usage,
            change_log: ChangeLogWriter::default(),
            overflow,
            trash_index: TrashIndex::default(),
            retention_hold,
            thumbnails: ThumbnailCache::default(),
            disk_latency: DiskLatency::default(),
            purge_lock: Mutex::default(),
            purge_was_futile_at: Mutex::default(),
            locks: OnceLock::new(),
            refuses_changes: AtomicBool::new(false),
        })
    }

    /// Lets no change under preconditions happen any more.
    pub fn refuse_changes(&self) {
        self.refuses_changes.store(true, Ordering::Release);
    }

    /// Whether none may happen.
    pub fn refuses_changes(&self) -> bool {
        self.refuses_changes.load(Ordering::Acquire)
    }
}
