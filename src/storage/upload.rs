//! Uploads: how new content comes into a tree, and the space that it takes.

use super::{Changed, Node, WriteOptions};
use crate::model::{RelPath, Result};
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;

/// What an upload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialContent {
    /// Nothing: the upload is the whole new content.
    Empty,
    /// The present content, of which parts are overwritten or appended to; `Empty` where there is none.
    Present,
}

/// How much an upload brings, and may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceRequest {
    /// Bytes expected, if known.
    pub len: Option<u64>,
    /// The most bytes that the tree may hold with the upload in its place and all others that are under way.
    pub limit: Option<u64>,
}

impl SpaceRequest {
    /// Room for so many bytes, without a limit.
    pub const fn of(len: u64) -> Self {
        Self {
            len: Some(len),
            limit: None,
        }
    }
}

/// Room that was promised to an upload; given back when dropped.
pub trait SpaceReservation: Debug + Send + Sync {}

/// A file being written where nobody sees it. Dropping it without `commit` leaves no trace.
#[async_trait]
pub trait Upload: Send + Sync {
    /// Bytes that lie in the upload now (the present content's, when started from that).
    fn len(&self) -> u64;
    /// Whether nothing lies in the upload yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Moves to where the next bytes go; beyond the end is `BadRequest`.
    async fn seek(&mut self, offset: u64) -> Result<()>;
    /// Adds bytes. `NoSpace` when the disk is full or the limit is reached.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;
    /// Takes back all bytes beyond `len`.
    async fn truncate(&mut self, len: u64) -> Result<()>;
    /// Puts all bytes that have come on disk and leaves them there; for resumable uploads. Returns how many they are.
    async fn persist(self: Box<Self>) -> Result<u64>;
    /// Publishes the file: length check against [`WriteOptions::len`] (bytes written, for [`InitialContent::Empty`]), durable content,
    /// conditions, limit and preconditions under the lock of names, one rename, durable folder. Runs to its end once begun.
    /// `ParentMissing`, `IsFolder`, `PreconditionFailed`, `Truncated` and the errors of the preconditions leave all as it was.
    async fn commit(self: Box<Self>, commit: WriteOptions) -> Result<PutOutcome>;
    /// As [`commit`](Self::commit), at the first of these paths that is not refused because of what stands there or is locked:
    /// for whoever must not learn which names are taken. The paths lie in the folder that the upload was begun in.
    async fn commit_first_free(
        self: Box<Self>,
        ways: Vec<(RelPath, WriteOptions)>,
    ) -> Result<PutOutcome>;
}

/// What an upload has become.
#[derive(Clone, Debug)]
pub struct PutOutcome {
    /// The new file.
    pub node: Node,
    /// What the change met, replaced and ended.
    pub changed: Changed,
}

impl PutOutcome {
    /// Whether nothing stood there before.
    pub fn created(&self) -> bool {
        self.changed.created()
    }
}
