//! Content as plain files below one folder: what is on the disk is what the drive shows, and nothing else is needed to read it.
//! This file and `tree` are the asynchronous face; the rest is synchronous. `sys` holds the system calls, `dirs` the lookups and the lock around names,
//! `root` all that an open tree keeps in memory.

mod access;
mod adopt;
pub mod backup;
mod blocking;
mod change;
mod change_log;
pub mod check;
mod checked_step;
pub mod close;
mod copy;
mod copy_content;
mod count;
mod digest;
mod dirs;
mod disk_access;
mod disk_latency;
mod disk_slots;
mod errors;
mod expirable;
mod file_meta;
mod history;
mod history_limit;
mod history_purge;
mod identity;
pub mod in_place;
mod internal_dirs;
mod known_tree;
mod list;
mod log_replay;
pub mod missing_features;
mod names;
mod overflow;
mod overflow_file;
mod overflow_sweep;
mod past_tree;
mod path_limits;
mod probe;
mod props;
mod read;
mod reassign_ids;
mod relocated;
mod remove_tree;
mod rename;
mod replaced_file;
mod reservation;
mod resumable;
mod retention_hold;
mod reverse_lines;
mod rewind;
mod root;
mod scrub;
mod sorted_listing;
mod space;
mod spool;
mod staging;
mod stored_path;
mod sys;
mod thumbnails;
mod tmp_names;
mod total_usage;
mod trash;
mod trash_index;
mod trash_items;
mod trash_pending;
mod trash_restore;
mod trashinfo;
mod tree;
mod tree_id;
mod undeletable;
mod upload;
mod usage;
mod usage_counter;
mod usage_file;
mod version_dir;
mod versions;
mod walk;
mod writeback;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use super::{ScrubReport, TreeLocks};
use crate::model::{Error, RelPath, Result};
use blocking::{run_blocking, run_read, spawn};
pub use dirs::LocalSettings;
use missing_features::MissingFeature;
use overflow_sweep::schedule_sweep;
use root::TreeRoot;
use std::{path::Path, sync::Arc};
use sys::{Errno, Lookup};

/// A tree of plain files below one folder.
#[derive(Debug)]
pub struct LocalTree {
    root: Arc<TreeRoot>,
}

impl LocalTree {
    /// Opens the tree below `dir`, made if missing, and clears away what a crash has left half done.
    /// One process at a time: what another one is uploading would be taken for leftovers.
    pub fn open(dir: &Path, settings: LocalSettings) -> Result<Arc<Self>> {
        Self::recover(TreeRoot::open(dir, settings)?)
    }

    /// Tells the tree which locks stand in it, right after it was opened. What it was not told of stands in nobody's way.
    pub fn set_locks(&self, locks: Arc<dyn TreeLocks>) {
        self.root.set_locks(locks);
    }

    fn recover(root: TreeRoot) -> Result<Arc<Self>> {
        let root = Arc::new(root);
        trash::finish_swaps(&root)?;
        rename::finish(&root)?;
        trash_pending::recover(&root)?;
        resumable::reset_unsynced(&root)?;
        if let Err(error) = relocated::relabel(&root) {
            // Shares of files and versions wait for the next start; the files are there.
            tracing::warn!(%error, "this folder was copied or restored, and which files are in it could not be noted");
        }
        if let Err(error) = adopt::recover(&root) {
            tracing::error!(%error, "the history of adopted files is not taken over yet; the next start goes on");
        }
        if let Err(error) = trash::sweep_orphaned_infos(&root).and_then(|()| staging::sweep(&root))
        {
            // Leftovers cost room, not content: they are no reason to keep anybody from their files.
            tracing::warn!(%error, "temporary files of an earlier run were left in place");
        }
        schedule_sweep(&root);
        trash_items::prepare_index(&root);
        Ok(Arc::new(Self { root }))
    }

    /// Whether the system lets this process use what every lookup of a user's path needs, openat2(2); else `Forbidden`, with the
    /// causes. Kernels before 5.6 lack the call; sandboxes that do not know it answer ENOSYS or EPERM.
    pub fn check_system() -> Result<()> {
        match sys::has_openat2() {
            Ok(()) => Ok(()),
            Err(Errno::NOSYS | Errno::PERM) => Err(Error::Forbidden(
                "The system forbids the call openat2, without which no file is served safely. In a systemd unit, remove \
                 RestrictSUIDSGID= and DynamicUser= (systemd/sarang.service is a unit that works) or allow the call in \
                 SystemCallFilter=; in a container, update its engine (Docker 20.10 and later allow it); the kernel must be Linux 5.6 or \
                 later.",
            )),
            Err(e) => Err(Error::io("look up a path confined (openat2)", e)),
        }
    }

    /// Bytes that the disk has left where `dir` lies.
    pub fn free_at(dir: &Path) -> Result<u64> {
        let dir = sys::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        sys::free_bytes(sys::fd(&dir)).map_err(|e| errors::map_errno("ask for free space", e))
    }

    /// Counts the files anew; returns what the usage counter said and what there is, if they were wrong now or since the last time.
    pub async fn recount_usage(&self) -> Result<Option<(u64, u64)>> {
        self.run_blocking(|root| {
            root.recount_usage()?;
            Ok(root.usage.take_correction())
        })
        .await
    }

    /// How often something was to be put on the disk.
    #[cfg(test)]
    pub fn sync_count(&self) -> usize {
        self.root
            .sync_count
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Bytes of live files, if nothing must be counted first to know: without waiting for the disk.
    pub fn known_used(&self) -> Option<u64> {
        self.root.usage.known()
    }

    /// As [`Tree::scrub`](crate::storage::Tree::scrub), of the tree below `dir`, which may be in use.
    pub fn scrub_at(dir: &Path) -> Result<ScrubReport> {
        let dir = sys::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        scrub::scrub(sys::fd(&dir))
    }

    /// Moves a folder that lies outside the tree, on the same file system, to `to`, whole and in one rename, and what it has of a
    /// history into that of this tree. `Exists`, `Unsupported` when it lies on another file system.
    pub async fn adopt(&self, folder: &Path, to: &RelPath) -> Result<()> {
        let folder = folder.to_owned();
        let to = to.clone();
        self.run_blocking(move |root| adopt::adopt(root, &folder, &to))
            .await
    }

    /// Takes over what is left of the history of a folder that was adopted before a crash. `NotFound` for no folder.
    pub async fn adopt_history(&self, folder: &RelPath) -> Result<()> {
        let folder = folder.clone();
        self.run_blocking(move |root| adopt::adopt_history(root, &folder))
            .await
    }

    /// Runs `look` at once if the kernel has in memory what it needs, else on a thread that may wait for the disk.
    async fn look_up<T: Send + 'static>(
        &self,
        path: &RelPath,
        look: impl Fn(&Arc<TreeRoot>, &RelPath, Lookup) -> Result<Option<T>> + Send + 'static,
    ) -> Result<T> {
        if self.root.disk_access.can_read_inline()
            && let Some(seen) = look(&self.root, path, Lookup::Cached)?
        {
            return Ok(seen);
        }
        let path = path.clone();
        run_read(&self.root, move |root| {
            look(root, &path, Lookup::Full)?.ok_or(Error::NotFound)
        })
        .await
    }

    /// Has the files counted in the background when it is time.
    fn recount_if_due(&self) {
        if let Some(turn) = self.root.disk_access.slots.try_acquire()
            && self.root.usage.is_due()
        {
            // Not awaited: the usage counter serves until this is done.
            drop(spawn(&self.root, turn.unmeasured(), |root| {
                root.recount_usage()
            }));
        }
    }

    /// Whether a path is on the disk in this spelling, as far as that is in memory.
    fn is_stored_path(&self, path: &RelPath) -> bool {
        !self
            .root
            .missing_features
            .has(MissingFeature::CaseSensitivity)
            && self
                .root
                .stat(path, Lookup::Cached)
                .is_ok_and(|seen| seen.is_some())
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<TreeRoot>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        run_blocking(&self.root, work).await
    }
}
