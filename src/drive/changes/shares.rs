//! Shares follow what they show through moves, and end with it.

use super::super::Drive;
use super::super::context::DriveContext;
use super::super::resolved_path::ResolvedPath;
use super::super::resolved_preconditions::ResolvedPreconditions;
use super::super::resource_id::ResourceId;
use crate::audit::{Actor, AuditKind};
use crate::model::{AccountName, Result};
use crate::sharing::shares::Share;
use parking_lot::Mutex;
use std::sync::Arc;

/// The shares that a move ends, once it is made.
pub(super) type EndedShares = Arc<Mutex<Vec<Arc<Share>>>>;

impl Drive {
    /// Ends the shares of what is gone.
    pub(in crate::drive) async fn revoke_shares(&self, gone: &ResourceId) {
        if let (Some(context), Some(owner)) = (&self.context, owner(gone)) {
            let ended = context
                .sharing
                .shares
                .revoke_within(&owner, &gone.path)
                .await;
            self.report_ended(context, &ended).await;
        }
    }

    /// Preconditions with which shares follow a move within a tree in the step that makes it, and the shares that it ends.
    pub(super) fn with_shares(
        &self,
        resolved: ResolvedPreconditions,
        from: ResourceId,
        to: ResourceId,
    ) -> (Arc<ResolvedPreconditions>, EndedShares) {
        let ended = EndedShares::default();
        let (Some(context), Some(owner)) = (self.context.clone(), owner(&from)) else {
            return (Arc::new(resolved), ended);
        };
        let by_follow = ended.clone();
        let follow =
            move || *by_follow.lock() = context.sharing.shares.follow(&owner, &from.path, &to.path);
        (Arc::new(resolved.on_commit(follow)), ended)
    }

    /// Keeps what a move has done to shares.
    pub(super) async fn save_moved_shares(&self, to: &ResourceId, ended: &EndedShares) {
        if let (Some(context), Some(owner)) = (&self.context, owner(to)) {
            let ended = std::mem::take(&mut *ended.lock());
            context
                .sharing
                .shares
                .save_moved(&owner, &to.path, &ended)
                .await;
            self.report_ended(context, &ended).await;
        }
    }

    pub(super) async fn report_ended(&self, context: &DriveContext, ended: &[Arc<Share>]) {
        let reporter = context.audit.reporter(Actor::from(&*self.identity), None);
        for share in ended {
            let note = format!(
                "{}: it was deleted, moved away or replaced",
                share.audit_text()
            );
            reporter
                .done(AuditKind::ShareRemoved, &share.id, note)
                .await;
        }
    }
}

/// Whether the name in NFC, by which shares know a place, is that of something else: two names that differ only in their Unicode form can be
/// made beside the server.
pub(super) async fn has_twin(place: &ResolvedPath<'_>) -> Result<bool> {
    let known = place.resource_id().path;
    if known == *place.path {
        return Ok(false);
    }
    let tree = &place.root.tree;
    Ok(
        tree.stored_path(&known).await? != tree.stored_path(&place.path).await?
            && tree.stat(&place.path).await.is_ok(),
    )
}

/// Whose home a resource lies in.
fn owner(resource: &ResourceId) -> Option<AccountName> {
    resource
        .root
        .strip_prefix("home/")
        .and_then(|name| AccountName::parse(name).ok())
}
