//! The index of a generation: what each of its trees held, a line for each file and folder. A line is written only when what it
//! tells of is on the disk, so that a generation that was cut short can be believed.

use super::failed;
use crate::model::Result;
use crate::storage::local::backup::{self as copy, BackupStats, CopyObserver, IndexEntry};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DOING: &str = "write the index of the backup";
/// How long lines wait for what they tell of.
const PERIOD: Duration = Duration::from_secs(10);
/// How many bytes of them wait at most.
const ROOM: usize = 8 << 20;

/// The index of a generation being made.
pub(super) struct IndexWriter<'a> {
    generation: PathBuf,
    label: String,
    /// Lines whose files are not yet known to be on the disk.
    waiting: Vec<(String, Vec<u8>)>,
    last_sync: Instant,
    /// Lines whose files are being put on the disk, while others are copied.
    sync_task: Option<JoinHandle<Result<()>>>,
    progress: &'a mut dyn FnMut(&BackupStats),
}

impl fmt::Debug for IndexWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl<'a> IndexWriter<'a> {
    pub fn new(generation: &Path, progress: &'a mut dyn FnMut(&BackupStats)) -> Self {
        let generation = generation.to_owned();
        let settled = Instant::now();
        Self {
            generation,
            label: String::new(),
            waiting: Vec::new(),
            last_sync: settled,
            sync_task: None,
            progress,
        }
    }

    /// Lets the next lines be about another tree.
    pub fn start_tree(&mut self, label: &str) -> Result<()> {
        label.clone_into(&mut self.label);
        self.waiting.push((label.to_owned(), Vec::new()));
        let path = path(&self.generation, label);
        path.parent().map_or(Ok(()), super::make_folder)
    }

    /// Puts what was copied on the disk, then the lines about it.
    pub fn sync(&mut self) -> Result<()> {
        self.begin_sync()?;
        self.wait()
    }

    /// Begins to put what was copied on the disk, which must not keep the copying waiting. One round at a time: what waits is bounded.
    fn begin_sync(&mut self) -> Result<()> {
        self.wait()?;
        let generation = self.generation.clone();
        let lines = std::mem::take(&mut self.waiting);
        self.waiting.push((self.label.clone(), Vec::new()));
        self.last_sync = Instant::now();
        self.sync_task = Some(std::thread::spawn(move || {
            copy::sync(&generation)?;
            lines
                .iter()
                .try_for_each(|(label, lines)| append(&generation, label, lines))
        }));
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        match self.sync_task.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for IndexWriter<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.wait() {
            tracing::warn!(%error, "the index of the backup was not written whole");
        }
    }
}

impl CopyObserver for IndexWriter<'_> {
    fn copied(&mut self, mark: &IndexEntry, tally: &BackupStats) -> Result<()> {
        let mut full = false;
        if let Some((_, lines)) = self.waiting.last_mut() {
            serde_json::to_writer(&mut *lines, mark).map_err(|e| failed(DOING, e.into()))?;
            lines.push(b'\n');
            full = lines.len() >= ROOM;
        }
        (self.progress)(tally);
        if full || self.last_sync.elapsed() >= PERIOD {
            self.begin_sync()
        } else {
            Ok(())
        }
    }
}

fn append(generation: &Path, label: &str, lines: &[u8]) -> Result<()> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path(generation, label));
    file.and_then(|mut file| file.write_all(lines))
        .map_err(|e| failed(DOING, e))
}

/// What a generation says of one of its trees, line by line.
pub(super) fn open(generation: &Path, label: &str) -> Option<File> {
    File::open(path(generation, label)).ok()
}

/// What a generation says of one of its trees. A line that is cut short ends it.
pub(super) fn read(generation: &Path, label: &str) -> impl Iterator<Item = IndexEntry> + use<> {
    let lines = open(generation, label)
        .into_iter()
        .flat_map(|file| BufReader::new(file).lines());
    lines.map_while(|line| serde_json::from_str(&line.ok()?).ok())
}

/// The trees that a generation tells of.
pub(super) fn trees(generation: &Path) -> Result<Vec<String>> {
    let mut trees = Vec::new();
    for kind in super::TREES {
        let names = super::folders_in(&generation.join(super::FILES).join(kind))?;
        trees.extend(names.into_iter().map(|name| format!("{kind}/{name}")));
    }
    Ok(trees)
}

/// Where that is.
pub(super) fn path(generation: &Path, label: &str) -> PathBuf {
    generation.join("index").join(format!("{label}.jsonl"))
}
