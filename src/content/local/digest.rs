//! Content hashes: BLAKE3 of a file as it came, in one extended attribute with the length and the time that the file had then.
//! A file that was changed since, by whomever, has another time: its hash is not known, rather than wrong.

use super::os::{self, Errno};
use super::root::explain;
use crate::content::{Digest, Node};
use crate::model::{Error, Result};
use std::os::fd::BorrowedFd;
use std::time::UNIX_EPOCH;

/// Hash, length, nanoseconds since 1970.
const STORED: usize = 32 + 8 + 16;
/// What is read at a time.
const CHUNK: usize = 256 << 10;

/// Keeps the hash of a file that is `node`. A file system without attributes goes without.
pub(super) fn store(file: BorrowedFd<'_>, digest: &Digest, node: &Node) -> Result<()> {
    match os::set_digest(file, &packed(digest, node)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSPC) => Ok(()),
        Err(e) => Err(explain("keep the hash of the file", e)),
    }
}

/// The hash of an open file that is `node`, where it is known.
pub(super) fn of_file(file: BorrowedFd<'_>, node: &Node) -> Option<Digest> {
    unpacked(&os::digest_fd(file)?, node)
}

/// The hash of the file at a name in a folder that is `node`, where it is known.
pub(super) fn of_name(dir: BorrowedFd<'_>, name: &str, node: &Node) -> Option<Digest> {
    unpacked(&os::digest_at(dir, name)?, node)
}

/// Lets the hash of a file that was `old` count for `new`, which has the same content and another time.
pub(super) fn carry(file: BorrowedFd<'_>, old: &Node, new: &Node) -> Result<()> {
    of_file(file, old).map_or(Ok(()), |digest| store(file, &digest, new))
}

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

fn packed(digest: &Digest, node: &Node) -> [u8; STORED] {
    let mut stored = [0; STORED];
    let parts = digest.iter().copied().chain(node.len.to_le_bytes()).chain(time(node).to_le_bytes());
    stored.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    stored
}

fn unpacked(stored: &[u8; STORED], node: &Node) -> Option<Digest> {
    let digest: Digest = stored.first_chunk().copied()?;
    (packed(&digest, node) == *stored).then_some(digest)
}

fn time(node: &Node) -> i128 {
    let nanos = |duration: std::time::Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match node.modified.duration_since(UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
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
