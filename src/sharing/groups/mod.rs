//! Groups of accounts, for sharing: records in the state store, all of them in memory.

mod grantee;
mod records;

use crate::model::time::unix_seconds;
use crate::model::{AccountName, Error, Result};
use crate::state::StateStore;
use crate::state::table::new_id;
pub use grantee::{Grantee, GranteeRef, GroupName};
use parking_lot::RwLock;
use records::{GroupRecords, StoredGroup};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Mutex;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id, random and never given again; none for a group of before groups had ids.
    pub id: Option<String>,
    /// Its members.
    pub members: BTreeSet<AccountName>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// Every group.
#[derive(Debug)]
pub struct Groups {
    records: GroupRecords,
    all: RwLock<BTreeMap<GroupName, StoredGroup>>,
    /// One change at a time, so that memory and store agree.
    changing: Mutex<()>,
}

impl Groups {
    /// Reads every group.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let records = GroupRecords::new(store);
        let all = RwLock::new(records.read().await?);
        Ok(Self {
            records,
            all,
            changing: Mutex::default(),
        })
    }

    /// All groups by name.
    pub fn list(&self) -> Vec<(GroupName, Arc<Group>)> {
        self.all
            .read()
            .iter()
            .map(|(name, stored)| (name.clone(), stored.group.clone()))
            .collect()
    }

    /// One group.
    pub fn find(&self, name: &GroupName) -> Option<Arc<Group>> {
        self.all.read().get(name).map(|stored| stored.group.clone())
    }

    /// A grantee bound to the group that has the name at present; `None` where there is no such group.
    pub fn bind(&self, to: &Grantee) -> Option<GranteeRef> {
        Some(match to {
            Grantee::Account(name) => name.clone().into(),
            Grantee::Group(name) => GranteeRef::to_group(name, self.find(name)?.id.as_deref()),
        })
    }

    /// Whether a grantee is an account, or a group that is still there.
    pub fn exists(&self, to: &GranteeRef) -> bool {
        match &to.named {
            Grantee::Account(_) => true,
            Grantee::Group(name) => self.find(name).is_some_and(|group| group.id == to.group_id),
        }
    }

    /// Whether a grantee is this account, or a group it is in.
    pub fn includes(&self, to: &GranteeRef, account: &AccountName) -> bool {
        match &to.named {
            Grantee::Account(name) => name == account,
            Grantee::Group(name) => {
                self.all
                    .read()
                    .get(name)
                    .is_some_and(|StoredGroup { group, .. }| {
                        group.id == to.group_id && group.members.contains(account)
                    })
            }
        }
    }

    /// The groups that an account is in, by name.
    pub fn names_of(&self, account: &AccountName) -> Vec<GroupName> {
        let all = self.all.read();
        all.iter()
            .filter(|(_, stored)| stored.group.members.contains(account))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The account and the groups it is in.
    pub fn grantees_of(&self, account: &AccountName) -> Vec<GranteeRef> {
        let all = self.all.read();
        let groups = all
            .iter()
            .filter(|(_, stored)| stored.group.members.contains(account));
        let groups =
            groups.map(|(name, stored)| GranteeRef::to_group(name, stored.group.id.as_deref()));
        std::iter::once(GranteeRef::from(account.clone()))
            .chain(groups)
            .collect()
    }

    /// Makes a group; `Exists`.
    pub async fn create(
        &self,
        name: &GroupName,
        members: BTreeSet<AccountName>,
    ) -> Result<Arc<Group>> {
        let _turn = self.changing.lock().await;
        if self.find(name).is_some() {
            return Err(Error::Exists);
        }
        let id = Some(new_id()?);
        let created = unix_seconds(SystemTime::now());
        self.store(
            name,
            Group {
                id,
                members,
                created,
            },
        )
        .await
    }

    /// Changes who is in a group, from the next request on; `NotFound`.
    pub async fn set_members(
        &self,
        name: &GroupName,
        members: BTreeSet<AccountName>,
    ) -> Result<Arc<Group>> {
        let _turn = self.changing.lock().await;
        let present = self.find(name).ok_or(Error::NotFound)?;
        self.store(
            name,
            Group {
                members,
                ..Group::clone(&present)
            },
        )
        .await
    }

    /// Adds one account to a group; `NotFound`, also where another group has the name by now.
    pub async fn add(
        &self,
        name: &GroupName,
        id: Option<&str>,
        account: &AccountName,
    ) -> Result<()> {
        let _turn = self.changing.lock().await;
        let present = self.find(name).filter(|group| group.id.as_deref() == id);
        let mut group = Group::clone(&*present.ok_or(Error::NotFound)?);
        group.members.insert(account.clone());
        self.store(name, group).await.map(drop)
    }

    /// Removes a group, and says what records call it; `NotFound`.
    pub async fn remove(&self, name: &GroupName) -> Result<GranteeRef> {
        let _turn = self.changing.lock().await;
        let stored = self.all.read().get(name).cloned().ok_or(Error::NotFound)?;
        self.records.remove(name, &stored).await?;
        self.all.write().remove(name);
        Ok(GranteeRef::to_group(name, stored.group.id.as_deref()))
    }

    /// Takes an account that was removed out of every group.
    pub async fn remove_account(&self, account: &AccountName) -> Result<()> {
        let _turn = self.changing.lock().await;
        for (name, group) in self.list() {
            if group.members.contains(account) {
                let mut group = Group::clone(&group);
                group.members.remove(account);
                self.store(&name, group).await?;
            }
        }
        Ok(())
    }

    async fn store(&self, name: &GroupName, group: Group) -> Result<Arc<Group>> {
        let before = self.all.read().get(name).cloned();
        let stored = self.records.store(name, before.as_ref(), group).await?;
        self.all.write().insert(name.clone(), stored.clone());
        Ok(stored.group)
    }
}
