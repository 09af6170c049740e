//! Copies and moves from one root to another: what no single step can do. A file appears whole, a folder is built where
//! nobody sees it and then gets its name in one step; of a move, the source goes to the trash at the end.

mod moved;
mod staged_copy;

use super::access::Access;
use super::mass_change::{ChangeCounts, DeletedItem};
use super::named_tree::NamedTree;
use super::resolved_path::ResolvedPath;
use super::resolved_preconditions::{self, ResolvedPreconditions};
use super::{Copying, Drive, Preconditions, present};
use crate::model::{RelPath, Result};
use crate::storage::{CopyDepth, Expect, WriteOptions};
use moved::CopiedEntries;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// One copy under way.
struct CrossStorageCopy<'a> {
    from: &'a NamedTree,
    to: &'a NamedTree,
    target: &'a RelPath,
    /// Where it is built until it gets its place.
    staging_path: OnceLock<RelPath>,
    /// A change without conditions, within the quota of whoever pays, for what nobody sees yet.
    unconditional: WriteOptions,
    /// Asked before each step whether both ends may still be used.
    preconditions: &'a Arc<ResolvedPreconditions>,
    /// What a move has copied so far.
    copied: Mutex<Option<CopiedEntries>>,
}

/// What has become of it.
pub(super) struct CrossStorageOutcome {
    /// Whether nothing stood at the target before.
    pub created: bool,
    /// What the source of a move is called in the trash.
    id: Option<String>,
}

impl Drive {
    /// Moves into another root.
    pub(super) async fn move_across(
        &self,
        source: &ResolvedPath<'_>,
        target: &ResolvedPath<'_>,
        overwrite: bool,
        preconditions: Preconditions,
    ) -> Result<bool> {
        let resolved = Arc::new(
            self.resolve_preconditions_for(
                source,
                source,
                preconditions.clone(),
                resolved_preconditions::scopes_to_delete(source),
            )
            .await?,
        );
        self.check_early(source, &resolved.write_options()).await?;
        let copying = Copying {
            reach: CopyDepth::Infinity,
            overwrite,
        };
        let carried = self
            .copy_across(
                (source, Access::Change, Some(resolved.write_options())),
                target,
                copying,
                preconditions,
            )
            .await?;
        self.locks.release_gone(resolved.ended_locks()).await;
        self.revoke_shares(&source.resource_id()).await;
        if let Some(id) = carried.id {
            self.count_deleted(
                &source.root,
                DeletedItem {
                    id,
                    folder: resolved.met_folder_at_target(),
                },
            );
        }
        Ok(carried.created)
    }

    /// Copies into another root, for as long as it has this access at the source; a move takes the source away by `leave`.
    pub(super) async fn copy_across(
        &self,
        (source, access, leave): (&ResolvedPath<'_>, Access, Option<WriteOptions>),
        target: &ResolvedPath<'_>,
        copying: Copying,
        preconditions: Preconditions,
    ) -> Result<CrossStorageOutcome> {
        let resolved = self
            .check_copy_across((source, access), target, copying, preconditions)
            .await?;
        let node = source.root.tree.stat(&source.path).await?;
        let there = present(target).await?;
        let free_before = there.is_none();
        // A file that makes way for a file makes room for it as well.
        let spared = there
            .as_ref()
            .filter(|_| !node.folder)
            .map_or(0, |there| there.len);
        let limit = target.quota.map(|quota| quota.saturating_add(spared));
        let free = WriteOptions {
            limit,
            ..WriteOptions::by(self.identity.account.clone())
        };
        let copied = Mutex::new(leave.is_some().then(CopiedEntries::default));
        let from = &source.root;
        let to = &target.root;
        let aside = OnceLock::new();
        let copy = CrossStorageCopy {
            from,
            to,
            target: &target.path,
            staging_path: aside,
            unconditional: free,
            preconditions: &resolved,
            copied,
        };
        if copying.reach.keeps_target(&node, there.as_ref()) {
            let commit = WriteOptions {
                limit,
                ..resolved.write_options()
            };
            copy.props(&source.path, &target.path, commit).await?;
            return Ok(CrossStorageOutcome {
                created: false,
                id: None,
            });
        }
        let carried = if node.folder || !free_before || leave.is_some() {
            copy.build_staged((source, leave), target, &node, copying)
                .await?
        } else {
            let created = copy
                .file(&source.path, &target.path, &node, resolved.write_options())
                .await?;
            CrossStorageOutcome { created, id: None }
        };
        self.locks.release_gone(resolved.ended_locks()).await;
        let created = carried.created && free_before;
        if !created {
            self.end_replaced(target).await;
        }
        Ok(CrossStorageOutcome { created, ..carried })
    }

    /// Counts what a copy replaced, and ends its shares.
    async fn end_replaced(&self, target: &ResolvedPath<'_>) {
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

    /// Checks a copy before anything is built. The conditions of the request speak of the source, the locks in the way are the target's.
    async fn check_copy_across(
        &self,
        (source, access): (&ResolvedPath<'_>, Access),
        target: &ResolvedPath<'_>,
        copying: Copying,
        preconditions: Preconditions,
    ) -> Result<Arc<ResolvedPreconditions>> {
        let tokens = preconditions
            .submitted_tokens()
            .map(str::to_owned)
            .collect();
        let early = Arc::new(
            self.resolve_preconditions_for(source, target, preconditions, Vec::new())
                .await?
                .with_access_at(source, access),
        );
        self.check_early(source, &early.write_options()).await?;
        let expect = if copying.overwrite {
            Expect::Any
        } else {
            Expect::Absent
        };
        let preconditions = Preconditions {
            expect,
            lock_tokens: tokens,
            ..Preconditions::default()
        };
        let resolved = self
            .resolve_preconditions_for(
                target,
                target,
                preconditions,
                resolved_preconditions::scopes_to_replace(target),
            )
            .await?;
        let resolved = Arc::new(resolved.with_access_at(source, access));
        self.check_early(target, &resolved.write_options()).await?;
        Ok(resolved)
    }
}
