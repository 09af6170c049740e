//! Content hashes: BLAKE3 of a file as it comes, or as it lies there.

use super::os;
use super::root::explain;
use crate::content::Digest;
use crate::model::{Error, Result};
use std::os::fd::BorrowedFd;

/// What is read at a time.
const CHUNK: usize = 256 << 10;

/// The hash of what a file holds now.
pub(super) fn read(file: BorrowedFd<'_>) -> Result<Digest> {
    let (mut hasher, mut room, mut offset) = (blake3::Hasher::new(), vec![0; CHUNK], 0_u64);
    loop {
        let count = os::read(file, &mut room, offset).map_err(|e| explain("read the file", e))?;
        if count == 0 {
            return Ok(*hasher.finalize().as_bytes());
        }
        hasher.update(room.get(..count).unwrap_or_default());
        offset = offset.checked_add(count as u64).ok_or(Error::TooLarge)?;
    }
}

/// The hash of an upload on its way.
#[derive(Default)]
pub(super) enum Sum {
    /// All bytes have come one after the other.
    Begun(Box<blake3::Hasher>),
    /// The content was hashed before.
    Known(Digest),
    /// Bytes came in another order.
    #[default]
    Unknown,
}

impl Sum {
    /// Of nothing yet.
    pub fn begun() -> Self {
        Self::Begun(Box::default())
    }

    /// Adds bytes that come next.
    pub fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Begun(hasher) => drop(hasher.update(bytes)),
            Self::Known(_) | Self::Unknown => *self = Self::Unknown,
        }
    }

    /// The hash, where it is known.
    pub fn finish(&self) -> Option<Digest> {
        match self {
            Self::Begun(hasher) => Some(*hasher.finalize().as_bytes()),
            Self::Known(digest) => Some(*digest),
            Self::Unknown => None,
        }
    }
}
