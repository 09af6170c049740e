//! What locks and `If` headers name a file or folder by.

use crate::model::RelPath;
use std::sync::Arc;

/// The id of a tree and a path in it, in NFC: both Unicode spellings of a name are one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceId {
    /// The id of the tree: `home/ana`.
    pub root: Arc<str>,
    /// The path in NFC.
    pub path: RelPath,
}

impl ResourceId {
    /// Whether it is `other`, or lies below that.
    pub fn is_within(&self, other: &Self) -> bool {
        self.root == other.root && self.path.is_within(&other.path)
    }
}
