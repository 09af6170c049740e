//! The conditions of one request: what it expects to find and the lock tokens it submits (RFC 4918 section 10.4, RFC 9110 section 13).

use super::locks::{Held, Holder};
use super::place::Spot;
use crate::content::{Etag, Expect, Node};
use crate::model::{Error, Result, VPath};
use std::time::Instant;

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// If-Match and If-None-Match, judged on the resource the request names.
    pub expect: Expect,
    /// The lists of the `If` header; one of them must hold, unless there are none.
    pub lists: Vec<IfList>,
    /// Lock tokens that came in `Lock-Token`, as Word 2016 sends them with PUT: submitted as those of `If` are, but no condition.
    pub tokens: Vec<String>,
    /// Whether the change need not be durable when it is made: it is one of many that are waited for together.
    pub is_settled_later: bool,
    /// Whether what moves is known to fit where it goes, as [`Commit::fits`](crate::content::Commit::fits) says.
    pub fits: bool,
}

/// One list of an `If` header: all its conditions must hold on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfList {
    /// The resource judged.
    pub subject: Subject,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// What an `If` list speaks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The resource that the request names (an untagged list).
    Request,
    /// A resource of this drive.
    Path(VPath),
    /// Something elsewhere, of which no state is known.
    Elsewhere,
}

/// One condition of an `If` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it is negated.
    pub not: bool,
    /// What must be so.
    pub state: State,
}

/// A state that a resource may be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A lock with this token covers it.
    Token(String),
    /// Its entity tag is this, quoted.
    Etag(String),
}

impl Terms {
    /// Whether the request sets no condition and submits no token.
    pub fn is_empty(&self) -> bool {
        self.expect == Expect::Any && self.lists.is_empty() && self.tokens.is_empty()
    }

    /// Every lock token the request submits.
    pub fn submitted(&self) -> impl Iterator<Item = &str> {
        let in_lists = self
            .lists
            .iter()
            .flat_map(|list| &list.conditions)
            .filter_map(|c| match &c.state {
                State::Token(token) => Some(token.as_str()),
                State::Etag(_) => None,
            });
        self.tokens.iter().map(String::as_str).chain(in_lists)
    }

    /// The paths beside the request's own whose entity tags the lists ask for.
    pub fn asked_paths(&self) -> impl Iterator<Item = &VPath> {
        self.lists.iter().filter_map(|list| match &list.subject {
            Subject::Path(path)
                if list
                    .conditions
                    .iter()
                    .any(|c| matches!(c.state, State::Etag(_))) =>
            {
                Some(path)
            }
            _ => None,
        })
    }
}

/// The terms of a request at its place, ready to be judged at any moment.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who asks.
    pub who: Holder,
    /// Where the request points.
    pub subject: Spot,
    /// Its terms.
    pub terms: Terms,
    /// The places that tagged lists name, in the order of the lists; `None` for what is elsewhere or the subject.
    pub tagged: Vec<Option<Tagged>>,
}

/// A place that a tagged list names.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The place.
    pub spot: Spot,
    /// Its entity tag when the request began.
    pub etag: Option<Etag>,
}

impl Claim {
    /// Whether the `If` header holds now; `PreconditionFailed` when none of its lists does.
    pub fn check_lists(&self, held: &Held<'_>, present: Option<&Node>, now: Instant) -> Result<()> {
        if self.terms.lists.is_empty() {
            return Ok(());
        }
        let present = present.map(|node| node.etag);
        let holds = self
            .terms
            .lists
            .iter()
            .zip(&self.tagged)
            .any(|(list, tagged)| {
                let (spot, etag) = match (&list.subject, tagged) {
                    (Subject::Elsewhere, _) => return list.conditions.iter().all(|c| c.not),
                    (Subject::Path(_), Some(other)) if other.spot != self.subject => {
                        (&other.spot, other.etag)
                    }
                    _ => (&self.subject, present),
                };
                list.conditions
                    .iter()
                    .all(|c| c.not != state_holds(&c.state, held, spot, etag, now))
            });
        if holds {
            Ok(())
        } else {
            Err(Error::PreconditionFailed)
        }
    }
}

fn state_holds(
    state: &State,
    held: &Held<'_>,
    spot: &Spot,
    etag: Option<Etag>,
    now: Instant,
) -> bool {
    match state {
        State::Token(token) => held.covers(spot, token, now),
        State::Etag(tag) => etag.is_some_and(|etag| etag.to_string() == *tag),
    }
}
