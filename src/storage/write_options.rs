//! By whom and under which conditions a change is made.

use super::{Expect, Preconditions, Seen};
use crate::model::{AccessCheck, AccountName, Irrevocable, Result};
use std::sync::Arc;
use std::time::SystemTime;

/// Under which conditions, and by whom, a name changes. The preconditions hold for the path the call names first
/// (for rename and copy: the source), inside the step that changes the name.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct WriteOptions {
    /// Who does it; kept with what lands in the trash.
    pub actor: AccountName,
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
    /// Whether what an upload or a former version replaces becomes a version where versions are switched off, too.
    pub keep_replaced: bool,
    /// Whether nothing of what is moved is too deep where it goes, or not for long: so it is not looked over.
    pub skip_depth_check: bool,
    /// What must hold in the step that makes the change; `None` for nothing, also in a tree that is closed.
    pub preconditions: Option<Arc<Preconditions>>,
    /// What lets whoever asks do this: a look into memory, asked at each step of what takes time, and in the step that makes the
    /// change. `None` for the server itself.
    pub access: Option<Arc<dyn AccessCheck>>,
}

impl WriteOptions {
    /// A change by `who` with no conditions; replaces what is there.
    pub fn by(who: AccountName) -> Self {
        Self {
            actor: who,
            len: None,
            modified: None,
            overwrite: true,
            limit: None,
            defer_sync: false,
            keep_replaced: false,
            skip_depth_check: false,
            preconditions: None,
            access: None,
        }
    }

    /// The same, if this stands at the path that the call names first.
    #[must_use]
    pub fn expecting(mut self, expect: Expect) -> Self {
        if *self.expect() != expect {
            Arc::make_mut(self.preconditions.get_or_insert_default()).expect = expect;
        }
        self
    }

    /// What must stand at the path that the call names first.
    pub fn expect(&self) -> &Expect {
        self.preconditions
            .as_ref()
            .map_or(&Expect::Any, |preconditions| &preconditions.expect)
    }

    /// What is asked whether who asks may still do this.
    pub fn access(&self) -> &dyn AccessCheck {
        self.access.as_deref().unwrap_or(&Irrevocable)
    }

    /// Whether the change may happen, given what was seen: all that an engine asks in its step.
    pub fn check(&self, seen: &Seen<'_>) -> Result<()> {
        if let Some(preconditions) = self.preconditions.as_ref().filter(|_| seen.is_closed) {
            return preconditions.check(seen);
        }
        self.access().check()?;
        self.preconditions
            .as_ref()
            .map_or(Ok(()), |preconditions| preconditions.check(seen))
    }
}
