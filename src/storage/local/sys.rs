//! The system calls under local content, wrapped one by one: the only file that knows rustix.
//! Every lookup of a user's path is confined by the kernel; every other call takes a folder of ours, or one found so, and a name.

mod access;
mod attributes;
mod disk;
mod faithful_copy;
#[cfg(test)]
pub(super) mod fake_fs;
mod names;
mod special;
mod user;

#[cfg(test)]
use super::missing_features::MissingFeature;
use crate::storage::{Etag, Node};
use rustix::fs::{
    self, Advice, AtFlags, FallocateFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx,
    StatxFlags, StatxTimestamp, Timespec, Timestamps,
};
use rustix::io::ReadWriteFlags;
use rustix::path::Arg;
use std::ffi::{CStr, OsStr};
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) use access::{InheritedAccess, clear_access, clear_default, copy_access};
pub(super) use attributes::{
    clear_meta, is_adopted, meta_at, meta_at_raw, meta_fd, meta_path, props_at, props_fd,
    set_adopted, set_meta, set_props, set_synced_len, small_props_at, synced_len,
};
pub(super) use disk::{
    disk_of, folder_size, free_bytes, is_local, mount_of, mounted, mounted_at, nlink_counts_folders,
};
pub(super) use faithful_copy::{CopyMetadata, copy_attributes, copy_content, facts_fd, set_access};
pub(super) use names::{
    create_file, create_tmpfile, exchange, link, link_tmpfile, make_folder, remove_folder,
    rename_noreplace, rename_over, unlink, unlink_file,
};
pub(super) use rustix::io::Errno;
pub(super) use special::{
    copy_other, create_file_raw, make_folder_raw, open_folder_no_xdev, open_folder_raw,
    open_read_raw,
};
pub(super) use user::{may_use, own_user};

/// What a system call gives back.
pub(super) type SysResult<T> = std::result::Result<T, Errno>;

const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);
/// The most that the kernel copies between two looks whether to go on.
const PIECE: usize = 64 << 20;
/// So many bytes of a path are too many for the kernel at once.
const PATH_MAX: usize = 4096;
/// How long opening waits for another program (Samba, knfsd) to give up its lease on a file, `F_SETLEASE` of fcntl(2).
const LEASE_WAIT: Duration = Duration::from_secs(5);
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
const READ: OFlags = ALWAYS
    .union(OFlags::RDONLY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Whether a lookup may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Only what the kernel has in memory; `EAGAIN` otherwise.
    Cached,
    /// Whatever it takes.
    Full,
}

/// What kind of thing a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    File,
    Folder,
    /// Symlinks, pipes, devices: nothing that exists for us.
    Other,
}

/// What stands at a name.
#[derive(Clone, Debug)]
pub(super) struct FileStat {
    pub kind: FileKind,
    pub inode: u64,
    /// How many names it has.
    pub links: u32,
    pub node: Node,
}

/// Opens a folder by its real path, outside any confinement.
pub(super) fn open_root(path: &Path) -> SysResult<OwnedFd> {
    fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Opens anything, only to look at it.
pub(super) fn open_any(root: BorrowedFd<'_>, path: &str, lookup: Lookup) -> SysResult<OwnedFd> {
    open_beneath(root, path, ALWAYS | OFlags::PATH, lookup)
}

/// Opens a file or folder for reading; never waits on a pipe.
pub(super) fn open_read(root: BorrowedFd<'_>, path: &str, lookup: Lookup) -> SysResult<OwnedFd> {
    open_beneath(root, path, READ, lookup)
}

/// Opens a file to go on writing it.
pub(super) fn open_write(dir: BorrowedFd<'_>, name: &str) -> SysResult<OwnedFd> {
    open_beneath(
        dir,
        name,
        ALWAYS | OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY,
        Lookup::Full,
    )
}

/// Makes a file as long as `len`.
pub(super) fn truncate(file: BorrowedFd<'_>, len: u64) -> SysResult<()> {
    retry(|| fs::ftruncate(file, len))
}

/// Opens a folder.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &str, lookup: Lookup) -> SysResult<OwnedFd> {
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

fn open_confined<P: Arg + Copy>(
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
pub(super) fn has_openat2() -> SysResult<()> {
    open_beneath(fs::CWD, "", ALWAYS | OFlags::PATH, Lookup::Full).map(drop)
}

/// Where an open folder is, as the system sees it now.
pub(super) fn path_of(dir: BorrowedFd<'_>) -> SysResult<PathBuf> {
    let link = fs::readlink(format!("/proc/self/fd/{}", dir.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(link.as_bytes())))
}

/// What an open file is.
pub(super) fn stat_fd(fd: BorrowedFd<'_>) -> SysResult<FileStat> {
    statx(fd, c"", AtFlags::EMPTY_PATH)
}

/// What a name in a folder names.
pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &str) -> SysResult<FileStat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    #[cfg(test)]
    let name = &*fake_fs::spelled(dir, name);
    statx(dir, name, flags)
}

/// As [`stat_at`], for a name as the kernel gave it.
pub(super) fn stat_entry(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<FileStat> {
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

fn found(facts: &Statx) -> FileStat {
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

fn nanoseconds(time: StatxTimestamp) -> u64 {
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

/// Reads only what is in memory; `EAGAIN` when nothing of it is.
pub(super) fn read_cached(file: BorrowedFd<'_>, room: &mut [u8], offset: u64) -> SysResult<usize> {
    rustix::io::preadv2(
        file,
        &mut [IoSliceMut::new(room)],
        offset,
        ReadWriteFlags::NOWAIT,
    )
}

/// Reads, waiting for the disk.
pub(super) fn read(file: BorrowedFd<'_>, room: &mut [u8], offset: u64) -> SysResult<usize> {
    retry(|| rustix::io::pread(file, &mut *room, offset))
}

/// Asks for the bytes after `offset` ahead of time.
pub(super) fn read_ahead(file: BorrowedFd<'_>, offset: u64, len: u64) {
    // Advice: a file system that does not take it loses nothing but time.
    let _ = fs::fadvise(file, offset, NonZeroU64::new(len), Advice::WillNeed);
}

/// Lets go of what is in memory of the file before `end` and on the disk already.
pub(super) fn drop_cached(file: BorrowedFd<'_>, end: u64) {
    // Advice, as above.
    let _ = fs::fadvise(file, 0, NonZeroU64::new(end), Advice::DontNeed);
}

/// Writes all of `parts` from `offset` on.
pub(super) fn write_all(
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

/// Reserves room for `len` bytes; file systems that cannot are fine.
pub(super) fn preallocate(file: BorrowedFd<'_>, len: u64) -> SysResult<()> {
    if len == 0 {
        return Ok(());
    }
    match fallocate(file, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// Whether the file system can.
pub(super) fn can_preallocate(file: BorrowedFd<'_>) -> bool {
    !matches!(fallocate(file, 1), Err(Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Whether a file has room on the disk for so many bytes. Where blocks are compressed or cannot be taken beforehand it seems to have none.
pub(super) fn is_preallocated(file: BorrowedFd<'_>, len: u64) -> bool {
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
pub(super) fn reflink(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    fs::ioctl_ficlone(to, from).is_ok()
}

/// Copies `len` bytes between files: inside the kernel; `ECANCELED` as soon as `goes_on` says no.
pub(super) fn copy_bytes(
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

/// Sets the modification time.
pub(super) fn set_modified(file: BorrowedFd<'_>, time: SystemTime) -> SysResult<()> {
    // Where the time of the last access is left out, bindfs sets neither.
    let last_access = timespec(SystemTime::now());
    let last_modification = timespec(time);
    fs::futimens(
        file,
        &Timestamps {
            last_access,
            last_modification,
        },
    )
}

fn timespec(time: SystemTime) -> Timespec {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timespec {
            tv_sec: seconds(after),
            tv_nsec: after.subsec_nanos().into(),
        },
        Err(before) => {
            let before = before.duration();
            let whole = seconds(before) + i64::from(before.subsec_nanos() > 0);
            let rest = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
            Timespec {
                tv_sec: -whole,
                tv_nsec: rest.into(),
            }
        }
    }
}

fn seconds(distance: Duration) -> i64 {
    i64::try_from(distance.as_secs()).unwrap_or(i64::MAX)
}

/// Waits until a file or folder is on disk.
pub(super) fn sync(fd: BorrowedFd<'_>) -> SysResult<()> {
    fs::fsync(fd)
}

/// Waits until a file's bytes are on disk; its times may follow later.
pub(super) fn sync_content(fd: BorrowedFd<'_>) -> SysResult<()> {
    fs::fdatasync(fd)
}

/// Waits until everything on the file system is on disk.
pub(super) fn sync_all(fd: BorrowedFd<'_>) -> SysResult<()> {
    fs::syncfs(fd)
}

/// Calls `visit` with at least the next `least` names of a folder, `.` and `..` left out, and a kind where the folder tells it.
/// Returns whether there may be more. `room` is where the kernel writes.
pub(super) fn read_dir<E: From<Errno>>(
    dir: BorrowedFd<'_>,
    room: &mut Vec<u8>,
    least: usize,
    mut visit: impl FnMut(&CStr, Option<FileKind>) -> Result<(), E>,
) -> Result<bool, E> {
    room.clear();
    room.reserve(16 << 10);
    let mut names = RawDir::new(dir, room.spare_capacity_mut());
    let mut count = 0;
    while let Some(entry) = names.next() {
        let entry = entry.map_err(E::from)?;
        let kind = match entry.file_type() {
            FileType::RegularFile => Some(FileKind::File),
            FileType::Directory => Some(FileKind::Folder),
            FileType::Unknown => None,
            _ => Some(FileKind::Other),
        };
        if entry.file_name() != c"." && entry.file_name() != c".." {
            visit(entry.file_name(), kind)?;
            count += 1;
        }
        if count >= least && names.is_buffer_empty() {
            return Ok(true);
        }
    }
    #[cfg(test)]
    fake_fs::end_of_names(dir)?;
    Ok(false)
}

/// A borrowed descriptor, as most calls here want it.
pub(super) fn fd(owner: &impl AsFd) -> BorrowedFd<'_> {
    owner.as_fd()
}

fn retry<T>(mut call: impl FnMut() -> SysResult<T>) -> SysResult<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
