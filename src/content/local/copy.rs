//! Copies: made whole in `.sarang/tmp`, then shown in one rename.

use super::access;
use super::change::{check_apart, early_tomb, ensure, note_if_folder};
use super::chronicle::{self, Event};
use super::fill::Fill;
use super::ledger::Growth;
use super::os::{self, Found, Kind, Lookup, fd};
use super::overflow::mounted;
use super::props;
use super::reservation::Reservation;
use super::root::{Place, Root, TMP, change, existing, explain, replaceable};
use super::stage::remove_tree;
use super::trash::At;
use crate::content::{Commit, Node, Reach};
use crate::model::{Error, RelPath, Result};
use std::cell::OnceCell;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

const DOING: &str = "copy it";

/// Copies `from` to `to`; returns whether nothing stood there.
pub(super) fn copy(
    root: &Arc<Root>,
    from: &RelPath,
    to: &RelPath,
    reach: Reach,
    commit: &Commit,
) -> Result<bool> {
    if check_apart(from, to)? {
        return Err(Error::Forbidden("Source and target are the same."));
    }
    root.check_new_name(to)?;
    let (source, found) = open_source(root, from)?;
    let mut target = root.place(to)?;
    let there = replaceable(target.find()?.1)?;
    refuse_early(commit, &found.node, there.is_some())?;
    let old = there.as_ref().map_or(0, |there| there.node.len);
    let onto = there.filter(|there| there.kind == Kind::Folder && found.kind == Kind::Folder);
    if reach == Reach::Shallow && onto.is_some() {
        return copy_props_onto(root, (from, fd(&source)), to, commit).map(|()| false);
    }
    let mut tomb = early_tomb(root, &target, to, commit)?;
    // Of a whole tree all is put on the disk in one go.
    let is_synced = found.kind == Kind::File || reach == Reach::Shallow;
    let reservation = Reservation::new(root, commit.limit, old);
    let fill = Fill::new(
        (root, root, target.dir()),
        is_synced,
        reservation,
        commit.judge.as_ref(),
    )?;
    let mut copied = Copied {
        root,
        name: root.stamp(),
        kind: found.kind,
        fill,
        made: OnceCell::new(),
        published: false,
    };
    copied.fill(fd(&source), &found, reach, (&target, to))?;
    copied.note_made()?;
    let created = {
        let _guard = root.guard();
        target.refresh()?;
        let present = root.stat(from, Lookup::Full)?;
        let (name, there) = target.find()?;
        let there = replaceable(there)?;
        if there.is_some() && !commit.overwrite {
            return Err(Error::PreconditionFailed);
        }
        let growth = Growth {
            new: copied.fill.bytes(),
            old: there.as_ref().map_or(0, |old| old.node.len),
        };
        change(commit, present.as_ref(), &mut || {
            root.ledger.admit(root, growth, commit.limit)?;
            match &there {
                Some(old) => {
                    let path = format!("{TMP}/{}", copied.name);
                    let here = At {
                        dir: fd(&root.tmp),
                        name: &copied.name,
                        path: &path,
                    };
                    let tomb = ensure(root, &mut tomb, to, commit)?;
                    tomb.replace(here, copied.kind, (target.dir(), &name), old)?;
                    tomb.note_gone(old);
                    note_if_folder(root, old);
                    root.pen.note(root, &[chronicle::deleted(to, tomb.name())]);
                }
                None => root
                    .show(
                        copied.kind,
                        (fd(&root.tmp), &copied.name),
                        (target.dir(), &name),
                    )
                    .map_err(|e| explain(DOING, e))?,
            }
            copied.note();
            root.pen.note(root, &[Event::Made(to.as_str().to_owned())]);
            Ok(())
        })?;
        there.is_none()
    };
    tomb.map_or(Ok(()), |tomb| tomb.settle(commit))?;
    root.settle(target.dir())?;
    Ok(created)
}

/// A copy in `.sarang/tmp` that vanishes unless published.
struct Copied<'a> {
    root: &'a Root,
    name: String,
    kind: Kind,
    fill: Fill<'a>,
    /// Its inode, once it is filled.
    made: OnceCell<u64>,
    published: bool,
}

impl Copied<'_> {
    /// Whether what lies there was made for it: it may be what it was to replace, which could neither be buried nor put back. The next start
    /// finishes that.
    fn is_made(&self) -> bool {
        let found = os::stat_at(fd(&self.root.tmp), &self.name).map(|found| found.inode);
        self.made.get().is_none_or(|made| found == Ok(*made))
    }

    /// Notes that it has its place.
    fn note(&mut self) {
        self.published = true;
        let (new, reservation) = self.fill.reserved();
        self.root
            .ledger
            .note_put(Growth { new: *new, old: 0 }, reservation, None);
    }

    /// Notes what was made.
    fn note_made(&self) -> Result<()> {
        let found = os::stat_at(fd(&self.root.tmp), &self.name).map_err(|e| explain(DOING, e))?;
        let _ = self.made.set(found.inode);
        Ok(())
    }

    /// Copies the content and makes it durable, if the settings want that.
    fn fill(
        &self,
        source: BorrowedFd<'_>,
        found: &Found,
        reach: Reach,
        (target, to): (&Place<'_>, &RelPath),
    ) -> Result<()> {
        let tmp = fd(&self.root.tmp);
        let name = CString::new(self.name.as_str()).map_err(|_| Error::NotFound)?;
        if self.kind == Kind::File {
            let made = self.fill.file(source, tmp, &name)?;
            access::take_over(target, fd(&made))?;
            return self.root.settle(fd(&made));
        }
        debug_assert!(found.node.folder);
        // Opened before anything is written: syncfs(2) tells each open file of a write error once, and of those since it was opened.
        let witness = os::open_folder(tmp, "", Lookup::Full).map_err(|e| explain(DOING, e))?;
        let made = self.fill.folder(source, tmp, &name)?;
        if reach == Reach::Shallow {
            return self.root.settle(fd(&made));
        }
        self.fill.below(source, made, to.left()?)?;
        if self.root.is_strict() {
            // One wait for the whole tree instead of one a file.
            os::sync_all(fd(&witness)).map_err(|e| Error::io("write to the disk", e))?;
        }
        Ok(())
    }
}

impl Drop for Copied<'_> {
    fn drop(&mut self) {
        if !self.published && self.is_made() {
            let tmp = fd(&self.root.tmp);
            // What stays is swept at the next start.
            let _ = match self.kind {
                Kind::Folder => remove_tree(tmp, &self.name, &mut |_, _| {}),
                _ => os::unlink_file(tmp, &self.name).map_err(|e| explain(DOING, e)),
            };
            self.root.overflow.note_loose();
        }
    }
}

/// Spares the work when the change would be refused anyway; the judgement that counts is made under the guard.
fn refuse_early(commit: &Commit, source: &Node, taken: bool) -> Result<()> {
    let refused = !commit.expect.holds(Some(source)) || (taken && !commit.overwrite);
    if refused {
        Err(Error::PreconditionFailed)
    } else {
        Ok(())
    }
}

fn open_source(root: &Root, path: &RelPath) -> Result<(OwnedFd, Found)> {
    let opened = root
        .look(path, Lookup::Full, os::open_read)?
        .ok_or(Error::NotFound)?;
    let found = existing(os::stat_fd(fd(&opened)).map_err(|e| explain(DOING, e))?)?;
    Ok((opened, found))
}

fn copy_props_onto(
    root: &Root,
    from: (&RelPath, BorrowedFd<'_>),
    to: &RelPath,
    commit: &Commit,
) -> Result<()> {
    let target = {
        let _guard = root.guard();
        let present = root.stat(from.0, Lookup::Full)?;
        let (target, _) = open_source(root, to)?;
        mounted::note(root, to, fd(&target))?;
        change(commit, present.as_ref(), &mut || {
            props::copy_onto(root, from.1, fd(&target), commit.limit)
        })?;
        target
    };
    root.settle(fd(&target))
}

#[cfg(test)]
mod tests {
    use super::super::tests::RELAXED;
    use super::*;
    use crate::content::Unjudged;
    use std::fs;

    /// As after a swap whose second step, and its way back, have failed.
    #[test]
    fn what_a_copy_was_to_replace_is_not_deleted_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(dir.path(), RELAXED).unwrap());
        for is_swapped in [true, false] {
            let made = dir.path().join(TMP).join("copy");
            fs::create_dir(&made).unwrap();
            let fill = Fill::new(
                (&root, &root, fd(&root.dir)),
                false,
                Reservation::none(&root),
                &Unjudged,
            )
            .unwrap();
            let (name, made_at) = ("copy".to_owned(), OnceCell::new());
            let copied = Copied {
                root: &root,
                name,
                kind: Kind::Folder,
                fill,
                made: made_at,
                published: false,
            };
            copied.note_made().unwrap();
            if is_swapped {
                fs::rename(&made, dir.path().join("target")).unwrap();
                fs::create_dir(&made).unwrap();
            }
            drop(copied);
            assert_eq!(made.exists(), is_swapped);
            let _ = fs::remove_dir(made);
        }
    }
}
