//! Finds the steps of a rewind, one path at a time, on a tree in memory that has the steps so far behind it.

use super::paths::{PARKED, found_at, path_of};
use crate::model::{RelPath, Result};
use crate::storage::history::{MOST_LOST, RewindSource, RewindStep};
use crate::storage::local::change_log::PreviousContent;
use crate::storage::local::internal_dirs::is_own;
use crate::storage::local::names::{join_path, split_path};
use crate::storage::local::past_tree::{self, PastContent, PastItem, PastMembers, PastTree};
use crate::storage::local::root::TreeRoot;
use crate::storage::local::spool::Spool;
use crate::storage::local::sys::fd;
use crate::storage::local::{count, versions};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// How many folders were looked up to find where things are.
#[cfg(test)]
pub(super) static HOPS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

pub(super) struct RewindPlanner<'r> {
    pub(super) root: &'r TreeRoot,
    pub(super) now: PastTree<'r>,
    /// Where things have come to lie that were moved by a step, by where they lie on the disk.
    moved: HashMap<Box<str>, (RewindFolder, Box<str>)>,
    /// Which step has moved something to the trash, by the hash of where it lies on the disk.
    parked: HashMap<u64, usize>,
    hasher: RandomState,
    pub(super) steps: Spool<RewindStep>,
    discards: usize,
    pub(super) needed: HashSet<usize>,
    pub(super) lost: Vec<RelPath>,
    pub(super) lost_count: u64,
    /// Bytes that come and that go.
    pub(super) growth: (u64, u64),
}

/// A folder.
enum RewindFolder {
    /// That lies here on the disk, wherever the steps have moved it.
    OnDisk(Box<str>),
    /// That a step has made here.
    Made(Box<str>),
}

impl<'r> RewindPlanner<'r> {
    pub(super) fn new(root: &'r TreeRoot) -> Result<Self> {
        Ok(Self {
            root,
            now: PastTree::now(root),
            moved: HashMap::new(),
            parked: HashMap::new(),
            hasher: RandomState::new(),
            steps: Spool::new(root)?,
            discards: 0,
            needed: HashSet::new(),
            lost: Vec::new(),
            lost_count: 0,
            growth: (0, 0),
        })
    }

    /// Makes the folders on a path that are not there.
    pub(super) fn make_way(&mut self, path: &str) -> Result<()> {
        let mut way = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            way = join_path(&way, name);
            if self.now.find(&way)?.is_none() {
                self.make_folder(&way)?;
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, path: &str) -> Result<()> {
        self.steps.push(&RewindStep::Make {
            path: path_of(path),
        })?;
        self.now
            .place(path, PastItem::missing_folder(split_path(path).1))
    }

    /// Moves back what was elsewhere, where its old place is free: locks aside, that is all a rename needs undone. Whether nothing is left to
    /// do for it then.
    pub(super) fn move_free(&mut self, at: &str, want: &mut PastItem) -> Result<bool> {
        if let (None, Some(source)) = (self.now.find(at)?, &want.source) {
            let from = self.current_path(source)?;
            let is_there = !is_own(&from) && self.now.find(&from)?.is_some();
            if is_there && matches!(want.what, PastContent::File(None)) {
                // Nobody looks for it again.
                self.now.take(&from)?;
                self.steps.push(&RewindStep::Move {
                    from: found_at(&from),
                    to: path_of(at),
                })?;
                return Ok(true);
            }
            if is_there {
                self.plan_move(&from, at, source)?;
            }
        }
        if !self.stands(at, want)? {
            return Ok(false);
        }
        let PastContent::Folder(members) = &mut want.what else {
            return Ok(false);
        };
        let mut outcome = Ok(());
        members.retain(|_, member| {
            let Some(member) = member.as_deref_mut() else {
                return true;
            };
            let path = join_path(at, &member.name);
            if outcome.is_err() || is_own(&path) {
                return true;
            }
            match self.move_free(&path, member) {
                Ok(is_done) => !is_done,
                Err(error) => {
                    outcome = Err(error);
                    true
                }
            }
        });
        outcome.map(|()| false)
    }

    /// Makes what stands at a path as it was.
    pub(super) fn plan_item(&mut self, at: &str, want: PastItem) -> Result<()> {
        if matches!(want.what, PastContent::Gone) {
            self.note_lost(at);
            return Ok(());
        }
        if !self.stands(at, &want)? && !self.plan_return(at, &want)? {
            return Ok(());
        }
        match want.what {
            PastContent::Folder(members) => self.plan_members(at, want.source.is_some(), members),
            PastContent::File(Some(before)) => self.rewrite(
                at,
                (want.source.as_deref().unwrap_or_default(), want.len),
                *before,
            ),
            _ => Ok(()),
        }
    }

    /// Makes what is in a folder as it was; one that `is_same` as it was has what is not among `members` still.
    fn plan_members(&mut self, at: &str, is_same: bool, members: PastMembers) -> Result<()> {
        let unwanted: Vec<Box<str>> = if is_same {
            members
                .iter()
                .filter(|(_, member)| member.is_none())
                .map(|(key, _)| key.clone())
                .collect()
        } else {
            let is_wanted = |name: &str| {
                members
                    .get(&past_tree::name_key(name))
                    .is_some_and(Option::is_some)
            };
            self.now
                .names_in(at)?
                .into_iter()
                .filter(|name| !is_wanted(name))
                .map(Into::into)
                .collect()
        };
        for name in unwanted {
            let path = join_path(at, &name);
            if !is_own(&path)
                && let Some(item) = self.now.take_last(&path)?
            {
                self.plan_delete_item(join_path(at, &item.name), item)?;
            }
        }
        for member in members.into_values().flatten() {
            let path = join_path(at, &member.name);
            if !is_own(&path) {
                self.plan_item(&path, *member)?;
            }
        }
        Ok(())
    }

    fn note_lost(&mut self, at: &str) {
        self.lost_count += 1;
        if self.lost.len() < MOST_LOST {
            self.lost.push(path_of(at));
        }
    }

    /// Whether what stands at a path now is what stood there.
    fn stands(&mut self, at: &str, want: &PastItem) -> Result<bool> {
        let Some(now) = self.now.find(at)? else {
            return Ok(false);
        };
        let is_folder = matches!(
            (&now.what, &want.what),
            (PastContent::Folder(_), PastContent::Folder(_))
        );
        Ok(now.source == want.source || (want.source.is_none() && is_folder))
    }

    /// Brings what stood at a path there; `false` when it is not kept.
    fn plan_return(&mut self, at: &str, want: &PastItem) -> Result<bool> {
        let Some(source) = &want.source else {
            if self.now.find(at)?.is_some() {
                self.plan_delete(at)?;
            }
            return self.make_folder(at).map(|()| true);
        };
        let from = self.current_path(source)?;
        if self.now.find(&from)?.is_none() {
            self.note_lost(at);
            return Ok(false);
        }
        if self.now.find(at)?.is_some() {
            self.plan_delete(at)?;
        }
        // It may have gone with what stood there.
        let from = self.current_path(source)?;
        self.plan_move(&from, at, source)?;
        Ok(true)
    }

    pub(super) fn plan_delete(&mut self, at: &str) -> Result<()> {
        match self.now.take(at)? {
            Some(item) => self.plan_delete_item(at.to_owned(), item),
            None => Ok(()),
        }
    }

    /// Moves what lay at a path to the trash.
    fn plan_delete_item(&mut self, at: String, item: PastItem) -> Result<()> {
        let index = self.discards;
        self.discards += 1;
        self.steps.push(&RewindStep::Discard {
            path: RelPath::from_stored(at),
        })?;
        let Some(source) = &item.source else {
            return self.now.place(&format!("{PARKED}/{index}"), item);
        };
        self.growth.1 = self.growth.1.saturating_add(self.weigh(&item)?);
        self.moved.remove(source);
        self.parked.insert(self.hasher.hash_one(&**source), index);
        // What is as on the disk can be looked up there.
        match &item.what {
            PastContent::Folder(changed) if !changed.is_empty() => {
                self.now.place(&format!("{PARKED}/{index}"), item)
            }
            _ => Ok(()),
        }
    }

    fn plan_move(&mut self, from: &str, to: &str, source: &str) -> Result<()> {
        let Some(item) = self.now.take(from)? else {
            return Ok(());
        };
        if is_own(from) {
            self.growth.0 = self.growth.0.saturating_add(self.weigh(&item)?);
        }
        let found = found_at(from);
        if let RewindSource::Discarded { index, .. } = &found {
            self.needed.insert(*index);
        }
        let (parent, name) = split_path(to);
        let holder = self
            .now
            .find(parent)?
            .and_then(|folder| folder.source.clone());
        let holder = holder.map_or_else(|| RewindFolder::Made(parent.into()), RewindFolder::OnDisk);
        self.now.place(to, item)?;
        self.moved.insert(source.into(), (holder, name.into()));
        self.parked.remove(&self.hasher.hash_one(source));
        self.steps.push(&RewindStep::Move {
            from: found,
            to: path_of(to),
        })
    }

    /// Gives a file of `present` bytes the content it had, unless it has it.
    fn rewrite(
        &mut self,
        at: &str,
        (source, present): (&str, u64),
        before: PreviousContent,
    ) -> Result<()> {
        let (step, len) = match before {
            PreviousContent::Version(history, id) => {
                let Some(len) = versions::len_if_different(self.root, source, (&history, &id))?
                else {
                    return Ok(());
                };
                (
                    RewindStep::Revert {
                        path: path_of(at),
                        version: id,
                    },
                    len,
                )
            }
            PreviousContent::Empty | PreviousContent::Unkept if present == 0 => return Ok(()),
            PreviousContent::Empty | PreviousContent::Unkept => {
                (RewindStep::Blank { path: path_of(at) }, 0)
            }
        };
        self.growth = (
            self.growth.0.saturating_add(len),
            self.growth.1.saturating_add(present),
        );
        self.steps.push(&step)
    }

    /// Where something lies after the steps so far, that lies at `source` on the disk now: where it or a folder that it is in was moved.
    fn current_path(&mut self, source: &str) -> Result<String> {
        let mut at: Box<str> = source.into();
        let mut below: Vec<Box<str>> = Vec::new();
        let top = loop {
            #[cfg(test)]
            HOPS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if let Some((holder, name)) = self.moved.get(&at) {
                below.push(name.clone());
                match holder {
                    RewindFolder::OnDisk(folder) => at = folder.clone(),
                    RewindFolder::Made(folder) => break folder.to_string(),
                }
                continue;
            }
            if let Some(index) = self.parked.get(&self.hasher.hash_one(&*at)) {
                let path = format!("{PARKED}/{index}");
                if self.now.find(&path)?.is_none()
                    && let Some(item) = self.now.on_disk(&at)?
                {
                    self.now.place(&path, item)?;
                }
                break path;
            }
            if at.is_empty() {
                break String::new();
            }
            let (parent, name) = split_path(&at);
            below.push(name.into());
            at = parent.into();
        };
        Ok(below
            .iter()
            .rev()
            .fold(top, |path, name| join_path(&path, name)))
    }

    /// Bytes of a file, or of all files in a folder.
    fn weigh(&self, item: &PastItem) -> Result<u64> {
        match (&item.what, &item.source) {
            (PastContent::Folder(_), Some(source)) => count::bytes_in(fd(&self.root.dir), source),
            _ => Ok(item.len),
        }
    }
}
