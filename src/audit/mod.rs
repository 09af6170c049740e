//! The audit log: who did what to whom, from where, when. Lines of JSON in `audit/` of the data folder, for administrators.
//! What administrators do, failed sign-ins, and what each account does to its own things are series apart: nobody can push out
//! what others did by doing much, and what is repeated word for word is counted.

mod audit_log;
mod counters;
mod event;
mod reporter;
mod series;

pub use event::{Actor, ActorKind, AuditEntry, AuditEvent, AuditFilter, AuditKind, AuditOutcome};
pub use reporter::Reporter;

use crate::model::{AccountName, Error, Result};
use audit_log::{AuditLimits, AuditLog};
use counters::FailedSignIn;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::task::TaskTracker;

/// The log. Writing to it never fails: what cannot be written is said in the server's own log.
#[derive(Clone, Debug)]
pub struct Audit {
    log: Arc<Mutex<AuditLog>>,
    /// Failed sign-ins that are being counted.
    counting: TaskTracker,
}

impl Audit {
    /// The log in `dir`, which is made at the first entry.
    pub fn new(dir: &Path) -> Self {
        Self::limited(dir, AuditLimits::default())
    }

    fn limited(dir: &Path, room: AuditLimits) -> Self {
        Self {
            log: Arc::new(Mutex::new(AuditLog::new(dir, room))),
            counting: TaskTracker::new(),
        }
    }

    /// Writes an entry, or counts it with those like it; when this returns, a change that was not just repeated is on the disk. Once
    /// called it is written, though the caller leaves.
    pub fn record(&self, event: AuditEvent) -> impl Future<Output = ()> + Send + use<> {
        let log = Arc::clone(&self.log);
        let written = tokio::task::spawn_blocking(move || log.lock().record(event, Instant::now()));
        async move {
            if let Err(error) = written.await {
                tracing::error!(%error, "an entry of the audit log was not written");
            }
        }
    }

    /// Counts a failed sign-in: the first of an account from an address gets an entry at once, more of them one entry together.
    pub fn count_failure(&self, name: Option<&AccountName>, from: IpAddr) {
        let log = Arc::clone(&self.log);
        let key = FailedSignIn {
            name: name.cloned(),
            from: from.to_canonical(),
        };
        drop(
            self.counting
                .spawn_blocking(move || log.lock().record_failure(&key, Instant::now())),
        );
    }

    /// Writes what was only counted so far; `all` also when its time has not come, and after what is still being counted.
    pub async fn flush(&self, all: bool) {
        if all {
            self.counting.close();
            self.counting.wait().await;
        }
        let log = Arc::clone(&self.log);
        let settled = tokio::task::spawn_blocking(move || {
            let mut log = log.lock();
            if all {
                log.write_all_counted();
            } else {
                log.write_counted(Instant::now());
            }
        });
        if let Err(error) = settled.await {
            tracing::error!(%error, "counted entries were not written to the audit log");
        }
    }

    /// Up to `limit` entries that `filter` lets through and whose number is below `below`, newest first.
    pub async fn read(
        &self,
        filter: AuditFilter,
        below: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let log = Arc::clone(&self.log);
        let read = tokio::task::spawn_blocking(move || {
            let readers = {
                let mut log = log.lock();
                log.write_repeats();
                log.readers(filter.account.as_deref())?
            };
            let mut entries = Vec::new();
            for files in readers {
                // What is older than all of a full page need not be read.
                let above = if entries.len() == limit {
                    entries.last().map_or(0, |last: &AuditEntry| last.id)
                } else {
                    0
                };
                entries.extend(files.newest(&filter, (above, below), limit)?);
                entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
                entries.truncate(limit);
            }
            Ok(entries)
        });
        let read = read.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        read.map_err(|e| Error::io("read the audit log", e))
    }
}

#[cfg(test)]
mod tests;
