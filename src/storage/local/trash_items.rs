//! What lies in the trash: listed newest first, put back, deleted for good. The names' ends (stamps) tell the order.

use super::change_log::{self, TRASH};
use super::reservation::LocalReservation;
use super::root::{
    ParentDir, TreeRoot, apply_checked, check_id, map_errno, replaceable, require_file_or_folder,
    stat_name,
};
use super::sys::{self, FileKind, Lookup, fd};
use super::trash::PathAt;
use super::trash_index::{self, TrashFilter};
use super::undeletable::Undeletable;
use super::usage_counter::UsageDelta;
use super::{change as changes, count, path_limits, staging, walk};
use crate::model::{AccountName, Error, RelPath, Result, time};
use crate::storage::WriteOptions;
use crate::storage::history::{Retention, TrashedItem};
use percent_encoding::percent_decode_str;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

pub(super) const TRASHINFO: &str = ".trashinfo";
/// The most bytes a note may have: far more than a path percent-encoded.
pub(super) const TRASHINFO_LIMIT: u64 = 64 << 10;

/// What lies in the trash, newest first.
pub(super) fn list(root: &TreeRoot) -> Result<Vec<TrashedItem>> {
    let all = TrashFilter {
        below: &RelPath::root(),
        who: None,
    };
    trash_index::page(root, all, None, usize::MAX)
}

/// One item.
pub(super) fn get(root: &TreeRoot, id: String) -> Result<TrashedItem> {
    find(root, &id)?;
    item(root, id)?.ok_or(Error::NotFound)
}

/// Moves an item, or what lies at a path in it, back to where nothing stands.
pub(super) fn restore(
    root: &Arc<TreeRoot>,
    (id, inner): (&str, &RelPath),
    to: &RelPath,
    commit: &WriteOptions,
) -> Result<()> {
    find(root, id)?;
    root.check_new_name(to)?;
    let mut place = root.open_parent(to)?;
    let from = RelPath::from_stored(format!("{TRASH}/{id}"));
    let from = inner.beneath(&from);
    let is_whole = inner.is_root();
    let source = root.open_parent_of_existing(&from)?;
    if !commit.skip_depth_check {
        check_depth(root, (id, inner), (&source, &from), (to, commit))?;
    }
    let bytes = if is_whole {
        bytes_of(root, id)?
    } else {
        weigh(root, &source)?
    };
    // What was promised to uploads is not free. An item that is on the books still is taken off them where it would count twice.
    let mut reservation = LocalReservation::new(root, commit.limit, 0).for_restore();
    reservation.grow(bytes)?;
    {
        let _guard = root.lock_names();
        place.refresh()?;
        let (old_name, found) = source.find_existing()?;
        let (name, there) = place.find()?;
        let there = replaceable(there)?.map(|there| there.node);
        apply_checked(commit, there.as_ref(), &mut || {
            if there.is_some() {
                return Err(Error::Exists);
            }
            // What is still on the books comes back without growth. A part of it is measured first.
            let on_books = is_whole && root.usage.take_unmeasured(id);
            let growth = UsageDelta {
                added: if on_books { 0 } else { bytes },
                removed: 0,
            };
            let moved = root
                .usage
                .check_limit(root, growth, commit.limit)
                .and_then(|()| {
                    let here = PathAt {
                        dir: source.dir(),
                        name: &old_name,
                        path: from.as_str(),
                    };
                    let there = PathAt {
                        dir: place.dir(),
                        name: &name,
                        path: to.as_str(),
                    };
                    root.rename_visible(found.kind, here, there).map_err(|e| {
                        if e == sys::Errno::EXIST {
                            Error::Exists
                        } else {
                            map_errno("put it back", e)
                        }
                    })
                });
            if let (Err(_), true) = (&moved, on_books) {
                root.usage.note_trashed(id);
            }
            moved?;
            changes::note_if_folder(root, &found);
            root.usage.apply(root, growth);
            root.change_log
                .append(root, &[change_log::moved(&from, to)]);
            Ok(())
        })?;
    }
    root.sync_if_strict(place.dir())?;
    root.sync_if_strict(source.dir())?;
    root.change_log.sync_if_strict(root, commit)?;
    if is_whole {
        remove_info(root, id)
    } else {
        Ok(())
    }
}

/// Refuses to put a folder back to where something in it would be too deep. What comes to where it lay, or no further down, is not looked over.
fn check_depth(
    root: &TreeRoot,
    (id, inner): (&str, &RelPath),
    (source, from): (&ParentDir<'_>, &RelPath),
    (to, commit): (&RelPath, &WriteOptions),
) -> Result<()> {
    let lay = origin(root, id)?.map(|(path, _)| inner.beneath(&path));
    if lay.is_some_and(|lay| !path_limits::is_longer(&lay, to))
        || source.find_existing()?.1.kind != FileKind::Folder
    {
        return Ok(());
    }
    path_limits::check_below(root, from, to.remaining()?, commit.preconditions.as_ref())
}

/// Bytes of a part of an item. The item is taken off the books first, so that what it holds is not on them twice.
fn weigh(root: &TreeRoot, part: &ParentDir<'_>) -> Result<u64> {
    root.usage.count(root)?;
    let (name, found) = part.find_existing()?;
    if found.kind != FileKind::Folder {
        return Ok(found.node.len);
    }
    count::bytes_in(part.dir(), &name)
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

/// The item called `id`; `None` for a note without a thing, and for what does not exist for us.
pub(super) fn item(root: &TreeRoot, id: String) -> Result<Option<TrashedItem>> {
    let Some(found) =
        stat_name(fd(&root.trash_files), &id)?.filter(|found| found.kind != FileKind::Other)
    else {
        return Ok(None);
    };
    let note = read_trashinfo(root, &id).map_err(|e| map_errno("read the trash", e))?;
    let Some((text, path)) = note.and_then(|text| path_in(&text).map(|path| (text, path))) else {
        return Ok(None);
    };
    let who = who_in(&text);
    let when =
        field(&text, "DeletionDate").and_then(|date| time::parse_iso_date(&format!("{date}Z")));
    Ok(Some(TrashedItem {
        id,
        path,
        deleted_by: who,
        deleted_at: when,
        node: found.node,
    }))
}

/// Where an item lay and who deleted or replaced it, as its note says; `None` where it does not say.
pub(super) fn origin(root: &TreeRoot, id: &str) -> Result<Option<(RelPath, Option<AccountName>)>> {
    let note = read_trashinfo(root, id).map_err(|e| map_errno("read the trash", e))?;
    Ok(note.and_then(|text| path_in(&text).map(|path| (path, who_in(&text)))))
}

fn who_in(note: &str) -> Option<AccountName> {
    field(note, "X-Sarang-Who").and_then(|who| AccountName::parse(who).ok())
}

/// What the note about an item says; `None` where there is none.
pub(super) fn read_trashinfo(root: &TreeRoot, id: &str) -> sys::SysResult<Option<String>> {
    trashinfo_in(fd(&root.trash_info), id)
}

/// As [`read_note`], in an open folder of notes.
pub(super) fn trashinfo_in(info: BorrowedFd<'_>, id: &str) -> sys::SysResult<Option<String>> {
    let note = match sys::open_read(info, &format!("{id}{TRASHINFO}"), Lookup::Full) {
        Err(sys::Errno::NOENT | sys::Errno::LOOP | sys::Errno::NAMETOOLONG) => return Ok(None),
        note => note?,
    };
    let mut text = Vec::new();
    let read = std::fs::File::from(note)
        .take(TRASHINFO_LIMIT)
        .read_to_end(&mut text);
    read.map_err(|e| sys::Errno::from_io_error(&e).unwrap_or(sys::Errno::IO))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Where a note says that its thing lay.
pub(super) fn path_in(note: &str) -> Option<RelPath> {
    let path = field(note, "Path").and_then(|path| percent_decode_str(path).decode_utf8().ok())?;
    RelPath::of_existing(&path)
        .ok()
        .filter(|path| !path.is_root())
}

fn field<'a>(note: &'a str, key: &str) -> Option<&'a str> {
    note.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

fn find(root: &TreeRoot, id: &str) -> Result<sys::FileStat> {
    check_id(id)?;
    require_file_or_folder(stat_name(fd(&root.trash_files), id)?.ok_or(Error::NotFound)?)
}

/// Bytes of an item, whole.
fn bytes_of(root: &TreeRoot, id: &str) -> Result<u64> {
    let found = find(root, id)?;
    if found.kind == sys::FileKind::Folder {
        count::trashed_bytes(root, id)
    } else {
        Ok(found.node.len)
    }
}

fn remove_info(root: &TreeRoot, id: &str) -> Result<()> {
    root.trash_index.note_removed(id);
    match sys::unlink_file(fd(&root.trash_info), &format!("{id}{TRASHINFO}")) {
        Ok(()) | Err(sys::Errno::NOENT) => Ok(()),
        Err(e) => Err(map_errno("forget the note in the trash", e)),
    }
}
