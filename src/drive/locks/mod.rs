//! WebDAV locks: an index in memory that every look goes to, and a record in the store for each, so that they survive a restart.
//! Locks key on places. Expiry is honoured on every look, by the monotonic clock.

mod holder;
mod index;
#[cfg(test)]
mod tests;

use super::resource_id::ResourceId;
use crate::config::LocksConfig;
use crate::model::{AccountName, Error, RelPath, Result, Via, time};
use crate::state::table::DELETED_AT_ONCE;
use crate::state::{Batch, StateStore};
pub use holder::{HolderCheck, LockHolder};
pub use index::LocksGuard;
use index::{LivenessCheck, LockIndex};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

const PREFIX: &str = "lock/";
const RECORD_VERSION: u32 = 1;

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

    /// The lock of a record; `None` when its time is over.
    fn read_record(&self, token: &str, text: &str) -> Result<Option<Lock>> {
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

    /// The locks as they stand, for as long as the answer is held.
    pub fn read_guard(&self) -> LocksGuard<'_> {
        LocksGuard::new(self.index.read(), self.check.get().map(AsRef::as_ref))
    }

    /// Grants a lock, durably. `Locked` when another stands in its way, `LimitReached` at the caps.
    pub async fn grant(
        &self,
        spot: ResourceId,
        holder: &LockHolder,
        request: LockRequest,
    ) -> Result<Arc<Lock>> {
        let now = Instant::now();
        let lock = Arc::new(Lock {
            token: new_token()?,
            resource: spot,
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

    /// Prolongs a lock that covers `spot`. `PreconditionFailed` when there is none such of `holder`. Answered once written: after a
    /// power cut the lock may end at its former time.
    pub async fn refresh(
        &self,
        spot: &ResourceId,
        holder: &LockHolder,
        token: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<Lock>> {
        let now = Instant::now();
        let lock = {
            let mut index = self.index.write();
            let alive = self.alive(now);
            let is_own = |lock: &&Arc<Lock>| {
                alive.is_live(lock) && lock.covers(spot) && lock.holder.is(holder)
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

    /// Ends a lock that covers `spot`. `NoSuchLock`, and `Forbidden` when it is somebody else's. Answered once written: after a power
    /// cut the lock may be there again, for the rest of its time.
    pub async fn release(&self, spot: &ResourceId, holder: &LockHolder, token: &str) -> Result<()> {
        {
            let mut index = self.index.write();
            let alive = self.alive(Instant::now());
            let present = index
                .by_token
                .get(token)
                .filter(|lock| alive.is_live(lock) && lock.covers(spot));
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

    /// Ends the locks on `spot` and below it whose holders have lost their right to it.
    pub async fn release_within(
        &self,
        spot: &ResourceId,
        lost: impl Fn(&Lock) -> bool,
    ) -> Result<()> {
        let tokens: HashSet<_> = self.read_guard().tokens_within(spot).into_iter().collect();
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

/// Stores a lock.
fn record_of(lock: &Lock) -> Result<Batch> {
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

    fn covers(&self, spot: &ResourceId) -> bool {
        self.resource == *spot
            || (self.deep
                && self.resource.root == spot.root
                && spot.path.is_within(&self.resource.path))
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
