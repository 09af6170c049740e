//! What a tree in memory consists of: items by number, with their parents and names, and what is noted beside them.

use crate::model::time::{from_unix_seconds, unix_seconds};
use crate::model::{AccountName, Error, RelPath, Result};
use crate::storage::history::{TrashedItem, Version};
use crate::storage::{DeadProp, Digest, Etag, FileId, Node};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use unicode_normalization::UnicodeNormalization as _;

/// The number of an item.
pub(super) type ItemId = u64;

/// What clients see.
pub(super) const ROOT: ItemId = 0;
/// What no listing shows: the folders below, by their names.
const HIDDEN: ItemId = 1;
pub(super) const TRASH: ItemId = 2;
pub(super) const STAGING: ItemId = 3;
pub(super) const PENDING: ItemId = 4;
/// What a rewind will have moved to the trash; no item has it.
pub(super) const PARKED: ItemId = 5;
const FIRST: ItemId = 6;
/// The name of [`HIDDEN`], which no client may give.
const HIDDEN_NAME: &str = ".sarang";
const HIDDEN_FOLDERS: [(ItemId, &str); 3] =
    [(TRASH, "trash"), (STAGING, "staging"), (PENDING, "pending")];

/// All of a tree.
#[derive(Debug)]
pub(super) struct MemoryState {
    pub items: HashMap<ItemId, MemoryItem>,
    next: u64,
    /// Where each item of the trash, or on its way there, lay.
    pub notes: BTreeMap<String, TrashNote>,
    pub log: Vec<(SystemTime, MemoryEvent)>,
    pub since: SystemTime,
    pub uploads: BTreeMap<String, StoredUpload>,
    /// Bytes that are promised, by number.
    pub promises: HashMap<u64, u64>,
    /// The files whose bytes make room for an upload that outlives requests.
    pub claims: HashSet<ItemId>,
    pub held_until: SystemTime,
    pub is_closed: bool,
}

/// A file or folder.
#[derive(Clone, Debug)]
pub(super) struct MemoryItem {
    pub parent: ItemId,
    pub name: String,
    pub file_id: FileId,
    pub born: SystemTime,
    pub modified: SystemTime,
    pub props: Vec<DeadProp>,
    pub kind: ItemKind,
}

/// What an item holds.
#[derive(Clone, Debug)]
pub(super) enum ItemKind {
    Folder(BTreeMap<String, ItemId>),
    File(FileContent),
}

/// The content of a file, and its former ones, newest first.
#[derive(Clone, Debug)]
pub(super) struct FileContent {
    pub bytes: Bytes,
    pub digest: Option<Digest>,
    /// Another one for each save.
    pub serial: u64,
    pub versions: Vec<FormerContent>,
}

#[derive(Clone, Debug)]
pub(super) struct FormerContent {
    pub version: Version,
    pub bytes: Bytes,
    pub digest: Option<Digest>,
}

/// Where something in the trash lay.
#[derive(Clone, Debug)]
pub(super) struct TrashNote {
    pub path: RelPath,
    who: AccountName,
    pub at: SystemTime,
}

/// An upload that outlives requests.
#[derive(Clone, Debug)]
pub(super) struct StoredUpload {
    pub bytes: Arc<Mutex<Vec<u8>>>,
    /// Bytes that room is kept for.
    pub len: u64,
}

/// What happened to an item, as a rewind takes it back.
#[derive(Clone, Debug)]
pub(super) enum MemoryEvent {
    /// It came to where it is, from here or from nowhere.
    Placed(ItemId, Option<(ItemId, String)>),
    /// It got another content; the one before is this version, or was empty.
    Written(ItemId, Option<String>),
    /// It was here, and is gone for good.
    Purged(ItemId, (ItemId, String)),
}

/// Where a path leads: a name in a folder, as it is spelled there, and what has it.
#[derive(Debug)]
pub(super) struct MemoryPlace {
    pub parent: ItemId,
    pub name: String,
    pub there: Option<ItemId>,
}

impl MemoryState {
    pub fn new() -> Self {
        let mut state = Self {
            items: HashMap::new(),
            next: FIRST,
            notes: BTreeMap::new(),
            log: Vec::new(),
            since: SystemTime::now(),
            uploads: BTreeMap::new(),
            promises: HashMap::new(),
            claims: HashSet::new(),
            held_until: UNIX_EPOCH,
            is_closed: false,
        };
        for (id, parent, name) in [(ROOT, ROOT, ""), (HIDDEN, HIDDEN, HIDDEN_NAME)] {
            state.items.insert(id, MemoryItem::folder(parent, name));
        }
        for (id, name) in HIDDEN_FOLDERS {
            state.items.insert(id, MemoryItem::folder(HIDDEN, name));
            state.attach(id, HIDDEN, name);
        }
        state
    }

    /// A number that nothing has had.
    pub fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// What has this name in a folder, in either spelling.
    pub fn member(&self, folder: ItemId, name: &str) -> Option<ItemId> {
        let ItemKind::Folder(members) = &self.items.get(&folder)?.kind else {
            return None;
        };
        let spelled_otherwise = || {
            let same = |other: &&String| other.nfc().eq(name.nfc());
            let other = members.keys().find(same)?;
            members.get(other)
        };
        let exact = members.get(name);
        exact
            .or_else(|| (!name.is_ascii()).then(spelled_otherwise).flatten())
            .copied()
    }

    /// What stands at a path; `NotFound`.
    pub fn find(&self, path: &RelPath) -> Result<ItemId> {
        let mut names = path.names().peekable();
        let is_hidden = names.next_if(|name| *name == HIDDEN_NAME).is_some();
        names
            .try_fold(if is_hidden { HIDDEN } else { ROOT }, |at, name| {
                self.member(at, name)
            })
            .ok_or(Error::NotFound)
    }

    /// Where something is or may come to be; `ParentMissing`. The root has no place.
    pub fn place(&self, path: &RelPath) -> Result<MemoryPlace> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Err(Error::Forbidden("This is the drive itself."));
        };
        let parent = self.find(&parent).map_err(|_| Error::ParentMissing)?;
        if !self.item(parent).is_folder() {
            return Err(Error::ParentMissing);
        }
        let there = self.member(parent, name);
        let name = there.map_or(name, |there| &self.item(there).name);
        Ok(MemoryPlace {
            parent,
            name: name.to_owned(),
            there,
        })
    }

    pub fn item(&self, id: ItemId) -> &MemoryItem {
        &self.items[&id]
    }

    pub fn item_mut(&mut self, id: ItemId) -> &mut MemoryItem {
        self.items.get_mut(&id).unwrap()
    }

    pub fn node(&self, id: ItemId) -> Node {
        let item = self.item(id);
        let (folder, len, serial) = match &item.kind {
            ItemKind::Folder(_) => (true, 0, id),
            ItemKind::File(content) => (false, content.bytes.len() as u64, content.serial),
        };
        let etag = Etag([serial, nanos(item.born), nanos(item.modified), len]);
        Node {
            folder,
            len,
            modified: item.modified,
            created: item.born,
            etag,
        }
    }

    /// The file at a path; `NotFound`, `IsFolder`.
    pub fn file(&self, path: &RelPath) -> Result<(ItemId, &FileContent)> {
        let id = self.find(path)?;
        match &self.item(id).kind {
            ItemKind::File(content) => Ok((id, content)),
            ItemKind::Folder(_) => Err(Error::IsFolder),
        }
    }

    /// The names and items of a folder; `NotFound`, `NotFolder`.
    pub fn members(&self, path: &RelPath) -> Result<&BTreeMap<String, ItemId>> {
        match &self.item(self.find(path)?).kind {
            ItemKind::Folder(members) => Ok(members),
            ItemKind::File(_) => Err(Error::NotFolder),
        }
    }

    /// Where an item is, as its names are spelled.
    pub fn path_of(&self, id: ItemId) -> RelPath {
        let item = self.item(id);
        match id {
            ROOT => RelPath::root(),
            HIDDEN => RelPath::from_stored(HIDDEN_NAME.to_owned()),
            _ => self.path_of(item.parent).child(&item.name),
        }
    }

    /// An item and all below it.
    pub fn below(&self, id: ItemId) -> Vec<ItemId> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(item) = all.get(at).map(|id| self.item(*id)) {
            if let ItemKind::Folder(members) = &item.kind {
                all.extend(members.values());
            }
            at += 1;
        }
        all
    }

    /// Bytes of a file, or of all files in a folder.
    pub fn size(&self, id: ItemId) -> u64 {
        let below = self.below(id);
        below.into_iter().map(|id| self.node(id).len).sum()
    }

    /// Makes an item known in a folder, where nothing has its name.
    pub fn attach(&mut self, id: ItemId, parent: ItemId, name: &str) {
        let item = self.item_mut(id);
        item.parent = parent;
        name.clone_into(&mut item.name);
        let folder = self.item_mut(parent);
        folder.modified = SystemTime::now();
        if let ItemKind::Folder(members) = &mut folder.kind {
            members.insert(name.to_owned(), id);
        }
    }

    fn detach(&mut self, id: ItemId) -> (ItemId, String) {
        let MemoryItem { parent, name, .. } = self.item(id).clone();
        let folder = self.item_mut(parent);
        folder.modified = SystemTime::now();
        if let ItemKind::Folder(members) = &mut folder.kind {
            members.remove(&name);
        }
        (parent, name)
    }

    /// Adds something new.
    pub fn add(&mut self, item: MemoryItem) -> ItemId {
        let id = self.next_number();
        let (parent, name) = (item.parent, item.name.clone());
        self.items.insert(id, item);
        self.attach(id, parent, &name);
        self.note(MemoryEvent::Placed(id, None));
        id
    }

    /// Moves an item, whole.
    pub fn relocate(&mut self, id: ItemId, parent: ItemId, name: &str) {
        let from = self.detach(id);
        self.attach(id, parent, name);
        self.note(MemoryEvent::Placed(id, Some(from)));
    }

    /// Deletes an item for good.
    pub fn remove(&mut self, id: ItemId) {
        let below = self.below(id);
        let from = self.detach(id);
        self.items.retain(|id, _| !below.contains(id));
        self.note(MemoryEvent::Purged(id, from));
    }

    pub fn note(&mut self, event: MemoryEvent) {
        self.log.push((SystemTime::now(), event));
    }

    /// Moves an item to the trash, or to where it waits for that; returns its name there.
    pub fn discard(&mut self, id: ItemId, into: ItemId, who: &AccountName) -> String {
        // Later ones sort before earlier ones.
        let name = format!("{:016x}", u64::MAX - self.next_number());
        let note = TrashNote {
            path: self.path_of(id),
            who: who.clone(),
            at: from_unix_seconds(unix_seconds(SystemTime::now())),
        };
        self.notes.insert(name.clone(), note);
        self.relocate(id, into, &name);
        name
    }

    /// The item of the trash of this name; `NotFound`.
    pub fn trashed(&self, name: &str) -> Result<(ItemId, TrashedItem)> {
        let found = self.member(TRASH, name).zip(self.notes.get(name));
        let (id, note) = found.ok_or(Error::NotFound)?;
        let item = TrashedItem {
            id: name.to_owned(),
            path: note.path.clone(),
            deleted_by: Some(note.who.clone()),
            deleted_at: Some(note.at),
            node: self.node(id),
        };
        Ok((id, item))
    }
}

impl MemoryItem {
    pub fn folder(parent: ItemId, name: &str) -> Self {
        let now = SystemTime::now();
        Self {
            parent,
            name: name.to_owned(),
            file_id: FileId::new().unwrap(),
            born: now,
            modified: now,
            props: Vec::new(),
            kind: ItemKind::Folder(BTreeMap::new()),
        }
    }

    pub fn is_folder(&self) -> bool {
        matches!(self.kind, ItemKind::Folder(_))
    }
}

/// Nanoseconds since 1970, as an entity tag has them.
fn nanos(time: SystemTime) -> u64 {
    let count = |nanos: u128| i64::try_from(nanos).unwrap();
    let nanos = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => count(after.as_nanos()),
        Err(before) => -count(before.duration().as_nanos()),
    };
    nanos.cast_unsigned()
}
