//! Which files and folders of a tree name overflow files: the whole tree is looked through, its own folders included, so that neither
//! versions, nor the trash, nor copies made beside the server lose their properties.

use super::inner_mounts::{InnerMount, InnerMounts};
use super::{REFERENCE, parse_reference};
use crate::model::Result;
use crate::storage::local::errors::map_errno;
use crate::storage::local::sys::{self, Errno, Lookup};
use crate::storage::local::walk;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// Shows each attribute in a tree that names an overflow file to `visit`: what carries it, as a path for people, and the name; returns
/// what is mounted in it. What may not be read makes it fail: it may name something.
pub(in crate::storage::local) fn references(
    root: BorrowedFd<'_>,
    mut visit: impl FnMut(&str, &str),
) -> Result<InnerMounts> {
    let mut mounts = InnerMounts::default();
    let doing = "look for what names overflow files";
    let top = sys::open_folder(root, "", Lookup::Full).map_err(|e| map_errno(doing, e))?;
    let stored = reference_at(root, c".").map_err(|e| map_errno(doing, e))?;
    if let Some(name) = stored.as_ref().and_then(|stored| parse_reference(stored)) {
        visit("", name);
    }
    let looked = walk::everything(top, |met| {
        // Files can be mounted, too.
        let id = is_there(sys::mounted_at(met.dir, met.raw))?.flatten();
        mounts.present.extend(id.map(|id| InnerMount {
            path: met.path(),
            id,
        }));
        let stored = reference_at(met.dir, met.raw)?;
        if let Some(name) = stored.as_ref().and_then(|stored| parse_reference(stored)) {
            let path = met.path();
            mounts.note_reference(&path);
            visit(&path, name);
        }
        // A file system keeps `lost+found` for itself, and from everybody but root, who must see what fsck has put there.
        let is_closed = met.is_at(&[c"lost+found"])
            && sys::open_folder_raw(met.dir, met.raw)
                .is_err_and(|e| matches!(e, Errno::ACCESS | Errno::PERM));
        Ok::<_, Errno>(
            !met.is_at(&[c".sarang", c"props"])
                && !met.is_at(&[c".sarang", c"thumbnails"])
                && !is_closed,
        )
    });
    looked.map_err(|e| map_errno(doing, e))?;
    Ok(mounts)
}

/// What a look has found; `None` for what has gone away meanwhile.
fn is_there<T>(outcome: sys::SysResult<T>) -> sys::SysResult<Option<T>> {
    match outcome {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// The attribute of a name, if it is as long as one that names an overflow file.
fn reference_at(dir: BorrowedFd<'_>, name: &CStr) -> sys::SysResult<Option<[u8; REFERENCE]>> {
    match sys::small_props_at(dir, name) {
        Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
        other => other,
    }
}
