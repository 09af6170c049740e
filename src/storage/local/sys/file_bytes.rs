//! The bytes of an open file: reading, writing, reserving blocks, copying, and waiting until they are on the disk.

#[cfg(test)]
use super::fake_fs;
use super::{Errno, SysResult, retry};
#[cfg(test)]
use crate::storage::local::missing_features::MissingFeature;
use rustix::fs::{self, Advice, FallocateFlags};
use rustix::io::ReadWriteFlags;
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;

/// The most that the kernel copies between two looks whether to go on.
const PIECE: usize = 64 << 20;

/// Reads only what is in memory; `EAGAIN` when nothing of it is.
pub(in crate::storage::local) fn read_cached(
    file: BorrowedFd<'_>,
    room: &mut [u8],
    offset: u64,
) -> SysResult<usize> {
    rustix::io::preadv2(
        file,
        &mut [IoSliceMut::new(room)],
        offset,
        ReadWriteFlags::NOWAIT,
    )
}

/// Reads, waiting for the disk.
pub(in crate::storage::local) fn read(
    file: BorrowedFd<'_>,
    room: &mut [u8],
    offset: u64,
) -> SysResult<usize> {
    retry(|| rustix::io::pread(file, &mut *room, offset))
}

/// Asks for the bytes after `offset` ahead of time.
pub(in crate::storage::local) fn read_ahead(file: BorrowedFd<'_>, offset: u64, len: u64) {
    // Advice: a file system that does not take it loses nothing but time.
    let _ = fs::fadvise(file, offset, NonZeroU64::new(len), Advice::WillNeed);
}

/// Lets go of what is in memory of the file before `end` and on the disk already.
pub(in crate::storage::local) fn drop_cached(file: BorrowedFd<'_>, end: u64) {
    // Advice, as above.
    let _ = fs::fadvise(file, 0, NonZeroU64::new(end), Advice::DontNeed);
}

/// Writes all of `parts` from `offset` on.
pub(in crate::storage::local) fn write_all(
    file: BorrowedFd<'_>,
    mut parts: &mut [IoSlice<'_>],
    mut offset: u64,
) -> SysResult<()> {
    while !parts.is_empty() {
        let most = parts.len().min(1024);
        let batch = parts.get(..most).unwrap_or_default();
        let written = retry(|| rustix::io::pwritev(file, batch, offset))?;
        let left_over = batch.iter().map(|part| part.len()).sum::<usize>();
        if written == 0 && left_over > 0 {
            return Err(Errno::IO);
        }
        offset += written as u64;
        IoSlice::advance_slices(&mut parts, written);
        while parts.first().is_some_and(|part| part.is_empty()) {
            parts = parts.get_mut(1..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Makes a file as long as `len`.
pub(in crate::storage::local) fn truncate(file: BorrowedFd<'_>, len: u64) -> SysResult<()> {
    retry(|| fs::ftruncate(file, len))
}

/// Reserves room for `len` bytes; file systems that cannot are fine.
pub(in crate::storage::local) fn preallocate(file: BorrowedFd<'_>, len: u64) -> SysResult<()> {
    if len == 0 {
        return Ok(());
    }
    match fallocate(file, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// Whether the file system can.
pub(in crate::storage::local) fn can_preallocate(file: BorrowedFd<'_>) -> bool {
    !matches!(fallocate(file, 1), Err(Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Whether a file has room on the disk for so many bytes. Where blocks are compressed or cannot be taken beforehand it seems to have none.
pub(in crate::storage::local) fn is_preallocated(file: BorrowedFd<'_>, len: u64) -> bool {
    rustix::fs::fstat(file).is_ok_and(|found| {
        u64::try_from(found.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512)
            >= len
    })
}

fn fallocate(file: BorrowedFd<'_>, len: u64) -> SysResult<()> {
    #[cfg(test)]
    if fake_fs::lacks(file, MissingFeature::Fallocate) {
        return Err(Errno::OPNOTSUPP);
    }
    retry(|| fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, len))
}

/// Lets a file have the content of another in the same blocks; false where the file system cannot.
pub(in crate::storage::local) fn reflink(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    fs::ioctl_ficlone(to, from).is_ok()
}

/// Copies `len` bytes between files: inside the kernel; `ECANCELED` as soon as `goes_on` says no.
pub(in crate::storage::local) fn copy_bytes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    len: u64,
    goes_on: impl Fn() -> bool,
) -> SysResult<()> {
    let mut source = 0;
    let mut target = 0;
    while target < len {
        let most = usize::try_from(len - target)
            .unwrap_or(usize::MAX)
            .min(PIECE);
        if !goes_on() {
            return Err(Errno::CANCELED);
        }
        if retry(|| fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), most))? == 0
        {
            break;
        }
    }
    Ok(())
}

/// Waits until a file or folder is on disk.
pub(in crate::storage::local) fn sync(fd: BorrowedFd<'_>) -> SysResult<()> {
    fs::fsync(fd)
}

/// Waits until a file's bytes are on disk; its times may follow later.
pub(in crate::storage::local) fn sync_content(fd: BorrowedFd<'_>) -> SysResult<()> {
    fs::fdatasync(fd)
}

/// Waits until everything on the file system is on disk.
pub(in crate::storage::local) fn sync_all(fd: BorrowedFd<'_>) -> SysResult<()> {
    fs::syncfs(fd)
}
