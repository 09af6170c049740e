//! Locks as one identity asks for, sees and ends them.

use super::Drive;
use super::access::Access;
use super::preconditions::RequestPreconditions;
use super::resolve::Resolved;
use super::resolved_path::{ResolvedPath, authorize};
use super::resolved_preconditions::scopes_to_create;
use crate::model::{Error, Result, VPath, Via};
use crate::storage::{
    Expect, InitialContent, Lock, LockHolder, LockRequest, LocksSeen, SpaceRequest, WriteOptions,
    without_holder,
};
use std::cmp::Reverse;
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
    /// Grants a lock, if the preconditions hold. The file, where there is none, is made by [`create_locked`](Self::create_locked).
    pub async fn lock(
        &self,
        path: &VPath,
        request: LockRequest,
        preconditions: RequestPreconditions,
    ) -> Result<LockView> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let conditions = if preconditions.is_empty() {
            None
        } else {
            Some(
                self.write_options(&place, preconditions, Vec::new())
                    .await?,
            )
        };
        if let Some(conditions) = &conditions {
            self.check_early(&place, conditions).await?;
        }
        let granted = self
            .locks
            .grant(place.resource_id(), &self.holder(), request)
            .await;
        let lock = if self.hides_lock_holders() {
            granted.map_err(without_holder)
        } else {
            granted
        }?;
        if let Err(unmet) = self.recheck_granted(&place, conditions.as_ref()).await {
            self.end_locks(std::slice::from_ref(&lock.token)).await;
            return Err(unmet);
        }
        Ok(self.granted_view(&lock, path, &place))
    }

    /// Whether a lock that is in force now was granted under its conditions still. Somebody may have been faster; from here on nobody can be.
    async fn recheck_granted(
        &self,
        place: &ResolvedPath<'_>,
        conditions: Option<&WriteOptions>,
    ) -> Result<()> {
        match conditions {
            Some(conditions) => self.check_early(place, conditions).await,
            None => self.read_access(place.mount.clone()).check(),
        }
    }

    /// Makes the empty file that a lock on an unmapped URL stands for (RFC 4918 section 7.3); `submitted` are the preconditions
    /// of the request, with the token of a lock on the folder.
    pub async fn create_locked(
        &self,
        path: &VPath,
        lock: &LockView,
        submitted: &RequestPreconditions,
    ) -> Result<()> {
        let made = self.make_locked(path, lock, submitted).await;
        if made.is_err() && self.check().is_err() {
            // Nobody is left who could end it.
            self.end_locks(lock.token.as_slice()).await;
        }
        made
    }

    async fn make_locked(
        &self,
        path: &VPath,
        lock: &LockView,
        submitted: &RequestPreconditions,
    ) -> Result<()> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let tokens = submitted
            .submitted_tokens()
            .map(str::to_owned)
            .chain(lock.token.clone())
            .collect();
        let preconditions = RequestPreconditions {
            expect: Expect::Absent,
            lock_tokens: tokens,
            ..RequestPreconditions::default()
        };
        let commit = self
            .write_options(&place, preconditions, scopes_to_create(&place))
            .await?;
        let upload = place
            .root
            .tree
            .begin_upload(&place.path, InitialContent::Empty, SpaceRequest::of(0))
            .await?;
        match upload.commit(commit).await {
            // Somebody made the file meanwhile: then the lock stands on that, unless it was to be new.
            Err(Error::PreconditionFailed) if submitted.expect != Expect::Absent => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Whether the conditions of a request hold that changes nothing but a lock. `PreconditionFailed`.
    pub async fn check_preconditions(
        &self,
        path: &VPath,
        preconditions: RequestPreconditions,
    ) -> Result<()> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let commit = self
            .write_options(&place, preconditions, Vec::new())
            .await?;
        self.check_early(&place, &commit).await
    }

    /// Prolongs a lock of this identity that covers `path`; `PreconditionFailed` when there is none such.
    pub async fn refresh_lock(
        &self,
        path: &VPath,
        token: &str,
        timeout: Option<Duration>,
    ) -> Result<LockView> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let lock = self
            .locks
            .refresh(&place.resource_id(), &self.holder(), token, timeout)
            .await?;
        Ok(self.granted_view(&lock, path, &place))
    }

    /// Ends a lock of this identity that covers `path`; `NoSuchLock`, `Forbidden` when it is another's.
    pub async fn unlock(&self, path: &VPath, token: &str) -> Result<()> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        self.locks
            .release(&place.resource_id(), &self.holder(), token)
            .await
    }

    /// The locks that cover each of these members of a folder, by one look at all of them. Where they lead is asked of memory only.
    pub async fn locks_on_members(
        &self,
        folder: &VPath,
        names: &[String],
    ) -> Result<Vec<Vec<LockView>>> {
        let paths: Vec<_> = names.iter().map(|name| folder.join(name).ok()).collect();
        let visible = |path| match self.resolve_cached(path) {
            Ok(Resolved::Storage(place)) if authorize(&place, Access::Read).is_ok() => {
                Some((path, place))
            }
            _ => None,
        };
        let places: Vec<_> = paths
            .iter()
            .map(|path| path.as_ref().and_then(visible))
            .collect();
        let resources: Vec<_> = places
            .iter()
            .flatten()
            .map(|(_, place)| place.resource_id())
            .collect();
        let seen = self.locks.look(&[], &resources).await?;
        let view_all = |on: &Option<(&VPath, ResolvedPath<'_>)>| {
            on.as_ref().map_or_else(Vec::new, |(path, place)| {
                self.lock_views(&seen, path, place)
            })
        };
        Ok(places.iter().map(view_all).collect())
    }

    /// The locks seen that cover what is at `path`, inner ones first.
    pub(super) fn lock_views(
        &self,
        seen: &LocksSeen,
        path: &VPath,
        place: &ResolvedPath<'_>,
    ) -> Vec<LockView> {
        if seen.is_empty() {
            return Vec::new();
        }
        let mut locks: Vec<_> = seen.covering(&place.resource_id()).collect();
        locks.sort_by_key(|lock| Reverse(lock.resource.path.as_str().len()));
        locks
            .into_iter()
            .map(|lock| self.view(lock, path, place))
            .collect()
    }

    /// Who its locks are taken, and used, as.
    pub(super) fn holder(&self) -> LockHolder {
        LockHolder::of(&self.identity)
    }

    /// Whether who locks what here is nobody's business: visitors of a link see that something is locked, and no more.
    pub(super) fn hides_lock_holders(&self) -> bool {
        matches!(self.identity.via, Via::Link(_))
    }

    /// A lock as whoever asked for it sees it.
    fn granted_view(&self, lock: &Lock, path: &VPath, place: &ResolvedPath<'_>) -> LockView {
        LockView {
            token: Some(lock.token.clone()),
            owner: lock.owner.clone(),
            ..self.view(lock, path, place)
        }
    }

    /// A lock as seen at `path`, which it covers.
    fn view(&self, lock: &Lock, path: &VPath, place: &ResolvedPath<'_>) -> LockView {
        // All visitors of a link act for one account, and are strangers to each other. And what a lock says of more than the
        // drive shows is not for a drive that is confined to a part.
        let own = lock.holder.is(&self.holder())
            && !self.hides_lock_holders()
            && !reaches_beyond(lock, place);
        LockView {
            token: own.then(|| lock.token.clone()),
            root: shown_root(lock, path, place),
            root_is_folder: lock.folder,
            owner: if self.hides_lock_holders() {
                String::new()
            } else {
                lock.owner.clone()
            },
            shared: lock.shared,
            deep: lock.deep,
            remaining: whole_seconds(lock.ends.saturating_duration_since(Instant::now())),
        }
    }
}

/// Whether what was locked lies above all that the drive, or mount, shows.
fn reaches_beyond(lock: &Lock, place: &ResolvedPath<'_>) -> bool {
    let top = place.path.names().count().saturating_sub(place.depth);
    lock.resource.path.names().count() < top
}

/// Where what was locked shows in the drive; the top, when it is something above that.
fn shown_root(lock: &Lock, path: &VPath, place: &ResolvedPath<'_>) -> VPath {
    let above = place
        .path
        .names()
        .count()
        .saturating_sub(lock.resource.path.names().count())
        .min(place.depth);
    (0..above).fold(path.to_nfc(), |path, _| path.parent().unwrap_or_default())
}

/// Rounded up, so that a lock just granted shows the whole time it was granted for.
fn whole_seconds(left: Duration) -> Duration {
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}
