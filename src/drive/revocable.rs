//! What a request was let in by may end while it runs: a credential, a share, a membership, a link. Listings and downloads ask again
//! at each step, uploads before each part, changes when they happen.

use super::access::Access;
use super::mounts::Mount;
use crate::model::{AccessCheck, Result};
use crate::storage::{Digest, DirEntry, Listing, Node, Reader};
use async_trait::async_trait;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;

/// All that something was let in by; a look into memory.
#[derive(Clone, Debug)]
pub struct ReadAccess {
    /// What let the identity in.
    access: Arc<dyn AccessCheck>,
    /// The mount that leads there.
    mount: Option<Arc<Mount>>,
}

impl ReadAccess {
    /// What let an identity in, and the mount it reads in.
    pub fn new(access: Arc<dyn AccessCheck>, mount: Option<Arc<Mount>>) -> Self {
        Self { access, mount }
    }

    /// `AccessEnded` or `NotFound` once it holds no longer.
    pub fn check(&self) -> Result<()> {
        self.access.check()?;
        self.mount
            .as_ref()
            .map_or(Ok(()), |mount| mount.check(Access::Read))
    }

    /// A listing that fails as soon as this holds no longer.
    pub fn revocable_listing(self, inner: Box<dyn Listing>) -> Box<dyn Listing> {
        Box::new(Revocable {
            inner,
            access: self,
        })
    }

    /// A reader that fails as soon as this holds no longer.
    pub fn revocable_reader(self, inner: Arc<dyn Reader>) -> Arc<dyn Reader> {
        Arc::new(Revocable {
            inner,
            access: self,
        })
    }
}

/// What is handed out piece by piece, for as long as the access to it holds.
struct Revocable<T> {
    inner: T,
    access: ReadAccess,
}

#[async_trait]
impl Listing for Revocable<Box<dyn Listing>> {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        self.access.check()?;
        self.inner.next_page().await
    }
}

type ReadFuture<'a> = Pin<Box<dyn Future<Output = Result<Bytes>> + Send + 'a>>;

#[async_trait]
impl Reader for Revocable<Arc<dyn Reader>> {
    fn node(&self) -> &Node {
        self.inner.node()
    }

    fn digest(&self) -> Option<Digest> {
        self.inner.digest()
    }

    async fn cached_thumbnail(&self, size: u32) -> Result<Option<Bytes>> {
        self.access.check()?;
        self.inner.cached_thumbnail(size).await
    }

    async fn cache_thumbnail(&self, size: u32, picture: Bytes) {
        self.inner.cache_thumbnail(size, picture).await;
    }

    // As `async_trait` would write it, but that the reader's own future is handed on: small files are read in one piece.
    fn read_at<'life0, 'async_trait>(
        &'life0 self,
        offset: u64,
        len: usize,
    ) -> ReadFuture<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        match self.access.check() {
            Ok(()) => self.inner.read_at(offset, len),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}
