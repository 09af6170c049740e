//! What must hold for a change to happen, checked in the step that makes it.

use super::Node;
use crate::model::Result;
use crate::model::time::unix_seconds;

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

/// Checks a change at the moment it happens, by what storage does not know: locks and `If` lists, RFC 4918 sections 7 and 10.4.
pub trait PreconditionCheck: Send + Sync {
    /// Runs `change` and returns its result if the change may happen now, given what stands at the target; else says why not.
    /// What the check rests on must not change until `change` has returned. `change` is called at most once.
    fn check_and_apply(
        &self,
        present: Option<&Node>,
        change: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()>;

    /// Whether whoever wants the change may still have it, asked at each step of what takes time before it; nothing is changed
    /// where it fails.
    fn check_still_allowed(&self) -> Result<()> {
        Ok(())
    }
}

/// Lets everything happen.
#[derive(Clone, Copy, Debug)]
pub struct NoPreconditions;

impl PreconditionCheck for NoPreconditions {
    fn check_and_apply(
        &self,
        _present: Option<&Node>,
        change: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        change()
    }
}
