//! The open folder that a tree lives in: finding what a path names, in either spelling, and the guard around names.

use super::blocking::DiskAccess;
use super::change_log::{self, ChangeLogWriter};
pub(super) use super::internal_dirs::TMP;
use super::internal_dirs::{self, LazyDir, TRASH_FILES, TRASH_INFO, UPLOADS, VERSIONS, failed};
use super::missing_features::{MissingFeature, MissingFeatureSet};
use super::overflow::{OverflowFiles, PROPS};
use super::space_promise::ResumablePromises;
use super::stored_path::resolve_name;
use super::sys::{self, Errno, FileKind, FileStat, Lookup, fd};
use super::total_usage::TotalUsage;
use super::{
    disk_latency::DiskLatency, probe, retention_hold::RetentionHold, thumbnails::ThumbnailCache,
    trash_index::TrashIndex, tree_id, usage_counter::UsageCounter,
};
use crate::config::Durability;
use crate::model::path::{check_name, check_portable};
use crate::model::{Error, RelPath, Result};
use crate::storage::{Node, WriteOptions};
use parking_lot::{Mutex, MutexGuard};
use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

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

/// One tree's open folders and what is shared between its calls.
#[derive(Debug)]
pub(super) struct TreeRoot {
    pub dir: OwnedFd,
    pub tmp: OwnedFd,
    pub trash_files: OwnedFd,
    pub trash_info: OwnedFd,
    pub versions: OwnedFd,
    uploads: LazyDir,
    pub settings: LocalSettings,
    pub usage: UsageCounter,
    pub total_usage: TotalUsage,
    pub change_log: ChangeLogWriter,
    pub overflow: OverflowFiles,
    pub trash_index: TrashIndex,
    pub retention_hold: RetentionHold,
    pub thumbnails: ThumbnailCache,
    pub disk_latency: DiskLatency,
    pub disk_access: DiskAccess,
    pub missing_features: MissingFeatureSet,
    /// Held while the oldest of the history is let go for want of room.
    pub purge_lock: Mutex<()>,
    /// When that freed nothing.
    pub purge_was_futile_at: Mutex<Option<Instant>>,
    pub resumable_promises: ResumablePromises,
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

/// An id that came from outside, or from an attribute that others may have written: one name and no way out of its folder; `NotFound`.
pub(super) fn check_id(id: &str) -> Result<&str> {
    check_name(id).map(|()| id).map_err(|_| Error::NotFound)
}

/// The folder that holds a target, and the target's name as the caller spelled it.
pub(super) struct ParentDir<'a> {
    root: &'a TreeRoot,
    path: &'a RelPath,
    moves: u64,
    dir: Option<OwnedFd>,
    pub name: &'a str,
}

impl TreeRoot {
    /// Opens `path` and makes what is missing.
    pub fn open(path: &Path, settings: LocalSettings) -> Result<Self> {
        make_folder_chain(path)?;
        Self::within(sys::open_root(path).map_err(failed)?, settings)
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
        Self::within(dir, settings).map(Some)
    }

    fn within(dir: OwnedFd, settings: LocalSettings) -> Result<Self> {
        internal_dirs::make(fd(&dir))?;
        let own = |path| internal_dirs::open(fd(&dir), path);
        let tmp = own(TMP)?;
        let trash_files = own(TRASH_FILES)?;
        for path in [TMP, UPLOADS] {
            sys::clear_default(fd(&own(path)?)).map_err(|e| map_errno(GIVE_ACCESS, e))?;
        }
        let trash_info = own(TRASH_INFO)?;
        let versions = own(VERSIONS)?;
        let overflow = OverflowFiles::new(fd(&own(PROPS)?))?;
        let held = RetentionHold::load(fd(&dir))?;
        let (ledger, total) = UsageCounter::open(fd(&dir));
        let waiting = DiskAccess::on(fd(&dir)).map_err(failed)?;
        let is_local = waiting.is_local;
        let lacks = probe::detect(fd(&dir))?;
        Ok(Self {
            dir,
            tmp,
            trash_files,
            trash_info,
            versions,
            uploads: LazyDir::new(UPLOADS),
            settings,
            usage: ledger,
            total_usage: total,
            change_log: ChangeLogWriter::default(),
            overflow,
            trash_index: TrashIndex::default(),
            retention_hold: held,
            thumbnails: ThumbnailCache::default(),
            disk_latency: DiskLatency::default(),
            disk_access: waiting,
            missing_features: lacks,
            purge_lock: Mutex::default(),
            purge_was_futile_at: Mutex::default(),
            resumable_promises: ResumablePromises::default(),
            names_lock: Mutex::default(),
            #[cfg(test)]
            sync_count: std::sync::atomic::AtomicUsize::default(),
            folder_moves: AtomicU64::new(0),
            stamps: AtomicU64::default(),
            has_cached_lookups: AtomicBool::new(is_local),
            has_tmpfile: AtomicBool::new(!lacks.has(MissingFeature::TmpFile)),
            has_cached_reads: AtomicBool::new(is_local),
        })
    }

    /// The folder of unfinished uploads.
    pub fn uploads(&self) -> Result<BorrowedFd<'_>> {
        self.uploads.open(fd(&self.dir))
    }

    /// A name that no other call of this tree gets; by the clock, so that those of different trees tell which came first.
    pub fn new_stamp(&self) -> String {
        let now = change_log::nanos(SystemTime::now());
        let next = |last: u64| last.saturating_add(1).max(now);
        let last = self
            .stamps
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            });
        format!("{:x}", last.map_or(now, next))
    }

    /// The guard that every change of a name holds while it checks and renames; never held across anything slow by design,
    /// save the judge and, rarely, a marker for the trash.
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

    /// As [`settle`](Self::settle), of a folder that a change has changed, unless that is waited for later and with others.
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

    /// What stands at a path; `None` as for [`look`](Self::look).
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
            root: self,
            path,
            moves: 0,
            dir: None,
            name,
        };
        place.open()?;
        Ok(place)
    }

    /// As [`place`](Self::place), for what must exist: `NotFound`.
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
        if !change_log::is_own(path.as_str()) {
            path.remaining()?;
        }
        match path.name() {
            Some(name) if self.settings.portable_names => check_portable(name),
            _ => Ok(()),
        }
    }
}

impl ParentDir<'_> {
    /// The open folder.
    pub fn dir(&self) -> BorrowedFd<'_> {
        fd(self.dir.as_ref().unwrap_or(&self.root.dir))
    }

    /// Opens the folder again if folders have moved since; called under the guard, so that the path holds until it ends.
    pub fn refresh(&mut self) -> Result<()> {
        if self.root.folder_moves.load(Ordering::Relaxed) == self.moves {
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
        self.moves = self.root.folder_moves.load(Ordering::Relaxed);
        let parent = self.path.parent().unwrap_or_default();
        if !parent.is_root() {
            let opened = self.root.open_path(&parent, Lookup::Full, sys::open_folder);
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

/// What exactly this name names.
pub(super) fn stat_name(dir: BorrowedFd<'_>, name: &str) -> Result<Option<FileStat>> {
    match sys::stat_at(dir, name) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
        Err(e) => Err(map_errno("look at it", e)),
    }
}

/// Only files and folders exist.
pub(super) fn require_file_or_folder(found: FileStat) -> Result<FileStat> {
    if found.kind == FileKind::Other {
        Err(Error::NotFound)
    } else {
        Ok(found)
    }
}

/// What stands at a target: nothing, a file or a folder; anything else is in the way.
pub(super) fn replaceable(found: Option<FileStat>) -> Result<Option<FileStat>> {
    match found {
        Some(found) if found.kind == FileKind::Other => Err(Error::Forbidden(
            "Something that is neither a file nor a folder is in the way.",
        )),
        other => Ok(other),
    }
}

/// Judges a change and makes it, as [`Commit`] says; called under the guard.
pub(super) fn apply_checked(
    commit: &WriteOptions,
    present: Option<&Node>,
    act: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    if !commit.expect.holds(present) {
        return Err(Error::PreconditionFailed);
    }
    commit.preconditions.check_and_apply(present, act)
}

/// What is done when it fails to give a file or folder its permissions.
pub(super) const GIVE_ACCESS: &str = "set who may read it";

/// A system error as what happened.
pub(super) fn map_errno(doing: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV => Error::NotFound,
        Errno::EXIST => Error::Conflict,
        Errno::ISDIR => Error::IsFolder,
        Errno::NOSPC | Errno::DQUOT => Error::NoSpace,
        Errno::FBIG => Error::TooLarge,
        Errno::NAMETOOLONG => Error::BadName("This name or path is too long for the server."),
        Errno::ACCESS | Errno::PERM => {
            Error::Forbidden("The server may not do this to the files on its disk.")
        }
        Errno::ROFS => Error::ReadOnly,
        Errno::MFILE | Errno::NFILE => Error::Busy {
            retry_after: Duration::from_secs(1),
        },
        // Another program keeps its lease on the file.
        Errno::AGAIN => Error::Busy {
            retry_after: Duration::from_secs(5),
        },
        Errno::XDEV | Errno::BUSY => Error::Forbidden(
            "This lies on another file system than the rest of the drive, mounted inside it: nothing can be stored there or moved.",
        ),
        Errno::OPNOTSUPP | Errno::NOSYS => Error::Unsupported,
        other => Error::io(doing, other),
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
