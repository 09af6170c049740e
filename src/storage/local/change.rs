//! Making, moving and deleting: each is one rename under the guard.

use super::access;
use super::change_log::{self, LoggedChange};
use super::checked_step::CheckedStep;
use super::dirs::ParentDir;
use super::errors::map_errno;
use super::in_place::mounts::mounts;
use super::missing_features::MissingFeature;
use super::names::{NameAt, PathAt, replaceable, stat_name};
use super::root::TreeRoot;
use super::stored_path::is_same_entry;
use super::sys::{self, Errno, FileKind, FileStat, fd};
use super::trash::TrashEntry;
use super::usage_counter::UsageDelta;
use crate::model::{Error, RelPath, Result};
use crate::storage::{Changed, Deleted, WriteOptions};
use std::borrow::Cow;

const OVERLAP: Error =
    Error::Forbidden("Source and target are the same, or one lies within the other.");

/// Makes a folder.
pub(super) fn mkdir(root: &TreeRoot, path: &RelPath, commit: &WriteOptions) -> Result<Changed> {
    if path.is_root() {
        return Err(Error::Exists);
    }
    root.check_new_name(path)?;
    let taken = |e| {
        if e == Errno::EXIST {
            Error::Exists
        } else {
            map_errno("make the folder", e)
        }
    };
    let mut place = root.open_parent(path)?;
    let changed = {
        let _guard = root.lock_names();
        place.refresh()?;
        let (name, found) = place.find()?;
        let present = found.map(|found| found.node);
        let step = root.check_step(commit, present.as_ref())?;
        if present.is_some() {
            return Err(Error::Exists);
        }
        sys::make_folder(place.dir(), &name).map_err(taken)?;
        access::inherit_new_folder(root, place.dir(), &name)?;
        root.change_log
            .append(root, &[LoggedChange::Made(path.as_str().to_owned())]);
        step.made_beside(None)
    };
    root.sync_unless_deferred(commit, place.dir())?;
    Ok(changed)
}

/// Moves a file or folder, whole, to the trash.
pub(super) fn delete(root: &TreeRoot, path: &RelPath, commit: &WriteOptions) -> Result<Deleted> {
    let take = |trash_entry: &mut TrashEntry<'_>, name: NameAt<'_>, found: &FileStat| {
        trash_entry.move_in(name)?;
        trash_entry.uncount(found);
        Ok(())
    };
    let outcome = |step: CheckedStep<'_>, _: &FileStat| step.made(None);
    let (trash_entry, place, changed) = delete_with(root, path, commit, take, outcome)?;
    trash_entry.sync(commit)?;
    root.sync_unless_deferred(commit, place.dir())?;
    Ok(Deleted {
        id: trash_entry.name().to_owned(),
        changed,
    })
}

/// Takes a file or folder away by `take`, which is given its place in the trash, its name and what it is; returns that place and where it
/// lay, both of which are still to be synced, and the outcome.
pub(super) fn delete_with<'a, T>(
    root: &'a TreeRoot,
    path: &'a RelPath,
    commit: &WriteOptions,
    take: impl Fn(&mut TrashEntry<'a>, NameAt<'_>, &FileStat) -> Result<()>,
    outcome: impl Fn(CheckedStep<'_>, &FileStat) -> T,
) -> Result<(TrashEntry<'a>, ParentDir<'a>, T)> {
    let mut place = root.open_parent_of_existing(path)?;
    if place.find_existing()?.1.kind == FileKind::Folder {
        check_no_mounts(root, path)?;
    }
    let mut trash_entry = TrashEntry::prepare(root, &root.stored_path(path)?, &commit.actor)?;
    let changed = {
        let _guard = root.lock_names();
        place.refresh()?;
        let (name, found) = place.find_existing()?;
        let step = root.check_step(commit, Some(&found.node))?;
        take(&mut trash_entry, (place.dir(), &name), &found)?;
        note_if_folder(root, &found);
        root.change_log
            .append(root, &[change_log::deleted(path, trash_entry.name())]);
        outcome(step, &found)
    };
    Ok((trash_entry, place, changed))
}

/// Refuses to take a folder away that something is mounted in: it would be deleted with it one day.
fn check_no_mounts(root: &TreeRoot, path: &RelPath) -> Result<()> {
    let top = sys::path_of(fd(&root.dir)).map_err(|e| map_errno("look where it is", e))?;
    let folder = top.join(root.stored_path(path)?.as_str());
    let is_within =
        mounts().is_some_and(|mounts| mounts.iter().any(|mount| mount.point.starts_with(&folder)));
    if is_within {
        Err(map_errno("take it away", Errno::XDEV))
    } else {
        Ok(())
    }
}

/// Moves `from` to `to`.
pub(super) fn rename(
    root: &TreeRoot,
    from: &RelPath,
    to: &RelPath,
    commit: &WriteOptions,
) -> Result<Changed> {
    let respelling = check_no_overlap(from, to)?;
    root.check_new_name(to)?;
    let mut source = root.open_parent_of_existing(from)?;
    source.find_existing()?;
    let mut target = root.open_parent(to)?;
    access::inherit_staged(root, from, &source, &target)?;
    let mut trash_entry = prepare_trash_entry(root, &target, to, commit)?;
    let changed = {
        let _guard = root.lock_names();
        refresh_source(&mut source)?;
        target.refresh()?;
        let (name, found) = source.find_existing()?;
        let (new_name, there) = find_target(&target, respelling)?;
        let is_it = there
            .as_ref()
            .is_some_and(|there| there.inode == found.inode);
        let same = is_it
            && (respelling
                || is_same_entry(root, (source.dir(), &name), (target.dir(), &new_name))?);
        let there = there.filter(|_| !same);
        if there.is_some() && !commit.overwrite {
            return Err(Error::PreconditionFailed);
        }
        let spelled = root.stored_path(from)?;
        let here = PathAt {
            dir: source.dir(),
            name: &name,
            path: spelled.as_str(),
        };
        let there_at = PathAt {
            dir: target.dir(),
            name: &new_name,
            path: to.as_str(),
        };
        let rename = RenameStep {
            root,
            from,
            to,
            commit,
            same,
        };
        let step = root.check_step(commit, Some(&found.node))?;
        rename.apply((here, &found), (there_at, there.as_ref()), &mut trash_entry)?;
        step.made(there.map(|there| there.node))
    };
    trash_entry.map_or(Ok(()), |trash_entry| trash_entry.sync(commit))?;
    root.sync_unless_deferred(commit, target.dir())?;
    root.sync_unless_deferred(commit, source.dir())?;
    root.change_log.sync_if_strict(root, commit)?;
    Ok(changed)
}

/// A rename in the step that makes it.
struct RenameStep<'a> {
    root: &'a TreeRoot,
    from: &'a RelPath,
    to: &'a RelPath,
    commit: &'a WriteOptions,
    /// Whether source and target are spellings of one name.
    same: bool,
}

impl<'a> RenameStep<'a> {
    /// Moves what was `found` to its new name, in the place of what is there; called under the guard.
    fn apply(
        &self,
        (here, found): (PathAt<'_>, &FileStat),
        (there, old): (PathAt<'_>, Option<&FileStat>),
        trash_entry: &mut Option<TrashEntry<'a>>,
    ) -> Result<()> {
        let root = self.root;
        match old {
            // Two names of one file: a rename would do nothing and say it had. Nothing is deleted.
            Some(old) if old.inode == found.inode => {
                sys::unlink_file(here.dir, here.name).map_err(|e| map_errno("move it", e))?;
                root.usage.apply(
                    root,
                    UsageDelta {
                        added: 0,
                        removed: old.node.len,
                    },
                );
            }
            Some(old) => {
                let trash_entry = ensure_trash_entry(root, trash_entry, self.to, self.commit)?;
                trash_entry.replace(here, found.kind, (there.dir, there.name), old)?;
                trash_entry.uncount(old);
                root.change_log.append(
                    root,
                    &[
                        change_log::deleted(self.to, trash_entry.name()),
                        change_log::moved(self.from, self.to),
                    ],
                );
            }
            None => {
                if self.same {
                    rename_spelling(root, here, there, self.commit)?;
                } else {
                    move_to(root, found.kind, here, there)?;
                }
                root.change_log
                    .append(root, &[change_log::moved(self.from, self.to)]);
            }
        }
        note_if_folder(root, found);
        if let Some(old) = old {
            note_if_folder(root, old);
        }
        // A count that has this behind or before it may have met it twice or not at all.
        root.usage.apply(
            root,
            UsageDelta {
                added: 0,
                removed: 0,
            },
        );
        Ok(())
    }
}

/// Opens the folder of the source again where it may have moved; with that folder the source is gone.
fn refresh_source(source: &mut ParentDir<'_>) -> Result<()> {
    source.refresh().map_err(|e| {
        if matches!(e, Error::ParentMissing) {
            Error::NotFound
        } else {
            e
        }
    })
}

/// Refuses a source and target of which one holds the other; returns whether they are spellings of one path.
pub(super) fn check_no_overlap(from: &RelPath, to: &RelPath) -> Result<bool> {
    let source = from.to_nfc();
    let target = to.to_nfc();
    if source == target {
        return if from.name() == to.name() {
            Err(OVERLAP)
        } else {
            Ok(true)
        };
    }
    if source.is_within(&target) || target.is_within(&source) {
        Err(OVERLAP)
    } else {
        Ok(false)
    }
}

/// Prepares the trash before the guard is taken, when it looks as if something will be replaced.
pub(super) fn prepare_trash_entry<'a>(
    root: &'a TreeRoot,
    target: &ParentDir<'_>,
    path: &RelPath,
    commit: &WriteOptions,
) -> Result<Option<TrashEntry<'a>>> {
    let (_, there) = target.find()?;
    let there = replaceable(there)?;
    if let Some(there) = there.filter(|_| commit.overwrite) {
        if there.kind == FileKind::Folder {
            check_no_mounts(root, path)?;
        }
        return TrashEntry::prepare(root, &root.stored_path(path)?, &commit.actor).map(Some);
    }
    Ok(None)
}

/// The trash entry, made now if nobody saw the need earlier.
pub(super) fn ensure_trash_entry<'t, 'a>(
    root: &'a TreeRoot,
    trash_entry: &'t mut Option<TrashEntry<'a>>,
    path: &RelPath,
    commit: &WriteOptions,
) -> Result<&'t mut TrashEntry<'a>> {
    if trash_entry.is_none() {
        *trash_entry = Some(TrashEntry::prepare(root, path, &commit.actor)?);
    }
    trash_entry.as_mut().ok_or(Error::NotFound)
}

/// Notes that paths through this folder lead elsewhere now.
pub(super) fn note_if_folder(root: &TreeRoot, found: &FileStat) {
    if found.kind == FileKind::Folder {
        root.note_move();
    }
}

/// What stands at the target. A change of spelling is about the new spelling only: the old one is the source.
fn find_target<'p>(
    target: &'p ParentDir<'_>,
    respelling: bool,
) -> Result<(Cow<'p, str>, Option<FileStat>)> {
    let (name, there) = if respelling {
        (
            Cow::Borrowed(target.name),
            stat_name(target.dir(), target.name)?,
        )
    } else {
        target.find()?
    };
    Ok((name, replaceable(there)?))
}

fn move_to(root: &TreeRoot, kind: FileKind, from: PathAt<'_>, to: PathAt<'_>) -> Result<()> {
    let renamed = root.rename_visible(kind, from, to);
    // The kernel says EINVAL when a folder would land in itself, which odd file systems can hide from us.
    renamed.map_err(|e| {
        if e == Errno::INVAL {
            OVERLAP
        } else {
            map_errno("move it", e)
        }
    })
}

/// Spells a name anew. A file system that takes both spellings for the same does nothing when it is asked to.
fn rename_spelling(
    root: &TreeRoot,
    from: PathAt<'_>,
    to: PathAt<'_>,
    commit: &WriteOptions,
) -> Result<()> {
    if root.missing_features.has(MissingFeature::CaseSensitivity) {
        let trash_entry = TrashEntry::prepare(
            root,
            &RelPath::from_stored(from.path.to_owned()),
            &commit.actor,
        )?;
        return trash_entry.rename_via_tmp((from.dir, from.name), (to.dir, to.name));
    }
    sys::rename_over((from.dir, from.name), (to.dir, to.name)).map_err(|e| map_errno("move it", e))
}
