//! What shares are found by, and where their files are by now.

use super::Share;
use crate::model::{AccountName, RelPath};
use crate::sharing::groups::GranteeRef;
use crate::state::registry::RecordIndex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Shares by id, by grantee and by owner.
#[derive(Debug, Default)]
pub(super) struct ShareIndex {
    pub shares: HashMap<String, Arc<Share>>,
    pub grantees: HashMap<GranteeRef, BTreeSet<String>>,
    pub owners: HashMap<AccountName, BTreeSet<String>>,
    /// What moves and removals of files have done to shares of which the records do not say so yet, by their ids: where it is now, or
    /// `None` for one that has ended.
    unsaved: HashMap<String, Option<RelPath>>,
}

impl RecordIndex<Share> for ShareIndex {
    fn update(&mut self, _: &str, before: Option<&Arc<Share>>, now: Option<&Arc<Share>>) {
        if let Some(before) = before {
            self.hide(before);
        }
        let Some(now) = now else { return };
        match self.unsaved.get(&now.id) {
            None => self.show(Arc::clone(now)),
            Some(None) => {}
            Some(Some(path)) => {
                let mut moved = Share::clone(now);
                moved.set_path(path);
                self.show(Arc::new(moved));
            }
        }
    }
}

impl ShareIndex {
    fn show(&mut self, share: Arc<Share>) {
        let id = share.id.clone();
        self.grantees
            .entry(share.to.clone())
            .or_default()
            .insert(id.clone());
        self.owners
            .entry(share.owner.clone())
            .or_default()
            .insert(id.clone());
        self.shares.insert(id, share);
    }

    fn hide(&mut self, share: &Share) {
        self.shares.remove(&share.id);
        if let Some(ids) = self.grantees.get_mut(&share.to) {
            ids.remove(&share.id);
        }
        if let Some(ids) = self.owners.get_mut(&share.owner) {
            ids.remove(&share.id);
        }
    }

    /// Says that what a share shows has come to be there, before its record says so.
    pub fn set_moved(&mut self, share: &Arc<Share>, path: RelPath) {
        let mut moved = Share::clone(share);
        moved.set_path(&path);
        self.show(Arc::new(moved));
        self.unsaved.insert(share.id.clone(), Some(path));
    }

    /// Says that what a share shows is gone, before its record is.
    pub fn set_ended(&mut self, share: &Arc<Share>) {
        self.hide(share);
        self.unsaved.insert(share.id.clone(), None);
    }

    /// Says that the record of a share says the same.
    pub fn set_saved(&mut self, id: &str, state: Option<&RelPath>) {
        if self.unsaved.get(id).map(Option::as_ref) == Some(state) {
            self.unsaved.remove(id);
        }
    }

    /// The shares of an owner whose files have moved since their records were stored, and where they are.
    pub fn moved(&self, owner: &AccountName) -> Vec<(Arc<Share>, RelPath)> {
        let moved = |share: &Arc<Share>| {
            let path = self.unsaved.get(&share.id)?.clone()?;
            Some((Arc::clone(share), path))
        };
        self.all(self.owners.get(owner)).filter_map(moved).collect()
    }

    /// The shares with these ids.
    pub fn all<'a>(
        &'a self,
        ids: Option<&'a BTreeSet<String>>,
    ) -> impl Iterator<Item = &'a Arc<Share>> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.shares.get(id))
    }
}

/// Shares sorted from oldest to newest.
pub(super) fn in_order<'a>(shares: impl Iterator<Item = &'a Arc<Share>>) -> Vec<Arc<Share>> {
    let mut shares: Vec<_> = shares.cloned().collect();
    shares.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    shares
}
