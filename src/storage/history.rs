//! What a tree keeps of what was deleted and overwritten: the trash and versions.

mod retention;
mod rewind;

pub use retention::{ExpiredCounts, Retention, VersionThinning, expired_versions};
pub use rewind::{MOST_LOST, RewindPlan, RewindSource, RewindStep, RewindSteps};

use super::{Changed, Node, PutOutcome, Reader, WriteOptions};
use crate::model::{AccountName, RelPath, Result};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::SystemTime;

/// Something in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedItem {
    /// What it is called in the trash; later ids sort before earlier ones.
    pub id: String,
    /// Where it lay.
    pub path: RelPath,
    /// Who deleted or replaced it; `None` when something other than Sarang did.
    pub deleted_by: Option<AccountName>,
    /// When, to the second; `None` when its note does not say.
    pub deleted_at: Option<SystemTime>,
    /// What it is.
    pub node: Node,
}

/// A former content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it is called among the versions of its file.
    pub id: String,
    /// When it was replaced.
    pub replaced_at: SystemTime,
    /// The file as it was.
    pub node: Node,
}
/// The past of a tree. Ids come from outside: one that is not a plain name is `NotFound`.
#[async_trait]
pub trait History: Send + Sync {
    /// What lies in the trash, newest first: up to `limit` items after the one called `after`.
    async fn list_trash(&self, after: Option<&str>, limit: usize) -> Result<Vec<TrashedItem>> {
        self.list_trash_below(&RelPath::root(), None, after, limit)
            .await
    }
    /// As [`list_trash`](Self::list_trash), of what lay below `folder`, by whomever or by `who` alone.
    async fn list_trash_below(
        &self,
        folder: &RelPath,
        who: Option<&AccountName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrashedItem>>;
    /// Where the items can be looked at and read, each under its id: a path for `stat`, `list`, `open` and `props`, and the source of a copy.
    fn trash_root(&self) -> RelPath;
    /// One item; `NotFound`.
    async fn trash_item(&self, id: &str) -> Result<TrashedItem>;
    /// Moves an item back, whole, to `to`, where nothing may stand: `Exists`, `ParentMissing`, `NotFound`.
    async fn restore(&self, id: &str, to: &RelPath, commit: WriteOptions) -> Result<Changed>;
    /// As [`restore`](Self::restore), for a part of an item: what lies at `inner` in it.
    async fn restore_part(
        &self,
        id: &str,
        inner: &RelPath,
        to: &RelPath,
        commit: WriteOptions,
    ) -> Result<Changed>;
    /// What makes the items `only` of `folder`, or all of it if none are named, as they were at `moment`. `NotFound` when it was not there.
    async fn plan_rewind(
        &self,
        folder: &RelPath,
        moment: SystemTime,
        only: &[RelPath],
    ) -> Result<RewindPlan>;
    /// Deletes an item for good, with its versions; `NotFound`.
    async fn purge(&self, id: &str) -> Result<()>;
    /// The former contents of a file, newest first.
    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>>;
    /// Opens a former content; `NotFound`.
    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>>;
    /// Gives a file its former content again, under the commit's conditions; the present one becomes a version.
    async fn restore_version(
        &self,
        path: &RelPath,
        id: &str,
        commit: WriteOptions,
    ) -> Result<PutOutcome>;
    /// Deletes for good what is kept no longer at `now`.
    async fn expire(&self, retention: Retention, now: SystemTime) -> Result<ExpiredCounts>;
    /// Lets nothing expire until then; outlives restarts.
    async fn set_retention_hold(&self, until: SystemTime) -> Result<()>;
    /// Until when nothing expires.
    fn retention_hold(&self) -> Option<SystemTime>;
    /// How many files there are, in the tree or in an item of the trash.
    async fn count_files(&self, item: Option<&str>) -> Result<u64>;
    /// Deletes a former content for good; `NotFound`.
    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()>;
}
