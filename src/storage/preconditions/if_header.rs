//! The `If` header (RFC 4918 section 10.4): lists of conditions, each on one resource, of which one list must hold.

use super::Seen;
use crate::storage::etag::Etag;
use crate::storage::resource_id::ResourceId;

/// One list of an `If` header: all its conditions must hold on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfList<R> {
    /// The resource that it speaks of.
    pub resource: R,
    /// The conditions.
    pub conditions: Vec<IfCondition>,
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

/// The resource of an `If` list, once it is known where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfResource {
    /// What stands at the path that the change names first.
    Target(ResourceId),
    /// Something else of this server (a tagged list, RFC 4918 section 10.4.1).
    Tagged(ResourceId, IfTag),
    /// Something elsewhere, or that may not be seen: it has no state.
    Elsewhere,
}

/// From where the entity tag of a tagged resource comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfTag {
    /// The tree that changes reads it: the path of this number in [`Preconditions::tagged`](super::Preconditions::tagged).
    Read(usize),
    /// It was read in another tree when the request began, or nothing asks for it.
    Known(Option<Etag>),
}

/// Whether one of the lists holds; without lists, always.
pub(super) fn holds(lists: &[IfList<IfResource>], seen: &Seen<'_>) -> bool {
    lists.is_empty() || lists.iter().any(|list| list_holds(list, seen))
}

fn list_holds(list: &IfList<IfResource>, seen: &Seen<'_>) -> bool {
    let (resource, etag) = match &list.resource {
        IfResource::Elsewhere => return list.conditions.iter().all(|condition| condition.not),
        IfResource::Target(resource) => (resource, seen.present.map(|node| node.etag)),
        IfResource::Tagged(resource, IfTag::Known(etag)) => (resource, *etag),
        IfResource::Tagged(resource, IfTag::Read(number)) => {
            (resource, seen.tags.get(*number).copied().flatten())
        }
    };
    let state_holds = |state: &StateMatch| match state {
        StateMatch::Token(token) => seen
            .locks
            .covering(resource)
            .any(|lock| lock.token == *token && lock.is_live(seen.locks.now)),
        StateMatch::Etag(tag) => etag.is_some_and(|etag| etag.to_string() == *tag),
    };
    list.conditions
        .iter()
        .all(|condition| condition.not != state_holds(&condition.state))
}
