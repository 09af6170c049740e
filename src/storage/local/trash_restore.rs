//! Puts an item of the trash, or a part of it, back to where nothing stands.

use super::change::note_if_folder;
use super::change_log;
use super::dirs::ParentDir;
use super::errors::map_errno;
use super::internal_dirs::TRASH_FILES;
use super::names::{PathAt, replaceable};
use super::reservation::LocalReservation;
use super::root::TreeRoot;
use super::sys::{self, FileKind};
use super::usage_counter::UsageDelta;
use super::{count, path_limits, trash_items, trashinfo};
use crate::model::{Error, RelPath, Result};
use crate::storage::{Changed, WriteOptions};
use std::sync::Arc;

/// Moves an item, or what lies at a path in it, back to where nothing stands.
pub(super) fn restore(
    root: &Arc<TreeRoot>,
    (id, inner): (&str, &RelPath),
    to: &RelPath,
    commit: &WriteOptions,
) -> Result<Changed> {
    trash_items::find(root, id)?;
    root.check_new_name(to)?;
    let mut place = root.open_parent(to)?;
    let from = RelPath::from_stored(format!("{TRASH_FILES}/{id}"));
    let from = inner.beneath(&from);
    let is_whole = inner.is_root();
    let source = root.open_parent_of_existing(&from)?;
    if !commit.skip_depth_check {
        check_depth(root, (id, inner), (&source, &from), (to, commit))?;
    }
    let bytes = if is_whole {
        trash_items::bytes_of(root, id)?
    } else {
        weigh(root, &source)?
    };
    // What was promised to uploads is not free. An item that still counts as used is taken off where it would count twice.
    let mut reservation = LocalReservation::new(root, commit.limit, 0).for_restore();
    reservation.grow(bytes)?;
    let item = TrashedEntry {
        id,
        is_whole,
        bytes,
    };
    let changed = item.move_back(root, (&source, &from), (&mut place, to), commit)?;
    root.sync_if_strict(place.dir())?;
    root.sync_if_strict(source.dir())?;
    root.change_log.sync_if_strict(root, commit)?;
    if is_whole {
        trash_items::remove_info(root, id)?;
    }
    Ok(changed)
}

/// What is put back.
struct TrashedEntry<'a> {
    id: &'a str,
    /// Whether it is all of the item.
    is_whole: bool,
    bytes: u64,
}

impl TrashedEntry<'_> {
    /// Moves it from the trash to its place, in one step under the guard.
    fn move_back(
        &self,
        root: &TreeRoot,
        (source, from): (&ParentDir<'_>, &RelPath),
        (place, to): (&mut ParentDir<'_>, &RelPath),
        commit: &WriteOptions,
    ) -> Result<Changed> {
        let _guard = root.lock_names();
        place.refresh()?;
        let (old_name, found) = source.find_existing()?;
        let (name, there) = place.find()?;
        let there = replaceable(there)?.map(|there| there.node);
        let here = PathAt {
            dir: source.dir(),
            name: &old_name,
            path: from.as_str(),
        };
        let target = PathAt {
            dir: place.dir(),
            name: &name,
            path: to.as_str(),
        };
        let step = root.check_step(commit, there.as_ref())?;
        if there.is_some() {
            return Err(Error::Exists);
        }
        // What still counts as used comes back without growth. A part of it is measured first.
        let is_counted = self.is_whole && root.usage.take_unmeasured(self.id);
        let growth = UsageDelta {
            added: if is_counted { 0 } else { self.bytes },
            removed: 0,
        };
        let moved = root
            .check_limit(growth, commit.limit)
            .and_then(|()| rename_back(root, found.kind, here, target));
        if let (Err(_), true) = (&moved, is_counted) {
            root.usage.note_trashed(self.id);
        }
        moved?;
        note_if_folder(root, &found);
        root.usage.apply(root, growth);
        root.change_log.append(root, &[change_log::moved(from, to)]);
        Ok(step.made_beside(None))
    }
}

fn rename_back(root: &TreeRoot, kind: FileKind, from: PathAt<'_>, to: PathAt<'_>) -> Result<()> {
    root.rename_visible(kind, from, to).map_err(|e| {
        if e == sys::Errno::EXIST {
            Error::Exists
        } else {
            map_errno("put it back", e)
        }
    })
}

/// Refuses to put a folder back to where something in it would be too deep. What comes to where it lay, or no further down, is not looked over.
fn check_depth(
    root: &TreeRoot,
    (id, inner): (&str, &RelPath),
    (source, from): (&ParentDir<'_>, &RelPath),
    (to, commit): (&RelPath, &WriteOptions),
) -> Result<()> {
    let lay = trashinfo::origin(root, id)?.map(|(path, _)| inner.beneath(&path));
    if lay.is_some_and(|lay| !path_limits::is_longer(&lay, to))
        || source.find_existing()?.1.kind != FileKind::Folder
    {
        return Ok(());
    }
    path_limits::check_below(root, from, to.remaining()?, commit.access())
}

/// Bytes of a part of an item. The item is measured first, so that what it holds does not count twice.
fn weigh(root: &TreeRoot, part: &ParentDir<'_>) -> Result<u64> {
    root.count_usage()?;
    let (name, found) = part.find_existing()?;
    if found.kind != FileKind::Folder {
        return Ok(found.node.len);
    }
    count::bytes_in(part.dir(), &name)
}
