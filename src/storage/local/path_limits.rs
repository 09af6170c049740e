//! How deep things may lie. What goes to where paths are longer is looked over first: nothing below it may come to have a path that is
//! longer than the longest. That needs no guard and sees the tree as it is just then.

use super::LocalTree;
use super::errors::map_errno;
use super::names::visible_name;
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use crate::model::path::PathBudget;
use crate::model::{AccessCheck, Error, RelPath, Result};
use crate::storage::WriteOptions;
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

impl LocalTree {
    /// Whether a move is to be looked over first, which takes its time: not that of a file, nor one to where paths are no longer.
    pub(super) fn needs_depth_check(
        &self,
        from: &RelPath,
        to: &RelPath,
        commit: &WriteOptions,
    ) -> bool {
        let seen = || {
            if self.root.disk_access.can_read_inline() {
                self.root.stat(from, Lookup::Cached)
            } else {
                Ok(None)
            }
        };
        !commit.skip_depth_check
            && is_longer(from, to)
            && !matches!(seen(), Ok(Some(node)) if !node.folder)
    }
}

/// Refuses to move a folder to where something in it would be too deep.
pub(super) fn check(
    root: &TreeRoot,
    from: &RelPath,
    to: &RelPath,
    commit: &WriteOptions,
) -> Result<()> {
    match root.stat(from, Lookup::Full) {
        Ok(Some(node)) if node.folder => check_below(root, from, to.remaining()?, commit.access()),
        _ => Ok(()),
    }
}

/// Whether paths below `to` are longer than below `from`.
pub(super) fn is_longer(from: &RelPath, to: &RelPath) -> bool {
    from.names().count() < to.names().count() || from.as_str().len() < to.as_str().len()
}

/// Refuses a folder in which something has a longer path than what is left where it goes. What no drive shows does not count. It has no
/// more in memory than some names for each level, and goes no deeper than may be.
pub(super) fn check_below(
    root: &TreeRoot,
    path: &RelPath,
    left: PathBudget,
    access: &dyn AccessCheck,
) -> Result<()> {
    let top = root
        .open_path(path, Lookup::Full, sys::open_folder)?
        .ok_or(Error::NotFound)?;
    let counted = if sys::nlink_counts_folders(fd(&top)) {
        sys::disk_of(fd(&top)).ok()
    } else {
        None
    };
    check_open_folder(top, left, counted, access)
}

fn check_open_folder(
    top: OwnedFd,
    left: PathBudget,
    counted: Option<u64>,
    access: &dyn AccessCheck,
) -> Result<()> {
    let mut buffer = Vec::new();
    let mut levels = Vec::new();
    levels.extend(DepthCheckLevel::open(top, left, counted)?);
    while let Some(level) = levels.last_mut() {
        let Some((name, left)) = level.folders.pop() else {
            if level.is_read {
                levels.pop();
            } else {
                access.check()?;
                level.read(&mut buffer)?;
            }
            continue;
        };
        match sys::open_folder_raw(fd(&level.dir), &name) {
            Ok(dir) => levels.extend(DepthCheckLevel::open(dir, left, counted)?),
            // It is gone, or nobody gets there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(())
}

/// A folder that is being read.
struct DepthCheckLevel {
    dir: OwnedFd,
    left: PathBudget,
    /// The folders in it that were read and not looked into.
    folders: Vec<(CString, PathBudget)>,
    is_read: bool,
}

impl DepthCheckLevel {
    /// `None` for a folder in which nothing can be too deep: whatever files are called fits, and it has no folders, which the file system
    /// with the number `counted` tells by the count of its names.
    fn open(dir: OwnedFd, left: PathBudget, counted: Option<u64>) -> Result<Option<Self>> {
        let found = sys::stat_fd(fd(&dir)).map_err(failed)?;
        let has_none =
            found.links == 2 && counted.is_some() && sys::disk_of(fd(&dir)).ok() == counted;
        let is_fine = has_none && left.fits_a_name();
        Ok((!is_fine).then(|| Self {
            dir,
            left,
            folders: Vec::new(),
            is_read: false,
        }))
    }

    /// Reads on.
    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let dir = fd(&self.dir);
        let left = self.left;
        let folders = &mut self.folders;
        let more = sys::read_dir(dir, buffer, 1, |raw, kind| {
            let Some(name) = visible_name(raw) else {
                return Ok(());
            };
            let below = left.below(name);
            // What kind of thing it is matters only if it is a folder, or too deep.
            if kind == Some(FileKind::File) && below.is_ok() {
                return Ok(());
            }
            match kind_of(dir, raw, kind)? {
                FileKind::Other => {}
                FileKind::File => drop(below?),
                FileKind::Folder => folders.push((raw.to_owned(), below?)),
            }
            Ok::<_, DepthCheckError>(())
        });
        self.is_read = !more.map_err(|DepthCheckError(error)| error)?;
        Ok(())
    }
}

fn kind_of(dir: BorrowedFd<'_>, name: &CStr, known: Option<FileKind>) -> sys::SysResult<FileKind> {
    match known.map_or_else(|| sys::stat_entry(dir, name).map(|found| found.kind), Ok) {
        Err(Errno::NOENT) => Ok(FileKind::Other),
        kind => kind,
    }
}

struct DepthCheckError(Error);

impl From<Errno> for DepthCheckError {
    fn from(errno: Errno) -> Self {
        Self(failed(errno))
    }
}

impl From<Error> for DepthCheckError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

fn failed(errno: Errno) -> Error {
    map_errno("look how deep it is", errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Irrevocable;
    use std::fs;

    /// On file systems that tell how many folders are in a folder, and on those that do not.
    #[test]
    fn what_is_too_deep_or_too_long_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        for at in 0..1_000 {
            fs::create_dir_all(top.join(format!("{at}/a"))).unwrap();
        }
        let left = |levels: usize| {
            RelPath::parse(&"l/".repeat(128 - levels))
                .unwrap()
                .remaining()
                .unwrap()
        };
        let short = |bytes: usize| {
            let path = format!("{}/", "l".repeat(240)).repeat(16) + &"l".repeat(240 - bytes);
            RelPath::parse(&path).unwrap().remaining().unwrap()
        };
        let disk = sys::disk_of(fd(&sys::open_root(&top).unwrap())).unwrap();
        for counted in [None, Some(disk)] {
            let look = |left| {
                check_open_folder(sys::open_root(&top).unwrap(), left, counted, &Irrevocable)
            };
            let is_refused = |left| matches!(look(left), Err(Error::BadName(_)));
            assert!(look(left(2)).is_ok() && is_refused(left(1)) && is_refused(left(0)));
            assert!(look(short("/999/a".len())).is_ok() && is_refused(short("/999/a".len() - 1)));
            let file = top.join("500/a/file");
            fs::write(&file, "").unwrap();
            assert!(look(left(3)).is_ok() && is_refused(left(2)));
            assert!(
                look(short("/500/a/file".len())).is_ok()
                    && is_refused(short("/500/a/file".len() - 1))
            );
            fs::remove_file(&file).unwrap();
            // Nobody finds a name that is none, nor what is no file.
            std::os::unix::fs::symlink("a", top.join("500/a/link")).unwrap();
            fs::create_dir_all(top.join("500/a/.sarang/b")).unwrap();
            assert!(look(left(2)).is_ok());
            fs::remove_file(top.join("500/a/link")).unwrap();
            fs::remove_dir_all(top.join("500/a/.sarang")).unwrap();
        }
    }
}
