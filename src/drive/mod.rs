//! What an identity sees and may do: the one way from a request to files, and the one place that authorizes.
//! Every change is checked twice: when it begins, so that a refusal is early, and under the tree's guard when it happens.

mod access;
mod change_access;
mod changes;
mod checksum;
pub mod context;
mod cross_storage;
mod drop_upload;
mod history;
mod located_path;
mod locking;
pub mod locks;
mod lost_locks;
pub mod mass_change;
mod mounts;
pub mod named_tree;
mod pages;
pub mod preconditions;
mod resolve;
mod resolved_path;
mod resolved_preconditions;
mod resumable_upload;
pub mod revocable;
mod rewind;
#[cfg(test)]
mod tests;
mod upload;
mod visitor_promise;

use crate::model::{Error, Identity, Result, VPath};
use crate::sharing::shares::Share;
use crate::storage::{CopyDepth, DirEntry, FileId, Listing, LockStore, Node, Reader};
use access::Access;
pub use checksum::Checksum;
use context::DriveContext;
pub use located_path::LocatedPath;
pub use locking::LockView;
use mounts::{FixedListing, Mount, MountLookup, Mounts};
use named_tree::NamedTree;
pub use preconditions::RequestPreconditions;
use resolved_path::ResolvedPath;
pub use resumable_upload::{CreatedUpload, Publication};
use revocable::ReadAccess;
pub use rewind::{RewindAction, RewindRequest, RewindSummary, RewoundPath};
use std::sync::Arc;
use std::time::Duration;
pub use upload::{DriveUpload, UploadOptions};

/// How long somebody else's disk is waited for.
const FOREIGN_DISK_TIMEOUT: Duration = Duration::from_secs(5);

/// The tree one identity sees.
#[derive(Clone, Debug)]
pub struct Drive {
    identity: Arc<Identity>,
    home: Arc<NamedTree>,
    locks: Arc<dyn LockStore>,
    context: Option<Arc<DriveContext>>,
    mounts: Option<Arc<Mounts>>,
    single_file: bool,
}

/// Bytes used and left, as the quota properties tell them (RFC 4331).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes used.
    pub used: u64,
    /// Bytes that can still be stored.
    pub available: u64,
}

/// How a copy is made.
#[derive(Clone, Copy, Debug)]
pub struct Copying {
    /// How far down it reaches.
    pub reach: CopyDepth,
    /// Whether it may replace what stands at its target.
    pub overwrite: bool,
}

impl Drive {
    /// The drive of `identity`, whose home is `home`.
    pub fn new(identity: Arc<Identity>, home: Arc<NamedTree>, locks: Arc<dyn LockStore>) -> Self {
        Self {
            identity,
            home,
            locks,
            context: None,
            mounts: None,
            single_file: false,
        }
    }

    /// The same drive with what others share with its account.
    pub async fn with_context(mut self, context: &Arc<DriveContext>) -> Result<Self> {
        self.mounts = Mounts::of(&self.identity, &self.home, context).await?;
        self.context = Some(context.clone());
        Ok(self)
    }

    /// The same drive, whose scope is a file, as a folder with that file as its only entry: clients mount folders.
    #[must_use]
    pub fn as_single_file(mut self) -> Self {
        self.single_file = true;
        self
    }

    /// `AccessEnded`, or `NotFound` by a link, once whoever sees it is let in no longer.
    pub fn check(&self) -> Result<()> {
        self.identity.access.check()
    }

    /// What lets this identity in, and into a mount.
    fn read_access(&self, mount: Option<Arc<Mount>>) -> ReadAccess {
        ReadAccess::new(self.identity.access.clone(), mount)
    }

    /// What must hold for whoever goes on reading below a path.
    pub async fn read_access_at(&self, path: &VPath) -> Result<ReadAccess> {
        let Some(mounts) = &self.mounts else {
            return Ok(self.read_access(None));
        };
        match mounts.lookup(&path.beneath(&self.identity.scope)).await? {
            MountLookup::Mount(mount, _) => Ok(self.read_access(Some(mount))),
            MountLookup::Home | MountLookup::MountFolder(_) | MountLookup::Missing => {
                Ok(self.read_access(None))
            }
        }
    }

    /// Who sees it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What others show to this account, with its path in this drive; not what is gone or may not be shown at present.
    pub async fn incoming(&self) -> Result<Vec<(Arc<Share>, VPath)>> {
        match &self.mounts {
            Some(mounts) => mounts.shares().await,
            None => Ok(Vec::new()),
        }
    }

    /// As [`LocatedPath::identify`].
    pub async fn identify(&self, path: &VPath) -> Result<(Node, FileId)> {
        self.at(path).await?.identify().await
    }

    /// As [`identify`](Self::identify), and keeps the id with the file or folder, for what will be bound to it.
    pub async fn persist_id(&self, path: &VPath) -> Result<(Node, FileId)> {
        let place = self.resolve_authorized(path, Access::Read).await?;
        place.root.tree.keep_id(&place.path).await
    }

    /// As [`LocatedPath::node`].
    pub async fn stat(&self, path: &VPath) -> Result<Node> {
        self.at(path).await?.node().await
    }

    /// What stands at a path, `None` for nothing.
    pub async fn find(&self, path: &VPath) -> Result<Option<Node>> {
        absent_is_none(self.stat(path).await)
    }

    /// As [`LocatedPath::list`].
    pub async fn list(&self, path: &VPath, with_props: bool) -> Result<Box<dyn Listing>> {
        self.at(path).await?.list(with_props).await
    }

    /// As [`LocatedPath::open`].
    pub async fn open(&self, path: &VPath) -> Result<Arc<dyn Reader>> {
        self.at(path).await?.open().await
    }

    /// A listing of what is in memory.
    fn fixed_listing(&self, entries: Vec<DirEntry>) -> Box<dyn Listing> {
        self.read_access(None)
            .revocable_listing(Box::new(FixedListing(entries)))
    }

    /// The only entry of a drive that shows one file.
    async fn single_file_entry(&self, with_props: bool) -> Result<DirEntry> {
        let tree = &self.home.tree;
        let path = &self.identity.scope;
        let props = if with_props {
            tree.props(path).await.map_err(gone)?
        } else {
            Vec::new()
        };
        Ok(DirEntry {
            name: path.name().unwrap_or_default().to_owned(),
            node: tree.stat(path).await.map_err(gone)?,
            props,
        })
    }

    /// The folder in which a drive shows its one file.
    async fn single_file_root(&self) -> Result<Node> {
        let file = self.home.tree.stat(&self.identity.scope).await;
        let Node {
            modified,
            created,
            etag,
            ..
        } = file.map_err(gone)?;
        Ok(Node {
            modified,
            created,
            etag,
            ..Node::unseen(true)
        })
    }
}

/// What stands at a place, `None` for nothing.
async fn present(place: &ResolvedPath<'_>) -> Result<Option<Node>> {
    absent_is_none(place.root.tree.stat(&place.path).await)
}

fn absent_is_none<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a look finds, unless it takes too long: `Busy`. For what lies on a disk that hangs, beside others that do not.
async fn with_timeout<T>(look: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(FOREIGN_DISK_TIMEOUT, look)
        .await
        .unwrap_or(Err(Error::Busy {
            retry_after: FOREIGN_DISK_TIMEOUT,
        }))
}

/// However the folder that a drive is confined to has gone, nothing is there.
fn gone(error: Error) -> Error {
    match error {
        Error::ParentMissing | Error::NotFolder => Error::NotFound,
        error => error,
    }
}
