//! Work that is due every hour, one job after the other, until shutdown.

mod clock;

use crate::app::App;
use crate::metrics::Job;
use crate::model::Result;
use clock::{DateTrust, TrustedClock};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval_at};

const PERIOD: Duration = Duration::from_secs(3600);
/// Soon after the start, when the rush of returning clients is over.
const FIRST: Duration = Duration::from_secs(60);

/// Runs the hourly jobs until `shutdown` resolves; a job that has begun is ended first.
pub async fn run(app: Arc<App>, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut hours = interval_at(tokio::time::Instant::now() + FIRST, PERIOD);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clock = TrustedClock::open(
        app.store.clone(),
        app.newest_export().await.unwrap_or_default(),
    )
    .await;
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = hours.tick() => {}
        }
        let began = Instant::now();
        let date = clock.check().await;
        let date = date.inspect_err(
            |error| tracing::error!(%error, "the date is not noted for the next start"),
        );
        hourly(&app, date.unwrap_or(DateTrust::Doubted)).await;
        tracing::debug!(took = ?began.elapsed(), "the hourly jobs are done");
    }
}

/// Each job logs its own failure; none stops the others. While the date is not believed nothing is deleted by age.
async fn hourly(app: &Arc<App>, date: DateTrust) {
    if app.setup.is_open() && !app.auth.list().is_empty() {
        app.setup.close();
    }
    app.audit.flush(false).await;
    perform(app, Job::Export, app.export_daily()).await;
    perform(app, Job::Locks, app.locks.sweep()).await;
    perform(app, Job::Removals, app.finish_removals()).await;
    perform(app, Job::Purge, app.purge_removed()).await;
    app.metrics
        .is_date_doubted
        .store(date != DateTrust::Believed, Ordering::Relaxed);
    match date {
        DateTrust::Believed => {}
        DateTrust::Doubted => {
            tracing::warn!(
                "the clock jumped by more than a day: nothing expires until it has gone on evenly for a day"
            );
            return;
        }
        DateTrust::Refused => {
            tracing::warn!(
                "the date is more than 30 days after the last one that was known: nothing of the history and no unfinished upload \
                 expires. If it is wrong, set the clock; if it is right, restart the server once it has run with it for a day"
            );
            return;
        }
    }
    perform(app, Job::Expire, app.expire_history()).await;
    perform(app, Job::Uploads, app.expire_uploads()).await;
}

/// Does a job and notes how it went, under its name.
async fn perform(app: &App, job: Job, work: impl Future<Output = Result<()>>) {
    let began = Instant::now();
    let outcome = work.await;
    app.metrics.jobs.note(job, began.elapsed(), outcome.is_ok());
    if let Err(error) = outcome {
        tracing::error!(job = job.name(), %error, "an hourly job failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Durability};
    use crate::model::{AccountName, Error, Role};
    use std::fs;

    #[tokio::test]
    async fn nothing_expires_while_the_date_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        (config.drive.durability, config.drive.reserve) = (Durability::Relaxed, 0);
        let app = App::open(config).await.unwrap();
        let ana = AccountName::parse("ana").unwrap();
        app.auth
            .create(&ana, b"orange teapot 77", Role::User, None)
            .await
            .unwrap();
        let trash = dir.path().join("homes/ana/.sarang/trash");
        for folder in ["files", "info"] {
            fs::create_dir_all(trash.join(folder)).unwrap();
        }
        fs::write(trash.join("files/old.1"), "x").unwrap();
        fs::write(
            trash.join("info/old.1.trashinfo"),
            "[Trash Info]\nPath=old\nDeletionDate=2001-01-01T00:00:00\n",
        )
        .unwrap();
        for (date, is_left) in [
            (DateTrust::Doubted, true),
            (DateTrust::Refused, true),
            (DateTrust::Believed, false),
        ] {
            hourly(&app, date).await;
            assert_eq!(trash.join("files/old.1").exists(), is_left, "{date:?}");
        }
    }

    #[tokio::test]
    async fn how_each_job_went_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::open(Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        })
        .await
        .unwrap();
        let succeeded = || {
            app.metrics
                .jobs
                .all()
                .iter()
                .filter(|(_, run)| run.succeeded.is_some())
                .count()
        };
        assert_eq!(
            (app.metrics.jobs.all().len(), succeeded()),
            (6, 0),
            "each is there before its first run"
        );
        hourly(&app, DateTrust::Doubted).await;
        assert_eq!(succeeded(), 4, "nothing expires");
        hourly(&app, DateTrust::Believed).await;
        let jobs = app.metrics.jobs.all();
        assert!(
            succeeded() == 6 && jobs.iter().all(|(_, run)| run.failures == 0),
            "{jobs:?}"
        );
        perform(&app, Job::Expire, async { Err(Error::ReadOnly) }).await;
        let jobs = app.metrics.jobs.all();
        let (_, failed) = jobs
            .iter()
            .find(|(job, _)| *job == "expire the past")
            .unwrap();
        assert!(
            failed.failures == 1 && failed.succeeded.is_some(),
            "{failed:?}"
        );
        app.close().await.unwrap();
    }
}
