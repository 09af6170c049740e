//! Metrics of the hourly jobs: when each ran last, how long, and how it ended.

use parking_lot::Mutex;
use std::time::{Duration, SystemTime};

/// The hourly jobs.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// Writes the state into a file.
    Export,
    /// Forgets locks that have ended.
    Locks,
    /// Ends removals that were cut short.
    Removals,
    /// Deletes the files of what was removed.
    Purge,
    /// Expires versions and what lies in the trash.
    Expire,
    /// Gives up unfinished uploads.
    Uploads,
}

const NAMES: [&str; 6] = [
    "export the state",
    "forget ended locks",
    "finish removals",
    "delete the files of what was removed",
    "expire the past",
    "give up unfinished uploads",
];

/// How each job went, also before its first run.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<[JobRun; NAMES.len()]>);

/// How a job went.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobRun {
    /// When it went well last.
    pub succeeded: Option<SystemTime>,
    /// How long it took last.
    pub took: Duration,
    /// How often it failed.
    pub failures: u64,
}

impl Job {
    /// What the log and the metrics call it.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

impl Jobs {
    /// Notes a job that is over now.
    pub fn note(&self, job: Job, took: Duration, went_well: bool) {
        if let Some(run) = self.0.lock().get_mut(job as usize) {
            run.took = took;
            if went_well {
                run.succeeded = Some(SystemTime::now());
            } else {
                run.failures += 1;
            }
        }
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<(&'static str, JobRun)> {
        NAMES.into_iter().zip(*self.0.lock()).collect()
    }
}
