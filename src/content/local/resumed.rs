//! Uploads that outlive requests and restarts: files in `.sarang/uploads`, whose length is how far they have come.

use super::ledger::Reservation;
use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, checked, explain};
use super::walk;
use crate::content::Room;
use crate::model::{Error, RelPath, Result};
use std::sync::Arc;

/// Makes the empty file of an upload.
pub(super) fn lay_aside(root: &Root, id: &str) -> Result<()> {
    let file = os::create_file(fd(&root.uploads), checked(id)?).map_err(|e| explain("begin the upload", e))?;
    root.settle(fd(&file))?;
    root.settle(fd(&root.uploads))
}

/// What is laid aside.
pub(super) fn list(root: &Root) -> Result<Vec<String>> {
    walk::names(fd(&root.uploads)).map_err(|e| explain("look for unfinished uploads", e))
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
