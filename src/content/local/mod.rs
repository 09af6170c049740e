//! Content as plain files below one folder: what is on the disk is what the drive shows, and nothing else is needed to read it.
//! This file is the asynchronous face; the rest is synchronous. `os` holds the system calls, `root` the lookups and the guard.

pub mod backup;
mod behind;
mod change;
pub mod check;
mod chronicle;
mod copy;
mod digest;
mod forget;
mod held;
mod label;
mod ledger;
mod list;
mod os;
mod pace;
mod past;
mod props;
mod read;
mod replaced;
mod resumed;
mod rewind;
mod root;
mod scrub;
mod stage;
mod trash;
mod trashed;
mod upload;
mod versions;
mod walk;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use super::history::{Expired, History, Retention, Rewind, Trashed, Version};
use super::{
    Commit, ContentTree, DeadProp, Listing, Node, PropChange, Put, Reach, Reader, Reserved, Room, Scrubbed, Start,
    Upload, Usage,
};
use crate::config::Durability;
use crate::model::{Error, RelPath, Result};
use async_trait::async_trait;
use list::LocalListing;
use os::{Errno, Lookup};
use read::LocalReader;
use root::Root;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinError;
use upload::LocalUpload;

/// How long the chronicle reaches back where the trash is kept for ever: as long as versions are kept.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a tree of plain files behaves.
#[derive(Clone, Copy, Debug)]
pub struct LocalSettings {
    /// When a change counts as done.
    pub durability: Durability,
    /// Whether names that Windows cannot show are refused.
    pub portable_names: bool,
    /// Whether a file that is overwritten leaves its content as a version.
    pub versions: bool,
    /// Bytes of disk that are left free.
    pub reserve: u64,
}

/// A tree of plain files below one folder.
#[derive(Debug)]
pub struct LocalTree {
    root: Arc<Root>,
}

impl LocalTree {
    /// Opens the tree below `dir`, made if missing, and clears away what a crash has left half done.
    /// One process at a time: what another one is uploading would be taken for leftovers.
    pub fn open(dir: &Path, settings: LocalSettings) -> Result<Arc<Self>> {
        let root = Arc::new(Root::open(dir, settings)?);
        trash::finish_swaps(&root)?;
        if let Err(error) = trash::sweep_notes(&root).and_then(|()| stage::sweep(&root)) {
            // Leftovers cost room, not content: they are no reason to keep anybody from their files.
            tracing::warn!(%error, "temporary files of an earlier run were left in place");
        }
        Ok(Arc::new(Self { root }))
    }

    /// Whether the system lets this process use what every lookup of a user's path needs, openat2(2); else `Forbidden`, with the
    /// causes. Kernels before 5.6 lack the call; sandboxes that do not know it answer ENOSYS or EPERM.
    pub fn check_system() -> Result<()> {
        match os::can_confine() {
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
        let dir = os::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        os::free_bytes(os::fd(&dir)).map_err(|e| root::explain("ask for free space", e))
    }

    /// Counts the files anew; returns what the books said and what there is, if they were wrong now or since the last time.
    pub async fn audit_books(&self) -> Result<Option<(u64, u64)>> {
        self.run(|root| {
            root.ledger.recount(root)?;
            Ok(root.ledger.take_correction())
        })
        .await
    }

    /// As [`ContentTree::scrub`], of the tree below `dir`, which may be in use.
    pub fn scrub_at(dir: &Path) -> Result<Scrubbed> {
        let dir = os::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        scrub::scrub(os::fd(&dir))
    }

    /// Moves a folder that lies outside the tree, on the same file system, to `to`, whole and in one rename. `Exists`,
    /// `Unsupported` when it lies on another file system.
    pub async fn adopt(&self, folder: &Path, to: &RelPath) -> Result<()> {
        let (folder, to) = (folder.to_owned(), to.clone());
        self.run(move |root| change::adopt(root, &folder, &to)).await
    }

    /// Runs `look` at once if the kernel has in memory what it needs, else on a thread that may wait for the disk.
    async fn look<T: Send + 'static>(
        &self,
        path: &RelPath,
        look: impl Fn(&Arc<Root>, &RelPath, Lookup) -> Result<Option<T>> + Send + 'static,
    ) -> Result<T> {
        if let Some(seen) = look(&self.root, path, Lookup::Cached)? {
            return Ok(seen);
        }
        let path = path.clone();
        self.run(move |root| look(root, &path, Lookup::Full)?.ok_or(Error::NotFound)).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static) -> Result<T> {
        on_thread(&self.root, work).await
    }
}

/// Runs `work` on a thread that may wait. Once begun it ends, though the caller is dropped.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// As [`blocking`], with the tree.
async fn on_thread<T: Send + 'static>(
    root: &Arc<Root>,
    work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let root = Arc::clone(root);
    blocking(move || work(&root)).await
}

/// Runs `work` on this very thread while the disk keeps up, else as [`blocking`].
async fn at_once<T: Send + 'static>(
    root: &Arc<Root>,
    work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> Result<T> {
    if root.pace.is_quick() { root.pace.watch(|| work(root)) } else { on_thread(root, work).await }
}

/// Runs a change of names: at once where it need not reach the disk, else as [`blocking`].
async fn changed<T: Send + 'static>(
    root: &Arc<Root>,
    change: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> Result<T> {
    if root.is_strict() { on_thread(root, change).await } else { at_once(root, change).await }
}

/// What became of a task; a panic goes on in the caller.
fn joined<T>(outcome: Result<Result<T>, JoinError>) -> Result<T> {
    outcome.unwrap_or_else(|e| match e.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Only a runtime that is shutting down cancels.
        Err(_) => Err(Error::Busy { retry_after: Duration::from_secs(1) }),
    })
}

#[async_trait]
impl ContentTree for LocalTree {
    async fn stat(&self, path: &RelPath) -> Result<Node> {
        self.look(path, |root, path, lookup| root.stat(path, lookup)).await
    }

    async fn spelled(&self, path: &RelPath) -> Result<RelPath> {
        if path.as_str().is_ascii() || self.root.stat(path, Lookup::Cached).is_ok_and(|seen| seen.is_some()) {
            return Ok(path.clone());
        }
        let wanted = path.clone();
        self.run(move |root| {
            let spelled = root.respell(&wanted)?;
            let exists = root.stat(&spelled, Lookup::Full).is_ok();
            Ok(if exists { spelled } else { wanted })
        })
        .await
    }

    async fn list(&self, path: &RelPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let open = move |root: &Arc<Root>, path: &RelPath, lookup| LocalListing::open(root, path, with_props, lookup);
        Ok(Box::new(self.look(path, open).await?))
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.look(path, LocalReader::open).await?))
    }

    async fn begin_put(&self, path: &RelPath, start: Start, room: Room) -> Result<Box<dyn Upload>> {
        let upload = match start {
            Start::Empty => {
                self.look(path, move |root, path, lookup| LocalUpload::begin(root, path, room, lookup)).await?
            }
            Start::Present => {
                let path = path.clone();
                self.run(move |root| LocalUpload::begin_from_present(root, &path, room)).await?
            }
        };
        Ok(Box::new(upload))
    }

    async fn mkdir(&self, path: &RelPath, commit: Commit) -> Result<()> {
        let path = path.clone();
        changed(&self.root, move |root| change::mkdir(root, &path, &commit)).await
    }

    async fn workshop(&self) -> Result<RelPath> {
        self.run(|root| stage::workshop(root)).await
    }

    async fn close_workshop(&self, workshop: &RelPath) -> Result<()> {
        let workshop = workshop.clone();
        self.run(move |root| stage::close_workshop(root, &workshop)).await
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, commit: Commit) -> Result<bool> {
        let (from, to) = (from.clone(), to.clone());
        changed(&self.root, move |root| change::rename(root, &from, &to, &commit)).await
    }

    async fn copy(&self, from: &RelPath, to: &RelPath, reach: Reach, commit: Commit) -> Result<bool> {
        let (from, to) = (from.clone(), to.clone());
        self.run(move |root| copy::copy(root, &from, &to, reach, &commit)).await
    }

    async fn delete(&self, path: &RelPath, commit: Commit) -> Result<String> {
        let path = path.clone();
        changed(&self.root, move |root| change::delete(root, &path, &commit)).await
    }

    async fn props(&self, path: &RelPath) -> Result<Vec<DeadProp>> {
        self.look(path, |root, path, lookup| props::read(root, path, lookup)).await
    }

    async fn set_props(&self, path: &RelPath, changes: Vec<PropChange>, commit: Commit) -> Result<()> {
        let path = path.clone();
        changed(&self.root, move |root| props::set(root, &path, changes, &commit)).await
    }

    async fn lay_aside(&self, id: &str, len: u64) -> Result<()> {
        let id = id.to_owned();
        self.run(move |root| resumed::lay_aside(root, &id, len)).await
    }

    async fn resume(&self, id: &str, path: &RelPath, room: Room) -> Result<Box<dyn Upload>> {
        let (id, path) = (id.to_owned(), path.clone());
        Ok(Box::new(self.run(move |root| LocalUpload::resume(root, &id, &path, room)).await?))
    }

    async fn laid_aside(&self) -> Result<Vec<String>> {
        self.run(|root| resumed::list(root)).await
    }

    async fn discard(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.run(move |root| resumed::discard(root, &id)).await
    }

    async fn reserve(&self, path: &RelPath, room: Room) -> Result<Box<dyn Reserved>> {
        let path = path.clone();
        Ok(Box::new(self.run(move |root| resumed::reserve(root, &path, room)).await?))
    }

    async fn scrub(&self) -> Result<Scrubbed> {
        self.run(|root| scrub::scrub(os::fd(&root.dir))).await
    }

    async fn usage(&self) -> Result<Usage> {
        let free = ledger::free(&self.root)?;
        if self.root.ledger.is_due() {
            let root = Arc::clone(&self.root);
            // Not awaited: the books serve until this is done.
            drop(tokio::task::spawn_blocking(move || root.ledger.recount(&root)));
        }
        let used = match self.root.ledger.known() {
            Some(used) => used,
            None => self.run(|root| root.ledger.count(root)).await?,
        };
        Ok(Usage { used, free })
    }
}

#[async_trait]
impl History for LocalTree {
    async fn trashed(&self, after: Option<&str>, limit: usize) -> Result<Vec<Trashed>> {
        let after = after.map(str::to_owned);
        self.run(move |root| trashed::list(root, after.as_deref(), limit)).await
    }

    fn trash_at(&self) -> RelPath {
        RelPath::restore(chronicle::TRASH.to_owned())
    }

    async fn trash_item(&self, id: &str) -> Result<Trashed> {
        let id = id.to_owned();
        self.run(move |root| trashed::one(root, id)).await
    }

    async fn untrash(&self, id: &str, to: &RelPath, commit: Commit) -> Result<()> {
        self.untrash_part(id, &RelPath::root(), to, commit).await
    }

    async fn untrash_part(&self, id: &str, inner: &RelPath, to: &RelPath, commit: Commit) -> Result<()> {
        let (id, inner, to) = (id.to_owned(), inner.clone(), to.clone());
        self.run(move |root| trashed::restore(root, (&id, &inner), &to, &commit)).await
    }

    async fn plan_rewind(&self, folder: &RelPath, moment: SystemTime, only: &[RelPath]) -> Result<Rewind> {
        let (folder, only) = (folder.clone(), only.to_vec());
        self.run(move |root| rewind::plan(root, &folder, moment, &only)).await
    }

    async fn purge(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.run(move |root| trashed::purge(root, &id)).await
    }

    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>> {
        let path = path.clone();
        self.run(move |root| versions::list(root, &path)).await
    }

    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>> {
        let (path, id) = (path.clone(), id.to_owned());
        Ok(Arc::new(self.run(move |root| versions::open(root, &path, &id)).await?))
    }

    async fn revert(&self, path: &RelPath, id: &str, commit: Commit) -> Result<Put> {
        let (path, id) = (path.clone(), id.to_owned());
        self.run(move |root| upload::revert::revert(root, &path, &id, &commit)).await
    }

    async fn expire(&self, retention: Retention, now: SystemTime) -> Result<Expired> {
        self.run(move |root| {
            if root.held.until(now).is_some() {
                return Ok(Expired::default());
            }
            let items = trashed::expire(root, retention, now)?;
            chronicle::trim(root, retention.trash.unwrap_or(YEAR), now)?;
            let old = Expired { items, versions: versions::expire(root, retention.versions, now)? };
            let full = forget::make_room(root, 0)?;
            let beyond = retention.room.map(|room| forget::fit(root, room)).transpose()?.unwrap_or_default();
            Ok(old + full + beyond)
        })
        .await
    }

    async fn hold(&self, until: SystemTime) -> Result<()> {
        self.run(move |root| held::hold(root, until)).await
    }

    fn held(&self) -> Option<SystemTime> {
        self.root.held.until(SystemTime::now())
    }

    async fn count_files(&self, item: Option<&str>) -> Result<u64> {
        let item = item.map(str::to_owned);
        self.run(move |root| held::count_files(root, item.as_deref())).await
    }

    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()> {
        let (path, id) = (path.clone(), id.to_owned());
        self.run(move |root| versions::purge(root, &path, &id)).await
    }
}
