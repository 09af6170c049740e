//! Whether a lock still counts. It does only while whoever holds it may still change what it is on: that is asked at each look, so that a
//! lock ends with the link, share, membership or app password it was taken by, whatever ended that.

use crate::storage::{LockHolder, ResourceId};
use std::fmt;

/// Asks whether a lock still counts; looks into memory only, for it is asked while the locks are held still.
pub trait HolderCheck: fmt::Debug + Send + Sync {
    /// Whether `holder` may still change what is at `resource`.
    fn may_change(&self, holder: &LockHolder, resource: &ResourceId) -> bool;
}
