//! What has happened since a moment, newest first, as the change log and the trash tell it. The change log is read piece by piece; of what it
//! tells of the trash only hashes are kept.

use super::change_log::{self, LoggedChange, deleted};
use super::errors::map_errno;
use super::internal_dirs::TRASH_FILES;
use super::reverse_lines::ReverseLines;
use super::root::TreeRoot;
use super::sys::{self, Errno, fd};
use super::trash_index::stamp_of;
use super::trashinfo::{self, TRASHINFO};
use crate::model::Result;
use crate::model::time::unix_nanos;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::time::SystemTime;

const DOING: &str = "read the change log";

/// Something that only the trash tells of: when it was put there, its place among others of that second, and what happened.
struct UnloggedEvent {
    at: u64,
    stamp: u64,
    event: LoggedChange,
}

/// Shows what has happened since `moment`, newest first; returns since when all is known, `None` when nothing is.
pub(super) fn replay_since(
    root: &TreeRoot,
    moment: u64,
    mut visit: impl FnMut(LoggedChange) -> Result<()>,
) -> Result<Option<u64>> {
    let file = change_log::open(root)?;
    let end = file.as_ref().map_or(Ok(0), |file| {
        sys::stat_fd(fd(file)).map(|found| found.node.len)
    });
    let end = end.map_err(|e| map_errno(DOING, e))?;
    let mut untold = unlogged_events(root, file.as_ref().map(|file| (file, end)), moment)?;
    let mut known = None;
    let (now, mut at) = (unix_nanos(SystemTime::now()), u64::MAX);
    if let Some(file) = &file {
        let first = change_log::first(file)?.map(|line| line.at);
        let mut lines = ReverseLines::new(fd(file), end);
        while let Some(text) = lines.next().map_err(|e| map_errno(DOING, e))? {
            let Some(line) = change_log::parse(&text) else {
                continue;
            };
            at = line.at_before(at, now);
            if at <= moment {
                break;
            }
            while let Some(later) = untold.pop_if(|last| last.at >= at) {
                visit(later.event)?;
            }
            visit(line.event)?;
        }
        known = first.map(|first| first.min(at));
    }
    untold
        .into_iter()
        .rev()
        .try_for_each(|later| visit(later.event))?;
    Ok(known)
}

/// What the trash alone tells, oldest first: what was put there since `moment` by others, or by a change whose line was lost.
fn unlogged_events(
    root: &TreeRoot,
    told: Option<(&OwnedFd, u64)>,
    moment: u64,
) -> Result<Vec<UnloggedEvent>> {
    let hasher = RandomState::new();
    let told = told.map_or_else(
        || Ok(HashSet::new()),
        |(file, end)| logged_items(file, end, &hasher),
    )?;
    let failed = |e| map_errno("read the trash", e);
    let mut ids = Vec::new();
    let mut found = Vec::new();
    let notes = sys::open_folder(fd(&root.trash_info), "", sys::Lookup::Full).map_err(failed)?;
    let read = sys::read_dir(fd(&notes), &mut Vec::new(), usize::MAX, |name, _| {
        let id = name
            .to_str()
            .ok()
            .and_then(|name| name.strip_suffix(TRASHINFO));
        ids.extend(
            id.filter(|id| !told.contains(&hasher.hash_one(id)))
                .map(str::to_owned),
        );
        Ok::<_, Errno>(())
    });
    read.map_err(failed)?;
    for id in ids {
        let Some(item) = trashinfo::item(root, id)? else {
            continue;
        };
        let at = item.deleted_at.map_or(0, unix_nanos);
        if at > moment {
            found.push(UnloggedEvent {
                at,
                stamp: stamp_of(&item.id),
                event: deleted(&item.path, &item.id),
            });
        }
    }
    found.sort_by_key(|untold| (untold.at, untold.stamp));
    Ok(found)
}

/// The items of the trash that the change log tells of, by their hashes.
fn logged_items(file: &OwnedFd, end: u64, hasher: &RandomState) -> Result<HashSet<u64>> {
    let mut told = HashSet::new();
    let mut lines = ReverseLines::new(fd(file), end);
    let finder = memchr::memmem::Finder::new(TRASH_FILES);
    while let Some(text) = lines.next().map_err(|e| map_errno(DOING, e))? {
        if finder.find(&text).is_none() {
            continue;
        }
        if let Some(LoggedChange::Moved(_, to)) = change_log::parse(&text).map(|line| line.event)
            && let Some(id) = to
                .strip_prefix(TRASH_FILES)
                .and_then(|rest| rest.strip_prefix('/'))
        {
            told.insert(hasher.hash_one(id));
        }
    }
    Ok(told)
}
