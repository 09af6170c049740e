//! What is kept with a file in one small attribute: the BLAKE3 of its content, with the length and the time that the file had then, and
//! the name of its history. A file that was changed since, by whomever, has another time: its hash is not known, rather than wrong.

use super::os::{self, Errno, Outcome};
use super::root::explain;
use crate::content::{Digest, Node};
use crate::model::Result;
use std::os::fd::BorrowedFd;
use std::time::UNIX_EPOCH;

/// Hash, length, nanoseconds since 1970, history.
const STORED: usize = DIGEST + LEN + TIME + HISTORY;
/// ext4 keeps so much of attributes in a file's inode of 256 bytes, names and 16 bytes each included: with a byte more every file that was
/// overwritten would take a block of its own.
const _: () = assert!(STORED + "sarang".len().next_multiple_of(4) + 16 <= 88, "a label is too long for an inode");
const DIGEST: usize = 32;
const LEN: usize = 8;
const TIME: usize = 8;
const HISTORY: usize = 16;

/// The attribute's value; zeros stand for what is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label([u8; STORED]);

impl Label {
    /// The hash of a file that is `node`, if it is known, and a history of at most 16 bytes, if it has one.
    pub fn new(digest: Option<(&Digest, &Node)>, history: Option<&str>) -> Self {
        let mut stored = [0; STORED];
        let (content, name) = stored.split_at_mut(STORED - HISTORY);
        if let Some((digest, node)) = digest
            && let Some(time) = nanoseconds(node)
        {
            let parts = digest.iter().copied().chain(node.len.to_le_bytes()).chain(time.to_le_bytes());
            content.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        }
        name.iter_mut().zip(history.unwrap_or_default().bytes()).for_each(|(to, from)| *to = from);
        Self(stored)
    }

    /// Of an open file. `EOPNOTSUPP` where the file system has no attributes.
    pub fn of_file(file: BorrowedFd<'_>) -> Outcome<Self> {
        Ok(Self(os::label_fd(file)?.unwrap_or([0; STORED])))
    }

    /// Of a name in a folder, as [`of_file`](Self::of_file).
    pub fn of_name(dir: BorrowedFd<'_>, name: &str) -> Outcome<Self> {
        Ok(Self(os::label_at(dir, name)?.unwrap_or([0; STORED])))
    }

    /// The hash of a file that is `node`.
    pub fn digest(&self, node: &Node) -> Option<Digest> {
        let digest: Digest = self.0.first_chunk().copied().filter(|digest| *digest != [0; DIGEST])?;
        (Self::new(Some((&digest, node)), self.history()) == *self).then_some(digest)
    }

    /// The history that a file belongs to.
    pub fn history(&self) -> Option<&str> {
        let name = self.0.get(STORED - HISTORY..)?;
        let len = name.iter().position(|byte| *byte == 0).unwrap_or(HISTORY);
        std::str::from_utf8(name.get(..len)?).ok().filter(|name| !name.is_empty())
    }

    /// Keeps it with a file.
    pub fn store(&self, file: BorrowedFd<'_>) -> Outcome<()> {
        if self.0 == [0; STORED] { os::clear_label(file) } else { os::set_label(file, &self.0) }
    }

    /// As [`store`](Self::store); a file system without attributes, or without room for one, goes without.
    pub fn offer(&self, file: BorrowedFd<'_>) -> Result<()> {
        match self.store(file) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSPC) => Ok(()),
            Err(e) => Err(explain("keep the hash of the file", e)),
        }
    }
}

/// The hash of an open file that is `node`, where it is known.
pub(super) fn digest_of(file: BorrowedFd<'_>, node: &Node) -> Option<Digest> {
    Label::of_file(file).ok()?.digest(node)
}

/// Keeps the hash of a file that is `node`, and leaves its history; as [`Label::offer`].
pub(super) fn note_digest(file: BorrowedFd<'_>, digest: &Digest, node: &Node) -> Result<()> {
    match Label::of_file(file) {
        Ok(label) => Label::new(Some((digest, node)), label.history()).offer(file),
        Err(Errno::OPNOTSUPP) => Ok(()),
        Err(e) => Err(explain("keep the hash of the file", e)),
    }
}

/// Lets the hash of a file that was `old`, if it is known, count for `new`, which has the same content and another time.
pub(super) fn carry_digest(file: BorrowedFd<'_>, old: &Node, new: &Node) -> Outcome<()> {
    let label = Label::of_file(file)?;
    let Some(digest) = label.digest(old) else { return Ok(()) };
    Label::new(Some((&digest, new)), label.history()).store(file)
}

/// `None` for a time that is centuries away.
fn nanoseconds(node: &Node) -> Option<i64> {
    match node.modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(i64::wrapping_neg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Etag;
    use std::time::{Duration, SystemTime};

    fn node(len: u64, modified: SystemTime) -> Node {
        Node { folder: false, len, modified, created: UNIX_EPOCH, etag: Etag([0; 4]) }
    }

    #[test]
    fn a_hash_is_known_for_what_it_was_made_of_only() {
        let (digest, second) = ([7; DIGEST], Duration::from_secs(1));
        for modified in [UNIX_EPOCH, UNIX_EPOCH - second, SystemTime::now()] {
            let (of, history) = (node(3, modified), Some("18d2c5b1e0a4f993"));
            let label = Label::new(Some((&digest, &of)), history);
            assert_eq!((label.digest(&of), label.history()), (Some(digest), history));
            assert_eq!(label.digest(&node(4, modified)), None);
            assert_eq!(label.digest(&node(3, modified + Duration::from_nanos(1))), None);
        }
        let far = node(3, UNIX_EPOCH + Duration::from_secs(1 << 40));
        assert_eq!(Label::new(Some((&digest, &far)), None).digest(&far), None);
        let nothing = Label::new(None, None);
        assert_eq!((nothing.digest(&node(0, UNIX_EPOCH)), nothing.history()), (None, None));
        assert_eq!(Label::new(None, Some("h1")).history(), Some("h1"));
    }

    #[test]
    fn a_label_of_another_length_is_none() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Label::of_file(os::fd(&file)), Ok(Label::new(None, None)));
        os::set_label(os::fd(&file), b"short").unwrap();
        assert_eq!(Label::of_file(os::fd(&file)), Ok(Label::new(None, None)));
        os::set_label(os::fd(&file), &[b'x'; 65]).unwrap();
        assert_eq!(Label::of_file(os::fd(&file)), Ok(Label::new(None, None)));
        let label = Label::new(Some((&[7; DIGEST], &node(1, UNIX_EPOCH))), Some("h1"));
        label.store(os::fd(&file)).unwrap();
        assert_eq!(Label::of_file(os::fd(&file)), Ok(label));
        Label::new(None, None).store(os::fd(&file)).unwrap();
        assert_eq!(os::label_fd::<STORED>(os::fd(&file)), Ok(None));
    }
}
