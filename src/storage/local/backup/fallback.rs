//! What cannot be read, in a copy: as the newest earlier copy has it that has it at all. Else the last good copy of it would go with
//! the oldest generation that is kept.

use super::DOING;
use super::copier::{TreeCopier, TreeCopyLevel};
use super::index::{BackupIndex, CopiedPaths};
use super::{BackupStats, CopyObserver, CopyTreeOptions, IndexEntry, ParentCopy};
use crate::model::{Error, Result};
use crate::storage::local::copy_content;
use crate::storage::local::errors::map_errno;
use crate::storage::local::sys::{self, Errno, FileKind, Lookup, fd};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An earlier copy of a tree, which is only looked into for what cannot be read.
#[derive(Debug)]
pub struct FallbackCopy {
    dir: PathBuf,
    index: PathBuf,
}

/// What an earlier copy has at a path.
struct FoundInFallback {
    top: OwnedFd,
    /// The folder that it lies in.
    above: OwnedFd,
    kind: FileKind,
}

impl FallbackCopy {
    /// The copy in a folder, of which the file `index` tells.
    pub fn new(dir: PathBuf, index: PathBuf) -> Self {
        Self { dir, index }
    }

    fn find(&self, path: &Path, name: &CStr) -> Option<FoundInFallback> {
        let top = sys::open_root(&self.dir).ok()?;
        let above = path
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let above =
            sys::open_folder_raw(fd(&top), &CString::new(above.as_os_str().as_bytes()).ok()?)
                .ok()?;
        let kind = sys::stat_entry(fd(&above), name).ok()?.kind;
        Some(FoundInFallback { top, above, kind })
    }

    /// What it has in a folder.
    fn names(&self, folder: &str) -> Option<Vec<(CString, FileKind)>> {
        let top = sys::open_root(&self.dir).ok()?;
        copy_content::entries(fd(&sys::open_folder(fd(&top), folder, Lookup::Full).ok()?)).ok()
    }
}

impl TreeCopier<'_> {
    /// What is gone is no failure; what may not be read is one; anything else ends the copy, which is made in `to`.
    pub fn handle_read_error(
        &mut self,
        to: BorrowedFd<'_>,
        path: impl AsRef<Path>,
        errno: Errno,
    ) -> Result<()> {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Ok(()),
            Errno::ACCESS | Errno::PERM | Errno::IO => {
                self.use_fallback(to, path.as_ref(), &format!("it cannot be read ({errno})"))
            }
            other => Err(map_errno(DOING, other)),
        }
    }

    /// Notes something that cannot be read, and brings it into the folder `to` as an earlier copy has it.
    pub fn use_fallback(&mut self, to: BorrowedFd<'_>, path: &Path, why: &str) -> Result<()> {
        if !self.unreadable.insert(path.to_owned()) {
            return Ok(());
        }
        let became = self.copy_fallback(to, path)?;
        self.record_failure(&path.to_string_lossy(), &format!("{why}{became}"));
        Ok(())
    }

    /// Notes a folder that cannot be read to its end, and brings what an earlier copy has in it and this one has not.
    pub fn use_fallback_for_rest(&mut self, level: &TreeCopyLevel, errno: Errno) -> Result<()> {
        let path = Path::new(&level.path);
        if !self.unreadable.insert(path.to_owned()) {
            return Ok(());
        }
        let had = self
            .options
            .fallbacks
            .iter()
            .find_map(|held| held.names(&level.path));
        let became = if had.is_some() {
            "; what was not found in it is here as an earlier backup had it"
        } else {
            ""
        };
        for (name, _) in had.unwrap_or_default() {
            let below = path.join(OsStr::from_bytes(name.to_bytes()));
            let is_waiting = level
                .waiting
                .iter()
                .any(|waiting| waiting.as_bytes() == name.to_bytes());
            if !is_waiting && !below.to_str().is_some_and(|below| self.is_skipped(below)) {
                self.copy_fallback(fd(&level.to), &below)?;
            }
        }
        self.record_failure(
            &level.path,
            &format!("this folder cannot be read to its end ({errno}){became}"),
        );
        Ok(())
    }

    /// Brings what an earlier copy has at a path; says what has become of it.
    fn copy_fallback(&mut self, to: BorrowedFd<'_>, path: &Path) -> Result<&'static str> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let name = CString::new(name).map_err(|_| Error::NotFound)?;
        let is_there = || sys::stat_entry(to, &name).is_ok();
        // Copied before it was replaced by what cannot be read: newer than all that there is.
        if self.options.fallbacks.is_empty() || is_there() {
            return Ok("");
        }
        for (at, held) in self.options.fallbacks.iter().enumerate() {
            let Some(found) = held.find(path, &name) else {
                continue;
            };
            self.copy_found_fallback(at, (to, &name), path, found)?;
            if is_there() {
                let newest = "; this backup has it as the one before had it";
                return Ok(if at == 0 {
                    newest
                } else {
                    "; this backup has it as an earlier one had it"
                });
            }
        }
        Ok("; it is in no backup")
    }

    fn copy_found_fallback(
        &mut self,
        at: usize,
        to: (BorrowedFd<'_>, &CStr),
        path: &Path,
        found: FoundInFallback,
    ) -> Result<()> {
        let Some(held) = self.options.fallbacks.get(at) else {
            return Ok(());
        };
        // Read once: an index is large.
        let marks = match self.fallback_indexes.remove(&at) {
            Some(marks) => marks,
            None => BackupIndex::by_path(File::open(&held.index).ok())?,
        };
        let mut watch = FallbackObserver {
            observer: &mut *self.observer,
            copied: &mut self.copied,
            index: marks,
        };
        let formers = ParentCopy::of_source(&held.dir).into_iter().collect();
        let plan = CopyTreeOptions {
            skip: self.options.skip,
            parents: formers,
            ..CopyTreeOptions::new(&held.dir, self.options.to, self.options.label)
        };
        let mut walk = TreeCopier::new(
            &plan,
            fd(&found.top),
            self.target,
            &mut *self.stats,
            &mut watch,
        )?;
        walk.copy_found((found.above, found.kind), to, path)?;
        let marks = watch.index;
        self.fallback_indexes.insert(at, marks);
        Ok(())
    }

    /// Copies what lies at a path, whose folder is open.
    fn copy_found(
        &mut self,
        (above, kind): (OwnedFd, FileKind),
        to: (BorrowedFd<'_>, &CStr),
        path: &Path,
    ) -> Result<()> {
        match (path.to_str(), kind) {
            (Some(path), FileKind::File) => self.copy_file(
                fd(&above),
                to.0,
                to.1.to_str().unwrap_or_default(),
                path.to_owned(),
            ),
            (Some(path), FileKind::Folder) => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
                let made =
                    sys::open_folder(to.0, "", Lookup::Full).map_err(|e| map_errno(DOING, e))?;
                let waiting = vec![name.to_owned()];
                self.descend(TreeCopyLevel {
                    from: above,
                    to: made,
                    path: parent.to_owned(),
                    waiting,
                })?;
                self.finish_folders()
            }
            (_, kind) => self.copy_unshown((fd(&above), to.0), (to.1, kind), path),
        }
    }
}

/// Tells of what is brought from an earlier copy as that did: by what it was copied from.
struct FallbackObserver<'a> {
    observer: &'a mut dyn CopyObserver,
    copied: &'a mut CopiedPaths,
    index: BackupIndex,
}

impl CopyObserver for FallbackObserver<'_> {
    fn copied(&mut self, mark: &IndexEntry, tally: &BackupStats) -> Result<()> {
        let mark = self
            .index
            .of_path(&mark.path)
            .unwrap_or_else(|| IndexEntry {
                changed: 0,
                ..mark.clone()
            });
        self.copied.insert(&mark);
        self.observer.copied(&mark, tally)
    }
}
