//! Content hashes: BLAKE3 of a file as it comes, or as it lies there.

use super::errors::map_errno;
use super::sys;
use crate::model::{Error, Result};
use crate::storage::Digest;
use std::os::fd::BorrowedFd;

/// What is read at a time.
const CHUNK: usize = 256 << 10;

/// The hash of what a file holds now.
pub(super) fn hash_file(file: BorrowedFd<'_>) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut room = vec![0; CHUNK];
    let mut offset = 0_u64;
    loop {
        let count =
            sys::read(file, &mut room, offset).map_err(|e| map_errno("read the file", e))?;
        if count == 0 {
            return Ok(*hasher.finalize().as_bytes());
        }
        hasher.update(room.get(..count).unwrap_or_default());
        offset = offset.checked_add(count as u64).ok_or(Error::TooLarge)?;
    }
}

/// The hash of an upload on its way.
#[derive(Default)]
pub(super) enum RunningHash {
    /// All bytes have come one after the other.
    Hashing(Box<blake3::Hasher>),
    /// The content was hashed before.
    Known(Digest),
    /// Bytes came in another order.
    #[default]
    Unknown,
}

impl RunningHash {
    /// Of nothing yet.
    pub fn start() -> Self {
        Self::Hashing(Box::default())
    }

    /// Adds bytes that come next.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Hashing(hasher) => drop(hasher.update(bytes)),
            Self::Known(_) | Self::Unknown => *self = Self::Unknown,
        }
    }

    /// The hash, where it is known.
    pub fn finalize(&self) -> Option<Digest> {
        match self {
            Self::Hashing(hasher) => Some(*hasher.finalize().as_bytes()),
            Self::Known(digest) => Some(*digest),
            Self::Unknown => None,
        }
    }
}
