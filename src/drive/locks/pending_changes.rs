//! The changes of a tree whose preconditions were checked and that are not over. A change may wait for its disk, for ever if that hangs, so
//! the lock index is not locked meanwhile: whoever takes a WebDAV lock in this tree waits until the changes checked before are over.

use crate::drive::with_timeout;
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

impl PendingChanges {
    /// Notes that the preconditions of a change are checked now; returns its number.
    pub fn begin(&self) -> u64 {
        let mut turns = self.turns.lock();
        let number = turns.next;
        turns.next += 1;
        turns.open.insert(number);
        number
    }

    /// Notes that the change of this number is over.
    pub fn finish(&self, number: u64) {
        self.turns.lock().open.remove(&number);
        self.ended.notify_waiters();
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
