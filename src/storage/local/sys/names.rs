//! Names that are made, moved and removed.

#[cfg(test)]
use super::fake_fs;
use super::{ALWAYS, Errno, SysResult};
#[cfg(test)]
use crate::storage::local::missing_features::MissingFeature;
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Makes a new file for reading and writing.
pub(in crate::storage::local) fn create_file(
    dir: BorrowedFd<'_>,
    name: &str,
) -> SysResult<OwnedFd> {
    #[cfg(test)]
    fake_fs::change(dir, &[])?;
    let flags = ALWAYS | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Makes a new file without a name on the file system of a folder.
pub(in crate::storage::local) fn create_tmpfile(dir: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    #[cfg(test)]
    fake_fs::change(dir, &[MissingFeature::TmpFile])?;
    fs::openat(
        dir,
        c".",
        OFlags::CLOEXEC | OFlags::RDWR | OFlags::TMPFILE,
        Mode::RUSR | Mode::WUSR,
    )
}

/// Gives an open file without a name its first one; `EEXIST` when it is taken.
pub(in crate::storage::local) fn link_tmpfile(
    file: BorrowedFd<'_>,
    to: (BorrowedFd<'_>, &str),
) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(to.0, &[MissingFeature::HardLinks])?;
    #[cfg(test)]
    let to = (to.0, &*fake_fs::spelled(to.0, to.1));
    match fs::linkat(file, c"", to.0, to.1, AtFlags::EMPTY_PATH) {
        // Before Linux 6.10 this takes a capability; the way through /proc does not.
        Err(Errno::NOENT) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            fs::linkat(fs::CWD, path, to.0, to.1, AtFlags::SYMLINK_FOLLOW)
        }
        other => other,
    }
}

/// Makes a folder.
pub(in crate::storage::local) fn make_folder(dir: BorrowedFd<'_>, name: &str) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(dir, &[])?;
    #[cfg(test)]
    let name = &*fake_fs::spelled(dir, name);
    fs::mkdirat(dir, name, Mode::RWXU)
}

/// Moves a name to a free name; `EEXIST` when it is taken.
pub(in crate::storage::local) fn rename_noreplace(
    from: (BorrowedFd<'_>, &str),
    to: (BorrowedFd<'_>, &str),
) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(to.0, &[MissingFeature::NoReplace])?;
    #[cfg(test)]
    let from = (from.0, &*fake_fs::spelled(from.0, from.1));
    #[cfg(test)]
    let to = (to.0, &*fake_fs::spelled(to.0, to.1));
    fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE)
}

/// Moves a name over whatever file is at another.
pub(in crate::storage::local) fn rename_over(
    from: (BorrowedFd<'_>, &str),
    to: (BorrowedFd<'_>, &str),
) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(to.0, &[])?;
    #[cfg(test)]
    let from = (from.0, &*fake_fs::spelled(from.0, from.1));
    #[cfg(test)]
    let to = (to.0, &*fake_fs::spelled(to.0, to.1));
    fs::renameat(from.0, from.1, to.0, to.1)
}

/// Swaps two names in one step.
pub(in crate::storage::local) fn exchange(
    one: (BorrowedFd<'_>, &str),
    other: (BorrowedFd<'_>, &str),
) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(other.0, &[MissingFeature::Exchange])?;
    #[cfg(test)]
    let one = (one.0, &*fake_fs::spelled(one.0, one.1));
    #[cfg(test)]
    let other = (other.0, &*fake_fs::spelled(other.0, other.1));
    fs::renameat_with(one.0, one.1, other.0, other.1, RenameFlags::EXCHANGE)
}

/// Gives a file a second name.
pub(in crate::storage::local) fn link(
    from: (BorrowedFd<'_>, &str),
    to: (BorrowedFd<'_>, &str),
) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(to.0, &[MissingFeature::HardLinks])?;
    #[cfg(test)]
    let from = (from.0, &*fake_fs::spelled(from.0, from.1));
    #[cfg(test)]
    let to = (to.0, &*fake_fs::spelled(to.0, to.1));
    fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())
}

/// Removes the name of anything but a folder.
pub(in crate::storage::local) fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(dir, &[])?;
    fs::unlinkat(dir, name, AtFlags::empty())
}

/// As [`unlink`].
pub(in crate::storage::local) fn unlink_file(dir: BorrowedFd<'_>, name: &str) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(dir, &[])?;
    #[cfg(test)]
    let name = &*fake_fs::spelled(dir, name);
    fs::unlinkat(dir, name, AtFlags::empty())
}

/// Removes an empty folder.
pub(in crate::storage::local) fn remove_folder(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<()> {
    #[cfg(test)]
    fake_fs::change(dir, &[])?;
    fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}
