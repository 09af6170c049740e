//! Counters, gauges and histograms: the kinds of metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of the buckets of every histogram, in nanoseconds: from 100 us to 30 s, about three to a decade and two.
const BOUNDS: [u64; 12] = [
    100_000,
    300_000,
    1_000_000,
    3_000_000,
    10_000_000,
    30_000_000,
    100_000_000,
    300_000_000,
    1_000_000_000,
    3_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// A histogram of how long something takes.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [Counter; BOUNDS.len()],
    /// Those beyond every bound.
    longer: Counter,
    nanoseconds: Counter,
}

impl Durations {
    /// Counts one.
    pub fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS
            .iter()
            .zip(&self.buckets)
            .find(|(bound, _)| took <= **bound);
        at.map_or(&self.longer, |(_, bucket)| bucket).add(1);
        self.nanoseconds.add(took);
    }

    /// The upper bound of each bucket in seconds, and how many are in it and in none below.
    #[expect(clippy::cast_precision_loss, reason = "every bound is exact enough")]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounded = BOUNDS
            .iter()
            .zip(&self.buckets)
            .map(|(bound, count)| (*bound as f64 / 1e9, count.get()));
        bounded
            .chain([(f64::INFINITY, self.longer.get())])
            .collect()
    }

    /// How long all took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.get())
    }
}

/// Calls that may wait: how many are under way, and how long those took that are over.
#[derive(Debug, Default)]
pub struct CallMetrics {
    running: AtomicU64,
    took: Durations,
}

struct CallGuard<'a> {
    calls: &'a CallMetrics,
    began: Instant,
}

impl CallMetrics {
    /// Counts a call while it is made.
    pub fn watch<T>(&self, call: impl FnOnce() -> T) -> T {
        self.running.fetch_add(1, Ordering::Relaxed);
        let _until_the_end = CallGuard {
            calls: self,
            began: Instant::now(),
        };
        call()
    }

    /// How many are under way.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// How long those took that are over.
    pub fn took(&self) -> &Durations {
        &self.took
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.calls.running.fetch_sub(1, Ordering::Relaxed);
        self.calls.took.note(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for micros in [0, 100, 101, 30_000_000, 31_000_000] {
            durations.note(Duration::from_micros(micros));
        }
        let buckets = durations.buckets();
        assert_eq!(
            (buckets.len(), buckets[0], buckets[1], buckets[11]),
            (13, (0.0001, 2), (0.0003, 1), (30.0, 1))
        );
        assert_eq!(buckets[12], (f64::INFINITY, 1));
        assert_eq!(durations.sum(), Duration::from_micros(61_000_201));
    }

    #[test]
    fn a_call_that_panics_is_over_too() {
        let calls = CallMetrics::default();
        assert_eq!(calls.watch(|| calls.running()), 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            calls.watch(|| panic!("on purpose"))
        }));
        assert!(panicked.is_err());
        assert_eq!(
            (
                calls.running(),
                calls
                    .took()
                    .buckets()
                    .iter()
                    .map(|(_, count)| count)
                    .sum::<u64>()
            ),
            (0, 2)
        );
    }
}
