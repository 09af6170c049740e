//! The audit log: who did what to whom, from where, when. Lines of JSON in `audit/` of the data folder, for administrators.
//! Sign-ins have files of their own, so that whoever tries passwords cannot push out what administrators did.

mod event;
mod reporter;
mod series;
mod tally;

pub use event::{Actor, By, Entry, Event, Filter, Kind, Outcome};
pub use reporter::Reporter;

use crate::model::time::iso_date;
use crate::model::{AccountName, Error, Result};
use parking_lot::Mutex;
use series::{Limits, Series};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tally::{Key, Tally};

const CHANGES: Limits = Limits::of_total(48 << 20);
const SIGN_INS: Limits = Limits::of_total(16 << 20);

/// The log. Writing to it never fails: what cannot be written is said in the server's own log.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Mutex<Log>>);

#[derive(Debug)]
struct Log {
    changes: Series,
    sign_ins: Series,
    tally: Tally,
    /// The number of the entry written last; `None` until the files have been looked at.
    last: Option<u64>,
}

impl Audit {
    /// The log in `dir`, which is made at the first entry.
    pub fn new(dir: &Path) -> Self {
        Self::limited(dir, CHANGES, SIGN_INS)
    }

    fn limited(dir: &Path, changes: Limits, sign_ins: Limits) -> Self {
        let (changes, sign_ins) = (Series::new(dir, "changes", changes), Series::new(dir, "sign-ins", sign_ins));
        Self(Arc::new(Mutex::new(Log { changes, sign_ins, tally: Tally::default(), last: None })))
    }

    /// Writes an entry; when this returns, a change is on the disk. Once called it is written, though the caller leaves.
    pub fn record(&self, event: Event) -> impl Future<Output = ()> + Send + use<> {
        let log = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || log.lock().write(event, 1));
        async move {
            if let Err(error) = written.await {
                tracing::error!(%error, "an entry of the audit log was not written");
            }
        }
    }

    /// Counts a failed sign-in: the first of an account from an address gets an entry at once, more of them one entry together.
    pub fn count_failure(&self, name: Option<&AccountName>, from: IpAddr) {
        let (log, key) = (Arc::clone(&self.0), Key { name: name.cloned(), from: from.to_canonical() });
        drop(tokio::task::spawn_blocking(move || {
            let mut log = log.lock();
            log.write_counted(Instant::now());
            if log.tally.count(&key, Instant::now()) {
                log.write(key.event(), 1);
            }
        }));
    }

    /// Writes what was only counted so far; `all` also when its time has not come.
    pub async fn settle(&self, all: bool) {
        let log = Arc::clone(&self.0);
        let settled = tokio::task::spawn_blocking(move || {
            let mut log = log.lock();
            if all { log.write_all_counted() } else { log.write_counted(Instant::now()) }
        });
        if let Err(error) = settled.await {
            tracing::error!(%error, "counted sign-ins were not written to the audit log");
        }
    }

    /// Up to `limit` entries that `filter` lets through and whose number is below `below`, newest first.
    pub async fn read(&self, filter: Filter, below: u64, limit: usize) -> Result<Vec<Entry>> {
        let (changes, sign_ins) = {
            let log = self.0.lock();
            (log.changes.reader(), log.sign_ins.reader())
        };
        let read = tokio::task::spawn_blocking(move || {
            let mut entries = changes.newest(&filter, below, limit)?;
            entries.extend(sign_ins.newest(&filter, below, limit)?);
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
            entries.truncate(limit);
            Ok(entries)
        });
        let read = read.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        read.map_err(|e| Error::io("read the audit log", e))
    }
}

impl Log {
    fn write(&mut self, event: Event, count: u64) {
        let Some(id) = self.next_id() else { return };
        let series = if event.kind.is_sign_in() { &mut self.sign_ins } else { &mut self.changes };
        let durable = !event.kind.is_sign_in();
        let entry = event.into_entry(id, iso_date(SystemTime::now()), count);
        let written =
            serde_json::to_vec(&entry).map_err(std::io::Error::other).and_then(|line| series.append(id, line, durable));
        match written {
            Ok(()) => self.last = Some(id),
            Err(error) => tracing::error!(%error, ?entry, "an entry of the audit log could not be written"),
        }
    }

    /// Reads the number of the last entry when it is first needed: a folder that cannot be read must not stop the start.
    fn next_id(&mut self) -> Option<u64> {
        if self.last.is_none() {
            match self.changes.last_id().and_then(|a| Ok(a.max(self.sign_ins.last_id()?))) {
                Ok(last) => self.last = Some(last),
                Err(error) => tracing::error!(%error, "the audit log cannot be read, and nothing is written to it"),
            }
        }
        self.last.map(|last| last + 1)
    }

    fn write_counted(&mut self, now: Instant) {
        for (event, count) in self.tally.due(now) {
            self.write(event, count);
        }
    }

    fn write_all_counted(&mut self) {
        for (event, count) in self.tally.take() {
            self.write(event, count);
        }
    }
}

#[cfg(test)]
mod tests;
