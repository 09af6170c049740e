//! What cannot be read, in a copy: as the newest earlier copy has it that has it at all. Else the last good copy of it would go with
//! the oldest generation that is kept.

use super::marks::{Marks, Taken};
use super::walk::{DOING, Level, Walk};
use super::{Former, Mark, Plan, Tally, Watch};
use crate::content::local::fill;
use crate::content::local::os::{self, Errno, Kind, Lookup, fd};
use crate::content::local::root::explain;
use crate::model::{Error, Result};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An earlier copy of a tree, which is only looked into for what cannot be read.
#[derive(Debug)]
pub struct Held {
    dir: PathBuf,
    index: PathBuf,
}

/// What an earlier copy has at a path.
struct Found {
    top: OwnedFd,
    /// The folder that it lies in.
    above: OwnedFd,
    kind: Kind,
}

impl Held {
    /// The copy in a folder, of which the file `index` tells.
    pub fn new(dir: PathBuf, index: PathBuf) -> Self {
        Self { dir, index }
    }

    fn find(&self, path: &Path, name: &CStr) -> Option<Found> {
        let top = os::open_root(&self.dir).ok()?;
        let above = path
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let above =
            os::open_folder_raw(fd(&top), &CString::new(above.as_os_str().as_bytes()).ok()?)
                .ok()?;
        let kind = os::stat_entry(fd(&above), name).ok()?.kind;
        Some(Found { top, above, kind })
    }

    /// What it has in a folder.
    fn names(&self, folder: &str) -> Option<Vec<(CString, Kind)>> {
        let top = os::open_root(&self.dir).ok()?;
        fill::entries(fd(&os::open_folder(fd(&top), folder, Lookup::Full).ok()?)).ok()
    }
}

impl Walk<'_> {
    /// What is gone is no failure; what may not be read is one; anything else ends the copy, which is made in `to`.
    pub fn pass_over(
        &mut self,
        to: BorrowedFd<'_>,
        path: impl AsRef<Path>,
        errno: Errno,
    ) -> Result<()> {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Ok(()),
            Errno::ACCESS | Errno::PERM | Errno::IO => {
                self.keep(to, path.as_ref(), &format!("it cannot be read ({errno})"))
            }
            other => Err(explain(DOING, other)),
        }
    }

    /// Notes something that cannot be read, and brings it into the folder `to` as an earlier copy has it.
    pub fn keep(&mut self, to: BorrowedFd<'_>, path: &Path, why: &str) -> Result<()> {
        if !self.given_up.insert(path.to_owned()) {
            return Ok(());
        }
        let became = self.bring(to, path)?;
        self.fail(&path.to_string_lossy(), &format!("{why}{became}"));
        Ok(())
    }

    /// Notes a folder that cannot be read to its end, and brings what an earlier copy has in it and this one has not.
    pub fn keep_rest(&mut self, level: &Level, errno: Errno) -> Result<()> {
        let path = Path::new(&level.path);
        if !self.given_up.insert(path.to_owned()) {
            return Ok(());
        }
        let had = self
            .plan
            .earlier
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
            if !is_waiting && !below.to_str().is_some_and(|below| self.is_left_out(below)) {
                self.bring(fd(&level.to), &below)?;
            }
        }
        self.fail(
            &level.path,
            &format!("this folder cannot be read to its end ({errno}){became}"),
        );
        Ok(())
    }

    /// Brings what an earlier copy has at a path; says what has become of it.
    fn bring(&mut self, to: BorrowedFd<'_>, path: &Path) -> Result<&'static str> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let name = CString::new(name).map_err(|_| Error::NotFound)?;
        let is_there = || os::stat_entry(to, &name).is_ok();
        // Copied before it was replaced by what cannot be read: newer than all that there is.
        if self.plan.earlier.is_empty() || is_there() {
            return Ok("");
        }
        for (at, held) in self.plan.earlier.iter().enumerate() {
            let Some(found) = held.find(path, &name) else {
                continue;
            };
            self.bring_found(at, (to, &name), path, found)?;
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

    fn bring_found(
        &mut self,
        at: usize,
        to: (BorrowedFd<'_>, &CStr),
        path: &Path,
        found: Found,
    ) -> Result<()> {
        let Some(held) = self.plan.earlier.get(at) else {
            return Ok(());
        };
        // Read once: an index is large.
        let marks = match self.marks.remove(&at) {
            Some(marks) => marks,
            None => Marks::by_path(File::open(&held.index).ok())?,
        };
        let mut watch = Earlier {
            watch: &mut *self.watch,
            taken: &mut self.taken,
            marks,
        };
        let formers = Former::source(&held.dir).into_iter().collect();
        let plan = Plan {
            skip: self.plan.skip,
            formers,
            ..Plan::new(&held.dir, self.plan.to, self.plan.label)
        };
        let mut walk = Walk::new(
            &plan,
            fd(&found.top),
            self.target,
            &mut *self.tally,
            &mut watch,
        )?;
        match (path.to_str(), found.kind) {
            (Some(path), Kind::File) => {
                walk.copy_file(
                    fd(&found.above),
                    to.0,
                    to.1.to_str().unwrap_or_default(),
                    path.to_owned(),
                )?;
            }
            (Some(path), Kind::Folder) => {
                let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
                let made =
                    os::open_folder(to.0, "", Lookup::Full).map_err(|e| explain(DOING, e))?;
                let waiting = vec![name.to_owned()];
                walk.descend(Level {
                    from: found.above,
                    to: made,
                    path: above.to_owned(),
                    waiting,
                })?;
                walk.finish_folders()?;
            }
            (_, kind) => walk.copy_odd((fd(&found.above), to.0), (to.1, kind), path)?,
        }
        let marks = watch.marks;
        self.marks.insert(at, marks);
        Ok(())
    }
}

/// Tells of what is brought from an earlier copy as that did: by what it was copied from.
struct Earlier<'a> {
    watch: &'a mut dyn Watch,
    taken: &'a mut Taken,
    marks: Marks,
}

impl Watch for Earlier<'_> {
    fn copied(&mut self, mark: &Mark, tally: &Tally) -> Result<()> {
        let mark = self.marks.of_path(&mark.path).unwrap_or_else(|| Mark {
            changed: 0,
            ..mark.clone()
        });
        self.taken.note(&mark);
        self.watch.copied(&mark, tally)
    }
}
