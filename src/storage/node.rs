//! What is known of a file or folder at one moment.

use super::Etag;
use std::time::SystemTime;

/// A file or folder as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Whether it is a folder.
    pub folder: bool,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
    /// When its content last changed, or what the client set.
    pub modified: SystemTime,
    /// When it was made; equals `modified` where the file system does not say.
    pub created: SystemTime,
    /// Distinguishes every content this path ever has.
    pub etag: Etag,
}

impl Node {
    /// A file or folder of which nothing else is known.
    pub const fn unseen(folder: bool) -> Self {
        Self {
            folder,
            len: 0,
            modified: SystemTime::UNIX_EPOCH,
            created: SystemTime::UNIX_EPOCH,
            etag: Etag([0; 4]),
        }
    }

    /// What stays the same for as long as this file or folder exists, wherever it is moved within its tree. A file that is saved
    /// anew is another one: what people mean by a file is its [`FileId`](super::FileId).
    pub const fn inode(&self) -> [u64; 2] {
        let [inode, born, ..] = self.etag.0;
        [inode, born]
    }
}

/// BLAKE3 of a file's content.
pub type Digest = [u8; 32];
