//! Copies and moves from one root to another: what no single step can do. A file appears whole, a folder is built where
//! nobody sees it and then gets its name in one step; of a move, the source goes to the trash at the end.

use super::bursts::Harm;
use super::judge::{self, Bench};
use super::place::{Access, Place, Root};
use super::{Copying, Drive, Terms, present};
use crate::content::{Commit, DeadProp, Expect, Node, PropChange, Reach, Room, Start};
use crate::model::{RelPath, Result};
use std::sync::Arc;

/// What is read and written at a time.
const CHUNK: usize = 256 * 1024;

/// One copy under way.
struct Carriage<'a> {
    from: &'a Root,
    to: &'a Root,
    /// A change without conditions, within the quota of whoever pays, for what nobody sees yet.
    free: Commit,
    /// Asked before each step whether both ends may still be used.
    bench: &'a Arc<Bench>,
}

impl Drive {
    /// Moves into another root.
    pub(super) async fn carry_away(
        &self,
        source: &Place<'_>,
        target: &Place<'_>,
        overwrite: bool,
        terms: Terms,
    ) -> Result<bool> {
        let commit = self.commit(source, terms.clone(), judge::removing(source)).await?;
        self.pre_judge(source, &commit).await?;
        let copying = Copying { reach: Reach::Deep, overwrite };
        let created = self.carry((source, Access::Change), target, copying, terms.clone()).await?;
        // What was copied for this is published: an access that ends now would leave both.
        let bench = self.bench_for(source, source, terms, judge::removing(source)).await?.committed();
        let removed = self.remove_by(source, bench).await?;
        self.note_removed(&source.root, removed);
        Ok(created)
    }

    /// Copies into another root, for as long as it has this access at the source. Returns whether nothing stood there before.
    pub(super) async fn carry(
        &self,
        (source, access): (&Place<'_>, Access),
        target: &Place<'_>,
        copying: Copying,
        terms: Terms,
    ) -> Result<bool> {
        // The conditions speak of the source, the locks in the way are the target's.
        let tokens = terms.submitted().map(str::to_owned).collect();
        let early = Arc::new(self.bench_for(source, target, terms, Vec::new()).await?.also(source, access));
        self.pre_judge(source, &early.commit()).await?;
        let expect = if copying.overwrite { Expect::Any } else { Expect::Absent };
        let terms = Terms { expect, tokens, ..Terms::default() };
        let bench = self.bench_for(target, target, terms, judge::replacing(target)).await?;
        let bench = Arc::new(bench.also(source, access));
        self.pre_judge(target, &bench.commit()).await?;
        let node = source.root.tree.stat(&source.path).await?;
        let there = present(target).await?;
        let free_before = there.is_none();
        // A file that makes way for a file makes room for it as well.
        let spared = there.as_ref().filter(|_| !node.folder).map_or(0, |there| there.len);
        let limit = target.quota.map(|quota| quota.saturating_add(spared));
        let free = Commit { limit, ..Commit::by(self.identity.account.clone()) };
        let carriage = Carriage { from: &source.root, to: &target.root, free, bench: &bench };
        if copying.reach.leaves_standing(&node, there.as_ref()) {
            return carriage.props(&source.path, &target.path, bench.commit()).await.map(|()| false);
        }
        let created = if node.folder || !free_before {
            carriage.aside(source, target, &node, copying).await?
        } else {
            carriage.file(&source.path, &target.path, &node, bench.commit()).await?
        };
        self.locks.forget(bench.ended()).await;
        let created = created && free_before;
        if !created {
            self.note_harm(&target.root, Harm { overwritten: 1, removed: 0 }, None);
            self.end_shares(&target.spot()).await;
        }
        Ok(created)
    }
}

impl Carriage<'_> {
    /// Builds a folder, or what replaces something, where nobody sees it, and gives it its name in one step: what it replaces
    /// goes to the trash.
    async fn aside(&self, source: &Place<'_>, target: &Place<'_>, node: &Node, copying: Copying) -> Result<bool> {
        let workshop = self.to.tree.workshop().await?;
        let aside = RelPath::parse("copy")?.beneath(&workshop)?;
        let copied = if node.folder {
            self.folder(&source.path, &aside, copying.reach).await
        } else {
            self.file(&source.path, &aside, node, self.free.clone()).await.map(drop)
        };
        let outcome = match copied {
            Ok(()) => {
                let commit = Commit { overwrite: copying.overwrite, expect: Expect::Any, ..self.bench.commit() };
                self.to.tree.rename(&aside, &target.path, commit).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = self.to.tree.close_workshop(&workshop).await {
            tracing::warn!(%error, "what a copy was built in is left until the next start");
        }
        outcome
    }

    async fn folder(&self, from: &RelPath, to: &RelPath, reach: Reach) -> Result<()> {
        let mut due = vec![(from.clone(), to.clone())];
        while let Some((from, to)) = due.pop() {
            self.bench.check()?;
            self.to.tree.mkdir(&to, self.free.clone()).await?;
            self.props(&from, &to, self.free.clone()).await?;
            if reach == Reach::Shallow {
                return Ok(());
            }
            if let Some(unshown) = self.from.tree.unshown(&from).await? {
                let commit = Commit { limit: self.free.limit, ..self.bench.commit() };
                self.to.tree.copy_unshown(unshown, &to, commit).await?;
            }
            let mut listing = self.from.tree.list(&from, false).await?;
            loop {
                self.bench.check()?;
                let page = listing.next_page().await?;
                if page.is_empty() {
                    break;
                }
                for entry in page {
                    let name = RelPath::parse(&entry.name)?;
                    let (from, to) = (name.beneath(&from)?, name.beneath(&to)?);
                    if entry.node.folder {
                        due.push((from, to));
                    } else {
                        self.file(&from, &to, &entry.node, self.free.clone()).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn file(&self, from: &RelPath, to: &RelPath, node: &Node, commit: Commit) -> Result<bool> {
        let reader = self.from.tree.open(from).await?;
        let mut upload =
            self.to.tree.begin_put(to, Start::Empty, Room { len: Some(node.len), limit: self.free.limit }).await?;
        let mut offset = 0;
        loop {
            self.bench.check()?;
            let bytes = reader.read_at(offset, CHUNK).await?;
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len() as u64;
            upload.write(bytes).await?;
        }
        let put =
            upload.commit(Commit { modified: Some(reader.node().modified), limit: self.free.limit, ..commit }).await?;
        let modified = Some(reader.node().modified);
        self.props(from, to, Commit { modified, ..self.free.clone() }).await?;
        Ok(put.created)
    }

    /// Gives the copy exactly the dead properties of its source.
    async fn props(&self, from: &RelPath, to: &RelPath, commit: Commit) -> Result<()> {
        let (mut wanted, present) = (self.from.tree.props(from).await?, self.to.tree.props(to).await?);
        wanted.retain(|prop| !prop.is_mark());
        let is_wanted = |prop: &DeadProp| wanted.iter().any(|p| p.ns == prop.ns && p.name == prop.name);
        let mut changes: Vec<_> = present
            .iter()
            .filter(|prop| !is_wanted(prop))
            .map(|prop| PropChange::Remove { ns: prop.ns.clone(), name: prop.name.clone() })
            .collect();
        changes.extend(wanted.iter().cloned().map(PropChange::Set));
        if changes.is_empty() {
            return Ok(());
        }
        self.to.tree.set_props(to, changes, commit).await
    }
}
