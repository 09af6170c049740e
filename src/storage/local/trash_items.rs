//! What lies in the trash: listed newest first, and deleted for good. The names' ends (stamps) tell the order.

use super::blocking::spawn;
use super::errors::map_errno;
use super::names::{check_id, require_file_or_folder, stat_name};
use super::root::TreeRoot;
use super::sys::{self, FileKind, fd};
use super::trash_index::{self, TrashFilter};
use super::trashinfo::{TRASHINFO, item};
use super::undeletable::Undeletable;
use super::{count, staging, walk};
use crate::model::{Error, RelPath, Result};
use crate::storage::history::{Retention, TrashedItem};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::runtime::Handle;

/// What lies in the trash, newest first.
pub(super) fn list(root: &TreeRoot) -> Result<Vec<TrashedItem>> {
    let all = TrashFilter {
        below: &RelPath::root(),
        who: None,
    };
    root.trash_index.page(root, all, None, usize::MAX)
}

/// One item.
pub(super) fn get(root: &TreeRoot, id: String) -> Result<TrashedItem> {
    find(root, &id)?;
    item(root, id)?.ok_or(Error::NotFound)
}

/// Deletes an item for good. It leaves the trash in one step; what a crash leaves of it is swept at the next start.
pub(super) fn purge(root: &TreeRoot, id: &str) -> Result<()> {
    let found = find(root, id)?;
    root.usage.measure_one(root, id)?;
    let gone = staging::hide_for_purge(root, (fd(&root.trash_files), id))?;
    root.sync_if_strict(fd(&root.trash_files))?;
    remove_info(root, id)?;
    let cleared = staging::purge_from_tmp(root, gone, found.kind == FileKind::Folder)
        .map_err(|e| map_errno("delete it for good", e));
    root.overflow.note_unreferenced();
    root.total_usage.note_purged();
    cleared
}

/// Deletes for good what has lain long enough; what does not say since when is kept. Returns how many.
pub(super) fn expire(root: &TreeRoot, retention: Retention, now: SystemTime) -> Result<u64> {
    let Some(limit) = retention.trash else {
        return Ok(0);
    };
    let mut count = 0;
    let mut stuck = Undeletable::default();
    for id in ids(root)? {
        let item = item(root, id)?;
        let old = |when: SystemTime| now.duration_since(when).is_ok_and(|age| age >= limit);
        if let Some(item) = item.filter(|item| item.deleted_at.is_some_and(old)) {
            match purge(root, &item.id) {
                Ok(()) => count += 1,
                // Somebody was faster.
                Err(Error::NotFound) => {}
                Err(error) => stuck.skip(error)?,
            }
        }
    }
    Ok(count)
}

fn ids(root: &TreeRoot) -> Result<Vec<String>> {
    let notes = walk::names(fd(&root.trash_info)).map_err(|e| map_errno("read the trash", e))?;
    Ok(notes
        .iter()
        .filter_map(|name| name.strip_suffix(TRASHINFO))
        .map(str::to_owned)
        .collect())
}

/// Reads a large trash in the background, so that its first page need not wait for that.
pub(super) fn prepare_index(root: &Arc<TreeRoot>) {
    if trash_index::is_large(root)
        && Handle::try_current().is_ok()
        && let Some(turn) = root.disk_access.slots.try_acquire()
    {
        let everything = RelPath::root();
        // Not awaited: whoever asks before it is done waits for it, or reads it again where it has failed.
        drop(spawn(root, turn.unmeasured(), move |root| {
            let all = TrashFilter {
                below: &everything,
                who: None,
            };
            root.trash_index.page(root, all, None, 0).map(drop)
        }));
    }
}

/// What an item is; `NotFound`.
pub(super) fn find(root: &TreeRoot, id: &str) -> Result<sys::FileStat> {
    check_id(id)?;
    require_file_or_folder(stat_name(fd(&root.trash_files), id)?.ok_or(Error::NotFound)?)
}

/// Bytes of an item, whole.
pub(super) fn bytes_of(root: &TreeRoot, id: &str) -> Result<u64> {
    let found = find(root, id)?;
    if found.kind == sys::FileKind::Folder {
        count::trashed_bytes(root, id)
    } else {
        Ok(found.node.len)
    }
}

/// Removes the note about an item that has left the trash.
pub(super) fn remove_info(root: &TreeRoot, id: &str) -> Result<()> {
    root.trash_index.note_removed(id);
    match sys::unlink_file(fd(&root.trash_info), &format!("{id}{TRASHINFO}")) {
        Ok(()) | Err(sys::Errno::NOENT) => Ok(()),
        Err(e) => Err(map_errno("forget the note in the trash", e)),
    }
}
