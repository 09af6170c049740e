//! One single-threaded runtime for each core. A connection stays on the core it was given to, so that what it waits for wakes that core and no other.

use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many threads of one core wait at most. It is more than wait for the files of all accounts together, which have a bound of their own,
/// so that whatever hangs leaves some.
const MAX_WAITING: usize = 512;

/// After which a core that was asked and says nothing gets no more connections.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long what waits for a disk is waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Threads that serve connections until they are dropped, which waits for them and takes what still runs there along: so what outlives its
/// connection has to end before.
#[derive(Debug)]
pub struct WorkerPool {
    cores: Vec<WorkerRuntime>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct WorkerRuntime {
    runtime: Handle,
    /// Since when it is asked whether it goes on; `None` once it has said so.
    asked: Arc<Mutex<Option<Instant>>>,
    /// Ends its thread when dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerPool {
    /// Starts a thread for each core that this process may use.
    pub fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let cores = (0..count)
            .map(WorkerRuntime::start)
            .collect::<io::Result<_>>()?;
        Ok(Self {
            cores,
            next: AtomicUsize::new(0),
        })
    }

    /// The runtime that this is called on, as if it were a core: for connections that shall keep no core from its work.
    pub(super) fn current_runtime() -> Self {
        let core = WorkerRuntime {
            runtime: Handle::current(),
            asked: Arc::default(),
            stop: None,
            thread: None,
        };
        Self {
            cores: vec![core],
            next: AtomicUsize::new(0),
        }
    }

    /// How many tasks there are on all of them.
    pub fn tasks(&self) -> usize {
        self.cores
            .iter()
            .map(|core| core.runtime.metrics().num_alive_tasks())
            .sum()
    }

    /// Where the next connection goes: to each in turn, but to none that a disk which hangs keeps from its work while another goes on.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self
            .next
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(self.cores.len())?;
        let (before, from) = self.cores.split_at_checked(turn)?;
        let core = from
            .iter()
            .chain(before)
            .find(|core| core.is_responsive())
            .or(from.first())?;
        core.probe();
        Some(&core.runtime)
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        for core in &mut self.cores {
            core.stop.take();
        }
        for thread in self.cores.iter_mut().filter_map(|core| core.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl WorkerRuntime {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(MAX_WAITING)
            .enable_all()
            .build()?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
        let serve = move || {
            // Nothing is ever sent.
            let _ = runtime.block_on(stopped);
            // A disk that hangs does not keep the process.
            runtime.shutdown_timeout(LAST_WAIT);
        };
        let thread = thread::Builder::new()
            .name(format!("core-{number}"))
            .spawn(serve)?;
        Ok(Self {
            runtime: handle,
            asked: Arc::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Whether it has said lately that it goes on, or has not been asked for long.
    fn is_responsive(&self) -> bool {
        self.asked
            .lock()
            .is_none_or(|asked| asked.elapsed() < PATIENCE)
    }

    fn probe(&self) {
        let mut asked = self.asked.lock();
        if asked.is_none() {
            *asked = Some(Instant::now());
            let answered = Arc::clone(&self.asked);
            self.runtime.spawn(async move { answered.lock().take() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_core_that_does_not_go_on_gets_no_more_connections_until_it_does() {
        let cores = WorkerPool {
            cores: (0..2).map(|n| WorkerRuntime::start(n).unwrap()).collect(),
            next: AtomicUsize::new(0),
        };
        let ids = || {
            (0..6)
                .map(|_| cores.next().unwrap().id())
                .collect::<Vec<_>>()
        };
        let first = cores.cores[0].runtime.id();
        let second = cores.cores[1].runtime.id();
        assert_eq!(ids(), [first, second].repeat(3));
        let (disk, waits) = mpsc::channel::<()>();
        cores.cores[0].runtime.spawn(async move { waits.recv() });
        while cores.next().is_some() && cores.cores[0].is_responsive() {
            thread::sleep(PATIENCE / 10);
        }
        assert_eq!(ids(), [second; 6]);
        drop(disk);
        while !cores.cores[0].is_responsive() {
            thread::sleep(PATIENCE / 10);
        }
        assert!(ids().contains(&first));
    }
}
