//! The chronicle of a tree: `.sarang/history.log`, one JSON line for each change of a name, appended in the guarded step that makes
//! the change. Everything is a move, the trash included; so that what was can be found by going backwards.

use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, explain};
use super::trashed;
use super::versions::Shelf;
use crate::content::Node;
use crate::model::{Error, RelPath, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{IoSlice, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where it lies, below the root.
const FILE: &str = ".sarang/history.log";
/// What the server keeps for itself begins so.
pub(super) const OWN: &str = ".sarang";
/// Where what was deleted lies.
pub(super) const TRASH: &str = ".sarang/trash/files";
/// Lines older than wanted stay up to this long, so that the file is not written anew all the time.
const SLACK: Duration = Duration::from_secs(24 * 3600);
/// Beyond this many bytes the older half goes.
const LARGEST: usize = 64 << 20;
/// Bytes in which its first line is found.
const START: u64 = 16 << 10;

/// What happened to a name. Paths are below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Event {
    /// The chronicle begins.
    Begun,
    /// A file or folder was moved, whole, to where nothing stood.
    Moved(String, String),
    /// Something new came to stand here, whole, where nothing stood.
    Made(String),
    /// A file got another content.
    Written(String, Before),
}

impl Event {
    /// An upload to `path`, over `present`, which is kept as a version on a shelf.
    pub fn written(path: String, present: Option<&Node>, kept: Option<(&Shelf<'_>, String)>) -> Self {
        match (present, kept) {
            (None, _) => Self::Made(path),
            (Some(_), Some((former, id))) => Self::Written(path, Before::Version(former.history().to_owned(), id)),
            (Some(present), None) => Self::Written(path, if present.len == 0 { Before::Empty } else { Before::Unkept }),
        }
    }
}

/// The content of a file before it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Before {
    /// It is a version: the name of its history, and its id.
    Version(String, String),
    /// It was empty.
    Empty,
    /// It is not kept.
    Unkept,
}

/// A line of the chronicle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

/// What writes the chronicle, once something is to be written.
#[derive(Debug, Default)]
pub(super) struct Pen(Mutex<Option<Open>>);

#[derive(Clone, Debug)]
struct Open {
    file: Arc<OwnedFd>,
    end: u64,
    last: u64,
}

impl Pen {
    /// Notes what has just happened; called under the guard. A chronicle that cannot be written hinders no change.
    pub fn note(&self, root: &Root, events: &[Event]) {
        let mut pen = self.0.lock();
        if let Err(error) = write(&mut pen, root, events) {
            *pen = None;
            tracing::warn!(%error, "a change is not in the chronicle: a rewind will not know of it");
        }
    }

    /// Makes the chronicle durable, if the settings want that. Only moves need it: everything else can be told from what it leaves.
    pub fn settle(&self, root: &Root) -> Result<()> {
        let file = self.0.lock().as_ref().map(|open| open.file.clone());
        file.map_or(Ok(()), |file| root.settle(fd(&*file)))
    }
}

/// Something that was deleted.
pub(super) fn deleted(path: &RelPath, id: &str) -> Event {
    Event::Moved(path.as_str().to_owned(), format!("{TRASH}/{id}"))
}

/// Something that was moved.
pub(super) fn moved(from: &RelPath, to: &RelPath) -> Event {
    Event::Moved(from.as_str().to_owned(), to.as_str().to_owned())
}

/// What has happened since `moment`, newest first, and since when all is known; `None` when nothing is.
pub(super) fn since(root: &Root, moment: u64) -> Result<(Vec<Event>, Option<u64>)> {
    let text = read(root)?;
    let mut known = None;
    let mut found = Vec::new();
    for line in lines(&text) {
        known = known.or(Some(line.at));
        if line.at > moment {
            found.push(line);
        }
    }
    found.extend(untold(root, &found, moment)?);
    found.sort_by_key(|line| line.at);
    Ok((found.into_iter().rev().map(|line| line.event).collect(), known))
}

/// What the trash alone tells: what was put there since `moment` by others, or by a change whose line was lost.
fn untold(root: &Root, told: &[Line], moment: u64) -> Result<Vec<Line>> {
    let told: HashSet<&str> = told
        .iter()
        .filter_map(|line| match &line.event {
            Event::Moved(_, to) => to.strip_prefix(TRASH)?.strip_prefix('/'),
            _ => None,
        })
        .collect();
    let mut untold = Vec::new();
    for item in trashed::list(root)? {
        let at = item.when.map_or(0, nanos);
        if at > moment && !told.contains(item.id.as_str()) {
            untold.push(Line { at, event: deleted(&item.path, &item.id) });
        }
    }
    Ok(untold)
}

/// Forgets what happened longer than `keep` before `now`.
pub(super) fn trim(root: &Root, keep: Duration, now: SystemTime) -> Result<()> {
    let text = read(root)?;
    let oldest = nanos(now.checked_sub(keep).unwrap_or(UNIX_EPOCH));
    let is_due = lines(&text).next().is_some_and(|first| is_overdue(&first, oldest));
    if !is_due && text.len() <= LARGEST {
        return Ok(());
    }
    let mut kept: Vec<Line> = lines(&text).filter(|line| line.at >= oldest && line.event != Event::Begun).collect();
    if text.len() > LARGEST {
        kept.drain(..kept.len() / 2);
    }
    let begun = Line { at: kept.first().map_or(oldest, |line| line.at.saturating_sub(1)), event: Event::Begun };
    let mut fresh = Vec::new();
    for line in std::iter::once(&begun).chain(&kept) {
        fresh.extend(text_of(line)?);
    }
    replace(root, fresh, text.len())
}

/// Whether the chronicle below an open folder begins so long before what is kept that it is to be shortened, or is too large.
pub(super) fn is_long(top: BorrowedFd<'_>, keep: Duration, now: SystemTime) -> Result<bool> {
    let doing = "look at the chronicle";
    let file = match os::open_read(top, FILE, Lookup::Full) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(false),
        Err(e) => return Err(explain(doing, e)),
    };
    let len = file.metadata().map_err(|e| Error::io(doing, e))?.len();
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start).map_err(|e| Error::io(doing, e))?;
    let oldest = nanos(now.checked_sub(keep).unwrap_or(UNIX_EPOCH));
    Ok(len > LARGEST as u64 || lines(&start).next().is_some_and(|first| is_overdue(&first, oldest)))
}

/// Whether the first line is older than `oldest` by more than the slack.
fn is_overdue(first: &Line, oldest: u64) -> bool {
    first.at.saturating_add(u64::try_from(SLACK.as_nanos()).unwrap_or(u64::MAX)) < oldest
}

/// Puts `fresh` in the place of the first `read` bytes.
fn replace(root: &Root, mut fresh: Vec<u8>, read_before: usize) -> Result<()> {
    let (doing, name) = ("shorten the chronicle", root.stamp());
    let file = os::create_file(fd(&root.tmp), &name).map_err(|e| explain(doing, e))?;
    let _guard = root.guard();
    let mut pen = root.pen.0.lock();
    fresh.extend(read(root)?.get(read_before..).unwrap_or_default());
    os::write_all(fd(&file), &mut [IoSlice::new(&fresh)], 0).map_err(|e| explain(doing, e))?;
    root.settle(fd(&file))?;
    os::rename_over((fd(&root.tmp), &name), (fd(&root.dir), FILE)).map_err(|e| explain(doing, e))?;
    *pen = None;
    Ok(())
}

fn write(pen: &mut Option<Open>, root: &Root, events: &[Event]) -> Result<()> {
    let now = nanos(SystemTime::now());
    let mut text = Vec::new();
    let mut open = match pen.take() {
        Some(open) => open,
        None => begin(root, &mut text, now)?,
    };
    // What happened later never looks earlier, whatever the clock does.
    open.last = open.last.max(now);
    for event in events.iter().filter(|event| !event.is_hidden()) {
        text.extend(text_of(&Line { at: open.last, event: event.clone() })?);
    }
    if !text.is_empty() {
        let doing = "write the chronicle";
        os::write_all(fd(&*open.file), &mut [IoSlice::new(&text)], open.end).map_err(|e| explain(doing, e))?;
        open.end += text.len() as u64;
    }
    *pen = Some(open);
    Ok(())
}

/// Opens the chronicle at its end, on a line of its own: a crash may have torn the last one.
fn begin(root: &Root, text: &mut Vec<u8>, now: u64) -> Result<Open> {
    let doing = "open the chronicle";
    let (file, is_new) = match os::open_write(fd(&root.dir), FILE) {
        Err(Errno::NOENT) => (os::create_file(fd(&root.dir), FILE).map_err(|e| explain(doing, e))?, true),
        opened => (opened.map_err(|e| explain(doing, e))?, false),
    };
    let end = os::stat_fd(fd(&file)).map_err(|e| explain(doing, e))?.node.len;
    if is_new {
        text.extend(text_of(&Line { at: now.saturating_sub(1), event: Event::Begun })?);
    } else if end > 0 {
        text.push(b'\n');
    }
    let last = lines(&read(root)?).last().map_or(0, |line| line.at);
    Ok(Open { file: Arc::new(file), end, last })
}

impl Event {
    /// Whether it concerns only what the server keeps for itself.
    fn is_hidden(&self) -> bool {
        match self {
            Self::Begun => false,
            Self::Moved(from, to) => is_own(from) && is_own(to),
            Self::Made(path) | Self::Written(path, _) => is_own(path),
        }
    }
}

/// Whether a path is the server's own.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn text_of(line: &Line) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line).map_err(|e| Error::io("write the chronicle", std::io::Error::other(e)))?;
    text.push(b'\n');
    Ok(text)
}

fn read(root: &Root) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    match os::open_read(fd(&root.dir), FILE, Lookup::Full) {
        Ok(file) => {
            std::fs::File::from(file).read_to_end(&mut text).map_err(|e| Error::io("read the chronicle", e))?;
            Ok(text)
        }
        Err(Errno::NOENT) => Ok(text),
        Err(e) => Err(explain("read the chronicle", e)),
    }
}

/// The lines that can be read; torn ones are left out.
fn lines(text: &[u8]) -> impl Iterator<Item = Line> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{LocalSettings, change};
    use super::*;
    use crate::config::Durability;
    use crate::content::Commit;
    use crate::model::AccountName;

    fn root(dir: &std::path::Path) -> Arc<Root> {
        let settings =
            LocalSettings { durability: Durability::Relaxed, portable_names: false, versions: true, reserve: 0 };
        Arc::new(Root::open(dir, settings).unwrap())
    }

    fn mkdir(root: &Root, name: &str) {
        let commit = Commit::by(AccountName::parse("ada").unwrap());
        change::mkdir(root, &RelPath::parse(name).unwrap(), &commit).unwrap();
    }

    fn made(name: &str) -> Event {
        Event::Made(name.to_owned())
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        mkdir(&root(dir.path()), "a");
        let mut text = std::fs::read(dir.path().join(FILE)).unwrap();
        assert_eq!(lines(&text).count(), 2);
        text.extend(br#"{"at":99999,"event":{"mo"#);
        std::fs::write(dir.path().join(FILE), text).unwrap();
        let root = root(dir.path());
        mkdir(&root, "b");
        let (events, known) = since(&root, 0).unwrap();
        assert_eq!(events, [made("b"), made("a"), Event::Begun]);
        assert!(known.is_some());
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_happens_meanwhile_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(dir.path());
        mkdir(&root, "a");
        let day = Duration::from_secs(86400);
        trim(&root, day, SystemTime::now() + day).unwrap();
        assert_eq!(since(&root, 0).unwrap().0.len(), 2, "there is some slack");
        trim(&root, day, SystemTime::now() + 3 * day).unwrap();
        mkdir(&root, "b");
        let (events, known) = since(&root, 0).unwrap();
        assert_eq!(events, [made("b"), Event::Begun]);
        assert!(known > Some(nanos(SystemTime::now())), "nothing is known of the time before");
    }
}
