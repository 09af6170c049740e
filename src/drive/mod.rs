//! What an identity sees and may do: the one way from a request to files, and the one place that authorises.
//! Every change is judged twice: when it begins, so that a refusal is early, and under the tree's guard when it happens.

mod judge;
mod locking;
pub mod locks;
pub mod place;
pub mod terms;
mod upload;

use crate::content::{Commit, Reach};
use crate::content::{DeadProp, Listing, Node, PropChange, Reader, Usage};
use crate::model::{Error, Identity, Result, VPath};
use judge::Need;
pub use locking::LockView;
use locks::Locks;
use place::{Place, Root};
use std::sync::Arc;
use std::time::SystemTime;
pub use terms::Terms;
pub use upload::{Announced, DriveUpload};

/// The tree one identity sees.
#[derive(Clone, Debug)]
pub struct Drive {
    identity: Arc<Identity>,
    home: Arc<Root>,
    locks: Arc<Locks>,
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
        Self { identity, home, locks }
    }

    /// Who sees it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where a path lands.
    pub fn resolve(&self, path: &VPath) -> Place {
        Place { root: self.home.clone(), path: path.clone() }
    }

    /// What stands at a path.
    pub async fn stat(&self, path: &VPath) -> Result<Node> {
        self.home.tree.stat(path).await
    }

    /// What stands at a path, `None` for nothing.
    pub async fn find(&self, path: &VPath) -> Result<Option<Node>> {
        match self.stat(path).await {
            Ok(node) => Ok(Some(node)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to read a folder, with dead properties if asked.
    pub async fn list(&self, path: &VPath, with_props: bool) -> Result<Box<dyn Listing>> {
        self.home.tree.list(path, with_props).await
    }

    /// Opens a file.
    pub async fn open(&self, path: &VPath) -> Result<Arc<dyn Reader>> {
        self.home.tree.open(path).await
    }

    /// The dead properties of a file or folder.
    pub async fn props(&self, path: &VPath) -> Result<Vec<DeadProp>> {
        self.home.tree.props(path).await
    }

    /// Changes dead properties and, if given, the modification time: all or nothing.
    pub async fn set_props(
        &self,
        path: &VPath,
        changes: Vec<PropChange>,
        modified: Option<SystemTime>,
        terms: Terms,
    ) -> Result<()> {
        let place = self.resolve(path);
        let commit = Commit { modified, ..self.commit(&place, terms, vec![Need::Content(place.spot())]).await? };
        place.root.tree.set_props(&place.path, changes, commit).await
    }

    /// Makes a folder.
    pub async fn mkdir(&self, path: &VPath, terms: Terms) -> Result<()> {
        let place = self.resolve(path);
        let commit = self.commit(&place, terms, judge::creating(&place)).await?;
        place.root.tree.mkdir(&place.path, commit).await
    }

    /// Moves to the trash; the locks below end.
    pub async fn delete(&self, path: &VPath, terms: Terms) -> Result<()> {
        let place = self.resolve(path);
        refuse_root(&place)?;
        let bench = self.bench(&place, terms, judge::removing(&place)).await?;
        let outcome = place.root.tree.delete(&place.path, bench.commit()).await;
        self.locks.forget(bench.ended()).await;
        outcome
    }

    /// Moves `from` to `to`; the locks on both end, for locks do not follow a move (RFC 4918 section 7.5).
    /// Returns whether nothing stood at `to` before.
    pub async fn rename(&self, from: &VPath, to: &VPath, overwrite: bool, terms: Terms) -> Result<bool> {
        let (source, target) = self.resolve_pair(from, to)?;
        refuse_root(&source)?;
        let needs = judge::removing(&source).into_iter().chain(judge::replacing(&target)).collect();
        let bench = self.bench(&source, terms, needs).await?;
        let commit = Commit { overwrite, ..bench.commit() };
        let outcome = source.root.tree.rename(&source.path, &target.path, commit).await;
        self.locks.forget(bench.ended()).await;
        outcome
    }

    /// Copies `from` to `to`, within the quota. Returns whether nothing stood at `to` before.
    pub async fn copy(&self, from: &VPath, to: &VPath, copying: Copying, terms: Terms) -> Result<bool> {
        let Copying { reach, overwrite } = copying;
        let (source, target) = self.resolve_pair(from, to)?;
        let node = self.stat(from).await?;
        // Of a folder nobody knows the length before it is copied.
        let room = self.admit_bytes(&target, node.len, 0).await?;
        let bench = self.bench(&source, terms, judge::replacing(&target)).await?;
        let commit = Commit { overwrite, room, ..bench.commit() };
        let outcome = source.root.tree.copy(&source.path, &target.path, reach, commit).await;
        // A shallow copy of a folder may have kept what stood at the target.
        let replaces = !node.folder || reach == Reach::Deep;
        if replaces && !matches!(outcome, Ok(true)) {
            self.locks.forget(bench.ended()).await;
        }
        outcome
    }

    /// Bytes used and left where `path` lies.
    pub async fn quota(&self, path: &VPath) -> Result<Quota> {
        let Usage { used, free } = self.resolve(path).root.tree.usage().await?;
        let allowed = self.identity.quota.map_or(u64::MAX, |quota| quota.saturating_sub(used));
        Ok(Quota { used, available: allowed.min(free) })
    }

    /// Both ends of a move or copy. One within the other is refused before anything is touched.
    fn resolve_pair(&self, from: &VPath, to: &VPath) -> Result<(Place, Place)> {
        let (source, target) = (self.resolve(from), self.resolve(to));
        refuse_root(&target)?;
        if from != to && source.spot() == target.spot() {
            return Ok((source, target));
        }
        if target.spot().path.is_within(&source.spot().path) || source.spot().path.is_within(&target.spot().path) {
            return Err(Error::Forbidden(
                "A folder cannot be moved or copied onto itself, into itself or over what holds it.",
            ));
        }
        Ok((source, target))
    }
}

fn refuse_root(place: &Place) -> Result<()> {
    if place.path.is_root() {
        return Err(Error::Forbidden("The drive itself cannot be moved, replaced or deleted."));
    }
    Ok(())
}
