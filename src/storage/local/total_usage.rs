//! How much the files and the history of a tree hold together. An overwrite keeps what it replaces, so that somebody who saves one large file
//! again and again would fill the disk between two looks of the hourly job. So what has come is added up: when it may be beyond the bound,
//! the tree is counted in the background and the oldest of the history goes. What is only announced lets nothing go. While the history is
//! held nothing goes, and more is refused.

use super::blocking::spawn;
use super::root::TreeRoot;
use super::{history_purge, retention_hold};
use crate::model::Result;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::runtime::Handle;

/// What may lie beside a small quota.
const LEAST: u64 = 64 << 20;

/// What the files and the history of a tree come to.
#[derive(Debug, Default)]
pub(super) struct TotalUsage(Mutex<TotalSum>);

#[derive(Debug, Default)]
struct TotalSum {
    /// Bytes when they were last counted. What was purged since is still among them: only a count takes it out.
    counted: Option<u64>,
    /// Bytes that have come since the tree was opened, and how many of them were there at that count.
    came: u64,
    came_at_count: u64,
    /// From how many bytes on to count again, where that is not the bound.
    next: Option<u64>,
    is_counting: bool,
    /// Whether something was purged since the last count began.
    has_purged: bool,
}

impl TotalSum {
    /// Bytes that have come since the last count; where nothing was counted, since the tree was opened first or after a crash.
    fn since(&self) -> u64 {
        self.came.saturating_sub(self.came_at_count)
    }

    fn is_due(&self, limit: u64) -> bool {
        let usual = self.counted.map_or(beside(limit) / 4, |_| most(limit));
        self.counted.unwrap_or(0).saturating_add(self.since()) > self.next.unwrap_or(usual)
    }

    fn is_beyond_held(&self, limit: u64, len: u64) -> bool {
        let with = self
            .counted
            .map(|counted| counted.saturating_add(self.since()).saturating_add(len));
        with.is_some_and(|with| with > most(limit).saturating_add(beside(limit)))
    }
}

/// What the history may have beside the files, between two hours.
fn beside(limit: u64) -> u64 {
    limit.max(LEAST)
}

fn most(limit: u64) -> u64 {
    limit.saturating_add(beside(limit))
}

fn is_held(root: &TreeRoot) -> bool {
    root.retention_hold.until(SystemTime::now()).is_some()
}

impl TotalUsage {
    /// As it was when the tree was closed: what had been counted, and what had come since.
    pub fn restored((counted, came): (Option<u64>, u64)) -> Self {
        Self(Mutex::new(TotalSum {
            counted,
            came,
            ..TotalSum::default()
        }))
    }

    /// What was counted, and what has come since.
    pub fn snapshot(&self) -> (Option<u64>, u64) {
        let sum = self.0.lock();
        (sum.counted, sum.since())
    }

    /// Notes that something of the history was purged: there may be room again where there was none.
    pub fn note_purged(&self) {
        self.0.lock().has_purged = true;
    }

    /// Forgets what was counted, and has it counted with the next change: something of unknown size has come.
    pub fn invalidate(&self) {
        let mut sum = self.0.lock();
        (sum.counted, sum.next) = (None, Some(0));
    }
}

/// Refuses `len` more bytes with `LimitReached` while the history is held and has twice as much as is beside the files else: there is room
/// for what a program that encrypts everything has replaced. `None` when that cannot be said without counting ([`find_out`]).
pub(super) fn check_hold_limit(root: &TreeRoot, limit: u64, len: u64) -> Option<Result<()>> {
    let (is_beyond, has_purged) = {
        let sum = root.total_usage.0.lock();
        (sum.is_beyond_held(limit, len), sum.has_purged)
    };
    match is_beyond && is_held(root) {
        false => Some(Ok(())),
        true if has_purged => None,
        true => Some(Err(retention_hold::NO_SPACE_WHILE_HELD)),
    }
}

/// Counts what must be known before it can be said whether there is room. Waits for the disk.
pub(super) fn count_if_unknown(root: &TreeRoot, limit: Option<u64>) -> Result<()> {
    root.usage.count(root)?;
    let has_purged = root.total_usage.0.lock().has_purged;
    if let Some(limit) = limit.filter(|_| has_purged && is_held(root)) {
        recount_and_trim(root, limit);
    }
    Ok(())
}

/// Notes that so many bytes have come. Where files and history may be beyond the bound, that is looked at in the background.
pub(super) fn note(root: &Arc<TreeRoot>, bytes: u64, limit: Option<u64>) {
    let mut sum = root.total_usage.0.lock();
    sum.came = sum.came.saturating_add(bytes);
    let Some(limit) = limit.filter(|limit| !sum.is_counting && sum.is_due(*limit)) else {
        return;
    };
    if Handle::try_current().is_ok()
        && let Some(turn) = root.disk_access.slots.try_acquire()
    {
        sum.is_counting = true;
        // Not awaited: whoever saves need not wait until the history is smaller.
        drop(spawn(root, turn.unmeasured(), move |root| {
            recount_and_trim(root, limit);
            root.total_usage.0.lock().is_counting = false;
            Ok(())
        }));
    }
}

/// Counts, and lets the oldest of the history go down to some way below the bound; the hourly job does the rest.
fn recount_and_trim(root: &TreeRoot, limit: u64) {
    let came = {
        let mut sum = root.total_usage.0.lock();
        sum.has_purged = false;
        sum.came
    };
    let outcome = fit(root, limit);
    let mut sum = root.total_usage.0.lock();
    let more = beside(limit) / 8;
    match outcome {
        Ok(total) => {
            (sum.counted, sum.came_at_count) = (Some(total), came.max(sum.came_at_count));
            sum.next = Some(most(limit).max(total.saturating_add(more)));
        }
        Err(error) => {
            tracing::warn!(%error, "it could not be looked how much the history of a drive holds");
            sum.next = Some(
                sum.counted
                    .unwrap_or(0)
                    .saturating_add(sum.since())
                    .saturating_add(more),
            );
        }
    }
}

fn fit(root: &TreeRoot, limit: u64) -> Result<u64> {
    let live = root.usage.count(root)?;
    let _one_at_a_time = root.purge_lock.lock();
    let all = history_purge::oldest_first(root)?;
    let total = all
        .iter()
        .fold(live, |sum, former| sum.saturating_add(former.bytes));
    let most = most(limit);
    if total <= most || is_held(root) {
        return Ok(total);
    }
    let (gone, bytes) =
        history_purge::purge_bytes(root, all, total.saturating_sub(most - beside(limit) / 4))?;
    tracing::info!(
        items = gone.items,
        versions = gone.versions,
        "files and history outgrew their bound: let go of the oldest of the history"
    );
    Ok(total.saturating_sub(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::LocalTree;
    use super::super::tests::RELAXED;
    use super::*;
    use crate::model::Error;
    use crate::storage::contract::{TestTree, commit, path};
    use crate::storage::history::History as _;
    use crate::storage::{CopyDepth, InitialContent, SpaceRequest, Tree as _, WriteOptions};
    use std::path::Path;
    use std::time::Duration;

    const PIECE: u64 = LEAST / 4;

    fn limited(limit: u64) -> WriteOptions {
        WriteOptions {
            limit: Some(limit),
            ..commit()
        }
    }

    async fn save(tree: &Arc<LocalTree>, name: &str, n: u8, limit: u64) -> Result<()> {
        let room = SpaceRequest {
            len: Some(PIECE),
            limit: Some(limit),
        };
        let mut upload = tree
            .begin_upload(&path(name), InitialContent::Empty, room)
            .await?;
        upload
            .write(vec![n; usize::try_from(PIECE).unwrap()].into())
            .await?;
        upload.commit(limited(limit)).await?;
        counted(tree).await;
        Ok(())
    }

    /// Waits until nothing is looked at in the background.
    async fn counted(tree: &Arc<LocalTree>) {
        while tree.root.total_usage.0.lock().is_counting {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Bytes of all files below a folder, the tree's own among them.
    fn on_disk(dir: &Path) -> u64 {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let sizes = entries.map(|entry| match entry.metadata().unwrap() {
            found if found.is_dir() => on_disk(&entry.path()),
            found => found.len(),
        });
        sizes.sum::<u64>()
    }

    /// The notes and the chronicle are small.
    fn is_within(dir: &Path, bytes: u64) -> bool {
        on_disk(dir) <= bytes + (1 << 20)
    }

    async fn versions(tree: &Arc<LocalTree>, name: &str) -> Vec<String> {
        let tree: TestTree = tree.clone();
        tree.versions(&path(name))
            .await
            .unwrap()
            .into_iter()
            .map(|version| version.id)
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_overwrites_a_file_again_and_again_lets_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        // However often the tree is closed and opened again.
        for n in 0..40 {
            save(&tree, "big", n, LEAST).await.unwrap();
            assert!(
                is_within(dir.path(), 2 * LEAST),
                "{n}: {}",
                on_disk(dir.path())
            );
            if n > 20 {
                let Ok(closed) = LocalTree::close(tree) else {
                    panic!("it is in use")
                };
                closed.save_usage();
                tree = LocalTree::open(dir.path(), RELAXED).unwrap();
            }
        }
        assert!(versions(&tree, "big").await.len() >= 3, "the newest stay");
        for n in 0..20 {
            let to = path(if n % 2 == 0 { "copy" } else { "other" });
            tree.copy(&path("big"), &to, CopyDepth::Infinity, limited(LEAST))
                .await
                .unwrap();
            counted(&tree).await;
            assert!(
                is_within(dir.path(), 2 * LEAST),
                "{n}: {}",
                on_disk(dir.path())
            );
        }
        assert_eq!(tree.usage().await.unwrap().used, 3 * PIECE);
    }

    /// Purging one version of many says nothing of how much there is.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_purges_a_version_between_two_saves_gets_no_further() {
        for is_held in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
            if is_held {
                tree.set_retention_hold(SystemTime::now() + Duration::from_secs(3600))
                    .await
                    .unwrap();
            }
            let mut refused = 0;
            for n in 0..30 {
                refused += u32::from(save(&tree, "big", n, LEAST).await.is_err());
                let mut upload = tree
                    .begin_upload(&path("small"), InitialContent::Empty, SpaceRequest::of(1))
                    .await
                    .unwrap();
                upload.write(vec![n].into()).await.unwrap();
                upload.commit(commit()).await.unwrap();
                if let Some(id) = versions(&tree, "small").await.first() {
                    tree.purge_version(&path("small"), id).await.unwrap();
                }
                let most = if is_held { 3 * LEAST } else { 2 * LEAST };
                assert!(
                    is_within(dir.path(), most),
                    "{is_held} {n}: {}",
                    on_disk(dir.path())
                );
            }
            assert_eq!(refused > 0, is_held);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_only_announced_lets_nothing_go() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for n in 0..8 {
            save(&tree, "big", n, LEAST).await.unwrap();
        }
        let before = versions(&tree, "big").await;
        let begin = |name: &str, len| {
            let tree = tree.clone();
            let at = path(name);
            async move {
                tree.begin_upload(
                    &at,
                    InitialContent::Empty,
                    SpaceRequest {
                        len: Some(len),
                        limit: Some(LEAST),
                    },
                )
                .await
            }
        };
        for len in [LEAST, 2 * LEAST, 100 * LEAST, u64::MAX] {
            assert!(
                matches!(begin("more", len).await, Err(Error::NoSpace)),
                "{len}"
            );
        }
        let mut under_way = Vec::new();
        for _ in 0..20 {
            under_way.push(begin("big", PIECE).await.unwrap());
        }
        drop(under_way);
        counted(&tree).await;
        assert_eq!(versions(&tree, "big").await, before);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_history_is_held_more_than_the_bound_is_refused_and_bringing_back_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        save(&tree, "big", 0, LEAST).await.unwrap();
        tree.set_retention_hold(SystemTime::now() + Duration::from_secs(3600))
            .await
            .unwrap();
        let refused = async |times| {
            for n in 1..times {
                if let Err(error) = save(&tree, "big", n, LEAST).await {
                    assert!(matches!(error, Error::LimitReached(_)), "{error:?}");
                    return true;
                }
            }
            false
        };
        assert!(refused(20).await);
        assert!(is_within(dir.path(), 3 * LEAST), "{}", on_disk(dir.path()));
        let kept = versions(&tree, "big").await;
        assert_eq!(kept.len(), 11, "none has gone");
        // All that an attack has replaced can be brought back.
        for id in &kept[..3] {
            tree.restore_version(&path("big"), id, limited(LEAST))
                .await
                .unwrap();
        }
        counted(&tree).await;
        assert!(refused(2).await);
        for id in versions(&tree, "big").await.iter().take(4) {
            tree.purge_version(&path("big"), id).await.unwrap();
        }
        save(&tree, "big", 99, LEAST).await.unwrap();
        // And is let go once nothing is held.
        tree.set_retention_hold(SystemTime::now()).await.unwrap();
        assert!(!refused(20).await);
        assert!(is_within(dir.path(), 2 * LEAST), "{}", on_disk(dir.path()));
    }

    /// A quota that was lowered keeps nobody from making less of what there is.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_shrinks_is_let_through_beyond_a_lowered_quota() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for n in 0..4 {
            save(&tree, &format!("f{n}"), n, LEAST).await.unwrap();
        }
        for n in 0..16 {
            save(&tree, "f0", n, 1).await.unwrap();
        }
        assert!(is_within(dir.path(), 2 * LEAST), "{}", on_disk(dir.path()));
    }
}
