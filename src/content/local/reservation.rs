//! Room that was promised to an upload or copy before its bytes come.

use super::root::Root;
use crate::model::Result;
use std::sync::Arc;

/// Bytes promised to an upload; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    pub root: Arc<Root>,
    limit: Option<u64>,
    /// Bytes that go when what the upload replaces goes.
    old: u64,
    pub held: u64,
}

impl Reservation {
    /// Nothing, without a limit.
    pub fn none(root: &Arc<Root>) -> Self {
        Self::new(root, None, 0)
    }

    /// Nothing yet, below `limit`, for what will replace `old` bytes.
    pub fn new(root: &Arc<Root>, limit: Option<u64>, old: u64) -> Self {
        Self { root: Arc::clone(root), limit, old, held: 0 }
    }

    /// Makes room for a file of `len` bytes; `NoSpace`, `None` when that cannot be said without waiting for the disk.
    pub fn try_grow(&mut self, len: u64) -> Option<Result<()>> {
        let more = len.saturating_sub(self.old).saturating_sub(self.held);
        let Some(limit) = self.limit.filter(|_| more > 0) else { return Some(Ok(())) };
        let reserved = self.root.ledger.try_reserve(more, limit);
        if matches!(reserved, Some(Ok(()))) {
            self.held += more;
        }
        reserved
    }

    /// Holds the room for a file of `len` bytes, whether it is there or not: it was promised before.
    pub fn hold(&mut self, len: u64) {
        let more = len.saturating_sub(self.old).saturating_sub(self.held);
        self.root.ledger.hold(more);
        self.held += more;
    }

    /// What is held, which is given back by somebody else.
    pub fn take(mut self) -> u64 {
        std::mem::take(&mut self.held)
    }

    /// As [`try_grow`](Self::try_grow), on a thread that may wait.
    pub fn grow(&mut self, len: u64) -> Result<()> {
        loop {
            if let Some(outcome) = self.try_grow(len) {
                return outcome;
            }
            self.root.ledger.count(&self.root)?;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.root.ledger.give_back(self.held);
    }
}
