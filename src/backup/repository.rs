//! The folder of backups: which generations there are, which were cut short, and that only one is made at a time.

use super::{HEADER, Summary, failed, make_folder, sync_folder};
use crate::model::{Error, Result};
use crate::storage::local::in_place::purge_folder;
use serde::Deserialize;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Says that the folder is one of backups, and is locked while one is made.
const MARKER: &str = crate::app::BACKUPS;
const PARTIAL: &str = "partial";
pub(super) const WITHIN_DATA: Error = Error::Forbidden(
    "A backup within the data folder would be lost with it: choose another folder.",
);

/// An open folder of backups.
#[derive(Debug)]
pub(super) struct BackupRepository {
    dir: PathBuf,
    /// The whole generations, oldest first.
    whole: Vec<PathBuf>,
    /// The number of the next one.
    next: u64,
    /// The newest whole generation and all that were cut short: where files may be found that need not be copied.
    previous: Vec<PathBuf>,
    /// Whether the folder, and what says what it is, were made just now.
    made: [bool; 2],
    #[expect(dead_code, reason = "locked as long as a generation is made")]
    lock: File,
}

impl BackupRepository {
    /// Opens `dir`, made if missing.
    pub fn open(dir: &Path, data_dir: &Path) -> Result<Self> {
        refuse_within(dir, data_dir)?;
        let is_made = !dir.exists();
        make_folder(dir)?;
        let dir = fs::canonicalize(dir).map_err(|e| failed("open the folder of backups", e))?;
        refuse_within(&dir, data_dir)?;
        let marker = dir.join(MARKER);
        let made = [is_made, !marker.exists()];
        if !marker.exists() && !is_empty(&dir)? {
            return Err(Error::Forbidden(
                "The folder holds something else than backups: choose one that is empty.",
            ));
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(marker);
        let lock = lock.map_err(|e| failed("write to the folder of backups", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let busy = std::io::Error::new(
                    ErrorKind::ResourceBusy,
                    "another backup to this folder is under way",
                );
                return Err(Error::io("begin the backup", busy));
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock the folder of backups", e)),
        }
        let numbered = numbered(&dir)?;
        let next = numbered
            .last()
            .map_or(0, |(number, _)| *number)
            .saturating_add(1);
        let whole: Vec<_> = numbered.into_iter().map(|(_, path)| path).collect();
        let mut formers: Vec<_> = whole.last().cloned().into_iter().collect();
        formers.extend(partials(&dir)?);
        Ok(Self {
            dir,
            whole,
            next,
            previous: formers,
            made,
            lock,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The whole generations that there were, newest first.
    pub fn whole(&self) -> impl Iterator<Item = &PathBuf> {
        self.whole.iter().rev()
    }

    /// The number of the generation that is made: it counts them, whatever the clock says.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Removes what was made here for a generation that is still empty.
    pub fn discard_empty(&self, partial: &Path) {
        // What stays is an empty folder that the next run removes.
        let _ = fs::remove_dir(partial);
        let [dir, marker] = self.made;
        if marker {
            let _ = fs::remove_file(self.dir.join(MARKER));
        }
        if dir {
            let _ = fs::remove_dir(&self.dir);
        }
    }

    /// Makes the folder of a new generation.
    pub fn begin(&self, name: &str) -> Result<PathBuf> {
        for n in 1_u32.. {
            let name = if n == 1 {
                name.to_owned()
            } else {
                format!("{name}-{n}")
            };
            let partial = self.dir.join(format!("{name}.{PARTIAL}"));
            if !partial.exists() && !self.dir.join(&name).exists() {
                make_folder(&partial)?;
                return Ok(partial);
            }
        }
        Err(Error::Exists)
    }

    /// Where files may be found that need not be copied.
    pub fn previous(&self) -> &[PathBuf] {
        &self.previous
    }

    /// Gives a generation its name, durably, and removes what it took over from.
    pub fn finish(&self, partial: &Path) -> Result<PathBuf> {
        let whole = partial.with_extension("");
        fs::rename(partial, &whole).map_err(|e| failed("give the backup its name", e))?;
        sync_folder(&self.dir)?;
        for cut in partials(&self.dir)? {
            purge_folder(&cut).map_err(|e| failed("remove a backup that was cut short", e))?;
        }
        Ok(whole)
    }

    /// Those whose names lie after that of a generation which was just made.
    pub fn dated_ahead(&self, made: &Path) -> Vec<PathBuf> {
        self.whole
            .iter()
            .filter(|other| other.file_name() > made.file_name())
            .cloned()
            .collect()
    }

    /// Removes all but the newest of the generations that there were, so that with the new one as many are left as are to be kept;
    /// returns how many.
    pub fn prune(&self, keep: Option<usize>) -> Result<usize> {
        let Some(keep) = keep else { return Ok(0) };
        // Somebody may have deleted one meanwhile.
        let left: Vec<_> = self
            .whole
            .iter()
            .filter(|old| old.join(HEADER).is_file())
            .collect();
        let surplus = left.len().saturating_sub(keep.saturating_sub(1));
        for old in left.into_iter().take(surplus) {
            // First the name: a generation that is half removed must not look whole.
            let cut = old.with_extension(PARTIAL);
            let removed = fs::rename(old, &cut).and_then(|()| purge_folder(&cut));
            removed.map_err(|e| failed("remove an old backup", e))?;
        }
        Ok(surplus)
    }
}

/// The whole generations in a folder, oldest first.
pub(super) fn generations(dir: &Path) -> Result<Vec<PathBuf>> {
    Ok(numbered(dir)?.into_iter().map(|(_, path)| path).collect())
}

/// The same with their numbers. Those without one are from before there were numbers, and are told by their names, as the clock was.
fn numbered(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    #[derive(Deserialize)]
    struct Numbered {
        #[serde(default)]
        number: u64,
    }
    let whole = |path: &PathBuf| path.extension().is_none() && path.join(HEADER).is_file();
    let number = |path: &PathBuf| {
        let text = fs::read(path.join(HEADER)).ok()?;
        serde_json::from_slice::<Numbered>(&text)
            .ok()
            .map(|header| header.number)
    };
    let with_number = |path: PathBuf| (number(&path).unwrap_or_default(), path);
    let mut all: Vec<_> = list(dir)?
        .into_iter()
        .filter(whole)
        .map(with_number)
        .collect();
    all.sort();
    Ok(all)
}

/// What the generation in a folder says of itself; `Corrupt` when it is none, or of a newer program.
pub(super) fn describe(generation: &Path) -> Result<Summary> {
    let text = fs::read(generation.join(HEADER))
        .map_err(|e| failed("read what describes the backup", e))?;
    let summary: Summary = serde_json::from_slice(&text).map_err(|e| {
        Error::Corrupt(format!(
            "{} does not describe a backup ({e}).",
            generation.join(HEADER).display()
        ))
    })?;
    if summary.sarang_backup > super::FORMAT {
        return Err(Error::Corrupt(format!(
            "The backup was made by a newer Sarang ({}): use that one.",
            summary.program
        )));
    }
    Ok(summary)
}

/// The generations that were cut short: folders whose names are those of generations. What else somebody lays there stays.
fn partials(dir: &Path) -> Result<Vec<PathBuf>> {
    let is_named = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_suffix(PARTIAL)?.strip_suffix('.'));
        name.is_some_and(|name| {
            name.contains('T')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b"-TZ".contains(&byte))
        })
    };
    let is_cut = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir())
            && (is_named(path)
                || path.extension().is_some_and(|name| name == PARTIAL)
                    && path.join(HEADER).is_file())
    };
    Ok(list(dir)?.into_iter().filter(is_cut).collect())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let doing = "list the backups";
    let entries = fs::read_dir(dir).map_err(|e| failed(doing, e))?;
    let mut found: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|e| failed(doing, e))?;
    found.sort();
    Ok(found)
}

/// Whether a folder holds nothing, a file system's own folder aside.
pub(super) fn is_empty(dir: &Path) -> Result<bool> {
    Ok(list(dir)?
        .iter()
        .all(|path| path.file_name().is_some_and(|name| name == "lost+found")))
}

fn refuse_within(dir: &Path, data_dir: &Path) -> Result<()> {
    // What does not exist yet lies where the folder above it lies.
    let there = dir
        .ancestors()
        .find_map(|above| fs::canonicalize(above).ok());
    if there
        .or_else(|| fs::canonicalize(".").ok())
        .is_some_and(|dir| dir.starts_with(data_dir))
    {
        return Err(WITHIN_DATA);
    }
    Ok(())
}
