//! Records of locks in the state store.

use super::Locks;
use crate::model::{AccountName, Error, RelPath, Result, Via, time};
use crate::state::Batch;
use crate::storage::{Lock, LockHolder, ResourceId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime};

pub(super) const PREFIX: &str = "lock/";

const RECORD_VERSION: u32 = 1;

/// A lock as the store keeps it.
#[derive(Serialize, Deserialize)]
struct LockRecord {
    v: u32,
    root: String,
    path: String,
    folder: bool,
    holder: AccountName,
    /// The link whose visitors hold it, and the generation of its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<(String, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// Of the account's credentials; absent in records of earlier versions.
    #[serde(default)]
    generation: u64,
    owner: String,
    shared: bool,
    deep: bool,
    /// Seconds since 1970; absent in records of earlier versions.
    #[serde(default)]
    since: Option<i64>,
    /// Seconds since 1970.
    ends: i64,
}

impl LockRecord {
    fn holder(&self) -> LockHolder {
        let (via, generation) = match (&self.link, &self.app_password, &self.session) {
            (Some((id, generation)), ..) => (Via::Link(id.clone()), *generation),
            (None, Some(id), _) => (Via::AppPassword(id.clone()), self.generation),
            (None, None, Some(id)) => (Via::Session(id.clone()), self.generation),
            (None, None, None) => (Via::Password, self.generation),
        };
        LockHolder {
            account: self.holder.clone(),
            via,
            generation,
        }
    }
}

impl Locks {
    /// The lock of a record; `None` when its time is over.
    pub(super) fn read_record(&self, token: &str, text: &str) -> Result<Option<Lock>> {
        let record: LockRecord = serde_json::from_str(text)
            .map_err(|_| Error::damaged(format_args!("The record {PREFIX}{token}")))?;
        if record.v > RECORD_VERSION {
            return Err(Error::Corrupt(format!(
                "The record {PREFIX}{token} was written by a newer sarang; use that version."
            )));
        }
        let left = record
            .ends
            .saturating_sub(time::unix_seconds(SystemTime::now()));
        let Ok(left @ 1..) = u64::try_from(left) else {
            return Ok(None);
        };
        let holder = record.holder();
        Ok(Some(Lock {
            token: token.to_owned(),
            resource: ResourceId {
                root: record.root.into(),
                path: RelPath::from_stored(record.path),
            },
            folder: record.folder,
            holder,
            owner: record.owner,
            shared: record.shared,
            deep: record.deep,
            since: record
                .since
                .map_or_else(SystemTime::now, time::from_unix_seconds),
            ends: Instant::now() + Duration::from_secs(left.min(self.limits.max_timeout)),
        }))
    }
}

/// Stores a lock.
pub(super) fn record_of(lock: &Lock) -> Result<Batch> {
    let left = lock.ends.saturating_duration_since(Instant::now());
    let record = LockRecord {
        v: RECORD_VERSION,
        root: lock.resource.root.to_string(),
        path: lock.resource.path.as_str().to_owned(),
        folder: lock.folder,
        holder: lock.holder.account.clone(),
        link: lock
            .holder
            .link()
            .map(|id| (id.to_owned(), lock.holder.generation)),
        app_password: lock.holder.app_password().map(str::to_owned),
        session: lock.holder.session().map(str::to_owned),
        generation: lock.holder.generation,
        owner: lock.owner.clone(),
        shared: lock.shared,
        deep: lock.deep,
        since: Some(time::unix_seconds(lock.since)),
        ends: time::unix_seconds(SystemTime::now() + left),
    };
    let text = serde_json::to_string(&record).map_err(|e| Error::Corrupt(e.to_string()))?;
    Ok(Batch::new().put(format!("{PREFIX}{}", lock.token), text))
}
