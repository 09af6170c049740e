//! Copies: made whole in `.sarang/tmp`, then shown in one rename.

use super::change::{check_apart, early_tomb, ensure, note_if_folder};
use super::chronicle::{self, Event};
use super::label::{Label, digest_of};
use super::ledger::{Growth, Reservation};
use super::list::visible;
use super::os::{self, Errno, Found, Kind, Lookup, fd};
use super::props::{decode, encode, explain_store};
use super::root::{Root, TMP, change, existing, explain, replaceable};
use super::stage::remove_tree;
use super::trash::At;
use crate::content::{Commit, Judge, Node, OWN_NAMESPACE, Reach};
use crate::model::{Error, RelPath, Result};
use std::cell::RefCell;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

const DOING: &str = "copy it";

/// Copies `from` to `to`; returns whether nothing stood there.
pub(super) fn copy(root: &Arc<Root>, from: &RelPath, to: &RelPath, reach: Reach, commit: &Commit) -> Result<bool> {
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
    let mut copied = Copied {
        root,
        judge: commit.judge.as_ref(),
        name: root.stamp(),
        kind: found.kind,
        reserved: RefCell::new((0, Reservation::new(root, commit.limit, old))),
        published: false,
    };
    copied.fill(fd(&source), &found, reach)?;
    let created = {
        let _guard = root.guard();
        target.refresh()?;
        let present = root.stat(from, Lookup::Full)?;
        let (name, there) = target.find()?;
        let there = replaceable(there)?;
        if there.is_some() && !commit.overwrite {
            return Err(Error::PreconditionFailed);
        }
        let growth = Growth { new: copied.bytes(), old: there.as_ref().map_or(0, |old| old.node.len) };
        change(commit, present.as_ref(), &mut || {
            root.ledger.admit(root, growth, commit.limit)?;
            match &there {
                Some(old) => {
                    let path = format!("{TMP}/{}", copied.name);
                    let here = At { dir: fd(&root.tmp), name: &copied.name, path: &path };
                    let tomb = ensure(root, &mut tomb, to, commit)?;
                    tomb.replace(here, copied.kind, (target.dir(), &name), old)?;
                    tomb.note_gone(old);
                    note_if_folder(root, old);
                    root.pen.note(root, &[chronicle::deleted(to, tomb.name())]);
                }
                None => os::rename_new((fd(&root.tmp), &copied.name), (target.dir(), &name))
                    .map_err(|e| explain(DOING, e))?,
            }
            copied.note();
            root.pen.note(root, &[Event::Made(to.as_str().to_owned())]);
            Ok(())
        })?;
        there.is_none()
    };
    tomb.map_or(Ok(()), |tomb| tomb.settle())?;
    root.settle(target.dir())?;
    Ok(created)
}

/// A copy in `.sarang/tmp` that vanishes unless published.
struct Copied<'a> {
    root: &'a Root,
    /// Asked before each file and folder whether to go on.
    judge: &'a dyn Judge,
    name: String,
    kind: Kind,
    /// Bytes copied so far, and the room for them.
    reserved: RefCell<(u64, Reservation)>,
    published: bool,
}

impl Copied<'_> {
    fn bytes(&self) -> u64 {
        self.reserved.borrow().0
    }

    /// Makes room for so many bytes more.
    fn reserve(&self, more: u64) -> Result<()> {
        let (bytes, reservation) = &mut *self.reserved.borrow_mut();
        *bytes = bytes.saturating_add(more);
        reservation.grow(*bytes)
    }

    /// Notes that it has its place.
    fn note(&mut self) {
        self.published = true;
        let (new, reservation) = self.reserved.get_mut();
        self.root.ledger.note_put(Growth { new: *new, old: 0 }, reservation);
    }

    /// Copies the content and makes it durable, if the settings want that.
    fn fill(&self, source: BorrowedFd<'_>, found: &Found, reach: Reach) -> Result<()> {
        let tmp = fd(&self.root.tmp);
        if self.kind == Kind::File {
            let made = copy_file(self, source, tmp, &self.name)?;
            return self.root.settle(fd(&made));
        }
        debug_assert!(found.node.folder);
        let made = copy_folder(self, source, tmp, &self.name)?;
        if reach == Reach::Shallow {
            return self.root.settle(fd(&made));
        }
        copy_below(self, source, made)?;
        if self.root.is_strict() {
            // One wait for the whole tree instead of one a file.
            os::sync_all(tmp).map_err(|e| Error::io("write to the disk", e))?;
        }
        Ok(())
    }
}

impl Drop for Copied<'_> {
    fn drop(&mut self) {
        if !self.published {
            let tmp = fd(&self.root.tmp);
            // What stays is swept at the next start.
            let _ = match self.kind {
                Kind::Folder => remove_tree(tmp, &self.name, &mut |_, _| {}),
                _ => os::unlink_file(tmp, &self.name).map_err(|e| explain(DOING, e)),
            };
        }
    }
}

/// Spares the work when the change would be refused anyway; the judgement that counts is made under the guard.
fn refuse_early(commit: &Commit, source: &Node, taken: bool) -> Result<()> {
    let refused = !commit.expect.holds(Some(source)) || (taken && !commit.overwrite);
    if refused { Err(Error::PreconditionFailed) } else { Ok(()) }
}

fn open_source(root: &Root, path: &RelPath) -> Result<(OwnedFd, Found)> {
    let opened = root.look(path, Lookup::Full, os::open_read)?.ok_or(Error::NotFound)?;
    let found = existing(os::stat_fd(fd(&opened)).map_err(|e| explain(DOING, e))?)?;
    Ok((opened, found))
}

fn copy_props_onto(root: &Root, from: (&RelPath, BorrowedFd<'_>), to: &RelPath, commit: &Commit) -> Result<()> {
    let target = {
        let _guard = root.guard();
        let present = root.stat(from.0, Lookup::Full)?;
        let (target, _) = open_source(root, to)?;
        change(commit, present.as_ref(), &mut || {
            let stored = os::props_fd(from.1).map_err(|e| explain(DOING, e))?;
            os::set_props(fd(&target), stored.as_deref().unwrap_or_default()).map_err(explain_store)
        })?;
        target
    };
    root.settle(fd(&target))
}

fn copy_file(copied: &Copied<'_>, from: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let failed = |e| explain(DOING, e);
    let node = os::stat_fd(from).map_err(failed)?.node;
    copied.judge.check()?;
    copied.reserve(node.len)?;
    let made = os::create_file(dir, name).map_err(failed)?;
    copied.root.copy_into(fd(&made), from, node.len, copied.judge)?;
    copy_props(from, fd(&made))?;
    os::set_modified(fd(&made), node.modified).map_err(failed)?;
    if let Some(known) = digest_of(from, &node) {
        Label::new(Some((&known, &node)), None).offer(fd(&made))?;
    }
    Ok(made)
}

/// Makes an empty folder with the properties of another.
fn copy_folder(copied: &Copied<'_>, from: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    copied.judge.check()?;
    os::make_folder(dir, name).map_err(|e| explain(DOING, e))?;
    let made = os::open_folder(dir, name, Lookup::Full).map_err(|e| explain(DOING, e))?;
    copy_props(from, fd(&made))?;
    Ok(made)
}

/// Properties without those that say which file this is.
fn without_marks(stored: Vec<u8>) -> Result<Vec<u8>> {
    let own = OWN_NAMESPACE.as_bytes();
    if !stored.windows(own.len()).any(|bytes| bytes == own) {
        return Ok(stored);
    }
    let props = decode(Some(&stored))?;
    encode(&props.into_iter().filter(|prop| !prop.is_mark()).collect::<Vec<_>>())
}

fn copy_props(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    match os::props_fd(from).map_err(|e| explain(DOING, e))? {
        Some(stored) => os::set_props(to, &without_marks(stored)?).map_err(explain_store),
        None => Ok(()),
    }
}

/// A folder whose files are copied and whose folders wait.
struct Level {
    from: OwnedFd,
    to: OwnedFd,
    folders: Vec<String>,
}

/// Copies all below `from`, with two open folders a level and no recursion.
fn copy_below(copied: &Copied<'_>, from: BorrowedFd<'_>, to: OwnedFd) -> Result<()> {
    let mut buffer = Vec::new();
    let again = os::open_folder(from, "", Lookup::Full).map_err(|e| explain(DOING, e))?;
    let mut levels = vec![copy_level(copied, again, to, &mut buffer)?];
    while let Some(mut level) = levels.pop() {
        let Some(name) = level.folders.pop() else { continue };
        let opened = os::open_folder(fd(&level.from), &name, Lookup::Full);
        let below = match opened {
            Ok(from) => {
                let to = copy_folder(copied, fd(&from), fd(&level.to), &name)?;
                Some(copy_level(copied, from, to, &mut buffer)?)
            }
            Err(Errno::NOENT) => None,
            Err(e) => return Err(explain(DOING, e)),
        };
        levels.push(level);
        levels.extend(below);
    }
    Ok(())
}

fn copy_level(copied: &Copied<'_>, from: OwnedFd, to: OwnedFd, buffer: &mut Vec<u8>) -> Result<Level> {
    let mut folders = Vec::new();
    let read = os::read_names(fd(&from), buffer, usize::MAX, |raw, kind| {
        let Some(name) = visible(raw) else { return Ok(()) };
        if kind == Some(Kind::Other) {
            return Ok(());
        }
        let kind = match kind {
            Some(kind) => kind,
            None => os::stat_entry(fd(&from), raw)?.kind,
        };
        match kind {
            Kind::Folder => folders.push(name.to_owned()),
            Kind::File => copy_member(copied, fd(&from), fd(&to), name)?,
            Kind::Other => {}
        }
        Ok(())
    });
    read.map_err(|Failed(e)| e)?;
    Ok(Level { from, to, folders })
}

fn copy_member(copied: &Copied<'_>, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &str) -> Result<()> {
    match os::open_read(from, name, Lookup::Full) {
        Ok(source) => copy_file(copied, fd(&source), to, name).map(drop),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(explain(DOING, e)),
    }
}

struct Failed(Error);

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self(explain(DOING, errno))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}
