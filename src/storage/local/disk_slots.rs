//! How many calls of a tree are under way at a time. Threads wait for them, and a disk that hangs gives none back: it must not use up those
//! that all share. So each tree has few, and each disk only a part of all.

use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls of one tree under way at most: a slow disk is not quicker with more.
const OF_TREE: usize = 32;
/// Calls of all trees under way at most.
const OF_ALL: usize = 256;
/// For each turn that is left for others, a disk may have so many.
const SHARE: usize = 3;
/// How long a call waits for its turn, and how often it looks where others have to go first.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A call that takes longer waits for its disk: who changes something might wait, too.
pub(super) const LONG: Duration = Duration::from_millis(20);
/// After which the disk may hang: who only looks might wait, too.
pub(super) const HUNG: Duration = Duration::from_millis(250);

/// Calls under way.
static ALL: Mutex<usize> = Mutex::new(0);
/// Every disk that a tree lies on, by its number.
static DISKS: LazyLock<Mutex<HashMap<u64, Weak<DiskSlots>>>> = LazyLock::new(Mutex::default);

/// What the trees on one disk share.
#[derive(Debug, Default)]
pub(super) struct DiskSlots {
    /// Calls under way on it, counted while `ALL` is held.
    open: AtomicUsize,
    /// Held while somebody looks for room on it and takes it.
    pub space_lock: Mutex<()>,
}

impl DiskSlots {
    /// The disk with this number.
    pub fn of(number: u64) -> Arc<Self> {
        let mut disks = DISKS.lock();
        disks.retain(|_, disk| disk.strong_count() > 0);
        let known = disks.get(&number).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let disk = Arc::default();
            disks.insert(number, Arc::downgrade(&disk));
            disk
        })
    }
}

/// The turns of one tree.
#[derive(Debug)]
pub(super) struct TreeSlots {
    disk: Arc<DiskSlots>,
    free: Arc<Semaphore>,
    /// When each call under way began.
    begun: Mutex<Vec<Instant>>,
}

/// A call's turn, until it is dropped.
#[derive(Debug)]
pub(super) struct DiskSlot {
    slots: Arc<TreeSlots>,
    begun: Option<Instant>,
    _one: OwnedSemaphorePermit,
}

impl TreeSlots {
    /// Of a tree on this disk.
    pub fn new(disk: Arc<DiskSlots>) -> Self {
        Self {
            disk,
            free: Arc::new(Semaphore::new(OF_TREE)),
            begun: Mutex::default(),
        }
    }

    /// What the tree lies on.
    pub fn disk(&self) -> &DiskSlots {
        &self.disk
    }

    /// A turn; `Busy` when none comes up.
    pub async fn acquire(self: &Arc<Self>) -> Result<DiskSlot> {
        if let Some(turn) = self.try_acquire() {
            return Ok(turn);
        }
        tokio::time::timeout(PATIENCE, self.acquire_untimed())
            .await
            .map_err(|_| Error::Busy {
                retry_after: PATIENCE,
            })
    }

    /// A turn, if there is one now.
    pub fn try_acquire(self: &Arc<Self>) -> Option<DiskSlot> {
        let one = self.free.clone().try_acquire_owned().ok()?;
        self.begin(one)
    }

    /// As [`acquire`](Self::acquire), however long that takes.
    pub async fn acquire_untimed(self: &Arc<Self>) -> DiskSlot {
        loop {
            // Never closed, so always given at last.
            if let Ok(one) = self.free.clone().acquire_owned().await
                && let Some(turn) = self.begin(one)
            {
                return turn;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn begin(self: &Arc<Self>, one: OwnedSemaphorePermit) -> Option<DiskSlot> {
        {
            let mut all = ALL.lock();
            let left = OF_ALL.saturating_sub(*all);
            if self.disk.open.load(Ordering::Relaxed) >= left * SHARE {
                return None;
            }
            self.disk.open.fetch_add(1, Ordering::Relaxed);
            *all += 1;
        }
        let begun = Instant::now();
        self.begun.lock().push(begun);
        Some(DiskSlot {
            slots: Arc::clone(self),
            begun: Some(begun),
            _one: one,
        })
    }

    /// Whether a call that is under way has taken longer already.
    pub fn has_call_longer_than(&self, longer: Duration) -> bool {
        self.free.available_permits() < OF_TREE
            && self
                .begun
                .lock()
                .iter()
                .min()
                .is_some_and(|begun| begun.elapsed() > longer)
    }
}

impl DiskSlot {
    /// The same, for what takes long on a quick disk as well and says nothing of it.
    pub fn unmeasured(mut self) -> Self {
        self.stop_measuring();
        self
    }

    fn stop_measuring(&mut self) {
        let Some(own) = self.begun.take() else { return };
        let mut begun = self.slots.begun.lock();
        if let Some(at) = begun.iter().position(|begun| *begun == own) {
            begun.swap_remove(at);
        }
    }
}

impl Drop for DiskSlot {
    fn drop(&mut self) {
        self.stop_measuring();
        let mut all = ALL.lock();
        *all -= 1;
        self.slots.disk.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(turns: &Arc<TreeSlots>) -> Vec<DiskSlot> {
        std::iter::from_fn(|| turns.try_acquire()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tree_has_few_and_those_who_wait_get_the_next_or_are_refused() {
        let turns = Arc::new(TreeSlots::new(DiskSlots::of(u64::MAX)));
        let mut open = taken(&turns);
        assert_eq!(open.len(), OF_TREE);
        assert!(matches!(turns.acquire().await, Err(Error::Busy { .. })));
        let given_back = async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(open.pop());
        };
        let (next, ()) = tokio::join!(turns.acquire(), given_back);
        assert!(next.is_ok());
    }

    #[test]
    fn a_disk_that_hangs_leaves_turns_to_others_however_many_trees_it_has() {
        let trees = |disk| {
            (0..20)
                .map(move |_| Arc::new(TreeSlots::new(DiskSlots::of(disk))))
                .collect::<Vec<_>>()
        };
        let hung: Vec<_> = trees(u64::MAX - 1).iter().flat_map(taken).collect();
        assert!(
            (OF_ALL / 2..OF_ALL * 4 / 5).contains(&hung.len()),
            "{}",
            hung.len()
        );
        let also: Vec<_> = trees(u64::MAX - 2).iter().flat_map(taken).collect();
        let third: Vec<_> = trees(u64::MAX - 3).iter().flat_map(taken).collect();
        assert!(
            also.len() > OF_TREE && third.len() > 8,
            "{}, {}",
            also.len(),
            third.len()
        );
    }

    #[test]
    fn a_call_that_takes_long_is_noticed_until_it_is_over() {
        let turns = Arc::new(TreeSlots::new(DiskSlots::of(u64::MAX)));
        let turn = turns.try_acquire().unwrap();
        assert!(!turns.has_call_longer_than(LONG));
        std::thread::sleep(LONG * 2);
        assert!(turns.has_call_longer_than(LONG));
        drop(turn);
        assert!(!turns.has_call_longer_than(LONG));
        let long = turns.try_acquire().unwrap().unmeasured();
        std::thread::sleep(LONG * 2);
        assert!(!turns.has_call_longer_than(LONG));
        drop(long);
        assert_eq!(turns.free.available_permits(), OF_TREE);
    }
}
