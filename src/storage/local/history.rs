//! The asynchronous face of the history of a tree.

use super::internal_dirs;
use super::overflow_sweep::{self, SweepMode, schedule_sweep};
use super::root::TreeRoot;
use super::trash_index::TrashFilter;
use super::{
    LocalTree, history_purge, retention_hold, rewind, trash_items, trash_restore, upload, versions,
};
use crate::model::{AccountName, RelPath, Result};
use crate::storage::history::{
    ExpiredCounts, History, Retention, RewindPlan, TrashedItem, Version,
};
use crate::storage::{Changed, PutOutcome, Reader, WriteOptions};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the change log reaches back where the trash is kept for ever: as long as versions are kept.
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[async_trait]
impl History for LocalTree {
    async fn list_trash_below(
        &self,
        folder: &RelPath,
        who: Option<&AccountName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrashedItem>> {
        let below = folder.clone();
        let who = who.cloned();
        let after = after.map(str::to_owned);
        let page = move |root: &Arc<TreeRoot>| {
            root.trash_index.page(
                root,
                TrashFilter {
                    below: &below,
                    who: who.as_ref(),
                },
                after.as_deref(),
                limit,
            )
        };
        self.run_blocking(page).await
    }

    fn trash_root(&self) -> RelPath {
        RelPath::from_stored(internal_dirs::TRASH_FILES.to_owned())
    }

    async fn trash_item(&self, id: &str) -> Result<TrashedItem> {
        let id = id.to_owned();
        self.run_blocking(move |root| trash_items::get(root, id))
            .await
    }

    async fn restore(&self, id: &str, to: &RelPath, commit: WriteOptions) -> Result<Changed> {
        self.restore_part(id, &RelPath::root(), to, commit).await
    }

    async fn restore_part(
        &self,
        id: &str,
        inner: &RelPath,
        to: &RelPath,
        commit: WriteOptions,
    ) -> Result<Changed> {
        let id = id.to_owned();
        let inner = inner.clone();
        let to = to.clone();
        self.run_blocking(move |root| trash_restore::restore(root, (&id, &inner), &to, &commit))
            .await
    }

    async fn plan_rewind(
        &self,
        folder: &RelPath,
        moment: SystemTime,
        only: &[RelPath],
    ) -> Result<RewindPlan> {
        rewind::plan(&self.root, folder.clone(), moment, only.to_vec()).await
    }

    async fn purge(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        let purged = self
            .run_blocking(move |root| trash_items::purge(root, &id))
            .await;
        schedule_sweep(&self.root);
        purged
    }

    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>> {
        let path = path.clone();
        self.run_blocking(move |root| versions::list(root, &path))
            .await
    }

    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>> {
        let path = path.clone();
        let id = id.to_owned();
        Ok(Arc::new(
            self.run_blocking(move |root| versions::open(root, &path, &id))
                .await?,
        ))
    }

    async fn restore_version(
        &self,
        path: &RelPath,
        id: &str,
        commit: WriteOptions,
    ) -> Result<PutOutcome> {
        let path = path.clone();
        let id = id.to_owned();
        self.run_blocking(move |root| {
            upload::restore_version::restore_version(root, &path, &id, &commit)
        })
        .await
    }

    async fn expire(&self, retention: Retention, now: SystemTime) -> Result<ExpiredCounts> {
        self.run_blocking(move |root| {
            if let Err(error) = root.thumbnails.expire(root, now) {
                tracing::warn!(%error, "small pictures that nobody looks at are still kept");
            }
            if root.retention_hold.until(now).is_some() {
                return Ok(ExpiredCounts::default());
            }
            let items = trash_items::expire(root, retention, now)?;
            root.change_log
                .trim(root, retention.trash.unwrap_or(YEAR), now)?;
            let old = ExpiredCounts {
                items,
                versions: versions::expire(root, retention.versions, now)?,
            };
            let full = history_purge::free_space(root, 0, 0)?;
            let beyond = retention
                .max_bytes
                .map(|room| history_purge::purge_to_fit(root, room))
                .transpose()?
                .unwrap_or_default();
            overflow_sweep::sweep(root, SweepMode::Exclusive);
            Ok(old + full + beyond)
        })
        .await
    }

    async fn set_retention_hold(&self, until: SystemTime) -> Result<()> {
        self.run_blocking(move |root| root.retention_hold.set(root, until))
            .await
    }

    fn retention_hold(&self) -> Option<SystemTime> {
        self.root.retention_hold.until(SystemTime::now())
    }

    async fn count_files(&self, item: Option<&str>) -> Result<u64> {
        let item = item.map(str::to_owned);
        self.run_blocking(move |root| retention_hold::count_files(root, item.as_deref()))
            .await
    }

    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()> {
        let path = path.clone();
        let id = id.to_owned();
        self.run_blocking(move |root| versions::purge(root, &path, &id))
            .await?;
        schedule_sweep(&self.root);
        Ok(())
    }
}
