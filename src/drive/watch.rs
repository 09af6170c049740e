//! What a request was let in by may end while it runs: a share, a membership, a link. Listings and downloads ask again at each
//! step, changes when they happen.

use super::mounts::Mount;
use crate::content::{Digest, Entry, Listing, Node, Reader};
use crate::model::Result;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;
use std::sync::Arc;

/// What lets an identity in from outside of the drive; a look into memory.
pub trait Warrant: Debug + Send + Sync {
    /// `NotFound` once it holds no longer.
    fn check(&self) -> Result<()>;
}

/// All that something was let in by.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// What let the identity in.
    pub warrant: Option<Arc<dyn Warrant>>,
    /// The mount that leads there.
    pub mount: Option<Arc<Mount>>,
}

impl Watch {
    /// `NotFound` once it holds no longer.
    pub fn check(&self) -> Result<()> {
        if let Some(warrant) = &self.warrant {
            warrant.check()?;
        }
        if let Some(mount) = &self.mount {
            mount.grant()?;
        }
        Ok(())
    }

    /// Whether there is nothing to ask.
    fn is_idle(&self) -> bool {
        self.warrant.is_none() && self.mount.is_none()
    }

    /// A listing that fails as soon as this holds no longer.
    pub fn listing(self, inner: Box<dyn Listing>) -> Box<dyn Listing> {
        if self.is_idle() { inner } else { Box::new(Watched { inner, watch: self }) }
    }

    /// A reader that fails as soon as this holds no longer.
    pub fn reader(self, inner: Arc<dyn Reader>) -> Arc<dyn Reader> {
        if self.is_idle() { inner } else { Arc::new(Watched { inner, watch: self }) }
    }
}

struct Watched<T> {
    inner: T,
    watch: Watch,
}

#[async_trait]
impl Listing for Watched<Box<dyn Listing>> {
    async fn next_page(&mut self) -> Result<Vec<Entry>> {
        self.watch.check()?;
        self.inner.next_page().await
    }
}

#[async_trait]
impl Reader for Watched<Arc<dyn Reader>> {
    fn node(&self) -> &Node {
        self.inner.node()
    }

    fn digest(&self) -> Option<Digest> {
        self.inner.digest()
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.watch.check()?;
        self.inner.read_at(offset, len).await
    }
}
