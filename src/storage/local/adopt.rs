//! Another tree becomes a folder of this one, and its history a part of this one's: former contents go where the metadata of its files
//! look for them, what lies in its trash comes to the trash.

#[cfg(test)]
mod tests;

use super::change_log::LoggedChange;
use super::copy_content::entries;
use super::errors::map_errno;
use super::overflow::{self, inner_mounts};
use super::remove_tree::remove_tree;
use super::root::TreeRoot;
use super::sys::{self, Errno, Lookup, fd};
use super::trash::{self, write_small};
use super::trashinfo::{self, TRASHINFO, path_in, path_line, trashinfo_in};
use super::{internal_dirs, reassign_ids, relocated, trash_pending, walk};
use crate::model::{Error, RelPath, Result};
use std::ffi::{CString, OsStr};
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

const DOING: &str = "take over the history";

/// Moves a folder that lies outside the tree, on the same file system, to `to`, whole and in one rename; then its history. `Exists`.
pub(super) fn adopt(root: &TreeRoot, folder: &Path, to: &RelPath) -> Result<()> {
    let (Some(outside), Some(name)) = (folder.parent(), folder.file_name().and_then(OsStr::to_str))
    else {
        return Err(Error::NotFound);
    };
    let outside = sys::open_root(outside).map_err(|e| Error::io("open the folder of homes", e))?;
    let mut target = root.open_parent(to)?;
    // Nothing is noted about a folder that cannot come there.
    if target.find()?.1.is_some() {
        return Err(Error::Exists);
    }
    // If it is not adopted they are loose. Until it is, nothing is swept.
    let _unswept = root.overflow.pause_sweep();
    root.overflow.note_unreferenced();
    overflow::adopt(root, &root.overflow, folder)?;
    inner_mounts::adopt(root, &root.overflow, folder, to)?;
    if let Ok(kept) = sys::open_root(&folder.join(internal_dirs::OWN_DIR)) {
        let given = TreeRoot::open(folder, root.settings)?;
        trash::finish_swaps(&given)?;
        trash_pending::recover(&given)?;
        relocated::relabel(&given)?;
        reassign_ids::reassign_shared_ids(root, &given)?;
        sys::set_adopted(fd(&kept)).map_err(|e| map_errno("mark its history", e))?;
    }
    // Until the history has come along, the tree says that one is to come.
    let note = AdoptionMarker::write(root, to)?;
    {
        let _guard = root.lock_names();
        target.refresh()?;
        let (new_name, there) = target.find()?;
        if there.is_some() {
            return Err(Error::Exists);
        }
        root.rename_noreplace((fd(&outside), name), (target.dir(), &new_name))
            .map_err(|e| map_errno("move it", e))?;
        root.note_move();
        root.invalidate_usage();
        root.change_log
            .append(root, &[LoggedChange::Made(to.as_str().to_owned())]);
    }
    root.sync_if_strict(target.dir())?;
    root.sync_if_strict(fd(&outside))?;
    // The files are there, and what is left of their history is told.
    if let Err(error) = adopt_history(root, to) {
        let folder = to.as_str();
        tracing::error!(%error, folder, "the history of adopted files was not taken over whole; the next start goes on");
        note.keep();
    }
    Ok(())
}

/// How notes about adoptions under way begin below the root; the rest makes their names unique. Each holds the path of the folder.
const MARKER_PREFIX: &str = "adopting-";

/// Says that a folder is about to come with a history; taken away when dropped.
struct AdoptionMarker<'a> {
    root: &'a TreeRoot,
    name: String,
}

impl<'a> AdoptionMarker<'a> {
    fn write(root: &'a TreeRoot, to: &RelPath) -> Result<Self> {
        let own = internal_dirs::open(fd(&root.dir), internal_dirs::OWN_DIR)?;
        let note = Self {
            root,
            name: format!("{MARKER_PREFIX}{}", root.new_stamp()),
        };
        write_small(root, fd(&own), &note.name, to.as_str())?;
        Ok(note)
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for AdoptionMarker<'_> {
    fn drop(&mut self) {
        // What stays is looked at by the next start, which finds nothing to do.
        let _ = sys::unlink_file(
            fd(&self.root.dir),
            &format!("{}/{}", internal_dirs::OWN_DIR, self.name),
        );
    }
}

/// Goes on with adoptions that a crash, or a failure, has cut after the files had come.
pub(super) fn recover(root: &TreeRoot) -> Result<()> {
    let own = internal_dirs::open(fd(&root.dir), internal_dirs::OWN_DIR)?;
    for name in names(fd(&own))?
        .into_iter()
        .filter(|name| name.starts_with(MARKER_PREFIX))
    {
        let mut path = String::new();
        let file = sys::open_read(fd(&own), &name, Lookup::Full).map_err(failed)?;
        std::fs::File::from(file)
            .read_to_string(&mut path)
            .map_err(|e| Error::io(DOING, e))?;
        let mut folders: Vec<_> = RelPath::of_existing(&path).into_iter().collect();
        // It may have been renamed.
        folders.extend(
            names(fd(&root.dir))?
                .iter()
                .flat_map(|name| RelPath::parse(name)),
        );
        for folder in folders {
            match adopt_history(root, &folder) {
                Ok(()) | Err(Error::NotFound | Error::NotFolder) => {}
                Err(error) => return Err(error),
            }
        }
        sys::unlink_file(fd(&own), &name).map_err(failed)?;
    }
    Ok(())
}

/// Takes over the history of a tree that has become the folder `to`, or what a crash has left of it. `NotFound` for no folder.
pub(super) fn adopt_history(root: &TreeRoot, to: &RelPath) -> Result<()> {
    let dir = root
        .open_path(to, Lookup::Full, sys::open_folder)?
        .ok_or(Error::NotFound)?;
    let Some(own) =
        folder(fd(&dir), internal_dirs::OWN_DIR)?.filter(|own| sys::is_adopted(fd(own)))
    else {
        return Ok(());
    };
    let mut left = adopt_versions(root, fd(&own))?;
    left.items = adopt_trash(root, fd(&own), to)?;
    for kept in [&root.versions, &root.trash_files, &root.trash_info] {
        root.sync_if_strict(fd(kept))?;
    }
    root.overflow.note_unreferenced();
    if left.items + left.versions > 0 {
        tracing::warn!(
            folder = to.as_str(),
            trash = left.items,
            versions = left.versions,
            "so much of the history of adopted files could not be taken over; it stays in the folder .sarang there"
        );
        return Ok(());
    }
    remove_tree(fd(&dir), internal_dirs::OWN_DIR, &mut |_, _| {})
}

/// How much could not be taken over.
#[derive(Debug, Default)]
struct AdoptionRemainder {
    items: usize,
    versions: usize,
}

fn adopt_versions(root: &TreeRoot, own: BorrowedFd<'_>) -> Result<AdoptionRemainder> {
    let Some(from) = folder(own, "versions")? else {
        return Ok(AdoptionRemainder::default());
    };
    for history in names(fd(&from))? {
        match root.rename_noreplace((fd(&from), &history), (fd(&root.versions), &history)) {
            // Its file was overwritten before this.
            Err(Errno::EXIST) => merge_versions(root, fd(&from), &history)?,
            renamed => renamed.map_err(failed)?,
        }
    }
    let mut left = AdoptionRemainder::default();
    for (history, _) in entries(fd(&from))? {
        let dir = sys::open_folder_raw(fd(&from), &history);
        left.versions += dir.map_or(Ok(1), |dir| {
            entries(fd(&dir)).map(|versions| versions.len())
        })?;
    }
    Ok(left)
}

fn merge_versions(root: &TreeRoot, from: BorrowedFd<'_>, history: &str) -> Result<()> {
    let (Some(here), Some(there)) = (folder(from, history)?, folder(fd(&root.versions), history)?)
    else {
        return Ok(());
    };
    for version in names(fd(&here))? {
        match root.rename_noreplace((fd(&here), &version), (fd(&there), &version)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    if let Ok(history) = CString::new(history) {
        // What is left is counted.
        let _ = sys::remove_folder(from, &history);
    }
    Ok(())
}

/// Returns how many items could not be taken over.
fn adopt_trash(root: &TreeRoot, own: BorrowedFd<'_>, to: &RelPath) -> Result<usize> {
    let (Some(files), Some(info)) = (folder(own, "trash/files")?, folder(own, "trash/info")?)
    else {
        return Ok(0);
    };
    for item in names(fd(&files))? {
        let text = trashinfo_in(fd(&info), &item)
            .map_err(failed)?
            .unwrap_or_default();
        let path = path_in(&text)
            .map_or_else(|| RelPath::parse(&item), Ok)?
            .beneath(to);
        let is_taken = [
            (&root.trash_files, item.clone()),
            (&root.trash_info, format!("{item}{TRASHINFO}")),
        ]
        .iter()
        .any(|(dir, name)| sys::stat_at(fd(*dir), name).is_ok());
        let id = if is_taken {
            trash::new_trash_name(root, path.name().unwrap_or_default())
        } else {
            item.clone()
        };
        let note = format!("{id}{TRASHINFO}");
        write_small(root, fd(&root.trash_info), &note, &with_path(&text, &path))?;
        if let Err(e) = root.rename_noreplace((fd(&files), &item), (fd(&root.trash_files), &id)) {
            let _ = sys::unlink_file(fd(&root.trash_info), &note);
            return Err(failed(e));
        }
    }
    root.trash_index.invalidate();
    Ok(entries(fd(&files))?.len())
}

/// The note about an item, as of another path.
fn with_path(note: &str, path: &RelPath) -> String {
    if path_in(note).is_none() {
        return trashinfo::trashinfo_of(path.as_str());
    }
    let line = |line: &str| {
        if line.starts_with("Path=") {
            path_line(path.as_str())
        } else {
            line.to_owned()
        }
    };
    note.lines().map(|text| line(text) + "\n").collect()
}

fn folder(dir: BorrowedFd<'_>, name: &str) -> Result<Option<OwnedFd>> {
    internal_dirs::find(dir, name).map_err(failed)
}

fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    walk::names(dir).map_err(failed)
}

fn failed(errno: Errno) -> Error {
    map_errno(DOING, errno)
}
