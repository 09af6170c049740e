//! Uploads that outlive requests and restarts: files in `.sarang/uploads`, whose length is how far they have come. After a power cut
//! a file can be longer than what of it has reached the disk: an attribute says how far it had.

use super::errors::map_errno;
use super::missing_features::MissingFeature;
use super::names::check_id;
use super::reservation::{LocalReservation, ReplacementClaim};
use super::root::TreeRoot;
use super::sys::{self, Errno, Lookup, fd};
use super::walk;
use crate::model::{Error, RelPath, Result};
use crate::storage::{SpaceRequest, SpaceReservation};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Weak};

/// Makes the empty file of an upload, with room on the disk for `len` bytes, or with so much history that its room can be made.
pub(super) fn create(root: &TreeRoot, id: &str, len: u64) -> Result<()> {
    let file = sys::create_file(root.uploads()?, check_id(id)?)
        .map_err(|e| map_errno("begin the upload", e))?;
    let made = root.allocate_free(fd(&file), len).and_then(|_| {
        sys::set_synced_len(fd(&file), Some(0)).map_err(|e| map_errno("begin the upload", e))?;
        root.sync_if_strict(fd(&file))
    });
    made.inspect_err(|_| drop(abort(root, id)))?;
    root.sync_if_strict(root.uploads()?)
}

/// What is laid aside.
pub(super) fn list(root: &TreeRoot) -> Result<Vec<String>> {
    walk::names(root.uploads()?).map_err(|e| map_errno("look for unfinished uploads", e))
}

/// Where no attribute can say how much of them is on the disk, what has come of unfinished uploads does not outlive a restart.
pub(super) fn reset_unsynced(root: &TreeRoot) -> Result<()> {
    if !root.missing_features.has(MissingFeature::Xattrs) {
        return Ok(());
    }
    for id in list(root)? {
        let cut =
            sys::open_write(root.uploads()?, &id).and_then(|file| sys::truncate(fd(&file), 0));
        cut.map_err(|e| map_errno("begin an unfinished upload again", e))?;
    }
    Ok(())
}

/// Takes back what came of an upload of `whole` bytes after it was last kept; returns how far it has come. Nobody else may be at it.
pub(super) fn truncate_unsynced(file: BorrowedFd<'_>, whole: Option<u64>) -> Result<u64> {
    let failed = |e| map_errno("look at the unfinished upload", e);
    let len = sys::stat_fd(file).map_err(failed)?.node.len;
    let Some(kept) = sys::synced_len(file).filter(|kept| *kept < len) else {
        return Ok(len);
    };
    truncate(file, kept, whole).map_err(failed)?;
    Ok(kept)
}

/// Cuts an upload off at `len` bytes. That gives its room back, too, which is taken again for the `whole` of it.
pub(super) fn truncate(file: BorrowedFd<'_>, len: u64, whole: Option<u64>) -> sys::SysResult<()> {
    sys::truncate(file, len)?;
    match whole.map(|whole| sys::preallocate(file, whole)) {
        None => Ok(()),
        // Some file systems keep what they could take. What is missing then is missed when it comes.
        Some(Err(Errno::NOSPC)) => sys::truncate(file, len),
        Some(taken) => taken,
    }
}

/// Deletes an upload; one that is gone is no error.
pub(super) fn abort(root: &TreeRoot, id: &str) -> Result<()> {
    match sys::unlink_file(root.uploads()?, check_id(id)?) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(map_errno("discard the upload", e)),
    }
}

/// Room that an unfinished upload was promised. It does not keep the tree open: when that is opened again, it is promised anew.
#[derive(Debug)]
pub(super) struct UploadReservation {
    root: Weak<TreeRoot>,
    reserved: u64,
    /// Counted on for as long as the promise lasts.
    _claim: Option<ReplacementClaim>,
}

impl SpaceReservation for UploadReservation {}

impl Drop for UploadReservation {
    fn drop(&mut self) {
        if let Some(root) = self.root.upgrade() {
            root.usage.release(self.reserved);
        }
    }
}

/// Promises the room for a file that will stand at `path`; `NoSpace`.
pub(super) fn reserve(
    root: &Arc<TreeRoot>,
    path: &RelPath,
    bound: SpaceRequest,
) -> Result<UploadReservation> {
    let old = match root.stat(path, Lookup::Full) {
        Ok(node) => node.filter(|node| !node.folder),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error),
    };
    let len = bound.len.unwrap_or_default();
    let mut reservation = LocalReservation::for_resumable(root, bound.limit, old.as_ref());
    match bound.limit {
        Some(_) => reservation.grow(len)?,
        None => reservation.reserve_unchecked(len),
    }
    let (held, claim) = reservation.into_parts();
    Ok(UploadReservation {
        root: Arc::downgrade(root),
        reserved: held,
        _claim: claim,
    })
}
