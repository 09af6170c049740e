//! The folders that a tree keeps for itself.

use super::overflow::PROPS;
use super::root::map_errno;
use super::sys::{self, Errno, Lookup, fd};
use crate::model::{Error, Result};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// Where files are staged, below the root.
pub(super) const TMP: &str = ".sarang/tmp";
/// Where what was deleted lies.
pub(super) const TRASH_FILES: &str = ".sarang/trash/files";
/// Where that is described.
pub(super) const TRASH_INFO: &str = ".sarang/trash/info";
/// Where former contents lie.
pub(super) const VERSIONS: &str = ".sarang/versions";
/// Where unfinished uploads lie.
pub(super) const UPLOADS: &str = ".sarang/uploads";

/// All of them, those above before those below.
const OWN: [&str; 8] = [
    ".sarang",
    TMP,
    ".sarang/trash",
    TRASH_FILES,
    TRASH_INFO,
    VERSIONS,
    UPLOADS,
    PROPS,
];

/// Makes those that are missing.
pub(super) fn make(top: BorrowedFd<'_>) -> Result<()> {
    for own in OWN {
        match sys::make_folder(top, own) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(map_errno("make its own folders", e)),
        }
    }
    Ok(())
}

/// Opens one of them.
pub(super) fn open(top: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    sys::open_folder(top, path, Lookup::Full).map_err(failed)
}

/// Opens a folder; `None` where there is none.
pub(super) fn find(top: BorrowedFd<'_>, path: &str) -> sys::SysResult<Option<OwnedFd>> {
    match sys::open_folder(top, path, Lookup::Full) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// One of them that is opened when it is needed first: each descriptor is one for every home.
#[derive(Debug)]
pub(super) struct LazyDir {
    path: &'static str,
    dir: OnceLock<OwnedFd>,
}

impl LazyDir {
    pub const fn new(path: &'static str) -> Self {
        Self {
            path,
            dir: OnceLock::new(),
        }
    }

    pub fn open(&self, top: BorrowedFd<'_>) -> Result<BorrowedFd<'_>> {
        if let Some(dir) = self.dir.get() {
            return Ok(fd(dir));
        }
        let dir = open(top, self.path)?;
        Ok(fd(self.dir.get_or_init(|| dir)))
    }
}

/// What keeps a tree from being opened. Nothing that is missing may look like a tree that is not there.
pub(super) fn failed(errno: Errno) -> Error {
    let doing = "open the folder of files";
    match errno {
        Errno::MFILE | Errno::NFILE => map_errno(doing, errno),
        other => Error::io(doing, other),
    }
}
