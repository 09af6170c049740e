//! Every file in a folder and below it, whatever it is called, with one open folder a level and no recursion.

use super::os::{self, Errno, Found, Kind, fd};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

/// What a tree keeps for itself, at its top.
const OWN: &CStr = c".sarang";

/// Something that a walk has come to.
pub(super) struct Met<'w> {
    /// The folder it is in.
    pub dir: BorrowedFd<'w>,
    /// Its name there, which need not be text.
    pub raw: &'w CStr,
    /// What it is.
    pub kind: Kind,
    above: &'w [Level],
}

impl Met<'_> {
    /// Its path from where the walk began, for people: what is no text is replaced.
    pub fn path(&self) -> String {
        let names = self.above.iter().skip(1).map(|level| level.name.as_c_str());
        names
            .chain([self.raw])
            .map(CStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join("/")
    }

    /// In how many folders it lies, the top among them.
    pub fn depth(&self) -> usize {
        self.above.len()
    }

    /// Whether it is what the tree at which the walk began keeps for itself.
    pub fn is_own(&self) -> bool {
        self.is_at(&[OWN])
    }

    /// Whether it is at this path, seen from where the walk began.
    pub fn is_at(&self, path: &[&CStr]) -> bool {
        let names = self.above.iter().skip(1).map(|level| level.name.as_c_str());
        names.chain([self.raw]).eq(path.iter().copied())
    }
}

/// The names in a folder that are text.
pub(super) fn names(dir: BorrowedFd<'_>) -> os::Outcome<Vec<String>> {
    let (mut names, mut buffer) = (Vec::new(), Vec::new());
    // A fresh descriptor, since reading moves the one shared with others.
    let dir = os::open_folder(dir, "", os::Lookup::Full)?;
    os::read_names(fd(&dir), &mut buffer, usize::MAX, |name, _| {
        names.extend(name.to_str().ok().map(str::to_owned));
        Ok::<_, Errno>(())
    })?;
    Ok(names)
}

struct Level {
    dir: OwnedFd,
    name: CString,
    folders: Vec<CString>,
}

/// Which part of a tree a walk begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Top {
    /// At the tree itself: what it keeps for itself is left out.
    Tree,
    /// At a folder somewhere in it.
    Folder,
}

/// Shows every file of a tree to `visit`; not the history of a tree that was made a folder of another. What goes away meanwhile, or may not be read, is passed over.
pub(super) fn files<E: From<Errno>>(
    top: OwnedFd,
    at: Top,
    mut visit: impl FnMut(&Met<'_>, &Found) -> Result<(), E>,
) -> Result<(), E> {
    let is_given = |met: &Met<'_>| {
        os::open_folder_raw(met.dir, met.raw).is_ok_and(|dir| os::is_given(fd(&dir)))
    };
    let is_own =
        |met: &Met<'_>| (at == Top::Tree && met.is_own()) || (met.raw == OWN && is_given(met));
    let look = |met: &Met<'_>| {
        if met.kind != Kind::File {
            return Ok(met.kind == Kind::Folder && !is_own(met));
        }
        match os::stat_entry(met.dir, met.raw) {
            Ok(found) if found.kind == Kind::File => visit(met, &found).map(|()| false),
            Ok(_) | Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    };
    let is_passed_over = |e| {
        matches!(
            e,
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM
        )
    };
    through(top, look, is_passed_over)
}

/// Shows everything to `visit`, which says whether to go on below a folder. What goes away meanwhile is passed over; what may
/// not be read makes it fail.
pub(super) fn everything<E: From<Errno>>(
    top: OwnedFd,
    visit: impl FnMut(&Met<'_>) -> Result<bool, E>,
) -> Result<(), E> {
    through(top, visit, |e| {
        matches!(e, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
    })
}

fn through<E: From<Errno>>(
    top: OwnedFd,
    mut visit: impl FnMut(&Met<'_>) -> Result<bool, E>,
    is_passed_over: impl Fn(Errno) -> bool,
) -> Result<(), E> {
    let mut buffer = Vec::new();
    let mut levels = vec![Level {
        dir: top,
        name: CString::default(),
        folders: Vec::new(),
    }];
    visit_level(&mut levels, &mut buffer, &mut visit)?;
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.folders.pop() else {
            levels.pop();
            continue;
        };
        match os::open_folder_raw(fd(&level.dir), &name) {
            Ok(dir) => levels.push(Level {
                dir,
                name,
                folders: Vec::new(),
            }),
            Err(e) if is_passed_over(e) => continue,
            Err(e) => return Err(e.into()),
        }
        visit_level(&mut levels, &mut buffer, &mut visit)?;
    }
    Ok(())
}

/// Shows what is in the lowest folder, and notes the folders to go on in.
fn visit_level<E: From<Errno>>(
    levels: &mut [Level],
    buffer: &mut Vec<u8>,
    visit: &mut impl FnMut(&Met<'_>) -> Result<bool, E>,
) -> Result<(), E> {
    let Some(level) = levels.last() else {
        return Ok(());
    };
    let (dir, mut folders) = (fd(&level.dir), Vec::new());
    os::read_names(dir, buffer, usize::MAX, |raw, kind| {
        let kind = match kind.map_or_else(|| os::stat_entry(dir, raw).map(|found| found.kind), Ok) {
            Ok(kind) => kind,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        if visit(&Met {
            dir,
            raw,
            kind,
            above: levels,
        })? && kind == Kind::Folder
        {
            folders.push(raw.to_owned());
        }
        Ok::<_, E>(())
    })?;
    if let Some(level) = levels.last_mut() {
        level.folders = folders;
    }
    Ok(())
}
