//! By whom and under which conditions a change is made.

use super::{Expect, NoPreconditions, PreconditionCheck};
use crate::model::AccountName;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::SystemTime;

/// Under which conditions, and by whom, a name changes. `expect` and `preconditions` hold for the path the call names first
/// (for rename and copy: the source), inside the step that changes the name.
#[derive(Clone)]
pub struct WriteOptions {
    /// Who does it; kept with what lands in the trash.
    pub actor: AccountName,
    /// What must stand at the path named first.
    pub expect: Expect,
    /// Bytes announced for an upload; another count is `Truncated`.
    pub len: Option<u64>,
    /// The modification time to set instead of now.
    pub modified: Option<SystemTime>,
    /// Whether something at the target of a rename or copy may be replaced; else `PreconditionFailed`.
    pub overwrite: bool,
    /// The most bytes that the tree may hold after the change; where it brings more, `NoSpace`.
    pub limit: Option<u64>,
    /// Whether the name need not be on the disk when the call returns: who makes many changes waits for all of them at once, by
    /// [`RewindSteps::sync`](super::history::RewindSteps::sync).
    pub defer_sync: bool,
    /// Whether nothing of what is moved is too deep where it goes, or not for long: so it is not looked over.
    pub skip_depth_check: bool,
    /// Checked under the same lock of names as the change itself.
    pub preconditions: Arc<dyn PreconditionCheck>,
}

impl WriteOptions {
    /// A change by `who` with no conditions; replaces what is there.
    pub fn by(who: AccountName) -> Self {
        Self {
            actor: who,
            expect: Expect::Any,
            len: None,
            modified: None,
            overwrite: true,
            limit: None,
            defer_sync: false,
            skip_depth_check: false,
            preconditions: Arc::new(NoPreconditions),
        }
    }
}

impl Debug for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("who", &self.actor)
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}
