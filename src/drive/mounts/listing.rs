//! Listings that mounts add entries to, and listings of what is in memory.

use crate::model::Result;
use crate::storage::{DirEntry, Listing};
use async_trait::async_trait;

/// A listing with more entries at its end.
pub struct ExtendedListing {
    /// What is listed first.
    pub inner: Box<dyn Listing>,
    /// The entries after it.
    pub extra: Vec<DirEntry>,
}

#[async_trait]
impl Listing for ExtendedListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        let page = self.inner.next_page().await?;
        Ok(if page.is_empty() {
            std::mem::take(&mut self.extra)
        } else {
            page
        })
    }
}

/// A listing of nothing but these.
pub struct FixedListing(pub Vec<DirEntry>);

#[async_trait]
impl Listing for FixedListing {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        Ok(std::mem::take(&mut self.0))
    }
}
