//! Where locks are kept: the seam beside the tree. Expiry, owners and tokens are the store's; whether a lock stands in the way of a
//! change is said by [`Preconditions::check`](super::Preconditions::check) alone, over what a look has seen.

use super::lock::{Lock, LockHolder, LockRequest, LockScope};
use super::resource_id::ResourceId;
use crate::model::Result;
use async_trait::async_trait;
use futures_util::future::{BoxFuture, Either, Ready};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The locks near some places at one moment. It is data: what is granted or ended later does not show in it.
#[derive(Clone, Debug)]
pub struct LocksSeen {
    /// The locks that count: those on the places asked for, those that cover them, and of subtrees those below them; each once.
    pub near: Vec<Arc<Lock>>,
    /// The tokens of all locks in the subtrees asked for, whether they count or not: these end when the subtree goes away.
    pub within: Vec<String>,
    /// The moment, on the clock by which locks end: the store's own.
    pub now: Instant,
}

impl LocksSeen {
    /// No lock at all.
    pub fn none(now: Instant) -> Self {
        Self {
            near: Vec::new(),
            within: Vec::new(),
            now,
        }
    }

    /// Whether no lock counts.
    pub fn is_empty(&self) -> bool {
        self.near.is_empty()
    }

    /// The locks that cover a place, which must be one of those asked for.
    pub fn covering(&self, resource: &ResourceId) -> impl Iterator<Item = &Arc<Lock>> {
        self.near.iter().filter(|lock| lock.covers(resource))
    }
}

/// What a look answers: at once from memory, or later.
pub type LockLook<'a> = Either<Ready<Result<LocksSeen>>, BoxFuture<'a, Result<LocksSeen>>>;

/// The locks of all trees. Places are told apart in NFC. A lock counts until it ends, by the store's own clock, which nobody sets, and
/// only while its holder may still change what it is on. All that is answered with `Ok` is known to every handle of the store.
#[async_trait]
pub trait LockStore: Debug + Send + Sync {
    /// Grants a lock, durably. It counts for every change that is checked after it, and is answered once the changes of that tree that
    /// were checked before it are over: `Busy` when those take too long, and then nothing is granted. `Locked` when another stands in
    /// its way: exclusive, or asked for as exclusive; on what holds it with depth infinity, or below it if it is deep itself.
    /// `LimitReached` at the most locks for a holder or place.
    async fn grant(
        &self,
        resource: ResourceId,
        holder: &LockHolder,
        request: LockRequest,
    ) -> Result<Arc<Lock>>;
    /// Prolongs a lock that covers `resource`. `PreconditionFailed` when there is none such of `holder`. After a power cut the lock may
    /// end at its former time.
    async fn refresh(
        &self,
        resource: &ResourceId,
        holder: &LockHolder,
        token: &str,
        timeout: Option<Duration>,
    ) -> Result<Arc<Lock>>;
    /// Ends a lock that covers `resource`. `NoSuchLock`, and `Forbidden` when it is somebody else's. After a power cut the lock may be
    /// there again, for the rest of its time.
    async fn release(&self, resource: &ResourceId, holder: &LockHolder, token: &str) -> Result<()>;
    /// Ends these locks, whoever holds them, durably; what is not there is passed over. Also for those that a tree has ended in its step.
    async fn end(&self, tokens: &[String]) -> Result<()>;
    /// All locks on `resource` and below it, or everywhere, by place, whether they count or not.
    async fn list(&self, within: Option<&ResourceId>) -> Result<Vec<Arc<Lock>>>;
    /// One look at all that a request needs to know: what stands in the way of these scopes, and the locks that cover what is `named`.
    fn look<'a>(&'a self, scopes: &'a [LockScope], named: &'a [ResourceId]) -> LockLook<'a>;
}

/// The locks of one tree as its engine reaches them in the step that changes it, where names and locks are not kept in one place. It
/// never waits. An engine that keeps both reads and ends the rows of locks in its own transaction instead.
pub trait TreeLocks: Debug + Send + Sync {
    /// Notes that the locks are looked at for a change: who is granted one from now on waits for [`finish`](Self::finish).
    fn begin(&self) -> u64;
    /// Says that the change of this number is made, or was not.
    fn finish(&self, turn: u64);
    /// As [`LockStore::look`].
    fn look(&self, scopes: &[LockScope], named: &[ResourceId]) -> LocksSeen;
    /// Ends these locks at once, for all who look from now on. [`LockStore::end`] makes that durable.
    fn end(&self, tokens: &[String]);
}

/// The locks of a tree while a change is checked and made, until it is dropped.
#[derive(Debug)]
pub struct LockStep<'a> {
    locks: &'a dyn TreeLocks,
    turn: u64,
    seen: LocksSeen,
}

impl<'a> LockStep<'a> {
    /// Looks at what a change takes hold of.
    pub fn begin(locks: &'a dyn TreeLocks, scopes: &[LockScope], named: &[ResourceId]) -> Self {
        let turn = locks.begin();
        let seen = locks.look(scopes, named);
        Self { locks, turn, seen }
    }

    /// What was seen.
    pub fn seen(&self) -> &LocksSeen {
        &self.seen
    }

    /// Ends the locks that were seen in subtrees, once these are gone, and none that was granted since; returns their tokens.
    pub fn end_subtrees(mut self) -> Vec<String> {
        let ended = std::mem::take(&mut self.seen.within);
        if !ended.is_empty() {
            self.locks.end(&ended);
        }
        ended
    }

    /// The tokens of the locks that were seen in subtrees.
    pub fn into_subtrees(mut self) -> Vec<String> {
        std::mem::take(&mut self.seen.within)
    }
}

impl Drop for LockStep<'_> {
    fn drop(&mut self) {
        self.locks.finish(self.turn);
    }
}
