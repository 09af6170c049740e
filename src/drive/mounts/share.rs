//! A mount of a share: a file or folder in the home of another account.

use super::mount::{MountGrant, MountSource, MountTarget};
use crate::audit::{Actor, AuditKind};
use crate::drive::context::DriveContext;
use crate::model::{AccountName, Error, Result};
use crate::sharing::shares::Share;
use crate::storage::LockStore;
use async_trait::async_trait;
use std::sync::Arc;

/// A share as one receiver sees it.
#[derive(Debug)]
pub(super) struct ShareSource {
    pub id: String,
    pub account: AccountName,
    pub context: Arc<DriveContext>,
}

impl ShareSource {
    async fn report(&self, note: String) {
        let actor = Actor::Account(self.account.clone());
        let reporter = self.context.audit.reporter(actor, None);
        reporter.done(AuditKind::ShareChanged, &self.id, note).await;
    }
}

#[async_trait]
impl MountSource for ShareSource {
    fn grant(&self) -> Result<MountGrant> {
        let share = self.share().ok_or(Error::NotFound)?;
        self.context.trees.check_home(&share.owner)?;
        Ok(MountGrant {
            rights: share.rights,
            base: share.path(),
            file_id: Some(share.node),
        })
    }

    async fn open(&self) -> Result<MountTarget> {
        let share = self.share().ok_or(Error::NotFound)?;
        let (root, quota) = self.context.trees.home(&share.owner).await?;
        Ok(MountTarget { root, quota })
    }

    async fn leave(&self, locks: &dyn LockStore) -> Result<()> {
        let sharing = &self.context.sharing;
        let share = sharing.shares.leave(&self.account, &self.id).await?;
        self.report(share.audit_left_text(&self.account)).await;
        sharing.release_lost(locks, &share).await
    }

    async fn rename(&self, name: &str) -> Result<()> {
        let before = self.share();
        let shares = &self.context.sharing.shares;
        let share = shares.rename(&self.account, &self.id, name).await?;
        if before.as_ref() != Some(&share) {
            self.report(share.audit_name_text(&self.account)).await;
        }
        Ok(())
    }

    fn is_share(&self) -> bool {
        true
    }

    fn share(&self) -> Option<Arc<Share>> {
        let shares = &self.context.sharing.shares;
        shares.shown_to(&self.account, &self.id)
    }
}
