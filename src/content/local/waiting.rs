//! The disk of a tree as those see it who must not wait. What it is asked on a thread that others need is only what the kernel answers from
//! memory; all else has its turn on one that may wait. That goes for the end of an open file as well: closing it asks a daemon or another
//! machine where it lies with one, and what has no name any more is deleted by it.

use super::LocalTree;
use super::os;
use super::root::Root;
use super::turns::{Disk, HUNG, LONG, Turn, Turns};
use crate::metrics::Calls;
use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// After which a disk that has not answered a look counts as silent.
const SILENT: Duration = Duration::from_secs(30);
/// No disk has this number.
const NONE: u64 = u64::MAX;
/// The disk that the state lies on.
static STATE_DISK: AtomicU64 = AtomicU64::new(NONE);

/// Calls to disks by their sort: the one of the state, other local ones, and those behind a daemon or another machine.
static CALLS: LazyLock<[(&str, Calls); 3]> =
    LazyLock::new(|| ["state", "local", "remote"].map(|sort| (sort, Calls::default())));

/// Who waits for the disk of a tree, and whether others may ask it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub turns: Arc<Turns>,
    /// Whether the file system answers from memory what it has there.
    pub is_local: bool,
    /// Whether everybody waits anyway when it hangs.
    is_everybodys: bool,
    later: Later,
}

impl LocalTree {
    /// Says that the state lies in this folder: no request is answered while its disk hangs. Trees on that disk which are opened from now
    /// on may change what they hold on a core's thread; no call can tell beforehand whether another disk is about to hang.
    pub fn note_state(dir: &Path) -> Result<()> {
        let failed = |e| Error::io("look on which disk the state lies", e);
        let dir = os::open_root(dir).map_err(failed)?;
        STATE_DISK.store(
            os::disk_of(os::fd(&dir)).map_err(failed)?,
            Ordering::Relaxed,
        );
        Ok(())
    }

    /// Calls to the disks that trees lie on, by the sort of the disk. What is answered from memory is none, nor is what takes long anyway.
    pub fn disk_calls() -> &'static [(&'static str, Calls)] {
        CALLS.as_slice()
    }
}

impl Waiting {
    /// For the disk that a folder lies on.
    pub fn on(dir: BorrowedFd<'_>) -> os::Outcome<Self> {
        let disk = os::disk_of(dir)?;
        let turns = Arc::new(Turns::new(Disk::of(disk)));
        let is_everybodys = [NONE, disk].contains(&STATE_DISK.load(Ordering::Relaxed));
        Ok(Self {
            turns,
            is_local: os::is_local(dir),
            is_everybodys,
            later: Later::default(),
        })
    }

    /// Makes a call to the disk, and counts it.
    fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        let [state, local, remote] = &*CALLS;
        let (_, calls) = match (self.is_local, self.is_everybodys) {
            (false, _) => remote,
            (true, true) => state,
            (true, false) => local,
        };
        calls.watch(call)
    }

    /// Whether a look at what is in memory keeps nobody waiting.
    pub fn may_look(&self) -> bool {
        self.is_local && !self.turns.has_waited(HUNG)
    }

    /// Whether a change that need not reach the disk most likely keeps nobody waiting.
    pub fn may_change(&self) -> bool {
        self.is_local && self.is_everybodys && !self.turns.has_waited(LONG)
    }
}

/// Runs `work` on a thread that may wait; `Busy` when the tree has too many under way. Once begun it ends, though the caller is dropped.
pub(super) async fn on_thread<T: Send + 'static>(
    root: &Arc<Root>,
    work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let turn = root.waiting.turns.take().await?;
    joined(begin(root, turn, move |root| root.waiting.call(|| work(root))).await)
}

/// As [`on_thread`], for what only looks: `Busy` when the disk does not answer, whatever becomes of the call then.
pub(super) async fn looked<T: Send + 'static>(
    root: &Arc<Root>,
    look: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let silent = |_| {
        Err(Error::Busy {
            retry_after: SILENT,
        })
    };
    tokio::time::timeout(SILENT, on_thread(root, look))
        .await
        .unwrap_or_else(silent)
}

/// What became of a task; a panic goes on in the caller.
pub(super) fn joined<T>(outcome: Result<Result<T>, JoinError>) -> Result<T> {
    outcome.unwrap_or_else(|e| match e.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Only a runtime that is shutting down cancels.
        Err(_) => Err(Error::Busy {
            retry_after: Duration::from_secs(1),
        }),
    })
}

/// Begins `work` on a thread that may wait.
pub(super) fn begin<T: Send + 'static>(
    root: &Arc<Root>,
    turn: Turn,
    work: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let root = Arc::clone(root);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&root)
    })
}

/// Runs a change, or writes: at once where that need not reach the disk and it keeps up, else on a thread that may wait.
pub(super) async fn changed<T: Send + 'static>(
    root: &Arc<Root>,
    change: impl FnOnce(&Arc<Root>) -> Result<T> + Send + 'static,
) -> Result<T> {
    // Whatever is done at once may find a disk that hangs from now on: then one thread has to do with it, and no other follows.
    if !root.is_strict()
        && root.waiting.may_change()
        && root.pace.is_quick()
        && let Some(_alone) = root.pace.alone()
    {
        return root.pace.watch(|| root.waiting.call(|| change(root)));
    }
    on_thread(root, change).await
}

/// What is left to do.
#[derive(Default)]
struct Later(Mutex<Due>);

#[derive(Default)]
struct Due {
    work: Vec<Box<dyn FnOnce() + Send>>,
    /// Whether somebody is at it.
    is_taken: bool,
}

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Later({})", self.0.lock().work.len())
    }
}

impl Later {
    /// The next thing to do; who gets `None` is at it no longer.
    fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut due = self.0.lock();
        let next = due.work.pop();
        due.is_taken = next.is_some();
        next
    }

    /// Adds something; whether nobody is at it.
    fn add(&self, work: Box<dyn FnOnce() + Send>) -> bool {
        let mut due = self.0.lock();
        due.work.push(work);
        !std::mem::replace(&mut due.is_taken, true)
    }
}

/// Does what is left to do where that keeps nobody waiting.
pub(super) fn finally(root: &Arc<Root>, work: impl FnOnce() + Send + 'static) {
    let runtime = if root.waiting.may_look() {
        None
    } else {
        Handle::try_current().ok()
    };
    let Some(runtime) = runtime else {
        return work();
    };
    if root.waiting.later.add(Box::new(work)) {
        let root = Arc::clone(root);
        runtime.spawn(async move {
            let turn = root.waiting.turns.wait().await;
            // Only a runtime that is shutting down cuts it short, and the process then closes all.
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                while let Some(work) = root.waiting.later.next() {
                    work();
                }
            });
        });
    }
}

/// An open file that is closed so.
#[derive(Debug)]
pub(super) struct Lasting {
    root: Arc<Root>,
    file: Option<OwnedFd>,
}

impl Lasting {
    /// A file of a tree.
    pub fn new(root: &Arc<Root>, file: OwnedFd) -> Self {
        Self {
            root: Arc::clone(root),
            file: Some(file),
        }
    }

    /// The open file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        // It is there until the end.
        os::fd(self.file.as_ref().unwrap_or(&self.root.dir))
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            finally(&self.root, move || drop(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::RELAXED;
    use super::*;
    use crate::content::contract::{commit, path};
    use crate::content::{Commit, ContentTree, Judge, Node};
    use std::thread::{ThreadId, current};

    #[derive(Default)]
    struct Thread(Mutex<Option<ThreadId>>);

    impl Judge for Thread {
        fn judge(&self, _: Option<&Node>, change: &mut dyn FnMut() -> Result<()>) -> Result<()> {
            *self.0.lock() = Some(current().id());
            change()
        }
    }

    /// Whether a change in a tree below a folder is made where it is asked for.
    async fn is_at_once(dir: &Path) -> bool {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let (tree, judge) = (
            LocalTree::open(dir.path(), RELAXED).unwrap(),
            Arc::new(Thread::default()),
        );
        // One that finds the disk slow, or another at it, is not made at once either.
        for n in 0..20 {
            let commit = Commit {
                judge: judge.clone(),
                ..commit()
            };
            tree.mkdir(&path(&n.to_string()), commit).await.unwrap();
            if *judge.0.lock() == Some(current().id()) {
                return true;
            }
        }
        false
    }

    #[tokio::test]
    async fn a_disk_that_may_hang_is_not_asked_in_passing() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        let waiting = &tree.root.waiting;
        let turn = waiting.turns.try_take().unwrap();
        assert_eq!(waiting.may_look(), waiting.is_local);
        std::thread::sleep(HUNG * 2);
        assert!(!waiting.may_look());
        drop(turn);
        assert_eq!(waiting.may_look(), waiting.is_local);
    }

    #[tokio::test]
    async fn only_on_the_disk_of_the_state_is_changed_at_once() {
        let (state, other) = (std::env::temp_dir(), Path::new("/dev/shm"));
        let disk = |dir: &Path| os::open_root(dir).and_then(|dir| os::disk_of(os::fd(&dir)));
        if disk(&state).unwrap() == disk(other).unwrap_or_default() || !other.is_dir() {
            return;
        }
        LocalTree::note_state(&state).unwrap();
        assert!(!is_at_once(other).await);
        STATE_DISK.store(NONE, Ordering::Relaxed);
        assert!(is_at_once(other).await);
    }
}
