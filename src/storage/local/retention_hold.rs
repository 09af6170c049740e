//! Until when nothing of the past expires: a file `.sarang/held` with seconds since 1970, and the same in memory.

use super::count;
use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::names::{check_id, stat_name};
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::walk::WalkStart;
use crate::model::time::{from_unix_seconds, unix_seconds};
use crate::model::{Error, Result};
use std::io::{IoSlice, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

const FILE: &str = ".sarang/held";

/// There would be room if the history could go.
pub(super) const NO_SPACE_WHILE_HELD: Error = Error::LimitReached(
    "There is no room left to store this: the history of the drive is held, since much of it was changed at once. \
     Its owner can delete for good what is not needed of the trash and the versions.",
);

/// Until when, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct RetentionHold(AtomicI64);

impl RetentionHold {
    /// What an earlier run has left.
    pub fn load(root: BorrowedFd<'_>) -> Result<Self> {
        let mut text = String::new();
        match sys::open_read(root, FILE, Lookup::Full) {
            Ok(file) => {
                std::fs::File::from(file)
                    .read_to_string(&mut text)
                    .map_err(|e| Error::io("read what is held", e))?;
                Ok(Self(AtomicI64::new(text.trim().parse().unwrap_or(0))))
            }
            Err(Errno::NOENT) => Ok(Self::default()),
            Err(e) => Err(map_errno("read what is held", e)),
        }
    }

    /// Until when, if that is later than `now`.
    pub fn until(&self, now: SystemTime) -> Option<SystemTime> {
        Some(from_unix_seconds(self.0.load(Ordering::Relaxed))).filter(|until| *until > now)
    }

    /// Holds the past until then; durable when this returns, whatever the settings say.
    pub fn set(&self, dirs: &TreeDirs, until: SystemTime) -> Result<()> {
        let doing = "hold the history";
        let name = dirs.new_stamp();
        let seconds = unix_seconds(until);
        let file = sys::create_file(fd(&dirs.tmp), &name).map_err(|e| map_errno(doing, e))?;
        let text = seconds.to_string();
        sys::write_all(fd(&file), &mut [IoSlice::new(text.as_bytes())], 0)
            .map_err(|e| map_errno(doing, e))?;
        sys::sync(fd(&file)).map_err(|e| map_errno(doing, e))?;
        sys::rename_over((fd(&dirs.tmp), &name), (fd(&dirs.dir), FILE))
            .map_err(|e| map_errno(doing, e))?;
        self.0.store(seconds, Ordering::Relaxed);
        let own = sys::open_folder(fd(&dirs.dir), ".sarang", Lookup::Full)
            .map_err(|e| map_errno(doing, e))?;
        sys::sync(fd(&own)).map_err(|e| map_errno(doing, e))
    }
}

/// How many files there are, in the tree or in an item of the trash; 0 when that is gone.
pub(super) fn count_files(dirs: &TreeDirs, item: Option<&str>) -> Result<u64> {
    let open = |dir: &OwnedFd, name: &str| match sys::open_folder(fd(dir), name, Lookup::Full) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(map_errno("count the files", e)),
    };
    let (top, at) = match item {
        None => (open(&dirs.dir, "")?, WalkStart::Tree),
        Some(id)
            if stat_name(fd(&dirs.trash_files), check_id(id)?)?
                .is_some_and(|it| it.kind == FileKind::File) =>
        {
            return Ok(1);
        }
        Some(id) => (open(&dirs.trash_files, id)?, WalkStart::Folder),
    };
    top.map_or(Ok(0), |top| count::files_in(top, at))
}
