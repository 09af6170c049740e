//! A tree under the name that records know it by.

use super::visitor_promise::VisitorPromises;
use crate::storage::Tree;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A tree and the name that records know it by (`home/ana`).
#[derive(Debug)]
pub struct NamedTree {
    /// Its name in records.
    pub id: Arc<str>,
    /// Its files.
    pub tree: Arc<dyn Tree>,
    /// Held by a move until the shares in the tree have followed it.
    pub(super) moving: Mutex<()>,
    /// What visitors of links into it were promised.
    pub(super) visitor_promises: Arc<VisitorPromises>,
}

impl NamedTree {
    /// A tree under its name.
    pub fn new(id: Arc<str>, tree: Arc<dyn Tree>) -> Self {
        Self {
            id,
            tree,
            moving: Mutex::default(),
            visitor_promises: Arc::default(),
        }
    }

    /// Lets nothing change any more, neither by requests that are under way nor by drives that are still held.
    pub fn close(&self) {
        self.tree.refuse_changes();
    }

    /// Whether nothing may change any more.
    pub fn is_closed(&self) -> bool {
        self.tree.refuses_changes()
    }
}
