//! How long one side of a connection may keep the other waiting: only time spent waiting counts, never the server's own.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A budget of waiting time, which bytes at a fair rate renew.
#[derive(Debug)]
pub(super) struct IdleTimeout {
    budget: Duration,
    /// Bytes a renewal takes; `None` when bytes do not renew it.
    fair: Option<u64>,
    spent: Duration,
    bytes: u64,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl IdleTimeout {
    /// A budget that `rate` bytes a second renew, or that only [`renew`](Self::renew) does.
    pub(super) fn new(budget: Duration, rate: Option<u64>) -> Self {
        let fair = rate.map(|rate| rate.saturating_mul(budget.as_secs()));
        Self {
            budget,
            fair,
            spent: Duration::ZERO,
            bytes: 0,
            since: None,
            alarm: None,
        }
    }

    /// Bytes moved: the wait is over.
    pub(super) fn progress(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.spent += since.elapsed();
        }
        self.bytes += bytes as u64;
        if self.fair.is_some_and(|fair| self.bytes >= fair) {
            self.renew();
        }
    }

    /// Gives the whole budget again.
    pub(super) fn renew(&mut self) {
        (self.spent, self.bytes, self.since) = (Duration::ZERO, 0, None);
    }

    /// Gives back the memory of its timer.
    pub(super) fn release(&mut self) {
        self.alarm = None;
    }

    /// Whether the budget is spent, asked when nothing moves; wakes the task when it will be.
    pub(super) fn has_expired(&mut self, cx: &mut Context<'_>) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        let end = since + self.budget.saturating_sub(self.spent);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if alarm.deadline() != end {
            alarm.as_mut().reset(end);
        }
        matches!(alarm.as_mut().poll(cx), Poll::Ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Waits until the budget is spent or `limit` passed, and tells how long that took.
    async fn wait(patience: &mut IdleTimeout, limit: u64) -> (bool, u64) {
        let began = Instant::now();
        let over = poll_fn(|cx| {
            if patience.has_expired(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let over = tokio::time::timeout(Duration::from_secs(limit), over)
            .await
            .is_ok();
        (over, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_trickles_end_it_and_a_fair_rate_does_not() {
        let mut silent = IdleTimeout::new(Duration::from_secs(60), Some(1024));
        assert_eq!(wait(&mut silent, 100).await, (true, 60));

        let mut trickle = IdleTimeout::new(Duration::from_secs(60), Some(1024));
        for _ in 0..5 {
            assert_eq!(wait(&mut trickle, 10).await, (false, 10));
            trickle.progress(100);
        }
        assert_eq!(wait(&mut trickle, 100).await, (true, 10));

        let mut fair = IdleTimeout::new(Duration::from_secs(60), Some(1024));
        for _ in 0..20 {
            assert_eq!(wait(&mut fair, 20).await, (false, 20));
            fair.progress(31 << 10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_own_time_does_not_count() {
        let mut patience = IdleTimeout::new(Duration::from_secs(60), Some(1024));
        assert_eq!(wait(&mut patience, 50).await, (false, 50));
        patience.progress(1);
        tokio::time::sleep(Duration::from_secs(500)).await;
        assert_eq!(wait(&mut patience, 100).await, (true, 10));
    }
}
