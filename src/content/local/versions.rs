//! Former contents of files: `.sarang/versions/<history>/<milliseconds>.<stamp>`, where a file's attribute names its history.
//! So versions follow a file through every rename, into the trash and back, and keeping one is a second name for its inode.

use super::os::{self, Errno, Found, Kind, Lookup, fd};
use super::read::LocalReader;
use super::root::{Root, checked, existing, explain, replaceable, stat_name};
use super::stage::{self, Stage};
use super::walk;
use crate::content::{
    Node, Reader as _,
    history::{Version, outlived},
};
use crate::model::{Error, RelPath, Result};
use std::cmp::Reverse;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that are compared at once.
const PART: usize = 128 << 10;

/// Where the content that an upload replaces is kept.
pub(super) struct Shelf<'a> {
    root: &'a Root,
    history: String,
    dir: OwnedFd,
    /// Whether no file names it yet, so that it goes again if none will.
    is_loose: bool,
}

impl<'a> Shelf<'a> {
    /// The shelf of the file at a name, made if it has none yet, and the new content marked as of the same history. `None` where
    /// nothing is to be kept: no file, an empty one, versions switched off, or a file system without attributes.
    pub fn prepare(
        root: &'a Root,
        stage: &Stage,
        at: (BorrowedFd<'_>, &str),
        found: Option<&Found>,
    ) -> Result<Option<Self>> {
        if !root.settings.versions || found.is_none_or(|found| found.kind != Kind::File) {
            return Ok(None);
        }
        let (history, is_loose) = match os::history_at(at.0, at.1) {
            Ok(Some(history)) if checked(&history).is_ok() => (history, false),
            Ok(_) if found.is_some_and(|found| found.node.len == 0) => return Ok(None),
            Ok(_) => (root.stamp(), true),
            Err(Errno::OPNOTSUPP | Errno::NOENT) => return Ok(None),
            Err(e) => return Err(explain("look for former contents", e)),
        };
        match os::set_history(stage.file(), &history) {
            Ok(()) => Self::open(root, history, is_loose).map(Some),
            Err(Errno::OPNOTSUPP) => Ok(None),
            Err(e) => Err(explain("keep the former content", e)),
        }
    }

    /// The name of the history.
    pub fn history(&self) -> &str {
        &self.history
    }

    /// As [`prepare`](Self::prepare), when another file, or none, may stand at the name by now.
    pub fn renew(
        former: Option<Self>,
        (root, stage): (&'a Root, &Stage),
        at: (BorrowedFd<'_>, &str),
        found: Option<&Found>,
    ) -> Result<Option<Self>> {
        if former.as_ref().is_some_and(|former| former.is_of(at)) {
            return Ok(former);
        }
        let new = Self::prepare(root, stage, at, found)?;
        if former.is_some() && new.is_none() {
            os::clear_history(stage.file()).map_err(|e| explain("keep the former content", e))?;
        }
        Ok(new)
    }

    /// Whether it is still the shelf of the file at a name.
    fn is_of(&self, at: (BorrowedFd<'_>, &str)) -> bool {
        os::history_at(at.0, at.1).is_ok_and(|history| history.is_none_or(|history| history == self.history))
    }

    fn open(root: &'a Root, history: String, is_loose: bool) -> Result<Self> {
        let failed = |e| explain("keep the former content", e);
        let is_new = match os::make_folder(fd(&root.versions), &history) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(e) => return Err(failed(e)),
        };
        let dir = os::open_folder(fd(&root.versions), &history, Lookup::Full).map_err(failed)?;
        let shelf = Self { root, history, dir, is_loose };
        if is_new {
            root.settle(fd(&root.versions))?;
        }
        Ok(shelf)
    }

    /// Gives the present content a second name here; called under the guard, before the first name goes to another.
    pub fn keep(&self, from: (BorrowedFd<'_>, &str)) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("{:013}.{}", now.as_millis(), self.root.stamp());
        os::link(from, (fd(&self.dir), &id)).map_err(|e| explain("keep the former content", e))?;
        Ok(id)
    }

    /// Takes back what [`keep`](Self::keep) did, when the first name has not gone to another.
    pub fn take_back(&self, id: &str) {
        let _ = os::unlink_file(fd(&self.dir), id);
    }

    /// Says that a file names it now, so that it stays.
    pub fn bind(&mut self) {
        self.is_loose = false;
    }

    /// Makes what is kept durable, if the settings want that.
    pub fn settle(&self) -> Result<()> {
        self.root.settle(fd(&self.dir))
    }
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        if self.is_loose {
            remove_empty(self.root, &self.history);
        }
    }
}

/// Removes a shelf on which nothing is kept.
fn remove_empty(root: &Root, history: &str) {
    if let Ok(history) = CString::new(history) {
        let _ = os::remove_folder(fd(&root.versions), &history);
    }
}

/// Takes back what was kept for the sake of a file in `.sarang/tmp` that a crash kept from being published: the content
/// that it was to replace still has its first name. What cannot be taken back only costs room.
pub(super) fn take_back_for(root: &Root, upload: &str) {
    let Ok(Some(history)) = os::history_at(fd(&root.tmp), upload) else { return };
    let Some(dir) = checked(&history).ok().and_then(|history| shelf(root, history).ok().flatten()) else { return };
    let newest = versions_in(fd(&dir)).ok().and_then(|versions| versions.into_iter().next());
    let has_two_names = |id: &str| {
        let file = os::open_read(fd(&dir), id, Lookup::Full);
        file.and_then(|file| os::facts_fd(fd(&file))).is_ok_and(|facts| facts.names > 1)
    };
    if let Some(kept) = newest.filter(|kept| has_two_names(&kept.id)) {
        let _ = os::unlink_file(fd(&dir), &kept.id);
    }
    remove_empty(root, &history);
}

/// The former contents of a file, newest first.
pub(super) fn list(root: &Root, path: &RelPath) -> Result<Vec<Version>> {
    shelf_of(root, path)?.map_or(Ok(Vec::new()), |dir| versions_in(fd(&dir)))
}

/// Deletes for good what is no longer kept of every file's former contents; returns how many.
pub(super) fn expire(root: &Root, now: SystemTime) -> Result<u64> {
    let mut count = 0;
    for history in histories(root)? {
        let Some(dir) = shelf(root, &history)? else { continue };
        let versions = versions_in(fd(&dir))?;
        let times: Vec<_> = versions.iter().map(|version| version.replaced).collect();
        for version in outlived(&times, now).into_iter().filter_map(|index| versions.get(index)) {
            match os::unlink_file(fd(&dir), &version.id) {
                Ok(()) => count += 1,
                Err(Errno::NOENT) => {}
                Err(e) => return Err(explain("delete a former content", e)),
            }
        }
    }
    Ok(count)
}

/// The names of all histories.
pub(super) fn histories(root: &Root) -> Result<Vec<String>> {
    names_in(fd(&root.versions))
}

/// The former contents of one history, newest first.
pub(super) fn of_history(root: &Root, history: &str) -> Result<Vec<Version>> {
    shelf(root, history)?.map_or(Ok(Vec::new()), |dir| versions_in(fd(&dir)))
}

/// Deletes one former content of a history for good; `NotFound`.
pub(super) fn purge_of_history(root: &Root, history: &str, id: &str) -> Result<()> {
    let dir = shelf(root, history)?.ok_or(Error::NotFound)?;
    os::unlink_file(fd(&dir), checked(id)?).map_err(|e| explain("delete a former content", e))
}

/// The open folder of a history; `None` when it is gone.
fn shelf(root: &Root, history: &str) -> Result<Option<OwnedFd>> {
    match os::open_folder(fd(&root.versions), history, Lookup::Full) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(explain("look for former contents", e)),
    }
}

fn versions_in(dir: BorrowedFd<'_>) -> Result<Vec<Version>> {
    let mut versions = Vec::new();
    for id in names_in(dir)? {
        let Some(replaced) = replaced_at(&id) else { continue };
        if let Some(found) = stat_name(dir, &id)?.filter(|found| found.kind == Kind::File) {
            versions.push(Version { id, replaced, node: found.node });
        }
    }
    versions.sort_by_cached_key(|version| Reverse((version.replaced, version.id.clone())));
    Ok(versions)
}

fn names_in(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    walk::names(dir).map_err(|e| explain("read the former contents", e))
}

/// Opens a former content.
pub(super) fn open(root: &Arc<Root>, path: &RelPath, id: &str) -> Result<LocalReader> {
    let (dir, id) = (shelf_of(root, path)?.ok_or(Error::NotFound)?, checked(id)?);
    let file = os::open_read(fd(&dir), id, Lookup::Full).map_err(|e| explain("open the former content", e))?;
    LocalReader::over(root, file)
}

/// The length of a former content, if it is not the content of the file at `path` below the root.
pub(super) fn differing(root: &Root, path: &str, (history, id): (&str, &str)) -> Result<Option<u64>> {
    let failed = |e| explain("compare with the former content", e);
    let former = os::open_read(fd(&root.versions), &format!("{history}/{id}"), Lookup::Full).map_err(failed)?;
    let present = os::open_read(fd(&root.dir), path, Lookup::Full).map_err(failed)?;
    let len = os::stat_fd(fd(&former)).map_err(failed)?.node.len;
    if os::stat_fd(fd(&present)).map_err(failed)?.node.len != len {
        return Ok(Some(len));
    }
    let (mut one, mut other) = (vec![0; PART], vec![0; PART]);
    let mut offset = 0;
    loop {
        let count = os::read(fd(&former), &mut one, offset).map_err(failed)?;
        if count == 0 {
            return Ok(None);
        }
        let same = one.get(..count).unwrap_or_default();
        let mut at = 0;
        while let Some(room) = other.get_mut(at..count).filter(|room| !room.is_empty()) {
            match os::read(fd(&present), room, offset + at as u64).map_err(failed)? {
                0 => return Ok(Some(len)),
                more => at += more,
            }
        }
        if other.get(..count) != Some(same) {
            return Ok(Some(len));
        }
        offset += count as u64;
    }
}

/// A former content copied aside, ready to be published, and what it is.
pub(super) fn copy_aside(root: &Arc<Root>, path: &RelPath, id: &str) -> Result<(Stage, Node)> {
    let version = open(root, path, id)?;
    let node = version.node().clone();
    root.check_room(node.len)?;
    let stage = Stage::create(root, true)?;
    os::copy_bytes(version.file(), stage.file(), node.len).map_err(|e| explain("copy the former content", e))?;
    Ok((stage, node))
}

/// Deletes one former content for good.
pub(super) fn purge(root: &Root, path: &RelPath, id: &str) -> Result<()> {
    let (dir, id) = (shelf_of(root, path)?.ok_or(Error::NotFound)?, checked(id)?);
    os::unlink_file(fd(&dir), id).map_err(|e| explain("delete the former content", e))
}

/// Deletes all former contents of a file that goes away for good; what cannot be deleted only costs room.
pub(super) fn purge_all(root: &Root, dir: BorrowedFd<'_>, name: &str) {
    if let Ok(Some(history)) = os::history_at(dir, name)
        && checked(&history).is_ok()
    {
        let _ = stage::remove_tree(fd(&root.versions), &history, &mut |_, _| {});
    }
}

/// The open folder of a file's former contents; `None` when it has none.
fn shelf_of(root: &Root, path: &RelPath) -> Result<Option<OwnedFd>> {
    let place = root.place_of(path)?;
    let (name, found) = place.find()?;
    let found = existing(replaceable(found)?.ok_or(Error::NotFound)?)?;
    if found.kind == Kind::Folder {
        return Err(Error::IsFolder);
    }
    let history = match os::history_at(place.dir(), &name) {
        Ok(Some(history)) if checked(&history).is_ok() => history,
        Ok(_) | Err(Errno::OPNOTSUPP) => return Ok(None),
        Err(e) => return Err(explain("look for former contents", e)),
    };
    match os::open_folder(fd(&root.versions), &history, Lookup::Full) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(explain("look for former contents", e)),
    }
}

fn replaced_at(id: &str) -> Option<SystemTime> {
    let millis = id.split_once('.')?.0.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
