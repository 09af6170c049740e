//! Room that was promised to an upload or copy before its bytes come.

use super::history_limit;
use super::root::TreeRoot;
use super::usage_counter::UsageDelta;
use crate::model::Result;
use crate::storage::Node;
use std::sync::{Arc, Weak};

/// Bytes promised to an upload; given back when dropped.
#[derive(Debug)]
pub(super) struct LocalReservation {
    pub root: Arc<TreeRoot>,
    limit: Option<u64>,
    /// Bytes that go when what the upload replaces goes.
    replaced_bytes: u64,
    claim: Option<ReplacementClaim>,
    pub reserved: u64,
    is_from_history: bool,
}

/// A file that an upload which outlives requests is to replace. Its bytes make room for one such upload at a time: else many for one name
/// would together take many times the quota. Those of requests are few, and over soon.
#[derive(Debug)]
pub(super) struct ReplacementClaim {
    /// Does not keep the tree open.
    root: Weak<TreeRoot>,
    inode: [u64; 2],
}

impl ReplacementClaim {
    /// `None` when it may not count on the file.
    fn on(root: &Arc<TreeRoot>, file: &Node) -> Option<Self> {
        let inode = file.inode();
        root.usage.claim(inode, file.len).then(|| Self {
            root: Arc::downgrade(root),
            inode,
        })
    }
}

impl Drop for ReplacementClaim {
    fn drop(&mut self) {
        if let Some(root) = self.root.upgrade() {
            root.usage.release_claim(self.inode);
        }
    }
}

impl LocalReservation {
    /// Nothing, without a limit.
    pub fn none(root: &Arc<TreeRoot>) -> Self {
        Self::new(root, None, 0)
    }

    /// Nothing yet, below `limit`, for what will replace `old` bytes.
    pub fn new(root: &Arc<TreeRoot>, limit: Option<u64>, old: u64) -> Self {
        Self {
            root: Arc::clone(root),
            limit,
            replaced_bytes: old,
            claim: None,
            reserved: 0,
            is_from_history: false,
        }
    }

    /// Nothing yet, below `limit`, for an upload that outlives requests and is to replace `file`.
    pub fn for_resumable(root: &Arc<TreeRoot>, limit: Option<u64>, file: Option<&Node>) -> Self {
        let claim = file.and_then(|file| ReplacementClaim::on(root, file));
        let old = file.filter(|_| claim.is_some()).map_or(0, |file| file.len);
        let mut reservation = Self::new(root, limit, old);
        reservation.claim = claim;
        reservation
    }

    /// For bytes that are brought back, which a history that is held does not refuse.
    pub fn for_restore(mut self) -> Self {
        self.is_from_history = true;
        self
    }

    /// Nothing yet, below the same limit, for something else.
    pub fn same_limit(&self) -> Self {
        Self::new(&self.root, self.limit, 0)
    }

    /// Below what files may come to, if anything bounds them.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Makes room for a file of `len` bytes; `NoSpace`, `None` when that cannot be said without waiting for the disk.
    pub fn try_grow(&mut self, len: u64) -> Option<Result<()>> {
        let more = len
            .saturating_sub(self.replaced_bytes)
            .saturating_sub(self.reserved);
        let Some(limit) = self.limit else {
            return Some(Ok(()));
        };
        if more > 0 {
            match self.root.usage.try_reserve(more, limit) {
                Some(Ok(())) => self.reserved += more,
                refused => return refused,
            }
        }
        if self.is_from_history {
            Some(Ok(()))
        } else {
            history_limit::check_hold_limit(&self.root, limit, len)
        }
    }

    /// Holds the room for a file of `len` bytes, whether it is there or not: it was promised before.
    pub fn reserve_unchecked(&mut self, len: u64) {
        let more = len
            .saturating_sub(self.replaced_bytes)
            .saturating_sub(self.reserved);
        self.root.usage.reserve(more);
        self.reserved += more;
    }

    /// Notes that an upload has its place: what was reserved for it is used now. `limit` counts where the reservation has none.
    pub fn apply_upload(&mut self, growth: UsageDelta, limit: Option<u64>) {
        let reserved = std::mem::take(&mut self.reserved);
        self.root.usage.apply_reserved(&self.root, growth, reserved);
        history_limit::note_added(&self.root, growth.added, self.limit.or(limit));
    }

    /// What is held and counted on, which is given back by somebody else.
    pub fn into_parts(mut self) -> (u64, Option<ReplacementClaim>) {
        (std::mem::take(&mut self.reserved), self.claim.take())
    }

    /// As [`try_grow`](Self::try_grow), on a thread that may wait.
    pub fn grow(&mut self, len: u64) -> Result<()> {
        loop {
            if let Some(outcome) = self.try_grow(len) {
                return outcome;
            }
            history_limit::count_if_unknown(&self.root, self.limit)?;
        }
    }
}

impl Drop for LocalReservation {
    fn drop(&mut self) {
        self.root.usage.release(self.reserved);
    }
}
