//! What must hold for a change to happen: data, and one pure rule over it. The rules are those of RFC 9110 section 13 (conditional
//! requests) and of RFC 4918 sections 7 (write locks), 10.4 (`If`) and 10.6 (`Overwrite`); every engine asks them here.

mod if_header;
#[cfg(test)]
mod tests;

use super::Node;
use super::etag::Etag;
use super::lock::{Lock, LockHolder, LockScope};
use super::lock_store::LocksSeen;
use super::resource_id::ResourceId;
use crate::model::time::unix_seconds;
use crate::model::{Error, RelPath, Result};
pub use if_header::{IfCondition, IfList, IfResource, IfTag, StateMatch};
use std::sync::Arc;

/// What a change must find at its target to happen: the conditions of RFC 9110 section 13.1, and `Overwrite` of RFC 4918 section 10.6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Anything, or nothing.
    #[default]
    Any,
    /// Nothing (If-None-Match: *); else `PreconditionFailed`.
    Absent,
    /// Something (If-Match: *); else `PreconditionFailed`.
    Exists,
    /// One of these tags (If-Match); else `PreconditionFailed`.
    Etag(Vec<String>),
    /// None of these tags (If-None-Match with tags); else `PreconditionFailed`.
    NotEtag(Vec<String>),
    /// Nothing that was modified after this second since 1970 (If-Unmodified-Since); else `PreconditionFailed`.
    UnmodifiedSince(i64),
}

impl Expect {
    /// Whether `present` (what stands at the target now) satisfies this; tags compare quoted and strongly.
    pub fn holds(&self, present: Option<&Node>) -> bool {
        let among =
            |tags: &[String]| present.is_some_and(|node| tags.contains(&node.etag.to_string()));
        match self {
            Self::Any => true,
            Self::Absent => present.is_none(),
            Self::Exists => present.is_some(),
            Self::Etag(tags) => among(tags),
            Self::NotEtag(tags) => !among(tags),
            Self::UnmodifiedSince(since) => {
                present.is_none_or(|node| unix_seconds(node.modified) <= *since)
            }
        }
    }
}

/// Under which conditions a change may happen.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// What must stand at the path that the change names first.
    pub expect: Expect,
    /// The lists of the `If` header; one of them must hold, unless there are none.
    pub if_lists: Vec<IfList<IfResource>>,
    /// The paths in the tree that changes whose entity tags the lists ask for: [`IfTag::Read`] says which by number.
    pub tagged: Vec<RelPath>,
    /// The places that the lists speak of, to be looked at for locks.
    pub named: Vec<ResourceId>,
    /// What the change takes hold of.
    pub scopes: Vec<LockScope>,
    /// The tokens submitted, in `If` or beside it; each lets its holder pass its lock.
    pub tokens: Vec<String>,
    /// Who asks; nobody holds no lock.
    pub holder: Option<LockHolder>,
    /// Whether a refusal must not say whose lock is in the way.
    pub hide_holder: bool,
}

/// What an engine has read in the step that makes the change, or somebody who asks beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What stands at the path that the change names first.
    pub present: Option<&'a Node>,
    /// The entity tags at [`Preconditions::tagged`], in that order; `None` where nothing is.
    pub tags: &'a [Option<Etag>],
    /// The locks near [`Preconditions::scopes`] and [`Preconditions::named`], and the time by which they end.
    pub locks: &'a LocksSeen,
    /// Whether nothing may change any more in this tree: its account is being removed.
    pub is_closed: bool,
}

impl Preconditions {
    /// That the change finds this.
    pub fn expecting(expect: Expect) -> Self {
        Self {
            expect,
            ..Self::default()
        }
    }

    /// Whether anything of it rests on locks.
    pub fn asks_for_locks(&self) -> bool {
        !(self.scopes.is_empty() && self.named.is_empty())
    }

    /// Whether the change may happen, given what was seen: `Forbidden` in a closed tree, `PreconditionFailed`, `Locked`. Pure, so that
    /// it may be asked early, in the step itself, and again by an engine that tries its step anew.
    pub fn check(&self, seen: &Seen<'_>) -> Result<()> {
        if seen.is_closed {
            return Err(Error::Forbidden("This account has been removed."));
        }
        if !self.expect.holds(seen.present) || !if_header::holds(&self.if_lists, seen) {
            return Err(Error::PreconditionFailed);
        }
        self.scopes
            .iter()
            .try_for_each(|scope| self.check_scope(scope, seen))
    }

    fn check_scope(&self, scope: &LockScope, seen: &Seen<'_>) -> Result<()> {
        if seen.locks.is_empty() {
            return Ok(());
        }
        let live = || {
            let now = seen.locks.now;
            seen.locks.near.iter().filter(move |lock| lock.is_live(now))
        };
        match scope {
            LockScope::Content(resource) => {
                self.check_group(live().filter(|lock| lock.covers(resource)))
            }
            LockScope::NewMember(_) if seen.present.is_some() => Ok(()),
            // A lock of any depth on a folder guards its members.
            LockScope::Members(resource) | LockScope::NewMember(resource) => {
                self.check_group(live().filter(|lock| lock.resource == *resource))
            }
            // Every locked thing there asks for its own token.
            LockScope::Subtree(resource) => {
                let below = live().filter(|lock| lock.resource.is_within(resource));
                let mut below: Vec<_> = below.collect();
                below.sort_by(|one, other| one.resource.path.cmp(&other.resource.path));
                below
                    .chunk_by(|one, other| one.resource == other.resource)
                    .try_for_each(|on_one| self.check_group(on_one.iter().copied()))
            }
        }
    }

    /// Locks on one thing let through who submits the token of one of them. The outermost is told of.
    fn check_group<'a>(&self, locks: impl Iterator<Item = &'a Arc<Lock>>) -> Result<()> {
        let mut in_the_way: Option<&Lock> = None;
        for lock in locks {
            let is_own = self
                .holder
                .as_ref()
                .is_some_and(|holder| lock.holder.is(holder));
            if is_own && self.tokens.contains(&lock.token) {
                return Ok(());
            }
            if in_the_way.is_none_or(|inner| inner.resource.is_within(&lock.resource)) {
                in_the_way = Some(lock);
            }
        }
        in_the_way.map_or(Ok(()), |lock| Err(self.locked_by(lock)))
    }

    fn locked_by(&self, lock: &Lock) -> Error {
        Error::Locked {
            holder: if self.hide_holder {
                SOMEBODY.into()
            } else {
                lock.holder.to_string()
            },
        }
    }
}

/// Whose lock it is, to those who must not know.
const SOMEBODY: &str = "somebody else";

/// A refusal that does not say whose lock is in the way.
pub fn without_holder(error: Error) -> Error {
    match error {
        Error::Locked { .. } => Error::Locked {
            holder: SOMEBODY.into(),
        },
        error => error,
    }
}
