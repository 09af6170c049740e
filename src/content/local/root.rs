//! The open folder that a tree lives in: finding what a path names, in either spelling, and the guard around names.

use super::chronicle::{self, Pen};
use super::lacks::{Lack, Lacks};
use super::os::{self, Errno, Found, Kind, Lookup, fd};
use super::overflow::{Overflow, PROPS};
pub(super) use super::own::TMP;
use super::own::{self, Later, TRASH_FILES, TRASH_INFO, UPLOADS, VERSIONS, failed};
use super::spelled::spelling;
use super::total::Total;
use super::waiting::Waiting;
use super::{
    held::Held, inventory::Inventory, ledger::Ledger, marker, pace::Pace, pictures::Pictures, probe,
};
use crate::config::Durability;
use crate::content::{Commit, Node};
use crate::model::path::{check_name, check_portable};
use crate::model::{Error, RelPath, Result};
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
pub(super) struct Root {
    pub dir: OwnedFd,
    pub tmp: OwnedFd,
    pub trash_files: OwnedFd,
    pub trash_info: OwnedFd,
    pub versions: OwnedFd,
    uploads: Later,
    pub settings: LocalSettings,
    pub ledger: Ledger,
    pub total: Total,
    pub pen: Pen,
    pub overflow: Overflow,
    pub inventory: Inventory,
    pub held: Held,
    pub pictures: Pictures,
    pub pace: Pace,
    pub waiting: Waiting,
    pub lacks: Lacks,
    /// Held while the oldest of the history is let go for want of room.
    pub forgetting: Mutex<()>,
    /// When that freed nothing.
    pub barren: Mutex<Option<Instant>>,
    names: Mutex<()>,
    /// How often something was put on the disk, or would have been under `strict`.
    #[cfg(test)]
    pub settled: std::sync::atomic::AtomicUsize,
    /// Counts folders that were moved or removed: an open parent may no longer be where its path says.
    moves: AtomicU64,
    stamps: AtomicU64,
    has_cached_lookups: AtomicBool,
    pub has_unnamed_files: AtomicBool,
    pub has_cached_reads: AtomicBool,
}

/// An id that came from outside, or from an attribute that others may have written: one name and no way out of its folder; `NotFound`.
pub(super) fn checked(id: &str) -> Result<&str> {
    check_name(id).map(|()| id).map_err(|_| Error::NotFound)
}

/// The folder that holds a target, and the target's name as the caller spelled it.
pub(super) struct Place<'a> {
    root: &'a Root,
    path: &'a RelPath,
    moves: u64,
    dir: Option<OwnedFd>,
    pub name: &'a str,
}

impl Root {
    /// Opens `path` and makes what is missing.
    pub fn open(path: &Path, settings: LocalSettings) -> Result<Self> {
        make_folder_chain(path)?;
        Self::within(os::open_root(path).map_err(failed)?, settings)
    }

    /// Opens the tree with this id at `path`; `None` when it is not there, and then nothing is made.
    pub fn open_known(path: &Path, id: &str, settings: LocalSettings) -> Result<Option<Self>> {
        let dir = match os::open_root(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        if marker::read(fd(&dir))?.is_none_or(|found| found != id) {
            return Ok(None);
        }
        Self::within(dir, settings).map(Some)
    }

    fn within(dir: OwnedFd, settings: LocalSettings) -> Result<Self> {
        own::make(fd(&dir))?;
        let own = |path| own::open(fd(&dir), path);
        let (tmp, trash_files) = (own(TMP)?, own(TRASH_FILES)?);
        for path in [TMP, UPLOADS] {
            os::clear_default(fd(&own(path)?)).map_err(|e| explain(GIVE_ACCESS, e))?;
        }
        let (trash_info, versions) = (own(TRASH_INFO)?, own(VERSIONS)?);
        let overflow = Overflow::new(fd(&own(PROPS)?))?;
        let held = Held::read(fd(&dir))?;
        let (ledger, total) = Ledger::open(fd(&dir));
        let waiting = Waiting::on(fd(&dir)).map_err(failed)?;
        let is_local = waiting.is_local;
        let lacks = probe::lacks(fd(&dir))?;
        Ok(Self {
            dir,
            tmp,
            trash_files,
            trash_info,
            versions,
            uploads: Later::new(UPLOADS),
            settings,
            ledger,
            total,
            pen: Pen::default(),
            overflow,
            inventory: Inventory::default(),
            held,
            pictures: Pictures::default(),
            pace: Pace::default(),
            waiting,
            lacks,
            forgetting: Mutex::default(),
            barren: Mutex::default(),
            names: Mutex::default(),
            #[cfg(test)]
            settled: std::sync::atomic::AtomicUsize::default(),
            moves: AtomicU64::new(0),
            stamps: AtomicU64::default(),
            has_cached_lookups: AtomicBool::new(is_local),
            has_unnamed_files: AtomicBool::new(!lacks.has(Lack::Unnamed)),
            has_cached_reads: AtomicBool::new(is_local),
        })
    }

    /// The folder of unfinished uploads.
    pub fn uploads(&self) -> Result<BorrowedFd<'_>> {
        self.uploads.open(fd(&self.dir))
    }

    /// A name that no other call of this tree gets; by the clock, so that those of different trees tell which came first.
    pub fn stamp(&self) -> String {
        let now = chronicle::nanos(SystemTime::now());
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
    pub fn guard(&self) -> MutexGuard<'_, ()> {
        self.names.lock()
    }

    /// Says that folders have moved; called under the guard.
    pub fn note_move(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    pub fn is_strict(&self) -> bool {
        self.settings.durability == Durability::Strict
    }

    /// Puts a folder or file on disk, if the settings want that.
    pub fn settle(&self, what: BorrowedFd<'_>) -> Result<()> {
        #[cfg(test)]
        self.settled.fetch_add(1, Ordering::Relaxed);
        if self.is_strict() {
            os::sync(what).map_err(|e| Error::io("write to the disk", e))
        } else {
            Ok(())
        }
    }

    /// As [`settle`](Self::settle), of a folder that a change has changed, unless that is waited for later and with others.
    pub fn settle_after(&self, commit: &Commit, what: BorrowedFd<'_>) -> Result<()> {
        // What is mounted inside the tree is not waited for with it, and syncfs(2) does nothing on most of FUSE.
        let is_same_disk =
            || os::disk_of(what).is_ok_and(|disk| os::disk_of(fd(&self.dir)) == Ok(disk));
        let is_later = commit.is_settled_later && self.waiting.is_local && is_same_disk();
        if is_later { Ok(()) } else { self.settle(what) }
    }

    /// Opens what a path names by `open`; `None` when that would wait and `lookup` forbids it.
    pub fn look<T>(
        &self,
        path: &RelPath,
        lookup: Lookup,
        open: impl Fn(BorrowedFd<'_>, &str, Lookup) -> os::Outcome<T>,
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
                let spelled = self.respell(path)?;
                open(fd(&self.dir), spelled.as_str(), lookup)
                    .map(Some)
                    .map_err(|e| explain(doing, e))
            }
            Err(Errno::AGAIN) if lookup == Lookup::Cached => Ok(None),
            Err(Errno::INVAL) if lookup == Lookup::Cached => {
                self.has_cached_lookups.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(e) => Err(explain(doing, e)),
        }
    }

    /// What stands at a path; `None` as for [`look`](Self::look).
    pub fn stat(&self, path: &RelPath, lookup: Lookup) -> Result<Option<Node>> {
        let Some(opened) = self.look(path, lookup, os::open_any)? else {
            return Ok(None);
        };
        existing(os::stat_fd(fd(&opened)).map_err(|e| explain("look at it", e))?)
            .map(|found| Some(found.node))
    }

    /// Opens the folder that holds `path`. `ParentMissing`; `Forbidden` for the root itself.
    pub fn place<'a>(&'a self, path: &'a RelPath) -> Result<Place<'a>> {
        let name = path
            .name()
            .ok_or(Error::Forbidden("The drive itself cannot be changed."))?;
        let mut place = Place {
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
    pub fn place_of<'a>(&'a self, path: &'a RelPath) -> Result<Place<'a>> {
        self.place(path).map_err(|e| {
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
        if !chronicle::is_own(path.as_str()) {
            path.left()?;
        }
        match path.name() {
            Some(name) if self.settings.portable_names => check_portable(name),
            _ => Ok(()),
        }
    }
}

impl Place<'_> {
    /// The open folder.
    pub fn dir(&self) -> BorrowedFd<'_> {
        fd(self.dir.as_ref().unwrap_or(&self.root.dir))
    }

    /// Opens the folder again if folders have moved since; called under the guard, so that the path holds until it ends.
    pub fn refresh(&mut self) -> Result<()> {
        if self.root.moves.load(Ordering::Relaxed) == self.moves {
            Ok(())
        } else {
            self.open()
        }
    }

    /// The spelling on disk and what stands there.
    pub fn find(&self) -> Result<(Cow<'_, str>, Option<Found>)> {
        spelling(self.dir(), self.name)
    }

    /// As [`find`](Self::find), for what must exist.
    pub fn find_existing(&self) -> Result<(Cow<'_, str>, Found)> {
        let (name, found) = self.find()?;
        Ok((name, existing(found.ok_or(Error::NotFound)?)?))
    }

    fn open(&mut self) -> Result<()> {
        self.moves = self.root.moves.load(Ordering::Relaxed);
        let parent = self.path.parent().unwrap_or_default();
        if !parent.is_root() {
            let opened = self.root.look(&parent, Lookup::Full, os::open_folder);
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
pub(super) fn stat_name(dir: BorrowedFd<'_>, name: &str) -> Result<Option<Found>> {
    match os::stat_at(dir, name) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
        Err(e) => Err(explain("look at it", e)),
    }
}

/// Only files and folders exist.
pub(super) fn existing(found: Found) -> Result<Found> {
    if found.kind == Kind::Other {
        Err(Error::NotFound)
    } else {
        Ok(found)
    }
}

/// What stands at a target: nothing, a file or a folder; anything else is in the way.
pub(super) fn replaceable(found: Option<Found>) -> Result<Option<Found>> {
    match found {
        Some(found) if found.kind == Kind::Other => Err(Error::Forbidden(
            "Something that is neither a file nor a folder is in the way.",
        )),
        other => Ok(other),
    }
}

/// Judges a change and makes it, as [`Commit`] says; called under the guard.
pub(super) fn change(
    commit: &Commit,
    present: Option<&Node>,
    act: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    if !commit.expect.holds(present) {
        return Err(Error::PreconditionFailed);
    }
    commit.judge.judge(present, act)
}

/// What is done when it fails to give a file or folder its permissions.
pub(super) const GIVE_ACCESS: &str = "set who may read it";

/// A system error as what happened.
pub(super) fn explain(doing: &'static str, errno: Errno) -> Error {
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
