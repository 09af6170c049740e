//! Every file in a folder and below it, whatever it is called, with one open folder a level and no recursion.

use super::sys::{self, Errno, FileKind, FileStat, fd};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

/// What a tree keeps for itself, at its top.
const OWN: &CStr = c".sarang";

/// Something that a walk has come to.
pub(super) struct WalkEntry<'w> {
    /// The folder it is in.
    pub dir: BorrowedFd<'w>,
    /// Its name there, which need not be text.
    pub raw: &'w CStr,
    /// What it is.
    pub kind: FileKind,
    above: &'w [WalkFolder],
}

impl WalkEntry<'_> {
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
    pub fn is_internal_dir(&self) -> bool {
        self.is_at(&[OWN])
    }

    /// Whether it is at this path, seen from where the walk began.
    pub fn is_at(&self, path: &[&CStr]) -> bool {
        let names = self.above.iter().skip(1).map(|level| level.name.as_c_str());
        names.chain([self.raw]).eq(path.iter().copied())
    }
}

/// The names in a folder that are text.
pub(super) fn names(dir: BorrowedFd<'_>) -> sys::SysResult<Vec<String>> {
    let mut names = Vec::new();
    let mut buffer = Vec::new();
    // A fresh descriptor, since reading moves the one shared with others.
    let dir = sys::open_folder(dir, "", sys::Lookup::Full)?;
    sys::read_dir(fd(&dir), &mut buffer, usize::MAX, |name, _| {
        names.extend(name.to_str().ok().map(str::to_owned));
        Ok::<_, Errno>(())
    })?;
    Ok(names)
}

struct WalkFolder {
    dir: OwnedFd,
    name: CString,
    folders: Vec<CString>,
}

/// Which part of a tree a walk begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WalkStart {
    /// At the tree itself: what it keeps for itself is left out.
    Tree,
    /// At a folder somewhere in it.
    Folder,
}

/// Shows every file of a tree to `visit`; not the history of a tree that was made a folder of another. What goes away meanwhile, or may not be read, is passed over.
pub(super) fn files<E: From<Errno>>(
    top: OwnedFd,
    at: WalkStart,
    mut visit: impl FnMut(&WalkEntry<'_>, &FileStat) -> Result<(), E>,
) -> Result<(), E> {
    let is_given = |met: &WalkEntry<'_>| {
        sys::open_folder_raw(met.dir, met.raw).is_ok_and(|dir| sys::is_adopted(fd(&dir)))
    };
    let is_own = |met: &WalkEntry<'_>| {
        (at == WalkStart::Tree && met.is_internal_dir()) || (met.raw == OWN && is_given(met))
    };
    let look = |met: &WalkEntry<'_>| {
        if met.kind != FileKind::File {
            return Ok(met.kind == FileKind::Folder && !is_own(met));
        }
        match sys::stat_entry(met.dir, met.raw) {
            Ok(found) if found.kind == FileKind::File => visit(met, &found).map(|()| false),
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
    through(top, look, |_, e| is_passed_over(e))
}

/// Shows everything to `visit`, which says whether to go on below a folder. What goes away meanwhile is passed over; what may
/// not be read makes it fail.
pub(super) fn everything<E: From<Errno>>(
    top: OwnedFd,
    visit: impl FnMut(&WalkEntry<'_>) -> Result<bool, E>,
) -> Result<(), E> {
    through(top, visit, |_, e| is_gone(e))
}

/// As [`everything`], but a folder that may not be read is shown to `denied` and passed over.
pub(super) fn everything_readable<E: From<Errno>>(
    top: OwnedFd,
    visit: impl FnMut(&WalkEntry<'_>) -> Result<bool, E>,
    mut denied: impl FnMut(&WalkEntry<'_>),
) -> Result<(), E> {
    through(top, visit, |met, e| {
        let is_denied = matches!(e, Errno::ACCESS | Errno::PERM);
        if is_denied {
            denied(met);
        }
        is_denied || is_gone(e)
    })
}

/// Whether a folder was removed or replaced since its name was read.
fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

fn through<E: From<Errno>>(
    top: OwnedFd,
    mut visit: impl FnMut(&WalkEntry<'_>) -> Result<bool, E>,
    mut is_passed_over: impl FnMut(&WalkEntry<'_>, Errno) -> bool,
) -> Result<(), E> {
    let mut buffer = Vec::new();
    let mut levels = vec![WalkFolder {
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
        let opened = sys::open_folder_raw(fd(&level.dir), &name);
        let Some(level) = levels.last() else { break };
        let met = WalkEntry {
            dir: fd(&level.dir),
            raw: &name,
            kind: FileKind::Folder,
            above: &levels,
        };
        match opened {
            Ok(dir) => levels.push(WalkFolder {
                dir,
                name,
                folders: Vec::new(),
            }),
            Err(e) if is_passed_over(&met, e) => continue,
            Err(e) => return Err(e.into()),
        }
        visit_level(&mut levels, &mut buffer, &mut visit)?;
    }
    Ok(())
}

/// Shows what is in the lowest folder, and notes the folders to go on in.
fn visit_level<E: From<Errno>>(
    levels: &mut [WalkFolder],
    buffer: &mut Vec<u8>,
    visit: &mut impl FnMut(&WalkEntry<'_>) -> Result<bool, E>,
) -> Result<(), E> {
    let Some(level) = levels.last() else {
        return Ok(());
    };
    let dir = fd(&level.dir);
    let mut folders = Vec::new();
    sys::read_dir(dir, buffer, usize::MAX, |raw, kind| {
        let kind = match kind.map_or_else(|| sys::stat_entry(dir, raw).map(|found| found.kind), Ok)
        {
            Ok(kind) => kind,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        if visit(&WalkEntry {
            dir,
            raw,
            kind,
            above: levels,
        })? && kind == FileKind::Folder
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
