//! The guard record of a kind of records: a number that every change counts up which rests on a look at several of them. Two such changes
//! never rest on the same look, whichever handles make them. It says which records the last changes were of, so that who has missed some
//! reads only those.

use crate::model::Result;
use crate::state::Batch;
use crate::state::table::{Record, decode, encode};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The changes of which a guard says what they were of.
const REMEMBERED: usize = 16;
/// The ids that a guard names for one change; a change of more is not named.
const MAX_NAMED: usize = 16;

/// The guard record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct GuardRecord {
    /// How many changes there were.
    number: u64,
    /// The ids of the records that the last changes were of, oldest first.
    recent: VecDeque<Vec<String>>,
}

impl Record for GuardRecord {
    const VERSION: u32 = 1;
}

impl GuardRecord {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The records that were changed since there were `seen` changes; `None` when that is not known.
    pub(super) fn changed_since(&self, seen: u64) -> Option<Vec<String>> {
        let missed = usize::try_from(self.number.checked_sub(seen)?).ok()?;
        let known = self.recent.len().checked_sub(missed)?;
        Some(self.recent.iter().skip(known).flatten().cloned().collect())
    }
}

/// A guard as it is stored.
#[derive(Debug)]
pub(super) struct GuardState {
    pub record: GuardRecord,
    /// `None` before the first guarded change.
    pub text: Option<String>,
}

impl GuardState {
    /// The guard after a change of these records.
    pub(super) fn after(&self, ids: Vec<String>) -> GuardRecord {
        let mut next = self.record.clone();
        next.number += 1;
        if ids.len() > MAX_NAMED {
            next.recent.clear();
        } else {
            next.recent.push_back(ids);
        }
        if next.recent.len() > REMEMBERED {
            next.recent.pop_front();
        }
        next
    }
}

/// The guard of one kind of records.
#[derive(Debug)]
pub(super) struct Guard {
    key: String,
}

impl Guard {
    pub(super) fn of(prefix: &str) -> Self {
        Self {
            key: format!("guard/{}", prefix.trim_end_matches('/')),
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// What it guards.
    pub(super) fn name(&self) -> &str {
        self.key.trim_start_matches("guard/")
    }

    pub(super) fn read(&self, text: Option<String>) -> Result<GuardState> {
        let record = text.as_ref().map(|text| decode(&self.key, text));
        Ok(GuardState {
            record: record.transpose()?.unwrap_or_default(),
            text,
        })
    }

    /// Lets the batch happen only while no other guarded change has, and counts it.
    pub(super) fn renew_in(
        &self,
        batch: Batch,
        before: Option<String>,
        next: &GuardRecord,
    ) -> Result<Batch> {
        Ok(batch
            .expect(&self.key, before)
            .put(&self.key, encode(next)?))
    }
}
