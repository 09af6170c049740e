//! A tree in memory, for tests: the second engine behind [`Tree`]. It shares no code with plain files and passes the same contract suites:
//! the seam needs no inode, no path on a disk and no closure. All handles on a tree share one state, which a change locks for its step.

mod change;
mod history;
mod read;
mod rewind;
mod space;
mod state;
mod tests;
mod upload;

use super::{
    Changed, CopyDepth, DeadProp, Deleted, FileId, InitialContent, Listing, Node, PendingDelete,
    PropChange, Reader, ScrubReport, SpaceRequest, SpaceReservation, Tree, TreeLocks, Unshown,
    Upload, Usage, WriteOptions,
};
use crate::model::{Error, RelPath, Result};
use async_trait::async_trait;
use parking_lot::Mutex;
use read::{MemoryListing, MemoryReader};
use space::MemoryReservation;
use state::{MemoryItem, MemoryState, STAGING};
use std::ops::Bound;
use std::sync::Arc;
use upload::MemoryUpload;

/// A handle on a tree in memory.
#[derive(Clone, Debug)]
pub(super) struct MemoryTree(Arc<Shared>);

/// What all handles on a tree share.
#[derive(Debug)]
struct Shared {
    state: Mutex<MemoryState>,
    locks: Option<Arc<dyn TreeLocks>>,
}

impl MemoryTree {
    /// An empty tree, whose changes are checked against these locks.
    pub fn new(locks: Option<Arc<dyn TreeLocks>>) -> Self {
        let state = Mutex::new(MemoryState::new());
        Self(Arc::new(Shared { state, locks }))
    }
}

#[async_trait]
impl Tree for MemoryTree {
    async fn stat(&self, path: &RelPath) -> Result<Node> {
        let state = self.0.state.lock();
        Ok(state.node(state.find(path)?))
    }

    async fn identify(&self, path: &RelPath) -> Result<(Node, FileId)> {
        let state = self.0.state.lock();
        let id = state.find(path)?;
        Ok((state.node(id), state.item(id).file_id))
    }

    async fn keep_id(&self, path: &RelPath) -> Result<(Node, FileId)> {
        self.identify(path).await
    }

    async fn stored_path(&self, path: &RelPath) -> Result<RelPath> {
        let state = self.0.state.lock();
        let found = state.find(path);
        Ok(found.map_or_else(|_| path.clone(), |id| state.path_of(id)))
    }

    async fn list(&self, path: &RelPath, with_props: bool) -> Result<Box<dyn Listing>> {
        let state = self.0.state.lock();
        let members = state.members(path)?.iter();
        Ok(Box::new(MemoryListing::of(&state, members, with_props)))
    }

    async fn list_after(
        &self,
        path: &RelPath,
        after: Option<String>,
        most: usize,
    ) -> Result<Box<dyn Listing>> {
        let state = self.0.state.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = state
            .members(path)?
            .range::<String, _>((from, Bound::Unbounded));
        let members = members.take(most);
        Ok(Box::new(MemoryListing::of(&state, members, false)))
    }

    async fn open(&self, path: &RelPath) -> Result<Arc<dyn Reader>> {
        let state = self.0.state.lock();
        let (id, content) = state.file(path)?;
        Ok(Arc::new(MemoryReader {
            node: state.node(id),
            bytes: content.bytes.clone(),
            digest: content.digest,
        }))
    }

    async fn begin_upload(
        &self,
        path: &RelPath,
        start: InitialContent,
        room: SpaceRequest,
    ) -> Result<Box<dyn Upload>> {
        let upload = MemoryUpload::begin(&self.0, path, start, room)?;
        Ok(Box::new(upload))
    }

    async fn check_space(&self, path: &RelPath, room: SpaceRequest) -> Result<()> {
        let state = self.0.state.lock();
        let len = room.len.unwrap_or_default();
        state.check_disk(len)?;
        state.check_room(len, state.replaced(path).1, room.limit)
    }

    async fn check_inodes(&self) -> Result<()> {
        Ok(())
    }

    fn refuse_changes(&self) {
        self.0.state.lock().is_closed = true;
    }

    fn refuses_changes(&self) -> bool {
        self.0.state.lock().is_closed
    }

    async fn mkdir(&self, path: &RelPath, options: WriteOptions) -> Result<Changed> {
        self.0.mkdir(path, &options)
    }

    async fn create_staging_dir(&self) -> Result<RelPath> {
        let mut state = self.0.state.lock();
        let name = state.next_number().to_string();
        let made = state.add(MemoryItem::folder(STAGING, &name));
        Ok(state.path_of(made))
    }

    async fn remove_staging_dir(&self, staging_dir: &RelPath) -> Result<()> {
        let mut state = self.0.state.lock();
        let found = state.find(staging_dir)?;
        if state.item(found).parent != STAGING {
            return Err(Error::NotFound);
        }
        state.remove(found);
        Ok(())
    }

    async fn rename(&self, from: &RelPath, to: &RelPath, options: WriteOptions) -> Result<Changed> {
        self.0.rename(from, to, &options)
    }

    async fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
        options: WriteOptions,
    ) -> Result<Changed> {
        self.0.copy(from, to, reach, &options)
    }

    async fn unshown(&self, _path: &RelPath) -> Result<Option<Unshown>> {
        Ok(None)
    }

    async fn copy_unshown(
        &self,
        _from: Unshown,
        _to: &RelPath,
        _options: WriteOptions,
    ) -> Result<()> {
        Err(Error::NotCopied("It is of a tree of another kind.".into()))
    }

    async fn delete(&self, path: &RelPath, options: WriteOptions) -> Result<Deleted> {
        self.0.delete(path, &options)
    }

    async fn begin_delete(&self, path: &RelPath, options: WriteOptions) -> Result<PendingDelete> {
        self.0.begin_delete(path, &options)
    }

    async fn finish_delete(&self, out: &RelPath) -> Result<String> {
        self.0.end_delete(out, false)
    }

    async fn cancel_delete(&self, out: &RelPath) -> Result<()> {
        self.0.end_delete(out, true).map(drop)
    }

    async fn props(&self, path: &RelPath) -> Result<Vec<DeadProp>> {
        let state = self.0.state.lock();
        Ok(state.item(state.find(path)?).props.clone())
    }

    async fn set_props(
        &self,
        path: &RelPath,
        changes: Vec<PropChange>,
        options: WriteOptions,
    ) -> Result<Changed> {
        self.0.set_props(path, changes, &options)
    }

    async fn create_upload(&self, id: &str, len: u64) -> Result<()> {
        upload::create(&self.0, check_id(id)?, len)
    }

    async fn resume_upload(
        &self,
        id: &str,
        path: &RelPath,
        _room: SpaceRequest,
    ) -> Result<Box<dyn Upload>> {
        let upload = MemoryUpload::resume(&self.0, check_id(id)?, path)?;
        Ok(Box::new(upload))
    }

    async fn list_uploads(&self) -> Result<Vec<String>> {
        Ok(self.0.state.lock().uploads.keys().cloned().collect())
    }

    async fn abort_upload(&self, id: &str) -> Result<()> {
        self.0.state.lock().uploads.remove(check_id(id)?);
        Ok(())
    }

    async fn reserve_space(
        &self,
        path: &RelPath,
        room: SpaceRequest,
    ) -> Result<Box<dyn SpaceReservation>> {
        let reservation = MemoryReservation::for_resumable(&self.0, path, room)?;
        Ok(Box::new(reservation))
    }

    async fn scrub(&self) -> Result<ScrubReport> {
        Ok(self.0.state.lock().scrub())
    }

    async fn usage(&self) -> Result<Usage> {
        Ok(self.0.state.lock().usage())
    }
}

/// Refuses what is no plain name.
fn check_id(id: &str) -> Result<&str> {
    if id.is_empty() || id.starts_with('.') || id.contains('/') {
        Err(Error::NotFound)
    } else {
        Ok(id)
    }
}
