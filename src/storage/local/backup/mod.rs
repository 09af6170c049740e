//! Copies of whole trees, for backups and back: made while others change the tree, each file whole, with its times, permissions
//! and our attributes. What a former copy holds unchanged gets a second name there instead of being copied again.

mod copier;
mod fallback;
mod file;
mod ids;
mod index;
mod props;
#[cfg(test)]
mod tests;
mod unshown;

pub use fallback::FallbackCopy;
pub use index::BackupIndex;

use super::errors::map_errno;
use super::sys::{self, CopyMetadata, fd};
use crate::model::{Error, Result};
use crate::storage::FileId;
use copier::TreeCopier;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

const DOING: &str = "copy the files";
/// How often a file that changes meanwhile is copied.
const ATTEMPTS: usize = 5;

/// A file or folder as it was when it was copied; a line in the index of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Where it lay, from the top of the tree; empty for the top itself.
    #[serde(rename = "p")]
    pub path: String,
    /// What stayed the same as long as it existed there.
    #[serde(rename = "n")]
    pub node: [u64; 2],
    /// Its bytes.
    #[serde(rename = "l")]
    pub len: u64,
    /// When its content changed, in nanoseconds since 1970.
    #[serde(rename = "m")]
    pub modified: u64,
    /// When anything about it changed, in nanoseconds since 1970; 0 when it may have changed while it was copied.
    #[serde(rename = "c")]
    pub changed: u64,
    /// Whether it is a folder.
    #[serde(rename = "d")]
    pub folder: bool,
    /// Which file or folder it is; `None` in an index of before there were ids, and outside of trees.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<FileId>,
}

impl IndexEntry {
    fn new(path: String, facts: &CopyMetadata, id: Option<FileId>) -> Self {
        let [inode, born, modified, len] = facts.found.node.etag.0;
        let changed = if copier::is_fresh(facts.changed) {
            0
        } else {
            facts.changed
        };
        Self {
            path,
            node: [inode, born],
            len,
            modified,
            changed,
            folder: facts.found.node.folder,
            id,
        }
    }

    /// Whether this is the same file, unchanged since, wherever it lies.
    fn is_unchanged(&self, other: &Self) -> bool {
        let of = |mark: &Self| {
            (
                mark.node,
                mark.len,
                mark.modified,
                mark.changed,
                mark.folder,
            )
        };
        self.changed != 0 && of(self) == of(other)
    }
}

/// A former copy of a tree.
#[derive(Debug)]
pub struct ParentCopy {
    dir: OwnedFd,
    files: BackupIndex,
    /// Whether it is the very tree that is copied: then each file lies at its own path, and nobody changes it.
    is_source: bool,
}

impl ParentCopy {
    /// The copy in `dir`, whose files `index` tells of; `None` when there is none.
    pub fn open(dir: &Path, index: Option<File>) -> Result<Option<Self>> {
        let Ok(dir) = sys::open_root(dir) else {
            return Ok(None);
        };
        Ok(Some(Self {
            dir,
            files: BackupIndex::by_node(index)?,
            is_source: false,
        }))
    }

    /// The tree that is copied, which is a former copy itself: its files get second names.
    pub fn of_source(dir: &Path) -> Option<Self> {
        Some(Self {
            dir: sys::open_root(dir).ok()?,
            files: BackupIndex::none(),
            is_source: true,
        })
    }

    /// Where it has what `mark` tells of, unchanged.
    fn unchanged_path(&self, mark: &IndexEntry) -> Option<String> {
        if self.is_source {
            return Some(mark.path.clone());
        }
        self.files
            .of_node(mark.node)
            .filter(|old| old.is_unchanged(mark))
            .map(|old| old.path)
    }

    /// Gives a file that lies at a path in it a second name; whether there is one.
    fn link_path(&self, path: &str, to: (BorrowedFd<'_>, &str)) -> bool {
        matches!(
            sys::link((fd(&self.dir), path), to),
            Ok(()) | Err(sys::Errno::EXIST)
        )
    }
}

/// What is to be copied.
#[derive(Debug)]
pub struct CopyTreeOptions<'a> {
    /// The tree.
    pub from: &'a Path,
    /// An empty folder for the copy.
    pub to: &'a Path,
    /// What reports call the tree.
    pub label: &'a str,
    /// Paths in the tree that are left out, with all below them.
    pub skip: &'a [&'a str],
    /// Former copies on the same file system as the new one.
    pub parents: Vec<ParentCopy>,
    /// Earlier copies on that file system, newest first: what cannot be read is taken over from them.
    pub fallbacks: Vec<FallbackCopy>,
    /// Device and inode of a folder that nothing is copied from.
    pub exclude: Option<(u64, u64)>,
    /// When it began: what was there before must be found, however it is moved about meanwhile.
    pub began: SystemTime,
}

impl<'a> CopyTreeOptions<'a> {
    /// A copy of a tree that begins now, of all that is in it and from nothing else.
    pub fn new(from: &'a Path, to: &'a Path, label: &'a str) -> Self {
        let formers = Vec::new();
        let earlier = Vec::new();
        Self {
            from,
            to,
            label,
            skip: &[],
            parents: formers,
            fallbacks: earlier,
            exclude: None,
            began: SystemTime::now(),
        }
    }
}

/// Device and inode of a folder.
pub fn identity(dir: &Path) -> Result<(u64, u64)> {
    copier::identity(fd(
        &sys::open_root(dir).map_err(|e| map_errno("open the folder of the copy", e))?
    ))
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStats {
    /// Files in the copy.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose content was copied.
    pub copied: u64,
    /// Bytes that were copied.
    pub copied_bytes: u64,
    /// Files that a former copy has, too.
    pub linked: u64,
    /// Devices, which no copy has.
    pub left_out: u64,
    /// Trees in which older files were moved about faster than they could be found.
    pub restless: Vec<String>,
    /// What could not be read, and why.
    pub failures: Vec<String>,
}

/// Sees each file and folder when its copy is there.
pub trait CopyObserver {
    /// `mark` was copied.
    fn copied(&mut self, mark: &IndexEntry, tally: &BackupStats) -> Result<()>;
}

/// Copies a tree. What cannot be read is noted and left out; whatever hinders the writing ends it. Returns whether the tree
/// was there to the end: one that was moved away meanwhile is only copied in part.
pub fn copy_tree(
    plan: &CopyTreeOptions<'_>,
    tally: &mut BackupStats,
    watch: &mut dyn CopyObserver,
) -> Result<bool> {
    let source = match sys::open_root(plan.from) {
        Ok(source) => source,
        Err(sys::Errno::NOENT) => return Ok(false),
        Err(e) => return Err(map_errno("open what is to be copied", e)),
    };
    let target =
        sys::open_root(plan.to).map_err(|e| map_errno("open the folder of the copy", e))?;
    let inode = sys::stat_fd(fd(&source))
        .map_err(|e| map_errno("look at what is to be copied", e))?
        .inode;
    TreeCopier::new(plan, fd(&source), fd(&target), tally, watch)?.run()?;
    let present = sys::open_root(plan.from).and_then(|dir| sys::stat_fd(fd(&dir)));
    Ok(present.is_ok_and(|present| present.inode == inode))
}

/// Waits until all that was written on the file system of a folder is on the disk.
pub fn sync(dir: &Path) -> Result<()> {
    let synced = sys::open_root(dir).and_then(|dir| sys::sync_all(fd(&dir)));
    synced.map_err(|e| Error::io("write the copy to the disk", e))
}
