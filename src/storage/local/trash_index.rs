//! What lies in the trash, newest first, kept in memory while somebody pages through it: a page then reads what it shows and nothing
//! else. What all trees keep together is bounded; so is what one keeps, by holding a window of the trash.

#[cfg(test)]
mod tests;

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::sys::{self, fd};
use super::trashinfo::{self, TRASHINFO};
use crate::model::{AccountName, RelPath, Result};
use crate::storage::history::TrashedItem;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

const DOING: &str = "read the trash";
/// How many items a window has at most.
const MAX_WINDOW_ITEMS: usize = 200_000;
/// How many bytes the windows of all trees have at most; then those of the others go.
const MAX_CACHED_BYTES: usize = 48 << 20;
/// What an item takes beside its text.
const ITEM_OVERHEAD: usize = 96;
/// How many changes wait at most until somebody asks.
const MAX_PENDING: usize = 4096;
/// What changed so lately when it was looked at may have changed once more without showing it: the clock of a file system has steps.
const TICK: Duration = Duration::from_millis(20);
/// A trash whose folder of notes has so many bytes is read before somebody asks: some ten thousand items.
const LARGE: u64 = if cfg!(test) { 16 << 10 } else { 1 << 20 };
/// A trash that is read so quickly is read again after each change.
const QUICK: Duration = Duration::from_millis(5);
/// How long a larger one is believed after changes of our own, beside which those of other programs do not show.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Bytes of all windows.
static CACHED_BYTES: AtomicUsize = AtomicUsize::new(0);
/// All that may have a window.
static WINDOWS: Mutex<Vec<Weak<Mutex<Option<TrashWindow>>>>> = Mutex::new(Vec::new());

/// What is known of one trash.
#[derive(Debug, Default)]
pub(super) struct TrashIndex {
    window: Arc<Mutex<Option<TrashWindow>>>,
    pending: Mutex<PendingTrashChanges>,
    #[cfg(test)]
    pub reads: TrashReadCounts,
}

/// How much was read.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct TrashReadCounts {
    pub names: AtomicUsize,
    pub notes: AtomicUsize,
}

/// What has come and gone since somebody asked.
#[derive(Debug, Default)]
struct PendingTrashChanges {
    is_tracking: bool,
    changes: Vec<(String, Option<TrashOrigin>)>,
}

/// Newest first: by the stamp at the end of the id.
type TrashKey = Reverse<(u64, Box<str>)>;

/// Where an item comes from, as its note says.
#[derive(Clone, Debug, Default)]
enum TrashOrigin {
    #[default]
    Unread,
    Unknown,
    Known(Box<(RelPath, Option<AccountName>)>),
}

/// Which items are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrashFilter<'a> {
    /// What lay below this folder.
    pub below: &'a RelPath,
    /// What this account deleted or replaced.
    pub who: Option<&'a AccountName>,
}

/// A part of the trash.
#[derive(Debug)]
struct TrashWindow {
    items: BTreeMap<TrashKey, TrashOrigin>,
    /// After which item it begins.
    after: Option<TrashKey>,
    /// Whether older items follow it.
    has_more: bool,
    /// When the folder of notes had changed last.
    seen: SystemTime,
    /// Whether it may have changed since without showing it, or we have changed it.
    may_be_stale: bool,
    read: Instant,
    took: Duration,
    bytes: usize,
}

impl TrashIndex {
    /// What is wanted of the trash, newest first: up to `limit` items after the one called `after`.
    pub fn page(
        &self,
        dirs: &TreeDirs,
        filter: TrashFilter<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrashedItem>> {
        let mut items = Vec::new();
        let mut after = after.map(key_of);
        let folder = self.folder(dirs);
        let mut held = self.window.lock();
        loop {
            self.refresh(folder, &mut held, after.as_ref())?;
            let Some(window) = held.as_mut() else {
                return Ok(items);
            };
            after = window.collect(folder, filter, after.as_ref(), (&mut items, limit))?;
            if after.is_none() || items.len() == limit || !window.has_more {
                return Ok(items);
            }
        }
    }

    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, reason = "tests count what is read")
    )]
    fn folder<'a>(&'a self, dirs: &'a TreeDirs) -> TrashDir<'a> {
        TrashDir {
            dirs,
            #[cfg(test)]
            reads: &self.reads,
        }
    }

    /// Notes that an item has come.
    pub fn note_added(&self, id: &str, path: &RelPath, who: &AccountName) {
        self.note(id, || {
            Some(TrashOrigin::Known(Box::new((
                path.clone(),
                Some(who.clone()),
            ))))
        });
    }

    /// Notes that an item is gone.
    pub fn note_removed(&self, id: &str) {
        self.note(id, || None);
    }

    /// Forgets all: more has come than is told one by one.
    pub fn invalidate(&self) {
        *self.pending.lock() = PendingTrashChanges::default();
    }

    fn note(&self, id: &str, change: impl FnOnce() -> Option<TrashOrigin>) {
        let mut news = self.pending.lock();
        if !news.is_tracking {
            return;
        }
        if news.changes.len() == MAX_PENDING {
            *news = PendingTrashChanges::default();
            return;
        }
        news.changes.push((id.to_owned(), change()));
    }

    /// Lets the window be as the trash is now and reach beyond `after`, if there is more.
    fn refresh(
        &self,
        folder: TrashDir<'_>,
        held: &mut Option<TrashWindow>,
        after: Option<&TrashKey>,
    ) -> Result<()> {
        let seen = folder.modified()?;
        let news = std::mem::replace(
            &mut *self.pending.lock(),
            PendingTrashChanges {
                is_tracking: true,
                changes: Vec::new(),
            },
        );
        let mut old = held.take();
        if let Some(window) = old.as_mut().filter(|_| news.is_tracking) {
            for (id, change) in news.changes {
                window.apply(&id, change);
            }
            if window.is_current(seen) && window.covers(after) {
                *held = old;
                return Ok(());
            }
        }
        let was_cut = old
            .as_ref()
            .is_some_and(|old| old.has_more || old.after.is_some());
        let mut window = folder.read(old, seen, after.filter(|_| was_cut).cloned())?;
        if !window.covers(after) {
            window = folder.read(Some(window), seen, after.cloned())?;
        }
        *held = Some(window);
        self.evict_others();
        Ok(())
    }

    /// Keeps what all windows have within bounds, by letting go of those that nobody looks at right now.
    fn evict_others(&self) {
        let mut all = WINDOWS.lock();
        all.retain(|other| other.strong_count() > 0);
        if !all
            .iter()
            .any(|other| other.as_ptr() == Arc::as_ptr(&self.window))
        {
            all.push(Arc::downgrade(&self.window));
        }
        if CACHED_BYTES.load(Ordering::Relaxed) <= MAX_CACHED_BYTES {
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

/// The folders of the trash that an index is about.
#[derive(Clone, Copy)]
struct TrashDir<'a> {
    dirs: &'a TreeDirs,
    #[cfg(test)]
    reads: &'a TrashReadCounts,
}

/// Whether a trash is so large that it is to be read before somebody asks.
pub(super) fn is_large(dirs: &TreeDirs) -> bool {
    sys::folder_size(fd(&dirs.trash_info)).is_ok_and(|size| size >= LARGE)
}

impl TrashDir<'_> {
    /// When the folder of notes has changed last.
    fn modified(self) -> Result<SystemTime> {
        sys::stat_fd(fd(&self.dirs.trash_info))
            .map(|found| found.node.modified)
            .map_err(|e| map_errno(DOING, e))
    }

    /// The window of the trash that follows `after`; what `old` knows need not be read again.
    fn read(
        self,
        old: Option<TrashWindow>,
        seen: SystemTime,
        after: Option<TrashKey>,
    ) -> Result<TrashWindow> {
        let is_unsure = seen.elapsed().is_ok_and(|age| age < TICK);
        let read = Instant::now();
        let items = BTreeMap::new();
        let mut window = TrashWindow {
            items,
            after,
            has_more: false,
            seen,
            may_be_stale: is_unsure,
            read,
            took: QUICK,
            bytes: 0,
        };
        let failed = |e| map_errno(DOING, e);
        // A fresh descriptor, since reading moves the one shared with others.
        let notes =
            sys::open_folder(fd(&self.dirs.trash_info), "", sys::Lookup::Full).map_err(failed)?;
        let mut keys = Vec::new();
        let read_all = sys::read_dir(fd(&notes), &mut Vec::new(), usize::MAX, |name, _| {
            let id = name
                .to_str()
                .ok()
                .and_then(|name| name.strip_suffix(TRASHINFO));
            keys.extend(
                id.map(key_of)
                    .filter(|key| window.after.as_ref().is_none_or(|after| key > after)),
            );
            if keys.len() == 2 * MAX_WINDOW_ITEMS {
                window.has_more = truncate_keys(&mut keys);
            }
            #[cfg(test)]
            self.reads.names.fetch_add(1, Ordering::Relaxed);
            Ok::<_, sys::Errno>(())
        });
        read_all.map_err(failed)?;
        window.has_more |= truncate_keys(&mut keys);
        window.fill(keys, old.map(TrashWindow::into_items).unwrap_or_default());
        window.took = read.elapsed();
        Ok(window)
    }

    /// Where an item comes from, as its note says.
    fn origin(self, id: &str) -> Result<TrashOrigin> {
        #[cfg(test)]
        self.reads.notes.fetch_add(1, Ordering::Relaxed);
        let known = trashinfo::origin(self.dirs, id)?;
        Ok(known.map_or(TrashOrigin::Unknown, |known| {
            TrashOrigin::Known(Box::new(known))
        }))
    }

    /// The item called `id`, if it is there.
    fn item(self, id: &str) -> Result<Option<TrashedItem>> {
        #[cfg(test)]
        self.reads.notes.fetch_add(1, Ordering::Relaxed);
        trashinfo::item(self.dirs, id.to_owned())
    }
}

/// Keeps the newest that a window may have; whether there were more.
fn truncate_keys(keys: &mut Vec<TrashKey>) -> bool {
    let has_more = keys.len() > MAX_WINDOW_ITEMS;
    if has_more {
        keys.select_nth_unstable(MAX_WINDOW_ITEMS);
        keys.truncate(MAX_WINDOW_ITEMS);
    }
    has_more
}

impl TrashFilter<'_> {
    /// Whether an item is wanted, by its note, which is read once. `added` grows by what it takes to remember it.
    fn matches(
        &self,
        folder: TrashDir<'_>,
        id: &str,
        origin: &mut TrashOrigin,
        added: &mut usize,
    ) -> Result<bool> {
        if self.below.is_root() && self.who.is_none() {
            return Ok(true);
        }
        if matches!(origin, TrashOrigin::Unread) {
            *origin = folder.origin(id)?;
            *added += origin.weight();
        }
        let TrashOrigin::Known(known) = origin else {
            return Ok(false);
        };
        Ok(known.0.is_within(self.below) && (self.who.is_none() || known.1.as_ref() == self.who))
    }
}

impl TrashOrigin {
    fn weight(&self) -> usize {
        match self {
            Self::Known(known) => ITEM_OVERHEAD + known.0.as_str().len(),
            _ => 0,
        }
    }
}

impl TrashWindow {
    /// Whether nothing can be otherwise on the disk, where the folder of notes was changed at `seen`.
    fn is_current(&self, seen: SystemTime) -> bool {
        if self.may_be_stale {
            return self.took > QUICK && self.read.elapsed() < MAX_AGE;
        }
        self.seen == seen
    }

    /// Adds what is wanted of what follows `after` to `items`, up to `limit` in all; returns the last that was looked at.
    fn collect(
        &mut self,
        folder: TrashDir<'_>,
        filter: TrashFilter<'_>,
        after: Option<&TrashKey>,
        (items, limit): (&mut Vec<TrashedItem>, usize),
    ) -> Result<Option<TrashKey>> {
        let mut added = 0;
        let mut last = None;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, origin) in self
            .items
            .range_mut::<TrashKey, _>((from, Bound::Unbounded))
        {
            if items.len() == limit {
                break;
            }
            let Reverse((_, id)) = key;
            if filter.matches(folder, id, origin, &mut added)? {
                items.extend(folder.item(id)?);
            }
            last = Some(key);
        }
        let last = last.cloned();
        self.add_bytes(added);
        Ok(last)
    }

    /// Whether what follows an item is in it.
    fn covers(&self, after: Option<&TrashKey>) -> bool {
        let begins = self
            .after
            .as_ref()
            .is_none_or(|begin| after.is_some_and(|after| after >= begin));
        begins
            && (!self.has_more
                || self
                    .items
                    .last_key_value()
                    .is_some_and(|(last, _)| after.is_none_or(|after| after < last)))
    }

    /// Lets it have these items, in one go: one by one they would cost several times as much. `former` knows where some come from.
    fn fill(&mut self, mut keys: Vec<TrashKey>, former: BTreeMap<TrashKey, TrashOrigin>) {
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
        self.add_bytes(
            self.items
                .iter()
                .map(|(key, origin)| weight_of(key, origin))
                .sum(),
        );
    }

    fn apply(&mut self, id: &str, change: Option<TrashOrigin>) {
        self.may_be_stale = true;
        let key = key_of(id);
        match change {
            Some(origin) => self.add(key, origin),
            None => self.remove(&key),
        }
    }

    fn add(&mut self, key: TrashKey, origin: TrashOrigin) {
        let is_before = self.after.as_ref().is_some_and(|after| key <= *after);
        let is_behind = self.has_more
            && self
                .items
                .last_key_value()
                .is_some_and(|(last, _)| key > *last);
        if is_before || is_behind {
            return;
        }
        self.add_bytes(weight_of(&key, &origin));
        self.items.insert(key, origin);
        if self.items.len() > MAX_WINDOW_ITEMS {
            self.has_more = true;
            if let Some((key, origin)) = self.items.pop_last() {
                self.subtract_bytes(weight_of(&key, &origin));
            }
        }
    }

    fn remove(&mut self, key: &TrashKey) {
        if let Some((key, origin)) = self.items.remove_entry(key) {
            self.subtract_bytes(weight_of(&key, &origin));
        }
    }

    fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
        CACHED_BYTES.fetch_add(bytes, Ordering::Relaxed);
    }

    fn subtract_bytes(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        CACHED_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn into_items(mut self) -> BTreeMap<TrashKey, TrashOrigin> {
        std::mem::take(&mut self.items)
    }
}

impl Drop for TrashWindow {
    fn drop(&mut self) {
        CACHED_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn weight_of(key: &TrashKey, origin: &TrashOrigin) -> usize {
    let Reverse((_, id)) = key;
    ITEM_OVERHEAD + id.len() + origin.weight()
}

fn key_of(id: &str) -> TrashKey {
    Reverse((stamp_of(id), id.into()))
}

/// What the end of an id says of its order; what other programs put there comes last.
pub(super) fn stamp_of(id: &str) -> u64 {
    id.rsplit_once('.')
        .and_then(|(_, stamp)| u64::from_str_radix(stamp, 16).ok())
        .unwrap_or(0)
}
