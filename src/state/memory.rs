//! A state store in memory, for the tests of what stands on one.

use crate::model::{Error, Result};
use crate::state::{Batch, ChangeStream, StateStore, StoreChange};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::yield_now;

/// Records in a map.
#[derive(Debug)]
pub struct MemoryStore {
    pairs: Mutex<BTreeMap<String, String>>,
    changes: tokio::sync::broadcast::Sender<StoreChange>,
    broken: AtomicBool,
    slow: AtomicBool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        let (changes, _) = tokio::sync::broadcast::channel(16);
        Arc::new(Self {
            pairs: Mutex::default(),
            changes,
            broken: AtomicBool::default(),
            slow: AtomicBool::default(),
        })
    }

    /// From now on, commits fail as after an I/O error.
    pub fn break_disk(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// From now on, commits that write something let others go first; twice, as those who run together take turns.
    pub fn slow_down(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        Ok(self.pairs.lock().get(key).cloned())
    }

    async fn scan(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, String)>> {
        let pairs = self.pairs.lock();
        let wanted = pairs
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
        Ok(wanted
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::ReadOnly);
        }
        if self.slow.load(Ordering::Relaxed) && !batch.put.is_empty() {
            yield_now().await;
            yield_now().await;
        }
        let mut pairs = self.pairs.lock();
        if batch
            .expect
            .iter()
            .any(|(key, value)| pairs.get(key) != value.as_ref())
        {
            return Err(Error::Conflict);
        }
        let puts = batch.put.iter().map(|(key, _)| key);
        let keys = puts.chain(&batch.delete).cloned().collect();
        pairs.extend(batch.put);
        for key in batch.delete {
            pairs.remove(&key);
        }
        // Nobody may listen.
        let _ = self.changes.send(StoreChange::Keys(keys));
        Ok(())
    }

    async fn commit_lazily(&self, batch: Batch) -> Result<()> {
        self.commit(batch).await
    }

    fn is_writable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    fn changes(&self) -> ChangeStream {
        ChangeStream::new(self.changes.subscribe())
    }

    async fn close(&self) -> Result<()> {
        self.break_disk();
        Ok(())
    }
}
