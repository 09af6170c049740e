//! Names that are no text, and things that are neither files nor folders: no client makes them, and whoever has made them beside
//! the server finds them again in every copy.

use super::{ALWAYS, CONFINED, Errno, Lookup, READ, SysResult, open_confined, retry};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Opens a file or folder for reading; never waits on a pipe.
pub(in crate::storage::local) fn open_read_raw(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<OwnedFd> {
    open_confined(dir, name, READ, Lookup::Full)
}

/// Opens a folder.
pub(in crate::storage::local) fn open_folder_raw(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<OwnedFd> {
    open_confined(dir, name, READ | OFlags::DIRECTORY, Lookup::Full)
}

/// Opens a folder to delete what is in it; `XDEV` for the mount point of another file system, or of a part of this one.
pub(in crate::storage::local) fn open_folder_no_xdev(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<OwnedFd> {
    retry(|| {
        fs::openat2(
            dir,
            name,
            READ | OFlags::DIRECTORY,
            Mode::empty(),
            CONFINED | ResolveFlags::NO_XDEV,
        )
    })
}

/// Makes a new file for reading and writing.
pub(in crate::storage::local) fn create_file_raw(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<OwnedFd> {
    #[cfg(test)]
    super::fake_fs::change(dir, &[])?;
    let flags = ALWAYS | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Makes a folder.
pub(in crate::storage::local) fn make_folder_raw(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<()> {
    #[cfg(test)]
    super::fake_fs::change(dir, &[])?;
    fs::mkdirat(dir, name, Mode::RWXU)
}

/// Copies what is neither a file nor a folder: a symlink leads to where it led and is not followed, a pipe or socket is another
/// one. `EPERM` for a device, which a drive does not make.
pub(in crate::storage::local) fn copy_other(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<()> {
    let facts = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(facts.st_mode) {
        FileType::Symlink => {
            let target = fs::readlinkat(from, name, Vec::new())?;
            fs::symlinkat(target, to, name)
        }
        kind @ (FileType::Fifo | FileType::Socket) => fs::mknodat(
            to,
            name,
            kind,
            Mode::from_raw_mode(facts.st_mode & 0o777),
            0,
        ),
        _ => Err(Errno::PERM),
    }
}
