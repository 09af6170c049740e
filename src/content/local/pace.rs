//! Whether the disk keeps up. While it does, what takes no time to speak of is done where it is asked for, without waking another thread for it;
//! once it has taken long twice in a row, threads that may wait take over for a while, so that a slow disk keeps nobody waiting but who uses it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What takes longer is not done in passing.
const SLOW: Duration = Duration::from_millis(3);
/// How long a disk that was slow is not trusted.
const REST: Duration = Duration::from_secs(1);

/// How the disk of a tree does.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    /// Microseconds after the beginning from when on the disk counts as quick.
    quick_from: AtomicU64,
    was_slow: AtomicBool,
    pauses: AtomicUsize,
}

/// While it is held, no disk counts as quick.
#[derive(Debug)]
pub(super) struct Pause<'a>(&'a Pace);

impl Default for Pace {
    fn default() -> Self {
        let (quick_from, was_slow, pauses) = (AtomicU64::new(0), AtomicBool::new(false), AtomicUsize::new(0));
        Self { begun: Instant::now(), quick_from, was_slow, pauses }
    }
}

impl Pace {
    /// Whether it has been quick.
    pub fn is_quick(&self) -> bool {
        let is_trusted = micros(self.begun.elapsed()) >= self.quick_from.load(Ordering::Relaxed);
        is_trusted && self.pauses.load(Ordering::Relaxed) == 0
    }

    /// Says that something begins which may keep changes waiting.
    pub fn pause(&self) -> Pause<'_> {
        self.pauses.fetch_add(1, Ordering::Relaxed);
        Pause(self)
    }

    /// Runs `work`, and takes note when it was slow.
    pub fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        let is_slow = began.elapsed() > SLOW;
        if self.was_slow.swap(is_slow, Ordering::Relaxed) && is_slow {
            self.quick_from.store(micros(self.begun.elapsed() + REST), Ordering::Relaxed);
        }
        done
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.pauses.fetch_sub(1, Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_slow_twice_is_not_trusted() {
        let pace = Pace::default();
        let is_quick_after = |times: &[Duration]| {
            for time in times {
                pace.watch(|| std::thread::sleep(*time));
            }
            pace.is_quick()
        };
        let pause = pace.pause();
        assert!(!pace.is_quick());
        drop(pause);
        assert!(is_quick_after(&[SLOW * 2, Duration::ZERO, SLOW * 2]));
        assert!(!is_quick_after(&[SLOW * 2]));
        assert_eq!(pace.watch(|| 1), 1);
    }
}
