//! A mount of the trash of the account's own home, which can only be looked at.

use super::mount::{MountGrant, MountSource, MountTarget};
use crate::drive::access::VIEW_ONLY;
use crate::drive::context::DriveContext;
use crate::model::{AccountName, Error, RelPath, Result, Rights};
use crate::storage::LockStore;
use async_trait::async_trait;
use std::sync::Arc;

/// The trash of the account's own home.
#[derive(Debug)]
pub(super) struct TrashSource {
    /// Where it is read in the home.
    pub base: RelPath,
    pub account: AccountName,
    pub context: Arc<DriveContext>,
}

#[async_trait]
impl MountSource for TrashSource {
    fn grant(&self) -> Result<MountGrant> {
        Ok(MountGrant {
            rights: Rights::View,
            base: self.base.clone(),
            file_id: None,
        })
    }

    async fn open(&self) -> Result<MountTarget> {
        let (root, quota) = self.context.trees.home(&self.account).await?;
        Ok(MountTarget { root, quota })
    }

    async fn leave(&self, _locks: &dyn LockStore) -> Result<()> {
        Err(Error::Forbidden(VIEW_ONLY))
    }

    async fn rename(&self, _name: &str) -> Result<()> {
        Err(Error::Forbidden(VIEW_ONLY))
    }

    fn trash_root(&self) -> Option<&RelPath> {
        Some(&self.base)
    }
}
