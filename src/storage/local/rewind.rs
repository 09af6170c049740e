//! What must be done so that a folder is again as it was: found by comparing the tree as it is with the tree as it was.
//! Nothing is deleted for good: what was not there goes to the trash, contents that are replaced become versions.

mod paths;
mod planner;
#[cfg(test)]
mod tests;

use super::blocking::run_blocking;
use super::log_replay;
use super::names::split_path;
use super::past_tree::PastTree;
use super::root::TreeRoot;
use super::spool::Spool;
use crate::model::time::unix_nanos;
use crate::model::{Error, RelPath, Result};
use crate::storage::history::{RewindPlan, RewindStep, RewindSteps};
use async_trait::async_trait;
use planner::RewindPlanner;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// How many rewinds are planned at a time, in all trees: each has in memory what has changed since.
static PLANNING: Semaphore = Semaphore::const_new(2);
/// How long another one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The steps of a plan.
#[derive(Debug)]
struct PlannedSteps {
    root: Arc<TreeRoot>,
    steps: Arc<Spool<RewindStep>>,
}

#[async_trait]
impl RewindSteps for PlannedSteps {
    async fn read(&self, at: u64) -> Result<(Vec<RewindStep>, u64)> {
        let steps = self.steps.clone();
        run_blocking(&self.root, move |_| steps.read(at)).await
    }

    async fn sync(&self) -> Result<()> {
        let steps = self.steps.clone();
        run_blocking(&self.root, move |root| {
            if root.is_strict() {
                steps.sync_file_system()
            } else {
                Ok(())
            }
        })
        .await
    }
}

/// What makes the items `only` of `folder`, or all of it, as they were at `moment`. `NotFound` when it was not there; `Busy` when too
/// many are being planned.
pub(super) async fn plan(
    root: &Arc<TreeRoot>,
    folder: RelPath,
    moment: SystemTime,
    only: Vec<RelPath>,
) -> Result<RewindPlan> {
    let busy = || Error::Busy {
        retry_after: PATIENCE,
    };
    let turn = tokio::time::timeout(PATIENCE, PLANNING.acquire())
        .await
        .map_err(|_| busy())?
        .map_err(|_| busy())?;
    run_blocking(root, move |root| {
        let _turn = turn;
        make_plan(root, folder, moment, only)
    })
    .await
}

fn make_plan(
    root: &Arc<TreeRoot>,
    folder: RelPath,
    moment: SystemTime,
    only: Vec<RelPath>,
) -> Result<RewindPlan> {
    let mut then = PastTree::now(root);
    let since = log_replay::replay_since(root, unix_nanos(moment), |event| then.undo(event))?;
    if then.find(folder.as_str())?.is_none() {
        return Err(Error::NotFound);
    }
    let mut plan = RewindPlanner::new(root)?;
    let mut chosen = if only.is_empty() { vec![folder] } else { only };
    chosen.sort_by_key(|path| path.names().count());
    let mut done: Vec<RelPath> = Vec::new();
    for path in chosen {
        if done.iter().any(|wider| path.is_within(wider)) {
            continue;
        }
        match then.take(path.as_str())? {
            Some(mut want) => {
                plan.make_way(split_path(path.as_str()).0)?;
                if !plan.move_free(path.as_str(), &mut want)? {
                    plan.plan_item(path.as_str(), want)?;
                }
            }
            None if plan.now.find(path.as_str())?.is_some() => plan.plan_delete(path.as_str())?,
            None => {}
        }
        done.push(path);
    }
    plan.steps.write()?;
    let known = |nanos: u64| UNIX_EPOCH + Duration::from_nanos(nanos);
    let RewindPlanner {
        steps,
        needed,
        lost,
        lost_count,
        growth: (grows, shrinks),
        ..
    } = plan;
    let count = steps.count;
    let steps = Box::new(PlannedSteps {
        root: root.clone(),
        steps: Arc::new(steps),
    });
    Ok(RewindPlan {
        steps,
        count,
        needed,
        lost,
        lost_count,
        since: since.map(known),
        grows,
        shrinks,
    })
}
