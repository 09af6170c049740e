//! Shares follow what they show through moves, and end with it.

use super::super::Drive;
use super::super::context::DriveContext;
use super::super::resolved_path::ResolvedPath;
use crate::audit::{Actor, AuditKind};
use crate::model::{AccountName, Error, Result};
use crate::sharing::shares::Share;
use crate::storage::{Changed, ResourceId, WriteOptions};
use std::sync::Arc;

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

    /// Moves what is at a place to another of the same tree, and lets its shares follow. Moves of a tree in which something is shared come
    /// one after the other, so that shares follow them in their order; who finds a share gone meanwhile waits
    /// ([`Mount::node`](super::super::mounts::Mount::node)).
    pub(super) async fn move_with_shares(
        &self,
        source: &ResolvedPath<'_>,
        target: &ResolvedPath<'_>,
        commit: WriteOptions,
    ) -> Result<Changed> {
        let tree = &source.root.tree;
        let (from, to) = (source.resource_id(), target.resource_id());
        let (Some(context), Some(owner)) = (&self.context, owner(&from)) else {
            return tree.rename(&source.path, &target.path, commit).await;
        };
        let shares = &context.sharing.shares;
        let moving = if shares.of(&owner).is_empty() {
            None
        } else {
            Some(source.root.moving.lock().await)
        };
        let moved = tree.rename(&source.path, &target.path, commit).await;
        let ended = if was_made(&moved, source, target).await {
            shares.follow(&owner, &from.path, &to.path)
        } else {
            Vec::new()
        };
        drop(moving);
        if moved.is_ok() {
            shares.save_moved(&owner, &to.path, &ended).await;
            self.report_ended(context, &ended).await;
        }
        moved
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

/// Whether a move was made: what could not be put on the disk afterwards has moved all the same.
async fn was_made(
    outcome: &Result<Changed>,
    source: &ResolvedPath<'_>,
    target: &ResolvedPath<'_>,
) -> bool {
    let tree = &source.root.tree;
    match outcome {
        Ok(_) => true,
        Err(Error::Io { .. }) => {
            matches!(tree.stat(&source.path).await, Err(Error::NotFound))
                && tree.stat(&target.path).await.is_ok()
        }
        Err(_) => false,
    }
}

/// Whose home a resource lies in.
fn owner(resource: &ResourceId) -> Option<AccountName> {
    resource
        .root
        .strip_prefix("home/")
        .and_then(|name| AccountName::parse(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::named_tree::NamedTree;
    use crate::model::{RelPath, Rights};
    use crate::storage::local::{LocalSettings, LocalTree};
    use std::borrow::Cow;

    #[tokio::test]
    async fn a_move_that_failed_on_the_disk_alone_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
        let root = Arc::new(NamedTree::new("home/ana".into(), tree));
        let place = |path: &str| ResolvedPath {
            root: root.clone(),
            path: Cow::Owned(RelPath::parse(path).unwrap()),
            rights: Rights::Edit,
            quota: None,
            depth: 1,
            mount: None,
        };
        let (from, to) = (place("from"), place("to"));
        let on_disk = || Err(Error::io("sync", std::io::Error::other("broken")));
        std::fs::write(dir.path().join("from"), "x").unwrap();
        assert!(!was_made(&on_disk(), &from, &to).await);
        std::fs::rename(dir.path().join("from"), dir.path().join("to")).unwrap();
        assert!(was_made(&on_disk(), &from, &to).await);
        assert!(!was_made(&Err(Error::NotFound), &from, &to).await);
        assert!(was_made(&Ok(Changed::default()), &from, &to).await);
    }
}
