//! Locks as one identity asks for, sees and ends them.

use super::Drive;
use super::judge;
use super::locks::{Lock, LockRequest};
use super::terms::Terms;
use crate::content::{Expect, Start};
use crate::model::{Error, Result, VPath};
use std::time::{Duration, Instant};

/// A lock as one identity may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockView {
    /// The token (`urn:uuid:…`); `None` when the lock is another account's.
    pub token: Option<String>,
    /// What was locked; the lock covers it, and all below when `deep`.
    pub root: VPath,
    /// Whether the locked thing is a folder.
    pub root_is_folder: bool,
    /// The `owner` element verbatim, or empty.
    pub owner: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Depth infinity instead of 0.
    pub deep: bool,
    /// Until it ends.
    pub remaining: Duration,
}

impl Drive {
    /// Grants a lock; the terms are judged first. The file, where there is none, is made by [`create_locked`](Self::create_locked).
    pub async fn lock(&self, path: &VPath, request: LockRequest, terms: Terms) -> Result<LockView> {
        let place = self.resolve(path);
        if !terms.is_empty() {
            let commit = self.commit(&place, terms, Vec::new()).await?;
            self.pre_judge(&place, &commit).await?;
        }
        let lock = self.locks.grant(place.spot(), &self.identity.account, request).await?;
        Ok(self.view(&lock))
    }

    /// Makes the empty file that a lock on an unmapped URL stands for (RFC 4918 section 7.3); `submitted` are the terms
    /// of the request, with the token of a lock on the folder.
    pub async fn create_locked(&self, path: &VPath, lock: &LockView, submitted: &Terms) -> Result<()> {
        let place = self.resolve(path);
        let tokens = submitted.submitted().map(str::to_owned).chain(lock.token.clone()).collect();
        let terms = Terms { expect: Expect::Absent, tokens, ..Terms::default() };
        let commit = self.commit(&place, terms, judge::creating(&place)).await?;
        let upload = place.root.tree.begin_put(&place.path, Start::Empty, Some(0)).await?;
        match upload.commit(commit).await {
            // Somebody made the file meanwhile: then the lock stands on that, unless it was to be new.
            Err(Error::PreconditionFailed) if submitted.expect != Expect::Absent => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Prolongs a lock of this identity that covers `path`; `PreconditionFailed` when there is none such.
    pub async fn refresh_lock(&self, path: &VPath, token: &str, timeout: Option<Duration>) -> Result<LockView> {
        let spot = self.resolve(path).spot();
        let lock = self.locks.refresh(&spot, &self.identity.account, token, timeout).await?;
        Ok(self.view(&lock))
    }

    /// Ends a lock of this identity that covers `path`; `NoSuchLock`, `Forbidden` when it is another's.
    pub async fn unlock(&self, path: &VPath, token: &str) -> Result<()> {
        self.locks.end(&self.resolve(path).spot(), &self.identity.account, token).await
    }

    /// The locks that cover a path, as this identity may see them. Cheap: memory only.
    pub fn locks_on(&self, path: &VPath) -> Vec<LockView> {
        let locks = self.locks.hold().on(&self.resolve(path).spot(), Instant::now());
        locks.iter().map(|lock| self.view(lock)).collect()
    }

    /// Whether no lock exists anywhere in the drive: listings need not ask for each entry.
    pub fn has_no_locks(&self) -> bool {
        self.locks.hold().none_in(&self.home.id)
    }

    fn view(&self, lock: &Lock) -> LockView {
        LockView {
            token: (lock.holder == self.identity.account).then(|| lock.token.clone()),
            root: lock.spot.path.clone(),
            root_is_folder: lock.folder,
            owner: lock.owner.clone(),
            shared: lock.shared,
            deep: lock.deep,
            remaining: whole_seconds(lock.ends.saturating_duration_since(Instant::now())),
        }
    }
}

/// Rounded up, so that a lock just granted shows the whole time it was granted for.
fn whole_seconds(left: Duration) -> Duration {
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}
