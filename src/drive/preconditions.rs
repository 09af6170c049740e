//! The conditions of one request: what it expects to find and the lock tokens it submits (RFC 4918 section 10.4, RFC 9110 section 13).

use crate::model::VPath;
use crate::storage::{Expect, IfList, StateMatch};

/// The conditions of one request, in the paths of its drive; [`storage::Preconditions`](crate::storage::Preconditions) once these are
/// resolved.
#[derive(Clone, Debug, Default)]
pub struct RequestPreconditions {
    /// If-Match and If-None-Match, checked on the resource the request names.
    pub expect: Expect,
    /// The lists of the `If` header; one of them must hold, unless there are none.
    pub if_lists: Vec<IfList<ResourceTag>>,
    /// Lock tokens that came in `Lock-Token`, as Word 2016 sends them with PUT: submitted as those of `If` are, but no condition.
    pub lock_tokens: Vec<String>,
    /// Whether the change need not be durable when it is made: it is one of many that are waited for together.
    pub is_synced_later: bool,
    /// Whether what moves is known to fit where it goes, as [`WriteOptions::skip_depth_check`](crate::storage::WriteOptions::skip_depth_check) says.
    pub fits: bool,
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

impl RequestPreconditions {
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
