//! Making, moving and deleting: each is one rename under the guard.

use super::access;
use super::chronicle::{self, Event};
use super::in_place::mounts::mounts;
use super::lacks::Lack;
use super::ledger::Growth;
use super::os::{self, Errno, Found, Kind, fd};
use super::root::{Place, Root, change, explain, replaceable, stat_name};
use super::spelled::is_one_entry;
use super::trash::{At, Name, Tomb};
use crate::content::Commit;
use crate::model::{Error, RelPath, Result};
use std::borrow::Cow;

const OVERLAP: Error =
    Error::Forbidden("Source and target are the same, or one lies within the other.");

/// Makes a folder.
pub(super) fn mkdir(root: &Root, path: &RelPath, commit: &Commit) -> Result<()> {
    if path.is_root() {
        return Err(Error::Exists);
    }
    root.check_new_name(path)?;
    let mut place = root.place(path)?;
    {
        let _guard = root.guard();
        place.refresh()?;
        let (name, found) = place.find()?;
        let present = found.map(|found| found.node);
        change(commit, present.as_ref(), &mut || {
            let taken = |e| {
                if e == Errno::EXIST {
                    Error::Exists
                } else {
                    explain("make the folder", e)
                }
            };
            if present.is_some() {
                return Err(Error::Exists);
            }
            os::make_folder(place.dir(), &name).map_err(taken)?;
            access::open_up(root, place.dir(), &name)?;
            root.pen
                .note(root, &[Event::Made(path.as_str().to_owned())]);
            Ok(())
        })?;
    }
    root.settle_after(commit, place.dir())
}

/// Moves a file or folder, whole, to the trash; returns what it is called there.
pub(super) fn delete(root: &Root, path: &RelPath, commit: &Commit) -> Result<String> {
    let (tomb, place) = take_away(root, path, commit, |tomb, name, found| {
        tomb.bury(name)?;
        tomb.note_gone(found);
        Ok(())
    })?;
    tomb.settle(commit)?;
    root.settle_after(commit, place.dir())?;
    Ok(tomb.name().to_owned())
}

/// Takes a file or folder away by `take`, which is given its place in the trash, its name and what it is; returns that place and where it
/// lay, both of which are still to be settled.
pub(super) fn take_away<'a>(
    root: &'a Root,
    path: &'a RelPath,
    commit: &Commit,
    take: impl Fn(&mut Tomb<'a>, Name<'_>, &Found) -> Result<()>,
) -> Result<(Tomb<'a>, Place<'a>)> {
    let mut place = root.place_of(path)?;
    if place.find_existing()?.1.kind == Kind::Folder {
        refuse_mounts(root, path)?;
    }
    let mut tomb = Tomb::dig(root, &root.respell(path)?, &commit.who)?;
    {
        let _guard = root.guard();
        place.refresh()?;
        let (name, found) = place.find_existing()?;
        change(commit, Some(&found.node), &mut || {
            take(&mut tomb, (place.dir(), &name), &found)?;
            note_if_folder(root, &found);
            root.pen
                .note(root, &[chronicle::deleted(path, tomb.name())]);
            Ok(())
        })?;
    }
    Ok((tomb, place))
}

/// Refuses to take a folder away that something is mounted in: it would be deleted with it one day.
fn refuse_mounts(root: &Root, path: &RelPath) -> Result<()> {
    let top = os::path_of(fd(&root.dir)).map_err(|e| explain("look where it is", e))?;
    let folder = top.join(root.respell(path)?.as_str());
    let is_within =
        mounts().is_some_and(|mounts| mounts.iter().any(|mount| mount.point.starts_with(&folder)));
    if is_within {
        Err(explain("take it away", Errno::XDEV))
    } else {
        Ok(())
    }
}

/// Moves `from` to `to`; returns whether nothing stood there.
pub(super) fn rename(root: &Root, from: &RelPath, to: &RelPath, commit: &Commit) -> Result<bool> {
    let respelling = check_apart(from, to)?;
    root.check_new_name(to)?;
    let mut source = root.place_of(from)?;
    source.find_existing()?;
    let mut target = root.place(to)?;
    access::settle_in(root, from, &source, &target)?;
    let mut tomb = early_tomb(root, &target, to, commit)?;
    let created = {
        let _guard = root.guard();
        source.refresh().map_err(|e| {
            if matches!(e, Error::ParentMissing) {
                Error::NotFound
            } else {
                e
            }
        })?;
        target.refresh()?;
        let (name, found) = source.find_existing()?;
        let (new_name, there) = look_at_target(&target, respelling)?;
        let is_it = there
            .as_ref()
            .is_some_and(|there| there.inode == found.inode);
        let same = is_it
            && (respelling
                || is_one_entry(root, (source.dir(), &name), (target.dir(), &new_name))?);
        let there = there.filter(|_| !same);
        if there.is_some() && !commit.overwrite {
            return Err(Error::PreconditionFailed);
        }
        let spelled = root.respell(from)?;
        let here = At {
            dir: source.dir(),
            name: &name,
            path: spelled.as_str(),
        };
        change(commit, Some(&found.node), &mut || {
            match &there {
                // Two names of one file: a rename would do nothing and say it had. Nothing is deleted.
                Some(old) if old.inode == found.inode => {
                    os::unlink_file(source.dir(), &name).map_err(|e| explain("move it", e))?;
                    root.ledger.note(
                        root,
                        Growth {
                            new: 0,
                            old: old.node.len,
                        },
                    );
                }
                Some(old) => {
                    let tomb = ensure(root, &mut tomb, to, commit)?;
                    tomb.replace(here, found.kind, (target.dir(), &new_name), old)?;
                    tomb.note_gone(old);
                    root.pen.note(
                        root,
                        &[
                            chronicle::deleted(to, tomb.name()),
                            chronicle::moved(from, to),
                        ],
                    );
                }
                None => {
                    let there = At {
                        dir: target.dir(),
                        name: &new_name,
                        path: to.as_str(),
                    };
                    if same {
                        respell(root, here, there, commit)?;
                    } else {
                        move_to(root, found.kind, here, there)?;
                    }
                    root.pen.note(root, &[chronicle::moved(from, to)]);
                }
            }
            note_if_folder(root, &found);
            if let Some(old) = &there {
                note_if_folder(root, old);
            }
            // A count that has this behind or before it may have met it twice or not at all.
            root.ledger.note(root, Growth { new: 0, old: 0 });
            Ok(())
        })?;
        there.is_none()
    };
    tomb.map_or(Ok(()), |tomb| tomb.settle(commit))?;
    root.settle_after(commit, target.dir())?;
    root.settle_after(commit, source.dir())?;
    root.pen.settle(root, commit)?;
    Ok(created)
}

/// Refuses a source and target of which one holds the other; returns whether they are spellings of one path.
pub(super) fn check_apart(from: &RelPath, to: &RelPath) -> Result<bool> {
    let (source, target) = (from.to_nfc(), to.to_nfc());
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
pub(super) fn early_tomb<'a>(
    root: &'a Root,
    target: &Place<'_>,
    path: &RelPath,
    commit: &Commit,
) -> Result<Option<Tomb<'a>>> {
    let (_, there) = target.find()?;
    let there = replaceable(there)?;
    if let Some(there) = there.filter(|_| commit.overwrite) {
        if there.kind == Kind::Folder {
            refuse_mounts(root, path)?;
        }
        return Tomb::dig(root, &root.respell(path)?, &commit.who).map(Some);
    }
    Ok(None)
}

/// The tomb, dug now if nobody saw the need earlier.
pub(super) fn ensure<'t, 'a>(
    root: &'a Root,
    tomb: &'t mut Option<Tomb<'a>>,
    path: &RelPath,
    commit: &Commit,
) -> Result<&'t mut Tomb<'a>> {
    if tomb.is_none() {
        *tomb = Some(Tomb::dig(root, path, &commit.who)?);
    }
    tomb.as_mut().ok_or(Error::NotFound)
}

/// Notes that paths through this folder lead elsewhere now.
pub(super) fn note_if_folder(root: &Root, found: &Found) {
    if found.kind == Kind::Folder {
        root.note_move();
    }
}

/// What stands at the target. A change of spelling is about the new spelling only: the old one is the source.
fn look_at_target<'p>(
    target: &'p Place<'_>,
    respelling: bool,
) -> Result<(Cow<'p, str>, Option<Found>)> {
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

fn move_to(root: &Root, kind: Kind, from: At<'_>, to: At<'_>) -> Result<()> {
    let renamed = root.rename_at(kind, from, to);
    // The kernel says EINVAL when a folder would land in itself, which odd file systems can hide from us.
    renamed.map_err(|e| {
        if e == Errno::INVAL {
            OVERLAP
        } else {
            explain("move it", e)
        }
    })
}

/// Spells a name anew. A file system that takes both spellings for the same does nothing when it is asked to.
fn respell(root: &Root, from: At<'_>, to: At<'_>, commit: &Commit) -> Result<()> {
    if root.lacks.has(Lack::Case) {
        let tomb = Tomb::dig(root, &RelPath::restore(from.path.to_owned()), &commit.who)?;
        return tomb.pass_through((from.dir, from.name), (to.dir, to.name));
    }
    os::rename_over((from.dir, from.name), (to.dir, to.name)).map_err(|e| explain("move it", e))
}
