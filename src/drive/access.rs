//! What a request wants to do, and what rights allow.

use crate::model::Rights;

/// What a request wants to do at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To know whether it is there, and what it is.
    Stat,
    /// To read what is in it, or said about it.
    Read,
    /// To make a file where nothing is.
    Create,
    /// Anything else.
    Change,
}

/// What is said to who may only look.
pub const VIEW_ONLY: &str = "You may see this, and not change it.";

/// What both allow; `None` for nothing at all.
pub fn intersect_rights(one: Rights, other: Rights) -> Option<Rights> {
    match (one, other) {
        (Rights::Edit, rights) | (rights, Rights::Edit) => Some(rights),
        _ => (one == other).then_some(one),
    }
}
