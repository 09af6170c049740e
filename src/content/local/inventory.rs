//! What lies in the trash, newest first, kept in memory while somebody pages through it: a page then reads what it shows and nothing
//! else. What all trees keep together is bounded; so is what one keeps, by holding a window of the trash.

#[cfg(test)]
mod tests;

use super::os::{self, fd};
use super::root::{Root, explain};
use super::trashed::{self, NOTE};
use super::waiting::begin;
use crate::content::history::Trashed;
use crate::model::{AccountName, RelPath, Result};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;

const DOING: &str = "read the trash";
/// How many items a window has at most.
const WINDOW: usize = 200_000;
/// How many bytes the windows of all trees have at most; then those of the others go.
const ROOM: usize = 48 << 20;
/// What an item takes beside its text.
const COST: usize = 96;
/// How many changes wait at most until somebody asks.
const NEWS: usize = 4096;
/// What changed so lately when it was looked at may have changed once more without showing it: the clock of a file system has steps.
const TICK: Duration = Duration::from_millis(20);
/// A trash whose folder of notes has so many bytes is read before somebody asks: some ten thousand items.
const LARGE: u64 = if cfg!(test) { 16 << 10 } else { 1 << 20 };
/// A trash that is read so quickly is read again after each change.
const QUICK: Duration = Duration::from_millis(5);
/// How long a larger one is believed after changes of our own, beside which those of other programs do not show.
const BELIEVED: Duration = Duration::from_secs(60);

/// Bytes of all windows.
static KEPT: AtomicUsize = AtomicUsize::new(0);
/// All that may have a window.
static ALL: Mutex<Vec<Weak<Mutex<Option<Window>>>>> = Mutex::new(Vec::new());

/// What is known of one trash.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    window: Arc<Mutex<Option<Window>>>,
    news: Mutex<News>,
    #[cfg(test)]
    pub work: Work,
}

/// How much was read.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Work {
    pub names: AtomicUsize,
    pub notes: AtomicUsize,
}

/// What has come and gone since somebody asked.
#[derive(Debug, Default)]
struct News {
    is_wanted: bool,
    changes: Vec<(String, Option<Origin>)>,
}

/// Newest first: by the stamp at the end of the id.
type Key = Reverse<(u64, Box<str>)>;

/// Where an item comes from, as its note says.
#[derive(Clone, Debug, Default)]
enum Origin {
    #[default]
    Unread,
    Unknown,
    Known(Box<(RelPath, Option<AccountName>)>),
}

/// Which items are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter<'a> {
    /// What lay below this folder.
    pub below: &'a RelPath,
    /// What this account deleted or replaced.
    pub who: Option<&'a AccountName>,
}

/// A part of the trash.
#[derive(Debug)]
struct Window {
    items: BTreeMap<Key, Origin>,
    /// After which item it begins.
    after: Option<Key>,
    /// Whether older items follow it.
    is_cut: bool,
    /// When the folder of notes had changed last.
    seen: SystemTime,
    /// Whether it may have changed since without showing it, or we have changed it.
    is_unsure: bool,
    read: Instant,
    took: Duration,
    bytes: usize,
}

impl Inventory {
    /// Notes that an item has come.
    pub fn note_new(&self, id: &str, path: &RelPath, who: &AccountName) {
        self.note(id, || {
            Some(Origin::Known(Box::new((path.clone(), Some(who.clone())))))
        });
    }

    /// Notes that an item is gone.
    pub fn note_gone(&self, id: &str) {
        self.note(id, || None);
    }

    /// Forgets all: more has come than is told one by one.
    pub fn forget(&self) {
        *self.news.lock() = News::default();
    }

    fn note(&self, id: &str, change: impl FnOnce() -> Option<Origin>) {
        let mut news = self.news.lock();
        if !news.is_wanted {
            return;
        }
        if news.changes.len() == NEWS {
            *news = News::default();
            return;
        }
        news.changes.push((id.to_owned(), change()));
    }

    /// Lets the window be as the trash is now and reach beyond `after`, if there is more.
    fn bring_up_to_date(
        &self,
        root: &Root,
        held: &mut Option<Window>,
        after: Option<&Key>,
    ) -> Result<()> {
        let seen = modified(root)?;
        let news = std::mem::replace(
            &mut *self.news.lock(),
            News {
                is_wanted: true,
                changes: Vec::new(),
            },
        );
        let mut old = held.take();
        if let Some(window) = old.as_mut().filter(|_| news.is_wanted) {
            for (id, change) in news.changes {
                window.apply(&id, change);
            }
            if window.is_current(seen) && window.reaches(after) {
                *held = old;
                return Ok(());
            }
        }
        let was_cut = old
            .as_ref()
            .is_some_and(|old| old.is_cut || old.after.is_some());
        let mut window = read(root, old, seen, after.filter(|_| was_cut).cloned())?;
        if !window.reaches(after) {
            window = read(root, Some(window), seen, after.cloned())?;
        }
        *held = Some(window);
        self.let_others_go();
        Ok(())
    }

    /// Keeps what all windows have within bounds, by letting go of those that nobody looks at right now.
    fn let_others_go(&self) {
        let mut all = ALL.lock();
        all.retain(|other| other.strong_count() > 0);
        if !all
            .iter()
            .any(|other| other.as_ptr() == Arc::as_ptr(&self.window))
        {
            all.push(Arc::downgrade(&self.window));
        }
        if KEPT.load(Ordering::Relaxed) <= ROOM {
            return;
        }
        let others = all
            .iter()
            .filter(|other| other.as_ptr() != Arc::as_ptr(&self.window));
        for other in others.filter_map(Weak::upgrade) {
            if let Some(mut window) = other.try_lock() {
                *window = None;
            }
        }
    }
}

/// The window of the trash that follows `after`; what `old` knows need not be read again.
fn read(root: &Root, old: Option<Window>, seen: SystemTime, after: Option<Key>) -> Result<Window> {
    let (is_unsure, read) = (seen.elapsed().is_ok_and(|age| age < TICK), Instant::now());
    let items = BTreeMap::new();
    let mut window = Window {
        items,
        after,
        is_cut: false,
        seen,
        is_unsure,
        read,
        took: QUICK,
        bytes: 0,
    };
    let failed = |e| explain(DOING, e);
    // A fresh descriptor, since reading moves the one shared with others.
    let notes = os::open_folder(fd(&root.trash_info), "", os::Lookup::Full).map_err(failed)?;
    let mut keys = Vec::new();
    let read_all = os::read_names(fd(&notes), &mut Vec::new(), usize::MAX, |name, _| {
        let id = name.to_str().ok().and_then(|name| name.strip_suffix(NOTE));
        keys.extend(
            id.map(key_of)
                .filter(|key| window.after.as_ref().is_none_or(|after| key > after)),
        );
        if keys.len() == 2 * WINDOW {
            window.is_cut = cut(&mut keys);
        }
        #[cfg(test)]
        root.inventory.work.names.fetch_add(1, Ordering::Relaxed);
        Ok::<_, os::Errno>(())
    });
    read_all.map_err(failed)?;
    window.is_cut |= cut(&mut keys);
    window.fill(keys, old.map(Window::into_items).unwrap_or_default());
    window.took = read.elapsed();
    Ok(window)
}

/// Keeps the newest that a window may have; whether there were more.
fn cut(keys: &mut Vec<Key>) -> bool {
    let has_more = keys.len() > WINDOW;
    if has_more {
        keys.select_nth_unstable(WINDOW);
        keys.truncate(WINDOW);
    }
    has_more
}

/// Reads a large trash in the background, so that its first page need not wait for that.
pub(super) fn prepare(root: &Arc<Root>) {
    let is_large = os::folder_size(fd(&root.trash_info)).is_ok_and(|size| size >= LARGE);
    if is_large
        && Handle::try_current().is_ok()
        && let Some(turn) = root.waiting.turns.try_take()
    {
        let everything = RelPath::root();
        // Not awaited: whoever asks before it is done waits for it, or reads it again where it has failed.
        drop(begin(root, turn.of_long_work(), move |root| {
            page(
                root,
                Filter {
                    below: &everything,
                    who: None,
                },
                None,
                0,
            )
            .map(drop)
        }));
    }
}

/// What is wanted of the trash, newest first: up to `limit` items after the one called `after`.
pub(super) fn page(
    root: &Root,
    filter: Filter<'_>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Trashed>> {
    let (mut items, mut after) = (Vec::new(), after.map(key_of));
    let mut held = root.inventory.window.lock();
    loop {
        root.inventory
            .bring_up_to_date(root, &mut held, after.as_ref())?;
        let Some(window) = held.as_mut() else {
            return Ok(items);
        };
        after = window.show(root, filter, after.as_ref(), (&mut items, limit))?;
        if after.is_none() || items.len() == limit || !window.is_cut {
            return Ok(items);
        }
    }
}

impl Filter<'_> {
    /// Whether an item is wanted, by its note, which is read once. `added` grows by what it takes to remember it.
    fn takes(&self, root: &Root, id: &str, origin: &mut Origin, added: &mut usize) -> Result<bool> {
        if self.below.is_root() && self.who.is_none() {
            return Ok(true);
        }
        if matches!(origin, Origin::Unread) {
            *origin = trashed::origin(root, id)?
                .map_or(Origin::Unknown, |known| Origin::Known(Box::new(known)));
            *added += origin.weight();
            #[cfg(test)]
            root.inventory.work.notes.fetch_add(1, Ordering::Relaxed);
        }
        let Origin::Known(known) = origin else {
            return Ok(false);
        };
        Ok(known.0.is_within(self.below) && (self.who.is_none() || known.1.as_ref() == self.who))
    }
}

impl Origin {
    fn weight(&self) -> usize {
        match self {
            Self::Known(known) => COST + known.0.as_str().len(),
            _ => 0,
        }
    }
}

impl Window {
    /// Whether nothing can be otherwise on the disk, where the folder of notes was changed at `seen`.
    fn is_current(&self, seen: SystemTime) -> bool {
        if self.is_unsure {
            return self.took > QUICK && self.read.elapsed() < BELIEVED;
        }
        self.seen == seen
    }

    /// Adds what is wanted of what follows `after` to `items`, up to `limit` in all; returns the last that was looked at.
    fn show(
        &mut self,
        root: &Root,
        filter: Filter<'_>,
        after: Option<&Key>,
        (items, limit): (&mut Vec<Trashed>, usize),
    ) -> Result<Option<Key>> {
        let (mut added, mut last) = (0, None);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, origin) in self.items.range_mut::<Key, _>((from, Bound::Unbounded)) {
            if items.len() == limit {
                break;
            }
            let Reverse((_, id)) = key;
            if filter.takes(root, id, origin, &mut added)? {
                items.extend(trashed::item(root, id.to_string())?);
                #[cfg(test)]
                root.inventory.work.notes.fetch_add(1, Ordering::Relaxed);
            }
            last = Some(key);
        }
        let last = last.cloned();
        self.weigh(added);
        Ok(last)
    }

    /// Whether what follows an item is in it.
    fn reaches(&self, after: Option<&Key>) -> bool {
        let begins = self
            .after
            .as_ref()
            .is_none_or(|begin| after.is_some_and(|after| after >= begin));
        begins
            && (!self.is_cut
                || self
                    .items
                    .last_key_value()
                    .is_some_and(|(last, _)| after.is_none_or(|after| after < last)))
    }

    /// Lets it have these items, in one go: one by one they would cost several times as much. `former` knows where some come from.
    fn fill(&mut self, mut keys: Vec<Key>, former: BTreeMap<Key, Origin>) {
        keys.sort_unstable();
        let mut former = former.into_iter().peekable();
        let known = keys.into_iter().map(|key| {
            while former.next_if(|(other, _)| *other < key).is_some() {}
            let origin = former
                .next_if(|(other, _)| *other == key)
                .map(|(_, origin)| origin)
                .unwrap_or_default();
            (key, origin)
        });
        self.items = known.collect();
        self.weigh(
            self.items
                .iter()
                .map(|(key, origin)| weight_of(key, origin))
                .sum(),
        );
    }

    fn apply(&mut self, id: &str, change: Option<Origin>) {
        self.is_unsure = true;
        let key = key_of(id);
        match change {
            Some(origin) => self.add(key, origin),
            None => self.remove(&key),
        }
    }

    fn add(&mut self, key: Key, origin: Origin) {
        let is_before = self.after.as_ref().is_some_and(|after| key <= *after);
        let is_behind = self.is_cut
            && self
                .items
                .last_key_value()
                .is_some_and(|(last, _)| key > *last);
        if is_before || is_behind {
            return;
        }
        self.weigh(weight_of(&key, &origin));
        self.items.insert(key, origin);
        if self.items.len() > WINDOW {
            self.is_cut = true;
            if let Some((key, origin)) = self.items.pop_last() {
                self.unweigh(weight_of(&key, &origin));
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some((key, origin)) = self.items.remove_entry(key) {
            self.unweigh(weight_of(&key, &origin));
        }
    }

    fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes;
        KEPT.fetch_add(bytes, Ordering::Relaxed);
    }

    fn unweigh(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        KEPT.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn into_items(mut self) -> BTreeMap<Key, Origin> {
        std::mem::take(&mut self.items)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn weight_of(key: &Key, origin: &Origin) -> usize {
    let Reverse((_, id)) = key;
    COST + id.len() + origin.weight()
}

fn key_of(id: &str) -> Key {
    Reverse((stamp_of(id), id.into()))
}

/// What the end of an id says of its order; what other programs put there comes last.
pub(super) fn stamp_of(id: &str) -> u64 {
    id.rsplit_once('.')
        .and_then(|(_, stamp)| u64::from_str_radix(stamp, 16).ok())
        .unwrap_or(0)
}

/// When the folder of notes has changed last.
fn modified(root: &Root) -> Result<SystemTime> {
    os::stat_fd(fd(&root.trash_info))
        .map(|found| found.node.modified)
        .map_err(|e| explain(DOING, e))
}
