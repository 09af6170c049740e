//! What Sarang remembers: small records under text keys, changed in atomic, durable batches.
//! What the records mean is their owners' business ([`Table`](table::Table) is the typed view).

#[cfg(test)]
pub mod contract;
#[cfg(test)]
pub mod memory;
pub mod registry;
pub mod sled;
pub mod stored_key;
pub mod table;

use crate::model::Result;
use async_trait::async_trait;
use std::fmt::Debug;

/// A set of changes that happens whole and durably, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What must hold for the batch to happen: the key's present value, `None` for absent.
    pub expect: Vec<(String, Option<String>)>,
    /// Values to store.
    pub put: Vec<(String, String)>,
    /// Keys to remove; removing an absent key is no error.
    pub delete: Vec<String>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the batch happen only while `key` has this value (`None`: is absent).
    #[must_use]
    pub fn expect(mut self, key: impl Into<String>, value: Option<String>) -> Self {
        self.expect.push((key.into(), value));
        self
    }

    /// Stores a value.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.put.push((key.into(), value.into()));
        self
    }

    /// Removes a key.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.delete.push(key.into());
        self
    }

    /// Does what another batch does, in the same step.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.expect.extend(other.expect);
        self.put.extend(other.put);
        self.delete.extend(other.delete);
        self
    }
}

/// What is stored in one step with a new record, and what is done in memory between that and the showing of the record.
pub struct CommitHook {
    /// The batch.
    pub batch: Batch,
    stored: Option<Box<dyn FnOnce() + Send>>,
}

impl CommitHook {
    /// A batch, and what is done when it is stored.
    pub fn new(batch: Batch, stored: impl FnOnce() + Send + 'static) -> Self {
        Self {
            batch,
            stored: Some(Box::new(stored)),
        }
    }

    /// Takes the batch and what is to be done when it is stored.
    pub fn into_parts(self) -> (Batch, impl FnOnce() + Send) {
        (self.batch, move || {
            self.stored.into_iter().for_each(|stored| stored());
        })
    }
}

impl From<Batch> for CommitHook {
    fn from(batch: Batch) -> Self {
        Self {
            batch,
            stored: None,
        }
    }
}

impl Debug for CommitHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Along")
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// What changed in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// These keys were put or deleted by one batch.
    Keys(Vec<String>),
    /// Some changes went unseen: whoever caches must read anew.
    Lost,
}

/// The stream of changes, from the moment it was asked for.
#[derive(Debug)]
pub struct ChangeStream(tokio::sync::broadcast::Receiver<StoreChange>);

impl ChangeStream {
    /// Wraps a receiver; falling behind it reads as [`StoreChange::Lost`].
    pub fn new(receiver: tokio::sync::broadcast::Receiver<StoreChange>) -> Self {
        Self(receiver)
    }

    /// The next change; `None` once the store is closed.
    pub async fn next(&mut self) -> Option<StoreChange> {
        use tokio::sync::broadcast::error::RecvError;
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(StoreChange::Lost),
            Err(RecvError::Closed) => None,
        }
    }
}

/// An engine that remembers records. Every engine passes the one suite in `contract`.
#[async_trait]
pub trait StateStore: Debug + Send + Sync + 'static {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<String>>;
    /// Up to `limit` pairs whose keys begin with `prefix` and are greater than `after`, in byte order.
    async fn scan(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, String)>>;
    /// Applies a batch. When this returns `Ok`, the batch survives a power cut; [`Error::Conflict`](crate::model::Error::Conflict)
    /// when an expectation does not hold (nothing changed), `NoSpace` and `ReadOnly` when the disk is full or broken.
    async fn commit(&self, batch: Batch) -> Result<()>;
    /// As [`commit`](Self::commit), without waiting for the disk: when this returns `Ok`, readers see the batch and it survives a
    /// crash of the program. A power cut may lose it, whole, and with it every later batch that was committed lazily; never one
    /// before it. A later `commit` that returns `Ok` makes it durable; at the latest the store does so itself within seconds.
    async fn commit_lazily(&self, batch: Batch) -> Result<()>;
    /// Whether changes are still possible: not after an I/O error, and not once closed.
    fn is_writable(&self) -> bool;
    /// What is changed from now on, by whomever.
    fn changes(&self) -> ChangeStream;
    /// Writes everything and lets go of the files; later calls fail with `ReadOnly`.
    async fn close(&self) -> Result<()>;
}
