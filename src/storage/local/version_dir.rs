//! The folder of a file's versions: `.sarang/versions/<history>/<milliseconds>.<stamp>-<birth>`, where a history is called by the id of its
//! file, so that versions follow a file through every rename, into the trash and back, and a copy has none. An upload gets its first name
//! here and changes places with what it replaces; birth is the upload's, so that nobody takes it for a version when a crash comes between
//! the two.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::file_meta::FileMeta;
use super::names::{check_id, stat_name};
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::{internal_dirs, remove_tree, thumbnails, walk};
use crate::model::{Error, Result};
use crate::storage::history::Version;
use crate::storage::{FileId, Node};
use std::cmp::Reverse;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a folder is made again that another writer of the file takes away, as nothing lies in it yet.
const TRIES: usize = 64;

/// Where the content that an upload replaces is kept.
pub(super) struct VersionDir<'a> {
    dirs: &'a TreeDirs,
    history: String,
    /// Open where it is to be put on the disk: once a change is made, nothing may be missing for that.
    dir: Option<OwnedFd>,
    /// Whether it was made for what is laid on it now, so that it goes again if nothing will be.
    is_new: bool,
}

impl<'a> VersionDir<'a> {
    /// The version folder of a history, made if it is not there, for a content of `len` bytes. `None` for an empty one that would be the first:
    /// nothing is to be kept.
    pub fn for_history(dirs: &'a TreeDirs, history: &str, len: u64) -> Result<Option<Self>> {
        let mut made = Self {
            dirs,
            history: check_id(history)?.to_owned(),
            dir: None,
            is_new: false,
        };
        if len == 0 && stat_name(fd(&dirs.versions), history)?.is_none() {
            return Ok(None);
        }
        match made.open() {
            Err(Errno::NOENT) => made.make()?,
            other => other.map_err(failed)?,
        }
        Ok(Some(made))
    }

    /// The name of the history.
    pub fn history(&self) -> &str {
        &self.history
    }

    /// What the content that `new` replaces now is called here.
    pub fn next_id(&self, new: &Node) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        format!("{now:013}.{}-{:x}", self.dirs.new_stamp(), birth(new))
    }

    /// Lays something here by `name_it`, which is given the place.
    pub fn add(
        &mut self,
        id: &str,
        name_it: impl Fn((BorrowedFd<'_>, &str)) -> sys::SysResult<()>,
    ) -> Result<()> {
        let to = (fd(&self.dirs.versions), self.place(id));
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
    pub fn exchange(&self, id: &str, with: (BorrowedFd<'_>, &str)) -> sys::SysResult<()> {
        sys::exchange((fd(&self.dirs.versions), &self.place(id)), with)
    }

    /// Gives what was laid here another name elsewhere.
    pub fn move_out(&self, id: &str, to: (BorrowedFd<'_>, &str)) -> sys::SysResult<()> {
        sys::rename_over((fd(&self.dirs.versions), &self.place(id)), to)
    }

    /// Takes away again what was laid here.
    pub fn remove(&self, id: &str) {
        let _ = sys::unlink_file(fd(&self.dirs.versions), &self.place(id));
    }

    /// Says that something lies on it, so that it stays.
    pub fn mark_used(&mut self) {
        self.is_new = false;
    }

    /// Makes what is kept durable, if the settings want that.
    pub fn sync(&self) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        match sys::sync(fd(dir)) {
            // Another writer took the folder away, as nothing was on it yet, and this one made it again. FUSE says so.
            Err(Errno::NOENT) => {
                let again = sys::open_folder(fd(&self.dirs.versions), &self.history, Lookup::Full)
                    .map_err(failed)?;
                self.dirs.sync_if_strict(fd(&again))
            }
            synced => synced.map_err(|e| Error::io("write to the disk", e)),
        }
    }

    fn make(&mut self) -> Result<()> {
        for _ in 0..TRIES {
            match sys::make_folder(fd(&self.dirs.versions), &self.history) {
                Ok(()) => self.is_new = true,
                Err(Errno::EXIST) => {}
                Err(e) => return Err(failed(e)),
            }
            self.dirs.sync_if_strict(fd(&self.dirs.versions))?;
            match self.open() {
                Err(Errno::NOENT) => {}
                opened => return opened.map_err(failed),
            }
        }
        Err(failed(Errno::NOENT))
    }

    fn open(&mut self) -> sys::SysResult<()> {
        if self.dirs.is_strict() {
            self.dir = Some(sys::open_folder(
                fd(&self.dirs.versions),
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

impl Drop for VersionDir<'_> {
    fn drop(&mut self) {
        if self.is_new {
            remove_empty(fd(&self.dirs.versions), &self.history);
        }
    }
}

fn failed(errno: Errno) -> Error {
    map_errno("keep the former content", errno)
}

/// Removes a version folder in which nothing is kept.
fn remove_empty(versions: BorrowedFd<'_>, history: &str) {
    if let Ok(history) = CString::new(history) {
        let _ = sys::remove_folder(versions, &history);
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

/// The names of all histories.
pub(super) fn histories(dirs: &TreeDirs) -> Result<Vec<String>> {
    names_in(fd(&dirs.versions))
}

/// The former contents of one history, newest first.
pub(super) fn of_history(versions: BorrowedFd<'_>, history: &str) -> Result<Vec<Version>> {
    open_version_dir(versions, history)?.map_or(Ok(Vec::new()), |dir| versions_in(fd(&dir)))
}

/// The open folder of a history; `None` when it is gone.
pub(super) fn open_version_dir(versions: BorrowedFd<'_>, history: &str) -> Result<Option<OwnedFd>> {
    internal_dirs::find(versions, history).map_err(|e| map_errno("look for former contents", e))
}

/// What is kept in a version folder, newest first.
pub(super) fn versions_in(dir: BorrowedFd<'_>) -> Result<Vec<Version>> {
    Ok(all_in(dir)?.0)
}

/// What is kept in a version folder, newest first, and what lies there unpublished.
pub(super) fn all_in(dir: BorrowedFd<'_>) -> Result<(Vec<Version>, Vec<Version>)> {
    let mut versions = Vec::new();
    let mut unpublished = Vec::new();
    for id in names_in(dir)? {
        let Some(replaced) = replaced_at(&id) else {
            continue;
        };
        if let Some(found) = stat_name(dir, &id)?.filter(|found| found.kind == FileKind::File) {
            let version = Version {
                id,
                replaced_at: replaced,
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
    versions.sort_by_cached_key(|version| Reverse((version.replaced_at, version.id.clone())));
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

/// Clears away what a crash has left in a version folder, and the folder if nothing is kept there; called when no change is under way.
pub(super) fn sweep_leftovers(versions: BorrowedFd<'_>, history: &str) -> Result<()> {
    let Some(dir) = open_version_dir(versions, history)? else {
        return Ok(());
    };
    for unpublished in all_in(fd(&dir))?.1 {
        sys::unlink_file(fd(&dir), &unpublished.id)
            .map_err(|e| map_errno("delete what was not published", e))?;
    }
    remove_empty(versions, history);
    Ok(())
}

fn names_in(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    walk::names(dir).map_err(|e| map_errno("read the former contents", e))
}

/// Deletes all former contents and small pictures of a file that goes away for good, unless it has another name: they are that one's, too.
/// What cannot be deleted only costs room.
pub(super) fn purge_all(dirs: &TreeDirs, dir: BorrowedFd<'_>, name: &str) {
    let Ok(found) = sys::stat_at(dir, name) else {
        return;
    };
    if found.links > 1 {
        return;
    }
    let meta = FileMeta::of_name(dir, name);
    let id = meta.as_ref().map_or_else(
        |_| FileId::derived(&found.node),
        |meta| meta.id(&found.node),
    );
    thumbnails::purge(dirs, id);
    if let Ok(meta) = meta
        && let Ok(history) = check_id(&meta.history(&found.node))
    {
        let _ = remove_tree::remove_tree(fd(&dirs.versions), history, &mut |_, _| {});
    }
}

/// Gives a file that has lost one of its names, which goes on with the history, a history of its own, with what is in that so far `but` one
/// thing: two files with one history would delete it twice. The id stays that of both, each at its name. What cannot be done of that leaves
/// all as it was.
pub(super) fn split_history(dirs: &TreeDirs, file: BorrowedFd<'_>, node: &Node, but: Option<&str>) {
    let outcome = FileMeta::of_file(file).map_err(failed).and_then(|meta| {
        let own = dirs.new_stamp();
        link_versions(dirs, &meta.history(node), &own, but)?;
        meta.with_history(own, node).store(file).map_err(failed)
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "a file with another name has no history of its own");
    }
}

/// Gives what lies in a history, `but` one thing, second names in another.
pub(super) fn link_versions(
    dirs: &TreeDirs,
    from: &str,
    to: &str,
    but: Option<&str>,
) -> Result<()> {
    let Some(dir) = open_version_dir(fd(&dirs.versions), from)? else {
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
    sys::make_folder(fd(&dirs.versions), to).map_err(failed)?;
    lent.try_for_each(|id| {
        sys::link((fd(&dir), id), (fd(&dirs.versions), &format!("{to}/{id}"))).map_err(failed)
    })
}

fn replaced_at(id: &str) -> Option<SystemTime> {
    let millis = id.split_once('.')?.0.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
