//! Shares and public links of everybody, as administrators end them.

use super::Administrator;
use crate::audit::Kind;
use crate::model::{Error, Result};

impl Administrator {
    /// Ends a share, whoever made it, from the next request on. `NotFound`.
    pub async fn end_share(&self, id: &str) -> Result<()> {
        let shares = &self.app.commons.shares;
        let share = shares.find(id).ok_or(Error::NotFound)?;
        let ended = shares.revoke(&share.owner, id).await;
        self.reporter
            .report(Kind::ShareEnded, id, share.words(), &ended)
            .await;
        self.app.commons.release(&self.app.locks, &*ended?).await
    }

    /// Ends a public link, whoever made it, from the next request on. `NotFound`.
    pub async fn end_link(&self, id: &str) -> Result<()> {
        let links = &self.app.links;
        let owner = links.owner_of(id).ok_or(Error::NotFound)?;
        let link = links.find(&owner, id)?;
        let ended = links.remove(&owner, id).await;
        let note = format!("/{} of {owner}", link.record.path);
        self.reporter
            .report(Kind::LinkEnded, id, note, &ended)
            .await;
        self.app.end_lost_locks().await;
        ended
    }
}
