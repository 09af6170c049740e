//! Which disk a tree lies on, and whether others may ask it without keeping anybody waiting. A thread that others need asks it only what
//! the kernel answers from memory; all else has its turn on one that may wait.

use super::LocalTree;
use super::disk_slots::{DiskSlots, HUNG, LONG, TreeSlots};
use super::sys;
use crate::metrics::CallMetrics;
use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// No disk has this number.
pub(super) const NONE: u64 = u64::MAX;
/// The disk that the state lies on.
pub(super) static STATE_DISK: AtomicU64 = AtomicU64::new(NONE);

/// Calls to disks by their sort: the one of the state, other local ones, and those behind a daemon or another machine.
static CALLS: LazyLock<[(&str, CallMetrics); 3]> =
    LazyLock::new(|| ["state", "local", "remote"].map(|sort| (sort, CallMetrics::default())));

/// Who waits for the disk of a tree, and whether others may ask it.
#[derive(Debug)]
pub(super) struct DiskAccess {
    pub slots: Arc<TreeSlots>,
    /// Whether the file system answers from memory what it has there.
    pub is_local: bool,
    /// Whether everybody waits anyway when it hangs.
    is_state_disk: bool,
    pub cleanup: CleanupQueue,
}

impl LocalTree {
    /// Says that the state lies in this folder: no request is answered while its disk hangs. Trees on that disk which are opened from now
    /// on may change what they hold on a core's thread; no call can tell beforehand whether another disk is about to hang.
    pub fn set_state_disk(dir: &Path) -> Result<()> {
        let failed = |e| Error::io("look on which disk the state lies", e);
        let dir = sys::open_root(dir).map_err(failed)?;
        STATE_DISK.store(
            sys::disk_of(sys::fd(&dir)).map_err(failed)?,
            Ordering::Relaxed,
        );
        Ok(())
    }

    /// Calls to the disks that trees lie on, by the sort of the disk. What is answered from memory is none, nor is what takes long anyway.
    pub fn disk_calls() -> &'static [(&'static str, CallMetrics)] {
        CALLS.as_slice()
    }
}

impl DiskAccess {
    /// For the disk that a folder lies on.
    pub fn on(dir: BorrowedFd<'_>) -> sys::SysResult<Self> {
        let disk = sys::disk_of(dir)?;
        let turns = Arc::new(TreeSlots::new(DiskSlots::of(disk)));
        let is_everybodys = [NONE, disk].contains(&STATE_DISK.load(Ordering::Relaxed));
        Ok(Self {
            slots: turns,
            is_local: sys::is_local(dir),
            is_state_disk: is_everybodys,
            cleanup: CleanupQueue::default(),
        })
    }

    /// Makes a call to the disk, and counts it.
    pub fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        let [state, local, remote] = &*CALLS;
        let (_, calls) = match (self.is_local, self.is_state_disk) {
            (false, _) => remote,
            (true, true) => state,
            (true, false) => local,
        };
        calls.watch(call)
    }

    /// Whether a look at what is in memory keeps nobody waiting.
    pub fn can_read_inline(&self) -> bool {
        self.is_local && !self.slots.has_call_longer_than(HUNG)
    }

    /// Whether a change that need not reach the disk most likely keeps nobody waiting.
    pub fn can_write_inline(&self) -> bool {
        self.is_local && self.is_state_disk && !self.slots.has_call_longer_than(LONG)
    }
}

/// What is left to do.
#[derive(Default)]
pub(super) struct CleanupQueue(Mutex<CleanupJobs>);

#[derive(Default)]
struct CleanupJobs {
    work: Vec<Box<dyn FnOnce() + Send>>,
    /// Whether somebody is at it.
    is_taken: bool,
}

impl std::fmt::Debug for CleanupQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Later({})", self.0.lock().work.len())
    }
}

impl CleanupQueue {
    /// The next thing to do; who gets `None` is at it no longer.
    pub fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut due = self.0.lock();
        let next = due.work.pop();
        due.is_taken = next.is_some();
        next
    }

    /// Adds something; whether nobody is at it.
    pub fn add(&self, work: Box<dyn FnOnce() + Send>) -> bool {
        let mut due = self.0.lock();
        due.work.push(work);
        !std::mem::replace(&mut due.is_taken, true)
    }
}
