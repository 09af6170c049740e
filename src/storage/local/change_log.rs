//! The change log of a tree: `.sarang/history.log`, one JSON line for each change of a name, appended in the guarded step that makes
//! the change. Everything is a move, the trash included; so that what was can be found by going backwards.

mod line_time;
#[cfg(test)]
mod tests;

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::internal_dirs::{TRASH_FILES, is_own};
use super::reverse_lines::ReverseLines;
use super::sys::{self, Errno, Lookup, fd};
use crate::model::time::unix_nanos;
use crate::model::{Error, RelPath, Result};
use crate::storage::{Node, WriteOptions};
use line_time::{is_clock_believed, line_time};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead as _, BufReader, IoSlice, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where it lies, below the root.
const FILE: &str = ".sarang/history.log";
/// Lines older than wanted stay up to this long, so that the file is not written anew all the time.
const SLACK: Duration = Duration::from_secs(24 * 3600);
/// Beyond this many bytes the older half goes.
const MAX_BYTES: u64 = 64 << 20;
/// Bytes in which its first line is found.
const START: usize = 16 << 10;
/// How many bytes are copied at a time.
const CHUNK: usize = 256 << 10;
const SHORTENING: &str = "shorten the change log";

/// What happened to a name. Paths are below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LoggedChange {
    /// The change log begins.
    Begun,
    /// A file or folder was moved, whole, to where nothing stood.
    Moved(String, String),
    /// Something new came to stand here, whole, where nothing stood.
    Made(String),
    /// A file got another content.
    Written(String, PreviousContent),
}

impl LoggedChange {
    /// An upload to `path`, over `present`, which is kept as a version: the name of its history, and its id.
    pub fn written(path: String, present: Option<&Node>, kept: Option<(&str, String)>) -> Self {
        match (present, kept) {
            (None, _) => Self::Made(path),
            (Some(_), Some((history, id))) => {
                Self::Written(path, PreviousContent::Version(history.to_owned(), id))
            }
            (Some(present), None) => Self::Written(
                path,
                if present.len == 0 {
                    PreviousContent::Empty
                } else {
                    PreviousContent::Unkept
                },
            ),
        }
    }
}

/// The content of a file before it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PreviousContent {
    /// It is a version: the name of its history, and its id.
    Version(String, String),
    /// It was empty.
    Empty,
    /// It is not kept.
    Unkept,
}

/// A line of the change log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ChangeLogLine {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// What the clock said, where `at` is later: that of the line before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<u64>,
    /// What happened.
    pub event: LoggedChange,
}

/// What writes the change log, once something is to be written.
#[derive(Debug, Default)]
pub(super) struct ChangeLogWriter(Mutex<Option<OpenChangeLog>>);

#[derive(Clone, Debug)]
struct OpenChangeLog {
    file: Arc<OwnedFd>,
    end: u64,
    last: u64,
}

impl ChangeLogWriter {
    /// Notes what has just happened; called under the guard. A change log that cannot be written hinders no change.
    pub fn append(&self, dirs: &TreeDirs, events: &[LoggedChange]) {
        let mut pen = self.0.lock();
        if let Err(error) = write(&mut pen, dirs, events) {
            *pen = None;
            tracing::warn!(%error, "a change is not in the change log: a rewind will not know of it");
        }
    }

    /// Makes the change log durable, if the settings want that. Only moves need it: everything else can be told from what it leaves.
    pub fn sync_if_strict(&self, dirs: &TreeDirs, commit: &WriteOptions) -> Result<()> {
        if commit.defer_sync && dirs.disk_access.is_local {
            return Ok(());
        }
        let file = self.0.lock().as_ref().map(|open| open.file.clone());
        file.map_or(Ok(()), |file| dirs.sync_if_strict(fd(&*file)))
    }

    /// Forgets what happened longer than `keep` before `now`.
    pub fn trim(&self, dirs: &TreeDirs, keep: Duration, now: SystemTime) -> Result<()> {
        if !needs_trim(fd(&dirs.dir), keep, now)? {
            return Ok(());
        }
        let Some(file) = open(dirs)? else {
            return Ok(());
        };
        let len = sys::stat_fd(fd(&file))
            .map_err(|e| map_errno(SHORTENING, e))?
            .node
            .len;
        let least = if len > MAX_BYTES { len / 2 } else { 0 };
        let oldest = unix_nanos(now.checked_sub(keep).unwrap_or(UNIX_EPOCH));
        let (from, first) = find_kept(&file, least, oldest)?;
        let begun = ChangeLogLine {
            at: first.map_or(oldest, |at| at.saturating_sub(1)),
            clock: None,
            event: LoggedChange::Begun,
        };
        self.rewrite(dirs, &begun, (&file, from))
    }

    /// Lets the change log consist of `begun` and what lies behind `from` in it.
    fn rewrite(
        &self,
        dirs: &TreeDirs,
        begun: &ChangeLogLine,
        (old, from): (&OwnedFd, u64),
    ) -> Result<()> {
        let failed = |e| map_errno(SHORTENING, e);
        let name = dirs.new_stamp();
        let file = sys::create_file(fd(&dirs.tmp), &name).map_err(failed)?;
        let text = encode(begun)?;
        sys::write_all(fd(&file), &mut [IoSlice::new(&text)], 0).map_err(failed)?;
        let (from, to) = copy_tail(old, from, &file, text.len() as u64).map_err(failed)?;
        let _guard = dirs.lock_names();
        let mut pen = self.0.lock();
        copy_tail(old, from, &file, to).map_err(failed)?;
        // Whatever the settings say: else a power cut could leave nothing of all that was known before.
        sys::sync(fd(&file)).map_err(|e| Error::io("write to the disk", e))?;
        sys::rename_over((fd(&dirs.tmp), &name), (fd(&dirs.dir), FILE)).map_err(failed)?;
        *pen = None;
        Ok(())
    }
}

/// Something that was deleted.
pub(super) fn deleted(path: &RelPath, id: &str) -> LoggedChange {
    LoggedChange::Moved(path.as_str().to_owned(), format!("{TRASH_FILES}/{id}"))
}

/// Something that was moved.
pub(super) fn moved(from: &RelPath, to: &RelPath) -> LoggedChange {
    LoggedChange::Moved(from.as_str().to_owned(), to.as_str().to_owned())
}

/// Where the first line begins that is not older than `oldest` and does not begin before `least`, and its time; the end where there is none.
fn find_kept(file: &OwnedFd, least: u64, oldest: u64) -> Result<(u64, Option<u64>)> {
    let failed = |e| Error::io(SHORTENING, e);
    let file = File::from(file.try_clone().map_err(failed)?);
    let mut lines = BufReader::new(OffsetReader {
        file: &file,
        at: least,
    });
    let mut at = least;
    let mut text = Vec::new();
    loop {
        let begin = at;
        text.clear();
        at += lines.read_until(b'\n', &mut text).map_err(failed)? as u64;
        if text.is_empty() {
            return Ok((at, None));
        }
        // What begins in the middle is no line.
        if let Some(line) =
            parse(&text).filter(|line| line.at >= oldest && line.event != LoggedChange::Begun)
        {
            return Ok((begin, Some(line.at)));
        }
    }
}

/// A file from some place on; others may read it, too.
struct OffsetReader<'f> {
    file: &'f File,
    at: u64,
}

impl Read for OffsetReader<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(room, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Whether the change log below an open folder begins so long before what is kept that it is to be shortened, or is too large.
pub(super) fn needs_trim(top: BorrowedFd<'_>, keep: Duration, now: SystemTime) -> Result<bool> {
    let doing = "look at the change log";
    let file = match sys::open_read(top, FILE, Lookup::Full) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(e) => return Err(map_errno(doing, e)),
    };
    let len = sys::stat_fd(fd(&file))
        .map_err(|e| map_errno(doing, e))?
        .node
        .len;
    let oldest = unix_nanos(now.checked_sub(keep).unwrap_or(UNIX_EPOCH));
    Ok(len > MAX_BYTES || first(&file)?.is_some_and(|first| is_overdue(&first, oldest)))
}

/// Whether the first line is older than `oldest` by more than the slack.
fn is_overdue(first: &ChangeLogLine, oldest: u64) -> bool {
    first
        .at
        .saturating_add(u64::try_from(SLACK.as_nanos()).unwrap_or(u64::MAX))
        < oldest
}

/// Copies what lies behind `from` to `to` in another file; returns where each ends.
fn copy_tail(
    old: &OwnedFd,
    mut from: u64,
    file: &OwnedFd,
    mut to: u64,
) -> sys::SysResult<(u64, u64)> {
    let mut piece = vec![0; CHUNK];
    loop {
        let count = sys::read(fd(old), &mut piece, from)?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else {
            return Ok((from, to));
        };
        sys::write_all(fd(file), &mut [IoSlice::new(read)], to)?;
        (from, to) = (from + count as u64, to + count as u64);
    }
}

fn write(pen: &mut Option<OpenChangeLog>, dirs: &TreeDirs, events: &[LoggedChange]) -> Result<()> {
    let now = unix_nanos(SystemTime::now());
    let mut text = Vec::new();
    let mut open = match pen.take() {
        Some(open) => open,
        None => open_at_end(dirs, &mut text, now)?,
    };
    let (at, clock) = line_time(open.last, now, is_clock_believed());
    open.last = at;
    for event in events.iter().filter(|event| !event.is_internal()) {
        text.extend(encode(&ChangeLogLine {
            at,
            clock,
            event: event.clone(),
        })?);
    }
    if !text.is_empty() {
        let doing = "write the change log";
        sys::write_all(fd(&*open.file), &mut [IoSlice::new(&text)], open.end)
            .map_err(|e| map_errno(doing, e))?;
        open.end += text.len() as u64;
    }
    *pen = Some(open);
    Ok(())
}

/// Opens the change log at its end, on a line of its own: a crash may have torn the last one.
fn open_at_end(dirs: &TreeDirs, text: &mut Vec<u8>, now: u64) -> Result<OpenChangeLog> {
    let doing = "open the change log";
    let (file, is_new) = match sys::open_write(fd(&dirs.dir), FILE) {
        Err(Errno::NOENT) => (
            sys::create_file(fd(&dirs.dir), FILE).map_err(|e| map_errno(doing, e))?,
            true,
        ),
        opened => (opened.map_err(|e| map_errno(doing, e))?, false),
    };
    let end = sys::stat_fd(fd(&file))
        .map_err(|e| map_errno(doing, e))?
        .node
        .len;
    if is_new {
        text.extend(encode(&ChangeLogLine {
            at: now.saturating_sub(1),
            clock: None,
            event: LoggedChange::Begun,
        })?);
    } else if end > 0 {
        text.push(b'\n');
    }
    let last = last(&file, end)?.map_or(0, |line| line.at);
    Ok(OpenChangeLog {
        file: Arc::new(file),
        end,
        last,
    })
}

impl LoggedChange {
    /// Whether it concerns only what the server keeps for itself.
    fn is_internal(&self) -> bool {
        match self {
            Self::Begun => false,
            Self::Moved(from, to) => is_own(from) && is_own(to),
            Self::Made(path) | Self::Written(path, _) => is_own(path),
        }
    }
}

fn encode(line: &ChangeLogLine) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)
        .map_err(|e| Error::io("write the change log", std::io::Error::other(e)))?;
    text.push(b'\n');
    Ok(text)
}

/// The change log, if there is one.
pub(super) fn open(dirs: &TreeDirs) -> Result<Option<OwnedFd>> {
    match sys::open_read(fd(&dirs.dir), FILE, Lookup::Full) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(map_errno("read the change log", e)),
    }
}

/// The first line.
pub(super) fn first(file: &OwnedFd) -> Result<Option<ChangeLogLine>> {
    let mut start = vec![0; START];
    let count =
        sys::read(fd(file), &mut start, 0).map_err(|e| map_errno("read the change log", e))?;
    Ok(start
        .get(..count)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .find_map(parse))
}

/// The last line before `end`, whatever a crash has left behind it.
fn last(file: &OwnedFd, end: u64) -> Result<Option<ChangeLogLine>> {
    let mut lines = ReverseLines::new(fd(file), end);
    while let Some(text) = lines
        .next()
        .map_err(|e| map_errno("read the change log", e))?
    {
        if let Some(line) = parse(&text) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// A line; `None` for one that is torn.
pub(super) fn parse(text: &[u8]) -> Option<ChangeLogLine> {
    serde_json::from_slice(text).ok()
}
