//! The series of the log and which entry goes to which; what is counted until it is written.

use super::counters::{FailedSignIn, FailedSignInCounter, RepeatCounter};
use super::event::{AuditEvent, SeriesId};
use super::series::{Series, SeriesFiles, SeriesLimits};
use crate::model::AccountName;
use crate::model::time::iso_date;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

const CHANGES: &str = "changes";
const SIGN_INS: &str = "sign-ins";
const VISITORS: &str = "visitors";
const OTHERS: &str = "others";
/// Where the series of the accounts lie, a folder for each.
const ACCOUNTS: &str = "accounts";
/// How many series of accounts are kept open.
const MAX_OPEN: usize = 2;

/// How much each series keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuditLimits {
    pub administration: SeriesLimits,
    pub sign_ins: SeriesLimits,
    pub others: SeriesLimits,
    /// Of each account.
    pub own: SeriesLimits,
    /// Of each account.
    pub own_sign_ins: SeriesLimits,
    /// Of the visitors of each account's links.
    pub own_visitors: SeriesLimits,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            administration: SeriesLimits::of_total(48 << 20),
            sign_ins: SeriesLimits::of_total(16 << 20),
            others: SeriesLimits::of_total(8 << 20),
            own: SeriesLimits::of_total(1 << 20),
            own_sign_ins: SeriesLimits::of_total(512 << 10),
            own_visitors: SeriesLimits::of_total(512 << 10),
        }
    }
}

/// The log, one change at a time.
#[derive(Debug)]
pub(super) struct AuditLog {
    dir: PathBuf,
    room: AuditLimits,
    open: HashMap<SeriesId, Series>,
    failures: FailedSignInCounter,
    repeats: RepeatCounter,
    /// The number of the entry written last; `None` until the files have been looked at.
    last: Option<u64>,
}

impl AuditLog {
    pub fn new(dir: &Path, room: AuditLimits) -> Self {
        let failures = FailedSignInCounter::default();
        let repeats = RepeatCounter::default();
        Self {
            dir: dir.to_owned(),
            room,
            open: HashMap::new(),
            failures,
            repeats,
            last: None,
        }
    }

    /// Writes an entry, or counts it with those like it. What administrators do is always written, each by itself.
    pub fn record(&mut self, event: AuditEvent, now: Instant) {
        self.write_due_repeats(now);
        if event.series() == SeriesId::Administration || self.repeats.count(&event, now) {
            self.write(event, 1, SystemTime::now());
        }
    }

    /// Counts a failed sign-in.
    pub fn record_failure(&mut self, key: &FailedSignIn, now: Instant) {
        self.write_counted(now);
        if self.failures.count(key, now) {
            self.write(key.event(), 1, SystemTime::now());
        }
    }

    /// Writes what was counted, where its time has come.
    pub fn write_counted(&mut self, now: Instant) {
        self.write_due_repeats(now);
        for (event, count) in self.failures.due(now) {
            self.write(event, count, SystemTime::now());
        }
    }

    /// Writes all that was counted.
    pub fn write_all_counted(&mut self) {
        self.write_repeats();
        for (event, count) in self.failures.take() {
            self.write(event, count, SystemTime::now());
        }
    }

    /// Writes the repeats that were counted. Failed sign-ins stay: anybody can cause them, and looking must not make them more.
    pub fn write_repeats(&mut self) {
        for (event, count, at) in self.repeats.take() {
            self.write(event, count, at);
        }
    }

    fn write_due_repeats(&mut self, now: Instant) {
        for (event, count, at) in self.repeats.due(now) {
            self.write(event, count, at);
        }
    }

    /// The files of all series; of the accounts' only those of `account`, where one is named.
    pub fn readers(&self, account: Option<&str>) -> io::Result<Vec<SeriesFiles>> {
        let all = self.all()?;
        let concerns = |id: &SeriesId| match id {
            SeriesId::Own(name) | SeriesId::OwnSignIns(name) => {
                account.is_none_or(|account| account == name.as_str())
            }
            SeriesId::OwnVisitors(_)
            | SeriesId::Administration
            | SeriesId::SignIns
            | SeriesId::Others => true,
        };
        Ok(all
            .iter()
            .filter(|id| concerns(id))
            .map(|id| self.series(id).reader())
            .collect())
    }

    fn write(&mut self, event: AuditEvent, count: u64, at: SystemTime) {
        let Some(id) = self.next_id() else { return };
        let series = event.series();
        let durable = !event.kind.is_sign_in();
        let entry = event.into_entry(id, iso_date(at), count);
        let line = serde_json::to_vec(&entry).map_err(io::Error::other);
        match line.and_then(|line| self.opened(series).append(id, line, durable)) {
            Ok(()) => self.last = Some(id),
            Err(error) => {
                tracing::error!(%error, ?entry, "an entry of the audit log could not be written");
            }
        }
    }

    /// Reads the number of the last entry when it is first needed: a folder that cannot be read must not stop the start.
    fn next_id(&mut self) -> Option<u64> {
        if self.last.is_none() {
            match self.expire_and_find_last_id() {
                Ok(last) => self.last = Some(last),
                Err(error) => {
                    tracing::error!(%error, "the audit log cannot be read, and nothing is written to it");
                }
            }
        }
        self.last.map(|last| last + 1)
    }

    /// The number of the last entry. What is old of accounts that do nothing any more goes.
    fn expire_and_find_last_id(&self) -> io::Result<u64> {
        let mut last = 0;
        for id in self.all()? {
            let series = self.series(&id);
            last = last.max(series.last_id()?);
            if matches!(
                id,
                SeriesId::Own(_) | SeriesId::OwnSignIns(_) | SeriesId::OwnVisitors(_)
            ) {
                series.expire()?;
            }
        }
        Ok(last)
    }

    /// Every series that there is.
    fn all(&self) -> io::Result<Vec<SeriesId>> {
        let mut all = vec![
            SeriesId::Administration,
            SeriesId::Others,
            SeriesId::SignIns,
        ];
        let folders = match std::fs::read_dir(self.dir.join(ACCOUNTS)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(all),
            folders => folders?,
        };
        for folder in folders {
            let name = folder?.file_name();
            if let Some(name) = name.to_str().and_then(|name| AccountName::parse(name).ok()) {
                let own = [
                    SeriesId::Own(name.clone()),
                    SeriesId::OwnSignIns(name.clone()),
                    SeriesId::OwnVisitors(name),
                ];
                all.extend(own);
            }
        }
        Ok(all)
    }

    /// A series, open for writing. Few are kept open: each is a descriptor.
    fn opened(&mut self, id: SeriesId) -> &mut Series {
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&id) {
            self.open.clear();
        }
        let series = self.series(&id);
        self.open.entry(id).or_insert(series)
    }

    fn series(&self, id: &SeriesId) -> Series {
        let room = &self.room;
        let folder = |name: &AccountName| self.dir.join(ACCOUNTS).join(name.as_str());
        match id {
            SeriesId::Administration => Series::new(&self.dir, CHANGES, room.administration),
            SeriesId::SignIns => Series::new(&self.dir, SIGN_INS, room.sign_ins),
            SeriesId::Others => Series::new(&self.dir, OTHERS, room.others),
            SeriesId::Own(name) => Series::new(&folder(name), CHANGES, room.own),
            SeriesId::OwnSignIns(name) => Series::new(&folder(name), SIGN_INS, room.own_sign_ins),
            SeriesId::OwnVisitors(name) => Series::new(&folder(name), VISITORS, room.own_visitors),
        }
    }
}
