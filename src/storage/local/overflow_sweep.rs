//! Deletes the overflow files of properties that nothing names any more, some time after one may have become so.

use super::blocking::run_blocking;
use super::errors::map_errno;
use super::names::stat_name;
use super::overflow::{folder, inner_mounts, names, references};
use super::root::TreeRoot;
use super::sys::{self, Errno, fd};
use crate::model::Result;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// So many times as long as a sweep took nothing is swept after it.
const PAUSE: u32 = 50;
/// How often a sweep is tried beside changes of names.
const TRIES: usize = 3;

/// How much a sweep may hinder others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SweepMode {
    /// Beside changes: where names change all the time, what is loose stays for the next one.
    Concurrent,
    /// If need be while no name changes.
    Exclusive,
}

/// Deletes the overflow files that nothing names. Where that fails they stay for the next time.
pub(super) fn sweep(root: &TreeRoot, how: SweepMode) {
    let overflow = &root.overflow;
    let _one_at_a_time = overflow.sweeping.lock();
    overflow.is_awaited.store(false, Ordering::Relaxed);
    let loose = overflow.unreferenced.swap(0, Ordering::Relaxed);
    if loose == 0 {
        return;
    }
    let began = Instant::now();
    let swept = try_sweep(root, how).unwrap_or_else(|error| {
        tracing::warn!(%error, "overflow files of properties that nothing names were left");
        false
    });
    if !swept {
        overflow.unreferenced.fetch_add(loose, Ordering::Relaxed);
    }
    *overflow.due.lock() =
        Some(Instant::now() + began.elapsed().max(Duration::from_millis(1)) * PAUSE);
}

/// Returns whether nothing loose is left: while something is away nobody can tell.
fn try_sweep(root: &TreeRoot, how: SweepMode) -> Result<bool> {
    for _ in 0..TRIES {
        let changes = root.usage.changes();
        let Some(gone) = unreferenced(root)? else {
            return Ok(false);
        };
        if delete_beside(root, &gone, changes)? {
            return Ok(true);
        }
    }
    if how == SweepMode::Concurrent {
        return Ok(false);
    }
    let _guard = root.lock_names();
    let Some(gone) = unreferenced(root)? else {
        return Ok(false);
    };
    delete(root, &gone).map(|()| true)
}

/// Deletes unless a name has changed since there were so many changes: something that is moved may have been missed.
fn delete_beside(root: &TreeRoot, gone: &HashSet<String>, changes: u64) -> Result<bool> {
    if gone.is_empty() {
        return Ok(true);
    }
    let _guard = root.lock_names();
    if root.usage.changes() != changes {
        return Ok(false);
    }
    delete(root, gone).map(|()| true)
}

fn delete(root: &TreeRoot, gone: &HashSet<String>) -> Result<()> {
    let dir = folder(root)?;
    for name in gone {
        let len = stat_name(fd(&dir), name)?.map_or(0, |found| found.node.len);
        match sys::unlink_file(fd(&dir), name) {
            Ok(()) => root.usage.note_swept(len),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(map_errno("delete an overflow file of properties", e)),
        }
    }
    Ok(())
}

/// The overflow files that nothing names, by two walks: programs beside the server move things about, too. `None` while something is
/// away that may name those that are left.
fn unreferenced(root: &TreeRoot) -> Result<Option<HashSet<String>>> {
    let mut left: HashSet<String> = names(fd(&folder(root)?))?.into_iter().collect();
    // After the names: what was written later is not among them.
    left.retain({
        let unnamed = root.overflow.unreferenced_new.lock();
        move |name| !unnamed.contains(name)
    });
    for _ in 0..2 {
        if left.is_empty() {
            break;
        }
        let mounts = references(fd(&root.dir), |_, name| {
            left.remove(name);
        })?;
        let away = inner_mounts::missing_mounts(fd(&root.dir), &mounts)?;
        inner_mounts::remember(root, &root.overflow, mounts.referencing)?;
        if let Some(away) = away.first().filter(|_| !left.is_empty()) {
            tracing::debug!(
                path = away.path,
                "what was mounted there is away: overflow files of properties are kept"
            );
            return Ok(None);
        }
    }
    Ok(Some(left))
}

/// Has overflow files that nothing names deleted, in a while and by somebody else.
pub(super) fn schedule_sweep(root: &Arc<TreeRoot>) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let Some(due) = root.overflow.is_due() else {
        return;
    };
    let root = Arc::downgrade(root);
    // Not awaited: what is loose costs room and nothing else.
    runtime.spawn(async move {
        tokio::time::sleep_until(due.into()).await;
        let Some(root) = root.upgrade() else { return };
        // Only a runtime that is shutting down cuts it short; the next start sweeps.
        let swept = run_blocking(&root, |root| {
            sweep(root, SweepMode::Concurrent);
            Ok(())
        });
        let _ = swept.await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::local::internal_dirs::PROPS;
    use crate::storage::local::names::random_name;
    use crate::storage::local::{LocalTree, tests::RELAXED};
    use std::fs;
    use tempfile::TempDir;

    #[tokio::test]
    async fn what_is_loose_stays_so_while_something_is_away() {
        let dir = TempDir::new().unwrap();
        drop(LocalTree::open(dir.path(), RELAXED).unwrap());
        let loose = dir.path().join(PROPS).join(random_name().unwrap());
        let noted = dir.path().join(inner_mounts::MOUNTED);
        fs::write(&loose, "[]").unwrap();
        fs::write(&noted, r#"[{"path":"disk","id":[1,2]}]"#).unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for how in [SweepMode::Concurrent, SweepMode::Exclusive] {
            sweep(&tree.root, how);
            assert!(loose.exists() && !tree.root.overflow.is_swept());
        }
        fs::remove_file(&noted).unwrap();
        sweep(&tree.root, SweepMode::Concurrent);
        assert!(!loose.exists() && tree.root.overflow.is_swept());
    }
}
