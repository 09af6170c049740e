//! Files of lines, one after the other: `changes-<first number>.jsonl`. Appended to, changed for a new one by size and age,
//! and removed when they are old or too many.

use super::event::{AuditEntry, AuditFilter};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Into how many files the room of a series is split.
const FILES: u64 = 16;
const SUFFIX: &str = ".jsonl";

/// How much a series keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesLimits {
    pub total: u64,
    /// After how long a new file is begun.
    pub turn: Duration,
    /// How long a file is kept after its last entry.
    pub keep: Duration,
}

impl SeriesLimits {
    pub const fn of_total(total: u64) -> Self {
        Self {
            total,
            turn: DAY.saturating_mul(30),
            keep: DAY.saturating_mul(730),
        }
    }

    fn file(&self) -> u64 {
        self.total / FILES
    }
}

/// One series of files and the one that is written to.
#[derive(Debug)]
pub(super) struct Series {
    files: SeriesFiles,
    limits: SeriesLimits,
    present: Option<CurrentFile>,
}

#[derive(Debug)]
struct CurrentFile {
    file: File,
    len: u64,
    began: SystemTime,
    /// Whether a line was cut short: the next begins on a new one.
    torn: bool,
}

/// Where the files of a series are; enough to read them.
#[derive(Clone, Debug)]
pub(super) struct SeriesFiles {
    dir: PathBuf,
    prefix: String,
}

impl Series {
    pub fn new(dir: &Path, name: &str, limits: SeriesLimits) -> Self {
        let files = SeriesFiles {
            dir: dir.to_owned(),
            prefix: format!("{name}-"),
        };
        Self {
            files,
            limits,
            present: None,
        }
    }

    pub fn reader(&self) -> SeriesFiles {
        self.files.clone()
    }

    /// Appends a line; `durable` waits until it is on the disk.
    pub fn append(&mut self, id: u64, mut line: Vec<u8>, durable: bool) -> io::Result<()> {
        line.push(b'\n');
        self.make_ready(id, line.len() as u64)?;
        let Some(present) = &mut self.present else {
            return Err(ErrorKind::NotFound.into());
        };
        if present.torn {
            line.insert(0, b'\n');
        }
        present.torn = true;
        present.len += line.len() as u64;
        present.file.write_all(&line)?;
        present.torn = false;
        if durable {
            present.file.sync_data()
        } else {
            Ok(())
        }
    }

    /// The number of the last entry, 0 when there is none.
    pub fn last_id(&self) -> io::Result<u64> {
        let Some((first, path)) = self.files.list()?.pop() else {
            return Ok(0);
        };
        let last = entries(&std::fs::read(path)?).map(|entry| entry.id).max();
        // Of a file whose only line was cut short the name is known.
        Ok(last.unwrap_or(first))
    }

    /// Opens the file that the entry `id` goes to: the last one, unless it is full, old or gone.
    fn make_ready(&mut self, id: u64, more: u64) -> io::Result<()> {
        if self.present.is_none() {
            self.present = self
                .files
                .list()?
                .pop()
                .map(|(_, path)| CurrentFile::open(&path))
                .transpose()?;
        }
        let fits = |present: &CurrentFile| {
            present.len + more < self.limits.file()
                && present
                    .began
                    .elapsed()
                    .is_ok_and(|age| age < self.limits.turn)
        };
        if self.present.as_ref().is_some_and(fits) {
            return Ok(());
        }
        let path = self.files.path_of(id);
        if !self.files.dir.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.files.dir)?;
            for above in self.files.dir.ancestors().skip(1).take(2) {
                // The folder above the first part of a relative path is the current one.
                let is_current = above.as_os_str().is_empty();
                File::open(if is_current { Path::new(".") } else { above })?.sync_all()?;
            }
        }
        self.present = Some(CurrentFile::open(&path)?);
        File::open(&self.files.dir)?.sync_all()?;
        self.make_room(&path)
    }

    /// Removes the files of a series that nothing was written to for so long that all of it is old.
    pub fn expire(&self) -> io::Result<()> {
        for (_, path) in self.files.list()? {
            if path
                .metadata()?
                .modified()?
                .elapsed()
                .is_ok_and(|age| age >= self.limits.keep)
            {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes files that are old, and the oldest of too many.
    fn make_room(&self, present: &Path) -> io::Result<()> {
        let mut files = self.files.list()?;
        files.retain(|(_, path)| path != present);
        let mut room = self.limits.total.saturating_sub(self.limits.file());
        for (_, path) in files.iter().rev() {
            let facts = path.metadata()?;
            let is_old = facts
                .modified()?
                .elapsed()
                .is_ok_and(|age| age >= self.limits.keep);
            match room.checked_sub(facts.len()) {
                Some(left) if !is_old => room = left,
                _ => {
                    room = 0;
                    std::fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }
}

impl CurrentFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let facts = file.metadata()?;
        let mut last = [b'\n'];
        if facts.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        // A file system that does not know when a file was made begins a new one by size alone.
        let began = facts.created().unwrap_or_else(|_| SystemTime::now());
        Ok(Self {
            file,
            len: facts.len(),
            began,
            torn: last != *b"\n",
        })
    }
}

impl SeriesFiles {
    /// Up to `limit` entries between `above` and `below` that `filter` lets through, newest first.
    pub fn newest(
        &self,
        filter: &AuditFilter,
        (above, below): (u64, u64),
        limit: usize,
    ) -> io::Result<Vec<AuditEntry>> {
        let mut found = Vec::new();
        let mut after = u64::MAX;
        for (first, path) in self.list()?.into_iter().rev() {
            let begins = first;
            let ends = std::mem::replace(&mut after, first);
            if begins >= below {
                continue;
            }
            if ends <= above {
                break;
            }
            let text = match std::fs::read(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                text => text?,
            };
            let is_within = |entry: &AuditEntry| entry.id > above && entry.id < below;
            let mut here: Vec<AuditEntry> = entries(&text)
                .filter(|entry| is_within(entry) && filter.matches(entry))
                .collect();
            here.reverse();
            found.extend(here.into_iter().take(limit - found.len()));
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// The number each file begins with, and the file, oldest first.
    fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let folder = match std::fs::read_dir(&self.dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            folder => folder?,
        };
        let mut files = Vec::new();
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name();
            let number = name
                .to_str()
                .and_then(|n| n.strip_prefix(&self.prefix)?.strip_suffix(SUFFIX));
            if let Some(first) = number.and_then(|number| number.parse().ok()) {
                files.push((first, entry.path()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn path_of(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{}{id:012}{SUFFIX}", self.prefix))
    }
}

/// The whole lines of a file; one that was cut short is passed over.
fn entries(text: &[u8]) -> impl Iterator<Item = AuditEntry> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
}
