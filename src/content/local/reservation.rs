//! Room that was promised to an upload or copy before its bytes come.

use super::root::Root;
use super::whole::{self, Coming, Source};
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
    /// Bytes promised of what files and history may hold together.
    pub whole: u64,
    from: Source,
}

/// What must be waited for before it can be said whether there is room.
pub(super) struct Lacking(Option<Coming>);

impl Lacking {
    pub fn find_out(&self, root: &Root) -> Result<()> {
        self.0.map_or(Ok(()), |coming| whole::make_room(root, coming))?;
        root.ledger.count(root).map(drop)
    }
}

impl Reservation {
    /// Nothing, without a limit.
    pub fn none(root: &Arc<Root>) -> Self {
        Self::new(root, None, 0)
    }

    /// Nothing yet, below `limit`, for what will replace `old` bytes.
    pub fn new(root: &Arc<Root>, limit: Option<u64>, old: u64) -> Self {
        Self { root: Arc::clone(root), limit, old, held: 0, whole: 0, from: Source::Outside }
    }

    /// For bytes that come from there.
    pub fn of(mut self, from: Source) -> Self {
        self.from = from;
        self
    }

    /// Nothing yet, below the same limit, for something else.
    pub fn beside(&self) -> Self {
        Self::new(&self.root, self.limit, 0)
    }

    /// Makes room for a file of `len` bytes; `NoSpace`, `None` when that cannot be said without waiting for the disk.
    pub fn try_grow(&mut self, len: u64) -> Option<Result<()>> {
        if let Some(coming) = self.coming(len) {
            if !self.root.whole.try_promise(&self.root, coming) {
                return None;
            }
            self.whole += coming.bytes;
        }
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
        let come = len.saturating_sub(self.whole);
        self.root.whole.promise(come);
        self.whole += come;
    }

    /// What is held of the limit and of the whole, which is given back by somebody else.
    pub fn take(mut self) -> (u64, u64) {
        (std::mem::take(&mut self.held), std::mem::take(&mut self.whole))
    }

    /// What is yet to be promised of the whole for a file of `len` bytes.
    fn coming(&self, len: u64) -> Option<Coming> {
        let bytes = len.saturating_sub(self.whole);
        let limit = self.limit.filter(|_| bytes > 0 && self.from != Source::Moved)?;
        Some(Coming { bytes, limit, from: self.from })
    }

    /// What must be waited for where [`try_grow`](Self::try_grow) cannot say it.
    pub fn lacking(&self, len: u64) -> Lacking {
        Lacking(self.coming(len))
    }

    /// As [`try_grow`](Self::try_grow), on a thread that may wait.
    pub fn grow(&mut self, len: u64) -> Result<()> {
        loop {
            if let Some(outcome) = self.try_grow(len) {
                return outcome;
            }
            self.lacking(len).find_out(&self.root)?;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.root.ledger.give_back(self.held);
        self.root.whole.give_back(self.whole);
    }
}
