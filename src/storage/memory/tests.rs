//! The contract suites on the engine in memory.

use super::MemoryTree;
use crate::storage::Tree;
use crate::storage::step_contract::TestLocks;
use std::sync::Arc;

/// Two handles on one tree.
fn make() -> ([Arc<dyn Tree>; 2], ()) {
    handles_on(MemoryTree::new(None))
}

fn make_under(locks: Arc<TestLocks>) -> ([Arc<dyn Tree>; 2], ()) {
    handles_on(MemoryTree::new(Some(locks)))
}

fn handles_on(tree: MemoryTree) -> ([Arc<dyn Tree>; 2], ()) {
    ([Arc::new(tree.clone()), Arc::new(tree)], ())
}

crate::storage::contract::contract!(make);
crate::storage::step_contract::step_contract!(make_under);
