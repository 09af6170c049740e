//! What a tree lies on.

use super::{ALWAYS, SysResult, fd};
use rustix::fs::{self, AtFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// The file systems that answer from memory what they have there, as kernel calls them in `linux/magic.h`: ext2 to ext4, XFS, Btrfs,
/// F2FS and tmpfs. What lies with a daemon or on another machine (FUSE, NFS, SMB) is asked for each open, stat and attribute.
const LOCAL: [i64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// Whether opening and looking at what the kernel has in memory keeps nobody waiting.
pub(in crate::storage::local) fn is_local(dir: BorrowedFd<'_>) -> bool {
    fs::fstatfs(dir).is_ok_and(|facts| LOCAL.contains(&facts.f_type))
}

/// The file systems among them of which a folder has two names more than it has folders in it.
const COUNTING: [i64; 3] = [0xef53, 0x5846_5342, 0x0102_1994];

/// Whether a folder that has two names has no folder in it.
pub(in crate::storage::local) fn nlink_counts_folders(dir: BorrowedFd<'_>) -> bool {
    fs::fstatfs(dir).is_ok_and(|facts| COUNTING.contains(&facts.f_type))
}

/// The number of the disk.
pub(in crate::storage::local) fn disk_of(dir: BorrowedFd<'_>) -> SysResult<u64> {
    fs::fstat(dir).map(|facts| facts.st_dev)
}

/// The number of the disk, and how it is mounted: the same two are one file system as long as it is.
pub(in crate::storage::local) fn mount_of(dir: BorrowedFd<'_>) -> SysResult<(u64, u64)> {
    let facts = fs::statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    Ok((disk_of(dir)?, facts.stx_mnt_id))
}

/// What tells apart the file system, or the part of one, that is mounted where an open file or folder lies, if that is its top: the id of the
/// file system and the inode.
pub(in crate::storage::local) fn mounted(at: BorrowedFd<'_>) -> SysResult<Option<[u64; 2]>> {
    let facts = fs::statx(at, c"", AtFlags::EMPTY_PATH, StatxFlags::INO)?;
    if !facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(None);
    }
    Ok(Some([fs::fstatvfs(at)?.f_fsid, facts.stx_ino]))
}

/// As [`mounted`], at a name.
pub(in crate::storage::local) fn mounted_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> SysResult<Option<[u64; 2]>> {
    let facts = fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO)?;
    if !facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(None);
    }
    mounted(fd(&fs::openat(
        dir,
        name,
        ALWAYS | OFlags::PATH,
        Mode::empty(),
    )?))
}

/// How many bytes a folder takes for its names.
pub(in crate::storage::local) fn folder_size(dir: BorrowedFd<'_>) -> SysResult<u64> {
    fs::fstat(dir).map(|facts| u64::try_from(facts.st_size).unwrap_or_default())
}

/// Bytes that the file system has left for us.
pub(in crate::storage::local) fn free_bytes(fd: BorrowedFd<'_>) -> SysResult<u64> {
    #[cfg(test)]
    if let Some(free) = super::fake_fs::free(fd) {
        return Ok(free);
    }
    fs::fstatvfs(fd).map(|facts| facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// How many inodes the file system has, and how many of them are left for us.
pub(in crate::storage::local) fn inodes(fd: BorrowedFd<'_>) -> SysResult<(u64, u64)> {
    fs::fstatvfs(fd).map(|facts| (facts.f_files, facts.f_favail))
}
