//! The open folders of a tree: finding what a path names, in either spelling, the lock around changes of names, and when what is
//! changed goes to the disk. It knows nothing of usage, trash, versions or the change log.

use super::disk_access::DiskAccess;
use super::errors::{GIVE_ACCESS, map_errno};
use super::internal_dirs::{
    self, LazyDir, TMP, TRASH_FILES, TRASH_INFO, UPLOADS, VERSIONS, failed,
};
use super::missing_features::{MissingFeature, MissingFeatureSet};
use super::names::{require_file_or_folder, resolve_name};
use super::probe;
use super::sys::{self, Errno, FileStat, Lookup, fd};
use crate::config::Durability;
use crate::model::path::check_portable;
use crate::model::time::unix_nanos;
use crate::model::{Error, RelPath, Result};
use crate::storage::{Node, WriteOptions};
use parking_lot::{Mutex, MutexGuard};
use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

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
    /// Permission bits of new files and folders.
    pub modes: [u16; 2],
}

/// The open folders of one tree.
#[derive(Debug)]
pub(super) struct TreeDirs {
    pub dir: OwnedFd,
    pub tmp: OwnedFd,
    pub trash_files: OwnedFd,
    pub trash_info: OwnedFd,
    pub versions: OwnedFd,
    uploads: LazyDir,
    pub settings: LocalSettings,
    pub disk_access: DiskAccess,
    pub missing_features: MissingFeatureSet,
    names_lock: Mutex<()>,
    /// How often something was put on the disk, or would have been under `strict`.
    #[cfg(test)]
    pub sync_count: std::sync::atomic::AtomicUsize,
    /// Counts folders that were moved or removed: an open parent may no longer be where its path says.
    folder_moves: AtomicU64,
    stamps: AtomicU64,
    has_cached_lookups: AtomicBool,
    pub has_tmpfile: AtomicBool,
    pub has_cached_reads: AtomicBool,
}

/// The folder that holds a target, and the target's name as the caller spelled it.
pub(super) struct ParentDir<'a> {
    dirs: &'a TreeDirs,
    path: &'a RelPath,
    moves: u64,
    dir: Option<OwnedFd>,
    pub name: &'a str,
}

impl TreeDirs {
    /// Opens `path` and makes what is missing.
    pub fn open(path: &Path, settings: LocalSettings) -> Result<Self> {
        make_folder_chain(path)?;
        Self::within(sys::open_root(path).map_err(failed)?, settings)
    }

    /// Opens the tree in an open folder and makes what is missing.
    pub fn within(dir: OwnedFd, settings: LocalSettings) -> Result<Self> {
        internal_dirs::make(fd(&dir))?;
        let own = |path| internal_dirs::open(fd(&dir), path);
        let tmp = own(TMP)?;
        let trash_files = own(TRASH_FILES)?;
        for path in [TMP, UPLOADS] {
            sys::clear_default(fd(&own(path)?)).map_err(|e| map_errno(GIVE_ACCESS, e))?;
        }
        let trash_info = own(TRASH_INFO)?;
        let versions = own(VERSIONS)?;
        let disk_access = DiskAccess::on(fd(&dir)).map_err(failed)?;
        let is_local = disk_access.is_local;
        let missing_features = probe::detect(fd(&dir))?;
        Ok(Self {
            dir,
            tmp,
            trash_files,
            trash_info,
            versions,
            uploads: LazyDir::new(UPLOADS),
            settings,
            disk_access,
            missing_features,
            names_lock: Mutex::default(),
            #[cfg(test)]
            sync_count: std::sync::atomic::AtomicUsize::default(),
            folder_moves: AtomicU64::new(0),
            stamps: AtomicU64::default(),
            has_cached_lookups: AtomicBool::new(is_local),
            has_tmpfile: AtomicBool::new(!missing_features.has(MissingFeature::TmpFile)),
            has_cached_reads: AtomicBool::new(is_local),
        })
    }

    /// The folder of unfinished uploads.
    pub fn uploads(&self) -> Result<BorrowedFd<'_>> {
        self.uploads.open(fd(&self.dir))
    }

    /// A name that no other call of this tree gets; by the clock, so that those of different trees tell which came first.
    pub fn new_stamp(&self) -> String {
        let now = unix_nanos(SystemTime::now());
        let next = |last: u64| last.saturating_add(1).max(now);
        let last = self
            .stamps
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            });
        format!("{:x}", last.map_or(now, next))
    }

    /// The guard that every change of a name holds while it checks and renames; never held across anything slow by design,
    /// except the precondition check and, rarely, a marker for the trash.
    pub fn lock_names(&self) -> MutexGuard<'_, ()> {
        self.names_lock.lock()
    }

    /// Says that folders have moved; called under the guard.
    pub fn note_move(&self) {
        self.folder_moves.fetch_add(1, Ordering::Relaxed);
    }

    pub fn is_strict(&self) -> bool {
        self.settings.durability == Durability::Strict
    }

    /// Puts a folder or file on disk, if the settings want that.
    pub fn sync_if_strict(&self, what: BorrowedFd<'_>) -> Result<()> {
        #[cfg(test)]
        self.sync_count.fetch_add(1, Ordering::Relaxed);
        if self.is_strict() {
            sys::sync(what).map_err(|e| Error::io("write to the disk", e))
        } else {
            Ok(())
        }
    }

    /// As [`sync_if_strict`](Self::sync_if_strict), of a folder that a change has changed, unless the caller syncs later, with others.
    pub fn sync_unless_deferred(&self, commit: &WriteOptions, what: BorrowedFd<'_>) -> Result<()> {
        // What is mounted inside the tree is not waited for with it, and syncfs(2) does nothing on most of FUSE.
        let is_same_disk =
            || sys::disk_of(what).is_ok_and(|disk| sys::disk_of(fd(&self.dir)) == Ok(disk));
        let is_later = commit.defer_sync && self.disk_access.is_local && is_same_disk();
        if is_later {
            Ok(())
        } else {
            self.sync_if_strict(what)
        }
    }

    /// Opens what a path names by `open`; `None` when that would wait and `lookup` forbids it.
    pub fn open_path<T>(
        &self,
        path: &RelPath,
        lookup: Lookup,
        open: impl Fn(BorrowedFd<'_>, &str, Lookup) -> sys::SysResult<T>,
    ) -> Result<Option<T>> {
        let doing = "open it";
        if lookup == Lookup::Cached && !self.has_cached_lookups.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match open(fd(&self.dir), path.as_str(), lookup) {
            Ok(opened) => Ok(Some(opened)),
            Err(Errno::NOENT) if !path.as_str().is_ascii() => {
                if lookup == Lookup::Cached {
                    return Ok(None);
                }
                let spelled = self.stored_path(path)?;
                open(fd(&self.dir), spelled.as_str(), lookup)
                    .map(Some)
                    .map_err(|e| map_errno(doing, e))
            }
            Err(Errno::AGAIN) if lookup == Lookup::Cached => Ok(None),
            Err(Errno::INVAL) if lookup == Lookup::Cached => {
                self.has_cached_lookups.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(e) => Err(map_errno(doing, e)),
        }
    }

    /// What stands at a path; `None` as for [`open_path`](Self::open_path).
    pub fn stat(&self, path: &RelPath, lookup: Lookup) -> Result<Option<Node>> {
        let Some(opened) = self.open_path(path, lookup, sys::open_any)? else {
            return Ok(None);
        };
        require_file_or_folder(sys::stat_fd(fd(&opened)).map_err(|e| map_errno("look at it", e))?)
            .map(|found| Some(found.node))
    }

    /// Opens the folder that holds `path`. `ParentMissing`; `Forbidden` for the root itself.
    pub fn open_parent<'a>(&'a self, path: &'a RelPath) -> Result<ParentDir<'a>> {
        let name = path
            .name()
            .ok_or(Error::Forbidden("The drive itself cannot be changed."))?;
        let mut place = ParentDir {
            dirs: self,
            path,
            moves: 0,
            dir: None,
            name,
        };
        place.open()?;
        Ok(place)
    }

    /// As [`open_parent`](Self::open_parent), for what must exist: `NotFound`.
    pub fn open_parent_of_existing<'a>(&'a self, path: &'a RelPath) -> Result<ParentDir<'a>> {
        self.open_parent(path).map_err(|e| {
            if matches!(e, Error::ParentMissing) {
                Error::NotFound
            } else {
                e
            }
        })
    }

    /// Refuses a new name that this tree does not make, or at which nothing would be found. What is built in `.sarang/tmp` is looked at when
    /// it gets its place.
    pub fn check_new_name(&self, path: &RelPath) -> Result<()> {
        if !internal_dirs::is_own(path.as_str()) {
            path.remaining()?;
        }
        match path.name() {
            Some(name) if self.settings.portable_names => check_portable(name),
            _ => Ok(()),
        }
    }

    /// Bytes left on the disk, without the reserve.
    pub fn free_bytes(&self) -> Result<u64> {
        let free =
            sys::free_bytes(fd(&self.dir)).map_err(|e| map_errno("ask for free space", e))?;
        Ok(free.saturating_sub(self.settings.reserve))
    }

    /// How many bytes are missing on the disk for `len` more beside the reserve.
    pub fn missing_space(&self, len: u64) -> Result<u64> {
        let free =
            sys::free_bytes(fd(&self.dir)).map_err(|e| map_errno("ask for free space", e))?;
        Ok(self
            .settings
            .reserve
            .saturating_add(len)
            .saturating_sub(free))
    }
}

impl ParentDir<'_> {
    /// The open folder.
    pub fn dir(&self) -> BorrowedFd<'_> {
        fd(self.dir.as_ref().unwrap_or(&self.dirs.dir))
    }

    /// Opens the folder again if folders have moved since; called under the guard, so that the path holds until it ends.
    pub fn refresh(&mut self) -> Result<()> {
        if self.dirs.folder_moves.load(Ordering::Relaxed) == self.moves {
            Ok(())
        } else {
            self.open()
        }
    }

    /// The spelling on disk and what stands there.
    pub fn find(&self) -> Result<(Cow<'_, str>, Option<FileStat>)> {
        resolve_name(self.dir(), self.name)
    }

    /// As [`find`](Self::find), for what must exist.
    pub fn find_existing(&self) -> Result<(Cow<'_, str>, FileStat)> {
        let (name, found) = self.find()?;
        Ok((name, require_file_or_folder(found.ok_or(Error::NotFound)?)?))
    }

    fn open(&mut self) -> Result<()> {
        self.moves = self.dirs.folder_moves.load(Ordering::Relaxed);
        let parent = self.path.parent().unwrap_or_default();
        if !parent.is_root() {
            let opened = self.dirs.open_path(&parent, Lookup::Full, sys::open_folder);
            let missing = |e| {
                if matches!(e, Error::NotFound) {
                    Error::ParentMissing
                } else {
                    e
                }
            };
            self.dir = opened.map_err(missing)?;
        }
        Ok(())
    }
}

fn make_folder_chain(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|e| Error::io("make the folder of files", e))
}
