//! The one thread that changes the store: waiting batches are judged in order, written to sled as one step,
//! fsynced once, and only then seen by readers and acknowledged. After any failure of the disk nothing is tried again.

use super::disk::Disk;
use super::owner::Owner;
use super::{BATCH_LIMIT, Shared};
use crate::model::{Error, Result};
use crate::store::{Batch, Change};
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// Where the outcome of a job goes.
type Reply = oneshot::Sender<Result<()>>;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Apply a batch.
    Commit(Batch, Reply),
    /// Write everything and let go of the files.
    Close(Reply),
}

/// Keys and their new values (`None`: deleted), not yet durable.
type Staged = HashMap<String, Option<String>>;

/// The state of the writer thread.
pub(super) struct Writer {
    db: ManuallyDrop<::sled::Db>,
    disk: Disk,
    owner: Owner,
    shared: Arc<Shared>,
    full: bool,
}

impl Writer {
    pub(super) fn new(db: ::sled::Db, disk: Disk, owner: Owner, shared: Arc<Shared>) -> Self {
        Self { db: ManuallyDrop::new(db), disk, owner, shared, full: false }
    }

    /// Works until it is told to close, or all who could tell it are gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let closing = loop {
            let Ok(job) = jobs.recv() else { break None };
            let (group, closing) = gather(job, jobs);
            if !group.is_empty() {
                self.commit(group);
            }
            if closing.is_some() {
                break closing;
            }
        };
        self.shared.records.write().take();
        self.shared.changes.lock().take();
        let closed = self.close();
        if let Some(reply) = closing {
            let _ = reply.send(closed);
        }
    }

    fn commit(&mut self, group: Vec<(Batch, Reply)>) {
        if let Some(refusal) = self.refusal() {
            for (_, reply) in group {
                let _ = reply.send(Err(refusal()));
            }
            return;
        }
        let mut staged = Staged::new();
        let judged: Vec<_> = group
            .into_iter()
            .map(|(batch, reply)| {
                let changed = self.holds(&batch, &staged).then(|| stage(batch, &mut staged));
                (changed, reply)
            })
            .collect();
        let durable = staged.is_empty() || self.write(&staged);
        if durable {
            self.publish(staged);
        }
        for (changed, reply) in judged {
            let answer = match changed {
                _ if !durable => Err(Error::ReadOnly),
                None => Err(Error::Conflict),
                Some(keys) => {
                    self.tell(keys);
                    Ok(())
                }
            };
            let _ = reply.send(answer);
        }
    }

    /// Refuses while the disk is full (and recovers by itself), and for good after a failure.
    fn refusal(&mut self) -> Option<fn() -> Error> {
        if self.is_broken() {
            return Some(|| Error::ReadOnly);
        }
        let full = !self.disk.has_room();
        if full != self.full {
            self.full = full;
            if full {
                tracing::error!("the disk is almost full: nothing can be changed until there is room");
            } else {
                tracing::info!("there is room on the disk again: changes are possible");
                self.disk.settle_ballast();
            }
        }
        if full { Some(|| Error::NoSpace) } else { None }
    }

    fn holds(&self, batch: &Batch, staged: &Staged) -> bool {
        let records = self.shared.records.read();
        batch.expect.iter().all(|(key, expected)| {
            let present = match staged.get(key) {
                Some(value) => value.as_ref(),
                None => records.as_ref().and_then(|records| records.get(key)),
            };
            present == expected.as_ref()
        })
    }

    /// Writes and fsyncs; after a failure, whether sled's error or its panic, the store stays read-only.
    fn write(&mut self, staged: &Staged) -> bool {
        let written = catch_unwind(AssertUnwindSafe(|| {
            apply(&self.db, staged).map_err(|e| e.to_string())?;
            self.db.flush().map_err(|e| e.to_string())?;
            self.disk.sync().map_err(|e| e.to_string())
        }));
        let error = match written {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error,
            Err(_) => "sled panicked".to_owned(),
        };
        tracing::error!(error, "the state store could not be written: it is read-only until the next start");
        self.shared.broken.store(true, Ordering::Relaxed);
        false
    }

    fn publish(&self, staged: Staged) {
        if let Some(records) = self.shared.records.write().as_mut() {
            for (key, value) in staged {
                match value {
                    Some(value) => records.insert(key, value),
                    None => records.remove(&key),
                };
            }
        }
    }

    fn tell(&self, keys: Vec<String>) {
        if let Some(sender) = self.shared.changes.lock().as_ref()
            && !keys.is_empty()
            && sender.receiver_count() > 0
        {
            let _ = sender.send(Change::Keys(keys));
        }
    }

    fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Relaxed)
    }

    /// sled flushes and fsyncs once more as it is dropped, and panics when that fails.
    fn close(mut self) -> Result<()> {
        let broken = self.is_broken();
        let db = ManuallyDrop::into_inner(self.db);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(db)));
        let synced = if broken { Ok(()) } else { self.disk.sync() };
        drop(self.owner);
        if broken || dropped.is_err() {
            return Err(Error::ReadOnly);
        }
        synced.map_err(|e| Error::io("fsync the state store", e))
    }
}

/// One key is one message of sled's log and whole by itself; a batch of sled's costs a second write and wake-up of
/// its threads.
fn apply(db: &::sled::Db, staged: &Staged) -> ::sled::Result<()> {
    let mut batch = ::sled::Batch::default();
    for (key, value) in staged {
        match value {
            Some(value) if staged.len() == 1 => return db.insert(key, value.as_bytes()).map(drop),
            None if staged.len() == 1 => return db.remove(key).map(drop),
            Some(value) => batch.insert(key.as_bytes(), value.as_bytes()),
            None => batch.remove(key.as_bytes()),
        }
    }
    db.apply_batch(batch)
}

/// All batches that wait already, up to a size that sled can take between two fsyncs, and a wish to close after them.
fn gather(first: Job, jobs: &Receiver<Job>) -> (Vec<(Batch, Reply)>, Option<Reply>) {
    let (mut group, mut bytes, mut next) = (Vec::new(), 0, Some(first));
    while let Some(job) = next {
        match job {
            Job::Close(reply) => return (group, Some(reply)),
            Job::Commit(batch, reply) => {
                bytes += batch.put.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
                group.push((batch, reply));
            }
        }
        next = if bytes < BATCH_LIMIT / 4 && group.len() < 256 { jobs.try_recv().ok() } else { None };
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
