//! What a copy is made of: contents, properties, and every name, also those that no drive shows. What somebody has put into a folder
//! beside the server is in its copy as it is in the folder.

use super::errors::map_errno;
use super::internal_dirs;
use super::names::visible_name;
use super::reservation::LocalReservation;
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, InheritedAccess, Lookup, fd};
use super::usage_counter::UsageDelta;
use super::{file_meta, props};
use crate::model::path::PathBudget;
use crate::model::{AccessCheck, Error, RelPath, Result};
use crate::storage::{Unshown, WriteOptions, next_unique_mtime};
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

const DOING: &str = "copy it";

/// A copy being filled.
pub(super) struct ContentCopier<'a> {
    from: &'a TreeRoot,
    to: &'a TreeRoot,
    /// Asked before each file and folder whether to go on.
    access: &'a dyn AccessCheck,
    /// Whether each overflow file is put on the disk by itself; else all is, at the end.
    is_synced: bool,
    /// What the folder hands on that the copy comes to lie in.
    heritage: InheritedAccess,
    /// Bytes copied so far, and the room for them.
    reserved: RefCell<(u64, LocalReservation)>,
}

/// A folder whose files are copied and whose folders wait.
struct ContentCopyLevel {
    from: OwnedFd,
    to: OwnedFd,
    path: String,
    /// How much longer paths may get below it; `None` where none leads there.
    left: Option<PathBudget>,
    folders: Vec<CString>,
}

impl<'a> ContentCopier<'a> {
    /// Of what lies in the tree `from`, in the folder `into` of the tree `to`.
    pub fn new(
        (from, to, into): (&'a TreeRoot, &'a TreeRoot, BorrowedFd<'_>),
        is_synced: bool,
        reservation: LocalReservation,
        access: &'a dyn AccessCheck,
    ) -> Result<Self> {
        let heritage = InheritedAccess::of(into).map_err(failed)?;
        Ok(Self {
            from,
            to,
            access,
            is_synced,
            heritage,
            reserved: RefCell::new((0, reservation)),
        })
    }

    /// Bytes copied so far.
    pub fn bytes(&self) -> u64 {
        self.reserved.borrow().0
    }

    /// Bytes copied, and the room that was made for them.
    pub fn reserved(&mut self) -> &mut (u64, LocalReservation) {
        self.reserved.get_mut()
    }

    /// Makes room for so many bytes more.
    fn reserve(&self, more: u64) -> Result<()> {
        let (bytes, reservation) = &mut *self.reserved.borrow_mut();
        *bytes = bytes.saturating_add(more);
        reservation.grow(*bytes)
    }

    /// Copies properties. Those that do not go into an attribute take room of their own.
    fn copy_props(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
        let promise = |bytes| {
            let mut beside = self.reserved.borrow().1.same_limit();
            beside.grow(bytes).map(|()| Some(beside))
        };
        props::copy((self.from, from), (self.to, to), self.is_synced, &promise)
    }

    /// Copies an open file.
    pub fn copy_file(
        &self,
        from: BorrowedFd<'_>,
        dir: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<OwnedFd> {
        let node = sys::stat_fd(from).map_err(failed)?.node;
        self.access.check()?;
        self.reserve(node.len)?;
        let made = sys::create_file_raw(dir, name).map_err(failed)?;
        let [file_mode, _] = self.to.settings.modes;
        self.heritage
            .apply_to_file(fd(&made), file_mode)
            .map_err(failed)?;
        self.to.copy_into(fd(&made), from, node.len, self.access)?;
        self.copy_props(from, fd(&made))?;
        sys::set_modified(fd(&made), next_unique_mtime(node.modified)?).map_err(failed)?;
        let copy = sys::stat_fd(fd(&made)).map_err(failed)?.node;
        // What another program changed meanwhile has no known hash.
        let is_unchanged = sys::stat_fd(from).is_ok_and(|now| now.node.etag == node.etag);
        let digest = file_meta::digest_of(from, &node).filter(|_| is_unchanged);
        file_meta::assign_new_id(fd(&made), digest.as_ref(), &copy)?;
        Ok(made)
    }

    /// Makes an empty folder with the properties of another.
    pub fn create_folder(
        &self,
        from: BorrowedFd<'_>,
        dir: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<OwnedFd> {
        self.access.check()?;
        sys::make_folder_raw(dir, name).map_err(failed)?;
        let made = sys::open_folder_raw(dir, name).map_err(failed)?;
        let [_, folder_mode] = self.to.settings.modes;
        self.heritage
            .apply_to_folder(fd(&made), folder_mode)
            .map_err(failed)?;
        self.copy_props(from, fd(&made))?;
        Ok(made)
    }

    /// Copies all below `from`, with two open folders a level and no recursion; refused where paths below get longer than what is `left`.
    pub fn copy_below(&self, from: BorrowedFd<'_>, to: OwnedFd, left: PathBudget) -> Result<()> {
        let again = sys::open_folder(from, "", Lookup::Full).map_err(failed)?;
        self.descend(self.copy_level((again, to), String::new(), Some(left), |_, _| true)?)
    }

    /// Copies what lies in a folder, and all below that, but is not shown there.
    pub fn copy_unshown(&self, from: OwnedFd, to: OwnedFd, path: &str) -> Result<()> {
        self.descend(
            self.copy_level((from, to), path.to_owned(), None, |name, kind| {
                is_unshown(path, name, kind)
            })?,
        )
    }

    fn descend(&self, top: ContentCopyLevel) -> Result<()> {
        let mut levels = vec![top];
        while let Some(mut level) = levels.pop() {
            let Some(name) = level.folders.pop() else {
                continue;
            };
            let below = match sys::open_folder_raw(fd(&level.from), &name) {
                Ok(from) => {
                    let to = self.create_folder(fd(&from), fd(&level.to), &name)?;
                    let left = level
                        .left
                        .and_then(|left| left.below(visible_name(&name)?).ok());
                    Some(self.copy_level(
                        (from, to),
                        joined(&level.path, &name),
                        left,
                        |_, _| true,
                    )?)
                }
                Err(Errno::NOENT) => None,
                Err(e) => return Err(failed(e)),
            };
            levels.push(level);
            levels.extend(below);
        }
        Ok(())
    }

    /// Copies what is in a folder and `is_wanted`, but for its folders.
    fn copy_level(
        &self,
        (from, to): (OwnedFd, OwnedFd),
        path: String,
        left: Option<PathBudget>,
        is_wanted: impl Fn(&CStr, FileKind) -> bool,
    ) -> Result<ContentCopyLevel> {
        let mut folders = Vec::new();
        for (name, kind) in entries(fd(&from))? {
            if !is_wanted(&name, kind) {
                continue;
            }
            if let (Some(left), Some(name), true) =
                (left, visible_name(&name), kind != FileKind::Other)
            {
                left.below(name)?;
            }
            match kind {
                FileKind::Folder => folders.push(name),
                FileKind::File => self.copy_member(fd(&from), fd(&to), &name)?,
                FileKind::Other => copy_other(fd(&from), fd(&to), &name, &path)?,
            }
        }
        Ok(ContentCopyLevel {
            from,
            to,
            path,
            left,
            folders,
        })
    }

    fn copy_member(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        match sys::open_read_raw(from, name) {
            Ok(source) => self.copy_file(fd(&source), to, name).map(drop),
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(failed(e)),
        }
    }
}

/// What lies in a folder and is not shown there.
#[derive(Debug)]
struct UnshownSource {
    root: Arc<TreeRoot>,
    path: RelPath,
}

/// What lies in a folder and is not shown there; `None` when there is nothing.
pub(super) fn find_unshown(root: &Arc<TreeRoot>, path: &RelPath) -> Result<Option<Unshown>> {
    let dir = root
        .open_path(path, Lookup::Full, sys::open_folder)?
        .ok_or(Error::NotFound)?;
    let is_any = entries(fd(&dir))?
        .iter()
        .any(|(name, kind)| is_unshown(path.as_str(), name, *kind));
    Ok(is_any.then(|| {
        Unshown(Arc::new(UnshownSource {
            root: Arc::clone(root),
            path: path.clone(),
        }))
    }))
}

/// Copies what is not shown in a folder into one that nobody sees yet.
pub(super) fn copy_unshown(
    root: &Arc<TreeRoot>,
    from: Unshown,
    to: &RelPath,
    commit: &WriteOptions,
) -> Result<()> {
    let hidden = from
        .0
        .downcast::<UnshownSource>()
        .map_err(|_| Error::Unsupported)?;
    let source = hidden
        .root
        .open_path(&hidden.path, Lookup::Full, sys::open_folder)?
        .ok_or(Error::NotFound)?;
    let target = root
        .open_path(to, Lookup::Full, sys::open_folder)?
        .ok_or(Error::NotFound)?;
    let reservation = LocalReservation::new(root, commit.limit, 0);
    // Opened before anything is written: syncfs(2) tells each open file of a write error once, and of those since it was opened.
    let witness = sys::open_folder(fd(&target), "", Lookup::Full).map_err(failed)?;
    let mut fill = ContentCopier::new(
        (&hidden.root, root, fd(&target)),
        false,
        reservation,
        commit.access(),
    )?;
    fill.copy_unshown(source, target, hidden.path.as_str())?;
    if root.is_strict() {
        // The source goes away next. One wait for all that lies in this folder instead of one a file.
        sys::sync_all(fd(&witness)).map_err(|e| Error::io("write to the disk", e))?;
    }
    let (new, reservation) = fill.reserved();
    let growth = UsageDelta {
        added: *new,
        removed: 0,
    };
    reservation.apply_upload(growth, None);
    Ok(())
}

/// Whether a name in the folder at `path` of a tree is there and not shown. The tree's own folder is not there.
pub(super) fn is_unshown(path: &str, name: &CStr, kind: FileKind) -> bool {
    let is_own = path.is_empty() && name.to_bytes() == internal_dirs::OWN_DIR.as_bytes();
    !is_own && (kind == FileKind::Other || visible_name(name).is_none())
}

/// All that is in a folder.
pub(super) fn entries(dir: BorrowedFd<'_>) -> Result<Vec<(CString, FileKind)>> {
    let mut entries = Vec::new();
    let mut buffer = Vec::new();
    // A fresh descriptor, since reading moves the one shared with others.
    let again = sys::open_folder(dir, "", Lookup::Full).map_err(failed)?;
    let read = sys::read_dir(fd(&again), &mut buffer, usize::MAX, |name, kind| {
        match kind.map_or_else(|| sys::stat_entry(dir, name).map(|found| found.kind), Ok) {
            Ok(kind) => entries.push((name.to_owned(), kind)),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e),
        }
        Ok::<_, Errno>(())
    });
    read.map_err(failed)?;
    Ok(entries)
}

fn copy_other(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, path: &str) -> Result<()> {
    match sys::copy_other(from, to, name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => Err(Error::NotCopied(format!(
            "{:?} is neither a file nor a folder and cannot be copied: nothing was. Whoever runs the server can take it away.",
            joined(path, name)
        ))),
        Err(e) => Err(failed(e)),
    }
}

fn joined(path: &str, name: &CStr) -> String {
    if path.is_empty() {
        name.to_string_lossy().into_owned()
    } else {
        format!("{path}/{}", name.to_string_lossy())
    }
}

fn failed(errno: Errno) -> Error {
    map_errno(DOING, errno)
}
