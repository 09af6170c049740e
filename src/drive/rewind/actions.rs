//! What a rewind would do, as a list for people.

use super::DeletedItems;
use crate::model::{RelPath, Result, VPath};
use crate::storage::history::{RewindPlan, RewindSource, RewindStep};

/// What a rewind does, or would do, to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewoundPath {
    /// What.
    pub change: RewindAction,
    /// Where.
    pub path: VPath,
    /// Where it lay before a move.
    pub from: Option<VPath>,
}

/// What a rewind does to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewindAction {
    /// It comes back from the trash.
    Restored,
    /// It comes back from where it was moved to.
    Moved,
    /// It goes back to a former content.
    Reverted,
    /// It was not there, and goes to the trash.
    Discarded,
    /// The folder is made anew.
    Made,
}

/// How many changes a [`RewindSummary`](super::RewindSummary) tells one by one.
pub(super) const MAX_LISTED: usize = 10_000;

/// The first steps as they are told.
pub(super) async fn list_actions(
    rewind: &RewindPlan,
    seen: &impl Fn(&RelPath) -> VPath,
) -> Result<Vec<RewoundPath>> {
    let mut changes = Vec::new();
    let mut discarded = DeletedItems::default();
    let mut next = 0;
    loop {
        let (steps, end) = rewind.steps.read(next).await?;
        if steps.is_empty() || changes.len() == MAX_LISTED {
            return Ok(changes);
        }
        next = end;
        for step in steps.iter().take(MAX_LISTED - changes.len()) {
            changes.push(action_of(step, &discarded, seen));
            if let RewindStep::Discard { path } = step {
                discarded.note(&rewind.needed, path.as_str().to_owned());
            }
        }
    }
}

/// A step as it is told; `discarded` says where lay what went to the trash before.
fn action_of(
    step: &RewindStep,
    discarded: &DeletedItems,
    seen: &impl Fn(&RelPath) -> VPath,
) -> RewoundPath {
    let (change, path, from) = match step {
        RewindStep::Discard { path } => (RewindAction::Discarded, path, None),
        RewindStep::Make { path } => (RewindAction::Made, path, None),
        RewindStep::Revert { path, .. } | RewindStep::Blank { path } => {
            (RewindAction::Reverted, path, None)
        }
        RewindStep::Move {
            from: RewindSource::Path(from),
            to,
        } => (RewindAction::Moved, to, Some(from.clone())),
        RewindStep::Move {
            from: RewindSource::Trash { .. },
            to,
        } => (RewindAction::Restored, to, None),
        RewindStep::Move {
            from: RewindSource::Discarded { index, inner },
            to,
        } => {
            let from = discarded
                .ids
                .get(index)
                .map(|path| inner.beneath(&RelPath::from_stored(path.clone())));
            (RewindAction::Moved, to, from)
        }
    };
    RewoundPath {
        change,
        path: seen(path),
        from: from.as_ref().map(seen),
    }
}
