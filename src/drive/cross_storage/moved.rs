//! What only a move from root to root needs: what was saved while it copied comes along. The source goes out of sight once it is
//! copied; what has changed by then is copied again, from where nobody saves any more.

use super::super::resolved_path::ResolvedPath;
use super::{Copying, CrossStorageCopy, CrossStorageOutcome};
use crate::drive::mass_change::DeletedItem;
use crate::model::{Error, RelPath, Result};
use crate::storage::{CopyDepth, DeadProp, Node, WriteOptions};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// A copied folder; what is in it is noted by itself.
const FOLDER: u64 = 0;
/// A file that is being copied.
const BEGUN: u64 = 1;

/// What of the source has been copied: hashes of paths and of what was there, so that a million files fit into memory.
#[derive(Debug, Default)]
pub(super) struct CopiedEntries {
    hashes: RandomState,
    of: HashMap<u64, u64>,
}

impl CopiedEntries {
    fn note(&mut self, copy: &RelPath, stamp: u64) {
        self.of.insert(self.hashes.hash_one(copy.as_str()), stamp);
    }

    fn take(&mut self, copy: &RelPath) -> Option<u64> {
        self.of.remove(&self.hashes.hash_one(copy.as_str()))
    }

    fn has(&self, copy: &RelPath) -> bool {
        self.of.contains_key(&self.hashes.hash_one(copy.as_str()))
    }

    /// What tells a file with these properties from what it was before.
    fn stamp(&self, node: &Node, props: &[DeadProp]) -> u64 {
        if node.folder {
            return FOLDER;
        }
        let props: Vec<_> = props
            .iter()
            .map(|prop| (&prop.ns, &prop.name, &prop.xml))
            .collect();
        self.hashes
            .hash_one((node.etag.to_string(), props))
            .max(BEGUN + 1)
    }
}

impl CrossStorageCopy<'_> {
    /// Notes what is about to be copied, if somebody will ask.
    pub(super) fn note_started(&self, copy: &RelPath, node: &Node) {
        self.note(copy, |_| if node.folder { FOLDER } else { BEGUN });
    }

    /// Notes that a file has been copied as it was then, or later.
    pub(super) fn note_copied(&self, copy: &RelPath, node: &Node, props: &[DeadProp]) {
        self.note(copy, |copied| copied.stamp(node, props));
    }

    fn note(&self, copy: &RelPath, stamp: impl FnOnce(&CopiedEntries) -> u64) {
        if let Some(copied) = self.copied.lock().as_mut() {
            let stamp = stamp(copied);
            copied.note(copy, stamp);
        }
    }

    /// Whether more will be copied after this: then what went away meanwhile is no failure.
    pub(super) fn is_first_pass(&self) -> bool {
        self.copied.lock().is_some()
    }

    /// Publishes the copy that was built in a staging folder in the place of its source. A refusal
    /// leaves the source where it was.
    pub(super) async fn replace_source(
        &self,
        (source, leave): (&ResolvedPath<'_>, WriteOptions),
        (staging_dir, copy): (&RelPath, &RelPath),
        target: &ResolvedPath<'_>,
        copying: Copying,
    ) -> Result<CrossStorageOutcome> {
        self.options.access().check()?;
        let out = self.from.tree.begin_delete(&source.path, leave).await?;
        let moved = async {
            self.catch_up(&out.path, (staging_dir, copy)).await?;
            let changed = self.publish(copy, target, copying).await?;
            let id = self.from.tree.finish_delete(&out.path).await?;
            let folder = out.node.folder;
            Ok(CrossStorageOutcome {
                created: changed.created(),
                ended: [changed.ended, out.locks].concat(),
                deleted: Some(DeletedItem { id, folder }),
            })
        };
        let moved = moved.await;
        if moved.is_err()
            && let Err(error) = self.from.tree.cancel_delete(&out.path).await
        {
            tracing::error!(%error, "what was to be moved is out of sight; the next start puts it back");
        }
        moved
    }

    /// Makes the copy what its source is now, which nobody changes any more.
    async fn catch_up(
        &self,
        source: &RelPath,
        (staging_dir, copy): (&RelPath, &RelPath),
    ) -> Result<()> {
        let mut junk = StagingLeftovers {
            copy: self,
            staging_dir,
            count: 0,
        };
        let mut copied = self.copied.lock().take().unwrap_or_default();
        let node = self.from.tree.stat(source).await?;
        let props = self.from.tree.props(source).await?;
        let mut due = self
            .recopy(&mut copied, &mut junk, (source, copy), (&node, &props))
            .await?;
        while let Some((from, to)) = due.pop() {
            self.options.access().check()?;
            let mut listing = self.from.tree.list(&from, true).await?;
            loop {
                let page = listing.next_page().await?;
                if page.is_empty() {
                    break;
                }
                for entry in page {
                    let from = from.child(&entry.name);
                    let to = to.child(&entry.name);
                    self.check_depth(&to)?;
                    due.extend(
                        self.recopy(
                            &mut copied,
                            &mut junk,
                            (&from, &to),
                            (&entry.node, &entry.props),
                        )
                        .await?,
                    );
                }
            }
        }
        if copied.of.is_empty() {
            Ok(())
        } else {
            self.delete_gone(&copied, &mut junk, copy).await
        }
    }

    /// Copies again what is not as it was copied. Returns a folder that was, whose members are to be looked at.
    async fn recopy(
        &self,
        copied: &mut CopiedEntries,
        junk: &mut StagingLeftovers<'_>,
        (from, to): (&RelPath, &RelPath),
        (node, props): (&Node, &[DeadProp]),
    ) -> Result<Vec<(RelPath, RelPath)>> {
        let was = copied.take(to);
        let is = copied.stamp(node, props);
        if was == Some(is) {
            if node.folder {
                self.props(from, to, self.unconditional.clone()).await?;
                return Ok(vec![(from.clone(), to.clone())]);
            }
            return Ok(Vec::new());
        }
        self.options.access().check()?;
        if was.is_some() {
            junk.add(to).await?;
        }
        if node.folder {
            self.folder(from, to, CopyDepth::Infinity).await?;
        } else {
            self.file(from, to, node, self.unconditional.clone())
                .await?;
        }
        Ok(Vec::new())
    }

    /// Takes out of the copy what was copied and is no more.
    async fn delete_gone(
        &self,
        gone: &CopiedEntries,
        junk: &mut StagingLeftovers<'_>,
        copy: &RelPath,
    ) -> Result<()> {
        let mut due = vec![copy.clone()];
        while let Some(folder) = due.pop() {
            let mut listing = self.to.tree.list(&folder, false).await?;
            loop {
                let page = listing.next_page().await?;
                if page.is_empty() {
                    break;
                }
                for entry in page {
                    let path = folder.child(&entry.name);
                    if gone.has(&path) {
                        junk.add(&path).await?;
                    } else if entry.node.folder {
                        due.push(path);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What goes with the staging folder.
struct StagingLeftovers<'a> {
    copy: &'a CrossStorageCopy<'a>,
    staging_dir: &'a RelPath,
    count: u64,
}

impl StagingLeftovers<'_> {
    async fn add(&mut self, path: &RelPath) -> Result<()> {
        self.count += 1;
        let to = self.staging_dir.child(&format!("gone-{}", self.count));
        match self
            .copy
            .to
            .tree
            .rename(path, &to, self.copy.unconditional.clone())
            .await
        {
            // It was noted, and gone before it was copied.
            Err(Error::NotFound) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}
