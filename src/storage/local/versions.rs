//! The versions of a file: listed, opened, compared, thinned out and purged.

use super::errors::map_errno;
use super::file_meta::FileMeta;
use super::names::{check_id, replaceable, require_file_or_folder};
use super::read::LocalReader;
use super::root::TreeRoot;
use super::staging::StagedFile;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::undeletable::Undeletable;
use super::version_dir::{all_in, histories, open_version_dir, sweep_leftovers, versions_in};
use crate::model::{AccessCheck, Error, RelPath, Result};
use crate::storage::{
    Node, Reader as _,
    history::{Version, VersionThinning, expired_versions},
};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes that are compared at once.
const PART: usize = 128 << 10;

/// The former contents of a file, newest first.
pub(super) fn list(root: &TreeRoot, path: &RelPath) -> Result<Vec<Version>> {
    version_dir_of(root, path)?.map_or(Ok(Vec::new()), |dir| versions_in(fd(&dir)))
}

/// Deletes for good what is no longer kept of every file's former contents, and what crashes have left there; returns how many.
pub(super) fn expire(root: &TreeRoot, thinning: VersionThinning, now: SystemTime) -> Result<u64> {
    let mut count = 0;
    let mut stuck = Undeletable::default();
    for history in histories(root)? {
        let Some(dir) = open_version_dir(fd(&root.versions), &history)? else {
            continue;
        };
        let (versions, unpublished) = all_in(fd(&dir))?;
        let times: Vec<_> = versions.iter().map(|version| version.replaced_at).collect();
        let over = expired_versions(&times, thinning, now);
        for version in over.iter().filter_map(|index| versions.get(*index)) {
            match sys::unlink_file(fd(&dir), &version.id) {
                Ok(()) => count += 1,
                Err(Errno::NOENT) => {}
                Err(e) => stuck.skip(map_errno("delete a former content", e))?,
            }
        }
        if !over.is_empty() {
            root.overflow.note_unreferenced();
            root.total_usage.note_purged();
        }
        if !unpublished.is_empty() || over.len() == versions.len() {
            let _guard = root.lock_names();
            sweep_leftovers(fd(&root.versions), &history)?;
        }
    }
    Ok(count)
}

/// Deletes one former content of a history for good; `NotFound`.
pub(super) fn purge_of_history(root: &TreeRoot, history: &str, id: &str) -> Result<()> {
    let dir = open_version_dir(fd(&root.versions), history)?.ok_or(Error::NotFound)?;
    root.overflow.note_unreferenced();
    root.total_usage.note_purged();
    sys::unlink_file(fd(&dir), check_id(id)?).map_err(|e| map_errno("delete a former content", e))
}

/// Opens a former content.
pub(super) fn open(root: &Arc<TreeRoot>, path: &RelPath, id: &str) -> Result<LocalReader> {
    let dir = version_dir_of(root, path)?.ok_or(Error::NotFound)?;
    let id = check_id(id)?;
    let file = sys::open_read(fd(&dir), id, Lookup::Full)
        .map_err(|e| map_errno("open the former content", e))?;
    LocalReader::from_file(root, file)
}

/// The length of a former content, if it is not the content of the file at `path` below the root.
pub(super) fn len_if_different(
    root: &TreeRoot,
    path: &str,
    (history, id): (&str, &str),
) -> Result<Option<u64>> {
    let failed = |e| map_errno("compare with the former content", e);
    let former = sys::open_read(fd(&root.versions), &format!("{history}/{id}"), Lookup::Full)
        .map_err(failed)?;
    let present = sys::open_read(fd(&root.dir), path, Lookup::Full).map_err(failed)?;
    let len = sys::stat_fd(fd(&former)).map_err(failed)?.node.len;
    if sys::stat_fd(fd(&present)).map_err(failed)?.node.len != len {
        return Ok(Some(len));
    }
    let mut one = vec![0; PART];
    let mut other = vec![0; PART];
    let mut offset = 0;
    loop {
        let count = sys::read(fd(&former), &mut one, offset).map_err(failed)?;
        if count == 0 {
            return Ok(None);
        }
        let same = one.get(..count).unwrap_or_default();
        let mut at = 0;
        while let Some(room) = other.get_mut(at..count).filter(|room| !room.is_empty()) {
            match sys::read(fd(&present), room, offset + at as u64).map_err(failed)? {
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
    root: &Arc<TreeRoot>,
    path: &RelPath,
    id: &str,
    access: &dyn AccessCheck,
) -> Result<(StagedFile, Node)> {
    let version = open(root, path, id)?;
    let node = version.node().clone();
    let stage = StagedFile::create(root)?;
    root.copy_into(stage.file(), version.file(), node.len, access)?;
    Ok((stage, node))
}

/// Deletes one former content for good.
pub(super) fn purge(root: &TreeRoot, path: &RelPath, id: &str) -> Result<()> {
    let dir = version_dir_of(root, path)?.ok_or(Error::NotFound)?;
    let id = check_id(id)?;
    root.overflow.note_unreferenced();
    root.total_usage.note_purged();
    sys::unlink_file(fd(&dir), id).map_err(|e| map_errno("delete the former content", e))
}

/// The open folder of a file's former contents; `None` when it has none.
fn version_dir_of(root: &TreeRoot, path: &RelPath) -> Result<Option<OwnedFd>> {
    let place = root.open_parent_of_existing(path)?;
    let (name, found) = place.find()?;
    let found = require_file_or_folder(replaceable(found)?.ok_or(Error::NotFound)?)?;
    if found.kind == FileKind::Folder {
        return Err(Error::IsFolder);
    }
    let meta = match FileMeta::of_name(place.dir(), &name) {
        Ok(meta) => meta,
        Err(Errno::OPNOTSUPP) => return Ok(None),
        Err(e) => return Err(map_errno("look for former contents", e)),
    };
    open_version_dir(fd(&root.versions), check_id(&meta.history(&found.node))?)
}
