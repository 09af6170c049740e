//! File systems that are mounted inside a tree and have files whose properties lie in its overflow files. While one of them is away nobody
//! can tell which of those are still named: `.sarang/mounted` says what there was, and nothing is swept until it is back.

use crate::content::local::os::{self, Errno, Lookup, fd};
use crate::content::local::past::joined;
use crate::content::local::root::{Root, explain};
use crate::model::{Error, RelPath, Result};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, Read as _};
use std::os::fd::BorrowedFd;

/// Where it lies, below the root.
pub(in crate::content::local) const MOUNTED: &str = ".sarang/mounted";
/// Where it is written first.
const FRESH: &str = ".sarang/mounted.new";
/// The most bytes that are read of it.
const LARGEST: u64 = 1 << 20;
const DOING: &str = "note what is mounted inside the drive";

/// What is mounted somewhere in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::content::local) struct Mounted {
    /// Where, below the root.
    pub path: String,
    /// What tells it from others, wherever it is mounted: the id of the file system, 0 where that has none, and the inode of its top.
    pub id: [u64; 2],
}

/// What is mounted in a tree now, and which of it has files that name overflow files.
#[derive(Debug, Default)]
pub(in crate::content::local) struct Mounts {
    pub there: Vec<Mounted>,
    pub(super) naming: Vec<Mounted>,
}

impl Mounted {
    fn is(&self, other: &Self) -> bool {
        let [system, _] = self.id;
        self.id == other.id && (system != 0 || self.path == other.path)
    }
}

impl Mounts {
    /// Notes that what lies at a path names an overflow file.
    pub fn note_naming(&mut self, path: &str) {
        let holds = |mounted: &&Mounted| {
            path.strip_prefix(&*mounted.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(mounted) = self.there.iter().rev().find(holds)
            && !self.naming.contains(mounted)
        {
            self.naming.push(mounted.clone());
        }
    }
}

/// What has had files that name overflow files and is not there.
pub(in crate::content::local) fn away(top: BorrowedFd<'_>, mounts: &Mounts) -> Result<Vec<Mounted>> {
    let mut known = read(top)?;
    known.retain(|known| !mounts.there.iter().any(|there| there.is(known)));
    Ok(known)
}

/// Keeps in mind what has files that name overflow files, durably.
pub(super) fn keep(root: &Root, naming: Vec<Mounted>) -> Result<()> {
    if naming.is_empty() {
        return Ok(());
    }
    let _alone = root.overflow.mounted.lock();
    let before = read(fd(&root.dir))?;
    let mut known = before.clone();
    known.retain(|known| !naming.iter().any(|there| there.is(known)));
    known.extend(naming);
    if before.len() == known.len() && known.iter().all(|one| before.contains(one)) {
        return Ok(());
    }
    write(fd(&root.dir), &known).map_err(|e| explain(DOING, e))
}

/// As [`keep`], of what an open file lies on, which is about to name an overflow file, if that is mounted inside the tree.
pub(in crate::content::local) fn note(root: &Root, path: &RelPath, file: BorrowedFd<'_>) -> Result<()> {
    let failed = |e| explain(DOING, e);
    if os::mount_of(file).map_err(failed)? == os::mount_of(fd(&root.dir)).map_err(failed)? {
        return Ok(());
    }
    let (mut at, mut inner) = (String::new(), None);
    for name in root.respell(path)?.names() {
        at = joined(&at, name);
        let opened = os::open_any(fd(&root.dir), &at, Lookup::Full).map_err(failed)?;
        if let Some(id) = os::mounted(fd(&opened)).map_err(failed)? {
            inner = Some(Mounted { path: at.clone(), id });
        }
    }
    keep(root, inner.into_iter().collect())
}

/// What is kept in mind.
fn read(top: BorrowedFd<'_>) -> Result<Vec<Mounted>> {
    let file = match os::open_read(top, MOUNTED, Lookup::Full) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(e) => return Err(explain(DOING, e)),
    };
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).map_err(|e| Error::io(DOING, e))?;
    serde_json::from_slice(&text).map_err(|_| {
        Error::Corrupt(format!(
            "{MOUNTED} cannot be read: delete it once all that is mounted inside the drive is there."
        ))
    })
}

fn write(top: BorrowedFd<'_>, known: &[Mounted]) -> os::Outcome<()> {
    let text = serde_json::to_vec(known).map_err(|_| Errno::INVAL)?;
    match os::unlink_file(top, FRESH) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e),
    }
    let file = os::create_file(top, FRESH)?;
    os::write_all(fd(&file), &mut [IoSlice::new(&text)], 0)?;
    os::sync(fd(&file))?;
    os::rename_over((top, FRESH), (top, MOUNTED))?;
    os::sync(fd(&os::open_folder(top, ".sarang", Lookup::Full)?))
}
