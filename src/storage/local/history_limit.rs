//! Bounds the files and the history of a tree together. An overwrite keeps what it replaces, so that somebody who saves one large file
//! again and again would fill the disk between two looks of the hourly job: when what has come may be beyond the bound, the tree is counted
//! in the background and the oldest of the history is purged. What is only announced purges nothing. While the history is held nothing
//! is purged, and more is refused.

#[cfg(test)]
mod tests;

use super::blocking::spawn;
use super::root::TreeRoot;
use super::total_usage::{beside, most};
use super::{history_purge, retention_hold};
use crate::model::Result;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::runtime::Handle;

fn is_held(root: &TreeRoot) -> bool {
    root.retention_hold.until(SystemTime::now()).is_some()
}

/// Refuses `len` more bytes with `LimitReached` while the history is held and has twice as much as is beside the files else: there is room
/// for what a program that encrypts everything has replaced. `None` when that cannot be said without counting ([`count_if_unknown`]).
pub(super) fn check_hold_limit(root: &TreeRoot, limit: u64, len: u64) -> Option<Result<()>> {
    if !root.total_usage.is_beyond_held(limit, len) || !is_held(root) {
        return Some(Ok(()));
    }
    if root.total_usage.has_purged() {
        None
    } else {
        Some(Err(retention_hold::NO_SPACE_WHILE_HELD))
    }
}

/// Counts what must be known before it can be said whether there is room. Waits for the disk.
pub(super) fn count_if_unknown(root: &TreeRoot, limit: Option<u64>) -> Result<()> {
    root.count_usage()?;
    if let Some(limit) = limit.filter(|_| root.total_usage.has_purged() && is_held(root)) {
        recount_and_trim(root, limit);
    }
    Ok(())
}

/// Notes that so many bytes have come. Where files and history may be beyond the bound, that is looked at in the background.
pub(super) fn note_added(root: &Arc<TreeRoot>, bytes: u64, limit: Option<u64>) {
    let Some(limit) = limit else {
        return root.total_usage.add_unbounded(bytes);
    };
    if root.total_usage.add(bytes, limit)
        && Handle::try_current().is_ok()
        && let Some(turn) = root.disk_access.slots.try_acquire()
        && root.total_usage.begin_background()
    {
        // Not awaited: whoever saves need not wait until the history is smaller.
        drop(spawn(root, turn.unmeasured(), move |root| {
            recount_and_trim(root, limit);
            root.total_usage.end_background();
            Ok(())
        }));
    }
}

/// Counts, and purges the oldest of the history down to some way below the bound; the hourly job does the rest.
fn recount_and_trim(root: &TreeRoot, limit: u64) {
    let came = root.total_usage.begin_count();
    let total = fit(root, limit)
        .inspect_err(|error| {
            tracing::warn!(%error, "it could not be looked how much the history of a drive holds");
        })
        .ok();
    root.total_usage.end_count(came, total, limit);
}

fn fit(root: &TreeRoot, limit: u64) -> Result<u64> {
    let live = root.count_usage()?;
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
