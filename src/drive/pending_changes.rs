//! The changes of a root that have been judged and are not over. A change may wait for its disk, for ever if that hangs, so the locks are not
//! held still meanwhile: whoever takes one in this root waits until what was judged before it is over, as if it came after.

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

/// A change, from before its verdict until it is over.
#[derive(Debug)]
pub(super) struct PendingChange<'a> {
    all: &'a PendingChanges,
    number: u64,
}

impl PendingChanges {
    /// Says that a change is judged now.
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
