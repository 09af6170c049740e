//! Opening what a path names: every lookup of a user's path is confined below an open folder by the kernel, openat2(2).

#[cfg(test)]
use super::fake_fs;
use super::{Errno, Lookup, SysResult, fd};
use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::path::Arg;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);
/// So many bytes of a path are too many for the kernel at once.
const PATH_MAX: usize = 4096;
/// How long opening waits for another program (Samba, knfsd) to give up its lease on a file, `F_SETLEASE` of fcntl(2).
const LEASE_WAIT: Duration = Duration::from_secs(5);
pub(super) const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
pub(super) const READ: OFlags = ALWAYS
    .union(OFlags::RDONLY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Opens a folder by its real path, outside any confinement.
pub(in crate::storage::local) fn open_root(path: &Path) -> SysResult<OwnedFd> {
    fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Opens anything, only to look at it.
pub(in crate::storage::local) fn open_any(
    root: BorrowedFd<'_>,
    path: &str,
    lookup: Lookup,
) -> SysResult<OwnedFd> {
    open_beneath(root, path, ALWAYS | OFlags::PATH, lookup)
}

/// Opens a file or folder for reading; never waits on a pipe.
pub(in crate::storage::local) fn open_read(
    root: BorrowedFd<'_>,
    path: &str,
    lookup: Lookup,
) -> SysResult<OwnedFd> {
    open_beneath(root, path, READ, lookup)
}

/// Opens a file to go on writing it.
pub(in crate::storage::local) fn open_write(dir: BorrowedFd<'_>, name: &str) -> SysResult<OwnedFd> {
    open_beneath(
        dir,
        name,
        ALWAYS | OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY,
        Lookup::Full,
    )
}

/// Opens a folder.
pub(in crate::storage::local) fn open_folder(
    root: BorrowedFd<'_>,
    path: &str,
    lookup: Lookup,
) -> SysResult<OwnedFd> {
    open_beneath(root, path, READ | OFlags::DIRECTORY, lookup)
}

fn open_beneath(
    root: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    lookup: Lookup,
) -> SysResult<OwnedFd> {
    let mut path = if path.is_empty() { "." } else { path };
    let mut above: Option<OwnedFd> = None;
    while path.len() >= PATH_MAX {
        let cut = path
            .bytes()
            .take(PATH_MAX)
            .rposition(|byte| byte == b'/')
            .ok_or(Errno::NAMETOOLONG)?;
        let (head, rest) = path.split_at(cut);
        let folder = ALWAYS | OFlags::PATH | OFlags::DIRECTORY;
        above = Some(open_confined(
            above.as_ref().map_or(root, fd),
            head,
            folder,
            lookup,
        )?);
        path = rest.get(1..).unwrap_or_default();
    }
    let root = above.as_ref().map_or(root, fd);
    #[cfg(test)]
    let path = &*fake_fs::spelled(root, path);
    open_confined(root, path, flags, lookup)
}

pub(in crate::storage::local) fn open_confined<P: Arg + Copy>(
    root: BorrowedFd<'_>,
    path: P,
    flags: OFlags,
    lookup: Lookup,
) -> SysResult<OwnedFd> {
    if lookup == Lookup::Cached {
        return fs::openat2(
            root,
            path,
            flags,
            Mode::empty(),
            CONFINED | ResolveFlags::CACHED,
        );
    }
    let until = Instant::now() + LEASE_WAIT;
    let mut pause = Duration::ZERO;
    loop {
        match fs::openat2(root, path, flags, Mode::empty(), CONFINED) {
            Err(Errno::INTR) => {}
            // A rename raced with the lookup, or another program has been asked to give up its lease on the file.
            Err(Errno::AGAIN) if Instant::now() < until => {
                std::thread::sleep(pause);
                pause = (pause * 2).clamp(Duration::from_millis(1), Duration::from_millis(100));
            }
            other => return other,
        }
    }
}

/// Whether this process may look up paths confined at all: by openat2(2).
pub(in crate::storage::local) fn has_openat2() -> SysResult<()> {
    open_beneath(fs::CWD, "", ALWAYS | OFlags::PATH, Lookup::Full).map(drop)
}

/// Where an open folder is, as the system sees it now.
pub(in crate::storage::local) fn path_of(dir: BorrowedFd<'_>) -> SysResult<PathBuf> {
    let link = fs::readlink(format!("/proc/self/fd/{}", dir.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(link.as_bytes())))
}
