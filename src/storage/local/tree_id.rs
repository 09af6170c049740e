//! What says which tree this is: an id in `.sarang/home`. Where it is missing, the folder is not the tree that was made there but,
//! say, the mount point of a disk that is gone.

use super::errors::map_errno;
use super::names;
use super::sys::{self, Errno, Lookup, fd};
use crate::model::{Error, Result};
use std::io::{IoSlice, Read as _};
use std::os::fd::BorrowedFd;

/// Where it lies, below the root.
const FILE: &str = ".sarang/home";
/// Where it is written first.
const FRESH: &str = ".sarang/home.new";
/// The most bytes that are read of it.
const LARGEST: u64 = 256;
const DOING: &str = "read which home this is";

/// The id of a tree; `None` when it has none.
pub(super) fn read(top: BorrowedFd<'_>) -> Result<Option<String>> {
    let file = match sys::open_read(top, FILE, Lookup::Full) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    let mut text = String::new();
    std::fs::File::from(file)
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|e| Error::io(DOING, e))?;
    Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty()))
}

/// The id of a tree, which gets one if it has none: durable when this returns, whatever the settings say.
pub(super) fn read_or_make(top: BorrowedFd<'_>) -> Result<String> {
    if let Some(id) = read(top)? {
        return Ok(id);
    }
    let id = names::random_name()?;
    let doing = "write which home this is";
    let failed = |e| map_errno(doing, e);
    match sys::unlink_file(top, FRESH) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(failed(e)),
    }
    let file = sys::create_file(top, FRESH).map_err(failed)?;
    sys::write_all(
        fd(&file),
        &mut [IoSlice::new(format!("{id}\n").as_bytes())],
        0,
    )
    .map_err(failed)?;
    sys::sync(fd(&file)).map_err(failed)?;
    sys::rename_over((top, FRESH), (top, FILE)).map_err(failed)?;
    // The folders are new, too, and the state is about to know them.
    for own in [".sarang/trash", ".sarang"] {
        sys::sync(fd(
            &sys::open_folder(top, own, Lookup::Full).map_err(failed)?
        ))
        .map_err(failed)?;
    }
    sys::sync(top).map_err(failed)?;
    Ok(id)
}
