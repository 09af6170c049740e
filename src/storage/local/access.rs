//! Who may read what comes into a folder in other ways than as an upload.

use super::dirs::ParentDir;
use super::errors::{GIVE_ACCESS, map_errno};
use super::internal_dirs::TMP;
use super::root::TreeRoot;
use super::sys::{self, FileKind, InheritedAccess, Lookup, fd};
use super::walk;
use crate::model::{Error, RelPath, Result};
use std::os::fd::BorrowedFd;

/// Gives a new file the access of the one whose place it takes; false if there is none.
pub(super) fn inherit_from_replaced(target: &ParentDir<'_>, file: BorrowedFd<'_>) -> Result<bool> {
    let (name, there) = target.find()?;
    if there.is_none_or(|there| there.kind != FileKind::File) {
        return Ok(false);
    }
    let old = sys::open_read(target.dir(), &name, Lookup::Full);
    old.and_then(|old| sys::copy_access(fd(&old), file))
        .map(|()| true)
        .map_err(failed)
}

/// Gives a folder that was just made in its place what the one around it hands on. Its group it has from the kernel.
pub(super) fn inherit_new_folder(root: &TreeRoot, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let [_, folder_mode] = root.settings.modes;
    let heritage = InheritedAccess::of(dir).map_err(failed)?;
    if heritage.is_plain() && folder_mode == 0o700 {
        return Ok(());
    }
    let made = sys::open_folder(dir, name, Lookup::Full).map_err(failed)?;
    heritage
        .apply_to_folder(fd(&made), folder_mode)
        .map_err(failed)
}

/// Gives what was built in `.sarang/tmp` what the folder hands on that it is moved into.
pub(super) fn inherit_staged(
    root: &TreeRoot,
    built: &RelPath,
    source: &ParentDir<'_>,
    target: &ParentDir<'_>,
) -> Result<()> {
    if !built.is_within(&RelPath::from_stored(TMP.to_owned())) {
        return Ok(());
    }
    let [file_mode, folder_mode] = root.settings.modes;
    let (name, found) = source.find_existing()?;
    let top = sys::open_read(source.dir(), &name, Lookup::Full).map_err(failed)?;
    if found.kind == FileKind::File && inherit_from_replaced(target, fd(&top))? {
        return Ok(());
    }
    let heritage = InheritedAccess::of(target.dir()).map_err(failed)?;
    if heritage.is_plain() {
        return Ok(());
    }
    if found.kind == FileKind::File {
        return heritage.apply_to_file(fd(&top), file_mode).map_err(failed);
    }
    heritage
        .apply_to_folder(fd(&top), folder_mode)
        .map_err(failed)?;
    walk::everything(top, |met| {
        match met.kind {
            FileKind::File => {
                heritage.apply_to_file(fd(&sys::open_read_raw(met.dir, met.raw)?), file_mode)?;
            }
            FileKind::Folder => {
                heritage
                    .apply_to_folder(fd(&sys::open_folder_raw(met.dir, met.raw)?), folder_mode)?;
            }
            FileKind::Other => {}
        }
        Ok::<_, sys::Errno>(met.kind == FileKind::Folder)
    })
    .map_err(failed)
}

fn failed(errno: sys::Errno) -> Error {
    map_errno(GIVE_ACCESS, errno)
}
