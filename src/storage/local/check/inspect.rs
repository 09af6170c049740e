//! What stands at one path of a tree that is not open, for checks of what is bound to it.

use super::DOING;
use crate::model::{RelPath, Result};
use crate::storage::local::errors::map_errno;
use crate::storage::local::file_meta::FileMeta;
use crate::storage::local::file_meta::TreeLocation;
use crate::storage::local::internal_dirs::PROPS;
use crate::storage::local::names::resolve_name;
use crate::storage::local::overflow;
use crate::storage::local::props as stored;
use crate::storage::local::relocated;
use crate::storage::local::sys::{self, Errno, FileKind, Lookup, fd};
use crate::storage::{DeadProp, FileId, Node};
use std::path::Path;

/// What stands at a path in the tree below `dir`, which file or folder that is, and its properties; `None` for nothing.
pub fn inspect(dir: &Path, path: &RelPath) -> Result<Option<(Node, FileId, Vec<DeadProp>)>> {
    let mut at = match sys::open_root(dir) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(map_errno(DOING, e)),
    };
    let lies = relocated::locate(fd(&at))
        .map_err(|e| map_errno(DOING, e))?
        .unwrap_or(TreeLocation::Unmoved);
    for name in path.names() {
        let (spelled, found) = resolve_name(fd(&at), name)?;
        if found.is_none_or(|found| found.kind == FileKind::Other) {
            return Ok(None);
        }
        match sys::open_read(fd(&at), &spelled, Lookup::Full) {
            Ok(opened) => at = opened,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {
                return Ok(None);
            }
            Err(e) => return Err(map_errno(DOING, e)),
        }
    }
    let found = sys::stat_fd(fd(&at)).map_err(|e| map_errno(DOING, e))?;
    let props = sys::props_fd(fd(&at)).map_err(|e| map_errno(DOING, e))?;
    let folder = sys::open_root(&dir.join(PROPS)).ok();
    let load = |name: &str| overflow::load(fd(folder.as_ref().unwrap_or(&at)), name);
    let props = stored::decode_by(load, props.as_deref());
    let meta = FileMeta::of_file(fd(&at)).unwrap_or_default();
    let id = meta.id_where(lies, &found.node);
    Ok(Some((found.node, id, props.unwrap_or_default())))
}
