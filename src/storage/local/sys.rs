//! The system calls under local storage, wrapped one by one: the only module that knows rustix.
//! Every lookup of a user's path is confined by the kernel; every other call takes a folder of ours, or one found so, and a name.

mod access;
mod attributes;
mod disk;
mod faithful_copy;
#[cfg(test)]
pub(super) mod fake_fs;
mod file_bytes;
mod lookup;
mod names;
mod special;
mod stat;
mod times;
mod user;

use crate::storage::Node;
use rustix::fs::{FileType, RawDir};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

pub(super) use access::{InheritedAccess, clear_access, clear_default, copy_access, unlock_folder};
pub(super) use attributes::{
    clear_meta, is_adopted, meta_at, meta_at_raw, meta_fd, meta_path, props_at, props_fd,
    set_adopted, set_meta, set_props, set_synced_len, small_props_at, synced_len,
};
pub(super) use disk::{
    disk_of, folder_size, free_bytes, inodes, is_local, mount_of, mounted, mounted_at,
    nlink_counts_folders,
};
pub(super) use faithful_copy::{CopyMetadata, copy_attributes, copy_content, facts_fd, set_access};
pub(super) use file_bytes::{
    can_preallocate, copy_bytes, drop_cached, is_preallocated, preallocate, read, read_ahead,
    read_cached, reflink, sync, sync_all, sync_content, truncate, write_all,
};
use lookup::{ALWAYS, CONFINED, READ, open_confined};
pub(super) use lookup::{
    has_openat2, open_any, open_folder, open_read, open_root, open_write, path_of,
};
pub(super) use names::{
    create_file, create_tmpfile, exchange, link, link_tmpfile, make_folder, remove_folder,
    rename_noreplace, rename_over, unlink, unlink_file,
};
pub(super) use rustix::io::Errno;
pub(super) use special::{
    copy_other, create_file_raw, make_folder_raw, open_folder_no_xdev, open_folder_raw,
    open_read_raw,
};
use stat::{found, nanoseconds};
pub(super) use stat::{stat_at, stat_entry, stat_fd};
pub(super) use times::set_modified;
pub(super) use user::{may_use, own_user};

/// What a system call gives back.
pub(super) type SysResult<T> = std::result::Result<T, Errno>;

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
