//! One single-threaded runtime for each core. A connection stays on the core it was given to, so that what it waits for wakes that core and no other.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many threads wait for the disk at most, for all cores together as far as each has some.
const MAX_WAITING: usize = 512;

/// Threads that serve connections until they are dropped, which waits for them and takes what still runs there along: so what outlives its
/// connection has to end before.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Core>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Core {
    runtime: Handle,
    /// Ends its thread when dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cores {
    /// Starts a thread for each core that this process may use.
    pub fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let waiting = (MAX_WAITING / count).max(8);
        let cores = (0..count).map(|number| Core::start(number, waiting)).collect::<io::Result<_>>()?;
        Ok(Self { cores, next: AtomicUsize::new(0) })
    }

    /// How many tasks there are on all of them.
    pub fn tasks(&self) -> usize {
        self.cores.iter().map(|core| core.runtime.metrics().num_alive_tasks()).sum()
    }

    /// Where the next connection goes: to each in turn.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.cores.len())?;
        self.cores.get(turn).map(|core| &core.runtime)
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        for core in &mut self.cores {
            core.stop.take();
        }
        for thread in self.cores.iter_mut().filter_map(|core| core.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Core {
    fn start(number: usize, waiting: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().max_blocking_threads(waiting).enable_all().build()?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
        let serve = move || {
            // Nothing is ever sent.
            let _ = runtime.block_on(stopped);
        };
        let thread = thread::Builder::new().name(format!("core-{number}")).spawn(serve)?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }
}
