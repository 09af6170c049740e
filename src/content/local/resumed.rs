//! Uploads that outlive requests and restarts: files in `.sarang/uploads`, whose length is how far they have come. After a power cut
//! a file can be longer than what of it has reached the disk: an attribute says how far it had.

use super::ledger::Reservation;
use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, checked, explain};
use super::walk;
use crate::content::Room;
use crate::model::{Error, RelPath, Result};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Makes the empty file of an upload.
pub(super) fn lay_aside(root: &Root, id: &str) -> Result<()> {
    let file = os::create_file(fd(&root.uploads), checked(id)?).map_err(|e| explain("begin the upload", e))?;
    os::set_kept(fd(&file), Some(0)).map_err(|e| explain("begin the upload", e))?;
    root.settle(fd(&file))?;
    root.settle(fd(&root.uploads))
}

/// What is laid aside.
pub(super) fn list(root: &Root) -> Result<Vec<String>> {
    walk::names(fd(&root.uploads)).map_err(|e| explain("look for unfinished uploads", e))
}

/// Takes back what came of an upload after it was last kept; returns how far it has come. Nobody else may be at it.
pub(super) fn take_back(file: BorrowedFd<'_>) -> Result<u64> {
    let failed = |e| explain("look at the unfinished upload", e);
    let len = os::stat_fd(file).map_err(failed)?.node.len;
    let Some(kept) = os::kept_fd(file).filter(|kept| *kept < len) else { return Ok(len) };
    os::truncate(file, kept).map_err(failed)?;
    Ok(kept)
}

/// Deletes an upload; one that is gone is no error.
pub(super) fn discard(root: &Root, id: &str) -> Result<()> {
    match os::unlink_file(fd(&root.uploads), checked(id)?) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(explain("discard the upload", e)),
    }
}

/// Promises the room for a file that will stand at `path`; `NoSpace`.
pub(super) fn reserve(root: &Arc<Root>, path: &RelPath, bound: Room) -> Result<Reservation> {
    let old = match root.stat(path, Lookup::Full) {
        Ok(node) => node.map_or(0, |node| node.len),
        Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    let len = bound.len.unwrap_or_default();
    let mut reservation = Reservation::new(root, bound.limit, old);
    match bound.limit {
        Some(_) => {
            root.check_room(len)?;
            reservation.grow(len)?;
        }
        None => reservation.hold(len),
    }
    Ok(reservation)
}
