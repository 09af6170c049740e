//! A tree under the name that records know it by.

use super::pending_changes::PendingChanges;
use crate::storage::Tree;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A tree and the name that records know it by (`home/ana`).
#[derive(Debug)]
pub struct NamedTree {
    /// Its name in records.
    pub id: Arc<str>,
    /// Its files.
    pub tree: Arc<dyn Tree>,
    closed: AtomicBool,
    /// The changes that are checked and not over.
    pub(super) pending_changes: PendingChanges,
}

impl NamedTree {
    /// A tree under its name.
    pub fn new(id: Arc<str>, tree: Arc<dyn Tree>) -> Self {
        Self {
            id,
            tree,
            closed: AtomicBool::new(false),
            pending_changes: PendingChanges::default(),
        }
    }

    /// Lets nothing change any more, neither by requests that are under way nor by drives that are still held.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether nothing may change any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
