//! The index of all shares in memory.

use super::Share;
use crate::model::AccountName;
use crate::sharing::groups::GranteeRef;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Shares by id, by grantee and by owner.
#[derive(Debug, Default)]
pub(super) struct ShareIndex {
    pub shares: HashMap<String, Arc<Share>>,
    pub grantees: HashMap<GranteeRef, BTreeSet<String>>,
    pub owners: HashMap<AccountName, BTreeSet<String>>,
}

impl ShareIndex {
    /// Adds a share, or replaces the one with its id.
    pub fn insert(&mut self, share: Share) -> Arc<Share> {
        let id = share.id.clone();
        let share = Arc::new(share);
        self.grantees
            .entry(share.to.clone())
            .or_default()
            .insert(id.clone());
        self.owners
            .entry(share.owner.clone())
            .or_default()
            .insert(id.clone());
        self.shares.insert(id, share.clone());
        share
    }

    /// Removes a share.
    pub fn remove(&mut self, share: &Share) {
        self.shares.remove(&share.id);
        if let Some(ids) = self.grantees.get_mut(&share.to) {
            ids.remove(&share.id);
        }
        if let Some(ids) = self.owners.get_mut(&share.owner) {
            ids.remove(&share.id);
        }
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
