//! The locks of one tree, as the engine that keeps its files reaches them in the step that changes it.

use super::Locks;
use super::pending_changes::PendingChanges;
use crate::model::Result;
use crate::storage::{LockScope, LocksSeen, ResourceId, TreeLocks};
use std::sync::{Arc, Weak};

/// The locks of one tree, and the changes that were checked against them and are not over.
#[derive(Debug)]
pub(super) struct LocksOfTree {
    locks: Arc<Locks>,
    pending: PendingChanges,
}

impl TreeLocks for LocksOfTree {
    fn begin(&self) -> u64 {
        self.pending.begin()
    }

    fn finish(&self, turn: u64) {
        self.pending.finish(turn);
    }

    fn look(&self, scopes: &[LockScope], named: &[ResourceId]) -> LocksSeen {
        self.locks.look_now(scopes, named)
    }

    fn end(&self, tokens: &[String]) {
        self.locks.end_in_step(tokens);
    }
}

impl Locks {
    /// The locks of the tree of this id, for its engine; the same ones for as long as somebody holds them.
    pub fn of_tree(self: &Arc<Self>, root: &str) -> Arc<dyn TreeLocks> {
        let mut trees = self.trees.lock();
        if let Some(known) = trees.get(root).and_then(Weak::upgrade) {
            return known;
        }
        trees.retain(|_, tree| tree.strong_count() > 0);
        let tree = Arc::new(LocksOfTree {
            locks: Arc::clone(self),
            pending: PendingChanges::default(),
        });
        trees.insert(root.into(), Arc::downgrade(&tree));
        tree
    }

    /// Waits until the changes of a tree that are checked by now are over; `Busy` when that takes too long.
    pub(super) async fn wait_for_changes(&self, root: &str) -> Result<()> {
        let tree = self.trees.lock().get(root).and_then(Weak::upgrade);
        match tree {
            Some(tree) => tree.pending.wait().await,
            None => Ok(()),
        }
    }
}
