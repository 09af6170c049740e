//! Work that is due every hour, one job after the other, until shutdown.

use crate::app::App;
use crate::model::Result;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::{MissedTickBehavior, interval_at};

const PERIOD: Duration = Duration::from_secs(3600);
/// Soon after the start, when the rush of returning clients is over.
const FIRST: Duration = Duration::from_secs(60);

/// How far the wall clock may run from the monotonic one between two rounds before what goes by age is left for an hour.
const MAX_JUMP: Duration = Duration::from_secs(24 * 3600);

/// Both clocks when the last round began.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    monotonic: Instant,
    wall: SystemTime,
}

impl Clocks {
    fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Whether the wall clock has jumped by more than a day since `before`: a wrong date makes everything look old.
    fn have_jumped_since(self, before: Self) -> bool {
        let expected = before.wall + self.monotonic.saturating_duration_since(before.monotonic);
        let apart = self.wall.duration_since(expected).unwrap_or_else(|behind| behind.duration());
        apart > MAX_JUMP
    }
}

/// Runs the hourly jobs until `shutdown` resolves; a job that has begun is ended first.
pub async fn run(app: Arc<App>, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut hours = interval_at(tokio::time::Instant::now() + FIRST, PERIOD);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Clocks::now();
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = hours.tick() => {}
        }
        let now = Clocks::now();
        let jumped = now.have_jumped_since(last);
        last = now;
        let began = Instant::now();
        hourly(&app, jumped).await;
        tracing::debug!(took = ?began.elapsed(), "the hourly jobs are done");
    }
}

/// Each job logs its own failure; none stops the others. After a jump of the clock nothing is deleted by age.
async fn hourly(app: &Arc<App>, jumped: bool) {
    if app.setup.is_open() && !app.auth.list().is_empty() {
        app.setup.close();
    }
    app.audit.settle(false).await;
    report("export the state", app.export_daily().await);
    report("forget ended locks", app.locks.sweep().await);
    report("finish removals", app.finish_removals().await);
    report("delete the files of what was removed", app.purge_removed().await);
    if jumped {
        tracing::warn!("the clock jumped by more than a day: no history and no unfinished upload expires in this hour");
        return;
    }
    report("expire the past", app.expire_history().await);
    report("give up unfinished uploads", app.expire_uploads().await);
}

fn report(job: &str, result: Result<()>) {
    if let Err(error) = result {
        tracing::error!(job, %error, "an hourly job failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_wall_clock_by_more_than_a_day_is_seen_in_both_directions() {
        let (before, hour, day) = (Clocks::now(), Duration::from_secs(3600), Duration::from_secs(24 * 3600));
        let at = |wall| Clocks { monotonic: before.monotonic + hour, wall };
        assert!(!at(before.wall + hour).have_jumped_since(before));
        assert!(!at(before.wall + hour + day).have_jumped_since(before) && !at(before.wall).have_jumped_since(before));
        assert!(at(before.wall + hour + day + Duration::from_secs(1)).have_jumped_since(before));
        assert!(at(before.wall - day).have_jumped_since(before));
        // A machine that slept for a week: its monotonic clock stood still.
        assert!(at(before.wall + day * 7).have_jumped_since(before));
    }
}
