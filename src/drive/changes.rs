//! What an identity changes beside the content of files; shares follow what they show, or end with it.

mod shares;

use super::access::{Access, VIEW_ONLY};
use super::mass_change::{ChangeCounts, DeletedItem};
use super::mounts::{Mount, MountLookup};
use super::resolve::Resolved;
use super::resolved_path::ResolvedPath;
use super::resolved_preconditions::{self, ResolvedPreconditions};
use super::{Copying, Drive, RequestPreconditions, present};
use crate::model::{Error, RelPath, Result, Rights, VPath};
use crate::storage::{CopyDepth, Deleted, FileId, LockScope, PropChange, WriteOptions};
use shares::has_twin;
use std::sync::Arc;
use std::time::SystemTime;

impl Drive {
    /// Changes dead properties and, if given, the modification time: all or nothing.
    pub async fn set_props(
        &self,
        path: &VPath,
        changes: Vec<PropChange>,
        modified: Option<SystemTime>,
        preconditions: RequestPreconditions,
    ) -> Result<()> {
        let place = self.resolve_authorized(path, Access::Change).await?;
        let commit = self
            .write_options(
                &place,
                preconditions,
                vec![LockScope::Content(place.resource_id())],
            )
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
            .map(drop)
    }

    /// Makes a folder; `Exists` where anything is (RFC 4918 section 9.3.1), also a mount or a folder of mounts.
    pub async fn mkdir(&self, path: &VPath, preconditions: RequestPreconditions) -> Result<()> {
        let landing = self.resolve(path).await?;
        if landing.is_mount() {
            return Err(Error::Exists);
        }
        let place = landing.authorized(Access::Change)?;
        let commit = self
            .write_options(
                &place,
                preconditions,
                resolved_preconditions::scopes_to_create(&place),
            )
            .await?;
        place.root.tree.mkdir(&place.path, commit).await.map(drop)
    }

    /// Moves to the trash; the locks and shares below end. A mount is only taken out of the drive.
    pub async fn delete(&self, path: &VPath, preconditions: RequestPreconditions) -> Result<()> {
        if let Some(mount) = self.mount_at(path).await? {
            self.check_mount_change(path, preconditions).await?;
            return mount.leave(&*self.locks).await;
        }
        let place = self.resolve_authorized(path, Access::Change).await?;
        refuse_root(&place)?;
        let removed = self.delete_at(&place, preconditions).await?;
        self.count_deleted(&place.root, removed);
        Ok(())
    }

    /// Moves what is at a place to the trash.
    pub(super) async fn delete_at(
        &self,
        place: &ResolvedPath<'_>,
        preconditions: RequestPreconditions,
    ) -> Result<DeletedItem> {
        let resolved = self
            .resolve_preconditions_for(
                place,
                place,
                preconditions,
                resolved_preconditions::scopes_to_delete(place),
            )
            .await?;
        self.delete_checked(place, resolved).await
    }

    /// As [`delete_at`](Self::delete_at), with preconditions that are resolved.
    pub(super) async fn delete_checked(
        &self,
        place: &ResolvedPath<'_>,
        resolved: ResolvedPreconditions,
    ) -> Result<DeletedItem> {
        let is_twin = has_twin(place).await?;
        let Deleted { id, changed } = place
            .root
            .tree
            .delete(&place.path, resolved.write_options(self))
            .await?;
        self.end_locks(&changed.ended).await;
        if !is_twin {
            self.revoke_shares(&place.resource_id()).await;
        }
        Ok(DeletedItem {
            id,
            folder: changed.met.is_some_and(|met| met.folder),
        })
    }

    /// Moves `from` to `to`; the locks on both end, for locks do not follow a move (RFC 4918 section 7.5). Into another root
    /// it is a copy, and the source goes to the trash. Returns whether nothing stood at `to` before.
    pub async fn rename(
        &self,
        from: &VPath,
        to: &VPath,
        overwrite: bool,
        preconditions: RequestPreconditions,
    ) -> Result<bool> {
        if let Some(mount) = self.mount_at(from).await? {
            self.check_mount_change(from, preconditions).await?;
            return self.rename_mount(&mount, to, overwrite).await;
        }
        let (source, target) = self.authorized_pair(from, to, Access::Change).await?;
        refuse_root(&source)?;
        if source.root.id != target.root.id {
            return self
                .move_across(&source, &target, overwrite, preconditions)
                .await;
        }
        let created = self
            .move_within(&source, &target, overwrite, preconditions)
            .await?;
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
        preconditions: RequestPreconditions,
    ) -> Result<bool> {
        let scopes = resolved_preconditions::scopes_to_delete(source)
            .into_iter()
            .chain(resolved_preconditions::scopes_to_replace(target))
            .collect();
        let resolved = self
            .resolve_preconditions_for(source, target, preconditions, scopes)
            .await?
            .with_access_at(source, Access::Change);
        let is_twin = has_twin(source).await? || has_twin(target).await?;
        let commit = WriteOptions {
            overwrite,
            ..resolved.write_options(self)
        };
        let changed = if is_twin {
            let tree = &source.root.tree;
            tree.rename(&source.path, &target.path, commit).await?
        } else {
            self.move_with_shares(source, target, commit).await?
        };
        self.end_locks(&changed.ended).await;
        Ok(changed.created())
    }

    /// Copies `from` to `to`, within the quota. Returns whether nothing stood at `to` before.
    pub async fn copy(
        &self,
        from: &VPath,
        to: &VPath,
        copying: Copying,
        preconditions: RequestPreconditions,
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
                .copy_across(
                    (&source, Access::Read, None),
                    &target,
                    copying,
                    preconditions,
                )
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
        let resolved = self
            .resolve_preconditions_for(
                &source,
                &target,
                preconditions,
                resolved_preconditions::scopes_to_replace(&target),
            )
            .await?;
        let commit = WriteOptions {
            overwrite,
            limit: target.quota,
            ..resolved
                .with_access_at(&source, Access::Read)
                .write_options(self)
        };
        let changed = source
            .root
            .tree
            .copy(&source.path, &target.path, reach, commit)
            .await?;
        self.end_locks(&changed.ended).await;
        if replaces && !changed.created() {
            let counts = ChangeCounts {
                overwritten: 1,
                removed: 0,
            };
            self.count_mass_change(&target.root, counts, None);
            self.revoke_shares(&target.resource_id()).await;
        }
        Ok(changed.created())
    }

    /// Makes it durable that locks have ended with what they stood on. That has happened, so that a record that cannot be deleted is no
    /// failure of it: the lock may come back at the next start, for the rest of its time.
    pub(super) async fn end_locks(&self, tokens: &[String]) {
        if tokens.is_empty() {
            return;
        }
        if let Err(error) = self.locks.end(tokens).await {
            tracing::warn!(%error, "locks have ended, and their records stay");
        }
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

    async fn rename_mount(&self, mount: &Mount, to: &VPath, overwrite: bool) -> Result<bool> {
        let beside = to.beneath(&self.identity.scope).to_nfc();
        let name = beside
            .name()
            .filter(|_| beside.parent() == mount.at.parent());
        match (self.resolve(to).await, name) {
            (Ok(Resolved::Missing), Some(name)) => match mount.rename(name).await {
                Err(Error::Exists) if !overwrite => Err(Error::PreconditionFailed),
                Err(Error::Exists) => Err(Error::Forbidden(
                    "Something else that is shared with you shows under this name; capital letters make no difference.",
                )),
                renamed => renamed.map(|()| true),
            },
            _ => Err(Error::Forbidden(
                "What others share with you can be renamed where it is, not moved; delete it to leave the share.",
            )),
        }
    }
}

fn refuse_root(place: &ResolvedPath<'_>) -> Result<()> {
    if place.depth == 0 {
        return Err(Error::Forbidden(
            "The drive itself cannot be moved, replaced or deleted.",
        ));
    }
    Ok(())
}
