//! Looks a tree over, also beside a running server: whether the trash and its notes agree, versions have their file, and nothing
//! was left half done. What is repaired is never deleted: it comes to the trash, where people see it.

mod inspect;
mod props;
#[cfg(test)]
mod tests;
mod trash;
mod versions;

use super::errors::map_errno;
use super::internal_dirs::TMP;
use super::missing_features::MissingFeatureSet;
use super::names::stat_name;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::{LocalSettings, LocalTree, probe};
use crate::model::Result;
pub use inspect::inspect;
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DOING: &str = "look the files over";
const FILES: &str = ".sarang/trash/files";
const INFO: &str = ".sarang/trash/info";
const VERSIONS: &str = ".sarang/versions";
/// What is younger may be a change under way.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// What, as the rest of a sentence about the tree.
    pub what: String,
    /// Whether it is as it should be now.
    pub repaired: bool,
}

/// How a tree is looked over.
#[derive(Clone, Copy, Debug)]
pub struct TreeCheckOptions {
    /// Whether a server works in it meanwhile: then what is young is not judged.
    pub served: bool,
    /// With which settings repairs are made; `None` for none. Ignored while a server works in it.
    pub repair: Option<LocalSettings>,
}

/// What was seen in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeCheckReport {
    /// What is not as it should be.
    pub findings: Vec<CheckFinding>,
    /// What may well be meant so, as the rest of a sentence about the tree.
    pub notes: Vec<String>,
    /// What its file system lacks.
    pub lacks: MissingFeatureSet,
}

/// What is to be told of the tree below `dir`.
pub fn check_tree(dir: &Path, care: TreeCheckOptions) -> Result<TreeCheckReport> {
    let root = sys::open_root(dir).map_err(|e| map_errno(DOING, e))?;
    let care = TreeCheckOptions {
        repair: care.repair.filter(|_| !care.served),
        ..care
    };
    let lacks = probe::missing_features_below(fd(&root))?;
    let mut tree = TreeChecker {
        root,
        options: care,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    tree.check_trash_notes()?;
    tree.check_trash_items()?;
    tree.check_versions()?;
    tree.check_props()?;
    tree.note_unshown()?;
    if !care.served {
        tree.check_leftovers(dir)?;
    }
    Ok(TreeCheckReport {
        findings: tree.findings,
        notes: tree.notes,
        lacks,
    })
}

struct TreeChecker {
    root: OwnedFd,
    options: TreeCheckOptions,
    findings: Vec<CheckFinding>,
    notes: Vec<String>,
}

impl TreeChecker {
    /// Nothing must be left of what a crash has cut; opening the tree finishes it or clears it away.
    fn check_leftovers(&mut self, dir: &Path) -> Result<()> {
        let Some(tmp) = self.folder(TMP)? else {
            return Ok(());
        };
        let count = names_in(fd(&tmp))?.len();
        if count == 0 {
            return Ok(());
        }
        let repaired = match self.options.repair {
            Some(settings) => {
                LocalTree::open(dir, settings).is_ok() && names_in(fd(&tmp))?.is_empty()
            }
            None => false,
        };
        self.add(
            format!("{count} things in .sarang/tmp were left by an earlier run"),
            repaired,
        );
        Ok(())
    }

    fn is_repairing(&self) -> bool {
        self.options.repair.is_some()
    }

    fn add(&mut self, what: String, repaired: bool) {
        self.findings.push(CheckFinding { what, repaired });
    }

    /// Whether something may be part of a change that a server is making just now.
    fn is_in_progress(&self, dir: BorrowedFd<'_>, name: &str) -> bool {
        let young = |file: OwnedFd| {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            sys::facts_fd(fd(&file))
                .is_ok_and(|facts| now < Duration::from_nanos(facts.changed) + UNDER_WAY)
        };
        self.options.served && sys::open_any(dir, name, Lookup::Full).is_ok_and(young)
    }

    /// A folder of the tree; `None` when there is none, as in one that was never used.
    fn folder(&self, path: &str) -> Result<Option<OwnedFd>> {
        match sys::open_folder(fd(&self.root), path, Lookup::Full) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {
                Ok(None)
            }
            Err(e) => Err(map_errno(DOING, e)),
        }
    }
}

fn exists(dir: BorrowedFd<'_>, name: &str) -> Result<bool> {
    stat_name(dir, name).map(|found| found.is_some())
}

fn write(dir: BorrowedFd<'_>, name: &str, text: &str) -> Result<()> {
    let written = sys::create_file(dir, name).and_then(|file| {
        sys::write_all(fd(&file), &mut [IoSlice::new(text.as_bytes())], 0)?;
        sys::sync(fd(&file))?;
        sys::sync(dir)
    });
    written.map_err(|e| map_errno("write a note for the trash", e))
}

fn names_in(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    Ok(entries(dir)?.into_iter().map(|(name, _)| name).collect())
}

fn entries(dir: BorrowedFd<'_>) -> Result<Vec<(String, FileKind)>> {
    let mut names = Vec::new();
    let mut buffer = Vec::new();
    // A fresh descriptor, since reading moves the one shared with others.
    let read = sys::open_folder(dir, "", Lookup::Full).and_then(|dir| {
        sys::read_dir(fd(&dir), &mut buffer, usize::MAX, |name, kind| {
            let Ok(text) = name.to_str() else {
                return Ok(());
            };
            match kind.map_or_else(
                || sys::stat_entry(fd(&dir), name).map(|found| found.kind),
                Ok,
            ) {
                Ok(kind) => names.push((text.to_owned(), kind)),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            }
            Ok::<_, Errno>(())
        })
    });
    read.map_err(|e| map_errno(DOING, e))?;
    Ok(names)
}
