//! The numbers of a tree's usage, and what a change does to them.

use crate::storage::local::usage_file::margin;
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Default)]
pub(super) struct UsageState {
    /// Bytes of live files and of what is not measured yet; `None` before the first count.
    pub(super) used: Option<u64>,
    /// What there is at most, while that is all that is known.
    pub(super) at_most: Option<u64>,
    /// What the disk says that there is at most.
    pub(super) written: Option<u64>,
    pub(super) reserved: u64,
    /// Folders in the trash whose bytes are still in `used`.
    pub(super) unmeasured: Vec<String>,
    /// Counts the changes, to see whether one fell into a count.
    pub(super) changes: u64,
    pub(super) due: Option<Instant>,
    /// When the last count was made, and how long it took.
    pub(super) counted: Option<(SystemTime, Duration)>,
    /// What was expected and what was counted when the usage counter was last wrong.
    pub(super) correction: Option<(u64, u64)>,
}

impl UsageState {
    pub(super) fn apply(&mut self, growth: UsageDelta) {
        self.changes += 1;
        let after = |used: u64| {
            used.saturating_add(growth.added)
                .saturating_sub(growth.removed)
        };
        (self.used, self.at_most) = (self.used.map(after), self.at_most.map(after));
    }

    /// What there is, or what there is at most.
    pub(super) fn upper_bound(&self) -> Option<u64> {
        self.used.or(self.at_most)
    }

    /// What the disk should say that there is at most when `more` has come, if what it says is less or only little more.
    pub(super) fn next_bound(&self, more: u64) -> Option<u64> {
        let upper = self.upper_bound()?.saturating_add(more);
        let margin = margin(upper);
        let is_enough = |written: u64| written >= upper.saturating_add(margin / 2);
        (!self.written.is_some_and(is_enough)).then(|| upper.saturating_add(margin))
    }
}

/// By how much a change lets the files grow.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct UsageDelta {
    /// Bytes that come.
    pub added: u64,
    /// Bytes that go.
    pub removed: u64,
}

impl UsageDelta {
    /// What shrinks or stays is always let through, even where more lies than may.
    pub fn fits(self, used: u64, limit: u64) -> bool {
        self.added <= self.removed
            || used.saturating_sub(self.removed).saturating_add(self.added) <= limit
    }
}
