//! Removes a folder and all below it, with one open folder a level and no recursion, and without entering what is mounted there.

use super::errors::map_errno;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use crate::model::{Error, Result};
use std::ffi::{CStr, CString};
use std::io::ErrorKind;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Removes the folder `name` and all below it, with one open folder a level and no recursion; `last` sees each file before it goes.
pub(super) fn remove_tree(
    dir: BorrowedFd<'_>,
    name: &str,
    last: &mut BeforeRemove<'_>,
) -> Result<()> {
    let name = CString::new(name).map_err(|_| Error::BadName("A name cannot contain NUL."))?;
    remove(dir, name, true, last).map_err(|e| map_errno("clear its temporary files", e))
}

/// Deletes a folder that is no part of a tree any more, and all below it but what is mounted there.
pub fn purge_folder(folder: &Path) -> std::io::Result<()> {
    let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let above = sys::open_root(above)?;
    let name = CString::new(name.as_bytes())?;
    Ok(remove(fd(&above), name, true, &mut |_, _| {})?)
}

/// Sees a file, as folder and name, before it goes.
pub(super) type BeforeRemove<'a> = dyn FnMut(BorrowedFd<'_>, &str) + 'a;

struct RemoveLevel {
    name: CString,
    dir: OwnedFd,
    rest: Vec<(CString, bool)>,
}

pub(super) fn remove(
    top: BorrowedFd<'_>,
    name: CString,
    folder: bool,
    last: &mut BeforeRemove<'_>,
) -> sys::SysResult<()> {
    if !folder {
        return remove_file(top, &name, last);
    }
    let mut levels = vec![level(top, name)?];
    while let Some(mut current) = levels.pop() {
        if let Some((name, folder)) = current.rest.pop() {
            if folder {
                let below = level(fd(&current.dir), name)?;
                levels.extend([current, below]);
            } else {
                remove_file(fd(&current.dir), &name, last)?;
                levels.push(current);
            }
        } else {
            sys::remove_folder(
                levels.last().map_or(top, |above| fd(&above.dir)),
                &current.name,
            )?;
        }
    }
    Ok(())
}

fn remove_file(
    dir: BorrowedFd<'_>,
    name: &CStr,
    last: &mut BeforeRemove<'_>,
) -> sys::SysResult<()> {
    if let Ok(name) = name.to_str() {
        last(dir, name);
    }
    sys::unlink(dir, name)
}

fn level(above: BorrowedFd<'_>, name: CString) -> sys::SysResult<RemoveLevel> {
    // A read-only folder (0555) protects nothing that is deleted for good.
    sys::unlock_folder(above, &name)?;
    let dir = sys::open_folder_no_xdev(above, &name)?;
    let rest = names_in(fd(&dir))?;
    Ok(RemoveLevel { name, dir, rest })
}

/// All names in a folder, and which of them are folders.
pub(super) fn names_in(dir: BorrowedFd<'_>) -> sys::SysResult<Vec<(CString, bool)>> {
    let mut names = Vec::new();
    let mut room = Vec::new();
    // A fresh descriptor, since reading moves the one shared with others.
    let dir = sys::open_folder(dir, "", Lookup::Full)?;
    sys::read_dir(fd(&dir), &mut room, usize::MAX, |name, kind| {
        let kind = match kind {
            Some(kind) => kind,
            None => sys::stat_entry(fd(&dir), name)?.kind,
        };
        names.push((name.to_owned(), kind == FileKind::Folder));
        Ok::<_, Errno>(())
    })?;
    Ok(names)
}
