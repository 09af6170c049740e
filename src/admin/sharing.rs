//! Shares and public links of everybody, as administrators end them.

use super::Administrator;
use crate::audit::AuditKind;
use crate::model::{Error, Result};

impl Administrator {
    /// Ends a share, whoever made it, from the next request on. `NotFound`.
    pub async fn revoke_share(&self, id: &str) -> Result<()> {
        let shares = &self.app.sharing.shares;
        let share = shares.find(id).ok_or(Error::NotFound)?;
        let ended = shares.revoke(&share.owner, id).await;
        self.reporter
            .report(AuditKind::ShareEnded, id, share.audit_text(), &ended)
            .await;
        self.app
            .sharing
            .release_lost(&*self.app.locks, &*ended?)
            .await
    }

    /// Ends a public link, whoever made it, from the next request on. `NotFound`.
    pub async fn revoke_link(&self, id: &str) -> Result<()> {
        let links = &self.app.links;
        let owner = links.owner_of(id).ok_or(Error::NotFound)?;
        let link = links.find(&owner, id)?;
        let ended = links.remove(&owner, id).await;
        let note = format!("/{} of {owner}", link.record.path);
        self.reporter
            .report(AuditKind::LinkEnded, id, note, &ended)
            .await;
        self.app.release_lost_locks().await;
        ended
    }
}
