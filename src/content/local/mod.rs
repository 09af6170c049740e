//! Content as plain files below one folder: what is on the disk is what the drive shows, and nothing else is needed to read it.
//! This file is the asynchronous face; the rest is synchronous. `os` holds the system calls, `root` the lookups and the guard.

mod access;
mod adopt;
mod apart;
pub mod backup;
mod behind;
mod books;
mod change;
pub mod check;
mod chronicle;
pub mod closed;
mod copy;
mod depth;
mod digest;
mod due;
mod fill;
mod forget;
mod held;
mod history;
mod identity;
pub mod in_place;
mod inventory;
mod label;
pub mod lacks;
mod leave;
mod ledger;
mod lines;
mod list;
mod marker;
mod ordered;
mod os;
mod overflow;
mod own;
mod pace;
mod past;
mod pictures;
mod probe;
mod props;
mod read;
mod relocated;
mod replaced;
mod reservation;
mod resumed;
mod rewind;
mod room;
mod root;
mod scrub;
mod spelled;
mod spool;
mod stage;
mod steps;
mod stuck;
mod tally;
mod told;
mod total;
mod trash;
mod trashed;
mod turns;
mod upload;
mod versions;
mod waiting;
mod walk;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use super::{
    Commit, ContentTree, DeadProp, FileId, Listing, Node, PropChange, Reach, Reader, Reserved,
    Room, Scrubbed, Start, Unshown, Upload, Usage,
};
use crate::model::{Error, RelPath, Result};
use async_trait::async_trait;
use lacks::Lack;
use list::LocalListing;
use os::{Errno, Lookup};
use overflow::sweep_props;
use read::LocalReader;
pub use root::LocalSettings;
use root::Root;
use std::{path::Path, sync::Arc};
use upload::LocalUpload;
use waiting::{begin, changed, looked, on_thread};

/// A tree of plain files below one folder.
#[derive(Debug)]
pub struct LocalTree {
    root: Arc<Root>,
}

impl LocalTree {
    /// Opens the tree below `dir`, made if missing, and clears away what a crash has left half done.
    /// One process at a time: what another one is uploading would be taken for leftovers.
    pub fn open(dir: &Path, settings: LocalSettings) -> Result<Arc<Self>> {
        Self::over(Root::open(dir, settings)?)
    }

    fn over(root: Root) -> Result<Arc<Self>> {
        let root = Arc::new(root);
        trash::finish_swaps(&root)?;
        steps::finish(&root)?;
        leave::finish(&root)?;
        resumed::begin_again(&root)?;
        if let Err(error) = relocated::settle(&root) {
            // Shares of files and versions wait for the next start; the files are there.
            tracing::warn!(%error, "this folder was copied or restored, and which files are in it could not be noted");
        }
        if let Err(error) = adopt::finish(&root) {
            tracing::error!(%error, "the history of adopted files is not taken over yet; the next start goes on");
        }
        if let Err(error) = trash::sweep_notes(&root).and_then(|()| stage::sweep(&root)) {
            // Leftovers cost room, not content: they are no reason to keep anybody from their files.
            tracing::warn!(%error, "temporary files of an earlier run were left in place");
        }
        sweep_props(&root);
        inventory::prepare(&root);
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

    /// How often something was to be put on the disk.
    #[cfg(test)]
    pub fn settled(&self) -> usize {
        self.root.settled.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Bytes of live files, if nothing must be counted first to know: without waiting for the disk.
    pub fn known_used(&self) -> Option<u64> {
        self.root.ledger.known()
    }

    /// As [`ContentTree::scrub`], of the tree below `dir`, which may be in use.
    pub fn scrub_at(dir: &Path) -> Result<Scrubbed> {
        let dir = os::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        scrub::scrub(os::fd(&dir))
    }

    /// Moves a folder that lies outside the tree, on the same file system, to `to`, whole and in one rename, and what it has of a
    /// history into that of this tree. `Exists`, `Unsupported` when it lies on another file system.
    pub async fn adopt(&self, folder: &Path, to: &RelPath) -> Result<()> {
        let (folder, to) = (folder.to_owned(), to.clone());
        self.run(move |root| adopt::adopt(root, &folder, &to)).await
    }

    /// Takes over what is left of the history of a folder that was adopted before a crash. `NotFound` for no folder.
    pub async fn adopt_history(&self, folder: &RelPath) -> Result<()> {
        let folder = folder.clone();
        self.run(move |root| adopt::take_history(root, &folder))
            .await
    }

    /// Runs `look` at once if the kernel has in memory what it needs, else on a thread that may wait for the disk.
    async fn look<T: Send + 'static>(
        &self,
        path: &RelPath,
        look: impl Fn(&Arc<Root>, &RelPath, Lookup) -> Result<Option<T>> + Send + 'static,
    ) -> Result<T> {
        if self.root.waiting.may_look()
            && let Some(seen) = look(&self.root, path, Lookup::Cached)?
        {
            return Ok(seen);
        }
        let path = path.clone();
        looked(&self.root, move |root| {
            look(root, &path, Lookup::Full)?.ok_or(Error::NotFound)
        })
        .await
    }

    /// Has the files counted in the background when it is time.
    fn count_if_due(&self) {
        if let Some(turn) = self.root.waiting.turns.try_take()
            && self.root.ledger.is_due()
        {
            // Not awaited: the books serve until this is done.
            drop(begin(&self.root, turn.of_long_work(), |root| {
                root.ledger.recount(root)
            }));
        }
    }

    /// Whether a path is on the disk in this spelling, as far as that is in memory.
    fn is_spelled_so(&self, path: &RelPath) -> bool {
        !self.root.lacks.has(Lack::Case)
            && self
                .root
                .stat(path, Lookup::Cached)
                .is_ok_and(|seen| seen.is_some())
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        on_thread(&self.root, work).await
    }
}

#[async_trait]
impl ContentTree for LocalTree {
    async fn stat(&self, path: &RelPath) -> Result<Node> {
        self.look(path, |root, path, lookup| root.stat(path, lookup))
            .await
    }

    async fn identify(&self, path: &RelPath) -> Result<(Node, FileId)> {
        self.look(path, identity::of).await
    }

    async fn keep_id(&self, path: &RelPath) -> Result<(Node, FileId)> {
        let path = path.clone();
        self.run(move |root| identity::keep(root, &path)).await
    }

    async fn spelled(&self, path: &RelPath) -> Result<RelPath> {
        let is_plain = path.as_str().is_ascii() && !self.root.lacks.has(Lack::Case);
        if is_plain || self.is_spelled_so(path) {
            return Ok(path.clone());
        }
        let wanted = path.clone();
        looked(&self.root, move |root| {
            let spelled = root.respell(&wanted)?;
            let exists = root.stat(&spelled, Lookup::Full).is_ok();
            Ok(if exists { spelled } else { wanted })
        })
        .await
    }

    async fn list(&self, path: &RelPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let open = move |root: &Arc<Root>, path: &RelPath, lookup| {
            LocalListing::open(root, path, with_props, lookup)
        };
        Ok(Box::new(self.look(path, open).await?))
    }

    async fn list_after(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<Box<dyn Listing>> {
        Ok(Box::new(self.ordered(path, after, most).await?))
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.look(path, LocalReader::open).await?))
    }

    async fn begin_put(&self, path: &RelPath, start: Start, room: Room) -> Result<Box<dyn Upload>> {
        let upload = match start {
            Start::Empty => {
                self.look(path, move |root, path, lookup| {
                    LocalUpload::begin(root, path, room, lookup)
                })
                .await?
            }
            Start::Present => {
                let path = path.clone();
                self.run(move |root| LocalUpload::begin_from_present(root, &path, room))
                    .await?
            }
        };
        if self.root.ledger.is_vague() {
            self.count_if_due();
        }
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
        self.run(move |root| stage::close_workshop(root, &workshop))
            .await?;
        sweep_props(&self.root);
        Ok(())
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, commit: Commit) -> Result<bool> {
        let looks_over = self.looks_over(from, to, &commit);
        let (from, to) = (from.clone(), to.clone());
        if looks_over {
            let rename = move |root: &Arc<Root>| {
                depth::check(root, &from, &to, &commit)?;
                change::rename(root, &from, &to, &commit)
            };
            return self.run(rename).await;
        }
        changed(&self.root, move |root| {
            change::rename(root, &from, &to, &commit)
        })
        .await
    }

    async fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: Reach,
        commit: Commit,
    ) -> Result<bool> {
        let (from, to) = (from.clone(), to.clone());
        let copied = self
            .run(move |root| copy::copy(root, &from, &to, reach, &commit))
            .await;
        sweep_props(&self.root);
        copied
    }

    async fn unshown(&self, path: &RelPath) -> Result<Option<Unshown>> {
        let path = path.clone();
        self.run(move |root| fill::find_unshown(root, &path)).await
    }

    async fn copy_unshown(&self, from: Unshown, to: &RelPath, commit: Commit) -> Result<()> {
        let to = to.clone();
        self.run(move |root| fill::copy_unshown(root, from, &to, &commit))
            .await
    }

    async fn delete(&self, path: &RelPath, commit: Commit) -> Result<String> {
        let path = path.clone();
        changed(&self.root, move |root| change::delete(root, &path, &commit)).await
    }

    async fn take_out(&self, path: &RelPath, commit: Commit) -> Result<RelPath> {
        let path = path.clone();
        changed(&self.root, move |root| {
            leave::take_out(root, &path, &commit)
        })
        .await
    }

    async fn bury(&self, out: &RelPath) -> Result<String> {
        let out = out.clone();
        changed(&self.root, move |root| leave::bury(root, &out)).await
    }

    async fn put_back(&self, out: &RelPath) -> Result<()> {
        let out = out.clone();
        changed(&self.root, move |root| leave::put_back(root, &out)).await
    }

    async fn props(&self, path: &RelPath) -> Result<Vec<DeadProp>> {
        self.look(path, |root, path, lookup| props::read(root, path, lookup))
            .await
    }

    async fn set_props(
        &self,
        path: &RelPath,
        changes: Vec<PropChange>,
        commit: Commit,
    ) -> Result<()> {
        let (path, changes) = (path.clone(), Arc::new(changes));
        if !self.root.is_strict() {
            let (path, changes, commit) = (path.clone(), Arc::clone(&changes), commit.clone());
            let set =
                move |root: &Arc<Root>| props::set(root, &path, &changes, &commit, Lookup::Cached);
            if changed(&self.root, set).await?.is_some() {
                return Ok(());
            }
        }
        self.run(move |root| {
            props::set(root, &path, &changes, &commit, Lookup::Full)?.ok_or(Error::NotFound)
        })
        .await?;
        sweep_props(&self.root);
        Ok(())
    }

    async fn lay_aside(&self, id: &str, len: u64) -> Result<()> {
        let id = id.to_owned();
        self.run(move |root| resumed::lay_aside(root, &id, len))
            .await
    }

    async fn resume(&self, id: &str, path: &RelPath, room: Room) -> Result<Box<dyn Upload>> {
        let (id, path) = (id.to_owned(), path.clone());
        Ok(Box::new(
            self.run(move |root| LocalUpload::resume(root, &id, &path, room))
                .await?,
        ))
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
        Ok(Box::new(
            self.run(move |root| resumed::reserve(root, &path, room))
                .await?,
        ))
    }

    async fn scrub(&self) -> Result<Scrubbed> {
        self.run(|root| scrub::scrub(os::fd(&root.dir))).await
    }

    async fn usage(&self) -> Result<Usage> {
        let free = if self.root.waiting.may_look() {
            ledger::free(&self.root)?
        } else {
            looked(&self.root, |root| ledger::free(root)).await?
        };
        self.count_if_due();
        let used = match self.root.ledger.known() {
            Some(used) => used,
            None => self.run(|root| root.ledger.count(root)).await?,
        };
        Ok(Usage { used, free })
    }
}
