//! What an identity changes beside the content of files; shares follow what they show, or end with it.

use super::access::{Access, VIEW_ONLY};
use super::context::DriveContext;
use super::mass_change::{ChangeCounts, DeletedItem};
use super::mounts::{Mount, MountLookup};
use super::resolve::Resolved;
use super::resolved_path::ResolvedPath;
use super::resolved_preconditions::{self, LockScope, ResolvedPreconditions};
use super::resource_id::ResourceId;
use super::{Copying, Drive, Preconditions, present};
use crate::audit::{Actor, AuditKind};
use crate::model::{AccountName, Error, RelPath, Result, Rights, VPath};
use crate::sharing::shares::Share;
use crate::storage::{CopyDepth, FileId, PropChange, WriteOptions};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;

/// The shares that a move ends, once it is made.
type EndedShares = Arc<Mutex<Vec<Arc<Share>>>>;

impl Drive {
    /// Changes dead properties and, if given, the modification time: all or nothing.
    pub async fn set_props(
        &self,
        path: &VPath,
        changes: Vec<PropChange>,
        modified: Option<SystemTime>,
        terms: Preconditions,
    ) -> Result<()> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let commit = self
            .write_options(&place, terms, vec![LockScope::Content(place.resource_id())])
            .await?;
        let commit = WriteOptions {
            modified,
            limit: place.quota,
            ..commit
        };
        place
            .root
            .tree
            .set_props(&place.path, changes, commit)
            .await
    }

    /// Makes a folder.
    pub async fn mkdir(&self, path: &VPath, terms: Preconditions) -> Result<()> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let commit = self
            .write_options(
                &place,
                terms,
                resolved_preconditions::scopes_to_create(&place),
            )
            .await?;
        place.root.tree.mkdir(&place.path, commit).await
    }

    /// Moves to the trash; the locks and shares below end. A mount is only taken out of the drive.
    pub async fn delete(&self, path: &VPath, terms: Preconditions) -> Result<()> {
        if let Some(mount) = self.mount_at(path).await? {
            return mount.leave(&self.locks).await;
        }
        let place = self.resolve_authorized(path, Access::Change).await?;
        refuse_root(&place)?;
        let removed = self.delete_at(&place, terms).await?;
        self.count_deleted(&place.root, removed);
        Ok(())
    }

    /// Moves what is at a place to the trash.
    pub(super) async fn delete_at(
        &self,
        place: &ResolvedPath<'_>,
        terms: Preconditions,
    ) -> Result<DeletedItem> {
        let bench = self
            .resolve_preconditions_for(
                place,
                place,
                terms,
                resolved_preconditions::scopes_to_delete(place),
            )
            .await?;
        self.delete_checked(place, bench).await
    }

    /// As [`remove`](Self::remove), under this judge.
    pub(super) async fn delete_checked(
        &self,
        place: &ResolvedPath<'_>,
        bench: ResolvedPreconditions,
    ) -> Result<DeletedItem> {
        let bench = Arc::new(bench);
        let is_twin = has_twin(place).await?;
        let outcome = place
            .root
            .tree
            .delete(&place.path, bench.write_options())
            .await;
        self.locks.release_gone(bench.ended_locks()).await;
        if outcome.is_ok() && !is_twin {
            self.revoke_shares(&place.resource_id()).await;
        }
        outcome.map(|id| DeletedItem {
            id,
            folder: bench.met_folder_at_target(),
        })
    }

    /// Moves `from` to `to`; the locks on both end, for locks do not follow a move (RFC 4918 section 7.5). Into another root
    /// it is a copy, and the source goes to the trash. Returns whether nothing stood at `to` before.
    pub async fn rename(
        &self,
        from: &VPath,
        to: &VPath,
        overwrite: bool,
        terms: Preconditions,
    ) -> Result<bool> {
        if let Some(mount) = self.mount_at(from).await? {
            return self.rename_mount(&mount, to).await;
        }
        let (source, target) = self.authorized_pair(from, to, Access::Change).await?;
        refuse_root(&source)?;
        if source.root.id != target.root.id {
            return self.move_across(&source, &target, overwrite, terms).await;
        }
        let created = self.move_within(&source, &target, overwrite, terms).await?;
        if !created {
            self.count_mass_change(
                &target.root,
                ChangeCounts {
                    removed: 1,
                    overwritten: 0,
                },
                None,
            );
        }
        Ok(created)
    }

    /// Moves what is at a place to another of the same root.
    pub(super) async fn move_within(
        &self,
        source: &ResolvedPath<'_>,
        target: &ResolvedPath<'_>,
        overwrite: bool,
        terms: Preconditions,
    ) -> Result<bool> {
        let needs = resolved_preconditions::scopes_to_delete(source)
            .into_iter()
            .chain(resolved_preconditions::scopes_to_replace(target))
            .collect();
        let bench = self
            .resolve_preconditions_for(source, target, terms, needs)
            .await?
            .with_access_at(source, Access::Change);
        let is_twin = has_twin(source).await? || has_twin(target).await?;
        let (bench, followers) = if is_twin {
            (Arc::new(bench), EndedShares::default())
        } else {
            self.with_shares(bench, source.resource_id(), target.resource_id())
        };
        let commit = WriteOptions {
            overwrite,
            ..bench.write_options()
        };
        let outcome = source
            .root
            .tree
            .rename(&source.path, &target.path, commit)
            .await;
        self.locks.release_gone(bench.ended_locks()).await;
        if outcome.is_ok() {
            self.save_moved_shares(&target.resource_id(), &followers)
                .await;
        }
        outcome
    }

    /// Copies `from` to `to`, within the quota. Returns whether nothing stood at `to` before.
    pub async fn copy(
        &self,
        from: &VPath,
        to: &VPath,
        copying: Copying,
        terms: Preconditions,
    ) -> Result<bool> {
        let Copying { reach, overwrite } = copying;
        let (source, target) = self.authorized_pair(from, to, Access::Read).await?;
        if source.depth == 0 && source.mount.as_ref().is_some_and(|mount| mount.is_trash()) {
            return Err(Error::Forbidden(
                "The trash is not copied as a whole; copy what is in it.",
            ));
        }
        if source.root.id != target.root.id {
            return self
                .copy_across((&source, Access::Read, None), &target, copying, terms)
                .await
                .map(|carried| carried.created);
        }
        let node = source.root.tree.stat(&source.path).await?;
        let there = if reach == CopyDepth::Zero {
            present(&target).await?
        } else {
            None
        };
        let replaces = !reach.keeps_target(&node, there.as_ref());
        let bench = self
            .resolve_preconditions_for(
                &source,
                &target,
                terms,
                resolved_preconditions::scopes_to_replace(&target),
            )
            .await?;
        let bench = Arc::new(bench.with_access_at(&source, Access::Read));
        let commit = WriteOptions {
            overwrite,
            limit: target.quota,
            ..bench.write_options()
        };
        let outcome = source
            .root
            .tree
            .copy(&source.path, &target.path, reach, commit)
            .await;
        if replaces && !matches!(outcome, Ok(true)) {
            self.locks.release_gone(bench.ended_locks()).await;
        }
        if replaces && matches!(outcome, Ok(false)) {
            self.count_mass_change(
                &target.root,
                ChangeCounts {
                    overwritten: 1,
                    removed: 0,
                },
                None,
            );
            self.revoke_shares(&target.resource_id()).await;
        }
        outcome
    }

    /// Both ends of a move or copy that needs `access` at its source. One within the other is refused before anything is touched.
    async fn authorized_pair<'a>(
        &self,
        from: &'a VPath,
        to: &'a VPath,
        access: Access,
    ) -> Result<(ResolvedPath<'a>, ResolvedPath<'a>)> {
        let source = self.resolve_authorized(from, access).await?;
        let target = self.resolve_authorized(to, Access::Change).await?;
        refuse_root(&target)?;
        let one = source.resource_id();
        let other = target.resource_id();
        if one.root != other.root || (from != to && one == other) {
            return Ok((source, target));
        }
        if other.path.is_within(&one.path) || one.path.is_within(&other.path) {
            return Err(Error::Forbidden(
                "A folder cannot be moved or copied onto itself, into itself or over what holds it.",
            ));
        }
        Ok((source, target))
    }

    /// What a share of a path would show: its place in the home, whether that is a folder, and which file or folder it is, which is kept
    /// with it from now on. `Forbidden` for what is not the account's own.
    pub async fn share_target(&self, path: &VPath) -> Result<(RelPath, bool, FileId)> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        if place.depth == 0 {
            return Err(Error::Forbidden(
                "The drive as a whole cannot be shared; share a folder in it.",
            ));
        }
        if place.mount.is_some() {
            return Err(Error::Forbidden("Only what is your own can be shared."));
        }
        if has_twin(&place).await? {
            return Err(Error::Forbidden(
                "Beside this, or beside a folder that it is in, lies another whose name differs only in how Unicode writes it (NFC, NFD); \
                 rename one of the two first.",
            ));
        }
        let (node, id) = place.root.tree.keep_id(&place.path).await?;
        Ok((place.resource_id().path, node.folder, id))
    }

    /// The mount that a path names itself, if whoever asks may change what the drive shows.
    async fn mount_at(&self, path: &VPath) -> Result<Option<Arc<Mount>>> {
        self.check()?;
        let Some(mounts) = self.mounts.as_ref().filter(|_| !path.is_root()) else {
            return Ok(None);
        };
        let way = mounts.lookup(&path.beneath(&self.identity.scope)).await?;
        let MountLookup::Mount(mount, rest) = way else {
            return Ok(None);
        };
        if !rest.is_root() || mount.is_trash() {
            return Ok(None);
        }
        if self.identity.rights != Rights::Edit {
            return Err(Error::Forbidden(VIEW_ONLY));
        }
        Ok(Some(mount))
    }

    async fn rename_mount(&self, mount: &Mount, to: &VPath) -> Result<bool> {
        let beside = to.beneath(&self.identity.scope).to_nfc();
        let name = beside
            .name()
            .filter(|_| beside.parent() == mount.at.parent());
        match (self.resolve(to).await, name) {
            (Ok(Resolved::Missing), Some(name)) => mount.rename(name).await.map(|()| true),
            _ => Err(Error::Forbidden(
                "What others share with you can be renamed where it is, not moved; delete it to leave the share.",
            )),
        }
    }

    /// Ends the shares of what is gone.
    pub(super) async fn revoke_shares(&self, gone: &ResourceId) {
        if let (Some(context), Some(owner)) = (&self.context, owner(gone)) {
            let ended = context
                .sharing
                .shares
                .revoke_within(&owner, &gone.path)
                .await;
            self.report_ended(context, &ended).await;
        }
    }

    /// A judge under which shares follow a move within a root in the step that makes it, and those that it ends.
    fn with_shares(
        &self,
        bench: ResolvedPreconditions,
        from: ResourceId,
        to: ResourceId,
    ) -> (Arc<ResolvedPreconditions>, EndedShares) {
        let ended = EndedShares::default();
        let (Some(context), Some(owner)) = (self.context.clone(), owner(&from)) else {
            return (Arc::new(bench), ended);
        };
        let told = ended.clone();
        let follow =
            move || *told.lock() = context.sharing.shares.follow(&owner, &from.path, &to.path);
        (Arc::new(bench.on_commit(follow)), ended)
    }

    /// Keeps what a move has done to shares.
    async fn save_moved_shares(&self, to: &ResourceId, ended: &EndedShares) {
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

    async fn report_ended(&self, context: &DriveContext, ended: &[Arc<Share>]) {
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
async fn has_twin(place: &ResolvedPath<'_>) -> Result<bool> {
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

/// Whose home a spot lies in.
fn owner(spot: &ResourceId) -> Option<AccountName> {
    spot.root
        .strip_prefix("home/")
        .and_then(|name| AccountName::parse(name).ok())
}

fn refuse_root(place: &ResolvedPath<'_>) -> Result<()> {
    if place.depth == 0 {
        return Err(Error::Forbidden(
            "The drive itself cannot be moved, replaced or deleted.",
        ));
    }
    Ok(())
}
