//! Gives a copy the dead properties of what it is a copy of.

use super::encoding::without_link_tags;
use super::stored_of;
use crate::model::{Error, Result};
use crate::storage::local::errors::{explain_store, is_refused_for_size};
use crate::storage::local::overflow;
use crate::storage::local::overflow_file::NewOverflowFile;
use crate::storage::local::reservation::LocalReservation;
use crate::storage::local::root::TreeRoot;
use crate::storage::local::sys;
use crate::storage::local::usage_counter::UsageDelta;
use std::os::fd::BorrowedFd;

/// How a copy comes by the room for properties that lie in an overflow file: it is promised until that is in the count.
pub(in super::super) type ReserveOverflow<'a> = &'a dyn Fn(u64) -> Result<Option<LocalReservation>>;

/// Gives a copy the properties of what it is a copy of, each in its tree, without those that say which file this is. `is_synced` as for
/// [`NewOverflowFile::new`](crate::storage::local::overflow_file::NewOverflowFile::new).
pub(in super::super) fn copy(
    (from_root, from): (&TreeRoot, BorrowedFd<'_>),
    (to_root, to): (&TreeRoot, BorrowedFd<'_>),
    is_synced: bool,
    promise: ReserveOverflow<'_>,
) -> Result<()> {
    let Some(stored) = stored_of(from)? else {
        return Ok(());
    };
    let text = match overflow::parse_reference(&stored) {
        Some(name) => match overflow::load_of(from_root, name) {
            // They are lost for both, as `sarang check` tells; or were changed between the two looks.
            Err(Error::NotFound) if stored_of(from)?.as_ref() == Some(&stored) => {
                return sys::set_props(to, &stored).map_err(explain_store);
            }
            Err(Error::NotFound) => {
                return copy((from_root, from), (to_root, to), is_synced, promise);
            }
            loaded => loaded?,
        },
        None => stored,
    };
    store((to_root, to), &without_link_tags(text)?, is_synced, promise)
}

/// Stores properties with a file that nobody else sees yet.
fn store(
    (root, to): (&TreeRoot, BorrowedFd<'_>),
    text: &[u8],
    is_synced: bool,
    promise: ReserveOverflow<'_>,
) -> Result<()> {
    match sys::set_props(to, text) {
        Err(errno) if is_refused_for_size(errno) => {
            let _promised = promise(text.len() as u64)?;
            let mut written = NewOverflowFile::new(root, text, is_synced)?;
            sys::set_props(to, &written.reference()).map_err(explain_store)?;
            written.mark_referenced();
            Ok(())
        }
        stored => stored.map_err(explain_store),
    }
}

/// Gives a folder the properties of another in the place of its own; called under the guard.
pub(in super::super) fn copy_onto(
    root: &TreeRoot,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    limit: Option<u64>,
) -> Result<()> {
    if stored_of(from)?.is_none() {
        sys::set_props(to, &[]).map_err(explain_store)?;
    }
    let admit = |new| {
        root.check_limit(
            UsageDelta {
                added: new,
                removed: 0,
            },
            limit,
        )
        .map(|()| None)
    };
    copy((root, from), (root, to), true, &admit)?;
    root.overflow.note_unreferenced();
    Ok(())
}
