//! What is to be done in every home and team folder from time to time: in one after the other, opened only where there is something to
//! do, and never waiting long for a disk that does not answer.

use super::App;
use super::homes::TreeKind;
use crate::drive::named_tree::NamedTree;
use crate::model::{AccountName, Error, Result};
use crate::storage::history::{ExpiredCounts, Retention};
use crate::storage::local::LocalTree;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How long a job waits for one tree before it goes on with the next.
const PATIENCE: Duration = Duration::from_secs(300);
/// When so many trees do not answer, a job ends for this time: each holds a thread.
const MAX_STUCK: usize = 8;

/// The trees in which a job has begun and not come to its end.
#[derive(Debug, Default)]
pub(super) struct Maintenance(Arc<Mutex<HashSet<String>>>);

/// A tree in which a job is at work.
struct RunningWork {
    all: Arc<Mutex<HashSet<String>>>,
    id: String,
}

impl Drop for RunningWork {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Maintenance {
    /// Works on one tree, in a task that is left to itself when it takes longer than `patience`.
    async fn work(
        &self,
        id: &str,
        patience: Duration,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        if !self.0.lock().insert(id.to_owned()) {
            return Err(stuck("an earlier job is not done with it"));
        }
        let at_work = RunningWork {
            all: self.0.clone(),
            id: id.to_owned(),
        };
        let task = tokio::spawn(async move {
            let _at_work = at_work;
            work.await
        });
        match timeout(patience, task).await {
            Ok(Ok(done)) => done,
            Ok(Err(failed)) => Err(Error::io("finish a job", std::io::Error::other(failed))),
            Err(_) => Err(stuck("it takes too long; the job goes on without it")),
        }
    }

    fn is_overrun(&self) -> bool {
        self.0.lock().len() >= MAX_STUCK
    }
}

fn stuck(why: &'static str) -> Error {
    Error::io(
        "finish a job",
        std::io::Error::new(std::io::ErrorKind::TimedOut, why),
    )
}

impl App {
    /// Deletes for good what trash and versions keep no longer, everywhere; a folder that fails, or whose disk does not answer, does not
    /// keep the others from it.
    pub async fn expire_history(self: &Arc<Self>) -> Result<()> {
        let retention = Retention::of(&self.config.history);
        let now = SystemTime::now();
        self.in_each_tree(
            move |dir, is_swept| LocalTree::has_expirable(dir, is_swept, retention, now),
            move |_, root, quota| expire(root, retention, quota),
        )
        .await
    }

    /// Gives up uploads that nobody went on with, and deletes what belongs to none.
    pub async fn expire_uploads(self: &Arc<Self>) -> Result<()> {
        let mut outcome = Ok(());
        for upload in self.uploads.expired_or_of(None) {
            let app = self.clone();
            let id = upload.record().root.clone();
            outcome = outcome.and(
                self.in_tree(&id, async move { app.abort_upload(&upload).await })
                    .await,
            );
        }
        let swept = self.in_each_tree(
            |dir, _| LocalTree::has_uploads(dir),
            |app, root, _| async move {
                // First what is there, then what belongs to somebody: what comes meanwhile is not among the one.
                let mut outcome = Ok(());
                for id in root
                    .tree
                    .list_uploads()
                    .await?
                    .into_iter()
                    .filter(|id| !app.uploads.has(id))
                {
                    outcome = outcome.and(root.tree.abort_upload(&id).await);
                }
                outcome
            },
        );
        outcome.and(swept.await)
    }

    /// Does `work` in every tree that is there and in which `is_due` finds something, seen from outside. Returns the first failure.
    async fn in_each_tree<F: Future<Output = Result<()>> + Send + 'static>(
        self: &Arc<Self>,
        is_due: impl Fn(&Path, bool) -> Result<bool> + Copy + Send + 'static,
        work: impl Fn(Arc<Self>, Arc<NamedTree>, Option<u64>) -> F + Copy + Send + 'static,
    ) -> Result<()> {
        let mut outcome = Ok(());
        for (kind, name, quota) in self.trees_there().await? {
            if self.maintenance.is_overrun() {
                return outcome.and(Err(stuck("too many homes do not answer")));
            }
            let app = self.clone();
            let id = kind.id(&name);
            let visit = async move {
                app.homes.check_there(kind, &name).await?;
                let dir = app.homes.dir_of(kind, &name);
                let is_swept = app.homes.is_swept(kind, &name);
                if !super::blocking(move || is_due(&dir, is_swept)).await? {
                    return Ok(());
                }
                let worker = app.clone();
                app.homes
                    .visit((kind, &name), move |root| work(worker, root, quota))
                    .await
            };
            outcome = outcome.and(self.in_tree(&id, visit).await);
        }
        outcome
    }

    /// Lets what lies in the place of a home or team folder that is missing be it from now on, or a new one where nothing lies;
    /// `place` is as `homes/ana`. `NotFound`, `Forbidden` when it is not missing.
    pub async fn replace_missing_tree(&self, place: &str) -> Result<(TreeKind, String)> {
        let (folder, name) = place.split_once('/').ok_or(Error::NotFound)?;
        let kind = [TreeKind::Home, TreeKind::Team]
            .into_iter()
            .find(|kind| kind.folder() == folder);
        let (kind, is_there) = match kind.ok_or(Error::NotFound)? {
            TreeKind::Home => (
                TreeKind::Home,
                self.auth.account(&AccountName::parse(name)?).is_some(),
            ),
            TreeKind::Team => (TreeKind::Team, self.sharing.teams.find(name).is_some()),
        };
        if !is_there {
            return Err(Error::NotFound);
        }
        match self.homes.check_there(kind, name).await {
            Ok(()) => Err(Error::Forbidden("It is not missing.")),
            Err(Error::Missing(_)) => self
                .homes
                .forget(kind, name)
                .await
                .map(|()| (kind, name.to_owned())),
            Err(error) => Err(error),
        }
    }

    async fn in_tree(
        &self,
        id: &str,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let done = self.maintenance.work(id, PATIENCE, work).await;
        done.inspect_err(
            |error| tracing::error!(folder = id, %error, "an hourly job is not done here"),
        )
    }

    /// The homes and team folders that have come into being, with their quotas, though they may be missing. Nothing is made for who
    /// never came.
    async fn trees_there(&self) -> Result<Vec<(TreeKind, String, Option<u64>)>> {
        let homes = self.homes.names(TreeKind::Home).await?;
        let teams = self.homes.names(TreeKind::Team).await?;
        let accounts = self
            .auth
            .list()
            .into_iter()
            .map(|it| (TreeKind::Home, it.name.to_string(), it.quota));
        let accounts = accounts.filter(|(_, name, _)| homes.contains(OsStr::new(name)));
        let listed = self
            .sharing
            .teams
            .list()
            .into_iter()
            .map(|(name, team)| (TreeKind::Team, name, team.quota));
        Ok(accounts
            .chain(listed.filter(|(_, name, _)| teams.contains(OsStr::new(name))))
            .collect())
    }
}

/// The history may have what the quota leaves.
async fn expire(root: Arc<NamedTree>, retention: Retention, quota: Option<u64>) -> Result<()> {
    let left = match quota {
        Some(quota) => Some(quota.saturating_sub(root.tree.usage().await?.used)),
        None => None,
    };
    let retention = Retention {
        max_bytes: left,
        ..retention
    };
    let ExpiredCounts { items, versions } = root.tree.expire(retention, SystemTime::now()).await?;
    if items > 0 || versions > 0 {
        tracing::info!(
            root = &*root.id,
            items,
            versions,
            "deleted what is kept no longer of the history"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tree_that_does_not_answer_is_left_to_itself_and_not_begun_again() {
        let upkeep = Maintenance::default();
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let hung = async move { answered.await.map_err(|_| Error::NotFound) };
        let minute = Duration::from_secs(60);
        let began = tokio::time::Instant::now();
        assert!(upkeep.work("home/ana", minute, hung).await.is_err());
        assert!(began.elapsed() < 2 * minute, "{:?}", began.elapsed());
        assert!(
            upkeep
                .work("home/ben", minute, async { Ok(()) })
                .await
                .is_ok()
        );
        assert!(
            upkeep
                .work("home/ana", minute, async { Ok(()) })
                .await
                .is_err(),
            "it is still at work there"
        );
        for n in 1..MAX_STUCK {
            assert!(!upkeep.is_overrun());
            assert!(
                upkeep
                    .work(&format!("home/{n}"), minute, std::future::pending())
                    .await
                    .is_err()
            );
        }
        assert!(upkeep.is_overrun());
        answer.send(()).unwrap();
        tokio::time::sleep(minute).await;
        assert!(!upkeep.is_overrun());
        assert!(
            upkeep
                .work("home/ana", minute, async { Ok(()) })
                .await
                .is_ok()
        );
    }
}
