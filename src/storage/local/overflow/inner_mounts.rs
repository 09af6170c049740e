//! File systems that are mounted inside a tree and have files whose properties lie in its overflow files. While one of them is away nobody
//! can tell which of those are still named: `.sarang/mounted` says what there was, and nothing is swept until it is back.

use super::OverflowFiles;
use crate::model::{Error, RelPath, Result};
use crate::storage::local::dirs::TreeDirs;
use crate::storage::local::errors::map_errno;
use crate::storage::local::names::join_path;
use crate::storage::local::sys::{self, Errno, Lookup, fd};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, Read as _};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Where it lies, below the root.
pub(in crate::storage::local) const MOUNTED: &str = ".sarang/mounted";
/// Where it is written first.
const FRESH: &str = ".sarang/mounted.new";
/// The most bytes that are read of it.
const LARGEST: u64 = 8 << 20;
/// The most mounts that are noted. With so many there may be others that are not.
const MOST: usize = 256;
const DOING: &str = "note what is mounted inside the drive";

/// What is mounted somewhere in a tree. The id alone may be another's after a restart: XFS and FAT make it of the number of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::storage::local) struct InnerMount {
    /// Where, below the root.
    pub path: String,
    /// The id of the file system, 0 where that has none, and the inode of its top.
    pub id: [u64; 2],
}

/// What is mounted in a tree now, and which of it has files that name overflow files.
#[derive(Debug, Default)]
pub(in crate::storage::local) struct InnerMounts {
    pub present: Vec<InnerMount>,
    pub referencing: Vec<InnerMount>,
}

impl InnerMounts {
    /// Notes that what lies at a path names an overflow file.
    pub fn note_reference(&mut self, path: &str) {
        let holds = |mounted: &&InnerMount| {
            path.strip_prefix(&*mounted.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(mounted) = self.present.iter().rev().find(holds)
            && !self.referencing.contains(mounted)
        {
            self.referencing.push(mounted.clone());
        }
    }
}

/// What has had files that name overflow files and is not there, or not where it was; all of it once no more can be noted.
pub(in crate::storage::local) fn missing_mounts(
    top: BorrowedFd<'_>,
    mounts: &InnerMounts,
) -> Result<Vec<InnerMount>> {
    let mut known = read(top)?;
    if known.len() < MOST {
        known.retain(|known| !mounts.present.contains(known));
    }
    Ok(known)
}

/// Keeps in mind what has files that name overflow files, durably. Nothing is forgotten: what was there before may be away.
pub(in crate::storage::local) fn remember(
    dirs: &TreeDirs,
    overflow: &OverflowFiles,
    naming: Vec<InnerMount>,
) -> Result<()> {
    if naming.is_empty() {
        return Ok(());
    }
    let _alone = overflow.mounted.lock();
    let mut known = read(fd(&dirs.dir))?;
    let before = known.len();
    for mounted in naming {
        if known.len() < MOST && !known.contains(&mounted) {
            known.push(mounted);
        }
    }
    if known.len() == before {
        return Ok(());
    }
    write(fd(&dirs.dir), &known).map_err(|e| map_errno(DOING, e))
}

/// As [`remember`], of what an open file lies on, which is about to name an overflow file, if that is mounted inside the tree.
pub(in crate::storage::local) fn note(
    dirs: &TreeDirs,
    overflow: &OverflowFiles,
    path: &RelPath,
    file: BorrowedFd<'_>,
) -> Result<()> {
    let failed = |e| map_errno(DOING, e);
    if sys::mount_of(file).map_err(failed)? == sys::mount_of(fd(&dirs.dir)).map_err(failed)? {
        return Ok(());
    }
    let mut at = String::new();
    let mut inner = None;
    for name in dirs.stored_path(path)?.names() {
        at = join_path(&at, name);
        let opened = sys::open_any(fd(&dirs.dir), &at, Lookup::Full).map_err(failed)?;
        if let Some(id) = sys::mounted(fd(&opened)).map_err(failed)? {
            inner = Some(InnerMount {
                path: at.clone(),
                id,
            });
        }
    }
    remember(dirs, overflow, inner.into_iter().collect())
}

/// As [`remember`], of what the tree in `other` keeps in mind, which is about to become the folder `to` of this one.
pub(in crate::storage::local) fn adopt(
    dirs: &TreeDirs,
    overflow: &OverflowFiles,
    other: &Path,
    to: &RelPath,
) -> Result<()> {
    let top = match sys::open_root(other) {
        Ok(top) => top,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    let mut known = read(fd(&top))?;
    if known.is_empty() {
        return Ok(());
    }
    let to = dirs.stored_path(to)?;
    for mounted in &mut known {
        mounted.path = join_path(to.as_str(), &mounted.path);
    }
    remember(dirs, overflow, known)
}

/// What is kept in mind.
fn read(top: BorrowedFd<'_>) -> Result<Vec<InnerMount>> {
    let file = match sys::open_read(top, MOUNTED, Lookup::Full) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    let mut text = Vec::new();
    file.take(LARGEST)
        .read_to_end(&mut text)
        .map_err(|e| Error::io(DOING, e))?;
    serde_json::from_slice(&text).map_err(|_| {
        Error::Corrupt(format!(
            "{MOUNTED} cannot be read: delete it once all that is mounted inside the drive is there."
        ))
    })
}

fn write(top: BorrowedFd<'_>, known: &[InnerMount]) -> sys::SysResult<()> {
    let text = serde_json::to_vec(known).map_err(|_| Errno::INVAL)?;
    match sys::unlink_file(top, FRESH) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e),
    }
    let file = sys::create_file(top, FRESH)?;
    sys::write_all(fd(&file), &mut [IoSlice::new(&text)], 0)?;
    sys::sync(fd(&file))?;
    sys::rename_over((top, FRESH), (top, MOUNTED))?;
    sys::sync(fd(&sys::open_folder(top, ".sarang", Lookup::Full)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn mounted(path: &str, id: [u64; 2]) -> InnerMount {
        InnerMount {
            path: path.to_owned(),
            id,
        }
    }

    /// How many are away when `known` are noted and `there` are there.
    fn away_of(known: &[InnerMount], there: &[InnerMount]) -> usize {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join(".sarang")).unwrap();
        let top = sys::open_root(dir.path()).unwrap();
        write(fd(&top), known).unwrap();
        let mounts = InnerMounts {
            present: there.to_vec(),
            ..InnerMounts::default()
        };
        missing_mounts(fd(&top), &mounts).unwrap().len()
    }

    #[test]
    fn only_the_same_at_the_same_place_is_there() {
        let known = [mounted("a", [1, 2])];
        assert_eq!(away_of(&known, &known), 0);
        for other in [
            mounted("b", [1, 2]),
            mounted("a", [3, 2]),
            mounted("a", [1, 3]),
        ] {
            assert_eq!(away_of(&known, &[other]), 1);
        }
    }

    #[test]
    fn when_no_more_can_be_noted_all_counts_as_away() {
        let known: Vec<_> = (0..MOST)
            .map(|at| mounted(&at.to_string(), [1, 2]))
            .collect();
        assert_eq!(away_of(&known, &known), MOST);
        assert_eq!(away_of(&known[1..], &known), 0);
    }
}
