//! The step in which a change is checked and made: under the lock of names, and with the locks near it held as they were seen.

use super::root::TreeRoot;
use super::sys::Lookup;
use crate::model::{Error, Result};
use crate::storage::{
    Changed, Etag, LockStep, LocksSeen, Node, Preconditions, Seen, TreeLocks, WriteOptions,
};
use std::sync::Arc;
use std::time::Instant;

/// A change that may happen now. Until this is dropped nobody is granted a lock in its way.
#[derive(Debug)]
pub(super) struct CheckedStep<'a> {
    met: Option<Node>,
    locks: Option<LockStep<'a>>,
}

impl TreeRoot {
    /// Checks the preconditions of a change, given what stands at the path that it names first; called under the lock of names, which is
    /// held until the change is made.
    pub fn check_step(
        &self,
        commit: &WriteOptions,
        present: Option<&Node>,
    ) -> Result<CheckedStep<'_>> {
        let none = LocksSeen::none(Instant::now());
        let preconditions = commit.preconditions.as_deref();
        let tags = preconditions.map_or(Ok(Vec::new()), |asked| self.tags_of(asked))?;
        let asking = preconditions.filter(|preconditions| preconditions.asks_for_locks());
        let locks = self
            .locks
            .get()
            .zip(asking)
            .map(|(locks, asked)| LockStep::begin(locks.as_ref(), &asked.scopes, &asked.named));
        commit.check(&Seen {
            present,
            tags: &tags,
            locks: locks.as_ref().map_or(&none, LockStep::seen),
            is_closed: self.refuses_changes(),
        })?;
        Ok(CheckedStep {
            met: present.cloned(),
            locks,
        })
    }

    /// The tags that `If` asks for.
    fn tags_of(&self, preconditions: &Preconditions) -> Result<Vec<Option<Etag>>> {
        let tag = |path| match self.stat(path, Lookup::Full) {
            Ok(found) => Ok(found.map(|node| node.etag)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
        preconditions.tagged.iter().map(tag).collect()
    }

    /// Lets changes be checked against these locks; once, when the tree is opened.
    pub fn set_locks(&self, locks: Arc<dyn TreeLocks>) {
        let _ = self.locks.set(locks);
    }
}

impl CheckedStep<'_> {
    /// The outcome once the change is made: what stood in the place of what is new, and which locks have ended with what went away.
    pub fn made(self, replaced: Option<Node>) -> Changed {
        let ended = self.locks.map_or_else(Vec::new, LockStep::end_subtrees);
        Changed {
            met: self.met,
            replaced,
            ended,
        }
    }

    /// The tokens of the locks that end with what is on its way out of the tree, once it is gone.
    pub fn pending(self) -> Vec<String> {
        self.locks.map_or_else(Vec::new, LockStep::into_subtrees)
    }

    /// As [`made`](Self::made), for a change by which nothing went away: no lock ends.
    pub fn made_beside(mut self, replaced: Option<Node>) -> Changed {
        self.locks = None;
        self.made(replaced)
    }
}
