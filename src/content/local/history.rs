//! The asynchronous face of the history of a tree.

use super::inventory::{self, Filter};
use super::overflow::{self, Sweep};
use super::root::Root;
use super::{
    LocalTree, chronicle, forget, held, pictures, rewind, sweep_props, trashed, upload, versions,
};
use crate::content::history::{Expired, History, Retention, Rewind, Trashed, Version};
use crate::content::{Commit, Put, Reader};
use crate::model::{AccountName, RelPath, Result};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the chronicle reaches back where the trash is kept for ever: as long as versions are kept.
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[async_trait]
impl History for LocalTree {
    async fn trashed_below(
        &self,
        folder: &RelPath,
        who: Option<&AccountName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Trashed>> {
        let (below, who, after) = (folder.clone(), who.cloned(), after.map(str::to_owned));
        let page = move |root: &Arc<Root>| {
            inventory::page(
                root,
                Filter {
                    below: &below,
                    who: who.as_ref(),
                },
                after.as_deref(),
                limit,
            )
        };
        self.run(page).await
    }

    fn trash_at(&self) -> RelPath {
        RelPath::restore(chronicle::TRASH.to_owned())
    }

    async fn trash_item(&self, id: &str) -> Result<Trashed> {
        let id = id.to_owned();
        self.run(move |root| trashed::one(root, id)).await
    }

    async fn untrash(&self, id: &str, to: &RelPath, commit: Commit) -> Result<()> {
        self.untrash_part(id, &RelPath::root(), to, commit).await
    }

    async fn untrash_part(
        &self,
        id: &str,
        inner: &RelPath,
        to: &RelPath,
        commit: Commit,
    ) -> Result<()> {
        let (id, inner, to) = (id.to_owned(), inner.clone(), to.clone());
        self.run(move |root| trashed::restore(root, (&id, &inner), &to, &commit))
            .await
    }

    async fn plan_rewind(
        &self,
        folder: &RelPath,
        moment: SystemTime,
        only: &[RelPath],
    ) -> Result<Rewind> {
        rewind::plan(&self.root, folder.clone(), moment, only.to_vec()).await
    }

    async fn purge(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        let purged = self.run(move |root| trashed::purge(root, &id)).await;
        sweep_props(&self.root);
        purged
    }

    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>> {
        let path = path.clone();
        self.run(move |root| versions::list(root, &path)).await
    }

    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>> {
        let (path, id) = (path.clone(), id.to_owned());
        Ok(Arc::new(
            self.run(move |root| versions::open(root, &path, &id))
                .await?,
        ))
    }

    async fn revert(&self, path: &RelPath, id: &str, commit: Commit) -> Result<Put> {
        let (path, id) = (path.clone(), id.to_owned());
        self.run(move |root| upload::revert::revert(root, &path, &id, &commit))
            .await
    }

    async fn expire(&self, retention: Retention, now: SystemTime) -> Result<Expired> {
        self.run(move |root| {
            if let Err(error) = pictures::expire(root, now) {
                tracing::warn!(%error, "small pictures that nobody looks at are still kept");
            }
            if root.held.until(now).is_some() {
                return Ok(Expired::default());
            }
            let items = trashed::expire(root, retention, now)?;
            chronicle::trim(root, retention.trash.unwrap_or(YEAR), now)?;
            let old = Expired {
                items,
                versions: versions::expire(root, retention.versions, now)?,
            };
            let full = forget::make_room(root, 0, 0)?;
            let beyond = retention
                .room
                .map(|room| forget::fit(root, room))
                .transpose()?
                .unwrap_or_default();
            overflow::sweep(root, Sweep::Whatever);
            Ok(old + full + beyond)
        })
        .await
    }

    async fn hold(&self, until: SystemTime) -> Result<()> {
        self.run(move |root| held::hold(root, until)).await
    }

    fn held(&self) -> Option<SystemTime> {
        self.root.held.until(SystemTime::now())
    }

    async fn count_files(&self, item: Option<&str>) -> Result<u64> {
        let item = item.map(str::to_owned);
        self.run(move |root| held::count_files(root, item.as_deref()))
            .await
    }

    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()> {
        let (path, id) = (path.clone(), id.to_owned());
        self.run(move |root| versions::purge(root, &path, &id))
            .await?;
        sweep_props(&self.root);
        Ok(())
    }
}
