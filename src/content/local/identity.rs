//! Which file or folder is at a path, as its label says.

use super::label::Label;
use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, existing, explain};
use crate::content::{FileId, Node};
use crate::model::{Error, RelPath, Result};
use std::sync::Arc;
use std::time::Duration;

const DOING: &str = "look which file it is";

/// What stands at a path, and which file or folder that is; `None` when looking would wait and `lookup` forbids it.
pub(super) fn of(
    root: &Arc<Root>,
    path: &RelPath,
    lookup: Lookup,
) -> Result<Option<(Node, FileId)>> {
    let Some(opened) = root.look(path, lookup, os::open_any)? else {
        return Ok(None);
    };
    let node = existing(os::stat_fd(fd(&opened)).map_err(|e| explain(DOING, e))?)?.node;
    let id = match Label::of_looked_at(fd(&opened)) {
        Ok(label) => label.id(&node),
        Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM) => FileId::derived(&node),
        Err(e) => return Err(explain(DOING, e)),
    };
    Ok(Some((node, id)))
}

/// As [`of`], and keeps the id with the file. Where the file system has no attributes, it lasts as long as the inode.
pub(super) fn keep(root: &Root, path: &RelPath) -> Result<(Node, FileId)> {
    let opened = root
        .look(path, Lookup::Full, os::open_read)?
        .ok_or(Error::NotFound)?;
    let node = existing(os::stat_fd(fd(&opened)).map_err(|e| explain(DOING, e))?)?.node;
    let label = match Label::of_file(fd(&opened)) {
        Ok(label) => label,
        Err(Errno::OPNOTSUPP) => return Ok((node.clone(), FileId::derived(&node))),
        Err(e) => return Err(explain(DOING, e)),
    };
    let id = label.id(&node);
    if label.own_id(&node).is_none() {
        // A save that hands on what the label says must not come in between.
        let _guard = root.guard();
        if root
            .stat(path, Lookup::Full)?
            .is_none_or(|now| now.inode() != node.inode())
        {
            return Err(Error::Busy {
                retry_after: Duration::from_secs(1),
            });
        }
        let kept = label
            .with_digest(label.digest(&node).as_ref(), &node)
            .store(fd(&opened));
        kept.map_err(|e| explain("keep the id of the file", e))?;
    }
    root.settle(fd(&opened))?;
    Ok((node, id))
}
