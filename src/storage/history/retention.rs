//! How long trash and versions are kept.

use crate::config::HistoryConfig;
use std::ops::Add;
use std::time::{Duration, SystemTime};

/// How long the past is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How long an item lies in the trash; `None` for ever.
    pub trash: Option<Duration>,
    /// How many bytes all of it may have, oldest first out; `None` for what the disk has.
    pub max_bytes: Option<u64>,
    /// Which versions.
    pub versions: VersionThinning,
}

impl Retention {
    /// What the configuration says.
    pub fn of(config: &HistoryConfig) -> Self {
        let trash = (config.trash_days > 0).then(|| config.trash_days * DAY);
        Self {
            trash,
            max_bytes: None,
            versions: VersionThinning::of(config),
        }
    }
}

/// What a round of [`History::expire`](super::History::expire) has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiredCounts {
    /// Items of the trash.
    pub items: u64,
    /// Versions.
    pub versions: u64,
}

impl Add for ExpiredCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            versions: self.versions + other.versions,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Up to which age versions are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionThinning {
    /// All of them.
    pub all: Duration,
    /// One an hour.
    pub hourly: Duration,
    /// One a day.
    pub daily: Duration,
    /// One a week.
    pub weekly: Duration,
}

impl Default for VersionThinning {
    fn default() -> Self {
        Self::of(&HistoryConfig::default())
    }
}

impl VersionThinning {
    /// What the configuration says.
    pub fn of(config: &HistoryConfig) -> Self {
        Self {
            all: config.all_hours * HOUR,
            hourly: config.hourly_days * DAY,
            daily: config.daily_days * DAY,
            weekly: config.weekly_days * DAY,
        }
    }
}

/// Which of the versions of one file are no longer kept, by when they were replaced, newest first; of several in one span the oldest is, so
/// that what is kept does not change from round to round. What lies in the future is kept.
pub fn expired_versions(
    replaced: &[SystemTime],
    thinning: VersionThinning,
    now: SystemTime,
) -> Vec<usize> {
    let VersionThinning {
        all,
        hourly,
        daily,
        weekly,
    } = thinning;
    let steps = [
        (all, Duration::ZERO),
        (hourly, HOUR),
        (daily, DAY),
        (weekly, WEEK),
    ];
    let mut outlived = Vec::new();
    for (index, time) in replaced.iter().enumerate() {
        let age = now.duration_since(*time).unwrap_or_default();
        let Some((_, span)) = steps.iter().find(|(until, _)| age < *until) else {
            outlived.push(index);
            continue;
        };
        let slot = |time: &SystemTime| {
            let since = time
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs();
            since.checked_div(span.as_secs())
        };
        let older = replaced.get(index + 1);
        if slot(time).is_some() && older.is_some_and(|older| slot(older) == slot(time)) {
            outlived.push(index);
        }
    }
    outlived
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ages: &[u64], now: SystemTime) -> Vec<u64> {
        let times: Vec<_> = ages
            .iter()
            .map(|age| now - Duration::from_secs(*age))
            .collect();
        let gone = expired_versions(&times, VersionThinning::default(), now);
        ages.iter()
            .enumerate()
            .filter(|(index, _)| !gone.contains(index))
            .map(|(_, age)| *age)
            .collect()
    }

    #[test]
    fn versions_thin_out_with_age() {
        // A moment at the start of a week, day and hour since 1970, so that the spans are easy to see.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(7 * 86400 * 2900);
        let minute = 60;
        let hour = 3600;
        let day = 86400;
        assert_eq!(kept(&[1, 2, 59 * minute], now), [1, 2, 59 * minute]);
        assert_eq!(
            kept(&[70 * minute, 80 * minute, 110 * minute, 130 * minute], now),
            [110 * minute, 130 * minute]
        );
        assert_eq!(
            kept(&[2 * day - 100, 2 * day - 50, 3 * day], now),
            [2 * day - 50, 3 * day]
        );
        assert_eq!(
            kept(&[40 * day, 41 * day, 60 * day, 364 * day, 366 * day], now),
            [41 * day, 60 * day, 364 * day]
        );
        assert_eq!(kept(&[], now), [0; 0]);
        assert!(
            expired_versions(
                &[now + Duration::from_secs(hour)],
                VersionThinning::default(),
                now
            )
            .is_empty()
        );
    }

    #[test]
    fn steps_can_be_longer_or_left_out() {
        let now = SystemTime::UNIX_EPOCH + 2900 * WEEK;
        let times =
            [1, 2, 25, 26, 40 * 24].map(|hours| now - hours * HOUR - Duration::from_secs(1));
        let thinning = VersionThinning {
            all: 2 * HOUR,
            hourly: Duration::ZERO,
            daily: 2 * DAY,
            weekly: Duration::ZERO,
        };
        assert_eq!(expired_versions(&times, thinning, now), [2, 4]);
        assert_eq!(
            expired_versions(
                &times,
                VersionThinning {
                    all: 2900 * WEEK,
                    ..thinning
                },
                now
            ),
            [0; 0]
        );
    }

    #[test]
    fn thinning_again_changes_nothing_and_keeps_at_most_what_the_steps_allow() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(7 * 86400 * 2900 + 12345);
        let ages: Vec<u64> = (0..400 * 24 * 6).map(|n| n * 600).collect();
        let once = kept(&ages, now);
        assert_eq!(kept(&once, now), once);
        assert!(
            (6 + 23 + 29 + 47..=6 + 24 + 31 + 50).contains(&once.len()),
            "{}",
            once.len()
        );
    }
}
