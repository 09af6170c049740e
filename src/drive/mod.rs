//! What an identity sees and may do: the one way from a request to files, and the one place that authorises.
//! Every change is judged twice: when it begins, so that a refusal is early, and under the tree's guard when it happens.

pub mod bursts;
mod carry;
mod changes;
mod checksum;
pub mod commons;
mod dropped;
pub mod groups;
mod hall;
mod judge;
mod landing;
mod locking;
pub mod locks;
pub mod mounts;
mod pages;
mod past;
pub mod place;
mod resumed;
mod rewind;
mod share;
pub mod shares;
mod shown_names;
pub mod teams;
pub mod terms;
#[cfg(test)]
mod tests;
mod trash_names;
mod under_way;
mod upload;
pub mod watch;

use crate::content::{DeadProp, Entry, FileId, Listing, Node, Reach, Reader, Usage};
use crate::model::{Error, Identity, Result, VPath};
pub use checksum::Checksum;
use commons::Commons;
use landing::Landing;
pub use locking::LockView;
use locks::Locks;
use mounts::{Extended, Fixed, Mount, Mounts, Way};
use place::{Access, Place, Root, authorise};
pub use resumed::{Aside, Publication};
pub use rewind::{Change, Report, Rewound, Wish};
use shares::Share;
use std::sync::Arc;
use std::time::Duration;
pub use terms::Terms;
pub use upload::{Announced, DriveUpload};
use watch::Watch;

/// How long somebody else's disk is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tree one identity sees.
#[derive(Clone, Debug)]
pub struct Drive {
    identity: Arc<Identity>,
    home: Arc<Root>,
    locks: Arc<Locks>,
    commons: Option<Arc<Commons>>,
    mounts: Option<Arc<Mounts>>,
    encased: bool,
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
    pub reach: Reach,
    /// Whether it may replace what stands at its target.
    pub overwrite: bool,
}

impl Drive {
    /// The drive of `identity`, whose home is `home`.
    pub fn new(identity: Arc<Identity>, home: Arc<Root>, locks: Arc<Locks>) -> Self {
        Self {
            identity,
            home,
            locks,
            commons: None,
            mounts: None,
            encased: false,
        }
    }

    /// The same drive with what others share with its account.
    pub async fn among(mut self, commons: &Arc<Commons>) -> Result<Self> {
        self.mounts = Mounts::of(&self.identity, &self.home, commons).await?;
        self.commons = Some(commons.clone());
        Ok(self)
    }

    /// The same drive, whose scope is a file, as a folder with that file as its only entry: clients mount folders.
    #[must_use]
    pub fn encased(mut self) -> Self {
        self.encased = true;
        self
    }

    /// `AccessEnded`, or `NotFound` by a link, once whoever sees it is let in no longer.
    pub fn check(&self) -> Result<()> {
        self.identity.access.check()
    }

    /// What lets this identity in, and into a mount.
    fn watch(&self, mount: Option<Arc<Mount>>) -> Watch {
        Watch::new(self.identity.access.clone(), mount)
    }

    /// What must hold for whoever goes on reading below a path.
    pub async fn watch_at(&self, path: &VPath) -> Result<Watch> {
        let Some(mounts) = &self.mounts else {
            return Ok(self.watch(None));
        };
        match mounts.find_way(&path.beneath(&self.identity.scope)).await? {
            Way::Mount(mount, _) => Ok(self.watch(Some(mount))),
            Way::Home | Way::Hall(_) | Way::Nowhere => Ok(self.watch(None)),
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

    /// What stands at a path, and which file or folder that is; `NotFound` for a folder of mounts.
    pub async fn identify(&self, path: &VPath) -> Result<(Node, FileId)> {
        match self.resolve(path).await? {
            Landing::Place(place) => {
                authorise(&place, Access::Stat)?;
                place.root.tree.identify(&place.path).await
            }
            Landing::Hall(_) | Landing::Case | Landing::Nowhere => Err(Error::NotFound),
        }
    }

    /// As [`identify`](Self::identify), and keeps the id with the file or folder, for what will be bound to it.
    pub async fn keep_id(&self, path: &VPath) -> Result<(Node, FileId)> {
        let place = self.admitted(path, Access::Read).await?;
        place.root.tree.keep_id(&place.path).await
    }

    /// What stands at a path.
    pub async fn stat(&self, path: &VPath) -> Result<Node> {
        match self.resolve(path).await? {
            Landing::Place(place) => {
                authorise(&place, Access::Stat)?;
                place.root.tree.stat(&place.path).await
            }
            Landing::Hall(hall) => Ok(hall.node()),
            Landing::Case => {
                let Node {
                    modified,
                    created,
                    etag,
                    ..
                } = self
                    .home
                    .tree
                    .stat(&self.identity.scope)
                    .await
                    .map_err(gone)?;
                Ok(Node {
                    modified,
                    created,
                    etag,
                    ..Node::unseen(true)
                })
            }
            Landing::Nowhere => Err(Error::NotFound),
        }
    }

    /// What stands at a path, `None` for nothing.
    pub async fn find(&self, path: &VPath) -> Result<Option<Node>> {
        absent_is_none(self.stat(path).await)
    }

    /// Begins to read a folder, with dead properties if asked. Those who may only add to it see nothing in it.
    pub async fn list(&self, path: &VPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let place = match self.resolve(path).await? {
            Landing::Place(place) => place,
            Landing::Hall(hall) => return Ok(self.fixed(hall.entries(with_props).await?)),
            Landing::Case => return Ok(self.fixed(vec![self.encased_file(with_props).await?])),
            Landing::Nowhere => return Err(Error::NotFound),
        };
        authorise(&place, Access::Stat)?;
        if authorise(&place, Access::Read).is_err() {
            return Ok(self.fixed(Vec::new()));
        }
        let inner = place.root.tree.list(&place.path, with_props).await?;
        let listing = match (&self.mounts, &place.mount) {
            (_, Some(mount)) => mount.listing(&place.path, inner),
            (Some(mounts), None) if place.path.is_root() => Box::new(Extended {
                inner,
                extra: mounts.entries().await,
            }),
            _ => inner,
        };
        Ok(self.watch(place.mount).listing(listing))
    }

    /// A listing of what is in memory.
    fn fixed(&self, entries: Vec<Entry>) -> Box<dyn Listing> {
        self.watch(None).listing(Box::new(Fixed(entries)))
    }

    /// The only entry of a drive that shows one file.
    async fn encased_file(&self, with_props: bool) -> Result<Entry> {
        let (tree, path) = (&self.home.tree, &self.identity.scope);
        let props = if with_props {
            tree.props(path).await.map_err(gone)?
        } else {
            Vec::new()
        };
        let (name, node) = (
            path.name().unwrap_or_default().to_owned(),
            tree.stat(path).await.map_err(gone)?,
        );
        Ok(Entry { name, node, props })
    }

    /// Opens a file.
    pub async fn open(&self, path: &VPath) -> Result<Arc<dyn Reader>> {
        let place = match self.resolve(path).await? {
            Landing::Place(place) => place,
            Landing::Hall(_) | Landing::Case => return Err(Error::IsFolder),
            Landing::Nowhere => return Err(Error::NotFound),
        };
        authorise(&place, Access::Read)?;
        let reader = place.root.tree.open(&place.path).await?;
        Ok(self.watch(place.mount).reader(reader))
    }

    /// The dead properties of a file or folder.
    pub async fn props(&self, path: &VPath) -> Result<Vec<DeadProp>> {
        let Landing::Place(place) = self.resolve(path).await? else {
            return Ok(Vec::new());
        };
        authorise(&place, Access::Stat)?;
        if authorise(&place, Access::Read).is_err() {
            return Ok(Vec::new());
        }
        place.root.tree.props(&place.path).await
    }

    /// Bytes used and left where `path` lies.
    pub async fn quota(&self, path: &VPath) -> Result<Quota> {
        let place = match self.resolve(path).await? {
            Landing::Place(place) => place,
            Landing::Hall(_) | Landing::Case => self.top(),
            Landing::Nowhere => return Err(Error::NotFound),
        };
        authorise(&place, Access::Stat)?;
        let Usage { used, free } = place.root.tree.usage().await?;
        let available = place
            .quota
            .map_or(u64::MAX, |quota| quota.saturating_sub(used))
            .min(free);
        let used = if authorise(&place, Access::Read).is_ok() {
            used
        } else {
            0
        };
        Ok(Quota { used, available })
    }
}

/// What stands at a place, `None` for nothing.
async fn present(place: &Place<'_>) -> Result<Option<Node>> {
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
async fn timely<T>(look: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, look)
        .await
        .unwrap_or(Err(Error::Busy {
            retry_after: PATIENCE,
        }))
}

/// However the folder that a drive is confined to has gone, nothing is there.
fn gone(error: Error) -> Error {
    match error {
        Error::ParentMissing | Error::NotFolder => Error::NotFound,
        error => error,
    }
}
