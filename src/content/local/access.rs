//! Who may read what comes into a folder in other ways than as an upload.

use super::os::{self, Heritage, Kind, Lookup, fd};
use super::own::TMP;
use super::root::{GIVE_ACCESS, Place, Root, explain};
use super::walk;
use crate::model::{Error, RelPath, Result};
use std::os::fd::BorrowedFd;

/// Gives a new file the access of the one whose place it takes; false if there is none.
pub(super) fn take_over(target: &Place<'_>, file: BorrowedFd<'_>) -> Result<bool> {
    let (name, there) = target.find()?;
    if there.is_none_or(|there| there.kind != Kind::File) {
        return Ok(false);
    }
    let old = os::open_read(target.dir(), &name, Lookup::Full);
    old.and_then(|old| os::take_over_access(fd(&old), file))
        .map(|()| true)
        .map_err(failed)
}

/// Gives a folder that was just made in its place what the one around it hands on. Its group it has from the kernel.
pub(super) fn open_up(root: &Root, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let ([_, folder_mode], heritage) = (root.settings.modes, Heritage::of(dir).map_err(failed)?);
    if heritage.is_plain() && folder_mode == 0o700 {
        return Ok(());
    }
    let made = os::open_folder(dir, name, Lookup::Full).map_err(failed)?;
    heritage.give_folder(fd(&made), folder_mode).map_err(failed)
}

/// Gives what was built in `.sarang/tmp` what the folder hands on that it is moved into.
pub(super) fn settle_in(
    root: &Root,
    built: &RelPath,
    source: &Place<'_>,
    target: &Place<'_>,
) -> Result<()> {
    if !built.is_within(&RelPath::restore(TMP.to_owned())) {
        return Ok(());
    }
    let ([file_mode, folder_mode], (name, found)) = (root.settings.modes, source.find_existing()?);
    let top = os::open_read(source.dir(), &name, Lookup::Full).map_err(failed)?;
    if found.kind == Kind::File && take_over(target, fd(&top))? {
        return Ok(());
    }
    let heritage = Heritage::of(target.dir()).map_err(failed)?;
    if heritage.is_plain() {
        return Ok(());
    }
    if found.kind == Kind::File {
        return heritage.give_file(fd(&top), file_mode).map_err(failed);
    }
    heritage
        .give_folder(fd(&top), folder_mode)
        .map_err(failed)?;
    walk::everything(top, |met| {
        match met.kind {
            Kind::File => {
                heritage.give_file(fd(&os::open_read_raw(met.dir, met.raw)?), file_mode)?;
            }
            Kind::Folder => {
                heritage.give_folder(fd(&os::open_folder_raw(met.dir, met.raw)?), folder_mode)?;
            }
            Kind::Other => {}
        }
        Ok::<_, os::Errno>(met.kind == Kind::Folder)
    })
    .map_err(failed)
}

fn failed(errno: os::Errno) -> Error {
    explain(GIVE_ACCESS, errno)
}
