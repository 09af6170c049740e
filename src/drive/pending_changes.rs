//! The changes of a tree whose preconditions were checked and that are not over. A change may wait for its disk, for ever if that hangs, so
//! the lock index is not locked meanwhile: whoever takes a WebDAV lock in this tree waits until the changes checked before are over.

use super::with_timeout;
use crate::model::Result;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::sync::Notify;

/// The changes under way in one root.
#[derive(Debug, Default)]
pub(super) struct PendingChanges {
    turns: Mutex<PendingNumbers>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct PendingNumbers {
    next: u64,
    open: BTreeSet<u64>,
}

/// A change, from before its check until it is over.
#[derive(Debug)]
pub(super) struct PendingChange<'a> {
    all: &'a PendingChanges,
    number: u64,
}

impl PendingChanges {
    /// Notes that the preconditions of a change are checked now.
    pub fn begin(&self) -> PendingChange<'_> {
        let mut turns = self.turns.lock();
        let number = turns.next;
        turns.next += 1;
        turns.open.insert(number);
        PendingChange { all: self, number }
    }

    /// Waits until all that are under way now are over; `Busy` when that takes too long. Those that begin meanwhile are not waited for.
    pub async fn wait(&self) -> Result<()> {
        let now = self.turns.lock().next;
        with_timeout(async {
            loop {
                let ended = self.ended.notified();
                if self
                    .turns
                    .lock()
                    .open
                    .first()
                    .is_none_or(|first| *first >= now)
                {
                    return Ok(());
                }
                ended.await;
            }
        })
        .await
    }
}

impl Drop for PendingChange<'_> {
    fn drop(&mut self) {
        self.all.turns.lock().open.remove(&self.number);
        self.all.ended.notify_waiters();
    }
}
