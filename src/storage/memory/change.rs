//! Making, moving, copying and deleting. Each change is one step: the state is locked, what stands and the locks near it are read, the
//! preconditions are checked, and the change is made.

use super::Shared;
use super::state::{
    FileContent, ItemId, ItemKind, MemoryItem, MemoryPlace, MemoryState, PENDING, ROOT, TRASH,
};
use crate::model::time::{from_unix_seconds, unix_seconds};
use crate::model::{Error, RelPath, Result};
use crate::storage::{
    Changed, CopyDepth, DeadProp, Deleted, FileId, LockStep, LocksSeen, Node, PROPS_LIMIT,
    PendingDelete, PropChange, Seen, WriteOptions, next_unique_mtime, unique_mtime,
};
use std::time::Instant;

/// A change that may happen now. Until this is dropped nobody is granted a lock in its way.
pub(super) struct MemoryStep<'a> {
    met: Option<Node>,
    locks: Option<LockStep<'a>>,
}

impl MemoryStep<'_> {
    /// The outcome once the change is made, by which something went away if `ends` says so: the locks on that end.
    pub fn made(self, replaced: Option<Node>, ends: bool) -> Changed {
        let locks = self.locks.filter(|_| ends);
        Changed {
            met: self.met,
            replaced,
            ended: locks.map_or_else(Vec::new, LockStep::end_subtrees),
        }
    }
}

impl Shared {
    /// Checks a change, given what stands at the path that it names first.
    pub fn check(
        &self,
        state: &MemoryState,
        options: &WriteOptions,
        present: Option<ItemId>,
    ) -> Result<MemoryStep<'_>> {
        let asked = options.preconditions.as_deref();
        let tags = asked
            .map_or(&[] as &[RelPath], |asked| &asked.tagged)
            .iter();
        let tag = |path| state.find(path).ok().map(|id| state.node(id).etag);
        let asking = asked.filter(|asked| asked.asks_for_locks());
        let locks = self.locks.as_deref().zip(asking);
        let locks = locks.map(|(locks, asked)| LockStep::begin(locks, &asked.scopes, &asked.named));
        let met = present.map(|id| state.node(id));
        options.check(&Seen {
            present: met.as_ref(),
            tags: &tags.map(tag).collect::<Vec<_>>(),
            locks: locks
                .as_ref()
                .map_or(&LocksSeen::none(Instant::now()), LockStep::seen),
            is_closed: state.is_closed,
        })?;
        Ok(MemoryStep { met, locks })
    }

    pub fn mkdir(&self, path: &RelPath, options: &WriteOptions) -> Result<Changed> {
        if path.is_root() {
            return Err(Error::Exists);
        }
        let mut state = self.state.lock();
        let place = state.place(path)?;
        let step = self.check(&state, options, place.there)?;
        if place.there.is_some() {
            return Err(Error::Exists);
        }
        state.add(MemoryItem::folder(place.parent, &place.name));
        Ok(step.made(None, false))
    }

    pub fn rename(&self, from: &RelPath, to: &RelPath, options: &WriteOptions) -> Result<Changed> {
        let is_respelled = check_no_overlap(from, to)?;
        let mut state = self.state.lock();
        let source = state.find(from)?;
        let mut place = state.place(to)?;
        if is_respelled {
            place.there = None;
            to.name().unwrap_or_default().clone_into(&mut place.name);
        }
        let step = self.check_target(&state, options, (source, &place))?;
        let replaced = state.clear(&place, options);
        state.relocate(source, place.parent, &place.name);
        Ok(step.made(replaced, true))
    }

    pub fn copy(
        &self,
        from: &RelPath,
        to: &RelPath,
        reach: CopyDepth,
        options: &WriteOptions,
    ) -> Result<Changed> {
        if check_no_overlap(from, to)? {
            return Err(Error::Forbidden("Source and target are the same."));
        }
        let mut state = self.state.lock();
        let source = state.find(from)?;
        let place = state.place(to)?;
        let step = self.check_target(&state, options, (source, &place))?;
        let there = place.there.map(|there| state.node(there));
        if let Some(kept) = place.there
            && reach.keeps_target(&state.node(source), there.as_ref())
        {
            let props = state.props_of_copy(source);
            state.item_mut(kept).props = props;
            return Ok(step.made(there, false));
        }
        let new = match reach {
            CopyDepth::Zero => state.node(source).len,
            CopyDepth::Infinity => state.size(source),
        };
        let old = place.there.map_or(0, |there| state.size(there));
        state.check_room(new, old, options.limit)?;
        let replaced = state.clear(&place, options);
        let ends = replaced.is_some();
        state.copy(source, reach, (place.parent, &place.name))?;
        Ok(step.made(replaced, ends))
    }

    /// Checks a change that brings something to a place.
    fn check_target(
        &self,
        state: &MemoryState,
        options: &WriteOptions,
        (source, place): (ItemId, &MemoryPlace),
    ) -> Result<MemoryStep<'_>> {
        if place.there.is_some() && !options.overwrite {
            return Err(Error::PreconditionFailed);
        }
        self.check(state, options, Some(source))
    }

    pub fn delete(&self, path: &RelPath, options: &WriteOptions) -> Result<Deleted> {
        let mut state = self.state.lock();
        let found = state.find_removable(path)?;
        let step = self.check(&state, options, Some(found))?;
        Ok(Deleted {
            id: state.discard(found, TRASH, &options.actor),
            changed: step.made(None, true),
        })
    }

    pub fn begin_delete(&self, path: &RelPath, options: &WriteOptions) -> Result<PendingDelete> {
        let mut state = self.state.lock();
        let found = state.find_removable(path)?;
        let step = self.check(&state, options, Some(found))?;
        let node = state.node(found);
        state.discard(found, PENDING, &options.actor);
        Ok(PendingDelete {
            path: state.path_of(found),
            node,
            locks: step.locks.map_or_else(Vec::new, LockStep::into_subtrees),
        })
    }

    /// Ends [`begin_delete`](Self::begin_delete): by the trash, or where it lay if it `goes_back`.
    pub fn end_delete(&self, out: &RelPath, goes_back: bool) -> Result<String> {
        let mut state = self.state.lock();
        let found = state.find(out)?;
        let item = state.item(found);
        let (parent, id) = (item.parent, item.name.clone());
        let note = state.notes.get(&id).filter(|_| parent == PENDING);
        let lay = state.place(&note.ok_or(Error::NotFound)?.path);
        match lay {
            Ok(place) if goes_back && place.there.is_none() => {
                state.relocate(found, place.parent, &place.name);
                state.notes.remove(&id);
            }
            _ => state.relocate(found, TRASH, &id),
        }
        Ok(id)
    }

    /// Moves what lies at a path in an item of the trash back to where nothing stands.
    pub fn restore(
        &self,
        (id, inner): (&str, &RelPath),
        to: &RelPath,
        options: &WriteOptions,
    ) -> Result<Changed> {
        let mut state = self.state.lock();
        let (item, _) = state.trashed(id)?;
        let place = state.place(to)?;
        let source = state.find(&inner.beneath(&state.path_of(item)))?;
        let step = self.check(&state, options, place.there)?;
        if place.there.is_some() {
            return Err(Error::Exists);
        }
        state.check_room(state.size(source), 0, options.limit)?;
        state.relocate(source, place.parent, &place.name);
        if source == item {
            state.notes.remove(id);
        }
        Ok(step.made(None, false))
    }

    pub fn set_props(
        &self,
        path: &RelPath,
        changes: Vec<PropChange>,
        options: &WriteOptions,
    ) -> Result<Changed> {
        let mut state = self.state.lock();
        let id = state.find(path)?;
        let step = self.check(&state, options, Some(id))?;
        let mut props = state.item(id).props.clone();
        let before = size_of(&props);
        for change in changes {
            apply(&mut props, change);
        }
        if size_of(&props) > PROPS_LIMIT.max(before) {
            return Err(Error::LimitReached("The properties are too large."));
        }
        let item = state.item_mut(id);
        if let Some(wanted) = options.modified {
            let has_it = wanted == from_unix_seconds(unix_seconds(item.modified));
            item.modified = match (item.is_folder(), has_it) {
                (true, _) => wanted,
                (false, true) => item.modified,
                (false, false) => unique_mtime(Some(wanted), Some(item.modified))?,
            };
        }
        item.props = props;
        Ok(step.made(None, false))
    }
}

impl MemoryState {
    /// What may be taken from its place; `NotFound`.
    fn find_removable(&self, path: &RelPath) -> Result<ItemId> {
        match self.find(path)? {
            ROOT => Err(Error::Forbidden("This is the drive itself.")),
            found => Ok(found),
        }
    }

    /// Moves what stands at a place to the trash.
    fn clear(&mut self, place: &MemoryPlace, options: &WriteOptions) -> Option<Node> {
        let there = place.there?;
        let node = self.node(there);
        self.discard(there, TRASH, &options.actor);
        Some(node)
    }

    /// The properties of a copy: those that do not say which file this is.
    fn props_of_copy(&self, source: ItemId) -> Vec<DeadProp> {
        let props = self.item(source).props.iter();
        props.filter(|prop| !prop.is_link_tag()).cloned().collect()
    }

    /// Adds a copy of an item.
    fn copy(
        &mut self,
        source: ItemId,
        reach: CopyDepth,
        (parent, name): (ItemId, &str),
    ) -> Result<()> {
        let mut copy = MemoryItem::folder(parent, name);
        copy.props = self.props_of_copy(source);
        copy.file_id = FileId::new()?;
        let original = self.item(source).clone();
        if let ItemKind::File(content) = &original.kind {
            copy.modified = next_unique_mtime(original.modified)?;
            copy.kind = ItemKind::File(FileContent {
                serial: self.next_number(),
                versions: Vec::new(),
                ..content.clone()
            });
        }
        let copied = self.add(copy);
        if let (ItemKind::Folder(members), CopyDepth::Infinity) = (original.kind, reach) {
            for (name, member) in members {
                self.copy(member, reach, (copied, &name))?;
            }
        }
        Ok(())
    }
}

/// Refuses a source and target of which one holds the other; returns whether they are spellings of one path.
fn check_no_overlap(from: &RelPath, to: &RelPath) -> Result<bool> {
    let (source, target) = (from.to_nfc(), to.to_nfc());
    if source == target && from.name() != to.name() {
        Ok(true)
    } else if source.is_within(&target) || target.is_within(&source) {
        Err(Error::Forbidden("One lies within the other."))
    } else {
        Ok(false)
    }
}

fn apply(props: &mut Vec<DeadProp>, change: PropChange) {
    let (ns, name) = match &change {
        PropChange::Set(prop) => (&prop.ns, &prop.name),
        PropChange::Remove { ns, name } => (ns, name),
    };
    let is_it = |prop: &DeadProp| prop.ns == *ns && prop.name == *name;
    let position = props.iter().position(is_it);
    if let Some(position) = position {
        props.remove(position);
    }
    if let PropChange::Set(prop) = change {
        props.insert(position.unwrap_or(props.len()), prop);
    }
}

fn size_of(props: &[DeadProp]) -> usize {
    let counted = props.iter().filter(|prop| !prop.is_link_tag());
    counted.map(|prop| prop.value().len()).sum()
}
