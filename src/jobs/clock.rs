//! Whether the date of the machine is to be believed: a wrong one makes everything look old, and what is deleted for its age does not come
//! back when the clock is set right.

use crate::model::{Result, time};
use crate::state::StateStore;
use crate::state::table::{Record, Table};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How far the two clocks of a machine may run apart between two rounds.
const MAX_JUMP: Duration = DAY;
/// How far the date may have gone forward, in a stop or beside the monotonic clock, to be believed without anybody's word.
const MAX_PAUSE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a date must have gone on evenly to be believed after a jump.
const EVENLY: Duration = DAY;
const ID: &str = "believed";

/// The last date that was believed, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ClockRecord {
    /// In seconds since 1970.
    believed: i64,
}

impl Record for ClockRecord {
    const VERSION: u32 = 1;
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    monotonic: Instant,
    wall: SystemTime,
}

/// How a date differs from what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockDrift {
    /// Not by more than a day.
    Hardly,
    /// It may be right, after a stop of some weeks, or be set right.
    Somewhat,
    /// So far ahead that it is wrong, or the machine was off for long.
    Far,
}

impl ClockReading {
    /// As they are.
    pub fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn apart(self, before: Self) -> ClockDrift {
        let expected = before.wall + self.monotonic.saturating_duration_since(before.monotonic);
        match self.wall.duration_since(expected) {
            Ok(ahead) if ahead > MAX_PAUSE => ClockDrift::Far,
            Ok(ahead) if ahead > MAX_JUMP => ClockDrift::Somewhat,
            Err(behind) if behind.duration() > MAX_JUMP => ClockDrift::Somewhat,
            _ => ClockDrift::Hardly,
        }
    }
}

/// What is made of the date at a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTrust {
    /// It is believed.
    Believed,
    /// It is not, and will be if it goes on evenly for a day.
    Doubted,
    /// It is not, until the server is started again, when it has been so for a day; or until it is set right.
    Refused,
}

/// What is believed.
#[derive(Clone, Copy, Debug)]
pub struct ClockTrust {
    believed: ClockReading,
    /// Since when the date has gone on evenly, after a jump.
    even_since: Option<ClockReading>,
}

impl ClockTrust {
    /// At a start; `stored` is the date that was believed last.
    fn at_start(stored: Option<SystemTime>, now: ClockReading) -> Self {
        let believed = match stored {
            // Not much later, or never before: else the first round sees it as a jump.
            Some(stored)
                if now.wall < stored
                    || now.apart(ClockReading {
                        wall: stored,
                        ..now
                    }) == ClockDrift::Far =>
            {
                ClockReading {
                    wall: stored,
                    ..now
                }
            }
            _ => now,
        };
        Self {
            believed,
            even_since: None,
        }
    }

    /// At a round.
    fn assess(&mut self, now: ClockReading) -> DateTrust {
        let apart = now.apart(self.believed);
        if apart == ClockDrift::Hardly && self.even_since.is_none() {
            self.believed = now;
            return DateTrust::Believed;
        }
        let since = *self.even_since.get_or_insert(now);
        if now.apart(since) != ClockDrift::Hardly {
            self.even_since = Some(now);
        } else if apart != ClockDrift::Far
            && now.monotonic.saturating_duration_since(since.monotonic) >= EVENLY
        {
            *self = Self {
                believed: now,
                even_since: None,
            };
            return DateTrust::Believed;
        }
        if apart == ClockDrift::Far {
            DateTrust::Refused
        } else {
            DateTrust::Doubted
        }
    }

    /// What the next start is to go by; `None` for what is stored.
    fn to_store(self, now: ClockReading) -> Option<SystemTime> {
        let is_even = |since: ClockReading| {
            now.monotonic.saturating_duration_since(since.monotonic) >= EVENLY
        };
        self.even_since.is_none_or(is_even).then_some(now.wall)
    }
}

/// The date as the jobs go by it.
#[derive(Debug)]
pub struct TrustedClock {
    table: Table<ClockRecord>,
    belief: ClockTrust,
}

impl TrustedClock {
    /// At the start; `exported` is when the state was exported last, for the first start that stores a date.
    pub async fn open(store: Arc<dyn StateStore>, exported: Option<SystemTime>) -> Self {
        let table = Table::<ClockRecord>::new(store, "clock/");
        let stored = table.get(ID).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "which date it was at the last stop is not known");
            None
        });
        let stored = stored
            .map(|record| time::from_unix_seconds(record.believed))
            .or(exported);
        Self {
            table,
            belief: ClockTrust::at_start(stored, ClockReading::now()),
        }
    }

    /// What is made of the date now.
    pub async fn check(&mut self) -> Result<DateTrust> {
        let now = ClockReading::now();
        let date = self.belief.assess(now);
        if let Some(wall) = self.belief.to_store(now) {
            self.table
                .put(
                    ID,
                    &ClockRecord {
                        believed: time::unix_seconds(wall),
                    },
                )
                .await?;
        }
        Ok(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Clocks that are `run` hours after the first and `set` days off.
    fn at(first: ClockReading, run: u32, set: i64) -> ClockReading {
        let days = DAY * u32::try_from(set.unsigned_abs()).unwrap();
        let wall = first.wall + HOUR * run;
        ClockReading {
            monotonic: first.monotonic + HOUR * run,
            wall: if set < 0 { wall - days } else { wall + days },
        }
    }

    fn begun() -> (ClockReading, ClockTrust) {
        let first = ClockReading::now();
        (first, ClockTrust::at_start(Some(first.wall - HOUR), first))
    }

    #[test]
    fn a_date_that_jumped_a_year_is_refused_until_it_is_set_right() {
        let (first, mut belief) = begun();
        assert_eq!(belief.assess(at(first, 1, 0)), DateTrust::Believed);
        for run in 2..100 {
            assert_eq!(
                belief.assess(at(first, run, 365)),
                DateTrust::Refused,
                "round {run}"
            );
        }
        for run in 100..124 {
            assert_eq!(
                belief.assess(at(first, run, 0)),
                DateTrust::Doubted,
                "round {run}"
            );
        }
        assert_eq!(belief.assess(at(first, 124, 0)), DateTrust::Believed);
        assert_eq!(belief.assess(at(first, 125, 0)), DateTrust::Believed);
    }

    #[test]
    fn a_date_that_jumped_some_days_is_believed_after_an_even_day() {
        for set in [7, -2, -400] {
            let (first, mut belief) = begun();
            assert_eq!(belief.assess(at(first, 1, 0)), DateTrust::Believed);
            for run in 2..26 {
                assert_eq!(
                    belief.assess(at(first, run, set)),
                    DateTrust::Doubted,
                    "{set} days, round {run}"
                );
            }
            assert_eq!(belief.assess(at(first, 26, set)), DateTrust::Believed);
        }
        let (first, mut belief) = begun();
        assert_eq!(
            belief.assess(at(first, 25, 1)),
            DateTrust::Believed,
            "a day is nothing"
        );
    }

    #[test]
    fn a_start_long_after_the_last_date_waits_for_a_second_one() {
        let first = ClockReading::now();
        let mut belief = ClockTrust::at_start(Some(first.wall - 31 * DAY), first);
        for run in 0..24 {
            assert_eq!(
                (
                    belief.assess(at(first, run, 0)),
                    belief.to_store(at(first, run, 0))
                ),
                (DateTrust::Refused, None)
            );
        }
        let day = at(first, 24, 0);
        assert_eq!(belief.assess(day), DateTrust::Refused);
        let stored = belief.to_store(day);
        assert_eq!(stored, Some(day.wall));
        assert_eq!(
            ClockTrust::at_start(stored, day).assess(day),
            DateTrust::Believed
        );
        for stored in [None, Some(first.wall - 29 * DAY), Some(first.wall)] {
            assert_eq!(
                ClockTrust::at_start(stored, first).assess(at(first, 1, 0)),
                DateTrust::Believed,
                "{stored:?}"
            );
        }
        // A clock without a battery, until it is set.
        let mut belief = ClockTrust::at_start(Some(first.wall), at(first, 0, -9000));
        assert_eq!(belief.assess(at(first, 0, -9000)), DateTrust::Doubted);
        assert_eq!(belief.assess(at(first, 1, 2)), DateTrust::Doubted);
        assert_eq!(belief.assess(at(first, 25, 2)), DateTrust::Believed);
    }

    #[tokio::test]
    async fn the_date_is_stored_and_judged_at_the_next_start() {
        let store = MemoryStore::new();
        let mut clock = TrustedClock::open(store.clone(), None).await;
        assert_eq!(clock.check().await.unwrap(), DateTrust::Believed);
        let long_ago = SystemTime::now() - 100 * DAY;
        assert_eq!(
            TrustedClock::open(store.clone(), Some(long_ago))
                .await
                .check()
                .await
                .unwrap(),
            DateTrust::Believed
        );
        clock
            .table
            .put(
                ID,
                &ClockRecord {
                    believed: time::unix_seconds(long_ago),
                },
            )
            .await
            .unwrap();
        assert_eq!(
            TrustedClock::open(store, None).await.check().await.unwrap(),
            DateTrust::Refused
        );
        assert_eq!(
            TrustedClock::open(MemoryStore::new(), Some(long_ago))
                .await
                .check()
                .await
                .unwrap(),
            DateTrust::Refused
        );
    }
}
