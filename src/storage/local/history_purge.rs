//! Room for what is live: where there is too little, the oldest of the history goes first, be it in the trash or a version.

#[cfg(test)]
mod tests;

use super::root::TreeRoot;
use super::sys::{self, fd};
use super::undeletable::Undeletable;
use super::version_dir;
use super::{count, trash_items, versions};
use crate::model::{Error, Result};
use crate::storage::history::ExpiredCounts;
use std::time::{Duration, Instant, SystemTime};

/// When so many bytes should have come free, it is looked whether they have.
const MIN_MEASURABLE: u64 = 1 << 20;
/// Of so many bytes at least one: some file systems keep less than they show.
const MIN_FREED_SHARE: u64 = 16;
/// How long nothing more is let go after it freed nothing.
const PURGE_BACKOFF: Duration = Duration::from_secs(3600);

/// Something of the history.
pub(super) struct HistoryItem {
    when: SystemTime,
    pub bytes: u64,
    kind: HistoryKind,
}

enum HistoryKind {
    /// An item of the trash.
    Item(String),
    /// A version: the name of its history, and its id.
    Version(String, String),
}

/// Lets go of the oldest until what is left has at most `most` bytes.
pub(super) fn purge_to_fit(root: &TreeRoot, most: u64) -> Result<ExpiredCounts> {
    let all = oldest_first(root)?;
    let sum = all
        .iter()
        .fold(0_u64, |sum, former| sum.saturating_add(former.bytes));
    purge_bytes(root, all, sum.saturating_sub(most)).map(|(gone, _)| gone)
}

/// Makes room on the disk for `len` bytes beside the reserve, and for up to `ahead` more as far as that goes; nothing is let go where all of
/// it would not be enough for `len`.
pub(super) fn free_space(root: &TreeRoot, len: u64, ahead: u64) -> Result<ExpiredCounts> {
    let _one_at_a_time = root.purge_lock.lock();
    let Some(enough) = plan_purge(root, len)?.filter(|enough| !enough.items.is_empty()) else {
        return Ok(ExpiredCounts::default());
    };
    let gone = purge_until_free(
        root,
        enough.items,
        len.saturating_add(ahead.min(enough.spare)),
    )?;
    tracing::info!(
        items = gone.items,
        versions = gone.versions,
        "the disk is full: let go of the oldest of the history"
    );
    Ok(gone)
}

/// Whether [`free_space`] could make it.
pub(super) fn can_free_space(root: &TreeRoot, len: u64) -> Result<bool> {
    let _one_at_a_time = root.purge_lock.lock();
    plan_purge(root, len).map(|enough| enough.is_some())
}

/// What may go, the oldest first; nothing where there is room without.
#[derive(Default)]
struct PurgePlan {
    items: Vec<HistoryItem>,
    /// Bytes of it that need not go.
    spare: u64,
}

/// All that may go, where that is enough for `len` bytes beside the reserve.
fn plan_purge(root: &TreeRoot, len: u64) -> Result<Option<PurgePlan>> {
    let mut missing = root.missing_space(len)?;
    if missing > 0 && root.thumbnails.purge_all(root) {
        missing = root.missing_space(len)?;
    }
    if missing == 0 {
        return Ok(Some(PurgePlan::default()));
    }
    let is_barren = root
        .purge_was_futile_at
        .lock()
        .is_some_and(|since| since.elapsed() < PURGE_BACKOFF);
    if is_barren || root.retention_hold.until(SystemTime::now()).is_some() {
        return Ok(None);
    }
    let all = oldest_first(root)?;
    let sum = all
        .iter()
        .fold(0_u64, |sum, former| sum.saturating_add(former.bytes));
    Ok(sum.checked_sub(missing).map(|left| PurgePlan {
        items: all,
        spare: left,
    }))
}

/// Lets go of the oldest until there is room, or until that frees nothing: what other files share blocks with, other names keep, or another
/// disk or quota is short of, comes not free with it. Then nothing more is let go for a while.
fn purge_until_free(root: &TreeRoot, all: Vec<HistoryItem>, len: u64) -> Result<ExpiredCounts> {
    let mut gone = ExpiredCounts::default();
    let mut claimed = 0_u64;
    let mut missing = root.missing_space(len)?;
    let mut stuck = Undeletable::default();
    let mut all = all.into_iter().peekable();
    while let Some(former) = all.next().filter(|_| missing > 0) {
        if !purge_one(root, &former, &mut gone, &mut stuck)? {
            continue;
        }
        claimed = claimed.saturating_add(former.bytes);
        let left = root.missing_space(len)?;
        // Little may lie where no block is saved.
        if left > 0 && claimed < MIN_MEASURABLE && all.peek().is_some() {
            continue;
        }
        let is_freed =
            |left: u64| missing.saturating_sub(left) >= claimed / MIN_FREED_SHARE || left == 0;
        if !is_freed(left) {
            // Some file systems give room back with their next transaction.
            sys::sync_all(fd(&root.dir)).map_err(|e| Error::io("write to the disk", e))?;
            if !is_freed(root.missing_space(len)?) {
                tracing::warn!(
                    "the disk is full, and letting go of the history frees nothing: no more of it goes for an hour"
                );
                *root.purge_was_futile_at.lock() = Some(Instant::now());
                break;
            }
        }
        (missing, claimed) = (root.missing_space(len)?, 0);
    }
    Ok(gone)
}

/// Lets go of the oldest until so many bytes are gone; says what went, and how many bytes.
pub(super) fn purge_bytes(
    root: &TreeRoot,
    all: Vec<HistoryItem>,
    bytes: u64,
) -> Result<(ExpiredCounts, u64)> {
    let mut gone = ExpiredCounts::default();
    let mut freed = 0_u64;
    let mut stuck = Undeletable::default();
    for former in all {
        if freed >= bytes {
            break;
        }
        if purge_one(root, &former, &mut gone, &mut stuck)? {
            freed = freed.saturating_add(former.bytes);
        }
    }
    Ok((gone, freed))
}

/// Whether it is gone.
fn purge_one(
    root: &TreeRoot,
    former: &HistoryItem,
    gone: &mut ExpiredCounts,
    stuck: &mut Undeletable,
) -> Result<bool> {
    let (outcome, count) = match &former.kind {
        HistoryKind::Item(id) => (trash_items::purge(root, id), &mut gone.items),
        HistoryKind::Version(history, id) => (
            versions::purge_of_history(root, history, id),
            &mut gone.versions,
        ),
    };
    match outcome {
        Ok(()) => *count += 1,
        // Somebody was faster, or it went with its file.
        Err(Error::NotFound) => {}
        Err(error) => return stuck.skip(error).map(|()| false),
    }
    Ok(true)
}

/// All of the history whose age is known.
pub(super) fn oldest_first(root: &TreeRoot) -> Result<Vec<HistoryItem>> {
    let mut all = Vec::new();
    for item in trash_items::list(root)? {
        let Some(when) = item.deleted_at else {
            continue;
        };
        let bytes = if item.node.folder {
            count::trashed_bytes(root, &item.id)?
        } else {
            item.node.len
        };
        all.push(HistoryItem {
            when,
            bytes,
            kind: HistoryKind::Item(item.id),
        });
    }
    for history in version_dir::histories(root)? {
        for version in version_dir::of_history(fd(&root.versions), &history)? {
            let what = HistoryKind::Version(history.clone(), version.id);
            all.push(HistoryItem {
                when: version.replaced_at,
                bytes: version.node.len,
                kind: what,
            });
        }
    }
    // They came newest first; the trash tells time by the second.
    all.reverse();
    all.sort_by_key(|former| former.when);
    Ok(all)
}
