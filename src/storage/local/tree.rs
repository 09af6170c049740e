//! A tree of plain files as a [`Tree`]: each call goes to the synchronous code, on a thread that may wait where the disk may.

use super::blocking::{run_change, run_read};
use super::list::LocalListing;
use super::missing_features::MissingFeature;
use super::overflow_sweep::schedule_sweep;
use super::read::LocalReader;
use super::root::TreeRoot;
use super::sys::{self, Lookup};
use super::upload::LocalUpload;
use super::{
    LocalTree, change, copy, copy_content, identity, path_limits, props, resumable, scrub, space,
    staging, trash_pending,
};
use crate::model::{Error, RelPath, Result};
use crate::storage::{
    Changed, CopyDepth, DeadProp, Deleted, FileId, InitialContent, Listing, Node, PendingDelete,
    PropChange, Reader, ScrubReport, SpaceRequest, SpaceReservation, Tree, Unshown, Upload, Usage,
    WriteOptions,
};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl Tree for LocalTree {
    async fn stat(&self, path: &RelPath) -> Result<Node> {
        self.look_up(path, |root, path, lookup| root.stat(path, lookup))
            .await
    }

    async fn identify(&self, path: &RelPath) -> Result<(Node, FileId)> {
        self.look_up(path, identity::identify).await
    }

    async fn keep_id(&self, path: &RelPath) -> Result<(Node, FileId)> {
        let path = path.clone();
        self.run_blocking(move |root| identity::persist_id(root, &path))
            .await
    }

    async fn stored_path(&self, path: &RelPath) -> Result<RelPath> {
        let is_plain = path.as_str().is_ascii()
            && !self
                .root
                .missing_features
                .has(MissingFeature::CaseSensitivity);
        if is_plain || self.is_stored_path(path) {
            return Ok(path.clone());
        }
        let wanted = path.clone();
        run_read(&self.root, move |root| {
            let spelled = root.stored_path(&wanted)?;
            let exists = root.stat(&spelled, Lookup::Full).is_ok();
            Ok(if exists { spelled } else { wanted })
        })
        .await
    }

    async fn list(&self, path: &RelPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let open = move |root: &Arc<TreeRoot>, path: &RelPath, lookup| {
            LocalListing::open(root, path, with_props, lookup)
        };
        Ok(Box::new(self.look_up(path, open).await?))
    }

    async fn list_after(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<Box<dyn Listing>> {
        Ok(Box::new(self.list_sorted(path, after, most).await?))
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.look_up(path, LocalReader::open).await?))
    }

    async fn begin_upload(
        &self,
        path: &RelPath,
        start: InitialContent,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>> {
        let upload = match start {
            InitialContent::Empty => {
                self.look_up(path, move |root, path, lookup| {
                    LocalUpload::begin(root, path, room, lookup)
                })
                .await?
            }
            InitialContent::Present => {
                let path = path.clone();
                self.run_blocking(move |root| LocalUpload::begin_from_present(root, &path, room))
                    .await?
            }
        };
        if self.root.usage.is_estimate() {
            self.recount_if_due();
        }
        Ok(Box::new(upload))
    }

    async fn check_space(&self, path: &RelPath, room: SpaceRequest) -> Result<()> {
        let path = path.clone();
        self.run_blocking(move |root| space::check(root, &path, room))
            .await
    }

    async fn check_inodes(&self) -> Result<()> {
        run_read(&self.root, |root| root.check_inodes()).await
    }

    fn refuse_changes(&self) {
        self.root.refuse_changes();
    }

    fn refuses_changes(&self) -> bool {
        self.root.refuses_changes()
    }

    async fn mkdir(&self, path: &RelPath, commit: WriteOptions) -> Result<Changed> {
        let path = path.clone();
        run_change(&self.root, move |root| change::mkdir(root, &path, &commit)).await
    }

    async fn create_staging_dir(&self) -> Result<RelPath> {
        self.run_blocking(|root| staging::create_staging_dir(root))
            .await
    }

    async fn remove_staging_dir(&self, staging_dir: &RelPath) -> Result<()> {
        let staging_dir = staging_dir.clone();
        self.run_blocking(move |root| staging::remove_staging_dir(root, &staging_dir))
            .await?;
        schedule_sweep(&self.root);
        Ok(())
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, commit: WriteOptions) -> Result<Changed> {
        let looks_over = self.needs_depth_check(from, to, &commit);
        let from = from.clone();
        let to = to.clone();
        if looks_over {
            let rename = move |root: &Arc<TreeRoot>| {
                path_limits::check(root, &from, &to, &commit)?;
                change::rename(root, &from, &to, &commit)
            };
            return self.run_blocking(rename).await;
        }
        run_change(&self.root, move |root| {
            change::rename(root, &from, &to, &commit)
        })
        .await
    }

    async fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
        commit: WriteOptions,
    ) -> Result<Changed> {
        let from = from.clone();
        let to = to.clone();
        let copied = self
            .run_blocking(move |root| copy::copy(root, &from, &to, reach, &commit))
            .await;
        schedule_sweep(&self.root);
        copied
    }

    async fn unshown(&self, path: &RelPath) -> Result<Option<Unshown>> {
        let path = path.clone();
        self.run_blocking(move |root| copy_content::find_unshown(root, &path))
            .await
    }

    async fn copy_unshown(&self, from: Unshown, to: &RelPath, commit: WriteOptions) -> Result<()> {
        let to = to.clone();
        self.run_blocking(move |root| copy_content::copy_unshown(root, from, &to, &commit))
            .await
    }

    async fn delete(&self, path: &RelPath, commit: WriteOptions) -> Result<Deleted> {
        let path = path.clone();
        run_change(&self.root, move |root| change::delete(root, &path, &commit)).await
    }

    async fn begin_delete(&self, path: &RelPath, commit: WriteOptions) -> Result<PendingDelete> {
        let path = path.clone();
        run_change(&self.root, move |root| {
            trash_pending::begin_delete(root, &path, &commit)
        })
        .await
    }

    async fn finish_delete(&self, out: &RelPath) -> Result<String> {
        let out = out.clone();
        run_change(&self.root, move |root| {
            trash_pending::finish_delete(root, &out)
        })
        .await
    }

    async fn cancel_delete(&self, out: &RelPath) -> Result<()> {
        let out = out.clone();
        run_change(&self.root, move |root| {
            trash_pending::cancel_delete(root, &out)
        })
        .await
    }

    async fn props(&self, path: &RelPath) -> Result<Vec<DeadProp>> {
        self.look_up(path, |root, path, lookup| props::read(root, path, lookup))
            .await
    }

    async fn set_props(
        &self,
        path: &RelPath,
        changes: Vec<PropChange>,
        commit: WriteOptions,
    ) -> Result<Changed> {
        let path = path.clone();
        let changes = Arc::new(changes);
        if !self.root.is_strict() {
            let path = path.clone();
            let changes = Arc::clone(&changes);
            let commit = commit.clone();
            let set = move |root: &Arc<TreeRoot>| {
                props::set(root, &path, &changes, &commit, Lookup::Cached)
            };
            if let Some(changed) = run_change(&self.root, set).await? {
                return Ok(changed);
            }
        }
        let outcome = self
            .run_blocking(move |root| {
                props::set(root, &path, &changes, &commit, Lookup::Full)?.ok_or(Error::NotFound)
            })
            .await?;
        schedule_sweep(&self.root);
        Ok(outcome)
    }

    async fn create_upload(&self, id: &str, len: u64) -> Result<()> {
        let id = id.to_owned();
        self.run_blocking(move |root| resumable::create(root, &id, len))
            .await
    }

    async fn resume_upload(
        &self,
        id: &str,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>> {
        let id = id.to_owned();
        let path = path.clone();
        Ok(Box::new(
            self.run_blocking(move |root| LocalUpload::resume(root, &id, &path, room))
                .await?,
        ))
    }

    async fn list_uploads(&self) -> Result<Vec<String>> {
        self.run_blocking(|root| resumable::list(root)).await
    }

    async fn abort_upload(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.run_blocking(move |root| resumable::abort(root, &id))
            .await
    }

    async fn reserve_space(
        &self,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn SpaceReservation>> {
        let path = path.clone();
        Ok(Box::new(
            self.run_blocking(move |root| resumable::reserve(root, &path, room))
                .await?,
        ))
    }

    async fn scrub(&self) -> Result<ScrubReport> {
        self.run_blocking(|root| scrub::scrub(sys::fd(&root.dir)))
            .await
    }

    async fn usage(&self) -> Result<Usage> {
        let free = if self.root.disk_access.can_read_inline() {
            self.root.free_bytes()?
        } else {
            run_read(&self.root, |root| root.free_bytes()).await?
        };
        self.recount_if_due();
        let used = match self.root.usage.known() {
            Some(used) => used,
            None => self.run_blocking(|root| root.count_usage()).await?,
        };
        Ok(Usage { used, free })
    }
}
