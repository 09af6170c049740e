//! The folders that a tree keeps for itself.

use super::errors::map_errno;
use super::sys::{self, Errno, Lookup, fd};
use crate::model::{Error, Result};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// The folder that holds all others of the server's own, below the root.
pub(super) const OWN_DIR: &str = ".sarang";
/// Where files are staged.
pub(super) const TMP: &str = ".sarang/tmp";
/// Where what was deleted lies.
pub(super) const TRASH_FILES: &str = ".sarang/trash/files";
/// Where that is described.
pub(super) const TRASH_INFO: &str = ".sarang/trash/info";
/// Where former contents lie.
pub(super) const VERSIONS: &str = ".sarang/versions";
/// Where unfinished uploads lie.
pub(super) const UPLOADS: &str = ".sarang/uploads";

/// Where properties lie that are larger than an extended attribute may be.
pub(super) const PROPS: &str = ".sarang/props";

/// All of them, those above before those below.
const ALL: [&str; 8] = [
    OWN_DIR,
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
    for own in ALL {
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

/// Whether a path, below the root, is the server's own.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(OWN_DIR)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
