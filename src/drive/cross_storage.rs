//! Copies and moves from one root to another: what no single step can do. A file appears whole, a folder is built where
//! nobody sees it and then gets its name in one step; of a move, the source goes to the trash at the end.

mod moved;

use super::access::Access;
use super::mass_change::{ChangeCounts, DeletedItem};
use super::named_tree::NamedTree;
use super::resolved_path::ResolvedPath;
use super::resolved_preconditions::{self, ResolvedPreconditions};
use super::{Copying, Drive, Preconditions, present};
use crate::model::{Error, RelPath, Result};
use crate::storage::{
    CopyDepth, DeadProp, DirEntry, Expect, InitialContent, Node, PropChange, SpaceRequest,
    WriteOptions,
};
use moved::CopiedEntries;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// What is read and written at a time.
const CHUNK: usize = 256 * 1024;

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
        terms: Preconditions,
    ) -> Result<bool> {
        let bench = Arc::new(
            self.resolve_preconditions_for(
                source,
                source,
                terms.clone(),
                resolved_preconditions::scopes_to_delete(source),
            )
            .await?,
        );
        self.check_early(source, &bench.write_options()).await?;
        let copying = Copying {
            reach: CopyDepth::Infinity,
            overwrite,
        };
        let carried = self
            .copy_across(
                (source, Access::Change, Some(bench.write_options())),
                target,
                copying,
                terms,
            )
            .await?;
        self.locks.release_gone(bench.ended_locks()).await;
        self.revoke_shares(&source.resource_id()).await;
        if let Some(id) = carried.id {
            self.count_deleted(
                &source.root,
                DeletedItem {
                    id,
                    folder: bench.met_folder_at_target(),
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
        terms: Preconditions,
    ) -> Result<CrossStorageOutcome> {
        // The conditions speak of the source, the locks in the way are the target's.
        let tokens = terms.submitted_tokens().map(str::to_owned).collect();
        let early = Arc::new(
            self.resolve_preconditions_for(source, target, terms, Vec::new())
                .await?
                .with_access_at(source, access),
        );
        self.check_early(source, &early.write_options()).await?;
        let expect = if copying.overwrite {
            Expect::Any
        } else {
            Expect::Absent
        };
        let terms = Preconditions {
            expect,
            lock_tokens: tokens,
            ..Preconditions::default()
        };
        let bench = self
            .resolve_preconditions_for(
                target,
                target,
                terms,
                resolved_preconditions::scopes_to_replace(target),
            )
            .await?;
        let bench = Arc::new(bench.with_access_at(source, access));
        self.check_early(target, &bench.write_options()).await?;
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
        let carriage = CrossStorageCopy {
            from,
            to,
            target: &target.path,
            staging_path: aside,
            unconditional: free,
            preconditions: &bench,
            copied,
        };
        if copying.reach.keeps_target(&node, there.as_ref()) {
            let commit = WriteOptions {
                limit,
                ..bench.write_options()
            };
            carriage.props(&source.path, &target.path, commit).await?;
            return Ok(CrossStorageOutcome {
                created: false,
                id: None,
            });
        }
        let carried = if node.folder || !free_before || leave.is_some() {
            carriage
                .build_staged((source, leave), target, &node, copying)
                .await?
        } else {
            let created = carriage
                .file(&source.path, &target.path, &node, bench.write_options())
                .await?;
            CrossStorageOutcome { created, id: None }
        };
        self.locks.release_gone(bench.ended_locks()).await;
        let created = carried.created && free_before;
        if !created {
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
        Ok(CrossStorageOutcome { created, ..carried })
    }
}

impl CrossStorageCopy<'_> {
    /// Builds a folder, or what replaces something or leaves its place, where nobody sees it, and gives it its name in one step: what
    /// it replaces goes to the trash.
    async fn build_staged(
        &self,
        (source, leave): (&ResolvedPath<'_>, Option<WriteOptions>),
        target: &ResolvedPath<'_>,
        node: &Node,
        copying: Copying,
    ) -> Result<CrossStorageOutcome> {
        let workshop = self.to.tree.create_staging_dir().await?;
        let aside = self.staging_path.get_or_init(|| workshop.child("copy"));
        let outcome = async {
            self.build(&source.path, aside, node, copying.reach).await?;
            let Some(leave) = leave else {
                let created = self.publish(aside, target, copying).await?;
                return Ok(CrossStorageOutcome { created, id: None });
            };
            let (created, id) = self
                .replace_source((source, leave), (&workshop, aside), target, copying)
                .await?;
            Ok(CrossStorageOutcome {
                created,
                id: Some(id),
            })
        };
        let outcome = outcome.await;
        if let Err(error) = self.to.tree.remove_staging_dir(&workshop).await {
            tracing::warn!(%error, "what a copy was built in is left until the next start");
        }
        outcome
    }

    async fn build(
        &self,
        from: &RelPath,
        to: &RelPath,
        node: &Node,
        reach: CopyDepth,
    ) -> Result<()> {
        self.check_depth(to)?;
        if node.folder {
            return self.folder(from, to, reach).await;
        }
        self.member((from, to), node, &self.from.tree.props(from).await?)
            .await
    }

    async fn publish(
        &self,
        aside: &RelPath,
        target: &ResolvedPath<'_>,
        copying: Copying,
    ) -> Result<bool> {
        // Each path was looked at when it was copied.
        let commit = WriteOptions {
            overwrite: copying.overwrite,
            expect: Expect::Any,
            skip_depth_check: true,
            ..self.preconditions.write_options()
        };
        self.to.tree.rename(aside, &target.path, commit).await
    }

    /// Refuses what would be too deep to be found at its place.
    fn check_depth(&self, built: &RelPath) -> Result<()> {
        let rest = self.staging_path.get().and_then(|aside| built.after(aside));
        rest.map_or(Ok(()), |rest| {
            rest.beneath(self.target).remaining().map(drop)
        })
    }

    async fn folder(&self, from: &RelPath, to: &RelPath, reach: CopyDepth) -> Result<()> {
        let mut due = vec![(from.clone(), to.clone())];
        while let Some((from, to)) = due.pop() {
            match self.level(&from, &to, reach).await {
                Ok(more) => due.extend(more),
                Err(Error::NotFound | Error::NotFolder) if self.is_first_pass() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Copies a folder with what is in it but for its folders; returns those.
    async fn level(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
    ) -> Result<Vec<(RelPath, RelPath)>> {
        let mut folders = Vec::new();
        self.preconditions.check()?;
        self.note_started(to, &Node::unseen(true));
        self.to.tree.mkdir(to, self.unconditional.clone()).await?;
        self.props(from, to, self.unconditional.clone()).await?;
        if reach == CopyDepth::Zero {
            return Ok(folders);
        }
        if let Some(unshown) = self.from.tree.unshown(from).await? {
            let commit = WriteOptions {
                limit: self.unconditional.limit,
                ..self.preconditions.write_options()
            };
            self.to.tree.copy_unshown(unshown, to, commit).await?;
        }
        let mut listing = self.from.tree.list(from, self.is_first_pass()).await?;
        loop {
            self.preconditions.check()?;
            let page = listing.next_page().await?;
            if page.is_empty() {
                return Ok(folders);
            }
            for DirEntry { name, node, props } in page {
                let from = from.child(&name);
                let to = to.child(&name);
                self.check_depth(&to)?;
                if node.folder {
                    folders.push((from, to));
                } else {
                    self.member((&from, &to), &node, &props).await?;
                }
            }
        }
    }

    /// Copies a file that nobody sees yet; of a move, what goes away meanwhile is looked at later.
    async fn member(
        &self,
        (from, to): (&RelPath, &RelPath),
        node: &Node,
        props: &[DeadProp],
    ) -> Result<()> {
        self.note_started(to, node);
        match self.file(from, to, node, self.unconditional.clone()).await {
            Ok(_) => self.note_copied(to, node, props),
            Err(Error::NotFound | Error::IsFolder) if self.is_first_pass() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn file(
        &self,
        from: &RelPath,
        to: &RelPath,
        node: &Node,
        commit: WriteOptions,
    ) -> Result<bool> {
        let reader = self.from.tree.open(from).await?;
        let mut upload = self
            .to
            .tree
            .begin_upload(
                to,
                InitialContent::Empty,
                SpaceRequest {
                    len: Some(node.len),
                    limit: self.unconditional.limit,
                },
            )
            .await?;
        let mut offset = 0;
        loop {
            self.preconditions.check()?;
            let bytes = reader.read_at(offset, CHUNK).await?;
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len() as u64;
            upload.write(bytes).await?;
        }
        let put = upload
            .commit(WriteOptions {
                modified: Some(reader.node().modified),
                limit: self.unconditional.limit,
                ..commit
            })
            .await?;
        let modified = Some(reader.node().modified);
        self.props(
            from,
            to,
            WriteOptions {
                modified,
                ..self.unconditional.clone()
            },
        )
        .await?;
        Ok(put.created)
    }

    /// Gives the copy exactly the dead properties of its source.
    async fn props(&self, from: &RelPath, to: &RelPath, commit: WriteOptions) -> Result<()> {
        let mut wanted = self.from.tree.props(from).await?;
        let present = self.to.tree.props(to).await?;
        wanted.retain(|prop| !prop.is_link_tag());
        let is_wanted = |prop: &DeadProp| {
            wanted
                .iter()
                .any(|p| p.ns == prop.ns && p.name == prop.name)
        };
        let mut changes: Vec<_> = present
            .iter()
            .filter(|prop| !is_wanted(prop))
            .map(|prop| PropChange::Remove {
                ns: prop.ns.clone(),
                name: prop.name.clone(),
            })
            .collect();
        changes.extend(wanted.iter().cloned().map(PropChange::Set));
        if changes.is_empty() {
            return Ok(());
        }
        self.to.tree.set_props(to, changes, commit).await
    }
}
