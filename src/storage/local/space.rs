//! Room on the disk: looked for before bytes come, and taken where it is known how many will.

use super::errors::map_errno;
use super::reservation::LocalReservation;
use super::root::TreeRoot;
use super::sys::{self, Errno, Lookup, fd};
use super::{history_purge, retention_hold};
use crate::model::{AccessCheck, Error, RelPath, Result};
use crate::storage::SpaceRequest;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

impl TreeRoot {
    /// Fails when `len` more bytes would not leave the reserve, though the oldest of the history is let go: with `NoSpace`, with `LimitReached`
    /// while the history is held. If history must go, it goes for up to `ahead` bytes more, too, since each time all of it is looked through.
    /// May wait for the disk.
    pub fn ensure_space(&self, len: u64, ahead: u64) -> Result<()> {
        if self.missing_space(len)? == 0 {
            return Ok(());
        }
        history_purge::free_space(self, len, ahead)?;
        if self.missing_space(len)? == 0 {
            Ok(())
        } else {
            Err(self.no_space_error())
        }
    }

    /// As [`ensure_space`](Self::ensure_space), for what is only announced, which lets nothing of the history go: false where the room must be made
    /// as the bytes come. Fails where all of the history would not be enough.
    pub fn check_announced_space(&self, len: u64) -> Result<bool> {
        if self.missing_space(len)? == 0 {
            return Ok(true);
        }
        if history_purge::can_free_space(self, len)? {
            Ok(false)
        } else {
            Err(self.no_space_error())
        }
    }

    /// Takes room on the disk for the `len` bytes that will come into an empty file, so that nobody else gets it; it is given back with
    /// the file. As [`ensure_space`](Self::ensure_space) otherwise. What others have taken is no longer free, whatever tree they are in.
    pub fn allocate(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        if self.try_allocate(file, len)? {
            return Ok(());
        }
        history_purge::free_space(self, len, 0)?;
        if self.try_allocate(file, len)? {
            Ok(())
        } else {
            Err(self.no_space_error())
        }
    }

    /// As [`allocate`](Self::allocate), for what is only announced: false as for [`check_announced_space`](Self::check_announced_space).
    pub fn allocate_free(&self, file: BorrowedFd<'_>, len: u64) -> Result<bool> {
        if self.try_allocate(file, len)? {
            return Ok(true);
        }
        // There is more free than may be taken, or somebody has made room in this moment.
        if self.check_announced_space(len)? && !self.try_allocate(file, len)? {
            return Err(self.no_space_error());
        }
        Ok(sys::is_preallocated(file, len))
    }

    fn no_space_error(&self) -> Error {
        if self.retention_hold.until(SystemTime::now()).is_some() {
            retention_hold::NO_SPACE_WHILE_HELD
        } else {
            Error::NoSpace
        }
    }

    fn try_allocate(&self, file: BorrowedFd<'_>, len: u64) -> Result<bool> {
        // Two that look at once must not both find the room that is there once.
        let _alone = self.disk_access.slots.disk().space_lock.lock();
        if self.missing_space(len)? > 0 {
            return Ok(false);
        }
        match sys::preallocate(file, len) {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC) => sys::truncate(file, 0)
                .map(|()| false)
                .map_err(|e| map_errno("give room back", e)),
            Err(e) => Err(map_errno("reserve room for the file", e)),
        }
    }

    /// Copies `len` bytes into an empty file: shared where the file system can, else into room taken before.
    /// Before each part it is asked whether to go on.
    pub fn copy_into(
        &self,
        file: BorrowedFd<'_>,
        from: BorrowedFd<'_>,
        len: u64,
        access: &dyn AccessCheck,
    ) -> Result<()> {
        if sys::reflink(from, file) {
            return Ok(());
        }
        self.allocate(file, len)?;
        match sys::copy_bytes(from, file, len, || access.check().is_ok()) {
            Err(Errno::CANCELED) => access.check().and(Err(Error::Conflict)),
            // Between file systems, or on one that has no such call.
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                sys::copy_content(from, file, len)
                    .map(drop)
                    .map_err(|e| map_errno("copy the file", e))
            }
            copied => copied.map_err(|e| map_errno("copy the file", e)),
        }
    }

    /// `NoSpace` when few inodes are left.
    pub fn check_inodes(&self) -> Result<()> {
        let (all, free) =
            sys::inodes(fd(&self.dir)).map_err(|e| map_errno("ask for free inodes", e))?;
        if are_few_inodes(all, free) {
            return Err(Error::NoSpace);
        }
        Ok(())
    }
}

/// Less than 1 % or 1,000 inodes; file systems that make them as they are needed tell of none at all.
fn are_few_inodes(all: u64, free: u64) -> bool {
    all > 0 && free < (all / 100).max(1000)
}

/// Fails where an upload of the announced length to `path` would not fit, without promising anything.
pub(super) fn check(root: &Arc<TreeRoot>, path: &RelPath, request: SpaceRequest) -> Result<()> {
    let len = request.len.unwrap_or_default();
    let replaced = match root.stat(path, Lookup::Full) {
        Ok(node) => node.filter(|node| !node.folder).map_or(0, |node| node.len),
        Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    LocalReservation::new(root, request.limit, replaced).grow(len)?;
    root.check_announced_space(len).map(drop)
}

#[cfg(test)]
mod tests {
    use super::are_few_inodes;

    #[test]
    fn few_inodes_are_less_than_one_in_a_hundred_or_a_thousand() {
        for (all, free, are_few) in [
            (0, 0, false),
            (100_000, 1000, false),
            (100_000, 999, true),
            (1_000_000, 10_000, false),
            (1_000_000, 9999, true),
            (500, 500, true),
        ] {
            assert_eq!(are_few_inodes(all, free), are_few, "{free} of {all}");
        }
    }
}
