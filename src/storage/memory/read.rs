//! Folders and files in memory being read: both show what was there when they were opened.

use super::state::{ItemId, MemoryState};
use crate::model::Result;
use crate::storage::{Digest, DirEntry, Listing, Node, Reader};
use async_trait::async_trait;
use bytes::Bytes;

/// The most entries of a page.
const PAGE: usize = 500;

/// A folder as it was.
pub(super) struct MemoryListing(Vec<DirEntry>);

impl MemoryListing {
    pub fn of<'a>(
        state: &MemoryState,
        members: impl Iterator<Item = (&'a String, &'a ItemId)>,
        with_props: bool,
    ) -> Self {
        let entries = members.map(|(name, id)| DirEntry {
            name: name.clone(),
            node: state.node(*id),
            props: if with_props {
                state.item(*id).props.clone()
            } else {
                Vec::new()
            },
        });
        Self(entries.collect())
    }
}

#[async_trait]
impl Listing for MemoryListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        let rest = self.0.split_off(PAGE.min(self.0.len()));
        Ok(std::mem::replace(&mut self.0, rest))
    }
}

/// A content as it was.
pub(super) struct MemoryReader {
    pub node: Node,
    pub bytes: Bytes,
    pub digest: Option<Digest>,
}

#[async_trait]
impl Reader for MemoryReader {
    fn node(&self) -> &Node {
        &self.node
    }

    fn digest(&self) -> Option<Digest> {
        self.digest
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let end = self.bytes.len();
        let from = usize::try_from(offset).map_or(end, |offset| offset.min(end));
        Ok(self.bytes.slice(from..end.min(from.saturating_add(len))))
    }
}
