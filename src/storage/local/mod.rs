//! Content as plain files below one folder: what is on the disk is what the drive shows, and nothing else is needed to read it.
//! This file is the asynchronous face; the rest is synchronous. `sys` holds the system calls, `dirs` the lookups and the lock around names,
//! `root` all that an open tree keeps in memory.

mod access;
mod adopt;
pub mod backup;
mod blocking;
mod change;
mod change_log;
pub mod check;
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

use super::{
    CopyDepth, DeadProp, FileId, InitialContent, Listing, Node, PropChange, Reader, ScrubReport,
    SpaceRequest, SpaceReservation, Tree, Unshown, Upload, Usage, WriteOptions,
};
use crate::model::{Error, RelPath, Result};
use async_trait::async_trait;
use blocking::{run_blocking, run_change, run_read, spawn};
pub use dirs::LocalSettings;
use list::LocalListing;
use missing_features::MissingFeature;
use overflow_sweep::schedule_sweep;
use read::LocalReader;
use root::TreeRoot;
use std::{path::Path, sync::Arc};
use sys::{Errno, Lookup};
use upload::LocalUpload;

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
                 SystemCallFilter=; in a container, update its seccomp profile; the kernel must be Linux 5.6 or later.",
            )),
            Err(e) => Err(Error::io("look up a path confined (openat2)", e)),
        }
    }

    /// Bytes that the disk has left where `dir` lies.
    pub fn free_at(dir: &Path) -> Result<u64> {
        let dir = sys::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        sys::free_bytes(sys::fd(&dir)).map_err(|e| errors::map_errno("ask for free space", e))
    }

    /// Counts the files anew; returns what the books said and what there is, if they were wrong now or since the last time.
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

    /// As [`ContentTree::scrub`], of the tree below `dir`, which may be in use.
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
            // Not awaited: the books serve until this is done.
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

#[async_trait]
impl Tree for LocalTree {
    async fn stat(&self, path: &RelPath) -> Result<Node> {
        self.look_up(path, |root, path, lookup| root.stat(path, lookup))
            .await
    }

    async fn identify(&self, path: &RelPath) -> Result<(Node, FileId)> {
        self.look_up(path, identity::identify).await
    }

    async fn keep_id(&self, path: &RelPath) -> Result<(Node, FileId)> {
        let path = path.clone();
        self.run_blocking(move |root| identity::persist_id(root, &path))
            .await
    }

    async fn stored_path(&self, path: &RelPath) -> Result<RelPath> {
        let is_plain = path.as_str().is_ascii()
            && !self
                .root
                .missing_features
                .has(MissingFeature::CaseSensitivity);
        if is_plain || self.is_stored_path(path) {
            return Ok(path.clone());
        }
        let wanted = path.clone();
        run_read(&self.root, move |root| {
            let spelled = root.stored_path(&wanted)?;
            let exists = root.stat(&spelled, Lookup::Full).is_ok();
            Ok(if exists { spelled } else { wanted })
        })
        .await
    }

    async fn list(&self, path: &RelPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let open = move |root: &Arc<TreeRoot>, path: &RelPath, lookup| {
            LocalListing::open(root, path, with_props, lookup)
        };
        Ok(Box::new(self.look_up(path, open).await?))
    }

    async fn list_after(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<Box<dyn Listing>> {
        Ok(Box::new(self.list_sorted(path, after, most).await?))
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.look_up(path, LocalReader::open).await?))
    }

    async fn begin_upload(
        &self,
        path: &RelPath,
        start: InitialContent,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>> {
        let upload = match start {
            InitialContent::Empty => {
                self.look_up(path, move |root, path, lookup| {
                    LocalUpload::begin(root, path, room, lookup)
                })
                .await?
            }
            InitialContent::Present => {
                let path = path.clone();
                self.run_blocking(move |root| LocalUpload::begin_from_present(root, &path, room))
                    .await?
            }
        };
        if self.root.usage.is_estimate() {
            self.recount_if_due();
        }
        Ok(Box::new(upload))
    }

    async fn check_space(&self, path: &RelPath, room: SpaceRequest) -> Result<()> {
        let path = path.clone();
        self.run_blocking(move |root| space::check(root, &path, room))
            .await
    }

    async fn check_inodes(&self) -> Result<()> {
        run_read(&self.root, |root| root.check_inodes()).await
    }

    async fn mkdir(&self, path: &RelPath, commit: WriteOptions) -> Result<()> {
        let path = path.clone();
        run_change(&self.root, move |root| change::mkdir(root, &path, &commit)).await
    }

    async fn create_staging_dir(&self) -> Result<RelPath> {
        self.run_blocking(|root| staging::create_staging_dir(root))
            .await
    }

    async fn remove_staging_dir(&self, workshop: &RelPath) -> Result<()> {
        let workshop = workshop.clone();
        self.run_blocking(move |root| staging::remove_staging_dir(root, &workshop))
            .await?;
        schedule_sweep(&self.root);
        Ok(())
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, commit: WriteOptions) -> Result<bool> {
        let looks_over = self.needs_depth_check(from, to, &commit);
        let from = from.clone();
        let to = to.clone();
        if looks_over {
            let rename = move |root: &Arc<TreeRoot>| {
                path_limits::check(root, &from, &to, &commit)?;
                change::rename(root, &from, &to, &commit)
            };
            return self.run_blocking(rename).await;
        }
        run_change(&self.root, move |root| {
            change::rename(root, &from, &to, &commit)
        })
        .await
    }

    async fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
        commit: WriteOptions,
    ) -> Result<bool> {
        let from = from.clone();
        let to = to.clone();
        let copied = self
            .run_blocking(move |root| copy::copy(root, &from, &to, reach, &commit))
            .await;
        schedule_sweep(&self.root);
        copied
    }

    async fn unshown(&self, path: &RelPath) -> Result<Option<Unshown>> {
        let path = path.clone();
        self.run_blocking(move |root| copy_content::find_unshown(root, &path))
            .await
    }

    async fn copy_unshown(&self, from: Unshown, to: &RelPath, commit: WriteOptions) -> Result<()> {
        let to = to.clone();
        self.run_blocking(move |root| copy_content::copy_unshown(root, from, &to, &commit))
            .await
    }

    async fn delete(&self, path: &RelPath, commit: WriteOptions) -> Result<String> {
        let path = path.clone();
        run_change(&self.root, move |root| change::delete(root, &path, &commit)).await
    }

    async fn begin_delete(&self, path: &RelPath, commit: WriteOptions) -> Result<RelPath> {
        let path = path.clone();
        run_change(&self.root, move |root| {
            trash_pending::begin_delete(root, &path, &commit)
        })
        .await
    }

    async fn finish_delete(&self, out: &RelPath) -> Result<String> {
        let out = out.clone();
        run_change(&self.root, move |root| {
            trash_pending::finish_delete(root, &out)
        })
        .await
    }

    async fn cancel_delete(&self, out: &RelPath) -> Result<()> {
        let out = out.clone();
        run_change(&self.root, move |root| {
            trash_pending::cancel_delete(root, &out)
        })
        .await
    }

    async fn props(&self, path: &RelPath) -> Result<Vec<DeadProp>> {
        self.look_up(path, |root, path, lookup| props::read(root, path, lookup))
            .await
    }

    async fn set_props(
        &self,
        path: &RelPath,
        changes: Vec<PropChange>,
        commit: WriteOptions,
    ) -> Result<()> {
        let path = path.clone();
        let changes = Arc::new(changes);
        if !self.root.is_strict() {
            let path = path.clone();
            let changes = Arc::clone(&changes);
            let commit = commit.clone();
            let set = move |root: &Arc<TreeRoot>| {
                props::set(root, &path, &changes, &commit, Lookup::Cached)
            };
            if run_change(&self.root, set).await?.is_some() {
                return Ok(());
            }
        }
        self.run_blocking(move |root| {
            props::set(root, &path, &changes, &commit, Lookup::Full)?.ok_or(Error::NotFound)
        })
        .await?;
        schedule_sweep(&self.root);
        Ok(())
    }

    async fn create_upload(&self, id: &str, len: u64) -> Result<()> {
        let id = id.to_owned();
        self.run_blocking(move |root| resumable::create(root, &id, len))
            .await
    }

    async fn resume_upload(
        &self,
        id: &str,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>> {
        let id = id.to_owned();
        let path = path.clone();
        Ok(Box::new(
            self.run_blocking(move |root| LocalUpload::resume(root, &id, &path, room))
                .await?,
        ))
    }

    async fn list_uploads(&self) -> Result<Vec<String>> {
        self.run_blocking(|root| resumable::list(root)).await
    }

    async fn abort_upload(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.run_blocking(move |root| resumable::abort(root, &id))
            .await
    }

    async fn reserve_space(
        &self,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn SpaceReservation>> {
        let path = path.clone();
        Ok(Box::new(
            self.run_blocking(move |root| resumable::reserve(root, &path, room))
                .await?,
        ))
    }

    async fn scrub(&self) -> Result<ScrubReport> {
        self.run_blocking(|root| scrub::scrub(sys::fd(&root.dir)))
            .await
    }

    async fn usage(&self) -> Result<Usage> {
        let free = if self.root.disk_access.can_read_inline() {
            self.root.free_bytes()?
        } else {
            run_read(&self.root, |root| root.free_bytes()).await?
        };
        self.recount_if_due();
        let used = match self.root.usage.known() {
            Some(used) => used,
            None => self.run_blocking(|root| root.count_usage()).await?,
        };
        Ok(Usage { used, free })
    }
}
