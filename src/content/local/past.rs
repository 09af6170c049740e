//! A tree in memory, of what lies where: as it is, or as it was once the chronicle is gone through backwards. A folder that nothing
//! has happened in is one entry, whatever its size; it is read from the disk only when something has.

use super::chronicle::{Before, Event};
use super::list::visible;
use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, explain};
use crate::model::Result;
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;

/// A file or folder of such a tree.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its name, as spelled.
    pub name: String,
    /// Where it lies on the disk now; `None` for a folder that is no more.
    pub source: Option<String>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A file, with the content it has or with another.
    File(Option<Before>),
    /// A folder; `None` when it is as on the disk.
    Folder(Option<Members>),
    /// Something that is not kept any more.
    Gone,
}

/// By name in NFC, under which both spellings are one.
pub(super) type Members = BTreeMap<String, Item>;

/// The whole of it.
#[derive(Debug)]
pub(super) struct Past<'r> {
    root: &'r Root,
    top: Item,
}

impl<'r> Past<'r> {
    /// The tree as it is.
    pub fn now(root: &'r Root) -> Result<Self> {
        let mut members = listed(root, "")?;
        let own = ".sarang".to_owned();
        let own_folder = Item { name: own.clone(), source: Some(own.clone()), what: What::Folder(None) };
        members.insert(own, own_folder);
        let top = Item { name: String::new(), source: Some(String::new()), what: What::Folder(Some(members)) };
        Ok(Self { root, top })
    }

    /// The tree before events, newest first.
    pub fn before(root: &'r Root, events: &[Event]) -> Result<Self> {
        let mut past = Self::now(root)?;
        for event in events {
            past.undo(event)?;
        }
        Ok(past)
    }

    fn undo(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Begun => Ok(()),
            Event::Made(path) => self.take(path).map(drop),
            Event::Moved(from, to) => {
                let gone = Item { name: String::new(), source: None, what: What::Gone };
                let item = self.take(to)?.unwrap_or(gone);
                self.place(from, item)
            }
            Event::Written(path, before) => {
                let is_kept = match before {
                    Before::Version(history, id) => self.has_version(history, id)?,
                    Before::Empty => true,
                    Before::Unkept => false,
                };
                // Of versions that were thinned out the next one that is left stands for them.
                if let (true, Some(Item { what: What::File(content), .. })) = (is_kept, self.find(path)?) {
                    *content = Some(before.clone());
                }
                Ok(())
            }
        }
    }

    fn has_version(&self, history: &str, id: &str) -> Result<bool> {
        match os::open_any(fd(&self.root.versions), &format!("{history}/{id}"), Lookup::Full) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(e) => Err(explain("look for former contents", e)),
        }
    }

    /// What stands at a path.
    pub fn find(&mut self, path: &str) -> Result<Option<&mut Item>> {
        let root = self.root;
        let mut at = &mut self.top;
        for name in names(path) {
            let Some(members) = at.members(root)? else { return Ok(None) };
            let Some(item) = members.get_mut(&key(name)) else { return Ok(None) };
            at = item;
        }
        Ok(Some(at))
    }

    /// What is in the folder at a path; nothing when there is none.
    pub fn members(&mut self, path: &str) -> Result<Members> {
        let root = self.root;
        match self.find(path)? {
            Some(folder) => Ok(folder.members(root)?.cloned().unwrap_or_default()),
            None => Ok(Members::new()),
        }
    }

    /// Takes away what stands at a path.
    pub fn take(&mut self, path: &str) -> Result<Option<Item>> {
        let root = self.root;
        let (parent, name) = split(path);
        let Some(folder) = self.find(parent)? else { return Ok(None) };
        Ok(folder.members(root)?.and_then(|members| members.remove(&key(name))))
    }

    /// Lets something stand at a path, in folders that are made where there are none.
    pub fn place(&mut self, path: &str, item: Item) -> Result<()> {
        let root = self.root;
        let (parent, name) = split(path);
        let mut at = &mut self.top;
        for name in names(parent) {
            if at.members(root)?.is_none() {
                at.what = What::Folder(Some(Members::new()));
                at.source = None;
            }
            let Some(members) = at.members(root)? else { return Ok(()) };
            at = members.entry(key(name)).or_insert_with(|| Item::missing_folder(name));
        }
        if let Some(members) = at.members(root)? {
            members.insert(key(name), Item { name: name.to_owned(), ..item });
        }
        Ok(())
    }
}

impl Item {
    /// A folder of which only the name is left.
    pub fn missing_folder(name: &str) -> Self {
        Self { name: name.to_owned(), source: None, what: What::Folder(Some(Members::new())) }
    }

    /// What is in it, read from the disk if need be; `None` for a file.
    fn members(&mut self, root: &Root) -> Result<Option<&mut Members>> {
        let What::Folder(members) = &mut self.what else { return Ok(None) };
        if members.is_none() {
            *members = Some(listed(root, self.source.as_deref().unwrap_or_default())?);
        }
        Ok(members.as_mut())
    }
}

fn listed(root: &Root, path: &str) -> Result<Members> {
    let failed = |e| explain("read the folder", e);
    let dir = match os::open_folder(fd(&root.dir), path, Lookup::Full) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Members::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut members = Members::new();
    let read = os::read_names(fd(&dir), &mut Vec::new(), usize::MAX, |raw, kind| {
        let Some(name) = visible(raw) else { return Ok(()) };
        let kind = match kind {
            Some(kind) => kind,
            None => os::stat_entry(fd(&dir), raw)?.kind,
        };
        let what = match kind {
            Kind::File => What::File(None),
            Kind::Folder => What::Folder(None),
            Kind::Other => return Ok(()),
        };
        members.insert(key(name), Item { name: name.to_owned(), source: Some(joined(path, name)), what });
        Ok::<_, Errno>(())
    });
    read.map_err(failed)?;
    Ok(members)
}

/// A name in a folder, as a path.
pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The folder of a path, and its last name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

fn key(name: &str) -> String {
    if name.is_ascii() { name.to_owned() } else { name.nfc().collect() }
}
