//! What a change has done, for whoever asked for it.

use super::Node;
use crate::model::RelPath;

/// What a change met, replaced and ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// What stood at the path that the call names first, when the change was checked.
    pub met: Option<Node>,
    /// What stood in the place of what is new: it made way, or, for a folder that a shallow copy came onto, is kept.
    pub replaced: Option<Node>,
    /// The tokens of the locks that have ended with what went away; none that was granted since on something new of the same name.
    pub ended: Vec<String>,
}

impl Changed {
    /// Whether nothing stood there before.
    pub fn created(&self) -> bool {
        self.replaced.is_none()
    }
}

/// What has become of what was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// What it is called in the trash.
    pub id: String,
    /// What the change met and ended.
    pub changed: Changed,
}

/// What was taken out of sight, for a move into another tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDelete {
    /// Where it can be read meanwhile.
    pub path: RelPath,
    /// What it is.
    pub node: Node,
    /// The tokens of the locks that stood on it and below: they end, by [`LockStore::end`](super::LockStore::end), once it is in the trash,
    /// and are still there if it is put back.
    pub locks: Vec<String>,
}
