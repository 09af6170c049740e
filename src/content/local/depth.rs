//! How deep things may lie. What goes to where paths are longer is looked over first: nothing below it may come to have a path that is
//! longer than the longest. That needs no guard and sees the tree as it is just then.

use super::LocalTree;
use super::list::visible;
use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, explain};
use crate::content::{Commit, Judge};
use crate::model::path::Left;
use crate::model::{Error, RelPath, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

impl LocalTree {
    /// Whether a move is to be looked over first, which takes its time: not that of a file, nor one to where paths are no longer.
    pub(super) fn looks_over(&self, from: &RelPath, to: &RelPath, commit: &Commit) -> bool {
        let seen = || {
            if self.root.waiting.may_look() {
                self.root.stat(from, Lookup::Cached)
            } else {
                Ok(None)
            }
        };
        !commit.fits && is_further(from, to) && !matches!(seen(), Ok(Some(node)) if !node.folder)
    }
}

/// Refuses to move a folder to where something in it would be too deep.
pub(super) fn check(root: &Root, from: &RelPath, to: &RelPath, commit: &Commit) -> Result<()> {
    match root.stat(from, Lookup::Full) {
        Ok(Some(node)) if node.folder => check_below(root, from, to.left()?, commit.judge.as_ref()),
        _ => Ok(()),
    }
}

/// Whether paths below `to` are longer than below `from`.
pub(super) fn is_further(from: &RelPath, to: &RelPath) -> bool {
    from.names().count() < to.names().count() || from.as_str().len() < to.as_str().len()
}

/// Refuses a folder in which something has a longer path than what is left where it goes. What no drive shows does not count. It has no
/// more in memory than some names for each level, and goes no deeper than may be.
pub(super) fn check_below(
    root: &Root,
    path: &RelPath,
    left: Left,
    judge: &dyn Judge,
) -> Result<()> {
    let top = root
        .look(path, Lookup::Full, os::open_folder)?
        .ok_or(Error::NotFound)?;
    let counted = if os::counts_folders(fd(&top)) {
        os::disk_of(fd(&top)).ok()
    } else {
        None
    };
    look_over(top, left, counted, judge)
}

fn look_over(top: OwnedFd, left: Left, counted: Option<u64>, judge: &dyn Judge) -> Result<()> {
    let (mut buffer, mut levels) = (Vec::new(), Vec::new());
    levels.extend(Level::open(top, left, counted)?);
    while let Some(level) = levels.last_mut() {
        let Some((name, left)) = level.folders.pop() else {
            if level.is_read {
                levels.pop();
            } else {
                judge.check()?;
                level.read(&mut buffer)?;
            }
            continue;
        };
        match os::open_folder_raw(fd(&level.dir), &name) {
            Ok(dir) => levels.extend(Level::open(dir, left, counted)?),
            // It is gone, or nobody gets there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(())
}

/// A folder that is being read.
struct Level {
    dir: OwnedFd,
    left: Left,
    /// The folders in it that were read and not looked into.
    folders: Vec<(CString, Left)>,
    is_read: bool,
}

impl Level {
    /// `None` for a folder in which nothing can be too deep: whatever files are called fits, and it has no folders, which the file system
    /// with the number `counted` tells by the count of its names.
    fn open(dir: OwnedFd, left: Left, counted: Option<u64>) -> Result<Option<Self>> {
        let found = os::stat_fd(fd(&dir)).map_err(failed)?;
        let has_none =
            found.links == 2 && counted.is_some() && os::disk_of(fd(&dir)).ok() == counted;
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
        let (dir, left, folders) = (fd(&self.dir), self.left, &mut self.folders);
        let more = os::read_names(dir, buffer, 1, |raw, kind| {
            let Some(name) = visible(raw) else {
                return Ok(());
            };
            let below = left.below(name);
            // What kind of thing it is matters only if it is a folder, or too deep.
            if kind == Some(Kind::File) && below.is_ok() {
                return Ok(());
            }
            match kind_of(dir, raw, kind)? {
                Kind::Other => {}
                Kind::File => drop(below?),
                Kind::Folder => folders.push((raw.to_owned(), below?)),
            }
            Ok::<_, Refused>(())
        });
        self.is_read = !more.map_err(|Refused(error)| error)?;
        Ok(())
    }
}

fn kind_of(dir: BorrowedFd<'_>, name: &CStr, known: Option<Kind>) -> os::Outcome<Kind> {
    match known.map_or_else(|| os::stat_entry(dir, name).map(|found| found.kind), Ok) {
        Err(Errno::NOENT) => Ok(Kind::Other),
        kind => kind,
    }
}

struct Refused(Error);

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self(failed(errno))
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

fn failed(errno: Errno) -> Error {
    explain("look how deep it is", errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Unjudged;
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
                .left()
                .unwrap()
        };
        let short = |bytes: usize| {
            let path = format!("{}/", "l".repeat(240)).repeat(16) + &"l".repeat(240 - bytes);
            RelPath::parse(&path).unwrap().left().unwrap()
        };
        let disk = os::disk_of(fd(&os::open_root(&top).unwrap())).unwrap();
        for counted in [None, Some(disk)] {
            let look = |left| look_over(os::open_root(&top).unwrap(), left, counted, &Unjudged);
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
