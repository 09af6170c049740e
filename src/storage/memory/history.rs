//! The trash and the versions of a tree in memory.

use super::MemoryTree;
use super::read::MemoryReader;
use super::state::{FileContent, FormerContent, ItemId, ItemKind, MemoryState, ROOT, TRASH};
use super::upload::{ContentBase, NewContent};
use crate::model::{AccountName, Error, RelPath, Result};
use crate::storage::history::{
    ExpiredCounts, History, Retention, RewindPlan, TrashedItem, Version, VersionThinning,
    expired_versions,
};
use crate::storage::{Changed, PutOutcome, Reader, ScrubReport, WriteOptions};
use async_trait::async_trait;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::SystemTime;

#[async_trait]
impl History for MemoryTree {
    async fn list_trash_below(
        &self,
        folder: &RelPath,
        who: Option<&AccountName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrashedItem>> {
        let state = self.0.state.lock();
        let names = state.notes.keys();
        let names = names.filter(|name| after.is_none_or(|after| name.as_str() > after));
        let items = names.filter_map(|name| state.trashed(name).ok());
        let items = items.map(|(_, item)| item).filter(|item| {
            item.path.is_within(folder) && (who.is_none() || item.deleted_by.as_ref() == who)
        });
        Ok(items.take(limit).collect())
    }

    fn trash_root(&self) -> RelPath {
        self.0.state.lock().path_of(TRASH)
    }

    async fn trash_item(&self, id: &str) -> Result<TrashedItem> {
        self.0.state.lock().trashed(id).map(|(_, item)| item)
    }

    async fn restore(&self, id: &str, to: &RelPath, options: WriteOptions) -> Result<Changed> {
        self.0.restore((id, &RelPath::root()), to, &options)
    }

    async fn restore_part(
        &self,
        id: &str,
        inner: &RelPath,
        to: &RelPath,
        options: WriteOptions,
    ) -> Result<Changed> {
        self.0.restore((id, inner), to, &options)
    }

    async fn plan_rewind(
        &self,
        folder: &RelPath,
        moment: SystemTime,
        only: &[RelPath],
    ) -> Result<RewindPlan> {
        self.0.state.lock().plan_rewind(folder, moment, only)
    }

    async fn purge(&self, id: &str) -> Result<()> {
        self.0.state.lock().purge(id)
    }

    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>> {
        let state = self.0.state.lock();
        let former = state.file(path)?.1.versions.iter();
        Ok(former.map(|former| former.version.clone()).collect())
    }

    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>> {
        let former = self.0.state.lock().version(path, id)?;
        Ok(Arc::new(MemoryReader {
            node: former.version.node,
            bytes: former.bytes,
            digest: former.digest,
        }))
    }

    async fn restore_version(
        &self,
        path: &RelPath,
        id: &str,
        options: WriteOptions,
    ) -> Result<PutOutcome> {
        let content = {
            let state = self.0.state.lock();
            let FormerContent { bytes, digest, .. } = state.version(path, id)?;
            state.check_room(bytes.len() as u64, state.replaced(path).1, options.limit)?;
            NewContent {
                bytes,
                digest,
                base: ContentBase::Nothing,
                promise: None,
            }
        };
        self.0.put(path, &content, &options)
    }

    async fn expire(&self, retention: Retention, now: SystemTime) -> Result<ExpiredCounts> {
        let mut state = self.0.state.lock();
        if state.held_until > now {
            return Ok(ExpiredCounts::default());
        }
        let old = ExpiredCounts {
            items: state.expire_items(retention, now)?,
            versions: state.expire_versions(retention.versions, now),
        };
        let beyond = retention.max_bytes.map(|most| state.purge_to_fit(most));
        Ok(old + beyond.transpose()?.unwrap_or_default())
    }

    async fn set_retention_hold(&self, until: SystemTime) -> Result<()> {
        self.0.state.lock().held_until = until;
        Ok(())
    }

    fn retention_hold(&self) -> Option<SystemTime> {
        let until = self.0.state.lock().held_until;
        Some(until).filter(|until| *until > SystemTime::now())
    }

    async fn count_files(&self, item: Option<&str>) -> Result<u64> {
        let state = self.0.state.lock();
        let top = item.map_or(Ok(ROOT), |item| state.trashed(item).map(|(id, _)| id))?;
        let below = state.below(top);
        let files = below.into_iter().filter(|id| !state.item(*id).is_folder());
        Ok(files.count() as u64)
    }

    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()> {
        let mut state = self.0.state.lock();
        let file = state.file(path)?.0;
        state.purge_version(file, id)
    }
}

impl MemoryState {
    fn version(&self, path: &RelPath, id: &str) -> Result<FormerContent> {
        let mut versions = self.file(path)?.1.versions.iter();
        let found = versions.find(|former| former.version.id == id);
        found.cloned().ok_or(Error::NotFound)
    }

    fn purge(&mut self, name: &str) -> Result<()> {
        let (id, _) = self.trashed(name)?;
        self.remove(id);
        self.notes.remove(name);
        Ok(())
    }

    fn purge_version(&mut self, file: ItemId, id: &str) -> Result<()> {
        let mut is_there = false;
        if let ItemKind::File(FileContent { versions, .. }) = &mut self.item_mut(file).kind {
            is_there = versions.iter().any(|former| former.version.id == id);
            versions.retain(|former| former.version.id != id);
        }
        is_there.then_some(()).ok_or(Error::NotFound)
    }

    fn expire_items(&mut self, retention: Retention, now: SystemTime) -> Result<u64> {
        let is_over = |at: SystemTime| {
            let age = now.duration_since(at).unwrap_or_default();
            retention.trash.is_some_and(|most| age >= most)
        };
        let notes = self.notes.iter().filter(|(_, note)| is_over(note.at));
        let over: Vec<_> = notes.map(|(name, _)| name.clone()).collect();
        // What waits for the trash is not in it.
        let over = over.iter().filter(|name| self.trashed(name).is_ok());
        let over: Vec<_> = over.cloned().collect();
        over.iter().try_for_each(|name| self.purge(name))?;
        Ok(over.len() as u64)
    }

    fn expire_versions(&mut self, thinning: VersionThinning, now: SystemTime) -> u64 {
        let mut count = 0;
        for item in self.items.values_mut() {
            let ItemKind::File(FileContent { versions, .. }) = &mut item.kind else {
                continue;
            };
            let times = versions.iter().map(|former| former.version.replaced_at);
            let over = expired_versions(&times.collect::<Vec<_>>(), thinning, now);
            count += over.len() as u64;
            let mut index = 0..;
            versions.retain(|_| index.next().is_some_and(|index| !over.contains(&index)));
        }
        count
    }

    /// Lets go of the oldest of the history until what is left has at most so many bytes.
    fn purge_to_fit(&mut self, most: u64) -> Result<ExpiredCounts> {
        let mut history = Vec::new();
        for name in self.notes.keys() {
            if let Ok((id, item)) = self.trashed(name) {
                history.push((item.deleted_at, Reverse(name.clone()), self.size(id), None));
            }
        }
        for (file, item) in &self.items {
            if let ItemKind::File(content) = &item.kind {
                history.extend(content.versions.iter().map(|former| {
                    let Version { id, node, .. } = former.version.clone();
                    let at = Some(former.version.replaced_at);
                    (at, Reverse(id), node.len, Some(*file))
                }));
            }
        }
        // The oldest first; of one second, the last name in the trash came first.
        history.sort();
        let mut left: u64 = history.iter().map(|(_, _, bytes, _)| bytes).sum();
        let mut gone = ExpiredCounts::default();
        for (_, Reverse(id), bytes, file) in history {
            if left <= most {
                break;
            }
            left -= bytes;
            let (outcome, count) = match file {
                Some(file) if self.items.contains_key(&file) => {
                    (self.purge_version(file, &id), &mut gone.versions)
                }
                // It went with its file.
                Some(_) => continue,
                None => (self.purge(&id), &mut gone.items),
            };
            outcome?;
            *count += 1;
        }
        Ok(gone)
    }

    /// Hashes what has no hash yet.
    pub fn scrub(&mut self) -> ScrubReport {
        let mut report = ScrubReport::default();
        for item in self.items.values_mut() {
            let ItemKind::File(content) = &mut item.kind else {
                continue;
            };
            let former = content.versions.iter_mut();
            let former = former.map(|former| (&former.bytes, &mut former.digest));
            for (bytes, digest) in former.chain([(&content.bytes, &mut content.digest)]) {
                report.files += 1;
                report.bytes += bytes.len() as u64;
                report.new += u64::from(digest.is_none());
                digest.get_or_insert_with(|| *blake3::hash(bytes).as_bytes());
            }
        }
        report
    }
}
