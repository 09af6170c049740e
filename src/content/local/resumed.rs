//! Uploads that outlive requests and restarts: files in `.sarang/uploads`, whose length is how far they have come. After a power cut
//! a file can be longer than what of it has reached the disk: an attribute says how far it had.

use super::lacks::Lack;
use super::os::{self, Errno, Lookup, fd};
use super::reservation::{Claim, Reservation};
use super::root::{Root, checked, explain};
use super::walk;
use crate::content::{Reserved, Room};
use crate::model::{Error, RelPath, Result};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Weak};

/// Makes the empty file of an upload, with room on the disk for `len` bytes, or with so much history that its room can be made.
pub(super) fn lay_aside(root: &Root, id: &str, len: u64) -> Result<()> {
    let file = os::create_file(root.uploads()?, checked(id)?)
        .map_err(|e| explain("begin the upload", e))?;
    let made = root.take_free_room(fd(&file), len).and_then(|_| {
        os::set_kept(fd(&file), Some(0)).map_err(|e| explain("begin the upload", e))?;
        root.settle(fd(&file))
    });
    made.inspect_err(|_| drop(discard(root, id)))?;
    root.settle(root.uploads()?)
}

/// What is laid aside.
pub(super) fn list(root: &Root) -> Result<Vec<String>> {
    walk::names(root.uploads()?).map_err(|e| explain("look for unfinished uploads", e))
}

/// Where no attribute can say how much of them is on the disk, what has come of unfinished uploads does not outlive a restart.
pub(super) fn begin_again(root: &Root) -> Result<()> {
    if !root.lacks.has(Lack::Attributes) {
        return Ok(());
    }
    for id in list(root)? {
        let cut = os::open_write(root.uploads()?, &id).and_then(|file| os::truncate(fd(&file), 0));
        cut.map_err(|e| explain("begin an unfinished upload again", e))?;
    }
    Ok(())
}

/// Takes back what came of an upload of `whole` bytes after it was last kept; returns how far it has come. Nobody else may be at it.
pub(super) fn take_back(file: BorrowedFd<'_>, whole: Option<u64>) -> Result<u64> {
    let failed = |e| explain("look at the unfinished upload", e);
    let len = os::stat_fd(file).map_err(failed)?.node.len;
    let Some(kept) = os::kept_fd(file).filter(|kept| *kept < len) else {
        return Ok(len);
    };
    shorten(file, kept, whole).map_err(failed)?;
    Ok(kept)
}

/// Cuts an upload off at `len` bytes. That gives its room back, too, which is taken again for the `whole` of it.
pub(super) fn shorten(file: BorrowedFd<'_>, len: u64, whole: Option<u64>) -> os::Outcome<()> {
    os::truncate(file, len)?;
    match whole.map(|whole| os::reserve(file, whole)) {
        None => Ok(()),
        // Some file systems keep what they could take. What is missing then is missed when it comes.
        Some(Err(Errno::NOSPC)) => os::truncate(file, len),
        Some(taken) => taken,
    }
}

/// Deletes an upload; one that is gone is no error.
pub(super) fn discard(root: &Root, id: &str) -> Result<()> {
    match os::unlink_file(root.uploads()?, checked(id)?) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(explain("discard the upload", e)),
    }
}

/// Room that an unfinished upload was promised. It does not keep the tree open: when that is opened again, it is promised anew.
#[derive(Debug)]
pub(super) struct Promise {
    root: Weak<Root>,
    held: u64,
    /// Counted on for as long as the promise lasts.
    _claim: Option<Claim>,
}

impl Reserved for Promise {}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(root) = self.root.upgrade() {
            root.ledger.give_back(self.held);
        }
    }
}

/// Promises the room for a file that will stand at `path`; `NoSpace`.
pub(super) fn reserve(root: &Arc<Root>, path: &RelPath, bound: Room) -> Result<Promise> {
    let old = match root.stat(path, Lookup::Full) {
        Ok(node) => node.filter(|node| !node.folder),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error),
    };
    let len = bound.len.unwrap_or_default();
    let mut reservation = Reservation::lasting(root, bound.limit, old.as_ref());
    match bound.limit {
        Some(_) => reservation.grow(len)?,
        None => reservation.hold(len),
    }
    let (held, claim) = reservation.take();
    Ok(Promise {
        root: Arc::downgrade(root),
        held,
        _claim: claim,
    })
}
