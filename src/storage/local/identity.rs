//! Which file or folder is at a path, as its meta says.

use super::errors::map_errno;
use super::file_meta::FileMeta;
use super::names::require_file_or_folder;
use super::root::TreeRoot;
use super::sys::{self, Errno, Lookup, fd};
use crate::model::{Error, RelPath, Result};
use crate::storage::{FileId, Node};
use std::sync::Arc;
use std::time::Duration;

const DOING: &str = "look which file it is";

/// What stands at a path, and which file or folder that is; `None` when looking would wait and `lookup` forbids it.
pub(super) fn identify(
    root: &Arc<TreeRoot>,
    path: &RelPath,
    lookup: Lookup,
) -> Result<Option<(Node, FileId)>> {
    let Some(opened) = root.open_path(path, lookup, sys::open_any)? else {
        return Ok(None);
    };
    let node =
        require_file_or_folder(sys::stat_fd(fd(&opened)).map_err(|e| map_errno(DOING, e))?)?.node;
    let id = match FileMeta::of_path_fd(fd(&opened)) {
        Ok(meta) => meta.id(&node),
        Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM) => FileId::derived(&node),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    Ok(Some((node, id)))
}

/// As [`identify`], and keeps the id with the file. Where the file system has no attributes, it lasts as long as the inode.
pub(super) fn persist_id(root: &TreeRoot, path: &RelPath) -> Result<(Node, FileId)> {
    let opened = root
        .open_path(path, Lookup::Full, sys::open_read)?
        .ok_or(Error::NotFound)?;
    let node =
        require_file_or_folder(sys::stat_fd(fd(&opened)).map_err(|e| map_errno(DOING, e))?)?.node;
    let meta = match FileMeta::of_file(fd(&opened)) {
        Ok(meta) => meta,
        Err(Errno::OPNOTSUPP) => return Ok((node.clone(), FileId::derived(&node))),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    let id = meta.id(&node);
    if meta.own_id(&node).is_none() {
        // A save that hands on what the meta says must not come in between.
        let _guard = root.lock_names();
        if root
            .stat(path, Lookup::Full)?
            .is_none_or(|now| now.inode() != node.inode())
        {
            return Err(Error::Busy {
                retry_after: Duration::from_secs(1),
            });
        }
        let kept = meta
            .with_digest(meta.digest(&node).as_ref(), &node)
            .store(fd(&opened));
        kept.map_err(|e| map_errno("keep the id of the file", e))?;
    }
    root.sync_if_strict(fd(&opened))?;
    Ok((node, id))
}
