//! When the hourly jobs ran, and how.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// What jobs there were, by their names.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<BTreeMap<&'static str, JobRun>>);

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

impl Jobs {
    /// Notes a job that is over now.
    pub fn note(&self, job: &'static str, took: Duration, went_well: bool) {
        let mut jobs = self.0.lock();
        let run = jobs.entry(job).or_default();
        run.took = took;
        if went_well {
            run.succeeded = Some(SystemTime::now());
        } else {
            run.failures += 1;
        }
    }

    /// All that have run.
    pub fn all(&self) -> Vec<(&'static str, JobRun)> {
        self.0.lock().iter().map(|(job, run)| (*job, *run)).collect()
    }
}
