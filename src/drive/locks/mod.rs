//! WebDAV locks: an index in memory that every look goes to, and a record in the store for each, so that they survive a restart.
//! Locks key on places. Expiry is honoured on every look, by the monotonic clock.

mod holder;
mod index;
mod pending_changes;
mod record;
mod store;
#[cfg(test)]
mod tests;
mod tree_locks;

use crate::config::LocksConfig;
use crate::model::{AccountName, Error, Result};
use crate::state::table::DELETED_AT_ONCE;
use crate::state::{Batch, StateStore};
use crate::storage::{Lock, LockScope, LocksSeen, ResourceId};
pub use holder::HolderCheck;
use index::{LivenessCheck, LockIndex};
use parking_lot::{Mutex, RwLock};
use record::PREFIX;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tree_locks::LocksOfTree;

/// Every lock of every root.
#[derive(Debug)]
pub struct Locks {
    store: Arc<dyn StateStore>,
    limits: LocksConfig,
    index: RwLock<LockIndex>,
    check: OnceLock<Arc<dyn HolderCheck>>,
    /// The trees that are open, by id.
    trees: Mutex<HashMap<Arc<str>, Weak<LocksOfTree>>>,
    /// The tokens of locks that a tree has ended in its step and whose records are still there.
    ended_in_step: Mutex<HashSet<String>>,
}

impl Locks {
    /// Reads the locks that a former run left, dropping those that ended meanwhile.
    pub async fn open(store: Arc<dyn StateStore>, limits: LocksConfig) -> Result<Self> {
        let locks = Self {
            store,
            limits,
            index: RwLock::default(),
            check: OnceLock::new(),
            trees: Mutex::default(),
            ended_in_step: Mutex::default(),
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
        locks.end_or_warn(&over).await;
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

    /// One look, without waiting.
    fn look_now(&self, scopes: &[LockScope], named: &[ResourceId]) -> LocksSeen {
        let alive = self.alive(Instant::now());
        self.index.read().look(scopes, named, alive)
    }

    /// Ends locks with what they stood on: at once in memory. Their records go with [`LockStore::end`](crate::storage::LockStore::end)
    /// or, where nobody got so far, with the next sweep.
    fn end_in_step(&self, tokens: &[String]) {
        let mut index = self.index.write();
        for token in tokens {
            index.remove(token);
        }
        self.ended_in_step.lock().extend(tokens.iter().cloned());
    }

    /// Ends locks. Where a record cannot be deleted, the lock may come back at the next start, for the rest of its time.
    async fn end_or_warn(&self, tokens: &[String]) {
        if let Err(error) = self.release_tokens(tokens.to_vec()).await {
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
        let index = self.index.read();
        sorted(index.by_token.values().filter(|lock| alive.is_live(lock)))
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

    /// Ends the locks that count no more, for good: their time is over, or whoever holds them has lost the right to.
    pub async fn sweep(&self) -> Result<()> {
        let alive = self.alive(Instant::now());
        self.release_all(|lock| !alive.is_live(lock)).await?;
        let ended = self.ended_in_step.lock().iter().cloned().collect();
        self.release_tokens(ended).await
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
        if tokens.is_empty() {
            return Ok(());
        }
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
        let mut ended = self.ended_in_step.lock();
        for token in &tokens {
            ended.remove(token);
        }
        Ok(())
    }

    fn term(&self, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or(Duration::from_secs(self.limits.default_timeout));
        asked.min(Duration::from_secs(self.limits.max_timeout))
    }
}

/// Locks by place.
fn sorted<'a>(locks: impl Iterator<Item = &'a Arc<Lock>>) -> Vec<Arc<Lock>> {
    let mut locks: Vec<_> = locks.cloned().collect();
    locks.sort_by_cached_key(|lock| {
        (
            lock.resource.root.clone(),
            lock.resource.path.clone(),
            lock.token.clone(),
        )
    });
    locks
}
