//! The order of the trash: newest first.

use std::cmp::Reverse;

/// Newest first: by the stamp at the end of the id.
pub(super) type TrashKey = Reverse<(u64, Box<str>)>;

pub(super) fn key_of(id: &str) -> TrashKey {
    Reverse((stamp_of(id), id.into()))
}

/// What the end of an id says of its order; what other programs put there comes last.
pub(in super::super) fn stamp_of(id: &str) -> u64 {
    id.rsplit_once('.')
        .and_then(|(_, stamp)| u64::from_str_radix(stamp, 16).ok())
        .unwrap_or(0)
}
