//! The conditions of one request: what it expects to find and the lock tokens it submits (RFC 4918 section 10.4, RFC 9110 section 13).

use super::locks::{LockHolder, LocksGuard};
use super::resource_id::ResourceId;
use crate::model::{Error, Result, VPath};
use crate::storage::{Etag, Expect, Node};
use std::time::Instant;

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// If-Match and If-None-Match, checked on the resource the request names.
    pub expect: Expect,
    /// The lists of the `If` header; one of them must hold, unless there are none.
    pub if_lists: Vec<IfList>,
    /// Lock tokens that came in `Lock-Token`, as Word 2016 sends them with PUT: submitted as those of `If` are, but no condition.
    pub lock_tokens: Vec<String>,
    /// Whether the change need not be durable when it is made: it is one of many that are waited for together.
    pub is_synced_later: bool,
    /// Whether what moves is known to fit where it goes, as [`WriteOptions::skip_depth_check`](crate::storage::WriteOptions::skip_depth_check) says.
    pub fits: bool,
}

/// One list of an `If` header: all its conditions must hold on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfList {
    /// The resource that it speaks of.
    pub resource: ResourceTag,
    /// The conditions.
    pub conditions: Vec<IfCondition>,
}

/// What an `If` list speaks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceTag {
    /// The resource that the request names (an untagged list).
    Request,
    /// A resource of this drive.
    Path(VPath),
    /// Something elsewhere, of which no state is known.
    Elsewhere,
}

/// One condition of an `If` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfCondition {
    /// Whether it is negated.
    pub not: bool,
    /// What must be so.
    pub state: StateMatch,
}

/// A state that a resource may be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateMatch {
    /// A lock with this token covers it.
    Token(String),
    /// Its entity tag is this, quoted.
    Etag(String),
}

impl Preconditions {
    /// Whether the request sets no condition and submits no token.
    pub fn is_empty(&self) -> bool {
        self.expect == Expect::Any && self.if_lists.is_empty() && self.lock_tokens.is_empty()
    }

    /// Every lock token the request submits.
    pub fn submitted_tokens(&self) -> impl Iterator<Item = &str> {
        let in_lists = self
            .if_lists
            .iter()
            .flat_map(|list| &list.conditions)
            .filter_map(|c| match &c.state {
                StateMatch::Token(token) => Some(token.as_str()),
                StateMatch::Etag(_) => None,
            });
        self.lock_tokens.iter().map(String::as_str).chain(in_lists)
    }

    /// The paths beside the request's own whose entity tags the lists ask for.
    pub fn etag_paths(&self) -> impl Iterator<Item = &VPath> {
        self.if_lists
            .iter()
            .filter_map(|list| match &list.resource {
                ResourceTag::Path(path)
                    if list
                        .conditions
                        .iter()
                        .any(|c| matches!(c.state, StateMatch::Etag(_))) =>
                {
                    Some(path)
                }
                _ => None,
            })
    }
}

/// The preconditions of a request with paths resolved, which can be checked at any moment without I/O.
#[derive(Clone, Debug)]
pub struct ResolvedIfHeader {
    /// Who asks.
    pub holder: LockHolder,
    /// Where the request points.
    pub resource: ResourceId,
    /// Its preconditions.
    pub preconditions: Preconditions,
    /// The resources that tagged lists name, in the order of the lists; `None` for those elsewhere and the request's own.
    pub tagged: Vec<Option<TaggedResource>>,
}

/// A resource that a tagged list names (RFC 4918 section 10.4.1).
#[derive(Clone, Debug)]
pub struct TaggedResource {
    /// The place.
    pub resource: ResourceId,
    /// Its entity tag when the request began.
    pub etag: Option<Etag>,
}

impl ResolvedIfHeader {
    /// Whether the `If` header holds now; `PreconditionFailed` when none of its lists does.
    pub fn check(&self, held: &LocksGuard<'_>, present: Option<&Node>, now: Instant) -> Result<()> {
        if self.preconditions.if_lists.is_empty() {
            return Ok(());
        }
        let present = present.map(|node| node.etag);
        let holds = self
            .preconditions
            .if_lists
            .iter()
            .zip(&self.tagged)
            .any(|(list, tagged)| {
                let (resource, etag) = match (&list.resource, tagged) {
                    (ResourceTag::Elsewhere, _) => return list.conditions.iter().all(|c| c.not),
                    (ResourceTag::Path(_), Some(other)) if other.resource != self.resource => {
                        (&other.resource, other.etag)
                    }
                    _ => (&self.resource, present),
                };
                list.conditions
                    .iter()
                    .all(|c| c.not != state_holds(&c.state, held, resource, etag, now))
            });
        if holds {
            Ok(())
        } else {
            Err(Error::PreconditionFailed)
        }
    }
}

fn state_holds(
    state: &StateMatch,
    held: &LocksGuard<'_>,
    resource: &ResourceId,
    etag: Option<Etag>,
    now: Instant,
) -> bool {
    match state {
        StateMatch::Token(token) => held.covers(resource, token, now),
        StateMatch::Etag(tag) => etag.is_some_and(|etag| etag.to_string() == *tag),
    }
}
