//! What a tree keeps of what was deleted and overwritten: the trash and versions.

use super::{Commit, Node, Put, Reader};
use crate::model::{AccountName, RelPath, Result};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::SystemTime;

/// Something in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trashed {
    /// What it is called in the trash; later ids sort before earlier ones.
    pub id: String,
    /// Where it lay.
    pub path: RelPath,
    /// Who deleted or replaced it; `None` when something other than Sarang did.
    pub who: Option<AccountName>,
    /// When, to the second; `None` when its note does not say.
    pub when: Option<SystemTime>,
    /// What it is.
    pub node: Node,
}

/// A former content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it is called among the versions of its file.
    pub id: String,
    /// When it was replaced.
    pub replaced: SystemTime,
    /// The file as it was.
    pub node: Node,
}

/// The past of a tree. Ids come from outside: one that is not a plain name is `NotFound`.
#[async_trait]
pub trait History: Send + Sync {
    /// What lies in the trash, newest first: up to `limit` items after the one called `after`.
    async fn trashed(&self, after: Option<&str>, limit: usize) -> Result<Vec<Trashed>>;
    /// Moves an item back, whole, to `to`, where nothing may stand: `Exists`, `ParentMissing`, `NotFound`.
    async fn untrash(&self, id: &str, to: &RelPath, commit: Commit) -> Result<()>;
    /// Deletes an item for good, with its versions; `NotFound`.
    async fn purge(&self, id: &str) -> Result<()>;
    /// The former contents of a file, newest first.
    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>>;
    /// Opens a former content; `NotFound`.
    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>>;
    /// Gives a file its former content again, under the commit's conditions; the present one becomes a version.
    async fn revert(&self, path: &RelPath, id: &str, commit: Commit) -> Result<Put>;
    /// Deletes a former content for good; `NotFound`.
    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()>;
}
