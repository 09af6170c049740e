//! A mount of a team folder.

use super::mount::{MountGrant, MountSource, MountTarget};
use crate::drive::context::DriveContext;
use crate::model::{AccountName, Error, RelPath, Result};
use crate::storage::LockStore;
use async_trait::async_trait;
use std::sync::Arc;

/// A team folder as one member sees it.
#[derive(Debug)]
pub(super) struct TeamFolderSource {
    pub name: String,
    pub account: AccountName,
    pub context: Arc<DriveContext>,
}

#[async_trait]
impl MountSource for TeamFolderSource {
    fn grant(&self) -> Result<MountGrant> {
        let teams = &self.context.sharing.teams;
        let team = teams.find(&self.name).ok_or(Error::NotFound)?;
        let rights = teams.rights(&team, &self.account).ok_or(Error::NotFound)?;
        Ok(MountGrant {
            rights,
            base: RelPath::root(),
            file_id: None,
        })
    }

    async fn open(&self) -> Result<MountTarget> {
        let team = self.context.sharing.teams.find(&self.name);
        let quota = team.ok_or(Error::NotFound)?.quota;
        let root = self.context.trees.team(&self.name).await?;
        Ok(MountTarget { root, quota })
    }

    async fn leave(&self, _locks: &dyn LockStore) -> Result<()> {
        Err(Error::Forbidden(
            "Only an administrator can take you out of a team folder.",
        ))
    }

    async fn rename(&self, _name: &str) -> Result<()> {
        Err(Error::Forbidden(
            "A team folder has the same name for all who use it.",
        ))
    }
}
