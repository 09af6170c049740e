//! When a certificate is ordered: when it is due, and after a failure not before a while. Let's Encrypt allows five failed proofs of a name in
//! an hour; no two tries come closer than [`LEAST`], over restarts too, since each is noted before it is made.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Between two tries of a name at least.
pub(super) const LEAST: Duration = Duration::from_secs(12 * 60);
/// After the first failure, before the jitter of a fifth; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(15 * 60);
const MOST: Duration = Duration::from_secs(12 * 3600);

/// What is kept of tries that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RetryState {
    /// How many in a row.
    pub failures: u32,
    /// When the last one was, in seconds since 1970.
    pub tried: i64,
    /// Seconds until the next.
    pub wait: u64,
}

impl RetryState {
    /// One more try, as if it will fail. `random` is any number.
    pub(super) fn of_try(before: Option<Self>, now: i64, random: u32) -> Self {
        let failures = before.map_or(0, |note| note.failures).saturating_add(1);
        Self {
            failures,
            tried: now,
            wait: wait_after(failures, random).as_secs(),
        }
    }

    /// The same when the ACME server has said that it was too much.
    pub(super) fn of_limit(self, random: u32) -> Self {
        Self {
            wait: wait_after(u32::MAX, random).as_secs(),
            ..self
        }
    }

    /// When the next try may be. A clock that was ahead then keeps nobody waiting.
    pub(super) fn next(&self, now: i64) -> i64 {
        if self.tried > now {
            now
        } else {
            self.tried.saturating_add_unsigned(self.wait)
        }
    }

    /// When it may be if somebody asks, as who has put right what was wrong.
    pub(super) fn soonest(self) -> Self {
        Self {
            wait: self.wait.min(LEAST.as_secs()),
            ..self
        }
    }
}

/// After a success, until the next order at least, whatever the clock says of the certificate; less for one that ends before.
pub(super) fn after_success(now: i64, (from, until): (i64, i64)) -> RetryState {
    let third = u64::try_from((until - from) / 3).unwrap_or(0);
    RetryState {
        failures: 0,
        tried: now,
        wait: third.min(LEAST.as_secs()),
    }
}

/// With a jitter of a fifth to both sides, so that many servers do not come back at once.
fn wait_after(failures: u32, random: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .max(1);
    let plain = FIRST.saturating_mul(doubled.min(1024)).min(MOST);
    plain * 4 / 5 + plain * (random % 1000) / 2500
}

/// When a certificate that is valid so long is renewed: at two thirds.
pub(super) fn renewal(from: i64, until: i64) -> i64 {
    from + (until - from) / 3 * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_what_is_allowed() {
        for random in [0, 499, 999, u32::MAX] {
            let waits: Vec<u64> = (1..12)
                .map(|failures| wait_after(failures, random).as_secs())
                .collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| *wait >= LEAST.as_secs() && *wait <= 52_000),
                "{waits:?}"
            );
            assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        }
        assert_eq!(wait_after(1, 500).as_secs(), 900);
        assert_eq!(wait_after(2, 500).as_secs(), 1800);
        assert_eq!(wait_after(u32::MAX, 500), MOST);
        assert_ne!(wait_after(3, 1), wait_after(3, 900));
    }

    #[test]
    fn a_note_holds_over_restarts_and_wrong_clocks() {
        let note = RetryState::of_try(None, 1000, 500);
        assert_eq!(
            (note.failures, note.next(1000), note.soonest().next(1000)),
            (1, 1900, 1720)
        );
        assert_eq!(RetryState::of_try(Some(note), 2000, 500).next(2000), 3800);
        assert_eq!(note.of_limit(500).next(1000), 1000 + 43_200);
        assert_eq!(note.next(10), 10, "the clock was ahead");
        assert_eq!(renewal(0, 90), 60);
        assert_eq!(
            (
                after_success(1000, (0, 90 * 86_400)).next(1000),
                after_success(1000, (0, 18)).next(1000)
            ),
            (1720, 1006)
        );
    }
}
