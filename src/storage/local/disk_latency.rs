//! Whether the disk keeps up. While it does, what takes no time to speak of is done where it is asked for, without waking another thread for it;
//! once it has taken long twice in a row, threads that may wait take over for a while, so that a slow disk keeps nobody waiting but who uses it.

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What takes longer is not done in passing.
const SLOW: Duration = Duration::from_millis(3);
/// How long the end of what another core does at once is waited for.
const SOON: Duration = Duration::from_micros(200);
/// How long a disk that was slow is not trusted.
const REST: Duration = Duration::from_secs(1);

/// How the disk of a tree does.
#[derive(Debug, Default)]
pub(super) struct DiskLatency {
    /// From when on the disk counts as quick; `None` until it was slow.
    quick_from: Mutex<Option<Instant>>,
    was_slow: AtomicBool,
    pauses: AtomicUsize,
    /// Held by who does something at once.
    hand: Mutex<()>,
}

/// While it is held, no disk counts as quick.
#[derive(Debug)]
pub(super) struct InlinePause<'a>(&'a DiskLatency);

impl DiskLatency {
    /// Whether it has been quick.
    pub fn is_fast(&self) -> bool {
        let is_trusted = self
            .quick_from
            .lock()
            .is_none_or(|from| Instant::now() >= from);
        is_trusted && self.pauses.load(Ordering::Relaxed) == 0
    }

    /// Lets nobody else do something at once; `None` when somebody does.
    pub fn try_lock_inline(&self) -> Option<MutexGuard<'_, ()>> {
        self.hand.try_lock_for(SOON)
    }

    /// Says that something begins which may keep changes waiting.
    pub fn pause_inline(&self) -> InlinePause<'_> {
        self.pauses.fetch_add(1, Ordering::Relaxed);
        InlinePause(self)
    }

    /// Runs `work`, and takes note when it was slow.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        let is_slow = began.elapsed() > SLOW;
        if self.was_slow.swap(is_slow, Ordering::Relaxed) && is_slow {
            *self.quick_from.lock() = Some(Instant::now() + REST);
        }
        done
    }
}

impl Drop for InlinePause<'_> {
    fn drop(&mut self) {
        self.0.pauses.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_slow_twice_is_not_trusted() {
        let pace = DiskLatency::default();
        let is_quick_after = |times: &[Duration]| {
            for time in times {
                pace.measure(|| std::thread::sleep(*time));
            }
            pace.is_fast()
        };
        let pause = pace.pause_inline();
        assert!(!pace.is_fast());
        drop(pause);
        assert!(is_quick_after(&[SLOW * 2, Duration::ZERO, SLOW * 2]));
        assert!(!is_quick_after(&[SLOW * 2]));
        assert_eq!(pace.measure(|| 1), 1);
    }
}
