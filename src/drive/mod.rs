//! What an identity sees and may do: the one way from a request to files, and the one place that authorises.
//! Every change is judged twice: when it begins, so that a refusal is early, and under the tree's guard when it happens.

mod judge;
mod locking;
pub mod locks;
pub mod place;
pub mod terms;
#[cfg(test)]
mod tests;
mod upload;

use crate::content::{Commit, Reach};
use crate::content::{DeadProp, Entry, Listing, Node, PropChange, Reader, Usage};
use crate::model::{Error, Identity, Result, VPath};
use async_trait::async_trait;
use judge::Need;
pub use locking::LockView;
use locks::Locks;
use place::{Access, Place, Root, authorise};
use std::borrow::Cow;
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

    /// Where a path lands, by name alone: the one way from virtual paths to places.
    fn locate<'a>(&self, path: &'a VPath) -> Result<Place<'a>> {
        let scope = &self.identity.scope;
        let below = path.names().count();
        let path = if scope.is_root() { Cow::Borrowed(path) } else { Cow::Owned(path.beneath(scope)?) };
        let (root, rights, quota) = (self.home.clone(), self.identity.rights, self.identity.quota);
        Ok(Place { root, path, rights, quota, below })
    }

    /// Where a path lands; `NotFound` when what the drive is confined to is gone.
    async fn resolve<'a>(&self, path: &'a VPath) -> Result<Place<'a>> {
        let place = self.locate(path)?;
        if !self.identity.scope.is_root() {
            self.home.tree.stat(&self.identity.scope).await.map_err(gone)?;
        }
        Ok(place)
    }

    /// Where a path lands, if `access` is allowed there.
    async fn admitted<'a>(&self, path: &'a VPath, access: Access) -> Result<Place<'a>> {
        let place = self.resolve(path).await?;
        authorise(&place, access)?;
        Ok(place)
    }

    /// What stands at a path.
    pub async fn stat(&self, path: &VPath) -> Result<Node> {
        let place = self.admitted(path, Access::Stat).await?;
        place.root.tree.stat(&place.path).await
    }

    /// What stands at a path, `None` for nothing.
    pub async fn find(&self, path: &VPath) -> Result<Option<Node>> {
        absent_is_none(self.stat(path).await)
    }

    /// Begins to read a folder, with dead properties if asked.
    pub async fn list(&self, path: &VPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let place = self.admitted(path, Access::Stat).await?;
        if authorise(&place, Access::Read).is_err() {
            return Ok(Box::new(Nothing));
        }
        place.root.tree.list(&place.path, with_props).await
    }

    /// Opens a file.
    pub async fn open(&self, path: &VPath) -> Result<Arc<dyn Reader>> {
        let place = self.admitted(path, Access::Read).await?;
        place.root.tree.open(&place.path).await
    }

    /// The dead properties of a file or folder.
    pub async fn props(&self, path: &VPath) -> Result<Vec<DeadProp>> {
        let place = self.admitted(path, Access::Stat).await?;
        if authorise(&place, Access::Read).is_err() {
            return Ok(Vec::new());
        }
        place.root.tree.props(&place.path).await
    }

    /// Changes dead properties and, if given, the modification time: all or nothing.
    pub async fn set_props(
        &self,
        path: &VPath,
        changes: Vec<PropChange>,
        modified: Option<SystemTime>,
        terms: Terms,
    ) -> Result<()> {
        let place = self.admitted(path, Access::Change).await?;
        let commit = Commit { modified, ..self.commit(&place, terms, vec![Need::Content(place.spot())]).await? };
        place.root.tree.set_props(&place.path, changes, commit).await
    }

    /// Makes a folder.
    pub async fn mkdir(&self, path: &VPath, terms: Terms) -> Result<()> {
        let place = self.admitted(path, Access::Change).await?;
        let commit = self.commit(&place, terms, judge::creating(&place)).await?;
        place.root.tree.mkdir(&place.path, commit).await
    }

    /// Moves to the trash; the locks below end.
    pub async fn delete(&self, path: &VPath, terms: Terms) -> Result<()> {
        let place = self.admitted(path, Access::Change).await?;
        refuse_root(&place)?;
        let bench = self.bench(&place, terms, judge::removing(&place)).await?;
        let outcome = place.root.tree.delete(&place.path, bench.commit()).await;
        self.locks.forget(bench.ended()).await;
        outcome
    }

    /// Moves `from` to `to`; the locks on both end, for locks do not follow a move (RFC 4918 section 7.5).
    /// Returns whether nothing stood at `to` before.
    pub async fn rename(&self, from: &VPath, to: &VPath, overwrite: bool, terms: Terms) -> Result<bool> {
        let (source, target) = self.admitted_pair(from, to, Access::Change).await?;
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
        let (source, target) = self.admitted_pair(from, to, Access::Read).await?;
        let node = source.root.tree.stat(&source.path).await?;
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
        let place = self.admitted(path, Access::Stat).await?;
        let Usage { used, free } = place.root.tree.usage().await?;
        let available = place.quota.map_or(u64::MAX, |quota| quota.saturating_sub(used)).min(free);
        let used = if authorise(&place, Access::Read).is_ok() { used } else { 0 };
        Ok(Quota { used, available })
    }

    /// Both ends of a move or copy that needs `access` at its source. One within the other is refused before anything is touched.
    async fn admitted_pair<'a>(
        &self,
        from: &'a VPath,
        to: &'a VPath,
        access: Access,
    ) -> Result<(Place<'a>, Place<'a>)> {
        let (source, target) = (self.admitted(from, access).await?, self.admitted(to, Access::Change).await?);
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

/// What stands at a place, `None` for nothing.
async fn present(place: &Place<'_>) -> Result<Option<Node>> {
    absent_is_none(place.root.tree.stat(&place.path).await)
}

fn absent_is_none(found: Result<Node>) -> Result<Option<Node>> {
    match found {
        Ok(node) => Ok(Some(node)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// However the folder that a drive is confined to has gone, nothing is there.
fn gone(error: Error) -> Error {
    match error {
        Error::ParentMissing | Error::NotFolder => Error::NotFound,
        error => error,
    }
}

/// What a folder shows to those who may only add to it.
struct Nothing;

#[async_trait]
impl Listing for Nothing {
    async fn next_page(&mut self) -> Result<Vec<Entry>> {
        Ok(Vec::new())
    }
}

fn refuse_root(place: &Place<'_>) -> Result<()> {
    if place.below == 0 {
        return Err(Error::Forbidden("The drive itself cannot be moved, replaced or deleted."));
    }
    Ok(())
}
