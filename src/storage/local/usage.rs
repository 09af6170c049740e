//! Counts what a tree holds: the limit of a change is checked by what is known, and the files are counted only where that does not tell.

use super::count::{all_staging_bytes, count_in};
use super::errors::map_errno;
use super::overflow;
use super::root::TreeRoot;
use super::sys::{self, Lookup, fd};
use super::usage_counter::{UsageCount, UsageDelta};
use super::walk::WalkStart;
use crate::model::{Error, Result};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How often a count is tried beside changes before it is made while nothing changes.
const TRIES: usize = 3;

impl TreeRoot {
    /// Refuses a growth beyond `limit` with `NoSpace`; called under the guard, before the change.
    pub fn check_limit(&self, growth: UsageDelta, limit: Option<u64>) -> Result<()> {
        let more = growth.added.saturating_sub(growth.removed);
        self.usage.raise_bound(self, more);
        let Some(limit) = limit.filter(|_| more > 0) else {
            return Ok(());
        };
        if self.usage.fits_known(growth, limit) {
            return Ok(());
        }
        let _counting = self.usage.counting.lock();
        let used = match self.usage.measure(self)? {
            Some(used) => used,
            None => self.usage.set_counted(self, &self.count_files()?),
        };
        if growth.fits(used, limit) {
            Ok(())
        } else {
            Err(Error::NoSpace)
        }
    }

    /// Bytes of live files, counted or measured first where need be. Waits for the disk.
    pub fn count_usage(&self) -> Result<u64> {
        {
            let _counting = self.usage.counting.lock();
            if let Some(used) = self.usage.measure(self)? {
                return Ok(used);
            }
        }
        self.recount_usage()
    }

    /// Counts anew, beside changes if they leave it a chance; corrects what was known, and says so, when that was wrong.
    pub fn recount_usage(&self) -> Result<u64> {
        let _pause = self.disk_latency.pause_inline();
        let counted = self
            .recount_beside_changes()
            .transpose()
            .unwrap_or_else(|| {
                let _guard = self.lock_names();
                let _counting = self.usage.counting.lock();
                Ok(self.usage.set_counted(self, &self.count_files()?))
            });
        self.usage.recounting.store(false, Ordering::Relaxed);
        counted
    }

    /// Forgets what was counted: something of unknown size has come. Called under the guard.
    pub fn invalidate_usage(&self) {
        self.usage.invalidate(self);
        self.total_usage.invalidate();
    }

    /// A count into which no change fell; `None` when each try met one.
    fn recount_beside_changes(&self) -> Result<Option<u64>> {
        for _ in 0..TRIES {
            let _counting = self.usage.counting.lock();
            let count = self.count_files()?;
            if self.usage.changes() == count.changes {
                return Ok(Some(self.usage.set_counted(self, &count)));
            }
        }
        Ok(None)
    }

    /// Counts all files. `counting` is held.
    fn count_files(&self) -> Result<UsageCount> {
        let began = Instant::now();
        let changes = self.usage.begin_count();
        // Staging folders first: what is moved to its place meanwhile may be met twice, never missed.
        let counted = all_staging_bytes(self).and_then(|staged| {
            let top = sys::open_folder(fd(&self.dir), "", Lookup::Full)?;
            Ok(staged + count_in(top, WalkStart::Tree)?.bytes)
        });
        let files = counted.map_err(|e| map_errno("count the files", e))?;
        Ok(UsageCount {
            bytes: files + overflow::bytes(self, &self.overflow)?,
            took: began.elapsed(),
            changes,
        })
    }
}
