//! How much the files and the history of a tree hold together. An overwrite keeps what it replaces, so that somebody who saves one large file
//! again and again would fill the disk between two looks of the hourly job. So what comes is added up: what would go beyond the bound lets the
//! oldest of the history go first, until all fits into the quota again. While the history is held nothing goes, and more is refused.

use super::forget;
use super::root::Root;
use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// What may lie beside a small quota.
const LEAST: u64 = 64 << 20;
/// Of what may lie beside the quota, this part may come before anything is counted.
const UNCOUNTED: u64 = 4;
/// How long a refusal is repeated without counting again, while nothing has changed.
const FRESH: Duration = Duration::from_secs(60);

const HELD: Error = Error::LimitReached(
    "The history of this drive is held, since much of it was changed at once, and with it there would be more than three times the quota. \
     Delete for good what is not needed of the trash and the versions.",
);

/// Where bytes come from that are to be live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From outside, or a copy of what is live.
    Outside,
    /// Copied from the history.
    Past,
    /// Moved out of the history: there are no more for it.
    Moved,
}

/// Bytes that are to come, below a quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    pub bytes: u64,
    pub limit: u64,
    pub from: Source,
}

/// What a tree holds in all.
#[derive(Debug, Default)]
pub(super) struct Whole(Mutex<Sum>);

#[derive(Debug, Default)]
struct Sum {
    /// Bytes when they were last counted.
    counted: Option<u64>,
    /// Bytes that have come since; where nothing was counted, since the tree was opened first or after a crash.
    came: u64,
    /// Bytes promised to what is under way.
    promised: u64,
    /// When more was refused, and whether for what is held; `None` once that may be otherwise.
    refused: Option<(Instant, bool)>,
}

impl Sum {
    /// Bytes that there are at most with what is coming.
    fn with(&self, coming: Coming, most: u64) -> u64 {
        let counted = self.counted.unwrap_or(most.saturating_sub(beside(coming.limit) / UNCOUNTED));
        counted.saturating_add(self.came).saturating_add(self.promised).saturating_add(coming.bytes)
    }
}

fn beside(limit: u64) -> u64 {
    limit.max(LEAST)
}

/// What there may be at most. While the history is held there is room for what a program that encrypts everything has replaced and, again,
/// for what bringing that back replaces.
fn most(coming: Coming, is_held: bool) -> u64 {
    let parts = 1 + u64::from(is_held) + u64::from(coming.from == Source::Past);
    coming.limit.saturating_add(beside(coming.limit).saturating_mul(parts))
}

fn is_held(root: &Root) -> bool {
    root.held.until(SystemTime::now()).is_some()
}

impl Whole {
    /// As it was when the tree was closed: what had been counted, and what had come since.
    pub fn since((counted, came): (Option<u64>, u64)) -> Self {
        Self(Mutex::new(Sum { counted, came, ..Sum::default() }))
    }

    /// What was counted, and what has come since.
    pub fn sum(&self) -> (Option<u64>, u64) {
        let sum = self.0.lock();
        (sum.counted, sum.came)
    }

    /// Promises the room, if there is any without letting something go.
    pub fn try_promise(&self, root: &Root, coming: Coming) -> bool {
        let most = most(coming, is_held(root));
        let mut sum = self.0.lock();
        let fits = sum.with(coming, most) <= most;
        if fits {
            sum.promised = sum.promised.saturating_add(coming.bytes);
        }
        fits
    }

    /// Promises the room, whether there is any or not.
    pub fn promise(&self, bytes: u64) {
        let mut sum = self.0.lock();
        sum.promised = sum.promised.saturating_add(bytes);
    }

    /// Takes back what was promised.
    pub fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            let mut sum = self.0.lock();
            sum.promised = sum.promised.saturating_sub(bytes);
        }
    }

    /// Notes that so many bytes have come, for which so many were promised.
    pub fn note(&self, bytes: u64, promised: u64) {
        let mut sum = self.0.lock();
        sum.came = sum.came.saturating_add(bytes);
        sum.promised = sum.promised.saturating_sub(promised);
        sum.refused = None;
    }

    /// Notes that something of the history was deleted for good: what was refused may fit now.
    pub fn note_gone(&self) {
        self.0.lock().refused = None;
    }

    /// Forgets what was counted: something of unknown size has come.
    pub fn forget(&self) {
        let mut sum = self.0.lock();
        *sum = Sum { promised: sum.promised, ..Sum::default() };
    }
}

/// Makes room for what is coming, by letting go of the oldest of the history where need be. `LimitReached` while that is held, `NoSpace` where
/// what is under way takes all there may be. Waits for the disk.
pub(super) fn make_room(root: &Root, coming: Coming) -> Result<()> {
    let came = root.whole.0.lock().came;
    // First: a count may take the guard, and who has that may wait for the other.
    let live = root.ledger.count(root)?;
    let _one_at_a_time = root.forgetting.lock();
    let is_held = is_held(root);
    let most = most(coming, is_held);
    let refusal = if is_held { HELD } else { Error::NoSpace };
    let promised = {
        let sum = root.whole.0.lock();
        if sum.with(coming, most) <= most {
            return Ok(());
        }
        if sum.refused.is_some_and(|(when, held)| held == is_held && when.elapsed() < FRESH) {
            return Err(refusal);
        }
        sum.promised
    };
    let all = forget::oldest_first(root)?;
    let mut total = all.iter().fold(live, |sum, former| sum.saturating_add(former.bytes));
    let wanted = total.saturating_add(promised).saturating_add(coming.bytes);
    if wanted > most && !is_held {
        let beyond = total.saturating_add(coming.bytes).saturating_sub(coming.limit);
        let (gone, bytes) = forget::let_go(root, all, beyond.max(wanted - most))?;
        tracing::info!(
            items = gone.items,
            versions = gone.versions,
            "files and history outgrew their bound: let go of the oldest of the history"
        );
        total = total.saturating_sub(bytes);
    }
    let mut sum = root.whole.0.lock();
    (sum.counted, sum.came) = (Some(total), sum.came.saturating_sub(came));
    if sum.with(coming, most) <= most {
        return Ok(());
    }
    if !is_held && sum.promised == 0 {
        // There is no history left: what is live alone is more, as after the quota was lowered.
        sum.counted = Some(most.saturating_sub(sum.came).saturating_sub(coming.bytes));
        return Ok(());
    }
    sum.refused = Some((Instant::now(), is_held));
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::super::LocalTree;
    use super::super::tests::RELAXED;
    use super::*;
    use crate::content::contract::{Tree, commit, path};
    use crate::content::{Commit, ContentTree as _, Reach, Room, Start};
    use std::path::Path;
    use std::sync::Arc;

    const PIECE: u64 = LEAST / 4;

    fn limited(limit: u64) -> Commit {
        Commit { limit: Some(limit), ..commit() }
    }

    async fn save(tree: &Tree, name: &str, n: u8) -> Result<()> {
        let room = Room { len: Some(PIECE), limit: Some(LEAST) };
        let mut upload = tree.begin_put(&path(name), Start::Empty, room).await?;
        upload.write(vec![n; usize::try_from(PIECE).unwrap()].into()).await?;
        upload.commit(limited(LEAST)).await.map(drop)
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

    async fn versions(tree: &Tree, name: &str) -> Vec<String> {
        tree.versions(&path(name)).await.unwrap().into_iter().map(|version| version.id).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_overwrites_a_file_again_and_again_lets_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for n in 0..20 {
            save(&(tree.clone() as Tree), "big", n).await.unwrap();
            assert!(is_within(dir.path(), 2 * LEAST), "{n}: {}", on_disk(dir.path()));
        }
        assert!(versions(&(tree.clone() as Tree), "big").await.len() >= 3, "the newest stay");
        // However often the tree is closed and opened again.
        let mut tree = tree;
        for n in 0..20 {
            let Ok(closed) = LocalTree::close(tree) else { panic!("it is in use") };
            closed.settle();
            tree = LocalTree::open(dir.path(), RELAXED).unwrap();
            save(&(tree.clone() as Tree), "big", n).await.unwrap();
            assert!(is_within(dir.path(), 2 * LEAST), "{n}: {}", on_disk(dir.path()));
        }
        for n in 0..20 {
            tree.copy(&path("big"), &path(if n % 2 == 0 { "copy" } else { "other" }), Reach::Deep, limited(LEAST))
                .await
                .unwrap();
            assert!(is_within(dir.path(), 2 * LEAST), "{n}: {}", on_disk(dir.path()));
        }
        assert_eq!(tree.usage().await.unwrap().used, 3 * PIECE);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_history_is_held_more_than_the_bound_is_refused_and_bringing_back_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let tree: Tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        save(&tree, "big", 0).await.unwrap();
        tree.hold(SystemTime::now() + Duration::from_secs(3600)).await.unwrap();
        let refused = async |times| {
            for n in 1..times {
                if let Err(error) = save(&tree, "big", n).await {
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
            tree.revert(&path("big"), id, limited(LEAST)).await.unwrap();
        }
        assert!(refused(2).await);
        for id in versions(&tree, "big").await.iter().take(4) {
            tree.purge_version(&path("big"), id).await.unwrap();
        }
        save(&tree, "big", 99).await.unwrap();
        // And is let go once nothing is held.
        tree.hold(SystemTime::now()).await.unwrap();
        assert!(!refused(10).await);
        assert!(is_within(dir.path(), 2 * LEAST), "{}", on_disk(dir.path()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_under_way_counts_and_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        let local = Arc::clone(&tree.root);
        let tree: Tree = tree;
        save(&tree, "big", 0).await.unwrap();
        let begin = || {
            let room = Room { len: Some(PIECE), limit: Some(LEAST) };
            let (tree, at) = (tree.clone(), path("big"));
            async move { tree.begin_put(&at, Start::Empty, room).await }
        };
        let (mut uploads, mut refused) = (Vec::new(), None);
        for _ in 0..10 {
            match begin().await {
                Ok(upload) => uploads.push(upload),
                Err(error) => refused = Some(error),
            }
        }
        assert!(matches!(refused, Some(Error::NoSpace)) && uploads.len() == 7, "{refused:?} {}", uploads.len());
        drop(uploads);
        assert_eq!(local.whole.0.lock().promised, 0);
        save(&tree, "big", 1).await.unwrap();
    }

    /// A quota that was lowered keeps nobody from making less of what there is.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_shrinks_is_let_through_beyond_a_lowered_quota() {
        let dir = tempfile::tempdir().unwrap();
        let tree: Tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for n in 0..4 {
            save(&tree, &format!("f{n}"), n).await.unwrap();
        }
        for n in 0..8 {
            let room = Room { len: Some(PIECE), limit: Some(1) };
            let mut upload = tree.begin_put(&path("f0"), Start::Empty, room).await.unwrap();
            upload.write(vec![n; usize::try_from(PIECE).unwrap()].into()).await.unwrap();
            upload.commit(limited(1)).await.unwrap();
        }
        assert!(is_within(dir.path(), LEAST + 2 * PIECE), "{}", on_disk(dir.path()));
    }
}
