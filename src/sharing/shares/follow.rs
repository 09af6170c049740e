//! Shares follow the files that they show, and end with them.

use super::{Share, Shares};
use crate::model::{AccountName, Error, RelPath, Result};
use std::sync::Arc;

impl Shares {
    /// Updates the paths of shares after a move within a home, and ends the shares of what the move replaced, which it returns. Changes
    /// memory only, in the step that moves the files: [`save_moved`](Self::save_moved) must follow.
    pub fn follow(&self, owner: &AccountName, from: &RelPath, to: &RelPath) -> Vec<Arc<Share>> {
        self.all.with_index(|index| {
            let shares: Vec<_> = index.all(index.owners.get(owner)).cloned().collect();
            let mut ended: Vec<Arc<Share>> = Vec::new();
            for share in shares {
                match share.path().after(from).map(|rest| rest.beneath(to)) {
                    Some(path) => index.set_moved(&share, path),
                    None if share.path().is_within(to) => ended.push(share),
                    None => {}
                }
            }
            for share in &ended {
                index.set_ended(share);
            }
            ended
        })
    }

    /// Stores what [`follow`](Self::follow) has changed. A record that cannot be written is logged and is no failure of the move.
    pub async fn save_moved(&self, owner: &AccountName, to: &RelPath, ended: &[Arc<Share>]) {
        self.save_ended(ended).await;
        let mut moved = self.all.view().index.moved(owner);
        moved.retain(|(_, path)| path.is_within(to));
        for (share, path) in moved {
            let set_path = |record: &mut Share| {
                record.set_path(&path);
                Ok(())
            };
            let saved = self.all.change(&share.key(), set_path).await.map(drop);
            self.note_saved(&share, Some(&path), saved);
        }
    }

    /// Ends the shares of files that are gone from a home, and returns them. Memory changes at once; a record that cannot be deleted is
    /// logged only, as it shows nothing: its file is not there.
    pub async fn revoke_within(&self, owner: &AccountName, path: &RelPath) -> Vec<Arc<Share>> {
        let mut ended = self.of(owner);
        ended.retain(|share| share.path().is_within(path));
        if !ended.is_empty() {
            self.all
                .with_index(|index| ended.iter().for_each(|share| index.set_ended(share)));
            self.save_ended(&ended).await;
        }
        ended
    }

    async fn save_ended(&self, ended: &[Arc<Share>]) {
        for share in ended {
            let saved = self.all.remove(&share.key(), |_| Ok(())).await;
            self.note_saved(share, None, saved);
        }
    }

    fn note_saved(&self, share: &Share, state: Option<&RelPath>, saved: Result<()>) {
        match saved {
            Ok(()) | Err(Error::NotFound) => {
                self.all
                    .with_index(|index| index.set_saved(&share.id, state));
            }
            Err(error) => {
                tracing::warn!(%error, "a share has changed, and its record has not");
            }
        }
    }
}
