//! The locks of this process as a [`LockStore`]: each is in force once it is in the index, and answered once its record is written.

use super::record::{PREFIX, record_of};
use super::{LivenessCheck, Locks, sorted};
use crate::model::{Error, Result};
use crate::state::Batch;
use crate::state::table::DELETED_AT_ONCE;
use crate::storage::{Lock, LockHolder, LockLook, LockRequest, LockScope, LockStore, ResourceId};
use async_trait::async_trait;
use futures_util::future::{Either, ready};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

#[async_trait]
impl LockStore for Locks {
    async fn grant(
        &self,
        resource: ResourceId,
        holder: &LockHolder,
        request: LockRequest,
    ) -> Result<Arc<Lock>> {
        let now = Instant::now();
        let lock = Arc::new(Lock {
            token: new_token()?,
            resource,
            folder: request.folder,
            holder: holder.clone(),
            owner: request.owner,
            shared: request.shared,
            deep: request.deep,
            since: SystemTime::now(),
            ends: now + self.term(request.timeout),
        });
        let (admitted, over) = self.insert_granted(&lock, self.alive(now));
        self.end_or_warn(&over).await;
        admitted?;
        if let Err(error) = self.grant_durably(&lock).await {
            self.index.write().remove(&lock.token);
            return Err(error);
        }
        // From here on nobody is faster.
        if let Err(busy) = self.wait_for_changes(&lock.resource.root).await {
            self.end_or_warn(std::slice::from_ref(&lock.token)).await;
            return Err(busy);
        }
        Ok(lock)
    }

    async fn refresh(
        &self,
        resource: &ResourceId,
        holder: &LockHolder,
        token: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<Lock>> {
        let now = Instant::now();
        let lock = {
            let mut index = self.index.write();
            let alive = self.alive(now);
            let is_own = |lock: &&Arc<Lock>| {
                alive.is_live(lock) && lock.covers(resource) && lock.holder.is(holder)
            };
            let present = index.by_token.get(token).filter(is_own);
            let mut lock = Lock::clone(present.ok_or(Error::PreconditionFailed)?);
            lock.ends = now + self.term(timeout);
            let lock = Arc::new(lock);
            index.remove(token);
            index.insert(lock.clone());
            lock
        };
        self.store.commit_lazily(record_of(&lock)?).await?;
        self.drop_record_if_ended(&lock).await?;
        Ok(lock)
    }

    async fn release(&self, resource: &ResourceId, holder: &LockHolder, token: &str) -> Result<()> {
        {
            let mut index = self.index.write();
            let alive = self.alive(Instant::now());
            let present = index
                .by_token
                .get(token)
                .filter(|lock| alive.is_live(lock) && lock.covers(resource));
            if !present.ok_or(Error::NoSuchLock)?.holder.is(holder) {
                return Err(Error::Forbidden("This lock belongs to somebody else."));
            }
            index.remove(token);
        }
        self.store
            .commit_lazily(Batch::new().delete(format!("{PREFIX}{token}")))
            .await
    }

    async fn end(&self, tokens: &[String]) -> Result<()> {
        self.release_tokens(tokens.to_vec()).await
    }

    async fn list(&self, within: Option<&ResourceId>) -> Result<Vec<Arc<Lock>>> {
        let index = self.index.read();
        Ok(match within {
            Some(resource) => sorted(index.below(resource).flatten()),
            None => sorted(index.by_token.values()),
        })
    }

    fn look<'a>(&'a self, scopes: &'a [LockScope], named: &'a [ResourceId]) -> LockLook<'a> {
        Either::Left(ready(Ok(self.look_now(scopes, named))))
    }
}

impl Locks {
    /// Lets a lock be in force, if it may be; returns what is over by that, too.
    fn insert_granted(
        &self,
        lock: &Arc<Lock>,
        alive: LivenessCheck<'_>,
    ) -> (Result<()>, Vec<String>) {
        let mut index = self.index.write();
        let mut over = index.take_expired(alive.now, DELETED_AT_ONCE);
        // What counts no more must not come back beside this one.
        over.extend(index.take_over(lock, &alive));
        let admitted = index.check_grant(lock, &self.limits, &alive);
        if admitted.is_ok() {
            index.insert(lock.clone());
        }
        (admitted, over)
    }

    async fn grant_durably(&self, lock: &Lock) -> Result<()> {
        self.store.commit(record_of(lock)?).await?;
        self.drop_record_if_ended(lock).await
    }

    /// Whoever ended a lock while its record was being written may have deleted that before it was there.
    async fn drop_record_if_ended(&self, lock: &Lock) -> Result<()> {
        let known = self.index.read().by_token.contains_key(&lock.token);
        if known {
            Ok(())
        } else {
            self.release_tokens(vec![lock.token.clone()]).await
        }
    }
}

/// A random UUID (RFC 9562 version 4) as a URN: nobody can guess it.
pub(super) fn new_token() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("make a lock token", std::io::Error::other(e.to_string())))?;
    let random = u128::from_be_bytes(bytes);
    let id = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let [low, mid, high] = [80, 64, 48].map(|shift| id >> shift & 0xffff);
    Ok(format!(
        "urn:uuid:{:08x}-{low:04x}-{mid:04x}-{high:04x}-{:012x}",
        id >> 96,
        id & 0xffff_ffff_ffff
    ))
}
