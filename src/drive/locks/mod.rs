//! WebDAV locks: an index in memory that every look goes to, and a record in the store for each, so that they survive a restart.
//! Locks key on places. Expiry is honoured on every look, by the monotonic clock.

mod holder;
mod index;
mod record;
#[cfg(test)]
mod tests;

use super::resource_id::ResourceId;
use crate::config::LocksConfig;
use crate::model::{AccountName, Error, Result};
use crate::state::table::DELETED_AT_ONCE;
use crate::state::{Batch, StateStore};
pub use holder::{HolderCheck, LockHolder};
pub use index::LocksGuard;
use index::{LivenessCheck, LockIndex};
use parking_lot::RwLock;
use record::{PREFIX, record_of};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// One lock.
#[derive(Clone, Debug)]
pub struct Lock {
    /// `urn:uuid:…`
    pub token: String,
    /// The locked place.
    pub resource: ResourceId,
    /// Whether a folder is locked.
    pub folder: bool,
    /// Whose it is.
    pub holder: LockHolder,
    /// The `owner` element as the client sent it, or empty.
    pub owner: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Depth infinity instead of 0.
    pub deep: bool,
    /// When it was granted.
    pub since: SystemTime,
    /// When it ends.
    pub ends: Instant,
}

/// What a client asks for with LOCK.
#[derive(Clone, Debug)]
pub struct LockRequest {
    /// The `owner` element, or empty.
    pub owner: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Depth infinity instead of 0.
    pub deep: bool,
    /// Whether a folder is locked.
    pub folder: bool,
    /// How long, if the client says; `Duration::MAX` for `Infinite`.
    pub timeout: Option<Duration>,
}

/// Every lock of every root.
#[derive(Debug)]
pub struct Locks {
    store: Arc<dyn StateStore>,
    limits: LocksConfig,
    index: RwLock<LockIndex>,
    check: OnceLock<Arc<dyn HolderCheck>>,
}

impl Locks {
    /// Reads the locks that a former run left, dropping those that ended meanwhile.
    pub async fn open(store: Arc<dyn StateStore>, limits: LocksConfig) -> Result<Self> {
        let locks = Self {
            store,
            limits,
            index: RwLock::default(),
            check: OnceLock::new(),
        };
        let mut after = String::new();
        let mut over = Vec::new();
        loop {
            let page = locks.store.scan(PREFIX, &after, 500).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (key, text) in &page {
                let Some(token) = key.strip_prefix(PREFIX) else {
                    continue;
                };
                match locks.read_record(token, text)? {
                    Some(lock) => locks.index.write().insert(Arc::new(lock)),
                    None => over.push(token.to_owned()),
                }
            }
        }
        locks.release_gone(over).await;
        Ok(locks)
    }

    /// Lets locks count only while `check` says so.
    pub fn set_holder_check(&self, check: Arc<dyn HolderCheck>) {
        let _ = self.check.set(check);
    }

    /// What tells the locks that count now.
    fn alive(&self, now: Instant) -> LivenessCheck<'_> {
        LivenessCheck {
            now,
            check: self.check.get().map(AsRef::as_ref),
        }
    }

    /// The locks as they stand, for as long as the answer is held.
    pub fn read_guard(&self) -> LocksGuard<'_> {
        LocksGuard::new(self.index.read(), self.check.get().map(AsRef::as_ref))
    }

    /// Grants a lock, durably. `Locked` when another stands in its way, `LimitReached` at the caps.
    pub async fn grant(
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
        let (admitted, over) = {
            let mut index = self.index.write();
            let alive = self.alive(now);
            let mut over = index.take_expired(now, DELETED_AT_ONCE);
            // What counts no more must not come back beside this one.
            over.extend(index.take_over(&lock, &alive));
            let admitted = index.check_grant(&lock, &self.limits, &alive);
            if admitted.is_ok() {
                index.insert(lock.clone());
            }
            (admitted, over)
        };
        self.release_gone(over).await;
        admitted?;
        if let Err(error) = self.grant_durably(&lock).await {
            self.index.write().remove(&lock.token);
            return Err(error);
        }
        Ok(lock)
    }

    /// Prolongs a lock that covers `resource`. `PreconditionFailed` when there is none such of `holder`. Answered once written: after a
    /// power cut the lock may end at its former time.
    pub async fn refresh(
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

    /// Ends a lock that covers `resource`. `NoSuchLock`, and `Forbidden` when it is somebody else's. Answered once written: after a power
    /// cut the lock may be there again, for the rest of its time.
    pub async fn release(
        &self,
        resource: &ResourceId,
        holder: &LockHolder,
        token: &str,
    ) -> Result<()> {
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

    /// Ends locks whose object is gone. Whatever made it go has happened, so that a record that cannot be deleted is no
    /// failure of that: it may come back at the next start, for the rest of its time.
    pub async fn release_gone(&self, tokens: Vec<String>) {
        if let Err(error) = self.release_tokens(tokens).await {
            tracing::warn!(%error, "locks have ended, and their records stay");
        }
    }

    /// Ends every lock that an account holds, or that lies in its root.
    pub async fn release_account(&self, holder: &AccountName, root: &str) -> Result<()> {
        self.release_all(|lock| lock.holder.account == *holder || &*lock.resource.root == root)
            .await
    }

    /// Ends every lock that lies in a root.
    pub async fn release_root(&self, root: &str) -> Result<()> {
        self.release_all(|lock| &*lock.resource.root == root).await
    }

    /// Every lock that counts, by place.
    pub fn all(&self) -> Vec<Arc<Lock>> {
        let alive = self.alive(Instant::now());
        let mut locks: Vec<_> = self
            .index
            .read()
            .by_token
            .values()
            .filter(|lock| alive.is_live(lock))
            .cloned()
            .collect();
        locks.sort_by_cached_key(|lock| {
            (
                lock.resource.root.clone(),
                lock.resource.path.clone(),
                lock.token.clone(),
            )
        });
        locks
    }

    /// How many locks count.
    pub fn count(&self) -> usize {
        let alive = self.alive(Instant::now());
        self.index
            .read()
            .by_token
            .values()
            .filter(|lock| alive.is_live(lock))
            .count()
    }

    /// Ends a lock whoever holds it, durably. `NoSuchLock`.
    pub async fn break_lock(&self, token: &str) -> Result<()> {
        {
            let mut index = self.index.write();
            if !index.by_token.contains_key(token) {
                return Err(Error::NoSuchLock);
            }
            index.remove(token);
        }
        self.store
            .commit(Batch::new().delete(format!("{PREFIX}{token}")))
            .await
    }

    /// Ends the locks on `resource` and below it whose holders have lost their right to it.
    pub async fn release_within(
        &self,
        resource: &ResourceId,
        lost: impl Fn(&Lock) -> bool,
    ) -> Result<()> {
        let tokens: HashSet<_> = self
            .read_guard()
            .tokens_within(resource)
            .into_iter()
            .collect();
        self.release_all(|lock| tokens.contains(&lock.token) && lost(lock))
            .await
    }

    /// Ends the locks that count no more, for good: their time is over, or whoever holds them has lost the right to.
    pub async fn sweep(&self) -> Result<()> {
        let alive = self.alive(Instant::now());
        self.release_all(|lock| !alive.is_live(lock)).await
    }

    async fn release_all(&self, which: impl Fn(&Lock) -> bool) -> Result<()> {
        let tokens = self
            .index
            .read()
            .by_token
            .values()
            .filter(|l| which(l))
            .map(|l| l.token.clone())
            .collect();
        self.release_tokens(tokens).await
    }

    async fn release_tokens(&self, tokens: Vec<String>) -> Result<()> {
        {
            let mut index = self.index.write();
            for token in &tokens {
                index.remove(token);
            }
        }
        for part in tokens.chunks(DELETED_AT_ONCE) {
            let delete = part
                .iter()
                .map(|token| format!("{PREFIX}{token}"))
                .collect();
            self.store
                .commit(Batch {
                    delete,
                    ..Batch::default()
                })
                .await?;
        }
        Ok(())
    }

    fn term(&self, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or(Duration::from_secs(self.limits.default_timeout));
        asked.min(Duration::from_secs(self.limits.max_timeout))
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

impl Lock {
    /// What others may call it by: the token itself is for its holder alone.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(self.token.as_bytes());
        digest
            .iter()
            .take(12)
            .fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
    }

    fn is_live(&self, now: Instant) -> bool {
        self.ends > now
    }

    fn covers(&self, resource: &ResourceId) -> bool {
        self.resource == *resource
            || (self.deep
                && self.resource.root == resource.root
                && resource.path.is_within(&self.resource.path))
    }
}

/// A random UUID (RFC 9562 version 4) as a URN: nobody can guess it.
fn new_token() -> Result<String> {
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
