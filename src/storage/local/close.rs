//! How a tree is closed: only when nobody uses it any more.

use super::LocalTree;
use super::root::TreeRoot;
use super::sys::fd;
use std::sync::Arc;

impl LocalTree {
    /// Whether nobody is using the tree but `holders` that hold it.
    pub fn is_idle(this: &Arc<Self>, holders: usize) -> bool {
        Arc::strong_count(this) == holders && Arc::strong_count(&this.root) == 1
    }

    /// Gives a tree up that nobody else holds or is using; else it is given back.
    pub fn close(this: Arc<Self>) -> Result<ClosedLocalTree, Arc<Self>> {
        let tree = Arc::try_unwrap(this)?;
        Arc::try_unwrap(tree.root)
            .map(ClosedLocalTree)
            .map_err(|root| Arc::new(Self { root }))
    }
}

/// A tree that was given up; its descriptors go with it, which may wait for the disk.
#[derive(Debug)]
#[must_use = "how much it holds is to be written down"]
pub struct ClosedLocalTree(TreeRoot);

impl ClosedLocalTree {
    /// Writes down what is known of it for the next time, and lets it go. Waits for the disk.
    pub fn save_usage(self) {
        self.0.usage.close(fd(&self.0.dir), &self.0.total_usage);
    }

    /// Whether it has overflow files of properties, all of them in use: the next who opens it need not look through it for others.
    pub fn is_swept(&self) -> bool {
        self.0.overflow.is_swept()
    }

    /// Bytes of its live files, if they were counted.
    pub fn used(&self) -> Option<u64> {
        self.0.usage.known()
    }
}
