//! Rewinding a tree in memory: the log of changes is taken back, and what stands is compared with what stood.

use super::state::{ItemId, ItemKind, MemoryEvent, MemoryState, PARKED, ROOT, TRASH};
use crate::model::{Error, RelPath, Result};
use crate::storage::history::{MOST_LOST, RewindPlan, RewindSource, RewindStep, RewindSteps};
use async_trait::async_trait;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

/// How many steps are read at once.
const PAGE: usize = 100;

/// The steps of a plan.
#[derive(Debug)]
struct MemorySteps(Vec<RewindStep>);

#[async_trait]
impl RewindSteps for MemorySteps {
    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    async fn read(&self, at: u64) -> Result<(Vec<RewindStep>, u64)> {
        let from = usize::try_from(at).unwrap().min(self.0.len());
        let to = self.0.len().min(from + PAGE);
        Ok((self.0[from..to].to_vec(), to as u64))
    }
}

/// Where each item stands, or stood.
#[derive(Default)]
struct ItemPlaces(HashMap<ItemId, (ItemId, String)>);

impl ItemPlaces {
    fn now(state: &MemoryState) -> Self {
        let items = state.items.iter();
        let places = items.map(|(id, item)| (*id, (item.parent, item.name.clone())));
        // What is at the top has no place.
        Self(places.filter(|(id, _)| *id > PARKED).collect())
    }

    fn members(&self, folder: ItemId) -> Vec<(String, ItemId)> {
        let members = self.0.iter().filter(|(_, (parent, _))| *parent == folder);
        let mut members: Vec<_> = members.map(|(id, (_, name))| (name.clone(), *id)).collect();
        members.sort();
        members
    }

    fn member(&self, folder: ItemId, name: &str) -> Option<ItemId> {
        let nfc = |name: &str| RelPath::from_stored(name.to_owned()).to_nfc();
        let mut members = self.members(folder).into_iter();
        let found = members.find(|(other, _)| nfc(other) == nfc(name));
        found.map(|(_, id)| id)
    }

    fn find(&self, path: &RelPath) -> Option<ItemId> {
        let mut names = path.names();
        names.try_fold(ROOT, |at, name| self.member(at, name))
    }

    /// The names that lead to an item from the folder at the top, and that.
    fn path_of(&self, mut id: ItemId) -> (ItemId, RelPath) {
        let mut path = RelPath::root();
        while let Some((parent, name)) = self.0.get(&id) {
            path = path.beneath(&RelPath::from_stored(name.clone()));
            id = *parent;
        }
        (id, path)
    }

    fn size(&self, state: &MemoryState, id: ItemId) -> u64 {
        let own = state.items.get(&id).map_or(0, |_| state.node(id).len);
        let members = self.members(id).into_iter();
        own + members.map(|(_, id)| self.size(state, id)).sum::<u64>()
    }
}

/// A plan in the making.
struct MemoryPlanner<'a> {
    state: &'a MemoryState,
    then: ItemPlaces,
    /// Where things stand after the steps so far.
    now: ItemPlaces,
    /// The contents that files had: these versions, or none.
    contents: HashMap<ItemId, Option<String>>,
    steps: Vec<RewindStep>,
    discards: usize,
    needed: HashSet<usize>,
    lost: Vec<RelPath>,
    grows: u64,
    shrinks: u64,
}

impl MemoryState {
    pub fn plan_rewind(
        &self,
        folder: &RelPath,
        moment: SystemTime,
        only: &[RelPath],
    ) -> Result<RewindPlan> {
        let mut plan = MemoryPlanner {
            state: self,
            then: ItemPlaces::now(self),
            now: ItemPlaces::now(self),
            contents: HashMap::new(),
            steps: Vec::new(),
            discards: 0,
            needed: HashSet::new(),
            lost: Vec::new(),
            grows: 0,
            shrinks: 0,
        };
        let since = self.log.iter().rev().take_while(|(at, _)| *at > moment);
        since.for_each(|(_, event)| plan.undo(event));
        plan.then.find(folder).ok_or(Error::NotFound)?;
        let mut chosen = only.to_vec();
        if chosen.is_empty() {
            chosen.push(folder.clone());
        }
        chosen.sort_by_key(|path| path.names().count());
        for (at, path) in chosen.iter().enumerate() {
            if !chosen[..at].iter().any(|wider| path.is_within(wider)) {
                plan.plan_path(path);
            }
        }
        let lost_count = plan.lost.len() as u64;
        plan.lost.truncate(MOST_LOST);
        Ok(RewindPlan {
            count: plan.steps.len() as u64,
            steps: Box::new(MemorySteps(plan.steps)),
            needed: plan.needed,
            lost: plan.lost,
            lost_count,
            since: Some(self.since),
            grows: plan.grows,
            shrinks: plan.shrinks,
        })
    }
}

impl MemoryPlanner<'_> {
    fn undo(&mut self, event: &MemoryEvent) {
        match event {
            MemoryEvent::Placed(id, None) => _ = self.then.0.remove(id),
            MemoryEvent::Placed(id, Some(from)) | MemoryEvent::Purged(id, from) => {
                self.then.0.insert(*id, from.clone());
            }
            MemoryEvent::Written(id, version) => {
                if version.is_none() || self.version_of(*id, version.as_ref()).is_some() {
                    self.contents.insert(*id, version.clone());
                }
            }
        }
    }

    fn version_of(&self, id: ItemId, version: Option<&String>) -> Option<&bytes::Bytes> {
        let ItemKind::File(content) = &self.state.items.get(&id)?.kind else {
            return None;
        };
        let mut versions = content.versions.iter();
        let found = versions.find(|former| Some(&former.version.id) == version);
        found.map(|former| &former.bytes)
    }

    /// Makes what stands at a path as it was.
    fn plan_path(&mut self, path: &RelPath) {
        match (self.then.find(path), path.parent()) {
            (Some(id), None) => {
                self.bring_members(id);
                self.discard_others(id);
            }
            (Some(id), Some(parent)) => {
                let parent = self.make_way(&parent);
                if self.bring(id, parent, path.name().unwrap()) {
                    self.discard_others(id);
                }
            }
            (None, _) => {
                if let Some(other) = self.now.find(path) {
                    self.discard(other);
                }
            }
        }
    }

    /// Makes the folders on a path that are not there; returns the last.
    fn make_way(&mut self, path: &RelPath) -> ItemId {
        let mut at = ROOT;
        for name in path.names() {
            at = self.now.member(at, name).unwrap_or_else(|| {
                // One that is only planned; nothing has its number.
                let made = u64::MAX - self.steps.len() as u64;
                self.make(made, at, name);
                made
            });
        }
        at
    }

    fn make(&mut self, id: ItemId, parent: ItemId, name: &str) {
        self.now.0.insert(id, (parent, name.to_owned()));
        let path = self.now.path_of(id).1;
        self.steps.push(RewindStep::Make { path });
    }

    /// Brings an item back to its place with all that was in it; false when it is not kept.
    fn bring(&mut self, id: ItemId, parent: ItemId, name: &str) -> bool {
        let top = self.now.path_of(id).0;
        let is_kept = [ROOT, TRASH, PARKED].contains(&top);
        let to = RelPath::from_stored(name.to_owned()).beneath(&self.now.path_of(parent).1);
        if !is_kept && self.then.members(id).is_empty() {
            self.lost.push(to);
            return false;
        }
        let is_there = (parent, name.to_owned());
        if self.now.0.get(&id) != Some(&is_there) {
            let other = self.now.member(parent, name);
            if let Some(other) = other.filter(|other| *other != id) {
                self.discard(other);
            }
            if is_kept {
                let from = self.source_of(id);
                self.now.0.insert(id, is_there);
                self.steps.push(RewindStep::Move { from, to });
            } else {
                self.make(id, parent, name);
            }
        }
        self.bring_members(id);
        self.rewrite(id);
        true
    }

    fn bring_members(&mut self, folder: ItemId) {
        for (name, member) in self.then.members(folder) {
            self.bring(member, folder, &name);
        }
    }

    /// Moves to the trash what was not in a folder, nor below. In the place of what is lost it stays.
    fn discard_others(&mut self, folder: ItemId) {
        for (name, member) in self.now.members(folder) {
            match self.then.member(folder, &name) {
                Some(was) if was == member => self.discard_others(member),
                Some(_) => {}
                None => self.discard(member),
            }
        }
    }

    fn discard(&mut self, id: ItemId) {
        self.shrinks += self.now.size(self.state, id);
        let path = self.now.path_of(id).1;
        self.steps.push(RewindStep::Discard { path });
        self.now.0.insert(id, (PARKED, self.discards.to_string()));
        self.discards += 1;
    }

    /// Where an item is after the steps so far.
    fn source_of(&mut self, id: ItemId) -> RewindSource {
        let (top, path) = self.now.path_of(id);
        let first = path.names().next().unwrap_or_default().to_owned();
        let inner = path.skip(1);
        if top == ROOT {
            return RewindSource::Path(path);
        }
        self.grows += self.now.size(self.state, id);
        if top == TRASH {
            return RewindSource::Trash { id: first, inner };
        }
        let index = first.parse().unwrap();
        self.needed.insert(index);
        RewindSource::Discarded { index, inner }
    }

    /// Gives a file the content it had, unless it has it.
    fn rewrite(&mut self, id: ItemId) {
        let Some(version) = self.contents.get(&id).cloned() else {
            return;
        };
        let former = self.version_of(id, version.as_ref()).cloned();
        let former = former.unwrap_or_default();
        let ItemKind::File(content) = &self.state.item(id).kind else {
            return;
        };
        if content.bytes == former {
            return;
        }
        self.grows += former.len() as u64;
        self.shrinks += content.bytes.len() as u64;
        let path = self.now.path_of(id).1;
        self.steps.push(match version {
            Some(version) => RewindStep::Revert { path, version },
            None => RewindStep::Blank { path },
        });
    }
}
