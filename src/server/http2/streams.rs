//! The streams of one HTTP/2 connection. They run with the connection and end with it, and each is held to what a connection of
//! HTTP/1.1 is held to: a place, patience with a body that does not come and with an answer that is not taken.

use super::stream_timeout::StreamTimeout;
use crate::server::connection_limiter::ConnectionPermit;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use hyper::rt::Executor;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How often it is asked whether clients had their time; more often where they have little.
const TICK: Duration = Duration::from_secs(1);
/// The same while the connection is to end.
const CLOSING: Duration = Duration::from_millis(50);

type StreamTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One request, from its head until the last byte of its answer has been sent.
#[derive(Debug)]
pub(in crate::server) struct Http2Stream {
    /// The connection's count of streams.
    alive: Arc<AtomicUsize>,
    /// `None` for the one that the connection's own place is for.
    _place: Option<ConnectionPermit>,
    /// Bytes of the request's body that have come, and whether more is waited for.
    pub(super) came: AtomicU64,
    pub(super) is_wanted: AtomicBool,
    /// The body has not come in its time.
    pub(super) is_late: AtomicBool,
    pub(super) reader: AtomicWaker,
    /// Bytes of the answer that were sent, and how many pieces were not.
    pub(super) sent: AtomicU64,
    pub(super) pieces: AtomicUsize,
    /// Waits for the last of them to go.
    pub(super) writer: AtomicWaker,
    /// The answer is not taken, and is taken back.
    pub(super) is_given_up: AtomicBool,
    worker: AtomicWaker,
    /// Nothing runs for it any more; pieces of its answer may still wait.
    is_done: AtomicBool,
    waits: Mutex<(StreamTimeout, StreamTimeout)>,
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Http2Stream {
    /// Whether its client had its time for the body, or for the answer, after so much more of it.
    fn check_timeouts(&self, passed: Duration) -> TimeoutCheck {
        let (body, answer) = &mut *self.waits.lock();
        if body.has_expired(
            passed,
            self.is_wanted.load(Ordering::Relaxed),
            self.came.load(Ordering::Relaxed),
        ) {
            self.is_late.store(true, Ordering::Relaxed);
            self.reader.wake();
        }
        if answer.has_expired(
            passed,
            self.pieces.load(Ordering::Relaxed) > 0,
            self.sent.load(Ordering::Relaxed),
        ) {
            if self.is_done.load(Ordering::Relaxed) {
                return TimeoutCheck::Untaken;
            }
            self.is_given_up.store(true, Ordering::Relaxed);
            self.writer.wake();
            self.worker.wake();
        }
        TimeoutCheck::Fine
    }
}

/// What is found of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeoutCheck {
    Fine,
    /// Nothing was asked for long: it is to end.
    Idle,
    /// An answer lies in the library's buffers and is not taken, or the connection does not end as it was to.
    Untaken,
}

/// What the connection and the library that drives it have in common.
#[derive(Debug)]
struct StreamRegistry {
    alive: Arc<AtomicUsize>,
    asked: AtomicUsize,
    body_timeout: Duration,
    /// The stream of the request that the library was given an answer for last.
    latest: Mutex<Option<Arc<Http2Stream>>>,
    all: Mutex<Vec<Weak<Http2Stream>>>,
    fresh: Mutex<NewTasks>,
}

#[derive(Default)]
struct NewTasks(Vec<StreamTask>);

impl std::fmt::Debug for NewTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fresh").field(&self.0.len()).finish()
    }
}

/// Begins streams, and takes what the library wants to run for each.
#[derive(Clone, Debug)]
pub(in crate::server) struct StreamSpawner(Arc<StreamRegistry>);

impl StreamSpawner {
    /// A stream for a request that has come; `None` when its client has as many places as it may have.
    pub(in crate::server) fn stream(&self, ticket: &ConnectionPermit) -> Option<Arc<Http2Stream>> {
        let is_first = self.0.alive.load(Ordering::Relaxed) == 0;
        let place = if is_first {
            None
        } else {
            Some(ticket.acquire_for_stream()?)
        };
        self.0.alive.fetch_add(1, Ordering::Relaxed);
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let wait = StreamTimeout::new(self.0.body_timeout);
        let stream = Arc::new(Http2Stream {
            alive: Arc::clone(&self.0.alive),
            _place: place,
            came: AtomicU64::new(0),
            is_wanted: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            sent: AtomicU64::new(0),
            pieces: AtomicUsize::new(0),
            writer: AtomicWaker::new(),
            is_given_up: AtomicBool::new(false),
            worker: AtomicWaker::new(),
            is_done: AtomicBool::new(false),
            waits: Mutex::new((wait, wait)),
        });
        self.0.all.lock().push(Arc::downgrade(&stream));
        *self.0.latest.lock() = Some(Arc::clone(&stream));
        Some(stream)
    }
}

impl<F> Executor<F> for StreamSpawner
where
    F: Future + Send + 'static,
{
    /// The library calls it right after it got the answer's future, with what asks that future and sends the answer.
    fn execute(&self, work: F) {
        let Some(stream) = self.0.latest.lock().take() else {
            return self
                .0
                .fresh
                .lock()
                .0
                .push(Box::pin(async { drop(work.await) }));
        };
        let work = async move {
            {
                let mut work = pin!(work);
                let ended = poll_fn(|cx| {
                    stream.worker.register(cx.waker());
                    let is_over = stream.is_given_up.load(Ordering::Relaxed);
                    // Where it can, it resets the stream; where it waits for a window, dropping it does.
                    if work.as_mut().poll(cx).is_ready() || is_over {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                ended.await;
            }
            stream.is_done.store(true, Ordering::Relaxed);
        };
        self.0.fresh.lock().0.push(Box::pin(work));
    }
}

/// Runs the streams of a connection, and watches over their clients.
pub(in crate::server) struct Streams {
    shared: Arc<StreamRegistry>,
    running: FuturesUnordered<StreamTask>,
    clock: Pin<Box<Sleep>>,
    tick: Duration,
    /// The clock was last looked at.
    looked: Instant,
    /// How many had been asked then.
    asked: usize,
    idle_since: Instant,
    /// How long nothing may be under way.
    idle: Duration,
    is_closing: bool,
}

impl Streams {
    /// For a connection that may be idle for so long, with the time for a pause in a body or an answer.
    pub(in crate::server) fn new(idle: Duration, body_timeout: Duration) -> (Self, StreamSpawner) {
        let shared = Arc::new(StreamRegistry {
            alive: Arc::default(),
            asked: AtomicUsize::new(0),
            body_timeout,
            latest: Mutex::default(),
            all: Mutex::default(),
            fresh: Mutex::default(),
        });
        let now = Instant::now();
        let streams = Self {
            shared: Arc::clone(&shared),
            running: FuturesUnordered::new(),
            clock: Box::pin(sleep_until(now + idle)),
            tick: TICK.min(body_timeout / 8).max(CLOSING),
            looked: now,
            asked: 0,
            idle_since: now,
            idle,
            is_closing: false,
        };
        (streams, StreamSpawner(shared))
    }

    /// From now on the connection ends soon after the last stream has.
    pub(in crate::server) fn close(&mut self, patience: Duration) {
        (self.is_closing, self.idle, self.idle_since) = (true, patience, Instant::now());
        self.clock.as_mut().reset(self.idle_since + CLOSING);
    }

    /// Runs a connection to its end; `close` tells it to end when it was idle for long, and then it has `patience` for that.
    pub(in crate::server) async fn run<C>(
        &mut self,
        mut connection: Pin<&mut C>,
        close: impl Fn(Pin<&mut C>),
        patience: Duration,
    ) -> io::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(ended.map_err(io::Error::other));
                }
                self.work(cx);
                match self.check_timeouts(cx) {
                    TimeoutCheck::Fine => return Poll::Pending,
                    TimeoutCheck::Untaken => {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    TimeoutCheck::Idle => {
                        close(connection.as_mut());
                        self.close(patience);
                    }
                }
            }
        })
        .await
    }

    fn work(&mut self, cx: &mut Context<'_>) {
        self.running.extend(self.shared.fresh.lock().0.drain(..));
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
    }

    fn check_timeouts(&mut self, cx: &mut Context<'_>) -> TimeoutCheck {
        loop {
            let is_busy = self.shared.alive.load(Ordering::Relaxed) > 0;
            let now = Instant::now();
            if self.clock.as_mut().poll(cx).is_pending() {
                if !is_busy || self.clock.deadline() <= now + self.tick {
                    return TimeoutCheck::Fine;
                }
                // It was set for a connection with nothing to do.
                self.looked = now;
                self.clock.as_mut().reset(now + self.tick);
                continue;
            }
            let passed = now - std::mem::replace(&mut self.looked, now);
            if self.check_streams(passed) == TimeoutCheck::Untaken {
                return TimeoutCheck::Untaken;
            }
            let asked = self.shared.asked.load(Ordering::Relaxed);
            if is_busy || std::mem::replace(&mut self.asked, asked) != asked {
                self.idle_since = now;
            }
            let idle_until = self.idle_since + self.idle;
            if idle_until <= now {
                return if self.is_closing {
                    TimeoutCheck::Untaken
                } else {
                    TimeoutCheck::Idle
                };
            }
            let next = if is_busy { now + self.tick } else { idle_until };
            self.clock.as_mut().reset(if self.is_closing {
                next.min(now + CLOSING)
            } else {
                next
            });
        }
    }

    fn check_streams(&self, passed: Duration) -> TimeoutCheck {
        let mut found = TimeoutCheck::Fine;
        self.shared.all.lock().retain(|stream| {
            let Some(stream) = stream.upgrade() else {
                return false;
            };
            if stream.check_timeouts(passed) == TimeoutCheck::Untaken {
                found = TimeoutCheck::Untaken;
            }
            true
        });
        found
    }
}
