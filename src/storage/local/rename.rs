//! Changes of names that not every file system makes in one step. Where one does not, the guard and a look stand in for it, second names
//! for what other programs might do meanwhile, and a marker in `.sarang/tmp` for what a crash might cut.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::internal_dirs::TMP;
use super::missing_features::MissingFeature;
use super::names::{NameAt, PathAt};
use super::sys::{self, Errno, FileKind, FileStat, Lookup, SysResult, fd};
use super::walk;
use crate::model::{Error, RelPath, Result};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, Read};
use std::os::fd::BorrowedFd;

/// How markers of files that have two names for a moment begin in `.sarang/tmp`.
const DOUBLE_NAME: &str = "twice-";

/// A file that is moved by giving it its new name first.
#[derive(Serialize, Deserialize)]
struct DoubleName {
    from: String,
    to: String,
    inode: u64,
}

impl TreeDirs {
    /// Moves something to a free name, where nobody but this tree makes names, or something that no other can replace: a folder.
    /// `EEXIST`; called under the guard, if others know the name.
    pub fn rename_noreplace(&self, from: NameAt<'_>, to: NameAt<'_>) -> SysResult<()> {
        if !self.missing_features.has(MissingFeature::NoReplace) {
            match sys::rename_noreplace(from, to) {
                Err(e) if is_unknown(e) => {}
                renamed => return renamed,
            }
        }
        match sys::stat_at(to.0, to.1) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => sys::rename_over(from, to),
            Err(e) => Err(e),
        }
    }

    /// As [`rename_noreplace`](Self::rename_noreplace), of something in `.sarang/tmp`. What is left of a file there is swept.
    pub fn publish_from_tmp(
        &self,
        kind: FileKind,
        from: NameAt<'_>,
        to: NameAt<'_>,
    ) -> SysResult<()> {
        if kind == FileKind::File && self.missing_features.has(MissingFeature::NoReplace) {
            match sys::link(from, to) {
                Err(e) if is_unlinkable(e) => {}
                linked => return linked.and_then(|()| sys::unlink_file(from.0, from.1)),
            }
        }
        self.rename_noreplace(from, to)
    }

    /// As [`rename_noreplace`](Self::rename_noreplace), of something that is seen under both names: another program may make the new one in any moment.
    pub fn rename_visible(
        &self,
        kind: FileKind,
        from: PathAt<'_>,
        to: PathAt<'_>,
    ) -> SysResult<()> {
        let old = (from.dir, from.name);
        let new = (to.dir, to.name);
        if kind != FileKind::File
            || !self.missing_features.has(MissingFeature::NoReplace)
            || self.missing_features.has(MissingFeature::HardLinks)
        {
            return self.rename_noreplace(old, new);
        }
        let twice = DoubleName {
            from: from.path.to_owned(),
            to: to.path.to_owned(),
            inode: sys::stat_at(from.dir, from.name)?.inode,
        };
        let marker = self.mark(&twice)?;
        let moved = match sys::link(old, new) {
            Err(e) if is_unlinkable(e) => self.rename_noreplace(old, new),
            Ok(()) => sys::unlink_file(old.0, old.1)
                .or_else(|e| sys::unlink_file(new.0, new.1).and(Err(e))),
            Err(e) => Err(e),
        };
        self.unmark(&marker);
        moved
    }

    /// Gives a file a second name where nobody looks yet: on a file system without, a copy is called so.
    pub fn link_or_copy(&self, from: NameAt<'_>, to: NameAt<'_>) -> SysResult<()> {
        match sys::link(from, to) {
            Err(e) if is_unlinkable(e) => self.copy_aside(from, to),
            linked => linked,
        }
    }

    fn copy_aside(&self, from: NameAt<'_>, to: NameAt<'_>) -> SysResult<()> {
        let tmp = fd(&self.tmp);
        let name = self.new_stamp();
        let source = sys::open_read(from.0, from.1, Lookup::Full)?;
        let node = sys::stat_fd(fd(&source))?.node;
        let copy = sys::create_file(tmp, &name)?;
        let fill = || {
            sys::copy_content(fd(&source), fd(&copy), node.len)?;
            sys::copy_attributes(fd(&source), fd(&copy))?;
            sys::set_modified(fd(&copy), node.modified)?;
            if self.is_strict() {
                sys::sync(fd(&copy))?;
            }
            sys::rename_over((tmp, &name), to)
        };
        fill().inspect_err(|_| self.unmark(&name))
    }

    /// Writes a marker; returns its name.
    fn mark(&self, twice: &DoubleName) -> SysResult<String> {
        let tmp = fd(&self.tmp);
        let name = format!("{DOUBLE_NAME}{}", self.new_stamp());
        let text = serde_json::to_vec(twice).map_err(|_| Errno::IO)?;
        let file = sys::create_file(tmp, &name)?;
        let written = sys::write_all(fd(&file), &mut [IoSlice::new(&text)], 0)
            .and_then(|()| self.sync(fd(&file)));
        written
            .and_then(|()| self.sync(tmp))
            .inspect_err(|_| self.unmark(&name))?;
        Ok(name)
    }

    fn unmark(&self, name: &str) {
        // What stays is swept at the next start.
        let _ = sys::unlink_file(fd(&self.tmp), name);
    }

    fn sync(&self, what: BorrowedFd<'_>) -> SysResult<()> {
        if self.is_strict() {
            sys::sync(what)
        } else {
            Ok(())
        }
    }
}

fn failed(errno: Errno) -> Error {
    map_errno("finish what a crash has cut", errno)
}

/// Whether a file system does not know what it was asked for.
pub(super) const fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Whether a file cannot have another name: on this file system, or as it belongs to somebody else or has too many.
const fn is_unlinkable(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::MLINK
    )
}

/// Takes the former name from files that a crash left with two; runs before `.sarang/tmp` is swept.
pub(super) fn finish(dirs: &TreeDirs) -> Result<()> {
    let tmp = sys::open_folder(fd(&dirs.dir), TMP, Lookup::Full).map_err(failed)?;
    for marker in walk::names(fd(&tmp))
        .map_err(failed)?
        .into_iter()
        .filter(|name| name.starts_with(DOUBLE_NAME))
    {
        let file = sys::open_read(fd(&tmp), &marker, Lookup::Full).map_err(failed)?;
        let mut text = Vec::new();
        std::fs::File::from(file)
            .read_to_end(&mut text)
            .map_err(|e| Error::io("finish what a crash has cut", e))?;
        // A marker cut short was never acted on.
        if let Ok(twice) = serde_json::from_slice::<DoubleName>(&text) {
            finish_one(dirs, &twice)?;
        }
    }
    Ok(())
}

fn finish_one(dirs: &TreeDirs, twice: &DoubleName) -> Result<()> {
    let from = RelPath::from_stored(twice.from.clone());
    let to = RelPath::from_stored(twice.to.clone());
    let is_it = |found: Option<&FileStat>| found.is_some_and(|found| found.inode == twice.inode);
    let places = dirs
        .open_parent(&from)
        .and_then(|from| Ok((from, dirs.open_parent(&to)?)));
    let (from, to) = match places {
        // Whoever tidied up on the disk has settled it.
        Err(Error::ParentMissing | Error::NotFound) => return Ok(()),
        places => places?,
    };
    let (name, there) = from.find()?;
    if is_it(there.as_ref()) && is_it(to.find()?.1.as_ref()) {
        sys::unlink_file(from.dir(), &name).map_err(failed)?;
    }
    Ok(())
}
