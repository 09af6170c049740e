//! What a tree lies on.

use super::Outcome;
use rustix::fs::{self as sys, AtFlags, StatxFlags};
use std::os::fd::BorrowedFd;

/// The file systems that answer from memory what they have there, as kernel calls them in `linux/magic.h`: ext2 to ext4, XFS, Btrfs,
/// F2FS and tmpfs. What lies with a daemon or on another machine (FUSE, NFS, SMB) is asked for each open, stat and attribute.
const LOCAL: [i64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// Whether opening and looking at what the kernel has in memory keeps nobody waiting.
pub(in crate::content::local) fn is_local(dir: BorrowedFd<'_>) -> bool {
    sys::fstatfs(dir).is_ok_and(|facts| LOCAL.contains(&facts.f_type))
}

/// The number of the disk.
pub(in crate::content::local) fn disk_of(dir: BorrowedFd<'_>) -> Outcome<u64> {
    sys::fstat(dir).map(|facts| facts.st_dev)
}

/// The number of the disk, and how it is mounted: the same two are one file system as long as it is.
pub(in crate::content::local) fn mount_of(dir: BorrowedFd<'_>) -> Outcome<(u64, u64)> {
    let facts = sys::statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    Ok((disk_of(dir)?, facts.stx_mnt_id))
}

/// Bytes that the file system has left for us.
pub(in crate::content::local) fn free_bytes(fd: BorrowedFd<'_>) -> Outcome<u64> {
    #[cfg(test)]
    if let Some(free) = super::pretend::free(fd) {
        return Ok(free);
    }
    sys::fstatvfs(fd).map(|facts| facts.f_bavail.saturating_mul(facts.f_frsize))
}
