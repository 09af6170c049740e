//! Copies and moves from one root to another: what no single step can do. A file appears whole, a folder is built where
//! nobody sees it and then gets its name in one step; of a move, the source goes to the trash at the end.

mod moved;
mod staged_copy;

use super::access::Access;
use super::mass_change::{ChangeCounts, DeletedItem};
use super::named_tree::NamedTree;
use super::resolved_path::ResolvedPath;
use super::{Copying, Drive, RequestPreconditions, present, resolved_preconditions};
use crate::model::{RelPath, Result};
use crate::storage::{Changed, CopyDepth, Expect, WriteOptions};
use moved::CopiedEntries;
use parking_lot::Mutex;
use std::sync::OnceLock;

/// One copy under way.
struct CrossStorageCopy<'a> {
    from: &'a NamedTree,
    to: &'a NamedTree,
    target: &'a RelPath,
    /// Where it is built until it gets its place.
    staging_path: OnceLock<RelPath>,
    /// A change without conditions, within the quota of whoever pays, for what nobody sees yet.
    unconditional: WriteOptions,
    /// The change of the target; its access, which is asked before each step, is that at both ends.
    options: &'a WriteOptions,
    /// What a move has copied so far.
    copied: Mutex<Option<CopiedEntries>>,
}

/// What has become of it.
#[derive(Default)]
pub(super) struct CrossStorageOutcome {
    /// Whether nothing stood at the target before.
    pub created: bool,
    /// The tokens of the locks that have ended, of a move those at its source, too.
    ended: Vec<String>,
    /// What has become of the source of a move.
    deleted: Option<DeletedItem>,
}

/// Of a copy.
impl From<Changed> for CrossStorageOutcome {
    fn from(changed: Changed) -> Self {
        Self {
            created: changed.created(),
            ended: changed.ended,
            deleted: None,
        }
    }
}

impl Drive {
    /// Moves into another root.
    pub(super) async fn move_across(
        &self,
        source: &ResolvedPath<'_>,
        target: &ResolvedPath<'_>,
        overwrite: bool,
        preconditions: RequestPreconditions,
    ) -> Result<bool> {
        let leave = self
            .write_options(
                source,
                preconditions.clone(),
                resolved_preconditions::scopes_to_delete(source),
            )
            .await?;
        self.check_early(source, &leave).await?;
        let copying = Copying {
            reach: CopyDepth::Infinity,
            overwrite,
        };
        let carried = self
            .copy_across(
                (source, Access::Change, Some(leave)),
                target,
                copying,
                preconditions,
            )
            .await?;
        self.revoke_shares(&source.resource_id()).await;
        if let Some(deleted) = carried.deleted {
            self.count_deleted(&source.root, deleted);
        }
        Ok(carried.created)
    }

    /// Copies into another root, for as long as it has this access at the source; a move takes the source away by `leave`.
    pub(super) async fn copy_across(
        &self,
        (source, access, leave): (&ResolvedPath<'_>, Access, Option<WriteOptions>),
        target: &ResolvedPath<'_>,
        copying: Copying,
        preconditions: RequestPreconditions,
    ) -> Result<CrossStorageOutcome> {
        let options = self
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
            options: &options,
            copied,
        };
        if copying.reach.keeps_target(&node, there.as_ref()) {
            let commit = WriteOptions {
                limit,
                ..options.clone()
            };
            copy.props(&source.path, &target.path, commit).await?;
            return Ok(CrossStorageOutcome::default());
        }
        let carried = if node.folder || !free_before || leave.is_some() {
            copy.build_staged((source, leave), target, &node, copying)
                .await?
        } else {
            let changed = copy
                .file(&source.path, &target.path, &node, options.clone())
                .await?;
            CrossStorageOutcome::from(changed)
        };
        self.end_locks(&carried.ended).await;
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
        preconditions: RequestPreconditions,
    ) -> Result<WriteOptions> {
        let tokens = preconditions
            .submitted_tokens()
            .map(str::to_owned)
            .collect();
        let early = self
            .resolve_preconditions_for(source, target, preconditions, Vec::new())
            .await?
            .with_access_at(source, access);
        self.check_early(source, &early.write_options(self)).await?;
        let expect = if copying.overwrite {
            Expect::Any
        } else {
            Expect::Absent
        };
        let preconditions = RequestPreconditions {
            expect,
            lock_tokens: tokens,
            ..RequestPreconditions::default()
        };
        let resolved = self
            .resolve_preconditions_for(
                target,
                target,
                preconditions,
                resolved_preconditions::scopes_to_replace(target),
            )
            .await?;
        let options = resolved.with_access_at(source, access).write_options(self);
        self.check_early(target, &options).await?;
        Ok(options)
    }
}
