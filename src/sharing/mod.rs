//! What accounts show to each other: groups, shares and team folders. Records only; which files they open is for [`drive`](crate::drive).

pub mod groups;
pub mod names;
pub mod shares;
pub mod teams;

use crate::model::{AccountName, Result};
use groups::Groups;
use shares::Shares;
use std::collections::BTreeSet;
use std::sync::Arc;
use teams::Teams;

/// Groups, shares and team folders.
#[derive(Debug)]
pub struct Sharing {
    /// Groups.
    pub groups: Arc<Groups>,
    /// Shares.
    pub shares: Shares,
    /// Team folders.
    pub teams: Teams,
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

    /// Ends what names groups that are no more.
    pub async fn remove_lost_groups(&self) -> Result<()> {
        self.shares.revoke_lost_groups().await?;
        self.teams.remove_lost_groups().await
    }
}
