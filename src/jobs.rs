//! Work that is due every hour, one job after the other, until shutdown.

use crate::app::App;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval_at};

const PERIOD: Duration = Duration::from_secs(3600);
/// Soon after the start, when the rush of returning clients is over.
const FIRST: Duration = Duration::from_secs(60);

/// Runs the hourly jobs until `shutdown` resolves; a job that has begun is ended first.
pub async fn run(app: Arc<App>, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut hours = interval_at(tokio::time::Instant::now() + FIRST, PERIOD);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = hours.tick() => hourly(&app).await,
        }
    }
}

/// Each job logs its own failure; none stops the others.
async fn hourly(app: &App) {
    if app.setup.is_open() && !app.auth.list().is_empty() {
        app.setup.close();
    }
    app.audit.settle(false).await;
    let jobs = [
        ("export the state", app.export_daily().await),
        ("forget ended locks", app.locks.sweep().await),
        ("expire the past", app.expire_history().await),
        ("give up unfinished uploads", app.expire_uploads().await),
    ];
    for (job, result) in jobs {
        if let Err(error) = result {
            tracing::error!(job, %error, "an hourly job failed");
        }
    }
}
