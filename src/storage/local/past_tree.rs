//! A tree in memory, of what lies where: as it is, or as it was once the change log is gone through backwards. It holds only what is
//! otherwise than on the disk, and what was looked at; all else is asked of the disk.

use super::change_log::{LoggedChange, PreviousContent};
use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::internal_dirs::OWN_DIR;
use super::names::{join_path, resolve_name, split_path, visible_name};
use super::sys::{self, Errno, FileKind, Lookup, fd};
use crate::model::Result;
use crate::model::path::check_name;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use unicode_normalization::UnicodeNormalization;

/// A file or folder of such a tree.
#[derive(Debug)]
pub(super) struct PastItem {
    /// Its name, as spelled.
    pub name: Box<str>,
    /// Where it lies on the disk now; `None` for a folder that is no more.
    pub source: Option<Box<str>>,
    /// Bytes of a file as it lies there; 0 for a folder.
    pub len: u64,
    pub what: PastContent,
}

#[derive(Debug)]
pub(super) enum PastContent {
    /// A file, with the content it has or with another.
    File(Option<Box<PreviousContent>>),
    /// A folder, which is as on the disk but for these.
    Folder(PastMembers),
    /// Something that is not kept any more.
    Gone,
}

/// By name in NFC, under which both spellings are one; `None` where nothing stands, whatever is on the disk.
pub(super) type PastMembers = BTreeMap<Box<str>, Option<Box<PastItem>>>;

/// The whole of it.
#[derive(Debug)]
pub(super) struct PastTree<'r> {
    disk: DiskView<'r>,
    top: PastItem,
}

/// The disk as it is, and the folder of it that was asked last.
#[derive(Debug)]
struct DiskView<'r> {
    dirs: &'r TreeDirs,
    last: Option<(Box<str>, OwnedFd)>,
}

impl<'r> PastTree<'r> {
    /// The tree as it is.
    pub fn now(dirs: &'r TreeDirs) -> Self {
        let mut top = PastItem {
            source: Some("".into()),
            ..PastItem::missing_folder("")
        };
        top.set(
            OWN_DIR,
            PastItem {
                source: Some(OWN_DIR.into()),
                ..PastItem::missing_folder(OWN_DIR)
            },
        );
        Self {
            disk: DiskView { dirs, last: None },
            top,
        }
    }

    /// Takes back an event; of several the newest first.
    pub fn undo(&mut self, event: LoggedChange) -> Result<()> {
        match event {
            LoggedChange::Begun => Ok(()),
            LoggedChange::Made(path) => self.clear(&path),
            LoggedChange::Moved(from, to) => {
                let gone = PastItem {
                    what: PastContent::Gone,
                    ..PastItem::missing_folder("")
                };
                let item = self.take(&to)?.unwrap_or(gone);
                self.place(&from, item)
            }
            LoggedChange::Written(path, before) => {
                let is_kept = match &before {
                    PreviousContent::Version(history, id) => self.has_version(history, id)?,
                    PreviousContent::Empty => true,
                    PreviousContent::Unkept => false,
                };
                // Of versions that were thinned out the next one that is left stands for them.
                if let (
                    true,
                    Some(PastItem {
                        what: PastContent::File(content),
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
        match sys::open_any(
            fd(&self.disk.dirs.versions),
            &format!("{history}/{id}"),
            Lookup::Full,
        ) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(e) => Err(map_errno("look for former contents", e)),
        }
    }

    /// What stands at a path.
    pub fn find(&mut self, path: &str) -> Result<Option<&mut PastItem>> {
        self.top.below(&mut self.disk, path)
    }

    /// The names of all that stands in the folder at a path.
    pub fn names_in(&mut self, path: &str) -> Result<Vec<String>> {
        let Some(PastItem {
            source,
            what: PastContent::Folder(changed),
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
            if known.binary_search(&name_key(name)).is_err() {
                standing.push(name.to_owned());
            }
        })?;
        Ok(standing)
    }

    /// Takes away what stands at a path.
    pub fn take(&mut self, path: &str) -> Result<Option<PastItem>> {
        if path.is_empty() {
            return Ok(Some(std::mem::replace(
                &mut self.top,
                PastItem::missing_folder(""),
            )));
        }
        let (parent, name) = split_path(path);
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
    pub fn take_last(&mut self, path: &str) -> Result<Option<PastItem>> {
        let (parent, name) = split_path(path);
        let Some(folder) = self.top.below(&mut self.disk, parent)? else {
            return Ok(None);
        };
        let PastContent::Folder(changed) = &folder.what else {
            return Ok(None);
        };
        match (changed.contains_key(&name_key(name)), &folder.source) {
            (false, Some(source)) => self.disk.look(source, name),
            _ => Ok(folder.clear(name)),
        }
    }

    /// Lets nothing stand at a path.
    fn clear(&mut self, path: &str) -> Result<()> {
        let (parent, name) = split_path(path);
        if let Some(folder) = self.find(parent)? {
            drop(folder.clear(name));
        }
        Ok(())
    }

    /// Lets something stand at a path, in folders that are made where there are none.
    pub fn place(&mut self, path: &str, item: PastItem) -> Result<()> {
        let (parent, name) = split_path(path);
        let mut at = &mut self.top;
        for name in names(parent) {
            at.be_folder();
            if at.member(&mut self.disk, name)?.is_none() {
                at.set(name, PastItem::missing_folder(name));
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
            PastItem {
                name: name.into(),
                ..item
            },
        );
        Ok(())
    }

    /// How many names are in memory.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        fn held(item: &PastItem) -> usize {
            let PastContent::Folder(changed) = &item.what else {
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
    pub fn on_disk(&mut self, source: &str) -> Result<Option<PastItem>> {
        let (parent, name) = split_path(source);
        self.disk.look(parent, name)
    }
}

impl PastItem {
    /// A folder of which only the name is left.
    pub fn missing_folder(name: &str) -> Self {
        Self {
            name: name.into(),
            source: None,
            len: 0,
            what: PastContent::Folder(PastMembers::new()),
        }
    }

    /// What stands at a path below it.
    fn below(&mut self, disk: &mut DiskView<'_>, path: &str) -> Result<Option<&mut Self>> {
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
    fn member(&mut self, disk: &mut DiskView<'_>, name: &str) -> Result<Option<&mut PastItem>> {
        let PastContent::Folder(changed) = &mut self.what else {
            return Ok(None);
        };
        let key = name_key(name);
        if let (false, Some(source)) = (changed.contains_key(&key), &self.source) {
            let Some(found) = disk.look(source, name)? else {
                return Ok(None);
            };
            changed.insert(key.clone(), Some(Box::new(found)));
        }
        Ok(changed.get_mut(&key).and_then(Option::as_deref_mut))
    }

    /// Lets nothing stand in it under a name; returns what is known to have stood there.
    fn clear(&mut self, name: &str) -> Option<PastItem> {
        let PastContent::Folder(changed) = &mut self.what else {
            return None;
        };
        // What is nowhere on the disk need not be hidden.
        let stood = if self.source.is_none() {
            changed.remove(&name_key(name))
        } else {
            changed.insert(name_key(name), None)
        };
        stood.flatten().map(|item| *item)
    }

    fn set(&mut self, name: &str, item: PastItem) {
        if let PastContent::Folder(changed) = &mut self.what {
            changed.insert(name_key(name), Some(Box::new(item)));
        }
    }

    fn be_folder(&mut self) {
        if !matches!(self.what, PastContent::Folder(_)) {
            (self.what, self.source) = (PastContent::Folder(PastMembers::new()), None);
        }
    }
}

impl DiskView<'_> {
    /// What lies under a name in the folder at a path.
    fn look(&mut self, folder: &str, name: &str) -> Result<Option<PastItem>> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let Some(dir) = self.open(folder)? else {
            return Ok(None);
        };
        let (name, Some(found)) = resolve_name(fd(dir), name)? else {
            return Ok(None);
        };
        let what = match found.kind {
            FileKind::File => PastContent::File(None),
            FileKind::Folder => PastContent::Folder(PastMembers::new()),
            FileKind::Other => return Ok(None),
        };
        let source = Some(join_path(folder, &name).into());
        Ok(Some(PastItem {
            name: name.as_ref().into(),
            source,
            len: found.node.len,
            what,
        }))
    }

    /// Shows the names of all that lies in the folder at a path and is not hidden.
    fn list(&mut self, folder: &str, mut visit: impl FnMut(&str)) -> Result<()> {
        let failed = |e| map_errno("read the folder", e);
        let Some(dir) = self.open(folder)? else {
            return Ok(());
        };
        // A fresh descriptor, since reading moves the one that is kept.
        let dir = sys::open_folder(fd(dir), "", Lookup::Full).map_err(failed)?;
        let read = sys::read_dir(fd(&dir), &mut Vec::new(), usize::MAX, |raw, kind| {
            let Some(name) = visible_name(raw) else {
                return Ok(());
            };
            let kind = kind.map_or_else(
                || sys::stat_entry(fd(&dir), raw).map(|found| found.kind),
                Ok,
            )?;
            if kind != FileKind::Other {
                visit(name);
            }
            Ok::<_, Errno>(())
        });
        read.map(drop).map_err(failed)
    }

    fn open(&mut self, folder: &str) -> Result<Option<&OwnedFd>> {
        if self.last.as_ref().is_none_or(|(path, _)| &**path != folder) {
            let opened = match sys::open_folder(fd(&self.dirs.dir), folder, Lookup::Full) {
                Ok(dir) => dir,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(e) => return Err(map_errno("read the folder", e)),
            };
            self.last = Some((folder.into(), opened));
        }
        Ok(self.last.as_ref().map(|(_, dir)| dir))
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// What a name is known by in a folder.
pub(super) fn name_key(name: &str) -> Box<str> {
    if name.is_ascii() {
        name.into()
    } else {
        name.nfc().collect()
    }
}
