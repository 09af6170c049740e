//! How files and folders of a tree are read: listings and open files.

use super::{DeadProp, Digest, Node};
use crate::model::Result;
use async_trait::async_trait;
use bytes::Bytes;

/// One name in a folder.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The name, exactly as stored.
    pub name: String,
    /// What it names.
    pub node: Node,
    /// Its dead properties; empty unless the listing was asked to read them.
    pub props: Vec<DeadProp>,
}

/// A folder being read, some hundred entries at a time, in no particular order.
#[async_trait]
pub trait Listing: Send {
    /// The next entries; empty at the end. Fails with the system's error rather than ending short.
    async fn next_page(&mut self) -> Result<Vec<DirEntry>>;
}

/// The most bytes of a small picture that is kept beside its file.
pub const MAX_THUMBNAIL_BYTES: usize = 1 << 20;

/// A file being read. It keeps showing the content it was opened with, whatever happens to the name.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The file as it was when opened.
    fn node(&self) -> &Node;
    /// The hash of its content, where it is known without reading it.
    fn digest(&self) -> Option<Digest>;
    /// Up to `len` bytes from `offset`, at least one unless `offset` is at the end of the file as it is now.
    /// Implementations may return fewer than asked for, never more.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes>;
    /// The small picture that was kept of this very content, with its longest side at most `size`.
    async fn cached_thumbnail(&self, _size: u32) -> Result<Option<Bytes>> {
        Ok(None)
    }
    /// Keeps a small picture of this content, of at most [`MAX_THUMBNAIL_BYTES`] bytes, where it costs no quota, or does without.
    async fn cache_thumbnail(&self, _size: u32, _picture: Bytes) {}
}
