//! What is made in `.sarang/tmp` before it is shown: files that vanish unless published, and the sweeping of leftovers.

use super::blocking::{DeferredClose, run_cleanup};
use super::count;
use super::errors::{GIVE_ACCESS, explain_store, map_errno};
use super::internal_dirs::TMP;
use super::missing_features::MissingFeature;
use super::remove_tree::{names_in, remove, remove_tree};
use super::rename::is_unknown;
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::tmp_names::{self, STAGING_DIR};
use super::trash;
use super::usage_counter::UsageDelta;
use super::version_dir::{self, VersionDir};
use crate::model::{Error, RelPath, Result};
use crate::storage::Node;
use parking_lot::Mutex;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A file in `.sarang/tmp` that vanishes unless published. It has no name there where the file system can do without, which spares
/// a new file the rename between folders and a crash its leftovers.
#[derive(Debug)]
pub(super) struct StagedFile {
    root: Arc<TreeRoot>,
    file: DeferredClose,
    /// Its name in `.sarang/tmp`, while it has one.
    name: Mutex<Option<String>>,
    /// Whether its name is in `.sarang/uploads` and outlives this.
    is_resumable: bool,
}

impl StagedFile {
    /// Makes an empty one.
    pub fn create(root: &Arc<TreeRoot>) -> Result<Self> {
        let failed = |e| map_errno("make a file", e);
        if root.has_tmpfile.load(Ordering::Relaxed) {
            match sys::create_tmpfile(fd(&root.tmp)) {
                Ok(file) => return Ok(Self::of(root, file, None)),
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                    root.has_tmpfile.store(false, Ordering::Relaxed);
                }
                Err(e) => return Err(failed(e)),
            }
        }
        let name = root.new_stamp();
        let file = sys::create_file(fd(&root.tmp), &name).map_err(failed)?;
        Ok(Self::of(root, file, Some(name)))
    }

    /// Goes on with one that was laid aside in `.sarang/uploads`; `NotFound`.
    pub fn resume(root: &Arc<TreeRoot>, id: &str) -> Result<Self> {
        let dir = root.uploads()?;
        let open = || sys::open_write(dir, id);
        // A crash may have left it with the mode of what it was to replace.
        let unlocked = |e| match e {
            Errno::ACCESS => sys::open_read(dir, id, Lookup::Full)
                .and_then(|file| sys::clear_access(fd(&file)))
                .and_then(|()| open()),
            other => Err(other),
        };
        let file = open()
            .or_else(unlocked)
            .map_err(|e| map_errno("go on with the upload", e))?;
        let mut stage = Self::of(root, file, Some(id.to_owned()));
        stage.is_resumable = true;
        Ok(stage)
    }

    fn of(root: &Arc<TreeRoot>, file: OwnedFd, name: Option<String>) -> Self {
        Self {
            root: Arc::clone(root),
            file: DeferredClose::new(root, file),
            name: Mutex::new(name),
            is_resumable: false,
        }
    }

    /// The tree.
    pub fn root(&self) -> &Arc<TreeRoot> {
        &self.root
    }

    /// Whether it stays, as it is not published and was laid aside.
    pub fn is_resumable(&self) -> bool {
        self.is_resumable && self.name.lock().is_some()
    }

    /// The open file.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.fd()
    }

    /// Keeps the first `len` bytes of a file in `.sarang/uploads`, whatever comes. That they are is noted only once they are on the disk.
    pub fn persist(&self, len: u64) -> Result<()> {
        self.root.sync_if_strict(self.file())?;
        sys::set_synced_len(self.file(), Some(len)).map_err(|e| map_errno("keep what came", e))?;
        self.root.sync_if_strict(self.file())
    }

    /// Notes that the first `len` bytes of a file in `.sarang/uploads` are on the disk; of any other this need not be known.
    pub fn note_synced(&self, len: u64) -> Result<()> {
        if self.is_resumable() {
            sys::set_synced_len(self.file(), Some(len)).map_err(|e| map_errno("keep what came", e))
        } else {
            Ok(())
        }
    }

    /// Takes note that all of the file is on the disk, as it will be where it is published.
    pub fn clear_synced_len(&self) -> Result<()> {
        if self.is_resumable {
            sys::set_synced_len(self.file(), None).map_err(|e| map_errno("keep what came", e))
        } else {
            Ok(())
        }
    }

    /// Takes from the file what it was to have of another one, which it could not take the place of.
    pub fn clear_inherited(&self) -> Result<()> {
        sys::clear_access(self.file()).map_err(|e| map_errno(GIVE_ACCESS, e))?;
        sys::clear_meta(self.file()).map_err(|e| map_errno("keep the former content", e))?;
        sys::set_props(self.file(), &[]).map_err(explain_store)
    }

    /// Gives the file a place where nothing stands.
    pub fn publish(&self, to: (BorrowedFd<'_>, &str)) -> Result<()> {
        let mut name = self.name.lock();
        let published = match name.as_deref() {
            None => sys::link_tmpfile(self.file(), to),
            Some(name) if self.is_resumable => self.root.rename_noreplace((self.dir()?, name), to),
            Some(name) => {
                self.root
                    .publish_from_tmp(FileKind::File, (fd(&self.root.tmp), name), to)
            }
        };
        published.map_err(failed)?;
        *name = None;
        Ok(())
    }

    /// Gives the file, which is `node`, the place of the one there, whose content becomes a version; returns as what.
    pub fn publish_replacing(
        &self,
        node: &Node,
        to: (BorrowedFd<'_>, &str),
        onto: Option<&mut VersionDir<'_>>,
    ) -> Result<Option<String>> {
        let Some(onto) = onto else {
            return self.replace(to).map(|()| None);
        };
        let id = onto.next_id(node);
        if !self.swap(node, to, (onto, &id))? {
            // What a crash leaves of it, the next start tells from a second name of what is there.
            let aside = (
                fd(&self.root.tmp),
                &*tmp_names::pending_version_name(onto.history(), &id),
            );
            self.root.link_or_copy(to, aside).map_err(failed)?;
            self.replace(to).inspect_err(|_| {
                let _ = sys::unlink_file(aside.0, aside.1);
            })?;
            if let Err(error) = onto.add(&id, |place| self.root.rename_noreplace(aside, place)) {
                tracing::warn!(%error, "a former content is kept aside until the next start");
            }
        }
        Ok(Some(id))
    }

    /// Lets the file and the one there change places, which costs half of taking a name from one folder to another. Returns false when it has a
    /// name already, or the file system cannot do it.
    fn swap(
        &self,
        node: &Node,
        to: (BorrowedFd<'_>, &str),
        (onto, id): (&mut VersionDir<'_>, &str),
    ) -> Result<bool> {
        let is_unable = self.root.missing_features.has(MissingFeature::Exchange)
            || version_dir::birth(node) == 0;
        if is_unable || self.name.lock().is_some() {
            return Ok(false);
        }
        onto.add(id, |place| sys::link_tmpfile(self.file(), place))?;
        match onto.exchange(id, to) {
            // What has had a name cannot be given another one once that is gone.
            Err(e) if is_unknown(e) => {
                let stamp = self.root.new_stamp();
                onto.move_out(id, (fd(&self.root.tmp), &stamp))
                    .map_err(failed)?;
                *self.name.lock() = Some(stamp);
                Ok(false)
            }
            other => other
                .map(|()| true)
                .map_err(failed)
                .inspect_err(|_| onto.remove(id)),
        }
    }

    fn replace(&self, to: (BorrowedFd<'_>, &str)) -> Result<()> {
        let mut name = self.name.lock();
        if name.is_none() {
            let stamp = self.root.new_stamp();
            sys::link_tmpfile(self.file(), (fd(&self.root.tmp), &stamp)).map_err(failed)?;
            *name = Some(stamp);
        }
        sys::rename_over((self.dir()?, name.as_deref().unwrap_or_default()), to).map_err(failed)?;
        *name = None;
        Ok(())
    }

    /// Where its name is, while it has one.
    fn dir(&self) -> Result<BorrowedFd<'_>> {
        if self.is_resumable {
            self.root.uploads()
        } else {
            Ok(fd(&self.root.tmp))
        }
    }
}

fn failed(errno: Errno) -> Error {
    map_errno("put the file in its place", errno)
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(name) = self.name.get_mut().take().filter(|_| !self.is_resumable) {
            let root = Arc::clone(&self.root);
            // Nobody waits for this; what stays is swept at the next start.
            run_cleanup(&self.root, move || {
                let _ = sys::unlink_file(fd(&root.tmp), &name);
            });
        }
    }
}

/// Makes a folder in `.sarang/tmp`. What is built in it counts as if it were in its place already.
pub(super) fn create_staging_dir(root: &TreeRoot) -> Result<RelPath> {
    let name = format!("{STAGING_DIR}{}", root.new_stamp());
    sys::make_folder(fd(&root.tmp), &name).map_err(|e| map_errno("make a temporary folder", e))?;
    Ok(RelPath::from_stored(format!("{TMP}/{name}")))
}

/// Removes a folder of [`create_staging_dir`], and what was not moved out of it.
pub(super) fn remove_staging_dir(root: &TreeRoot, staging_dir: &RelPath) -> Result<()> {
    let is_one = staging_dir
        .parent()
        .is_some_and(|parent| parent.as_str() == TMP);
    let name = staging_dir
        .name()
        .filter(|_| is_one)
        .ok_or(Error::NotFound)?;
    if trash::is_in_unfinished_swap(root, staging_dir)? {
        return Err(Error::BadRequest(
            "It holds what a copy replaced, which the next start moves to the trash.",
        ));
    }
    let old = count::staging_dir_bytes(root, name)?;
    let gone = root.new_stamp();
    {
        let _guard = root.lock_names();
        root.rename_noreplace((fd(&root.tmp), name), (fd(&root.tmp), &gone))
            .map_err(|e| map_errno("clear its temporary files", e))?;
        root.usage.apply(
            root,
            UsageDelta {
                added: 0,
                removed: old,
            },
        );
    }
    let removed = remove_tree(fd(&root.tmp), &gone, &mut |_, _| {});
    root.overflow.note_unreferenced();
    removed
}

/// How the names begin in `.sarang/tmp` of what is being deleted for good, with its former contents.
const PURGED: &str = "purged-";

/// Takes a file or folder out of sight in one step, to be deleted for good by [`purge_from_tmp`], or after a crash by the next start.
pub(super) fn hide_for_purge(root: &TreeRoot, at: (BorrowedFd<'_>, &str)) -> Result<CString> {
    let name = format!("{PURGED}{}", root.new_stamp());
    root.rename_noreplace(at, (fd(&root.tmp), &name))
        .map_err(|e| map_errno("delete it for good", e))?;
    CString::new(name).map_err(|_| Error::NotFound)
}

/// Removes everything in `.sarang/tmp`.
pub(super) fn sweep(root: &TreeRoot) -> Result<()> {
    let failed = |e| map_errno("clear its temporary files", e);
    // What cannot be deleted keeps nothing else there.
    let clear = |outcome: Result<()>, (name, folder)| {
        outcome.and(purge_from_tmp(root, name, folder).map_err(failed))
    };
    names_in(fd(&root.tmp))
        .map_err(failed)?
        .into_iter()
        .fold(Ok(()), clear)
}

/// Removes something in `.sarang/tmp`; the former contents go with what was taken out to be deleted for good.
pub(super) fn purge_from_tmp(root: &TreeRoot, name: CString, folder: bool) -> sys::SysResult<()> {
    let is_purged = name.to_bytes().starts_with(PURGED.as_bytes());
    remove(fd(&root.tmp), name, folder, &mut |dir, name| {
        if is_purged {
            version_dir::purge_all(root, dir, name);
        }
    })
}
