//! What something is: statx(2), told as a [`Node`].

#[cfg(test)]
use super::fake_fs;
use super::{FileKind, FileStat, SysResult};
use crate::storage::{Etag, Node};
use rustix::fs::{self, AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
use rustix::path::Arg;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What an open file is.
pub(in crate::storage::local) fn stat_fd(fd: BorrowedFd<'_>) -> SysResult<FileStat> {
    statx(fd, c"", AtFlags::EMPTY_PATH)
}

/// What a name in a folder names.
pub(in crate::storage::local) fn stat_at(dir: BorrowedFd<'_>, name: &str) -> SysResult<FileStat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    #[cfg(test)]
    let name = &*fake_fs::spelled(dir, name);
    statx(dir, name, flags)
}

/// As [`stat_at`], for a name as the kernel gave it.
pub(in crate::storage::local) fn stat_entry(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<FileStat> {
    statx(
        dir,
        name,
        AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC,
    )
}

fn statx<P: Arg>(dir: BorrowedFd<'_>, name: P, flags: AtFlags) -> SysResult<FileStat> {
    let facts = fs::statx(
        dir,
        name,
        flags,
        StatxFlags::BASIC_STATS | StatxFlags::BTIME,
    )?;
    #[cfg(test)]
    return Ok(fake_fs::seen(dir, found(&facts)));
    #[cfg(not(test))]
    Ok(found(&facts))
}

pub(super) fn found(facts: &Statx) -> FileStat {
    let kind = match FileType::from_raw_mode(facts.stx_mode.into()) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        _ => FileKind::Other,
    };
    let has_birth = facts.stx_mask & StatxFlags::BTIME.bits() != 0;
    let birth = if has_birth {
        facts.stx_btime
    } else {
        facts.stx_mtime
    };
    let len = if kind == FileKind::File {
        facts.stx_size
    } else {
        0
    };
    let born = if has_birth { nanoseconds(birth) } else { 0 };
    let etag = Etag([facts.stx_ino, born, nanoseconds(facts.stx_mtime), len]);
    let modified = moment(facts.stx_mtime);
    let created = moment(birth);
    let node = Node {
        folder: kind == FileKind::Folder,
        len,
        modified,
        created,
        etag,
    };
    FileStat {
        kind,
        inode: facts.stx_ino,
        links: facts.stx_nlink,
        node,
    }
}

pub(super) fn nanoseconds(time: StatxTimestamp) -> u64 {
    time.tv_sec
        .cast_unsigned()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec.into())
}

fn moment(time: StatxTimestamp) -> SystemTime {
    let whole = Duration::from_secs(time.tv_sec.unsigned_abs());
    let second = if time.tv_sec < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    second.unwrap_or(UNIX_EPOCH) + Duration::from_nanos(time.tv_nsec.into())
}
