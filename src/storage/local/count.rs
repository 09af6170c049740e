//! How many bytes and files there are, found by looking at each.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::sys::{self, Errno, Lookup, fd};
use super::tmp_names::{STAGING_DIR, entry_of_pending};
use super::walk::{self, WalkStart};
use crate::model::Result;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Bytes of a folder in the trash; 0 when it is gone.
pub(super) fn trashed_bytes(dirs: &TreeDirs, name: &str) -> Result<u64> {
    bytes_in(fd(&dirs.trash_files), name)
}

/// Bytes of a folder in an open one; 0 when it is gone.
pub(super) fn bytes_in(dir: BorrowedFd<'_>, name: &str) -> Result<u64> {
    match sys::open_folder(dir, name, Lookup::Full) {
        Ok(dir) => bytes_of(dir).map_err(|e| map_errno("measure a folder", e)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(0),
        Err(e) => Err(map_errno("measure a folder", e)),
    }
}

/// Bytes of what is being built in a staging folder.
pub(super) fn staging_dir_bytes(dirs: &TreeDirs, name: &str) -> Result<u64> {
    sys::open_folder(fd(&dirs.tmp), name, Lookup::Full)
        .and_then(bytes_of)
        .map_err(|e| map_errno("measure a copy", e))
}

/// Bytes of what is being built in all staging folders, and of folders that are being moved to another tree.
pub(super) fn all_staging_bytes(dirs: &TreeDirs) -> sys::SysResult<u64> {
    let folders = walk::names(fd(&dirs.tmp))?;
    let mut sum = 0;
    for name in folders
        .iter()
        .filter(|name| name.starts_with(STAGING_DIR) || entry_of_pending(name).is_some())
    {
        match sys::open_folder(fd(&dirs.tmp), name, Lookup::Full) {
            Ok(dir) => sum += bytes_of(dir)?,
            // Closed meanwhile, or a file: those are out of the count once they are out of sight.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sum)
}

/// How many files are in a folder and below it.
pub(super) fn files_in(top: OwnedFd, at: WalkStart) -> Result<u64> {
    count_in(top, at)
        .map(|tally| tally.files)
        .map_err(|e| map_errno("count the files", e))
}

/// Bytes of all files in a folder and below it.
fn bytes_of(top: OwnedFd) -> sys::SysResult<u64> {
    count_in(top, WalkStart::Folder).map(|tally| tally.bytes)
}

/// What was found in a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FolderTotals {
    pub bytes: u64,
    pub files: u64,
}

/// Counts what is in a folder and below it.
pub(super) fn count_in(top: OwnedFd, at: WalkStart) -> sys::SysResult<FolderTotals> {
    let mut sum = FolderTotals::default();
    walk::files(top, at, |_, found| {
        sum = FolderTotals {
            bytes: sum.bytes.saturating_add(found.node.len),
            files: sum.files + 1,
        };
        Ok::<_, Errno>(())
    })?;
    Ok(sum)
}
