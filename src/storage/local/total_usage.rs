//! How much the files and the history of a tree hold together: what was counted, and what has come since. `history_limit` says what
//! becomes of it.

use parking_lot::Mutex;

/// What may lie beside a small quota.
pub(super) const LEAST: u64 = 64 << 20;

/// What the files and the history of a tree come to.
#[derive(Debug, Default)]
pub(super) struct TotalUsage(Mutex<TotalSum>);

#[derive(Debug, Default)]
struct TotalSum {
    /// Bytes when they were last counted. What was purged since is still among them: only a count takes it out.
    counted: Option<u64>,
    /// Bytes that have come since the tree was opened, and how many of them were there at that count.
    came: u64,
    came_at_count: u64,
    /// From how many bytes on to count again, where that is not the bound.
    next: Option<u64>,
    is_counting: bool,
    /// Whether something was purged since the last count began.
    has_purged: bool,
}

impl TotalSum {
    /// Bytes that have come since the last count; where nothing was counted, since the tree was opened first or after a crash.
    fn since(&self) -> u64 {
        self.came.saturating_sub(self.came_at_count)
    }

    fn is_due(&self, limit: u64) -> bool {
        let usual = self.counted.map_or(beside(limit) / 4, |_| most(limit));
        self.counted.unwrap_or(0).saturating_add(self.since()) > self.next.unwrap_or(usual)
    }

    fn is_beyond_held(&self, limit: u64, len: u64) -> bool {
        let with = self
            .counted
            .map(|counted| counted.saturating_add(self.since()).saturating_add(len));
        with.is_some_and(|with| with > most(limit).saturating_add(beside(limit)))
    }
}

/// What the history may have beside the files, between two hours.
pub(super) fn beside(limit: u64) -> u64 {
    limit.max(LEAST)
}

/// What files and history may have together.
pub(super) fn most(limit: u64) -> u64 {
    limit.saturating_add(beside(limit))
}

impl TotalUsage {
    /// As it was when the tree was closed: what had been counted, and what had come since.
    pub fn restored((counted, came): (Option<u64>, u64)) -> Self {
        Self(Mutex::new(TotalSum {
            counted,
            came,
            ..TotalSum::default()
        }))
    }

    /// What was counted, and what has come since.
    pub fn snapshot(&self) -> (Option<u64>, u64) {
        let sum = self.0.lock();
        (sum.counted, sum.since())
    }

    /// Notes that something of the history was purged: there may be room again where there was none.
    pub fn note_purged(&self) {
        self.0.lock().has_purged = true;
    }

    /// Forgets what was counted, and has it counted with the next change: something of unknown size has come.
    pub fn invalidate(&self) {
        let mut sum = self.0.lock();
        (sum.counted, sum.next) = (None, Some(0));
    }

    /// Whether `len` bytes more are beyond what a history may have while it is held.
    pub fn is_beyond_held(&self, limit: u64, len: u64) -> bool {
        self.0.lock().is_beyond_held(limit, len)
    }

    /// Whether something was purged since the last count began.
    pub fn has_purged(&self) -> bool {
        self.0.lock().has_purged
    }

    /// Notes that so many bytes have come; whether files and history may be beyond the bound now, and nobody looks at that yet.
    pub fn add(&self, bytes: u64, limit: u64) -> bool {
        let mut sum = self.0.lock();
        sum.came = sum.came.saturating_add(bytes);
        !sum.is_counting && sum.is_due(limit)
    }

    /// Notes that so many bytes have come where nothing bounds them.
    pub fn add_unbounded(&self, bytes: u64) {
        let mut sum = self.0.lock();
        sum.came = sum.came.saturating_add(bytes);
    }

    /// Takes it upon the caller to count in the background; false where somebody else does.
    pub fn begin_background(&self) -> bool {
        !std::mem::replace(&mut self.0.lock().is_counting, true)
    }

    /// Ends what [`begin_background`](Self::begin_background) began.
    pub fn end_background(&self) {
        self.0.lock().is_counting = false;
    }

    #[cfg(test)]
    pub fn is_counting(&self) -> bool {
        self.0.lock().is_counting
    }

    /// Begins a count; returns how many bytes had come by then.
    pub fn begin_count(&self) -> u64 {
        let mut sum = self.0.lock();
        sum.has_purged = false;
        sum.came
    }

    /// Ends a count that began when `came` bytes had come: with what there is, or, where it failed, to be tried again later.
    pub fn end_count(&self, came: u64, total: Option<u64>, limit: u64) {
        let mut sum = self.0.lock();
        let more = beside(limit) / 8;
        sum.next = Some(match total {
            Some(total) => {
                sum.counted = Some(total);
                sum.came_at_count = came.max(sum.came_at_count);
                most(limit).max(total.saturating_add(more))
            }
            None => sum
                .counted
                .unwrap_or(0)
                .saturating_add(sum.since())
                .saturating_add(more),
        });
    }
}
