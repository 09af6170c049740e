//! Shares: files and folders that accounts show to others. Records in the state store, read from an index in memory.
//! A share is bound to the file or folder itself: it follows it through the drive, and never shows another of the same name.

mod follow;
mod index;
mod share;
mod shown_names;

use super::groups::{Grantee, GranteeRef, Groups};
use crate::model::time::unix_seconds;
use crate::model::{AccountName, Error, Result, VPath};
use crate::state::StateStore;
use crate::state::table::{Table, encode, new_id};
use index::{ShareIndex, in_order};
use parking_lot::RwLock;
pub use share::{NewShare, Share};
use shown_names::ShownNames;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Mutex;

/// The most shares an account may have made.
const MAX_SHARES: usize = 1000;
/// The most bytes that a record may have after a receiver's change: a store takes 32 KiB, and the owner still changes rights, end and note.
const MAX_BY_RECEIVERS: usize = 24 << 10;

/// Every share.
#[derive(Debug)]
pub struct Shares {
    table: Table<Share>,
    index: RwLock<ShareIndex>,
    groups: Arc<Groups>,
    /// The names that receivers see.
    shown: ShownNames,
    /// One change at a time, so that memory and store agree.
    changing: Mutex<()>,
}

impl Shares {
    /// Reads every share.
    pub async fn open(store: Arc<dyn StateStore>, groups: Arc<Groups>) -> Result<Self> {
        let table = Table::<Share>::new(store.clone(), "share/");
        let mut index = ShareIndex::default();
        for (_, share) in table.all().await? {
            index.insert(share);
        }
        let shown = ShownNames::open(store, |id| index.shares.contains_key(id)).await?;
        Ok(Self {
            table,
            index: RwLock::new(index),
            groups,
            shown,
            changing: Mutex::default(),
        })
    }

    /// Every share, oldest first.
    pub fn list(&self) -> Vec<Arc<Share>> {
        in_order(self.index.read().shares.values())
    }

    /// The share with this id.
    pub fn find(&self, id: &str) -> Option<Arc<Share>> {
        self.index.read().shares.get(id).cloned()
    }

    /// The shares an account has made, oldest first.
    pub fn of(&self, owner: &AccountName) -> Vec<Arc<Share>> {
        let index = self.index.read();
        in_order(index.all(index.owners.get(owner)))
    }

    /// What others show to an account at present, oldest first.
    pub fn to(&self, account: &AccountName) -> Vec<Arc<Share>> {
        let index = self.index.read();
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
        let _turn = self.shown.lock_naming().await;
        let shares = self.to(account);
        let names = self.shown.assign(account, &shares, folder, other).await?;
        Ok((shares, names))
    }

    /// Whether others show anything to an account at present.
    pub fn has_any_for(&self, account: &AccountName) -> bool {
        let index = self.index.read();
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
        let index = self.index.read();
        index
            .all(index.owners.get(owner))
            .any(|share| self.shows(share, account) && holds(share))
    }

    /// The share with this id, if it is shown to this account at present.
    pub fn shown_to(&self, account: &AccountName, id: &str) -> Option<Arc<Share>> {
        self.index
            .read()
            .shares
            .get(id)
            .filter(|share| self.shows(share, account))
            .cloned()
    }

    /// The share with this id, if this account made it.
    pub fn made_by(&self, owner: &AccountName, id: &str) -> Option<Arc<Share>> {
        self.index
            .read()
            .shares
            .get(id)
            .filter(|share| share.owner == *owner)
            .cloned()
    }

    fn shows(&self, share: &Share, account: &AccountName) -> bool {
        share.owner != *account
            && share.is_live()
            && !share.left.contains(account)
            && self.groups.includes(&share.to, account)
    }

    /// Makes a share; `Exists` when the same is shared with the same already, `NotFound` when the group was removed meanwhile, `LimitReached`.
    pub async fn create(&self, owner: &AccountName, new: NewShare) -> Result<Arc<Share>> {
        let _turn = self.changing.lock().await;
        if !self.groups.exists(&new.to) {
            return Err(Error::NotFound);
        }
        let path = new.path.to_nfc().as_str().to_owned();
        let present = self.of(owner);
        if present.len() >= MAX_SHARES {
            return Err(Error::LimitReached(
                "Your account already has as many shares as it may have.",
            ));
        }
        if present
            .iter()
            .any(|share| share.path == path && share.node == new.node && share.to == new.to)
        {
            return Err(Error::Exists);
        }
        let NewShare {
            node,
            folder,
            to,
            rights,
            expires,
            note,
            ..
        } = new;
        self.store(Share {
            id: new_id()?,
            owner: owner.clone(),
            path,
            node,
            folder,
            to,
            rights,
            created: unix_seconds(SystemTime::now()),
            expires,
            note,
            names: BTreeMap::new(),
            left: BTreeSet::new(),
        })
        .await
    }

    /// Changes a share that `which` finds, from the next request on.
    pub async fn change(
        &self,
        which: impl Fn(&Self) -> Option<Arc<Share>>,
        edit: impl FnOnce(&mut Share),
    ) -> Result<Arc<Share>> {
        let _turn = self.changing.lock().await;
        let mut share = Share::clone(&*which(self).ok_or(Error::NotFound)?);
        edit(&mut share);
        self.store(share).await
    }

    /// As [`change`](Self::change), by a receiver; `LimitReached` where the record would have no room left for its owner's changes.
    async fn change_by_receiver(
        &self,
        account: &AccountName,
        id: &str,
        edit: impl FnOnce(&mut Share),
    ) -> Result<Arc<Share>> {
        let _turn = self.changing.lock().await;
        let mut share = Share::clone(&*self.shown_to(account, id).ok_or(Error::NotFound)?);
        edit(&mut share);
        if encode(&share)?.len() > MAX_BY_RECEIVERS {
            return Err(Error::LimitReached(
                "So many who see this share have renamed or left it that its record is full; ask its owner to make it anew.",
            ));
        }
        self.store(share).await
    }

    /// Ends a share of `owner`, from the next request on; `NotFound`.
    pub async fn revoke(&self, owner: &AccountName, id: &str) -> Result<Arc<Share>> {
        let _turn = self.changing.lock().await;
        let share = self.made_by(owner, id).ok_or(Error::NotFound)?;
        self.revoke_all(std::slice::from_ref(&share)).await?;
        Ok(share)
    }

    /// Takes a share out of the drive of one receiver; `NotFound`, `LimitReached`.
    pub async fn leave(&self, account: &AccountName, id: &str) -> Result<Arc<Share>> {
        let leave = |share: &mut Share| {
            share.left.insert(account.clone());
            share.names.remove(account);
        };
        self.change_by_receiver(account, id, leave).await
    }

    /// Lets one receiver see a share under another name; `NotFound`, `LimitReached`.
    pub async fn rename(&self, account: &AccountName, id: &str, name: &str) -> Result<Arc<Share>> {
        let rename = |share: &mut Share| drop(share.names.insert(account.clone(), name.to_owned()));
        let share = self.change_by_receiver(account, id, rename).await?;
        // It may be called so already and have been numbered, for one that has gone since.
        self.shown.release(account, id).await?;
        Ok(share)
    }

    /// Ends every share that an account made or that was made for it alone.
    pub async fn revoke_account(&self, account: &AccountName) -> Result<()> {
        let _turn = self.changing.lock().await;
        self.revoke_all(&self.of(account)).await?;
        self.revoke_all(&self.with(&account.clone().into())).await?;
        let known =
            |share: &&Arc<Share>| share.left.contains(account) || share.names.contains_key(account);
        let shares: Vec<_> = self
            .index
            .read()
            .shares
            .values()
            .filter(known)
            .cloned()
            .collect();
        for share in shares {
            let mut share = Share::clone(&share);
            share.left.remove(account);
            share.names.remove(account);
            self.store(share).await?;
        }
        self.shown.remove_account(account).await
    }

    /// The accounts that shares are of, or with, or have names for.
    pub fn accounts_named(&self) -> BTreeSet<AccountName> {
        let index = self.index.read();
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
        let _turn = self.changing.lock().await;
        self.revoke_all(&self.with(to)).await
    }

    /// Ends the shares with groups that are no more.
    pub async fn revoke_lost_groups(&self) -> Result<()> {
        let _turn = self.changing.lock().await;
        let lost = |share: &&Arc<Share>| !self.groups.exists(&share.to);
        let shares: Vec<_> = self
            .index
            .read()
            .shares
            .values()
            .filter(lost)
            .cloned()
            .collect();
        self.revoke_all(&shares).await
    }

    /// The shares with one grantee.
    pub fn with(&self, to: &GranteeRef) -> Vec<Arc<Share>> {
        let index = self.index.read();
        index.all(index.grantees.get(to)).cloned().collect()
    }

    async fn revoke_all(&self, shares: &[Arc<Share>]) -> Result<()> {
        for share in shares {
            self.table.delete(&share.key()).await?;
            self.index.write().remove(share);
        }
        Ok(())
    }

    /// Keeps a share and shows it, by the path that it has come to meanwhile.
    async fn store(&self, mut share: Share) -> Result<Arc<Share>> {
        loop {
            self.table.put(&share.key(), &share).await?;
            let mut index = self.index.write();
            match index
                .shares
                .get(&share.id)
                .map(|present| present.path.clone())
            {
                Some(path) if path != share.path => share.path = path,
                _ => return Ok(index.insert(share)),
            }
        }
    }
}
