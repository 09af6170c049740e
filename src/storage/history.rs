//! What a tree keeps of what was deleted and overwritten: the trash and versions.

use super::{Node, PutOutcome, Reader, WriteOptions};
use crate::config::HistoryConfig;
use crate::model::{AccountName, RelPath, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt::Debug;
use std::ops::Add;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Something in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashedItem {
    /// What it is called in the trash; later ids sort before earlier ones.
    pub id: String,
    /// Where it lay.
    pub path: RelPath,
    /// Who deleted or replaced it; `None` when something other than Sarang did.
    pub deleted_by: Option<AccountName>,
    /// When, to the second; `None` when its note does not say.
    pub deleted_at: Option<SystemTime>,
    /// What it is.
    pub node: Node,
}

/// A former content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it is called among the versions of its file.
    pub id: String,
    /// When it was replaced.
    pub replaced_at: SystemTime,
    /// The file as it was.
    pub node: Node,
}

/// How many paths a [`Rewind`] names that are lost.
pub const MOST_LOST: usize = 10_000;

/// What makes a part of a tree as it was; nothing of it deletes anything for good.
#[derive(Debug)]
pub struct RewindPlan {
    /// The changes, in this order.
    pub steps: Box<dyn RewindSteps>,
    /// How many they are.
    pub count: u64,
    /// Which of the [`RewindStep::Discard`], counted from 0, a [`RewindSource::Discarded`] names.
    pub needed: HashSet<usize>,
    /// The first of what was there and is not kept any more.
    pub lost: Vec<RelPath>,
    /// How many they are in all.
    pub lost_count: u64,
    /// Since when every change is known; `None` when none is.
    pub since: Option<SystemTime>,
    /// Bytes that the steps bring.
    pub grows: u64,
    /// Bytes that go.
    pub shrinks: u64,
}

/// The changes of a rewind: too many for memory at times.
#[async_trait]
pub trait RewindSteps: Debug + Send + Sync {
    /// Some hundred of them from a place on, 0 for the first, and the place of the next; none at the end.
    async fn read(&self, at: u64) -> Result<(Vec<RewindStep>, u64)>;

    /// Makes durable what was done since they were planned, if the settings want that.
    async fn sync(&self) -> Result<()>;
}

/// One change of a rewind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RewindStep {
    /// Move to the trash what was not there.
    Discard {
        /// What.
        #[serde(with = "as_text")]
        path: RelPath,
    },
    /// Move back what was there.
    Move {
        /// From where.
        from: RewindSource,
        /// To where it was; nothing stands there.
        #[serde(with = "as_text")]
        to: RelPath,
    },
    /// Make a folder that is no more.
    Make {
        /// Where.
        #[serde(with = "as_text")]
        path: RelPath,
    },
    /// Give a file its former content again.
    Revert {
        /// Which.
        #[serde(with = "as_text")]
        path: RelPath,
        /// The version.
        version: String,
    },
    /// Empty a file that was empty.
    Blank {
        /// Which.
        #[serde(with = "as_text")]
        path: RelPath,
    },
}

/// Where a rewind finds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RewindSource {
    /// In the tree.
    Path(#[serde(with = "as_text")] RelPath),
    /// In the trash.
    Trash {
        /// The item.
        id: String,
        /// What in it; the root for the item itself.
        #[serde(with = "as_text")]
        inner: RelPath,
    },
    /// In what a step of the same rewind has moved to the trash.
    Discarded {
        /// Which of the [`RewindStep::Discard`], counted from 0.
        index: usize,
        /// What in it.
        #[serde(with = "as_text")]
        inner: RelPath,
    },
}

/// Paths that were checked, or come from the disk.
mod as_text {
    use crate::model::RelPath;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &RelPath, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_str().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RelPath, D::Error> {
        String::deserialize(deserializer).map(RelPath::from_stored)
    }
}

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

/// What a round of [`History::expire`] has deleted.
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

/// The past of a tree. Ids come from outside: one that is not a plain name is `NotFound`.
#[async_trait]
pub trait History: Send + Sync {
    /// What lies in the trash, newest first: up to `limit` items after the one called `after`.
    async fn list_trash(&self, after: Option<&str>, limit: usize) -> Result<Vec<TrashedItem>> {
        self.list_trash_below(&RelPath::root(), None, after, limit)
            .await
    }
    /// As [`list_trash`](Self::list_trash), of what lay below `folder`, by whomever or by `who` alone.
    async fn list_trash_below(
        &self,
        folder: &RelPath,
        who: Option<&AccountName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrashedItem>>;
    /// Where the items can be looked at and read, each under its id: a path for `stat`, `list`, `open` and `props`, and the source of a copy.
    fn trash_root(&self) -> RelPath;
    /// One item; `NotFound`.
    async fn trash_item(&self, id: &str) -> Result<TrashedItem>;
    /// Moves an item back, whole, to `to`, where nothing may stand: `Exists`, `ParentMissing`, `NotFound`.
    async fn restore(&self, id: &str, to: &RelPath, commit: WriteOptions) -> Result<()>;
    /// As [`restore`](Self::restore), for a part of an item: what lies at `inner` in it.
    async fn restore_part(
        &self,
        id: &str,
        inner: &RelPath,
        to: &RelPath,
        commit: WriteOptions,
    ) -> Result<()>;
    /// What makes the items `only` of `folder`, or all of it if none are named, as they were at `moment`. `NotFound` when it was not there.
    async fn plan_rewind(
        &self,
        folder: &RelPath,
        moment: SystemTime,
        only: &[RelPath],
    ) -> Result<RewindPlan>;
    /// Deletes an item for good, with its versions; `NotFound`.
    async fn purge(&self, id: &str) -> Result<()>;
    /// The former contents of a file, newest first.
    async fn versions(&self, path: &RelPath) -> Result<Vec<Version>>;
    /// Opens a former content; `NotFound`.
    async fn open_version(&self, path: &RelPath, id: &str) -> Result<Arc<dyn Reader>>;
    /// Gives a file its former content again, under the commit's conditions; the present one becomes a version.
    async fn restore_version(
        &self,
        path: &RelPath,
        id: &str,
        commit: WriteOptions,
    ) -> Result<PutOutcome>;
    /// Deletes for good what is kept no longer at `now`.
    async fn expire(&self, retention: Retention, now: SystemTime) -> Result<ExpiredCounts>;
    /// Lets nothing expire until then; outlives restarts.
    async fn set_retention_hold(&self, until: SystemTime) -> Result<()>;
    /// Until when nothing expires.
    fn retention_hold(&self) -> Option<SystemTime>;
    /// How many files there are, in the tree or in an item of the trash.
    async fn count_files(&self, item: Option<&str>) -> Result<u64>;
    /// Deletes a former content for good; `NotFound`.
    async fn purge_version(&self, path: &RelPath, id: &str) -> Result<()>;
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
