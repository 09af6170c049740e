//! When the changes of a tree happened, whatever the clock did.

use super::ChangeLogLine;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// After so long the clock of a machine that has just started is right.
const TRUSTED_AFTER: Duration = Duration::from_secs(3600);
/// A clock that went this much faster or slower than time was set.
const SET: Duration = Duration::from_secs(2);

/// The time of a line behind one of `last`, and what the clock says where that is less. A clock that goes back is behind, as after a
/// start without a battery, unless it `is_believed`: then it was ahead before, and [`ChangeLogLine::at_before`] tells so.
pub(super) fn line_time(last: u64, now: u64, is_believed: bool) -> (u64, Option<u64>) {
    if is_believed || now >= last {
        (now, None)
    } else {
        (last, Some(now))
    }
}

/// Whether the clock was set while the process ran, or has run for an hour since its start: so it is right by now.
pub(super) fn is_clock_believed() -> bool {
    static START: LazyLock<(SystemTime, Instant)> =
        LazyLock::new(|| (SystemTime::now(), Instant::now()));
    let (wall, start) = *START;
    let elapsed = start.elapsed();
    let moved = SystemTime::now().duration_since(wall).unwrap_or_default();
    elapsed >= TRUSTED_AFTER || moved.abs_diff(elapsed) > SET
}

impl ChangeLogLine {
    /// When it happened, as read backwards from a line of `later` by a clock that says `now`: what happened before is not later, and
    /// what lies in the future was written by a clock that was ahead.
    pub fn at_before(&self, later: u64, now: u64) -> u64 {
        let clock = self.clock.filter(|_| self.at > now);
        clock.unwrap_or(self.at).min(later)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LoggedChange;
    use super::*;

    /// Lines as they are written by a clock that says these times, each believed or not; what each is taken for at `now`.
    fn read_back(clocks: &[(u64, bool)], now: u64) -> Vec<u64> {
        let mut last = 0;
        let lines: Vec<_> = clocks
            .iter()
            .map(|(clock, is_believed)| {
                let (at, clock) = line_time(last, *clock, *is_believed);
                last = at;
                let event = LoggedChange::Begun;
                ChangeLogLine { at, clock, event }
            })
            .collect();
        let mut later = u64::MAX;
        let mut read: Vec<_> = lines
            .iter()
            .rev()
            .map(|line| {
                later = line.at_before(later, now);
                later
            })
            .collect();
        read.reverse();
        read
    }

    #[test]
    fn a_clock_that_was_ahead_or_behind_keeps_the_order_and_the_times() {
        // Ahead, and set while the process ran.
        let ahead = [(100, false), (900, false), (101, true), (102, true)];
        assert_eq!(read_back(&ahead, 103), [100, 101, 101, 102]);
        assert_eq!(read_back(&ahead, 2000), [100, 101, 101, 102]);
        // Ahead, and right since a start.
        let ahead = [(100, false), (900, false), (101, false), (102, false)];
        assert_eq!(read_back(&ahead, 103), [100, 101, 101, 102]);
        // Behind after a start, then set.
        let behind = [(100, false), (5, false), (6, false), (101, true)];
        assert_eq!(read_back(&behind, 102), [100, 100, 100, 101]);
    }
}
