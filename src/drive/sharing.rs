//! What accounts have in common, and what ends with a right: the locks of those who lose it.

use super::groups::{GranteeRef, Group, GroupName, Groups};
use super::locks::{Lock, Locks};
use super::mass_change::MassChangeDetector;
use super::resolved_path::{NamedTree, ResourceId};
use super::shares::{Share, Shares};
use super::teams::Teams;
use crate::audit::Audit;
use crate::model::{AccountName, RelPath, Result, Rights};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

/// Opens roots as they may be used at present.
#[async_trait]
pub trait TreeProvider: Debug + Send + Sync {
    /// The home of an account and its quota; `NotFound` when the account is disabled or removed.
    async fn home(&self, account: &AccountName) -> Result<(Arc<NamedTree>, Option<u64>)>;
    /// `NotFound` when the account is disabled or removed; in memory.
    fn check_home(&self, account: &AccountName) -> Result<()>;
    /// The root of a team folder.
    async fn team(&self, name: &str) -> Result<Arc<NamedTree>>;
}

/// The names of the folders in which drives show what is not in their home.
#[derive(Clone, Debug)]
pub struct MountFolderNames {
    /// The folder of shares.
    pub shared: String,
    /// The folder of team folders.
    pub teams: String,
    /// The trash; `None` where it is not shown.
    pub trash: Option<String>,
}

/// What accounts have in common: groups, shares, team folders.
#[derive(Debug)]
pub struct Sharing {
    /// Groups.
    pub groups: Arc<Groups>,
    /// Shares.
    pub shares: Shares,
    /// Team folders.
    pub teams: Teams,
    /// The names of the folders of mounts.
    pub mount_folders: MountFolderNames,
    /// Who has lately changed how much.
    pub mass_changes: MassChangeDetector,
    /// Who did what.
    pub audit: Audit,
    /// The way to everybody's files.
    pub trees: Arc<dyn TreeProvider>,
}

impl Sharing {
    /// Ends what an account that was removed shared, was shared with or belonged to.
    pub async fn remove_account(&self, account: &AccountName) -> Result<()> {
        self.shares.revoke_account(account).await?;
        self.groups.remove_account(account).await?;
        self.teams.remove_grantee(&account.clone().into()).await
    }

    /// The accounts that shares, groups and team folders name.
    pub fn accounts_named(&self) -> BTreeSet<AccountName> {
        let mut named = self.shares.accounts_named();
        named.extend(self.teams.accounts_named());
        named.extend(
            self.groups
                .list()
                .iter()
                .flat_map(|(_, group)| group.members.clone()),
        );
        named
    }

    /// Ends the locks that receivers hold beneath a share that has ended or grants less, unless another share lets them change it.
    pub async fn release_lost(&self, locks: &Locks, share: &Share) -> Result<()> {
        let root = format!("home/{}", share.owner).into();
        let may_change = |lock: &Lock| {
            self.shares
                .any_between(&share.owner, &lock.holder.account, |other| {
                    other.rights == Rights::Edit && lock.resource.path.is_within(&other.path())
                })
        };
        let lost = |lock: &Lock| lock.holder.account != share.owner && !may_change(lock);
        locks
            .release_within(
                &ResourceId {
                    root,
                    path: share.path(),
                },
                lost,
            )
            .await
    }

    /// Ends the locks of those who may not change any more what is shared with a group.
    pub async fn release_lost_in_group(&self, locks: &Locks, group: &GranteeRef) -> Result<()> {
        for share in self.shares.with(group) {
            self.release_lost(locks, &share).await?;
        }
        for (name, _) in self.teams.list() {
            self.release_lost_in_team(locks, &name).await?;
        }
        Ok(())
    }

    /// Ends the locks of those who may not change a team folder any more.
    pub async fn release_lost_in_team(&self, locks: &Locks, name: &str) -> Result<()> {
        let team = self.teams.find(name);
        let rights = |lock: &Lock| {
            team.as_ref()
                .and_then(|team| self.teams.rights(team, &lock.holder.account))
        };
        let spot = ResourceId {
            root: format!("team/{name}").into(),
            path: RelPath::root(),
        };
        locks
            .release_within(&spot, |lock| rights(lock) != Some(Rights::Edit))
            .await
    }

    /// Changes who is in a group, and ends the locks of those who lose by it. `NotFound`.
    pub async fn set_members(
        &self,
        locks: &Locks,
        name: &GroupName,
        members: BTreeSet<AccountName>,
    ) -> Result<Arc<Group>> {
        let group = self.groups.set_members(name, members).await?;
        self.release_lost_in_group(locks, &GranteeRef::to_group(name, &group))
            .await?;
        Ok(group)
    }

    /// Removes a group, the shares with it and its part in team folders. What a crash leaves of them names the id of the group, which no
    /// other gets, and ends with the next start. `NotFound`.
    pub async fn remove_group(&self, locks: &Locks, name: &GroupName) -> Result<()> {
        let gone = self.groups.remove(name).await?;
        self.release_lost_in_group(locks, &gone).await?;
        self.shares.revoke_grantee(&gone).await?;
        self.teams.remove_grantee(&gone).await
    }

    /// Ends what names groups that are no more.
    pub async fn remove_lost_groups(&self) -> Result<()> {
        self.shares.revoke_lost_groups().await?;
        self.teams.remove_lost_groups().await
    }
}
