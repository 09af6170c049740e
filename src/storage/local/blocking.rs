//! The disk of a tree as those see it who must not wait. What it is asked on a thread that others need is only what the kernel answers from
//! memory; all else has its turn on one that may wait. That goes for the end of an open file as well: closing it asks a daemon or another
//! machine where it lies with one, and what has no name any more is deleted by it.

use super::disk_slots::DiskSlot;
use super::root::TreeRoot;
use super::sys;
use crate::model::{Error, Result};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// After which a disk that has not answered a look counts as silent.
const SILENT: Duration = Duration::from_secs(30);

/// Runs `work` on a thread that may wait; `Busy` when the tree has too many under way. Once begun it ends, though the caller is dropped.
pub(super) async fn run_blocking<T: Send + 'static>(
    root: &Arc<TreeRoot>,
    work: impl FnOnce(&Arc<TreeRoot>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let turn = root.disk_access.slots.acquire().await?;
    join(spawn(root, turn, move |root| root.disk_access.call(|| work(root))).await)
}

/// As [`run_blocking`], for what only looks: `Busy` when the disk does not answer, whatever becomes of the call then.
pub(super) async fn run_read<T: Send + 'static>(
    root: &Arc<TreeRoot>,
    look: impl FnOnce(&Arc<TreeRoot>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let silent = |_| {
        Err(Error::Busy {
            retry_after: SILENT,
        })
    };
    tokio::time::timeout(SILENT, run_blocking(root, look))
        .await
        .unwrap_or_else(silent)
}

/// What became of a task; a panic goes on in the caller.
pub(super) fn join<T>(outcome: Result<Result<T>, JoinError>) -> Result<T> {
    outcome.unwrap_or_else(|e| match e.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Only a runtime that is shutting down cancels.
        Err(_) => Err(Error::Busy {
            retry_after: Duration::from_secs(1),
        }),
    })
}

/// Begins `work` on a thread that may wait.
pub(super) fn spawn<T: Send + 'static>(
    root: &Arc<TreeRoot>,
    turn: DiskSlot,
    work: impl FnOnce(&Arc<TreeRoot>) -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let root = Arc::clone(root);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&root)
    })
}

/// Runs a change, or writes: at once where that need not reach the disk and it keeps up, else on a thread that may wait.
pub(super) async fn run_change<T: Send + 'static>(
    root: &Arc<TreeRoot>,
    change: impl FnOnce(&Arc<TreeRoot>) -> Result<T> + Send + 'static,
) -> Result<T> {
    // Whatever is done at once may find a disk that hangs from now on: then one thread has to do with it, and no other follows.
    if !root.is_strict()
        && root.disk_access.can_write_inline()
        && root.disk_latency.is_fast()
        && let Some(_alone) = root.disk_latency.try_lock_inline()
    {
        return root
            .disk_latency
            .measure(|| root.disk_access.call(|| change(root)));
    }
    run_blocking(root, change).await
}

/// Does what is left to do where that keeps nobody waiting.
pub(super) fn run_cleanup(root: &Arc<TreeRoot>, work: impl FnOnce() + Send + 'static) {
    let runtime = if root.disk_access.can_read_inline() {
        None
    } else {
        Handle::try_current().ok()
    };
    let Some(runtime) = runtime else {
        return work();
    };
    if root.disk_access.cleanup.add(Box::new(work)) {
        let root = Arc::clone(root);
        runtime.spawn(async move {
            let turn = root.disk_access.slots.acquire_untimed().await;
            // Only a runtime that is shutting down cuts it short, and the process then closes all.
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                while let Some(work) = root.disk_access.cleanup.next() {
                    work();
                }
            });
        });
    }
}

/// An open file that is closed so.
#[derive(Debug)]
pub(super) struct DeferredClose {
    root: Arc<TreeRoot>,
    file: Option<OwnedFd>,
}

impl DeferredClose {
    /// A file of a tree.
    pub fn new(root: &Arc<TreeRoot>, file: OwnedFd) -> Self {
        Self {
            root: Arc::clone(root),
            file: Some(file),
        }
    }

    /// The open file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        // It is there until the end.
        sys::fd(self.file.as_ref().unwrap_or(&self.root.dir))
    }
}

impl Drop for DeferredClose {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            run_cleanup(&self.root, move || drop(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LocalTree;
    use super::super::disk_access::{NONE, STATE_DISK};
    use super::super::disk_slots::HUNG;
    use super::super::tests::RELAXED;
    use super::*;
    use crate::storage::Tree;
    use crate::storage::contract::path;
    use crate::storage::step_contract::{TestLocks, taking};
    use std::path::Path;
    use std::sync::atomic::Ordering;
    use std::thread::current;

    /// Whether a change in a tree below a folder is made where it is asked for.
    async fn is_at_once(dir: &Path) -> bool {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        let locks = Arc::new(TestLocks::default());
        tree.set_locks(locks.clone());
        // One that finds the disk slow, or another at it, is not made at once either.
        for n in 0..20 {
            let name = n.to_string();
            tree.mkdir(&path(&name), taking(&[&name])).await.unwrap();
            if locks.looked_on() == Some(current().id()) {
                return true;
            }
        }
        false
    }

    #[tokio::test]
    async fn a_disk_that_may_hang_is_not_asked_in_passing() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        let waiting = &tree.root.disk_access;
        let turn = waiting.slots.try_acquire().unwrap();
        assert_eq!(waiting.can_read_inline(), waiting.is_local);
        std::thread::sleep(HUNG * 2);
        assert!(!waiting.can_read_inline());
        drop(turn);
        assert_eq!(waiting.can_read_inline(), waiting.is_local);
    }

    #[tokio::test]
    async fn only_on_the_disk_of_the_state_is_changed_at_once() {
        let state = std::env::temp_dir();
        let other = Path::new("/dev/shm");
        let disk = |dir: &Path| sys::open_root(dir).and_then(|dir| sys::disk_of(sys::fd(&dir)));
        if disk(&state).unwrap() == disk(other).unwrap_or_default() || !other.is_dir() {
            return;
        }
        LocalTree::set_state_disk(&state).unwrap();
        assert!(!is_at_once(other).await);
        STATE_DISK.store(NONE, Ordering::Relaxed);
        assert!(is_at_once(other).await);
    }
}
