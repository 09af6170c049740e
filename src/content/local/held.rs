//! Until when nothing of the past expires: a file `.sarang/held` with seconds since 1970, and the same in memory.

use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, checked, explain};
use super::walk::Top;
use super::{root::stat_name, tally};
use crate::model::time::{from_unix_seconds, unix_seconds};
use crate::model::{Error, Result};
use std::io::{IoSlice, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

const FILE: &str = ".sarang/held";

/// There would be room if the history could go.
pub(super) const NO_ROOM: Error = Error::LimitReached(
    "There is no room left to store this: the history of the drive is held, since much of it was changed at once. \
     Its owner can delete for good what is not needed of the trash and the versions.",
);

/// Until when, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Held(AtomicI64);

impl Held {
    /// What an earlier run has left.
    pub fn read(root: BorrowedFd<'_>) -> Result<Self> {
        let mut text = String::new();
        match os::open_read(root, FILE, Lookup::Full) {
            Ok(file) => {
                std::fs::File::from(file)
                    .read_to_string(&mut text)
                    .map_err(|e| Error::io("read what is held", e))?;
                Ok(Self(AtomicI64::new(text.trim().parse().unwrap_or(0))))
            }
            Err(Errno::NOENT) => Ok(Self::default()),
            Err(e) => Err(explain("read what is held", e)),
        }
    }

    /// Until when, if that is later than `now`.
    pub fn until(&self, now: SystemTime) -> Option<SystemTime> {
        Some(from_unix_seconds(self.0.load(Ordering::Relaxed))).filter(|until| *until > now)
    }
}

/// Holds the past until then; durable when this returns, whatever the settings say.
pub(super) fn hold(root: &Root, until: SystemTime) -> Result<()> {
    let (doing, name, seconds) = ("hold the history", root.stamp(), unix_seconds(until));
    let file = os::create_file(fd(&root.tmp), &name).map_err(|e| explain(doing, e))?;
    let text = seconds.to_string();
    os::write_all(fd(&file), &mut [IoSlice::new(text.as_bytes())], 0)
        .map_err(|e| explain(doing, e))?;
    os::sync(fd(&file)).map_err(|e| explain(doing, e))?;
    os::rename_over((fd(&root.tmp), &name), (fd(&root.dir), FILE))
        .map_err(|e| explain(doing, e))?;
    root.held.0.store(seconds, Ordering::Relaxed);
    let own =
        os::open_folder(fd(&root.dir), ".sarang", Lookup::Full).map_err(|e| explain(doing, e))?;
    os::sync(fd(&own)).map_err(|e| explain(doing, e))
}

/// How many files there are, in the tree or in an item of the trash; 0 when that is gone.
pub(super) fn count_files(root: &Root, item: Option<&str>) -> Result<u64> {
    let open = |dir: &OwnedFd, name: &str| match os::open_folder(fd(dir), name, Lookup::Full) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(explain("count the files", e)),
    };
    let (top, at) = match item {
        None => (open(&root.dir, "")?, Top::Tree),
        Some(id)
            if stat_name(fd(&root.trash_files), checked(id)?)?
                .is_some_and(|it| it.kind == Kind::File) =>
        {
            return Ok(1);
        }
        Some(id) => (open(&root.trash_files, id)?, Top::Folder),
    };
    top.map_or(Ok(0), |top| tally::files_in(top, at))
}
