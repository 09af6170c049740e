//! A look from outside whether a tree that is not open has anything to expire, so that only those are opened.

use super::LocalTree;
use super::change_log;
use super::errors::map_errno;
use super::history::YEAR;
use super::internal_dirs;
use super::internal_dirs::PROPS;
use super::sys::{self, Errno, fd};
use super::thumbnails::THUMBNAILS;
use crate::model::{Error, Result};
use crate::storage::history::Retention;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

const DOING: &str = "look what there is to expire";

impl LocalTree {
    /// Whether the tree below `dir` has a trash, versions, small pictures, a change log that is too long or, unless it `is_swept`, properties that
    /// nothing may name: something that may be due at `now`.
    pub fn has_expirable(
        dir: &Path,
        is_swept: bool,
        retention: Retention,
        now: SystemTime,
    ) -> Result<bool> {
        let Some(top) = open_top(dir)? else {
            return Ok(false);
        };
        for own in [".sarang/trash/info", ".sarang/versions", THUMBNAILS, PROPS] {
            if !(is_swept && own == PROPS) && has_entries(fd(&top), own)? {
                return Ok(true);
            }
        }
        change_log::needs_trim(fd(&top), retention.trash.unwrap_or(YEAR), now)
    }

    /// Whether uploads are laid aside in the tree below `dir`.
    pub fn has_uploads(dir: &Path) -> Result<bool> {
        let Some(top) = open_top(dir)? else {
            return Ok(false);
        };
        has_entries(fd(&top), ".sarang/uploads")
    }
}

fn open_top(dir: &Path) -> Result<Option<OwnedFd>> {
    match sys::open_root(dir) {
        Ok(top) => Ok(Some(top)),
        Err(Errno::NOENT) => Ok(None),
        Err(e @ (Errno::MFILE | Errno::NFILE)) => Err(map_errno(DOING, e)),
        Err(e) => Err(Error::io(DOING, e)),
    }
}

/// Whether there is a name in a folder; `false` where there is no folder.
fn has_entries(top: BorrowedFd<'_>, folder: &str) -> Result<bool> {
    let Some(dir) = internal_dirs::find(top, folder).map_err(|e| map_errno(DOING, e))? else {
        return Ok(false);
    };
    let mut any = false;
    let mut room = Vec::new();
    sys::read_dir(fd(&dir), &mut room, 1, |_, _| {
        any = true;
        Ok::<_, Errno>(())
    })
    .map_err(|e| map_errno(DOING, e))?;
    Ok(any)
}
