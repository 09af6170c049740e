//! Every file in a folder and below it, with one open folder a level and no recursion.

use super::os::{self, Errno, Found, Kind, Lookup, fd};
use crate::model::names::is_reserved;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A file that a walk has come to.
pub(super) struct Met<'w> {
    /// The folder it is in.
    pub dir: BorrowedFd<'w>,
    /// Its name there; empty when it is no text.
    pub name: &'w str,
    /// What it is.
    pub found: &'w Found,
    above: &'w [Level],
}

impl Met<'_> {
    /// Its path from where the walk began.
    pub fn path(&self) -> String {
        let names = self.above.iter().skip(1).map(|level| level.name.as_str());
        names.chain([self.name]).collect::<Vec<_>>().join("/")
    }
}

/// The names in a folder that are text.
pub(super) fn names(dir: BorrowedFd<'_>) -> os::Outcome<Vec<String>> {
    let (mut names, mut buffer) = (Vec::new(), Vec::new());
    // A fresh descriptor, since reading moves the one shared with others.
    let dir = os::open_folder(dir, "", Lookup::Full)?;
    os::read_names(fd(&dir), &mut buffer, usize::MAX, |name, _| {
        names.extend(name.to_str().ok().map(str::to_owned));
        Ok::<_, Errno>(())
    })?;
    Ok(names)
}

struct Level {
    dir: OwnedFd,
    name: String,
    folders: Vec<String>,
}

/// Shows every file of a tree to `visit`. What goes away meanwhile, or may not be read, is passed over.
pub(super) fn files<E: From<Errno>>(top: OwnedFd, mut visit: impl FnMut(&Met<'_>) -> Result<(), E>) -> Result<(), E> {
    let (mut buffer, mut levels) = (Vec::new(), vec![Level { dir: top, name: String::new(), folders: Vec::new() }]);
    visit_level(&mut levels, &mut buffer, &mut visit)?;
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.folders.pop() else {
            levels.pop();
            continue;
        };
        match os::open_folder(fd(&level.dir), &name, Lookup::Full) {
            Ok(dir) => levels.push(Level { dir, name, folders: Vec::new() }),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => continue,
            Err(e) => return Err(e.into()),
        }
        visit_level(&mut levels, &mut buffer, &mut visit)?;
    }
    Ok(())
}

/// Shows the files of the lowest folder, and notes the folders in it.
fn visit_level<E: From<Errno>>(
    levels: &mut [Level],
    buffer: &mut Vec<u8>,
    visit: &mut impl FnMut(&Met<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(level) = levels.last() else { return Ok(()) };
    let (dir, mut folders) = (fd(&level.dir), Vec::new());
    os::read_names(dir, buffer, usize::MAX, |raw, kind| {
        let name = raw.to_str().unwrap_or_default();
        if kind == Some(Kind::Other) || is_reserved(name) {
            return Ok(());
        }
        match os::stat_entry(dir, raw) {
            Ok(found) if found.kind == Kind::File => visit(&Met { dir, name, found: &found, above: levels })?,
            Ok(found) if found.kind == Kind::Folder && !name.is_empty() => folders.push(name.to_owned()),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        Ok::<_, E>(())
    })?;
    if let Some(level) = levels.last_mut() {
        level.folders = folders;
    }
    Ok(())
}
