//! Shares follow the files that they show, and end with them.

use super::{Share, Shares};
use crate::model::{AccountName, RelPath, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Shares {
    /// Updates the paths of shares after a move within a home, and ends the shares of what the move replaced, which it returns. Changes
    /// memory only, in the step that moves the files: [`save_moved`](Self::save_moved) must follow.
    pub fn follow(&self, owner: &AccountName, from: &RelPath, to: &RelPath) -> Vec<Arc<Share>> {
        let mut index = self.index.write();
        let shares: Vec<_> = index.all(index.owners.get(owner)).cloned().collect();
        let mut ended: Vec<Arc<Share>> = Vec::new();
        for share in shares {
            match share.path().after(from).map(|rest| rest.beneath(to)) {
                Some(path) => {
                    let mut share = Share::clone(&share);
                    share.set_path(&path);
                    index.insert(share);
                }
                None if share.path().is_within(to) => ended.push(share),
                None => {}
            }
        }
        for share in &ended {
            index.remove(share);
        }
        ended
    }

    /// Stores what [`follow`](Self::follow) has changed. A record that cannot be written is logged and is no failure of the move.
    pub async fn save_moved(&self, owner: &AccountName, to: &RelPath, ended: &[Arc<Share>]) {
        if self
            .index
            .read()
            .owners
            .get(owner)
            .is_none_or(BTreeSet::is_empty)
            && ended.is_empty()
        {
            return;
        }
        let _turn = self.changing.lock().await;
        for share in ended {
            warn_of(self.table.delete(&share.key()).await);
        }
        for share in self
            .of(owner)
            .into_iter()
            .filter(|share| share.path().is_within(to))
        {
            warn_of(self.table.put(&share.key(), &share).await);
        }
    }

    /// Ends the shares of files that are gone from a home, and returns them. Memory changes at once; a record that cannot be deleted is
    /// logged only, as it shows nothing: its file is not there.
    pub async fn revoke_within(&self, owner: &AccountName, path: &RelPath) -> Vec<Arc<Share>> {
        if self
            .index
            .read()
            .owners
            .get(owner)
            .is_none_or(BTreeSet::is_empty)
        {
            return Vec::new();
        }
        let _turn = self.changing.lock().await;
        let mut ended = self.of(owner);
        ended.retain(|share| share.path().is_within(path));
        for share in &ended {
            self.index.write().remove(share);
            warn_of(self.table.delete(&share.key()).await);
        }
        ended
    }
}

fn warn_of(outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "a share has changed, and its record has not");
    }
}
