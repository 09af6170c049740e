//! How a tree is closed: only when nobody uses it any more.

use super::LocalTree;
use super::os::fd;
use super::root::Root;
use std::sync::Arc;

impl LocalTree {
    /// Whether nobody is using the tree but `holders` that hold it.
    pub fn is_idle(this: &Arc<Self>, holders: usize) -> bool {
        Arc::strong_count(this) == holders && Arc::strong_count(&this.root) == 1
    }

    /// Gives a tree up that nobody else holds or is using; else it is given back.
    pub fn close(this: Arc<Self>) -> Result<Closed, Arc<Self>> {
        let tree = Arc::try_unwrap(this)?;
        Arc::try_unwrap(tree.root)
            .map(Closed)
            .map_err(|root| Arc::new(Self { root }))
    }
}

/// A tree that was given up; its descriptors go with it, which may wait for the disk.
#[derive(Debug)]
#[must_use = "how much it holds is to be written down"]
pub struct Closed(Root);

impl Closed {
    /// Writes down what is known of it for the next time, and lets it go. Waits for the disk.
    pub fn settle(self) {
        self.0.ledger.close(fd(&self.0.dir), &self.0.total);
    }

    /// Whether it has overflow files of properties, all of them in use: the next who opens it need not look through it for others.
    pub fn is_swept(&self) -> bool {
        self.0.overflow.is_swept()
    }

    /// Bytes of its live files, if they were counted.
    pub fn used(&self) -> Option<u64> {
        self.0.ledger.known()
    }
}
