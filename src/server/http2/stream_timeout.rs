//! How long one side of a stream has kept the other waiting, looked at now and then: thousands of streams need no alarm each.

use std::time::Duration;

/// Bytes a second that are fair.
const RATE: u64 = 1024;

/// A budget of waiting time, which bytes at a fair rate renew.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamTimeout {
    budget: Duration,
    spent: Duration,
    /// Bytes of which it was told, and those of them that were there when it was renewed.
    moved: u64,
    renewed: u64,
}

impl StreamTimeout {
    pub(super) fn new(budget: Duration) -> Self {
        Self {
            budget,
            spent: Duration::ZERO,
            moved: 0,
            renewed: 0,
        }
    }

    /// Whether the budget is spent when so much time more has passed, and so many bytes have moved in all.
    pub(super) fn has_expired(&mut self, passed: Duration, is_waiting: bool, moved: u64) -> bool {
        let fair = RATE.saturating_mul(self.budget.as_secs()).max(1);
        self.moved = moved;
        if self.moved - self.renewed >= fair {
            (self.spent, self.renewed) = (Duration::ZERO, self.moved);
        } else if is_waiting {
            self.spent += passed;
        }
        self.spent >= self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_trickles_end_it_and_neither_a_fair_rate_nor_the_servers_own_time_does() {
        let second = Duration::from_secs(1);
        let lasts = |rate: u64, is_waiting: bool| {
            let mut wait = StreamTimeout::new(Duration::from_secs(60));
            (1..=1000).find(|at| wait.has_expired(second, is_waiting, at * rate))
        };
        assert_eq!(lasts(0, true), Some(60));
        assert_eq!(lasts(100, true), Some(60));
        assert_eq!(lasts(1200, true), None);
        assert_eq!(lasts(0, false), None);
    }
}
