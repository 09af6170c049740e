//! What no drive shows, in a copy: names that are no text with all below them, symlinks, pipes and sockets. They are copied anew each
//! time, and are not in the index.

use super::ATTEMPTS;
use super::DOING;
use super::copier::TreeCopier;
use super::file::{CopyAttempt, copy};
use crate::model::Result;
use crate::storage::local::copy_content;
use crate::storage::local::errors::map_errno;
use crate::storage::local::sys::{self, CopyMetadata, Errno, FileKind, fd};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A folder whose files are copied and whose folders wait.
struct UnshownCopyLevel {
    from: OwnedFd,
    to: OwnedFd,
    path: PathBuf,
    facts: CopyMetadata,
    folders: Vec<CString>,
}

impl TreeCopier<'_> {
    /// Brings what is called `name` in a folder into the copy, with all below.
    pub fn copy_unshown(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        (name, kind): (&CStr, FileKind),
        path: &Path,
    ) -> Result<()> {
        let mut levels = Vec::new();
        levels.extend(self.copy_one((from, to), (name, kind), path)?);
        while let Some(mut level) = levels.pop() {
            let Some(name) = level.folders.pop() else {
                self.finish_unshown(&level)?;
                continue;
            };
            let below = joined(&level.path, &name);
            let below = self.copy_one(
                (fd(&level.from), fd(&level.to)),
                (&name, FileKind::Folder),
                &below,
            )?;
            levels.push(level);
            levels.extend(below);
        }
        Ok(())
    }

    /// Copies one thing; of a folder its files too, the rest is left to the caller.
    fn copy_one(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        (name, kind): (&CStr, FileKind),
        path: &Path,
    ) -> Result<Option<UnshownCopyLevel>> {
        match kind {
            FileKind::Folder => return self.enter_unshown((from, to), name, path),
            FileKind::File => self.copy_unshown_file((from, to), name, path)?,
            FileKind::Other => match sys::copy_other(from, to, name) {
                Ok(()) | Err(Errno::EXIST | Errno::NOENT) => {}
                Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => self.stats.left_out += 1,
                Err(e) => return Err(map_errno(DOING, e)),
            },
        }
        Ok(None)
    }

    fn enter_unshown(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        name: &CStr,
        path: &Path,
    ) -> Result<Option<UnshownCopyLevel>> {
        let opened =
            sys::open_folder_raw(from, name).and_then(|dir| Ok((sys::facts_fd(fd(&dir))?, dir)));
        let (facts, dir) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.handle_read_error(to, path, e).map(|()| None),
        };
        if self.is_excluded(fd(&dir), &path.to_string_lossy())? {
            return Ok(None);
        }
        match sys::make_folder_raw(to, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(map_errno(DOING, e)),
        }
        let made = sys::open_folder_raw(to, name).map_err(|e| map_errno(DOING, e))?;
        let mut folders = Vec::new();
        for (name, kind) in copy_content::entries(fd(&dir))? {
            if kind == FileKind::Folder {
                folders.push(name);
            } else {
                let path = joined(path, &name);
                self.copy_one((fd(&dir), fd(&made)), (&name, kind), &path)?;
            }
        }
        Ok(Some(UnshownCopyLevel {
            from: dir,
            to: made,
            path: path.to_owned(),
            facts,
            folders,
        }))
    }

    fn copy_unshown_file(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        name: &CStr,
        path: &Path,
    ) -> Result<()> {
        let opened =
            sys::open_read_raw(from, name).and_then(|file| Ok((sys::facts_fd(fd(&file))?, file)));
        let (mut facts, file) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.handle_read_error(to, path, e),
        };
        for _ in 0..ATTEMPTS {
            match copy(self, &file, &facts, (to, name))? {
                CopyAttempt::Done(made) => {
                    self.stats.files += 1;
                    self.stats.copied += 1;
                    let len = sys::stat_fd(fd(&made))
                        .map_err(|e| map_errno(DOING, e))?
                        .node
                        .len;
                    self.stats.bytes += len;
                    self.stats.copied_bytes += len;
                    return Ok(());
                }
                CopyAttempt::Changed(now) => facts = now,
                CopyAttempt::Failed(errno) => {
                    let _ = sys::unlink(to, name);
                    return self.use_fallback(to, path, &format!("it cannot be copied ({errno})"));
                }
            }
        }
        let _ = sys::unlink(to, name);
        self.use_fallback(to, path, "it changed again and again while it was copied")
    }

    fn finish_unshown(&mut self, level: &UnshownCopyLevel) -> Result<()> {
        sys::set_access(fd(&level.to), &level.facts).map_err(|e| map_errno(DOING, e))?;
        self.copy_attributes(fd(&level.from), fd(&level.to))?;
        sys::set_modified(fd(&level.to), level.facts.found.node.modified)
            .map_err(|e| map_errno(DOING, e))
    }
}

fn joined(path: &Path, name: &CStr) -> PathBuf {
    path.join(OsStr::from_bytes(name.to_bytes()))
}
