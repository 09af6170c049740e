//! The usage of a tree: how many bytes its files hold and how many are promised to uploads, exact at every change of a name.
//! A folder that goes to the trash in one rename is measured there later, when somebody needs to know: until then the usage counter
//! say too much, never too little. Files that are changed beside the server are noticed by counting anew now and then. What the usage counter
//! said when the tree was closed is believed when it is opened (`usage_file`); after a crash it is known what there is at most.

mod reservations;
mod state;

pub(super) use state::UsageDelta;

use super::count::trashed_bytes;
use super::dirs::TreeDirs;
use super::sys::fd;
use super::total_usage::TotalUsage;
use super::usage_file::{self, UsageRecord};
use crate::model::Result;
use parking_lot::Mutex;
use state::UsageState;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long a count is believed at least.
const FRESH: Duration = Duration::from_secs(60);
/// A tree that takes long to count is counted less often: this many times as long is between.
const PAUSE: u32 = 100;

/// The state.
#[derive(Debug, Default)]
pub(super) struct UsageCounter {
    state: Mutex<UsageState>,
    /// Held while files are counted; taken after the guard, never before it.
    pub counting: Mutex<()>,
    pub recounting: AtomicBool,
    /// Held while something is written about the state.
    writing: Mutex<()>,
    /// The inodes of files that uploads are to replace, and the bytes of them that these count on.
    claims: Mutex<BTreeMap<[u64; 2], u64>>,
    /// Whether the tree was closed when it was used last: no crash has left anything half done.
    pub was_closed: bool,
    #[cfg(test)]
    pub walks: std::sync::atomic::AtomicUsize,
}

/// What a count of all files has found.
pub(super) struct UsageCount {
    pub bytes: u64,
    pub took: Duration,
    /// The number of changes when it began.
    pub changes: u64,
}

impl UsageCounter {
    /// The usage of the tree in a folder, as they were closed, and the sum of its files and history. From now on only what the usage counter says at
    /// most counts after a crash.
    pub fn open(top: BorrowedFd<'_>) -> (Self, TotalUsage) {
        let Some(UsageRecord {
            used,
            upper_bound: most,
            unmeasured,
            counted,
            total,
        }) = usage_file::load(top)
        else {
            return (Self::default(), TotalUsage::default());
        };
        let due = counted
            .filter(|_| used.is_some())
            .map_or(Duration::ZERO, |(when, took)| {
                (FRESH.max(took * PAUSE)).saturating_sub(when.elapsed().unwrap_or_default())
            });
        let due = Instant::now().checked_add(due);
        let at_most = Some(most).filter(|_| used.is_none());
        let was_closed = used.is_some();
        let state = UsageState {
            used,
            at_most,
            written: Some(most),
            unmeasured,
            counted,
            due,
            ..UsageState::default()
        };
        (
            Self {
                state: Mutex::new(state),
                was_closed,
                ..Self::default()
            },
            TotalUsage::restored(total),
        )
    }

    /// Writes down what the usage counter says, to be believed when the tree is opened again; called when nothing changes any more.
    pub fn close(&self, top: BorrowedFd<'_>, total: &TotalUsage) {
        let _writing = self.writing.lock();
        let state = self.state.lock();
        let Some(most) = state.upper_bound() else {
            return;
        };
        let unmeasured = state.unmeasured.clone();
        let written = UsageRecord {
            used: state.used,
            upper_bound: most,
            unmeasured,
            counted: state.counted,
            total: total.snapshot(),
        };
        drop(state);
        if let Err(error) = usage_file::write(top, &written) {
            tracing::warn!(%error, "how much a home holds could not be written down: it is counted when it is opened again");
            usage_file::remove(top);
        }
    }

    /// Notes a change; called under the guard, after it.
    pub fn apply(&self, dirs: &TreeDirs, growth: UsageDelta) {
        self.state.lock().apply(growth);
        self.raise_bound(dirs, 0);
    }

    /// As [`apply`](Self::apply), of an upload: the `reserved` bytes are used now.
    pub fn apply_reserved(&self, dirs: &TreeDirs, growth: UsageDelta, reserved: u64) {
        {
            let mut state = self.state.lock();
            state.apply(growth);
            state.reserved = state.reserved.saturating_sub(reserved);
        }
        self.raise_bound(dirs, 0);
    }

    /// Whether a growth certainly stays within `limit`, by what is known without counting.
    pub fn fits_known(&self, growth: UsageDelta, limit: u64) -> bool {
        let state = self.state.lock();
        state
            .upper_bound()
            .is_some_and(|used| growth.fits(used, limit))
    }

    /// Forgets all: something of unknown size has come. Called under the guard.
    pub fn invalidate(&self, dirs: &TreeDirs) {
        {
            let mut state = self.state.lock();
            *state = UsageState {
                reserved: state.reserved,
                changes: state.changes + 1,
                ..UsageState::default()
            };
        }
        usage_file::remove(fd(&dirs.dir));
    }

    /// Notes that so many bytes of overflow files were deleted. What there is at most stays: a crash may have left some that never were on the state.
    pub fn note_swept(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.changes += 1;
        state.used = state.used.map(|used| used.saturating_sub(bytes));
    }

    /// Notes that a folder lies in the trash now, under this name; called under the guard.
    pub fn note_trashed(&self, name: &str) {
        let mut state = self.state.lock();
        state.changes += 1;
        if state.used.is_some() {
            state.unmeasured.push(name.to_owned());
        }
    }

    /// Takes back [`note_trashed`](Self::note_trashed), if the folder's bytes are still in the count: says whether they are.
    pub fn take_unmeasured(&self, name: &str) -> bool {
        let mut state = self.state.lock();
        let at = state.unmeasured.iter().position(|known| known == name);
        if let Some(at) = at {
            state.changes += 1;
            state.unmeasured.swap_remove(at);
        }
        at.is_some()
    }

    /// How many changes of names there were.
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// Bytes of live files, if nothing must be counted first to know.
    pub fn known(&self) -> Option<u64> {
        let state = self.state.lock();
        state.used.filter(|_| state.unmeasured.is_empty())
    }

    /// Whether what there is is judged by what it is at most.
    pub fn is_estimate(&self) -> bool {
        let state = self.state.lock();
        state.used.is_none() && state.at_most.is_some()
    }

    /// Whether it is time to count anew and the caller is the one to do it.
    pub fn is_due(&self) -> bool {
        let due = self
            .state
            .lock()
            .due
            .is_some_and(|due| due <= Instant::now());
        due && !self.recounting.swap(true, Ordering::Relaxed)
    }

    /// What was expected and what was counted when the usage counter was last found wrong; told once.
    pub fn take_correction(&self) -> Option<(u64, u64)> {
        self.state.lock().correction.take()
    }

    fn note_count(&self, count: &UsageCount) {
        let mut state = self.state.lock();
        if let Some(expected) = state
            .used
            .filter(|used| state.unmeasured.is_empty() && *used != count.bytes)
        {
            tracing::info!(
                counted = count.bytes,
                expected,
                "files were changed beside the server: the usage is corrected"
            );
            state.correction = Some((expected, count.bytes));
        }
        state.used = Some(count.bytes);
        state.unmeasured.clear();
        state.at_most = None;
        state.due = Some(Instant::now() + FRESH.max(count.took * PAUSE));
        state.counted = Some((SystemTime::now(), count.took));
    }

    /// Lets the disk say that there is more, before `more` bytes come and long before there is so much: then a power cut finds that
    /// written. A disk that hangs keeps nobody from the state.
    pub fn raise_bound(&self, dirs: &TreeDirs, more: u64) {
        if self.state.lock().next_bound(more).is_none() {
            return;
        }
        let _writing = self.writing.lock();
        let Some(most) = self.state.lock().next_bound(more) else {
            return;
        };
        let written = usage_file::write(
            fd(&dirs.dir),
            &UsageRecord {
                upper_bound: most,
                ..UsageRecord::default()
            },
        );
        if let Err(error) = &written {
            tracing::warn!(%error, "how much a home holds at most could not be written down");
            usage_file::remove(fd(&dirs.dir));
        }
        self.state.lock().written = written.is_ok().then_some(most);
    }

    /// Notes that a count begins; returns how many changes there were so far.
    pub fn begin_count(&self) -> u64 {
        #[cfg(test)]
        self.walks.fetch_add(1, Ordering::Relaxed);
        self.changes()
    }

    /// Enters a count; `counting` is held.
    pub fn set_counted(&self, dirs: &TreeDirs, count: &UsageCount) -> u64 {
        self.note_count(count);
        self.raise_bound(dirs, 0);
        count.bytes
    }

    /// Takes what lies in the trash out of the count; returns what is left on them, `None` before the first count. `counting` is held.
    pub fn measure(&self, dirs: &TreeDirs) -> Result<Option<u64>> {
        loop {
            let (used, next) = {
                let state = self.state.lock();
                (state.used, state.unmeasured.last().cloned())
            };
            let Some(name) = next else { return Ok(used) };
            self.measure_one(dirs, &name)?;
        }
    }

    /// Takes a folder in the trash out of the count, if its bytes are on them still.
    pub fn measure_one(&self, dirs: &TreeDirs, name: &str) -> Result<()> {
        if !self
            .state
            .lock()
            .unmeasured
            .iter()
            .any(|known| known == name)
        {
            return Ok(());
        }
        let bytes = trashed_bytes(dirs, name)?;
        // It may have gone back or away meanwhile.
        if self.take_unmeasured(name) {
            self.apply(
                dirs,
                UsageDelta {
                    added: 0,
                    removed: bytes,
                },
            );
        }
        Ok(())
    }
}
