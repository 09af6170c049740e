//! What waits to be written to the log. One thread writes it: whoever adds a line never waits for whoever reads the log.

use parking_lot::{Condvar, Mutex};
use std::io::Write;
use std::time::{Duration, Instant};

/// How long lines that nobody has to see at once may wait.
const PERIOD: Duration = Duration::from_millis(200);
/// What waits in memory before the thread is woken.
const CAPACITY: usize = 128 << 10;
/// What waits at most: lines beyond it are lost, and counted.
const MAX_WAITING: usize = 4 << 20;

/// Lines on their way to the log.
#[derive(Debug, Default)]
pub(super) struct LogQueue {
    waiting: Mutex<WaitingLines>,
    /// Wakes the thread that writes.
    wake: Condvar,
    /// Told after each writing.
    written: Condvar,
}

#[derive(Debug, Default)]
struct WaitingLines {
    text: Vec<u8>,
    /// How many lines had no room since the last writing.
    lost: u64,
    /// Whether the thread is not to wait for more.
    urgent: bool,
    /// Whether lines are being written at this moment.
    writing: bool,
}

impl LogQueue {
    /// Adds the one line that `write` appends; `urgent` has it written at once.
    pub fn add(&self, urgent: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.waiting.lock();
        if waiting.text.len() >= MAX_WAITING {
            waiting.lost += 1;
            return;
        }
        write(&mut waiting.text);
        if !waiting.urgent && (urgent || waiting.text.len() > CAPACITY) {
            waiting.urgent = true;
            self.wake.notify_one();
        }
    }

    /// Writes out what waits, or waits for that a while first. `text` is room that is used again; `lost` makes the line that tells how
    /// many lines were lost.
    pub fn write_once(
        &self,
        text: &mut Vec<u8>,
        sink: &mut impl Write,
        lost: impl FnOnce(u64) -> Vec<u8>,
    ) {
        text.clear();
        text.shrink_to(2 * CAPACITY);
        let mut waiting = self.waiting.lock();
        if !waiting.urgent {
            self.wake.wait_for(&mut waiting, PERIOD);
        }
        std::mem::swap(text, &mut waiting.text);
        let missing = std::mem::take(&mut waiting.lost);
        waiting.urgent = false;
        waiting.writing = true;
        drop(waiting);
        if missing > 0 {
            text.extend_from_slice(&lost(missing));
        }
        if !text.is_empty() {
            // There is nowhere to report a log that cannot be written.
            let _ = sink.write_all(text).and_then(|()| sink.flush());
        }
        self.waiting.lock().writing = false;
        self.written.notify_all();
    }

    /// Waits until everything is written, for at most so long; returns whether it is.
    pub fn drain(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut waiting = self.waiting.lock();
        while waiting.writing || !waiting.text.is_empty() {
            waiting.urgent = true;
            self.wake.notify_one();
            if self.written.wait_until(&mut waiting, end).timed_out() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(queue: &LogQueue, line: &[u8]) {
        queue.add(false, |text| text.extend_from_slice(line));
    }

    fn count(lost: u64) -> Vec<u8> {
        format!("{lost} lost\n").into_bytes()
    }

    #[test]
    fn lines_beyond_what_may_wait_are_lost_and_counted() {
        let queue = LogQueue::default();
        let line = vec![b'a'; MAX_WAITING / 4];
        for _ in 0..7 {
            add(&queue, &line);
        }
        let mut sink = Vec::new();
        queue.write_once(&mut Vec::new(), &mut sink, count);
        assert_eq!(sink.len(), MAX_WAITING + "3 lost\n".len());
        assert!(sink.ends_with(b"a3 lost\n"));
        sink.clear();
        add(&queue, b"next\n");
        queue.write_once(&mut Vec::new(), &mut sink, count);
        assert_eq!(sink, b"next\n");
    }

    #[test]
    fn the_end_waits_for_the_writer_and_no_longer_than_it_may() {
        let queue = LogQueue::default();
        assert!(queue.drain(Duration::ZERO), "nothing waits");
        add(&queue, b"line\n");
        assert!(!queue.drain(Duration::from_millis(20)), "nobody writes");
        let sink = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut sink = Vec::new();
                queue.write_once(&mut Vec::new(), &mut sink, count);
                sink
            });
            assert!(queue.drain(Duration::from_secs(20)));
            writer.join().unwrap()
        });
        assert_eq!(sink, b"line\n");
    }
}
