//! Former contents of files: `.sarang/versions/<history>/<milliseconds>.<stamp>-<birth>`, where a history is called by the id of its file. So
//! versions follow a file through every rename, into the trash and back, and a copy has none. An upload gets its first name here and changes places with what it replaces;
//! birth is the upload's, so that nobody takes it for a former content when a crash comes between the two.

use super::label::Label;
use super::os::{self, Errno, Kind, Lookup, fd};
use super::own;
use super::pictures;
use super::read::LocalReader;
use super::root::{Root, checked, existing, explain, replaceable, stat_name};
use super::stage::{self, Stage};
use super::stuck::Stuck;
use super::walk;
use crate::content::{
    FileId, Judge, Node, Reader as _,
    history::{Thinning, Version, outlived},
};
use crate::model::{Error, RelPath, Result};
use std::cmp::Reverse;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that are compared at once.
const PART: usize = 128 << 10;

/// How often a folder is made again that another writer of the file takes away, as nothing lies in it yet.
const TRIES: usize = 64;

/// Where the content that an upload replaces is kept.
pub(super) struct Shelf<'a> {
    root: &'a Root,
    history: String,
    /// Open where it is to be put on the disk: once a change is made, nothing may be missing for that.
    dir: Option<OwnedFd>,
    /// Whether it was made for what is laid on it now, so that it goes again if nothing will be.
    is_loose: bool,
}

impl<'a> Shelf<'a> {
    /// The shelf of a history, made if it is not there, for a content of `len` bytes. `None` for an empty one that would be the first:
    /// nothing is to be kept.
    pub fn of(root: &'a Root, history: &str, len: u64) -> Result<Option<Self>> {
        let mut shelf = Self {
            root,
            history: checked(history)?.to_owned(),
            dir: None,
            is_loose: false,
        };
        if len == 0 && stat_name(fd(&root.versions), history)?.is_none() {
            return Ok(None);
        }
        match shelf.open() {
            Err(Errno::NOENT) => shelf.make()?,
            other => other.map_err(failed)?,
        }
        Ok(Some(shelf))
    }

    /// The name of the history.
    pub fn history(&self) -> &str {
        &self.history
    }

    /// What the content that `new` replaces now is called here.
    pub fn next(&self, new: &Node) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        format!("{now:013}.{}-{:x}", self.root.stamp(), birth(new))
    }

    /// Lays something here by `name_it`, which is given the place.
    pub fn lay(
        &mut self,
        id: &str,
        name_it: impl Fn((BorrowedFd<'_>, &str)) -> os::Outcome<()>,
    ) -> Result<()> {
        let to = (fd(&self.root.versions), self.place(id));
        for _ in 0..TRIES {
            match name_it((to.0, &to.1)) {
                Err(Errno::NOENT) => self.make()?,
                // It lies in the folder that is there now.
                laid => return laid.and_then(|()| self.open()).map_err(failed),
            }
        }
        Err(failed(Errno::NOENT))
    }

    /// Lets what was laid here and what is at another name change places.
    pub fn exchange(&self, id: &str, with: (BorrowedFd<'_>, &str)) -> os::Outcome<()> {
        os::exchange((fd(&self.root.versions), &self.place(id)), with)
    }

    /// Gives what was laid here another name elsewhere.
    pub fn hand_back(&self, id: &str, to: (BorrowedFd<'_>, &str)) -> os::Outcome<()> {
        os::rename_over((fd(&self.root.versions), &self.place(id)), to)
    }

    /// Takes away again what was laid here.
    pub fn clear(&self, id: &str) {
        let _ = os::unlink_file(fd(&self.root.versions), &self.place(id));
    }

    /// Says that something lies on it, so that it stays.
    pub fn keep(&mut self) {
        self.is_loose = false;
    }

    /// Makes what is kept durable, if the settings want that.
    pub fn settle(&self) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        match os::sync(fd(dir)) {
            // Another writer took the folder away, as nothing was on it yet, and this one made it again. FUSE says so.
            Err(Errno::NOENT) => {
                let again = os::open_folder(fd(&self.root.versions), &self.history, Lookup::Full)
                    .map_err(failed)?;
                self.root.settle(fd(&again))
            }
            synced => synced.map_err(|e| Error::io("write to the disk", e)),
        }
    }

    fn make(&mut self) -> Result<()> {
        for _ in 0..TRIES {
            match os::make_folder(fd(&self.root.versions), &self.history) {
                Ok(()) => self.is_loose = true,
                Err(Errno::EXIST) => {}
                Err(e) => return Err(failed(e)),
            }
            self.root.settle(fd(&self.root.versions))?;
            match self.open() {
                Err(Errno::NOENT) => {}
                opened => return opened.map_err(failed),
            }
        }
        Err(failed(Errno::NOENT))
    }

    fn open(&mut self) -> os::Outcome<()> {
        if self.root.is_strict() {
            self.dir = Some(os::open_folder(
                fd(&self.root.versions),
                &self.history,
                Lookup::Full,
            )?);
        }
        Ok(())
    }

    fn place(&self, id: &str) -> String {
        format!("{}/{id}", self.history)
    }
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        if self.is_loose {
            remove_empty(fd(&self.root.versions), &self.history);
        }
    }
}

fn failed(errno: Errno) -> Error {
    explain("keep the former content", errno)
}

/// Removes a shelf on which nothing is kept.
fn remove_empty(versions: BorrowedFd<'_>, history: &str) {
    if let Ok(history) = CString::new(history) {
        let _ = os::remove_folder(versions, &history);
    }
}

/// What no other file has, nor a copy of this one; 0 where the file system does not tell when files were made.
pub(super) fn birth(node: &Node) -> u64 {
    let [inode, born] = node.inode();
    if born == 0 {
        0
    } else {
        inode.rotate_left(32) ^ born
    }
}

/// The former contents of a file, newest first.
pub(super) fn list(root: &Root, path: &RelPath) -> Result<Vec<Version>> {
    shelf_of(root, path)?.map_or(Ok(Vec::new()), |dir| versions_in(fd(&dir)))
}

/// Deletes for good what is no longer kept of every file's former contents, and what crashes have left there; returns how many.
pub(super) fn expire(root: &Root, thinning: Thinning, now: SystemTime) -> Result<u64> {
    let (mut count, mut stuck) = (0, Stuck::default());
    for history in histories(root)? {
        let Some(dir) = shelf(fd(&root.versions), &history)? else {
            continue;
        };
        let (versions, unpublished) = all_in(fd(&dir))?;
        let times: Vec<_> = versions.iter().map(|version| version.replaced).collect();
        let over = outlived(&times, thinning, now);
        for version in over.iter().filter_map(|index| versions.get(*index)) {
            match os::unlink_file(fd(&dir), &version.id) {
                Ok(()) => count += 1,
                Err(Errno::NOENT) => {}
                Err(e) => stuck.pass(explain("delete a former content", e))?,
            }
        }
        if !over.is_empty() {
            root.overflow.note_loose();
            root.total.note_purged();
        }
        if !unpublished.is_empty() || over.len() == versions.len() {
            let _guard = root.guard();
            tidy(fd(&root.versions), &history)?;
        }
    }
    Ok(count)
}

/// The names of all histories.
pub(super) fn histories(root: &Root) -> Result<Vec<String>> {
    names_in(fd(&root.versions))
}

/// The former contents of one history, newest first.
pub(super) fn of_history(versions: BorrowedFd<'_>, history: &str) -> Result<Vec<Version>> {
    shelf(versions, history)?.map_or(Ok(Vec::new()), |dir| versions_in(fd(&dir)))
}

/// Deletes one former content of a history for good; `NotFound`.
pub(super) fn purge_of_history(root: &Root, history: &str, id: &str) -> Result<()> {
    let dir = shelf(fd(&root.versions), history)?.ok_or(Error::NotFound)?;
    root.overflow.note_loose();
    root.total.note_purged();
    os::unlink_file(fd(&dir), checked(id)?).map_err(|e| explain("delete a former content", e))
}

/// The open folder of a history; `None` when it is gone.
fn shelf(versions: BorrowedFd<'_>, history: &str) -> Result<Option<OwnedFd>> {
    own::find(versions, history).map_err(|e| explain("look for former contents", e))
}

/// What is kept on a shelf, newest first.
fn versions_in(dir: BorrowedFd<'_>) -> Result<Vec<Version>> {
    Ok(all_in(dir)?.0)
}

/// What is kept on a shelf, newest first, and what lies there unpublished.
fn all_in(dir: BorrowedFd<'_>) -> Result<(Vec<Version>, Vec<Version>)> {
    let (mut versions, mut unpublished) = (Vec::new(), Vec::new());
    for id in names_in(dir)? {
        let Some(replaced) = replaced_at(&id) else {
            continue;
        };
        if let Some(found) = stat_name(dir, &id)?.filter(|found| found.kind == Kind::File) {
            let version = Version {
                id,
                replaced,
                node: found.node,
            };
            if is_unpublished(&version) {
                &mut unpublished
            } else {
                &mut versions
            }
            .push(version);
        }
    }
    versions.sort_by_cached_key(|version| Reverse((version.replaced, version.id.clone())));
    Ok((versions, unpublished))
}

/// Whether it is an upload that did not change places with what it was to replace.
fn is_unpublished(version: &Version) -> bool {
    let named = version
        .id
        .split_once('-')
        .and_then(|(_, birth)| u64::from_str_radix(birth, 16).ok());
    named.is_some_and(|named| named != 0 && named == birth(&version.node))
}

/// Clears away what a crash has left on a shelf, and the shelf if nothing is kept there; called when no change is under way.
pub(super) fn tidy(versions: BorrowedFd<'_>, history: &str) -> Result<()> {
    let Some(dir) = shelf(versions, history)? else {
        return Ok(());
    };
    for unpublished in all_in(fd(&dir))?.1 {
        os::unlink_file(fd(&dir), &unpublished.id)
            .map_err(|e| explain("delete what was not published", e))?;
    }
    remove_empty(versions, history);
    Ok(())
}

fn names_in(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    walk::names(dir).map_err(|e| explain("read the former contents", e))
}

/// Opens a former content.
pub(super) fn open(root: &Arc<Root>, path: &RelPath, id: &str) -> Result<LocalReader> {
    let (dir, id) = (shelf_of(root, path)?.ok_or(Error::NotFound)?, checked(id)?);
    let file = os::open_read(fd(&dir), id, Lookup::Full)
        .map_err(|e| explain("open the former content", e))?;
    LocalReader::over(root, file)
}

/// The length of a former content, if it is not the content of the file at `path` below the root.
pub(super) fn differing(
    root: &Root,
    path: &str,
    (history, id): (&str, &str),
) -> Result<Option<u64>> {
    let failed = |e| explain("compare with the former content", e);
    let former = os::open_read(fd(&root.versions), &format!("{history}/{id}"), Lookup::Full)
        .map_err(failed)?;
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
pub(super) fn copy_aside(
    root: &Arc<Root>,
    path: &RelPath,
    id: &str,
    judge: &dyn Judge,
) -> Result<(Stage, Node)> {
    let version = open(root, path, id)?;
    let node = version.node().clone();
    let stage = Stage::create(root)?;
    root.copy_into(stage.file(), version.file(), node.len, judge)?;
    Ok((stage, node))
}

/// Deletes one former content for good.
pub(super) fn purge(root: &Root, path: &RelPath, id: &str) -> Result<()> {
    let (dir, id) = (shelf_of(root, path)?.ok_or(Error::NotFound)?, checked(id)?);
    root.overflow.note_loose();
    root.total.note_purged();
    os::unlink_file(fd(&dir), id).map_err(|e| explain("delete the former content", e))
}

/// Deletes all former contents and small pictures of a file that goes away for good, unless it has another name: they are that one's, too.
/// What cannot be deleted only costs room.
pub(super) fn purge_all(root: &Root, dir: BorrowedFd<'_>, name: &str) {
    let Ok(found) = os::stat_at(dir, name) else {
        return;
    };
    if found.links > 1 {
        return;
    }
    let label = Label::of_name(dir, name);
    let id = label.as_ref().map_or_else(
        |_| FileId::derived(&found.node),
        |label| label.id(&found.node),
    );
    pictures::forget(root, id);
    if let Ok(label) = label
        && let Ok(history) = checked(&label.history(&found.node))
    {
        let _ = stage::remove_tree(fd(&root.versions), history, &mut |_, _| {});
    }
}

/// Gives a file that has lost one of its names, which goes on with the history, a history of its own, with what is in that so far `but` one
/// thing: two files with one history would delete it twice. The id stays that of both, each at its name. What cannot be done of that leaves
/// all as it was.
pub(super) fn part(root: &Root, file: BorrowedFd<'_>, node: &Node, but: Option<&str>) {
    let outcome = Label::of_file(file).map_err(failed).and_then(|label| {
        let own = root.stamp();
        lend(root, &label.history(node), &own, but)?;
        label.with_history(own, node).store(file).map_err(failed)
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "a file with another name has no history of its own");
    }
}

/// Gives what lies in a history, `but` one thing, second names in another.
pub(super) fn lend(root: &Root, from: &str, to: &str, but: Option<&str>) -> Result<()> {
    let Some(dir) = shelf(fd(&root.versions), from)? else {
        return Ok(());
    };
    let versions = versions_in(fd(&dir))?;
    let mut lent = versions
        .iter()
        .map(|version| version.id.as_str())
        .filter(|id| Some(*id) != but)
        .peekable();
    if lent.peek().is_none() {
        return Ok(());
    }
    os::make_folder(fd(&root.versions), to).map_err(failed)?;
    lent.try_for_each(|id| {
        os::link((fd(&dir), id), (fd(&root.versions), &format!("{to}/{id}"))).map_err(failed)
    })
}

/// The open folder of a file's former contents; `None` when it has none.
fn shelf_of(root: &Root, path: &RelPath) -> Result<Option<OwnedFd>> {
    let place = root.place_of(path)?;
    let (name, found) = place.find()?;
    let found = existing(replaceable(found)?.ok_or(Error::NotFound)?)?;
    if found.kind == Kind::Folder {
        return Err(Error::IsFolder);
    }
    let label = match Label::of_name(place.dir(), &name) {
        Ok(label) => label,
        Err(Errno::OPNOTSUPP) => return Ok(None),
        Err(e) => return Err(explain("look for former contents", e)),
    };
    shelf(fd(&root.versions), checked(&label.history(&found.node))?)
}

fn replaced_at(id: &str) -> Option<SystemTime> {
    let millis = id.split_once('.')?.0.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
