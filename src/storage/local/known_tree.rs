//! Opens a tree only where it is the one that is meant: by its id.

use super::root::TreeRoot;
use super::sys::{self, Errno, fd};
use super::{LocalSettings, LocalTree, tree_id};
use crate::model::{Error, Result};
use std::path::Path;
use std::sync::Arc;

impl LocalTree {
    /// As [`open`](Self::open), of the tree with this id; `None` when it is not there, and then nothing is made. `was_swept` is
    /// what [`ClosedLocalTree::is_swept`](super::close::ClosedLocalTree::is_swept) said.
    pub fn open_known(
        dir: &Path,
        id: &str,
        was_swept: bool,
        settings: LocalSettings,
    ) -> Result<Option<Arc<Self>>> {
        let Some(root) = TreeRoot::open_known(dir, id, settings)? else {
            return Ok(None);
        };
        if was_swept {
            root.overflow.note_swept();
        }
        Self::recover(root).map(Some)
    }

    /// The id that tells this tree from what may come into its place; made if it has none.
    pub fn id(&self) -> Result<String> {
        tree_id::read_or_make(fd(&self.root.dir))
    }

    /// The id of the tree below `dir`; `None` when there is none, or no folder.
    pub fn id_at(dir: &Path) -> Result<Option<String>> {
        match sys::open_root(dir) {
            Ok(top) => tree_id::read(fd(&top)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(Error::io("read which home this is", e)),
        }
    }
}
