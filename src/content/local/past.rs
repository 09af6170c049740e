//! A tree in memory, of what lies where: as it is, or as it was once the chronicle is gone through backwards. It holds only what is
//! otherwise than on the disk, and what was looked at; all else is asked of the disk.

use super::chronicle::{Before, Event, OWN};
use super::list::visible;
use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, explain};
use super::spelled::spelling;
use crate::model::Result;
use crate::model::path::check_name;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use unicode_normalization::UnicodeNormalization;

/// A file or folder of such a tree.
#[derive(Debug)]
pub(super) struct Item {
    /// Its name, as spelled.
    pub name: Box<str>,
    /// Where it lies on the disk now; `None` for a folder that is no more.
    pub source: Option<Box<str>>,
    /// Bytes of a file as it lies there; 0 for a folder.
    pub len: u64,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A file, with the content it has or with another.
    File(Option<Box<Before>>),
    /// A folder, which is as on the disk but for these.
    Folder(Members),
    /// Something that is not kept any more.
    Gone,
}

/// By name in NFC, under which both spellings are one; `None` where nothing stands, whatever is on the disk.
pub(super) type Members = BTreeMap<Box<str>, Option<Box<Item>>>;

/// The whole of it.
#[derive(Debug)]
pub(super) struct Past<'r> {
    disk: Disk<'r>,
    top: Item,
}

/// The disk as it is, and the folder of it that was asked last.
#[derive(Debug)]
struct Disk<'r> {
    root: &'r Root,
    last: Option<(Box<str>, OwnedFd)>,
}

impl<'r> Past<'r> {
    /// The tree as it is.
    pub fn now(root: &'r Root) -> Self {
        let mut top = Item {
            source: Some("".into()),
            ..Item::missing_folder("")
        };
        top.set(
            OWN,
            Item {
                source: Some(OWN.into()),
                ..Item::missing_folder(OWN)
            },
        );
        Self {
            disk: Disk { root, last: None },
            top,
        }
    }

    /// Takes back an event; of several the newest first.
    pub fn undo(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begun => Ok(()),
            Event::Made(path) => self.clear(&path),
            Event::Moved(from, to) => {
                let gone = Item {
                    what: What::Gone,
                    ..Item::missing_folder("")
                };
                let item = self.take(&to)?.unwrap_or(gone);
                self.place(&from, item)
            }
            Event::Written(path, before) => {
                let is_kept = match &before {
                    Before::Version(history, id) => self.has_version(history, id)?,
                    Before::Empty => true,
                    Before::Unkept => false,
                };
                // Of versions that were thinned out the next one that is left stands for them.
                if let (
                    true,
                    Some(Item {
                        what: What::File(content),
                        ..
                    }),
                ) = (is_kept, self.find(&path)?)
                {
                    *content = Some(Box::new(before));
                }
                Ok(())
            }
        }
    }

    fn has_version(&self, history: &str, id: &str) -> Result<bool> {
        match os::open_any(
            fd(&self.disk.root.versions),
            &format!("{history}/{id}"),
            Lookup::Full,
        ) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(e) => Err(explain("look for former contents", e)),
        }
    }

    /// What stands at a path.
    pub fn find(&mut self, path: &str) -> Result<Option<&mut Item>> {
        self.top.below(&mut self.disk, path)
    }

    /// The names of all that stands in the folder at a path.
    pub fn names_in(&mut self, path: &str) -> Result<Vec<String>> {
        let Some(Item {
            source,
            what: What::Folder(changed),
            ..
        }) = self.find(path)?
        else {
            return Ok(Vec::new());
        };
        let mut standing: Vec<String> = changed
            .values()
            .flatten()
            .map(|item| item.name.to_string())
            .collect();
        let known: Vec<Box<str>> = changed.keys().cloned().collect();
        let Some(source) = source.clone() else {
            return Ok(standing);
        };
        self.disk.list(&source, |name| {
            if known.binary_search(&key(name)).is_err() {
                standing.push(name.to_owned());
            }
        })?;
        Ok(standing)
    }

    /// Takes away what stands at a path.
    pub fn take(&mut self, path: &str) -> Result<Option<Item>> {
        if path.is_empty() {
            return Ok(Some(std::mem::replace(
                &mut self.top,
                Item::missing_folder(""),
            )));
        }
        let (parent, name) = split(path);
        let Some(folder) = self.top.below(&mut self.disk, parent)? else {
            return Ok(None);
        };
        // So that it is known.
        if folder.member(&mut self.disk, name)?.is_none() {
            return Ok(None);
        }
        Ok(folder.clear(name))
    }

    /// As [`take`](Self::take), where nobody will look again: what is as on the disk is then not kept in mind.
    pub fn take_last(&mut self, path: &str) -> Result<Option<Item>> {
        let (parent, name) = split(path);
        let Some(folder) = self.top.below(&mut self.disk, parent)? else {
            return Ok(None);
        };
        let What::Folder(changed) = &folder.what else {
            return Ok(None);
        };
        match (changed.contains_key(&key(name)), &folder.source) {
            (false, Some(source)) => self.disk.look(source, name),
            _ => Ok(folder.clear(name)),
        }
    }

    /// Lets nothing stand at a path.
    fn clear(&mut self, path: &str) -> Result<()> {
        let (parent, name) = split(path);
        if let Some(folder) = self.find(parent)? {
            drop(folder.clear(name));
        }
        Ok(())
    }

    /// Lets something stand at a path, in folders that are made where there are none.
    pub fn place(&mut self, path: &str, item: Item) -> Result<()> {
        let (parent, name) = split(path);
        let mut at = &mut self.top;
        for name in names(parent) {
            at.be_folder();
            if at.member(&mut self.disk, name)?.is_none() {
                at.set(name, Item::missing_folder(name));
            }
            // It is there now.
            let Some(item) = at.member(&mut self.disk, name)? else {
                return Ok(());
            };
            at = item;
        }
        at.be_folder();
        at.set(
            name,
            Item {
                name: name.into(),
                ..item
            },
        );
        Ok(())
    }

    /// How many names are in memory.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        fn held(item: &Item) -> usize {
            let What::Folder(changed) = &item.what else {
                return 0;
            };
            changed
                .values()
                .map(|item| 1 + item.as_deref().map_or(0, held))
                .sum()
        }
        held(&self.top)
    }

    /// A file or folder as it lies on the disk; `None` when it is gone.
    pub fn on_disk(&mut self, source: &str) -> Result<Option<Item>> {
        let (parent, name) = split(source);
        self.disk.look(parent, name)
    }
}

impl Item {
    /// A folder of which only the name is left.
    pub fn missing_folder(name: &str) -> Self {
        Self {
            name: name.into(),
            source: None,
            len: 0,
            what: What::Folder(Members::new()),
        }
    }

    /// What stands at a path below it.
    fn below(&mut self, disk: &mut Disk<'_>, path: &str) -> Result<Option<&mut Self>> {
        let mut at = self;
        for name in names(path) {
            let Some(item) = at.member(disk, name)? else {
                return Ok(None);
            };
            at = item;
        }
        Ok(Some(at))
    }

    /// What stands in it under a name; `None` for nothing, and in a file.
    fn member(&mut self, disk: &mut Disk<'_>, name: &str) -> Result<Option<&mut Item>> {
        let What::Folder(changed) = &mut self.what else {
            return Ok(None);
        };
        let key = key(name);
        if let (false, Some(source)) = (changed.contains_key(&key), &self.source) {
            let Some(found) = disk.look(source, name)? else {
                return Ok(None);
            };
            changed.insert(key.clone(), Some(Box::new(found)));
        }
        Ok(changed.get_mut(&key).and_then(Option::as_deref_mut))
    }

    /// Lets nothing stand in it under a name; returns what is known to have stood there.
    fn clear(&mut self, name: &str) -> Option<Item> {
        let What::Folder(changed) = &mut self.what else {
            return None;
        };
        // What is nowhere on the disk need not be hidden.
        let stood = if self.source.is_none() {
            changed.remove(&key(name))
        } else {
            changed.insert(key(name), None)
        };
        stood.flatten().map(|item| *item)
    }

    fn set(&mut self, name: &str, item: Item) {
        if let What::Folder(changed) = &mut self.what {
            changed.insert(key(name), Some(Box::new(item)));
        }
    }

    fn be_folder(&mut self) {
        if !matches!(self.what, What::Folder(_)) {
            (self.what, self.source) = (What::Folder(Members::new()), None);
        }
    }
}

impl Disk<'_> {
    /// What lies under a name in the folder at a path.
    fn look(&mut self, folder: &str, name: &str) -> Result<Option<Item>> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let Some(dir) = self.open(folder)? else {
            return Ok(None);
        };
        let (name, Some(found)) = spelling(fd(dir), name)? else {
            return Ok(None);
        };
        let what = match found.kind {
            Kind::File => What::File(None),
            Kind::Folder => What::Folder(Members::new()),
            Kind::Other => return Ok(None),
        };
        let source = Some(joined(folder, &name).into());
        Ok(Some(Item {
            name: name.as_ref().into(),
            source,
            len: found.node.len,
            what,
        }))
    }

    /// Shows the names of all that lies in the folder at a path and is not hidden.
    fn list(&mut self, folder: &str, mut visit: impl FnMut(&str)) -> Result<()> {
        let failed = |e| explain("read the folder", e);
        let Some(dir) = self.open(folder)? else {
            return Ok(());
        };
        // A fresh descriptor, since reading moves the one that is kept.
        let dir = os::open_folder(fd(dir), "", Lookup::Full).map_err(failed)?;
        let read = os::read_names(fd(&dir), &mut Vec::new(), usize::MAX, |raw, kind| {
            let Some(name) = visible(raw) else {
                return Ok(());
            };
            let kind =
                kind.map_or_else(|| os::stat_entry(fd(&dir), raw).map(|found| found.kind), Ok)?;
            if kind != Kind::Other {
                visit(name);
            }
            Ok::<_, Errno>(())
        });
        read.map(drop).map_err(failed)
    }

    fn open(&mut self, folder: &str) -> Result<Option<&OwnedFd>> {
        if self.last.as_ref().is_none_or(|(path, _)| &**path != folder) {
            let opened = match os::open_folder(fd(&self.root.dir), folder, Lookup::Full) {
                Ok(dir) => dir,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(e) => return Err(explain("read the folder", e)),
            };
            self.last = Some((folder.into(), opened));
        }
        Ok(self.last.as_ref().map(|(_, dir)| dir))
    }
}

/// A name in a folder, as a path.
pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The folder of a path, and its last name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// What a name is known by in a folder.
pub(super) fn key(name: &str) -> Box<str> {
    if name.is_ascii() {
        name.into()
    } else {
        name.nfc().collect()
    }
}
