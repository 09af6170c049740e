//! Shares: files and folders that accounts show to others. Records in the state store, read from an index in memory.
//! A share is bound to the file or folder itself: it follows it through the drive, and never shows another of the same name.

mod follow;
mod index;
mod share;
mod shown_names;

use super::groups::{Grantee, GranteeRef, Groups};
use crate::model::time::unix_seconds;
use crate::model::{AccountName, Error, Result, VPath};
use crate::state::registry::{Edit, Registry};
use crate::state::table::{encode, new_id};
use crate::state::{Batch, StateStore};
use index::{ShareIndex, in_order};
pub use share::{NewShare, Share};
use shown_names::ShownNames;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

/// The most shares an account may have made.
const MAX_SHARES: usize = 1000;
/// The most bytes that a record may have after a receiver's change: a store takes 32 KiB, and the owner still changes rights, end and note.
const MAX_BY_RECEIVERS: usize = 24 << 10;

/// Every share.
#[derive(Debug)]
pub struct Shares {
    all: Arc<ShareRegistry>,
    groups: Arc<Groups>,
    /// The names that receivers see.
    shown: ShownNames,
}

type ShareRegistry = Registry<Share, ShareIndex>;

impl Shares {
    /// Reads every share.
    pub async fn open(store: Arc<dyn StateStore>, groups: Arc<Groups>) -> Result<Self> {
        let all = ShareRegistry::open(store.clone(), "share/").await?;
        let is_there = |id: &str| all.view().index.shares.contains_key(id);
        let shown = ShownNames::open(store, is_there).await?;
        Ok(Self { all, groups, shown })
    }

    /// Every share, oldest first.
    pub fn list(&self) -> Vec<Arc<Share>> {
        in_order(self.all.view().index.shares.values())
    }

    /// The share with this id.
    pub fn find(&self, id: &str) -> Option<Arc<Share>> {
        self.all.view().index.shares.get(id).cloned()
    }

    /// The shares an account has made, oldest first.
    pub fn of(&self, owner: &AccountName) -> Vec<Arc<Share>> {
        let view = self.all.view();
        let index = &view.index;
        in_order(index.all(index.owners.get(owner)))
    }

    /// What others show to an account at present, oldest first.
    pub fn to(&self, account: &AccountName) -> Vec<Arc<Share>> {
        let view = self.all.view();
        let index = &view.index;
        if index.shares.is_empty() {
            return Vec::new();
        }
        let grantees = self.groups.grantees_of(account);
        let shares = grantees
            .iter()
            .flat_map(|to| index.all(index.grantees.get(to)));
        in_order(shares.filter(|share| self.shows(share, account)))
    }

    /// The names under which an account sees these shares, in their order; `None` while one of them has none.
    pub fn known_names(&self, account: &AccountName, shares: &[Arc<Share>]) -> Option<Vec<String>> {
        self.shown.of(account, shares)
    }

    /// What others show to an account at present, and the names under which it sees them, which are given to those that have none.
    pub async fn assign_names(
        &self,
        account: &AccountName,
        folder: &VPath,
        other: &str,
    ) -> Result<(Vec<Arc<Share>>, Vec<String>)> {
        let shown = || self.to(account);
        self.shown.assign(account, shown, folder, other).await
    }

    /// Whether others show anything to an account at present.
    pub fn has_any_for(&self, account: &AccountName) -> bool {
        let view = self.all.view();
        let index = &view.index;
        let any = |to: &GranteeRef| {
            index
                .all(index.grantees.get(to))
                .any(|share| self.shows(share, account))
        };
        !index.shares.is_empty() && self.groups.grantees_of(account).iter().any(any)
    }

    /// Whether `owner` shows something to an account at present of which `holds` is true.
    pub fn any_between(
        &self,
        owner: &AccountName,
        account: &AccountName,
        holds: impl Fn(&Share) -> bool,
    ) -> bool {
        let view = self.all.view();
        let index = &view.index;
        index
            .all(index.owners.get(owner))
            .any(|share| self.shows(share, account) && holds(share))
    }

    /// The share with this id, if it is shown to this account at present.
    pub fn shown_to(&self, account: &AccountName, id: &str) -> Option<Arc<Share>> {
        self.find(id).filter(|share| self.shows(share, account))
    }

    /// The share with this id, if this account made it.
    pub fn made_by(&self, owner: &AccountName, id: &str) -> Option<Arc<Share>> {
        self.find(id).filter(|share| share.owner == *owner)
    }

    fn shows(&self, share: &Share, account: &AccountName) -> bool {
        share.owner != *account
            && share.is_live()
            && !share.left.contains(account)
            && self.groups.includes(&share.to, account)
    }

    /// Makes a share; `Exists` when the same is shared with the same already, `NotFound` when the group was removed meanwhile, `LimitReached`.
    pub async fn create(&self, owner: &AccountName, new: NewShare) -> Result<Arc<Share>> {
        if !self.groups.exists(&new.to) {
            return Err(Error::NotFound);
        }
        let share = Share {
            id: new_id()?,
            owner: owner.clone(),
            path: new.path.to_nfc().as_str().to_owned(),
            node: new.node,
            folder: new.folder,
            to: new.to,
            rights: new.rights,
            created: unix_seconds(SystemTime::now()),
            expires: new.expires,
            note: new.note,
            names: BTreeMap::new(),
            left: BTreeSet::new(),
        };
        let plan = |all: &ShareRegistry, _| {
            check_new(&all.view().index, &share)?;
            Ok(Edit::store(share.clone()).guarded())
        };
        let made = self.all.edit(&share.key(), Batch::new(), plan).await?;
        made.ok_or(Error::NotFound)
    }

    /// Changes a share that `which` finds, from the next request on.
    pub async fn change(
        &self,
        which: impl Fn(&Self) -> Option<Arc<Share>>,
        edit: impl Fn(&mut Share),
    ) -> Result<Arc<Share>> {
        let share = which(self).ok_or(Error::NotFound)?;
        self.change_record(&share, |record| {
            edit(record);
            Ok(())
        })
        .await
    }

    /// As [`change`](Self::change), by a receiver; `LimitReached` where the record would have no room left for its owner's changes.
    async fn change_by_receiver(
        &self,
        account: &AccountName,
        id: &str,
        edit: impl Fn(&mut Share) -> Result<()>,
    ) -> Result<Arc<Share>> {
        let share = self.shown_to(account, id).ok_or(Error::NotFound)?;
        self.change_record(&share, |record| {
            if !self.shows(record, account) {
                return Err(Error::NotFound);
            }
            edit(record)?;
            if encode(record)?.len() > MAX_BY_RECEIVERS {
                return Err(Error::LimitReached(
                    "So many who see this share have renamed or left it that its record is full; ask its owner to make it anew.",
                ));
            }
            Ok(())
        })
        .await
    }

    /// Changes the record of a share; what comes of it has the path that its file has come to meanwhile.
    async fn change_record(
        &self,
        share: &Share,
        edit: impl Fn(&mut Share) -> Result<()>,
    ) -> Result<Arc<Share>> {
        let stored = self.all.change(&share.key(), edit).await?;
        Ok(self.find(&share.id).unwrap_or(stored))
    }

    /// Ends a share of `owner`, from the next request on; `NotFound`.
    pub async fn revoke(&self, owner: &AccountName, id: &str) -> Result<Arc<Share>> {
        let share = self.made_by(owner, id).ok_or(Error::NotFound)?;
        self.all.remove(&share.key(), |_| Ok(())).await?;
        Ok(share)
    }

    /// Takes a share out of the drive of one receiver; `NotFound`, `LimitReached`.
    pub async fn leave(&self, account: &AccountName, id: &str) -> Result<Arc<Share>> {
        let leave = |share: &mut Share| {
            share.left.insert(account.clone());
            share.names.remove(account);
            Ok(())
        };
        self.change_by_receiver(account, id, leave).await
    }

    /// Lets one receiver see a share under another name; `Exists` where another share shows under it, as names are told apart without regard
    /// to case, `NotFound`, `LimitReached`.
    pub async fn rename(&self, account: &AccountName, id: &str, name: &str) -> Result<Arc<Share>> {
        let rename = |share: &mut Share| {
            let mut others = self.to(account);
            others.retain(|other| other.id != id);
            if self.shown.has(account, &others, name) {
                return Err(Error::Exists);
            }
            share.names.insert(account.clone(), name.to_owned());
            Ok(())
        };
        let share = self.change_by_receiver(account, id, rename).await?;
        // It may be called so already and have been numbered, for one that has gone since.
        self.shown.release(account, id).await?;
        Ok(share)
    }

    /// Ends every share that an account made or that was made for it alone.
    pub async fn revoke_account(&self, account: &AccountName) -> Result<()> {
        self.revoke_all(&self.of(account)).await?;
        self.revoke_all(&self.with(&account.clone().into())).await?;
        let known =
            |share: &Arc<Share>| share.left.contains(account) || share.names.contains_key(account);
        for share in self.list().into_iter().filter(known) {
            let forget = |share: &mut Share| {
                share.left.remove(account);
                share.names.remove(account);
                Ok(())
            };
            match self.change_record(&share, forget).await {
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.shown.remove_account(account).await
    }

    /// The accounts that shares are of, or with, or have names for.
    pub fn accounts_named(&self) -> BTreeSet<AccountName> {
        let view = self.all.view();
        let index = &view.index;
        let receivers = index
            .shares
            .values()
            .filter_map(|share| match &share.to.named {
                Grantee::Account(name) => Some(name.clone()),
                Grantee::Group(_) => None,
            });
        receivers
            .chain(index.shares.values().map(|share| share.owner.clone()))
            .chain(self.shown.accounts_named())
            .collect()
    }

    /// Ends every share with one grantee.
    pub async fn revoke_grantee(&self, to: &GranteeRef) -> Result<()> {
        self.revoke_all(&self.with(to)).await
    }

    /// Ends the shares with groups that are no more.
    pub async fn revoke_lost_groups(&self) -> Result<()> {
        let mut lost = self.list();
        lost.retain(|share| !self.groups.exists(&share.to));
        self.revoke_all(&lost).await
    }

    /// The shares with one grantee.
    pub fn with(&self, to: &GranteeRef) -> Vec<Arc<Share>> {
        let view = self.all.view();
        let index = &view.index;
        index.all(index.grantees.get(to)).cloned().collect()
    }

    async fn revoke_all(&self, shares: &[Arc<Share>]) -> Result<()> {
        for share in shares {
            match self.all.remove(&share.key(), |_| Ok(())).await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Refuses a new share beside those that its owner has made.
fn check_new(index: &ShareIndex, new: &Share) -> Result<()> {
    let own = index.owners.get(&new.owner);
    if own.is_some_and(|ids| ids.len() >= MAX_SHARES) {
        return Err(Error::LimitReached(
            "Your account already has as many shares as it may have.",
        ));
    }
    let is_same =
        |share: &Arc<Share>| share.path == new.path && share.node == new.node && share.to == new.to;
    if index.all(own).any(is_same) {
        return Err(Error::Exists);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
