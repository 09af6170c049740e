//! A copy from one tree to another: built out of sight, then published in one step.

use super::super::Copying;
use super::super::resolved_path::ResolvedPath;
use super::{CrossStorageCopy, CrossStorageOutcome};
use crate::model::{Error, RelPath, Result};
use crate::storage::{
    Changed, CopyDepth, DeadProp, DirEntry, Expect, InitialContent, Node, PropChange, SpaceRequest,
    WriteOptions,
};

/// What is read and written at a time.
const CHUNK: usize = 256 * 1024;

impl CrossStorageCopy<'_> {
    /// Builds a folder, or what replaces something or leaves its place, where nobody sees it, and gives it its name in one step: what
    /// it replaces goes to the trash.
    pub(super) async fn build_staged(
        &self,
        (source, leave): (&ResolvedPath<'_>, Option<WriteOptions>),
        target: &ResolvedPath<'_>,
        node: &Node,
        copying: Copying,
    ) -> Result<CrossStorageOutcome> {
        let staging_dir = self.to.tree.create_staging_dir().await?;
        let aside = self.staging_path.get_or_init(|| staging_dir.child("copy"));
        let outcome = async {
            self.build(&source.path, aside, node, copying.reach).await?;
            let Some(leave) = leave else {
                let changed = self.publish(aside, target, copying).await?;
                return Ok(CrossStorageOutcome::from(changed));
            };
            self.replace_source((source, leave), (&staging_dir, aside), target, copying)
                .await
        };
        let outcome = outcome.await;
        if let Err(error) = self.to.tree.remove_staging_dir(&staging_dir).await {
            tracing::warn!(%error, "what a copy was built in is left until the next start");
        }
        outcome
    }

    pub(super) async fn build(
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

    pub(super) async fn publish(
        &self,
        aside: &RelPath,
        target: &ResolvedPath<'_>,
        copying: Copying,
    ) -> Result<Changed> {
        // Each path was looked at when it was copied.
        let commit = WriteOptions {
            overwrite: copying.overwrite,
            skip_depth_check: true,
            ..self.options.clone().expecting(Expect::Any)
        };
        self.to.tree.rename(aside, &target.path, commit).await
    }

    /// Refuses what would be too deep to be found at its place.
    pub(super) fn check_depth(&self, built: &RelPath) -> Result<()> {
        let rest = self.staging_path.get().and_then(|aside| built.after(aside));
        rest.map_or(Ok(()), |rest| {
            rest.beneath(self.target).remaining().map(drop)
        })
    }

    pub(super) async fn folder(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
    ) -> Result<()> {
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
    pub(super) async fn level(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
    ) -> Result<Vec<(RelPath, RelPath)>> {
        let mut folders = Vec::new();
        self.options.access().check()?;
        self.note_started(to, &Node::unseen(true));
        self.to.tree.mkdir(to, self.unconditional.clone()).await?;
        self.props(from, to, self.unconditional.clone()).await?;
        if reach == CopyDepth::Zero {
            return Ok(folders);
        }
        if let Some(unshown) = self.from.tree.unshown(from).await? {
            let commit = WriteOptions {
                limit: self.unconditional.limit,
                ..self.options.clone()
            };
            self.to.tree.copy_unshown(unshown, to, commit).await?;
        }
        let mut listing = self.from.tree.list(from, self.is_first_pass()).await?;
        loop {
            self.options.access().check()?;
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
    pub(super) async fn member(
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

    pub(super) async fn file(
        &self,
        from: &RelPath,
        to: &RelPath,
        node: &Node,
        commit: WriteOptions,
    ) -> Result<Changed> {
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
            self.options.access().check()?;
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
        // As the file system has taken it: it may keep no such time as the source's.
        let options = WriteOptions {
            modified: Some(put.node.modified),
            ..self.unconditional.clone()
        };
        self.props(from, to, options).await?;
        Ok(put.changed)
    }

    /// Gives the copy exactly the dead properties of its source.
    pub(super) async fn props(
        &self,
        from: &RelPath,
        to: &RelPath,
        commit: WriteOptions,
    ) -> Result<()> {
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
        self.to.tree.set_props(to, changes, commit).await.map(drop)
    }
}
