//! The one thread that changes the store: waiting batches are judged in order, journaled as one record with one fsync,
//! and only then seen by readers and acknowledged; the fsync of a group that was committed lazily rides with the next one. Checkpoints bring them to sled: when the journal is full, when nobody
//! has changed anything for a while, at the end. After any failure of the disk nothing is tried again.

use super::checkpoint::{SledBase, WriteResult};
use super::journal::{Journal, JournalEntry};
use super::store_lock::StoreLock;
use super::{BATCH_LIMIT, StoreState, size};
use crate::model::{Error, Result};
use crate::state::{Batch, StoreChange};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Where the outcome of a job goes.
type Reply = oneshot::Sender<Result<()>>;

/// When a batch reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fsync {
    /// Before it is acknowledged.
    Now,
    /// With the next one that does, or within seconds.
    Later,
}

/// A batch that waits.
type QueuedBatch = (Batch, Fsync, Reply);

/// What the writer is asked to do.
pub(super) enum WriterJob {
    /// Apply a batch.
    Commit(Batch, Fsync, Reply),
    /// Write everything and let go of the files.
    Close(Reply),
}

/// Keys and their new values (`None`: deleted), not yet seen by readers.
type Staged = HashMap<String, Option<String>>;

/// The state of the writer thread.
pub(super) struct StoreWriter {
    base: SledBase,
    /// `None` until the first change.
    journal: Option<Journal>,
    /// Keys whose journaled values sled does not have yet.
    pending: HashSet<String>,
    owner: StoreLock,
    shared: Arc<StoreState>,
    idle: Duration,
    full: bool,
    /// Since when a record waits for its fsync.
    behind: Option<Instant>,
}

impl StoreWriter {
    pub(super) fn new(
        base: SledBase,
        (journal, pending): (Option<Journal>, HashSet<String>),
        owner: StoreLock,
        shared: Arc<StoreState>,
        idle: Duration,
    ) -> Self {
        Self {
            base,
            journal,
            pending,
            owner,
            shared,
            idle,
            full: false,
            behind: None,
        }
    }

    /// Works until it is told to close, or all who could tell it are gone.
    pub(super) fn run(mut self, jobs: &Receiver<WriterJob>) {
        let closing = loop {
            let job = match self.next(jobs) {
                Ok(job) => job,
                Err(RecvTimeoutError::Disconnected) => break None,
                Err(RecvTimeoutError::Timeout) => {
                    self.rest();
                    continue;
                }
            };
            let (group, closing) = gather(job, jobs);
            if !group.is_empty() {
                self.commit(group);
            }
            if closing.is_some() {
                break closing;
            }
        };
        self.rest();
        self.shared.records.write().take();
        self.shared.changes.lock().take();
        let closed = self.close();
        if let Some(reply) = closing {
            let _ = reply.send(closed);
        }
    }

    /// Waits for a job; while there is something to checkpoint, not for ever.
    fn next(&self, jobs: &Receiver<WriterJob>) -> Result<WriterJob, RecvTimeoutError> {
        if self.pending.is_empty() || self.is_broken() {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(self.idle)
        }
    }

    /// A checkpoint while there is time for it; on a full disk the journal keeps what it has.
    fn rest(&mut self) {
        if self.is_broken() || self.pending.is_empty() || !self.attempt(Self::sync) {
            return;
        }
        if self.base.has_room() {
            self.attempt(Self::checkpoint);
        }
    }

    fn commit(&mut self, group: Vec<QueuedBatch>) {
        if let Some(refusal) = self.refusal() {
            for (.., reply) in group {
                let _ = reply.send(Err(refusal()));
            }
            return;
        }
        let mut staged = Staged::new();
        let mut sync = Fsync::Later;
        let judged: Vec<_> = group
            .into_iter()
            .map(|(batch, wanted, reply)| {
                // A refusal rests on what is seen, and an empty batch may be asked for to make that durable.
                sync = if wanted == Fsync::Now {
                    Fsync::Now
                } else {
                    sync
                };
                let changed = self
                    .expectations_hold(&batch, &staged)
                    .then(|| stage(batch, &mut staged));
                (changed, reply)
            })
            .collect();
        let written = self.attempt(|writer| writer.record(&staged, sync));
        if written {
            self.publish(staged);
        }
        let mut told = Vec::with_capacity(judged.len());
        for (changed, reply) in judged {
            let answer = match changed {
                _ if !written => Err(Error::ReadOnly),
                None => Err(Error::Conflict),
                Some(keys) => {
                    told.push(keys);
                    Ok(())
                }
            };
            let _ = reply.send(answer);
        }
        // Whoever waits for a commit does not wait until all who follow it are woken.
        for keys in told {
            self.notify(keys);
        }
    }

    /// Refuses while the disk is full (and recovers by itself), and for good after a failure.
    fn refusal(&mut self) -> Option<fn() -> Error> {
        if self.is_broken() {
            return Some(|| Error::ReadOnly);
        }
        let full = !self.base.has_room();
        if full != self.full {
            self.full = full;
            if full {
                tracing::error!(
                    "the disk is almost full: nothing can be changed until there is room"
                );
            } else {
                tracing::info!("there is room on the disk again: changes are possible");
                self.base.restore_ballast();
            }
        }
        if full { Some(|| Error::NoSpace) } else { None }
    }

    fn expectations_hold(&self, batch: &Batch, staged: &Staged) -> bool {
        let records = self.shared.records.read();
        batch.expect.iter().all(|(key, expected)| {
            let present = match staged.get(key) {
                Some(value) => value.as_ref(),
                None => records.as_ref().and_then(|records| records.get(key)),
            };
            present == expected.as_ref()
        })
    }

    /// Whether it was done; after a failure, whether an error or a panic of sled's, the store stays read-only.
    fn attempt(&mut self, deed: impl FnOnce(&mut Self) -> WriteResult) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| deed(self)));
        let error = match done {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error,
            Err(_) => "sled panicked".to_owned(),
        };
        tracing::error!(
            error,
            "the state store could not be written: it is read-only until the next start"
        );
        self.shared.broken.store(true, Ordering::Relaxed);
        false
    }

    /// Writes changes, and makes them durable with all before them: at once, or when that has waited long enough.
    fn record(&mut self, staged: &Staged, sync: Fsync) -> WriteResult {
        if !staged.is_empty() {
            self.append(staged)?;
        }
        let has_waited = self
            .behind
            .is_some_and(|since| since.elapsed() >= self.idle);
        if sync == Fsync::Now || has_waited {
            self.sync()
        } else {
            Ok(())
        }
    }

    /// Makes what was written durable.
    fn sync(&mut self) -> WriteResult {
        self.behind = None;
        match self.journal.as_mut().filter(|journal| journal.needs_sync()) {
            Some(journal) => journal.sync().map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    fn append(&mut self, staged: &Staged) -> WriteResult {
        let entry = JournalEntry::new(
            staged
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_deref())),
        );
        if self
            .journal
            .as_ref()
            .is_some_and(|journal| !journal.fits(&entry))
        {
            self.checkpoint()?;
        }
        let journal = match &mut self.journal {
            Some(journal) => journal,
            none => none.insert(self.base.create_journal()?),
        };
        journal.append(entry).map_err(|e| e.to_string())?;
        self.behind.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Brings all that is journaled to sled, and only when it is durable there begins the journal anew.
    fn checkpoint(&mut self) -> WriteResult {
        // sled must not know a change that the journal could still lose: half of what was committed together might stay.
        self.sync()?;
        let Some(journal) = self.journal.as_mut().filter(|journal| !journal.is_empty()) else {
            return Ok(());
        };
        self.base
            .write_records(&self.pending, &self.shared.records)?;
        journal.reset().map_err(|e| e.to_string())?;
        self.pending.clear();
        Ok(())
    }

    /// Lets readers see what is written.
    fn publish(&mut self, staged: Staged) {
        if let Some(records) = self.shared.records.write().as_mut() {
            for (key, value) in staged {
                self.pending.insert(key.clone());
                match value {
                    Some(value) => records.insert(key, value),
                    None => records.remove(&key),
                };
            }
        }
    }

    fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Relaxed)
    }

    fn notify(&self, keys: Vec<String>) {
        if let Some(sender) = self.shared.changes.lock().as_ref()
            && !keys.is_empty()
            && sender.receiver_count() > 0
        {
            let _ = sender.send(StoreChange::Keys(keys));
        }
    }

    fn close(self) -> Result<()> {
        let broken = self.is_broken();
        let closed = self.base.close();
        drop(self.owner);
        if broken {
            return Err(Error::ReadOnly);
        }
        closed.map_err(|error| Error::io("close the state store", std::io::Error::other(error)))
    }
}

/// All batches that wait already, up to a size that always fits into the journal, and a wish to close after them.
fn gather(first: WriterJob, jobs: &Receiver<WriterJob>) -> (Vec<QueuedBatch>, Option<Reply>) {
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(job) = next {
        match job {
            WriterJob::Close(reply) => return (group, Some(reply)),
            WriterJob::Commit(batch, sync, reply) => {
                bytes += size(&batch);
                group.push((batch, sync, reply));
            }
        }
        next = if bytes < BATCH_LIMIT / 4 && group.len() < 256 {
            jobs.try_recv().ok()
        } else {
            None
        };
    }
    (group, None)
}

/// Adds the changes of a batch and says which keys they touch; what one batch both puts and deletes is gone.
fn stage(batch: Batch, staged: &mut Staged) -> Vec<String> {
    let mut keys = Vec::with_capacity(batch.put.len() + batch.delete.len());
    for (key, value) in batch.put {
        keys.push(key.clone());
        staged.insert(key, Some(value));
    }
    for key in batch.delete {
        keys.push(key.clone());
        staged.insert(key, None);
    }
    keys
}
