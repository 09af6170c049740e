//! What no drive shows, in a copy: names that are no text with all below them, symlinks, pipes and sockets. They are copied anew each
//! time, and are not in the index.

use super::file::{TRIES, Try, copy};
use super::walk::{DOING, Walk};
use crate::content::local::fill;
use crate::content::local::os::{self, Errno, Facts, Kind, fd};
use crate::content::local::root::explain;
use crate::model::Result;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A folder whose files are copied and whose folders wait.
struct Level {
    from: OwnedFd,
    to: OwnedFd,
    path: PathBuf,
    facts: Facts,
    folders: Vec<CString>,
}

impl Walk<'_> {
    /// Brings what is called `name` in a folder into the copy, with all below.
    pub fn copy_odd(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        (name, kind): (&CStr, Kind),
        path: &Path,
    ) -> Result<()> {
        let mut levels = Vec::new();
        levels.extend(self.copy_one((from, to), (name, kind), path)?);
        while let Some(mut level) = levels.pop() {
            let Some(name) = level.folders.pop() else {
                self.finish_odd(&level)?;
                continue;
            };
            let below = joined(&level.path, &name);
            let below = self.copy_one(
                (fd(&level.from), fd(&level.to)),
                (&name, Kind::Folder),
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
        (name, kind): (&CStr, Kind),
        path: &Path,
    ) -> Result<Option<Level>> {
        match kind {
            Kind::Folder => return self.enter_odd((from, to), name, path),
            Kind::File => self.copy_odd_file((from, to), name, path)?,
            Kind::Other => match os::copy_other(from, to, name) {
                Ok(()) | Err(Errno::EXIST | Errno::NOENT) => {}
                Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => self.tally.left_out += 1,
                Err(e) => return Err(explain(DOING, e)),
            },
        }
        Ok(None)
    }

    fn enter_odd(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        name: &CStr,
        path: &Path,
    ) -> Result<Option<Level>> {
        let opened =
            os::open_folder_raw(from, name).and_then(|dir| Ok((os::facts_fd(fd(&dir))?, dir)));
        let (facts, dir) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.pass_over(to, path, e).map(|()| None),
        };
        if self.is_avoided(fd(&dir), &path.to_string_lossy())? {
            return Ok(None);
        }
        match os::make_folder_raw(to, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(explain(DOING, e)),
        }
        let made = os::open_folder_raw(to, name).map_err(|e| explain(DOING, e))?;
        let mut folders = Vec::new();
        for (name, kind) in fill::entries(fd(&dir))? {
            if kind == Kind::Folder {
                folders.push(name);
            } else {
                let path = joined(path, &name);
                self.copy_one((fd(&dir), fd(&made)), (&name, kind), &path)?;
            }
        }
        Ok(Some(Level {
            from: dir,
            to: made,
            path: path.to_owned(),
            facts,
            folders,
        }))
    }

    fn copy_odd_file(
        &mut self,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        name: &CStr,
        path: &Path,
    ) -> Result<()> {
        let opened =
            os::open_read_raw(from, name).and_then(|file| Ok((os::facts_fd(fd(&file))?, file)));
        let (mut facts, file) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.pass_over(to, path, e),
        };
        for _ in 0..TRIES {
            match copy(self, &file, &facts, (to, name))? {
                Try::Done(made) => {
                    self.tally.files += 1;
                    self.tally.copied += 1;
                    let len = os::stat_fd(fd(&made))
                        .map_err(|e| explain(DOING, e))?
                        .node
                        .len;
                    self.tally.bytes += len;
                    self.tally.copied_bytes += len;
                    return Ok(());
                }
                Try::Changed(now) => facts = now,
                Try::Failed(errno) => {
                    let _ = os::unlink(to, name);
                    return self.keep(to, path, &format!("it cannot be copied ({errno})"));
                }
            }
        }
        let _ = os::unlink(to, name);
        self.keep(to, path, "it changed again and again while it was copied")
    }

    fn finish_odd(&mut self, level: &Level) -> Result<()> {
        os::set_access(fd(&level.to), &level.facts).map_err(|e| explain(DOING, e))?;
        self.copy_attributes(fd(&level.from), fd(&level.to))?;
        os::set_modified(fd(&level.to), level.facts.found.node.modified)
            .map_err(|e| explain(DOING, e))
    }
}

fn joined(path: &Path, name: &CStr) -> PathBuf {
    path.join(OsStr::from_bytes(name.to_bytes()))
}
