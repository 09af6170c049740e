//! Groups of accounts, for sharing: records in the state store, all of them in memory.

mod grantee;
mod records;

use crate::model::time::unix_seconds;
use crate::model::{AccountName, Error, Result};
use crate::state::StateStore;
use crate::state::table::new_id;
pub use grantee::{Grantee, GranteeRef, GroupName};
use records::GroupRecords;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

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
}

impl Groups {
    /// Reads every group.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let records = GroupRecords::open(store).await?;
        Ok(Self { records })
    }

    /// All groups by name.
    pub fn list(&self) -> Vec<(GroupName, Arc<Group>)> {
        let heads = self.records.heads().into_iter();
        heads
            .map(|(name, head)| {
                let group = self.records.group(&name, &head);
                (name, Arc::new(group))
            })
            .collect()
    }

    /// One group.
    pub fn find(&self, name: &GroupName) -> Option<Arc<Group>> {
        let head = self.records.head(name)?;
        Some(Arc::new(self.records.group(name, &head)))
    }

    /// A grantee bound to the group that has the name at present; `None` where there is no such group.
    pub fn bind(&self, to: &Grantee) -> Option<GranteeRef> {
        Some(match to {
            Grantee::Account(name) => name.clone().into(),
            Grantee::Group(name) => {
                GranteeRef::to_group(name, self.records.head(name)?.id.as_deref())
            }
        })
    }

    /// Whether a grantee is an account, or a group that is still there.
    pub fn exists(&self, to: &GranteeRef) -> bool {
        match &to.named {
            Grantee::Account(_) => true,
            Grantee::Group(name) => {
                let head = self.records.head(name);
                head.is_some_and(|head| head.id == to.group_id)
            }
        }
    }

    /// Whether a grantee is this account, or a group it is in.
    pub fn includes(&self, to: &GranteeRef, account: &AccountName) -> bool {
        match &to.named {
            Grantee::Account(name) => name == account,
            Grantee::Group(name) => self.records.head(name).is_some_and(|head| {
                head.id == to.group_id && self.records.has_member(name.as_str(), &head, account)
            }),
        }
    }

    /// The groups that an account is in, by name.
    pub fn names_of(&self, account: &AccountName) -> Vec<GroupName> {
        let heads = self.records.heads_of(account).into_iter();
        heads.map(|(name, _)| name).collect()
    }

    /// The account and the groups it is in.
    pub fn grantees_of(&self, account: &AccountName) -> Vec<GranteeRef> {
        let heads = self.records.heads_of(account).into_iter();
        let groups = heads.map(|(name, head)| GranteeRef::to_group(&name, head.id.as_deref()));
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
        let group = Group {
            id: Some(new_id()?),
            members,
            created: unix_seconds(SystemTime::now()),
        };
        let new = |present: Option<&Group>| match present {
            Some(_) => Err(Error::Exists),
            None => Ok(group.clone()),
        };
        self.records.edit(name, new).await
    }

    /// Changes who is in a group, from the next request on; `NotFound`.
    pub async fn change_members(
        &self,
        name: &GroupName,
        edit: impl Fn(&mut BTreeSet<AccountName>),
    ) -> Result<Arc<Group>> {
        let edit = |group: &mut Group| edit(&mut group.members);
        self.change(name, |_| true, edit).await
    }

    /// Adds one account to a group; `NotFound`, also where another group has the name by now.
    pub async fn add(
        &self,
        name: &GroupName,
        id: Option<&str>,
        account: &AccountName,
    ) -> Result<()> {
        let edit = |group: &mut Group| {
            group.members.insert(account.clone());
        };
        let is_same = |group: &Group| group.id.as_deref() == id;
        self.change(name, is_same, edit).await.map(drop)
    }

    /// Removes a group, and says what records call it; `NotFound`.
    pub async fn remove(&self, name: &GroupName) -> Result<GranteeRef> {
        let id = self.records.remove(name).await?;
        Ok(GranteeRef::to_group(name, id.as_deref()))
    }

    /// Takes an account that was removed out of every group.
    pub async fn remove_account(&self, account: &AccountName) -> Result<()> {
        for name in self.names_of(account) {
            let edit = |group: &mut Group| {
                group.members.remove(account);
            };
            match self.change(&name, |_| true, edit).await {
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Changes the group of this name that is the one meant; `NotFound`.
    async fn change(
        &self,
        name: &GroupName,
        is_meant: impl Fn(&Group) -> bool,
        edit: impl Fn(&mut Group),
    ) -> Result<Arc<Group>> {
        let edit = |present: Option<&Group>| {
            let present = present.filter(|group| is_meant(group));
            let mut group = present.ok_or(Error::NotFound)?.clone();
            edit(&mut group);
            Ok(group)
        };
        self.records.edit(name, edit).await
    }
}
