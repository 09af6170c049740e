//! The embedded engine: a journal that makes commits durable, sled 0.34.7 where checkpoints bring them, a copy of all
//! records in memory for reads, one writer thread. On disk: `owner` (lock and process id), `journal`, `db/` (sled),
//! `exports/` (newest seven), `ballast`, `broken-<time>/`. Full disk: commits fail with `NoSpace` before anything is
//! touched; what a checkpoint needs is allocated behind sled's log beforehand. Opening needs a few KiB for sled's snapshot,
//! which `ballast` sets aside; so a store opens on a full disk with all its records, and writes again once there is room.

mod checkpoint;
mod disk;
mod export;
#[cfg(test)]
mod faults;
mod journal;
#[cfg(test)]
mod journal_tests;
mod recovery;
mod store_lock;
#[cfg(test)]
mod tests;
mod writer;

use super::{Batch, ChangeStream, StateStore};
use crate::metrics::Durations;
use crate::model::{Error, Result};
use async_trait::async_trait;
use checkpoint::SledBase;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast;
use writer::{Fsync, StoreWriter, WriterJob};

/// Everything that is remembered, in byte order of the keys.
pub type RecordMap = BTreeMap<String, String>;

/// The format of what lies in `db/` and of exports; a store with a higher number is refused.
const VERSION: u32 = 2;
/// The version of a store that has no journal, or not yet: one that lies there is not its own.
const UNJOURNALED: u32 = 1;
/// Where the version stands in sled; no record of a caller.
const VERSION_KEY: &str = "meta/version";
/// Largest key and value together: sled keeps records below this in its log.
const RECORD_LIMIT: usize = 32 * 1024;
/// Largest batch: below two of sled's segments, so that sled never reuses a segment between two of our fsyncs.
const BATCH_LIMIT: usize = 256 * 1024;
/// What a change to a key counts beside its text; the journal needs half of that.
const CHANGE_COST: usize = 16;
/// Length of the journal: thousands of small commits, and any group of large ones.
const JOURNAL: usize = 2 << 20;

/// How careful the engine is with its disk.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Commits are refused while the file system has fewer free bytes than this.
    pub min_free: u64,
    /// Bytes set aside so that the store can be opened on a full disk.
    pub ballast: u64,
    /// Length of a new journal.
    journal: usize,
    /// How long nobody changes anything before a checkpoint.
    idle: Duration,
    /// Whether commits are fsynced; only tests that prove its worth switch it off.
    fsync: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_free: 64 << 20,
            ballast: 8 << 20,
            journal: JOURNAL,
            idle: Duration::from_secs(5),
            fsync: true,
        }
    }
}

/// What the callers and the writer thread share.
#[derive(Debug)]
struct StoreState {
    /// The durable records; `None` once closed.
    records: RwLock<Option<RecordMap>>,
    /// Whether an I/O error has ended all changes.
    broken: AtomicBool,
    /// Tells of changes; `None` once closed.
    changes: Mutex<Option<broadcast::Sender<super::StoreChange>>>,
}

/// The embedded state store; opened by one process at a time.
#[derive(Debug)]
pub struct SledStore {
    dir: PathBuf,
    settings: Settings,
    shared: Arc<StoreState>,
    jobs: Mutex<Option<mpsc::Sender<WriterJob>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// How long commits took that waited for the disk, and those that did not.
    commits: [Durations; 2],
}

impl SledStore {
    /// Opens or creates the store in `dir` (the data folder's `state`), repairing what a crash has left.
    ///
    /// `Io` of kind `ResourceBusy` when another process has it open, `Corrupt` when neither the store nor an export
    /// of it can be read or a newer program wrote it, `NoSpace` when the disk is too full even to open it.
    pub fn open(dir: &Path) -> Result<Arc<Self>> {
        Self::open_with(dir, Settings::default())
    }

    /// [`SledStore::open`] with other limits.
    pub fn open_with(dir: &Path, settings: Settings) -> Result<Arc<Self>> {
        disk::create_durably(dir)?;
        let owner = store_lock::StoreLock::take(dir)?;
        let mut opened = recovery::open(dir, settings)?;
        let disk = disk::SledFiles::open(dir, settings)?;
        let journal = recovery::read_journal(dir, &mut opened, settings)?;
        let shared = Arc::new(StoreState {
            records: RwLock::new(Some(opened.records)),
            broken: AtomicBool::new(false),
            changes: Mutex::new(Some(broadcast::Sender::new(1024))),
        });
        let (jobs, waiting) = mpsc::channel();
        let base = SledBase::new(opened.db, disk);
        let writer = StoreWriter::new(base, journal, owner, Arc::clone(&shared), settings.idle);
        let thread = std::thread::Builder::new()
            .name("state-store".into())
            .spawn(move || writer.run(&waiting))
            .map_err(|e| Error::io("start the state store's thread", e))?;
        let jobs = Mutex::new(Some(jobs));
        let thread = Mutex::new(Some(thread));
        let commits = Default::default();
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            settings,
            shared,
            jobs,
            thread,
            commits,
        }))
    }

    /// Writes all records to a new file in `dir` (JSON lines with a checksum) and keeps the newest seven there.
    pub fn export(&self, dir: &Path) -> Result<PathBuf> {
        disk::require_room(&self.dir, self.settings.min_free)?;
        let text = match self.shared.records.read().as_ref() {
            Some(records) => export::render(records)?,
            None => return Err(Error::ReadOnly),
        };
        export::write(dir, &text, SystemTime::now())
    }

    /// The export a daily job makes: into the store's own `exports`, where recovery looks for it.
    pub fn export_daily(&self) -> Result<PathBuf> {
        self.export(&export::folder(&self.dir))
    }

    /// When the newest of the store's own exports was made; `None` when there is none.
    pub fn newest_export(&self) -> Result<Option<SystemTime>> {
        let newest = export::list(&export::folder(&self.dir))?.pop();
        newest
            .map(|path| std::fs::metadata(path)?.modified())
            .transpose()
            .map_err(|e| Error::io("look at exports", e))
    }

    /// Replaces the closed store in `dir` by the records of an export; what stood there is kept as `broken-<time>`.
    pub fn replace(dir: &Path, records: &RecordMap) -> Result<()> {
        disk::create_durably(dir)?;
        let _owner = store_lock::StoreLock::take(dir)?;
        recovery::replace(dir, records, UNJOURNALED)
    }

    /// What an export holds; `Corrupt` unless it is whole.
    pub fn read_export(export: &Path) -> Result<RecordMap> {
        export::read(export)
    }

    /// The store's own exports, oldest first.
    pub fn exports(dir: &Path) -> Result<Vec<PathBuf>> {
        export::list(&export::folder(dir))
    }

    async fn apply(&self, batch: Batch, sync: Fsync) -> Result<()> {
        check_size(&batch)?;
        let began = Instant::now();
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(WriterJob::Commit(batch, sync, reply))?;
        let outcome = answer.await.unwrap_or(Err(Error::ReadOnly));
        let [now, later] = self.commits();
        if sync == Fsync::Now { now } else { later }.note(began.elapsed());
        outcome
    }

    /// How long commits took: those that waited for the disk, and those that did not.
    pub fn commits(&self) -> [&Durations; 2] {
        self.commits.each_ref()
    }

    fn send(&self, job: WriterJob) -> Result<()> {
        let jobs = self.jobs.lock();
        jobs.as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .ok_or(Error::ReadOnly)
    }

    /// Lets the writer finish what it was given, and waits for it.
    fn join_writer(&self) {
        drop(self.jobs.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the state store's thread panicked");
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.join_writer();
    }
}

#[async_trait]
impl StateStore for SledStore {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let records = self.shared.records.read();
        Ok(records.as_ref().ok_or(Error::ReadOnly)?.get(key).cloned())
    }

    async fn scan(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, String)>> {
        let records = self.shared.records.read();
        let start = if after >= prefix {
            Bound::Excluded(after)
        } else {
            Bound::Included(prefix)
        };
        let found = records
            .as_ref()
            .ok_or(Error::ReadOnly)?
            .range::<str, _>((start, Bound::Unbounded));
        let pairs = found
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit);
        Ok(pairs
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.apply(batch, Fsync::Now).await
    }

    async fn commit_lazily(&self, batch: Batch) -> Result<()> {
        self.apply(batch, Fsync::Later).await
    }

    fn is_writable(&self) -> bool {
        !self.shared.broken.load(Ordering::Relaxed) && self.shared.records.read().is_some()
    }

    fn changes(&self) -> ChangeStream {
        let sender = self.shared.changes.lock();
        ChangeStream::new(
            sender
                .as_ref()
                .map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe),
        )
    }

    async fn close(&self) -> Result<()> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(WriterJob::Close(reply))?;
        let closed = answer.await.unwrap_or(Err(Error::ReadOnly));
        self.join_writer();
        closed
    }
}

fn check_size(batch: &Batch) -> Result<()> {
    if batch
        .put
        .iter()
        .any(|(key, value)| key.len() + value.len() >= RECORD_LIMIT)
    {
        return Err(Error::LimitReached(
            "A stored record may not be larger than 32 KiB.",
        ));
    }
    if batch
        .put
        .iter()
        .map(|(key, _)| key)
        .chain(&batch.delete)
        .any(|key| key == VERSION_KEY)
    {
        return Err(Error::Forbidden(
            "The version of the state store is not a record.",
        ));
    }
    if size(batch) > BATCH_LIMIT {
        return Err(Error::LimitReached(
            "One change to the state store may not be larger than 256 KiB.",
        ));
    }
    Ok(())
}

/// What a batch weighs, in the journal and in sled.
fn size(batch: &Batch) -> usize {
    let puts: usize = batch
        .put
        .iter()
        .map(|(key, value)| key.len() + value.len() + CHANGE_COST)
        .sum();
    let deletes: usize = batch.delete.iter().map(|key| key.len() + CHANGE_COST).sum();
    puts + deletes
}

fn journal_path(dir: &Path) -> PathBuf {
    dir.join("journal")
}
