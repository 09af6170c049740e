//! The locks of those who lose a right end with it: by a share, a group or a team folder that has changed or ended.

use crate::model::{AccountName, RelPath, Result, Rights};
use crate::sharing::Sharing;
use crate::sharing::groups::{GranteeRef, Group, GroupName};
use crate::sharing::shares::Share;
use crate::storage::{Lock, LockStore, ResourceId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Sharing {
    /// Ends the locks that receivers hold beneath a share that has ended or grants less, unless another share lets them change it.
    pub async fn release_lost(&self, locks: &dyn LockStore, share: &Share) -> Result<()> {
        let root = format!("home/{}", share.owner).into();
        let may_change = |lock: &Lock| {
            self.shares
                .any_between(&share.owner, &lock.holder.account, |other| {
                    other.rights == Rights::Edit && lock.resource.path.is_within(&other.path())
                })
        };
        let lost = |lock: &Lock| lock.holder.account != share.owner && !may_change(lock);
        let resource = ResourceId {
            root,
            path: share.path(),
        };
        release_where(locks, &resource, lost).await
    }

    /// Ends the locks of those who may not change any more what is shared with a group.
    pub async fn release_lost_in_group(
        &self,
        locks: &dyn LockStore,
        group: &GranteeRef,
    ) -> Result<()> {
        for share in self.shares.with(group) {
            self.release_lost(locks, &share).await?;
        }
        for (name, _) in self.teams.list() {
            self.release_lost_in_team(locks, &name).await?;
        }
        Ok(())
    }

    /// Ends the locks of those who may not change a team folder any more.
    pub async fn release_lost_in_team(&self, locks: &dyn LockStore, name: &str) -> Result<()> {
        let team = self.teams.find(name);
        let rights = |lock: &Lock| {
            team.as_ref()
                .and_then(|team| self.teams.rights(team, &lock.holder.account))
        };
        let resource = ResourceId {
            root: format!("team/{name}").into(),
            path: RelPath::root(),
        };
        release_where(locks, &resource, |lock| rights(lock) != Some(Rights::Edit)).await
    }

    /// Changes who is in a group, and ends the locks of those who lose by it. `NotFound`.
    pub async fn change_members(
        &self,
        locks: &dyn LockStore,
        name: &GroupName,
        edit: impl Fn(&mut BTreeSet<AccountName>),
    ) -> Result<Arc<Group>> {
        let group = self.groups.change_members(name, edit).await?;
        self.release_lost_in_group(locks, &GranteeRef::to_group(name, group.id.as_deref()))
            .await?;
        Ok(group)
    }

    /// Removes a group, the shares with it and its part in team folders. What a crash leaves of them names the id of the group, which no
    /// other gets, and ends with the next start. `NotFound`.
    pub async fn remove_group(&self, locks: &dyn LockStore, name: &GroupName) -> Result<()> {
        let gone = self.groups.remove(name).await?;
        self.release_lost_in_group(locks, &gone).await?;
        self.shares.revoke_grantee(&gone).await?;
        self.teams.remove_grantee(&gone).await
    }
}

/// Ends the locks on `resource` and below it whose holders have lost their right to it.
async fn release_where(
    locks: &dyn LockStore,
    resource: &ResourceId,
    lost: impl Fn(&Lock) -> bool,
) -> Result<()> {
    let found = locks.list(Some(resource)).await?.into_iter();
    let tokens: Vec<_> = found
        .filter(|lock| lost(lock))
        .map(|lock| lock.token.clone())
        .collect();
    locks.end(&tokens).await
}
