//! What is kept with a file in one small attribute: its id and for which inode that was written, and the BLAKE3 of its content, with a check
//! of the length and time that the file had then. A file that was changed since, by whomever, has another time: its hash is not known,
//! rather than wrong. A copy made beside the server carries the attribute of its original, on another inode: it has an id of its own.

#[cfg(test)]
mod tests;

use super::errors::map_errno;
use super::sys::{self, Errno, SysResult};
use crate::model::Result;
use crate::storage::{Digest, FileId, Node};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::time::UNIX_EPOCH;

const DIGEST: usize = 32;
const CHECK: usize = 7;
const ID: usize = 16;
const INODE: usize = 8;
/// Hash, check, id, inode.
const STORED: usize = DIGEST + CHECK + ID + INODE;
/// ext4 keeps so much of attributes in a file's inode of 256 bytes, names and 16 bytes each included: with a byte more every file
/// would take a block of its own.
const _: () = assert!(
    STORED.next_multiple_of(4) + "sarang".len().next_multiple_of(4) + 16 <= 88,
    "too long for an inode"
);
/// The name of a history that is not the id: it was begun before files had ids, or of a file that shared its inode with another.
const HISTORY: usize = 16;
/// As it was stored before files had ids: hash, length, time and history.
const LEGACY: usize = DIGEST + 8 + 8 + HISTORY;
/// As many bytes as a meta may have.
const MAX_STORED: usize = STORED + HISTORY;

/// The attribute's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileMeta {
    digest: Option<(Digest, [u8; CHECK])>,
    /// The id, and a sign of the inode that it was written for.
    id: Option<(FileId, u64)>,
    /// The name of the history, where that is not the id's.
    history: Option<String>,
}

impl FileMeta {
    /// Of a file that is `node` and has this id, with its hash, if it is known.
    pub fn new(id: FileId, digest: Option<&Digest>, node: &Node) -> Self {
        let digest = digest.and_then(|digest| Some((*digest, content_stamp(node)?)));
        Self {
            digest,
            id: Some((id, inode_stamp(node))),
            history: None,
        }
    }

    /// Of an open file. `EOPNOTSUPP` where the file system has no attributes.
    pub fn of_file(file: BorrowedFd<'_>) -> SysResult<Self> {
        Ok(sys::meta_fd::<MAX_STORED>(file)?
            .map(|stored| Self::decode(&stored))
            .unwrap_or_default())
    }

    /// Of a name in a folder, as [`of_file`](Self::of_file).
    pub fn of_name(dir: BorrowedFd<'_>, name: &str) -> SysResult<Self> {
        Ok(sys::meta_at::<MAX_STORED>(dir, name)?
            .map(|stored| Self::decode(&stored))
            .unwrap_or_default())
    }

    /// Of a name in a folder as the kernel gave it, as [`of_file`](Self::of_file).
    pub fn of_raw_name(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<Self> {
        Ok(sys::meta_at_raw::<MAX_STORED>(dir, name)?
            .map(|stored| Self::decode(&stored))
            .unwrap_or_default())
    }

    /// Of what is open only to be looked at, as [`of_file`](Self::of_file).
    pub fn of_path_fd(file: BorrowedFd<'_>) -> SysResult<Self> {
        Ok(sys::meta_path::<MAX_STORED>(file)?
            .map(|stored| Self::decode(&stored))
            .unwrap_or_default())
    }

    /// The hash of a file that is `node`.
    pub fn digest(&self, node: &Node) -> Option<Digest> {
        self.digest
            .filter(|(_, of)| content_stamp(node).as_ref() == Some(of))
            .map(|(digest, _)| digest)
    }

    /// The id of what is `node`.
    pub fn id(&self, node: &Node) -> FileId {
        self.own_id(node).unwrap_or(FileId::derived(node))
    }

    /// The id that was written for `node` itself.
    pub fn own_id(&self, node: &Node) -> Option<FileId> {
        self.id
            .filter(|(_, of)| *of == inode_stamp(node))
            .map(|(id, _)| id)
    }

    /// The id, for whatever inode it was written.
    pub fn stored_id(&self) -> Option<FileId> {
        self.id.map(|(id, _)| id)
    }

    /// The history of a file whose meta is of before files had ids: it does not tell a copy from its original.
    pub fn legacy_history(&self) -> Option<&str> {
        self.history.as_deref().filter(|_| self.id.is_none())
    }

    /// The name of the history of a file that is `node`. Whether it has one is for the folder of that name to say. A meta of before files
    /// had ids names none: those that rightly did have been written anew, so it is a copy's.
    pub fn history(&self, node: &Node) -> String {
        let is_own = self.own_id(node).is_some();
        self.history
            .clone()
            .filter(|_| is_own)
            .unwrap_or_else(|| self.id(node).to_string())
    }

    /// The same, with the hash of the content, for `node`.
    pub fn with_digest(&self, digest: Option<&Digest>, node: &Node) -> Self {
        self.for_node(node, digest, node)
    }

    /// The same for `node`, with a history of this name, of at most 16 bytes.
    pub fn with_history(&self, history: String, node: &Node) -> Self {
        Self {
            history: Some(history),
            ..self.with_digest(self.digest(node).as_ref(), node)
        }
    }

    /// The same for `node`, with another id.
    pub fn with_id(&self, id: FileId, node: &Node) -> Self {
        Self {
            id: Some((id, inode_stamp(node))),
            ..self.clone()
        }
    }

    /// What a file that is `new`, with this hash, has from `old`, in whose place it comes: the id and the history.
    pub fn for_node(&self, old: &Node, digest: Option<&Digest>, new: &Node) -> Self {
        let id = self.id(old);
        let history = self.history(old);
        let history = Some(history).filter(|history| *history != id.to_string());
        Self {
            history,
            ..Self::new(id, digest, new)
        }
    }

    /// The id of what is `node` in a tree that lies here or elsewhere.
    pub fn id_where(&self, lies: TreeLocation, node: &Node) -> FileId {
        let written = self.stored_id().filter(|_| lies == TreeLocation::Relocated);
        written.unwrap_or_else(|| self.id(node))
    }

    /// The same for `new`, in a copy of the whole tree, of what is `old` in the tree, which lies here or elsewhere.
    pub fn for_tree_copy(&self, lies: TreeLocation, old: &Node, new: &Node) -> Self {
        let is_whole = lies == TreeLocation::Relocated || self.own_id(old).is_some();
        let history = self.history.clone().filter(|_| is_whole);
        Self {
            digest: self.digest,
            id: Some((self.id_where(lies, old), inode_stamp(new))),
            history,
        }
    }

    /// Keeps it with a file.
    pub fn store(&self, file: BorrowedFd<'_>) -> SysResult<()> {
        if *self == Self::default() {
            sys::clear_meta(file)
        } else {
            sys::set_meta(file, &self.encode())
        }
    }

    /// As [`store`](Self::store); a file system without attributes, or without room for one, goes without.
    pub fn store_if_supported(&self, file: BorrowedFd<'_>) -> Result<()> {
        match self.store(file) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSPC) => Ok(()),
            Err(e) => Err(map_errno("keep the id and hash of the file", e)),
        }
    }

    fn decode(stored: &[u8]) -> Self {
        if stored.len() == LEGACY {
            return Self::decode_legacy(stored);
        }
        if stored.len() != STORED && stored.len() != MAX_STORED {
            return Self::default();
        }
        let (digest, rest) = take::<DIGEST>(stored);
        let (of, rest) = take::<CHECK>(rest);
        let (id, rest) = take::<ID>(rest);
        let (inode, rest) = take::<INODE>(rest);
        let digest = (digest != [0; DIGEST]).then_some((digest, of));
        Self {
            digest,
            id: Some((FileId::from_bytes(id), u64::from_le_bytes(inode))),
            history: text(rest),
        }
    }

    fn decode_legacy(stored: &[u8]) -> Self {
        let (digest, rest) = take::<DIGEST>(stored);
        let (len, rest) = take::<8>(rest);
        let (time, rest) = take::<8>(rest);
        let of = content_stamp_of(u64::from_le_bytes(len), i64::from_le_bytes(time));
        Self {
            digest: (digest != [0; DIGEST]).then_some((digest, of)),
            id: None,
            history: text(rest),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let (digest, of) = self.digest.unwrap_or_default();
        let (id, inode) = self
            .id
            .map_or(([0; ID], 0), |(id, inode)| (id.to_bytes(), inode));
        let mut stored = [&digest[..], &of, &id, &inode.to_le_bytes()].concat();
        if let Some(history) = &self.history {
            stored.extend(history.bytes().chain(std::iter::repeat(0)).take(HISTORY));
        }
        stored
    }
}

/// The hash of an open file that is `node`, where it is known.
pub(super) fn digest_of(file: BorrowedFd<'_>, node: &Node) -> Option<Digest> {
    FileMeta::of_file(file).ok()?.digest(node)
}

/// Keeps the hash of a file that is `node`, with its id; as [`FileMeta::store_if_supported`].
pub(super) fn note_digest(file: BorrowedFd<'_>, digest: &Digest, node: &Node) -> Result<()> {
    match FileMeta::of_file(file) {
        Ok(meta) => meta
            .with_digest(Some(digest), node)
            .store_if_supported(file),
        Err(Errno::OPNOTSUPP) => Ok(()),
        Err(e) => Err(map_errno("keep the hash of the file", e)),
    }
}

/// Lets the hash of a file that was `old`, if it is known, count for `new`, which has the same content and another time.
pub(super) fn carry_digest(file: BorrowedFd<'_>, old: &Node, new: &Node) -> SysResult<()> {
    let meta = FileMeta::of_file(file)?;
    let Some(digest) = meta.digest(old) else {
        return Ok(());
    };
    meta.with_digest(Some(&digest), new).store(file)
}

/// Gives a file that was just made, and is `node`, an id, and its hash, if it is known; as [`FileMeta::store_if_supported`].
pub(super) fn assign_new_id(
    file: BorrowedFd<'_>,
    digest: Option<&Digest>,
    node: &Node,
) -> Result<()> {
    FileMeta::new(FileId::new()?, digest, node).store_if_supported(file)
}

/// Which inode something lies on: a copy lies on another, or on one that was made later.
fn inode_stamp(node: &Node) -> u64 {
    let [inode, born] = node.inode();
    inode.rotate_left(32) ^ born
}

/// What a content of this length and time is known by; `None` for a time that is centuries away.
fn content_stamp(node: &Node) -> Option<[u8; CHECK]> {
    let time = match node.modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos())
            .ok()
            .map(i64::wrapping_neg),
    };
    Some(content_stamp_of(node.len, time?))
}

fn content_stamp_of(len: u64, time: i64) -> [u8; CHECK] {
    let facts = [len.to_le_bytes(), time.to_le_bytes()].concat();
    blake3::hash(&facts)
        .as_bytes()
        .first_chunk()
        .copied()
        .unwrap_or_default()
}

/// The first bytes, zeros where they are missing, and the rest.
fn take<const N: usize>(stored: &[u8]) -> ([u8; N], &[u8]) {
    stored
        .split_first_chunk()
        .map_or(([0; N], &[]), |(first, rest)| (*first, rest))
}

/// The name of a history, up to the first zero.
fn text(stored: &[u8]) -> Option<String> {
    let len = stored
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(stored.len());
    std::str::from_utf8(stored.get(..len)?)
        .ok()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Where a tree lies, as its metadata say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeLocation {
    /// Where it did when they were written: what bears the meta of another inode is a copy.
    Unmoved,
    /// Elsewhere: all bears metadata of other inodes.
    Relocated,
}
