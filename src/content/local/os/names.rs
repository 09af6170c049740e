//! Names that are made, moved and removed.

#[cfg(test)]
use super::pretend;
use super::{ALWAYS, Errno, Outcome};
#[cfg(test)]
use crate::content::local::lacks::Lack;
use rustix::fs::{self as sys, AtFlags, Mode, OFlags, RenameFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Makes a new file for reading and writing.
pub(in crate::content::local) fn create_file(dir: BorrowedFd<'_>, name: &str) -> Outcome<OwnedFd> {
    #[cfg(test)]
    pretend::change(dir, &[])?;
    let flags = ALWAYS | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    sys::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Makes a new file without a name on the file system of a folder.
pub(in crate::content::local) fn create_unnamed(dir: BorrowedFd<'_>) -> Outcome<OwnedFd> {
    #[cfg(test)]
    pretend::change(dir, &[Lack::Unnamed])?;
    sys::openat(
        dir,
        c".",
        OFlags::CLOEXEC | OFlags::RDWR | OFlags::TMPFILE,
        Mode::RUSR | Mode::WUSR,
    )
}

/// Gives an open file without a name its first one; `EEXIST` when it is taken.
pub(in crate::content::local) fn link_open(
    file: BorrowedFd<'_>,
    to: (BorrowedFd<'_>, &str),
) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(to.0, &[Lack::Links])?;
    #[cfg(test)]
    let to = (to.0, &*pretend::spelled(to.0, to.1));
    match sys::linkat(file, c"", to.0, to.1, AtFlags::EMPTY_PATH) {
        // Before Linux 6.10 this takes a capability; the way through /proc does not.
        Err(Errno::NOENT) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            sys::linkat(sys::CWD, path, to.0, to.1, AtFlags::SYMLINK_FOLLOW)
        }
        other => other,
    }
}

/// Makes a folder.
pub(in crate::content::local) fn make_folder(dir: BorrowedFd<'_>, name: &str) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(dir, &[])?;
    #[cfg(test)]
    let name = &*pretend::spelled(dir, name);
    sys::mkdirat(dir, name, Mode::RWXU)
}

/// Moves a name to a free name; `EEXIST` when it is taken.
pub(in crate::content::local) fn rename_new(
    from: (BorrowedFd<'_>, &str),
    to: (BorrowedFd<'_>, &str),
) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(to.0, &[Lack::NoReplace])?;
    #[cfg(test)]
    let (from, to) = (
        (from.0, &*pretend::spelled(from.0, from.1)),
        (to.0, &*pretend::spelled(to.0, to.1)),
    );
    sys::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE)
}

/// Moves a name over whatever file is at another.
pub(in crate::content::local) fn rename_over(
    from: (BorrowedFd<'_>, &str),
    to: (BorrowedFd<'_>, &str),
) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(to.0, &[])?;
    #[cfg(test)]
    let (from, to) = (
        (from.0, &*pretend::spelled(from.0, from.1)),
        (to.0, &*pretend::spelled(to.0, to.1)),
    );
    sys::renameat(from.0, from.1, to.0, to.1)
}

/// Swaps two names in one step.
pub(in crate::content::local) fn exchange(
    one: (BorrowedFd<'_>, &str),
    other: (BorrowedFd<'_>, &str),
) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(other.0, &[Lack::Exchange])?;
    #[cfg(test)]
    let (one, other) = (
        (one.0, &*pretend::spelled(one.0, one.1)),
        (other.0, &*pretend::spelled(other.0, other.1)),
    );
    sys::renameat_with(one.0, one.1, other.0, other.1, RenameFlags::EXCHANGE)
}

/// Gives a file a second name.
pub(in crate::content::local) fn link(
    from: (BorrowedFd<'_>, &str),
    to: (BorrowedFd<'_>, &str),
) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(to.0, &[Lack::Links])?;
    #[cfg(test)]
    let (from, to) = (
        (from.0, &*pretend::spelled(from.0, from.1)),
        (to.0, &*pretend::spelled(to.0, to.1)),
    );
    sys::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())
}

/// Removes the name of anything but a folder.
pub(in crate::content::local) fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(dir, &[])?;
    sys::unlinkat(dir, name, AtFlags::empty())
}

/// As [`unlink`].
pub(in crate::content::local) fn unlink_file(dir: BorrowedFd<'_>, name: &str) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(dir, &[])?;
    #[cfg(test)]
    let name = &*pretend::spelled(dir, name);
    sys::unlinkat(dir, name, AtFlags::empty())
}

/// Removes an empty folder.
pub(in crate::content::local) fn remove_folder(dir: BorrowedFd<'_>, name: &CStr) -> Outcome<()> {
    #[cfg(test)]
    pretend::change(dir, &[])?;
    sys::unlinkat(dir, name, AtFlags::REMOVEDIR)
}
