//! What an identity sees and may do: the one way from a request to files, and the one place that authorises.

pub mod terms;

use crate::content::{DeadProp, Listing, Node, PropChange, Reader};
use crate::model::{Identity, Result, VPath};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
pub use terms::Terms;

/// The tree one identity sees.
#[derive(Clone, Debug)]
pub struct Drive {
    identity: Arc<Identity>,
}

/// Bytes used and left, as the quota properties tell them (RFC 4331).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes used.
    pub used: u64,
    /// Bytes that can still be stored.
    pub available: u64,
}

/// A lock as one identity may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockView {
    /// The token (`urn:uuid:…`); `None` when the lock is another account's.
    pub token: Option<String>,
    /// What was locked; the lock covers it, and all below when `deep`.
    pub root: VPath,
    /// Whether the locked thing is a folder.
    pub root_is_folder: bool,
    /// The `owner` element verbatim, or empty.
    pub owner: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Depth infinity instead of 0.
    pub deep: bool,
    /// Until it ends.
    pub remaining: Duration,
}

impl Drive {
    /// Who sees it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
    /// What stands at a path.
    pub async fn stat(&self, _path: &VPath) -> Result<Node> {
        todo!()
    }
    /// Begins to read a folder, with dead properties if asked.
    pub async fn list(&self, _path: &VPath, _with_props: bool) -> Result<Box<dyn Listing>> {
        todo!()
    }
    /// Opens a file.
    pub async fn open(&self, _path: &VPath) -> Result<Arc<dyn Reader>> {
        todo!()
    }
    /// The dead properties of a file or folder.
    pub async fn props(&self, _path: &VPath) -> Result<Vec<DeadProp>> {
        todo!()
    }
    /// Changes dead properties and, if given, the modification time: all or nothing.
    pub async fn set_props(
        &self,
        _path: &VPath,
        _changes: Vec<PropChange>,
        _modified: Option<SystemTime>,
        _terms: Terms,
    ) -> Result<()> {
        todo!()
    }
    /// Bytes used and left where `path` lies.
    pub async fn quota(&self, _path: &VPath) -> Result<Quota> {
        todo!()
    }
    /// The locks that cover a path, as this identity may see them. Cheap: memory only.
    pub fn locks_on(&self, _path: &VPath) -> Vec<LockView> {
        todo!()
    }
    /// Whether no lock exists anywhere in the drive: listings need not ask for each entry.
    pub fn has_no_locks(&self) -> bool {
        todo!()
    }
}
