//! Copies and moves from one root to another: what no single step can do. A file appears whole, a folder is built where
//! nobody sees it and then gets its name in one step; of a move, the source goes to the trash at the end.

mod moved;

use super::bursts::Harm;
use super::changes::Removed;
use super::judge::{self, Bench};
use super::place::{Access, Place, Root};
use super::{Copying, Drive, Terms, present};
use crate::content::{Commit, DeadProp, Entry, Expect, Node, PropChange, Reach, Room, Start};
use crate::model::{Error, RelPath, Result};
use moved::Copied;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// What is read and written at a time.
const CHUNK: usize = 256 * 1024;

/// One copy under way.
struct Carriage<'a> {
    from: &'a Root,
    to: &'a Root,
    target: &'a RelPath,
    /// Where it is built until it gets its place.
    aside: OnceLock<RelPath>,
    /// A change without conditions, within the quota of whoever pays, for what nobody sees yet.
    free: Commit,
    /// Asked before each step whether both ends may still be used.
    bench: &'a Arc<Bench>,
    /// What a move has copied so far.
    copied: Mutex<Option<Copied>>,
}

/// What has become of it.
pub(super) struct Carried {
    /// Whether nothing stood at the target before.
    pub created: bool,
    /// What the source of a move is called in the trash.
    id: Option<String>,
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
        let bench = Arc::new(
            self.bench_for(source, source, terms.clone(), judge::removing(source))
                .await?,
        );
        self.pre_judge(source, &bench.commit()).await?;
        let copying = Copying {
            reach: Reach::Deep,
            overwrite,
        };
        let carried = self
            .carry(
                (source, Access::Change, Some(bench.commit())),
                target,
                copying,
                terms,
            )
            .await?;
        self.locks.forget(bench.ended()).await;
        self.end_shares(&source.spot()).await;
        if let Some(id) = carried.id {
            self.note_removed(
                &source.root,
                Removed {
                    id,
                    folder: bench.met_folder(),
                },
            );
        }
        Ok(carried.created)
    }

    /// Copies into another root, for as long as it has this access at the source; a move takes the source away by `leave`.
    pub(super) async fn carry(
        &self,
        (source, access, leave): (&Place<'_>, Access, Option<Commit>),
        target: &Place<'_>,
        copying: Copying,
        terms: Terms,
    ) -> Result<Carried> {
        // The conditions speak of the source, the locks in the way are the target's.
        let tokens = terms.submitted().map(str::to_owned).collect();
        let early = Arc::new(
            self.bench_for(source, target, terms, Vec::new())
                .await?
                .also(source, access),
        );
        self.pre_judge(source, &early.commit()).await?;
        let expect = if copying.overwrite {
            Expect::Any
        } else {
            Expect::Absent
        };
        let terms = Terms {
            expect,
            tokens,
            ..Terms::default()
        };
        let bench = self
            .bench_for(target, target, terms, judge::replacing(target))
            .await?;
        let bench = Arc::new(bench.also(source, access));
        self.pre_judge(target, &bench.commit()).await?;
        let node = source.root.tree.stat(&source.path).await?;
        let there = present(target).await?;
        let free_before = there.is_none();
        // A file that makes way for a file makes room for it as well.
        let spared = there
            .as_ref()
            .filter(|_| !node.folder)
            .map_or(0, |there| there.len);
        let limit = target.quota.map(|quota| quota.saturating_add(spared));
        let free = Commit {
            limit,
            ..Commit::by(self.identity.account.clone())
        };
        let copied = Mutex::new(leave.is_some().then(Copied::default));
        let (from, to, aside) = (&source.root, &target.root, OnceLock::new());
        let carriage = Carriage {
            from,
            to,
            target: &target.path,
            aside,
            free,
            bench: &bench,
            copied,
        };
        if copying.reach.leaves_standing(&node, there.as_ref()) {
            let commit = Commit {
                limit,
                ..bench.commit()
            };
            carriage.props(&source.path, &target.path, commit).await?;
            return Ok(Carried {
                created: false,
                id: None,
            });
        }
        let carried = if node.folder || !free_before || leave.is_some() {
            carriage
                .aside((source, leave), target, &node, copying)
                .await?
        } else {
            let created = carriage
                .file(&source.path, &target.path, &node, bench.commit())
                .await?;
            Carried { created, id: None }
        };
        self.locks.forget(bench.ended()).await;
        let created = carried.created && free_before;
        if !created {
            self.note_harm(
                &target.root,
                Harm {
                    overwritten: 1,
                    removed: 0,
                },
                None,
            );
            self.end_shares(&target.spot()).await;
        }
        Ok(Carried { created, ..carried })
    }
}

impl Carriage<'_> {
    /// Builds a folder, or what replaces something or leaves its place, where nobody sees it, and gives it its name in one step: what
    /// it replaces goes to the trash.
    async fn aside(
        &self,
        (source, leave): (&Place<'_>, Option<Commit>),
        target: &Place<'_>,
        node: &Node,
        copying: Copying,
    ) -> Result<Carried> {
        let workshop = self.to.tree.workshop().await?;
        let aside = self.aside.get_or_init(|| workshop.child("copy"));
        let outcome = async {
            self.build(&source.path, aside, node, copying.reach).await?;
            let Some(leave) = leave else {
                let created = self.publish(aside, target, copying).await?;
                return Ok(Carried { created, id: None });
            };
            let (created, id) = self
                .replace_source((source, leave), (&workshop, aside), target, copying)
                .await?;
            Ok(Carried {
                created,
                id: Some(id),
            })
        };
        let outcome = outcome.await;
        if let Err(error) = self.to.tree.close_workshop(&workshop).await {
            tracing::warn!(%error, "what a copy was built in is left until the next start");
        }
        outcome
    }

    async fn build(&self, from: &RelPath, to: &RelPath, node: &Node, reach: Reach) -> Result<()> {
        self.check_depth(to)?;
        if node.folder {
            return self.folder(from, to, reach).await;
        }
        self.member((from, to), node, &self.from.tree.props(from).await?)
            .await
    }

    async fn publish(&self, aside: &RelPath, target: &Place<'_>, copying: Copying) -> Result<bool> {
        // Each path was looked at when it was copied.
        let commit = Commit {
            overwrite: copying.overwrite,
            expect: Expect::Any,
            fits: true,
            ..self.bench.commit()
        };
        self.to.tree.rename(aside, &target.path, commit).await
    }

    /// Refuses what would be too deep to be found at its place.
    fn check_depth(&self, built: &RelPath) -> Result<()> {
        let rest = self.aside.get().and_then(|aside| built.after(aside));
        rest.map_or(Ok(()), |rest| rest.beneath(self.target).left().map(drop))
    }

    async fn folder(&self, from: &RelPath, to: &RelPath, reach: Reach) -> Result<()> {
        let mut due = vec![(from.clone(), to.clone())];
        while let Some((from, to)) = due.pop() {
            match self.level(&from, &to, reach).await {
                Ok(more) => due.extend(more),
                Err(Error::NotFound | Error::NotFolder) if self.is_first() => {}
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
        reach: Reach,
    ) -> Result<Vec<(RelPath, RelPath)>> {
        let mut folders = Vec::new();
        self.bench.check()?;
        self.begin(to, &Node::unseen(true));
        self.to.tree.mkdir(to, self.free.clone()).await?;
        self.props(from, to, self.free.clone()).await?;
        if reach == Reach::Shallow {
            return Ok(folders);
        }
        if let Some(unshown) = self.from.tree.unshown(from).await? {
            let commit = Commit {
                limit: self.free.limit,
                ..self.bench.commit()
            };
            self.to.tree.copy_unshown(unshown, to, commit).await?;
        }
        let mut listing = self.from.tree.list(from, self.is_first()).await?;
        loop {
            self.bench.check()?;
            let page = listing.next_page().await?;
            if page.is_empty() {
                return Ok(folders);
            }
            for Entry { name, node, props } in page {
                let (from, to) = (from.child(&name), to.child(&name));
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
        self.begin(to, node);
        match self.file(from, to, node, self.free.clone()).await {
            Ok(_) => self.done(to, node, props),
            Err(Error::NotFound | Error::IsFolder) if self.is_first() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn file(
        &self,
        from: &RelPath,
        to: &RelPath,
        node: &Node,
        commit: Commit,
    ) -> Result<bool> {
        let reader = self.from.tree.open(from).await?;
        let mut upload = self
            .to
            .tree
            .begin_put(
                to,
                Start::Empty,
                Room {
                    len: Some(node.len),
                    limit: self.free.limit,
                },
            )
            .await?;
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
        let put = upload
            .commit(Commit {
                modified: Some(reader.node().modified),
                limit: self.free.limit,
                ..commit
            })
            .await?;
        let modified = Some(reader.node().modified);
        self.props(
            from,
            to,
            Commit {
                modified,
                ..self.free.clone()
            },
        )
        .await?;
        Ok(put.created)
    }

    /// Gives the copy exactly the dead properties of its source.
    async fn props(&self, from: &RelPath, to: &RelPath, commit: Commit) -> Result<()> {
        let (mut wanted, present) = (
            self.from.tree.props(from).await?,
            self.to.tree.props(to).await?,
        );
        wanted.retain(|prop| !prop.is_mark());
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
