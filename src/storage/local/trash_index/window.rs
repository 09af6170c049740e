//! A part of a trash that is kept in memory.

use super::folder::{DOING, ITEM_OVERHEAD, TrashDir, TrashFilter, TrashOrigin};
use super::key::{TrashKey, key_of};
use crate::model::Result;
use crate::storage::history::TrashedItem;
use crate::storage::local::errors::map_errno;
use crate::storage::local::sys::{self, fd};
use crate::storage::local::trashinfo::TRASHINFO;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How many items a window has at most.
pub(super) const MAX_WINDOW_ITEMS: usize = 200_000;
/// What changed so lately when it was looked at may have changed once more without showing it: the clock of a file system has steps.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// A trash that is read so quickly is read again after each change.
pub(super) const QUICK: Duration = Duration::from_millis(5);
/// How long a larger one is believed after changes of our own, beside which those of other programs do not show.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Bytes of all windows.
pub(super) static CACHED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// A part of the trash.
#[derive(Debug)]
pub(super) struct TrashWindow {
    pub(super) items: BTreeMap<TrashKey, TrashOrigin>,
    /// After which item it begins.
    pub(super) after: Option<TrashKey>,
    /// Whether older items follow it.
    pub(super) has_more: bool,
    /// When the folder of notes had changed last.
    pub(super) seen: SystemTime,
    /// Whether it may have changed since without showing it, or we have changed it.
    pub(super) may_be_stale: bool,
    pub(super) read: Instant,
    pub(super) took: Duration,
    pub(super) bytes: usize,
}

impl TrashWindow {
    /// The window of the trash that follows `after`; what `old` knows need not be read again.
    pub(super) fn read(
        folder: TrashDir<'_>,
        old: Option<Self>,
        seen: SystemTime,
        after: Option<TrashKey>,
    ) -> Result<Self> {
        let is_unsure = seen.elapsed().is_ok_and(|age| age < TICK);
        let read = Instant::now();
        let items = BTreeMap::new();
        let mut window = Self {
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
            sys::open_folder(fd(&folder.dirs.trash_info), "", sys::Lookup::Full).map_err(failed)?;
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
            folder.reads.names.fetch_add(1, Ordering::Relaxed);
            Ok::<_, sys::Errno>(())
        });
        read_all.map_err(failed)?;
        window.has_more |= truncate_keys(&mut keys);
        window.fill(keys, old.map(Self::into_items).unwrap_or_default());
        window.took = read.elapsed();
        Ok(window)
    }

    /// Whether nothing can be otherwise on the disk, where the folder of notes was changed at `seen`.
    pub(super) fn is_current(&self, seen: SystemTime) -> bool {
        if self.may_be_stale {
            return self.took > QUICK && self.read.elapsed() < MAX_AGE;
        }
        self.seen == seen
    }

    /// Adds what is wanted of what follows `after` to `items`, up to `limit` in all; returns the last that was looked at.
    pub(super) fn collect(
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
    pub(super) fn covers(&self, after: Option<&TrashKey>) -> bool {
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
    pub(super) fn fill(
        &mut self,
        mut keys: Vec<TrashKey>,
        former: BTreeMap<TrashKey, TrashOrigin>,
    ) {
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

    pub(super) fn apply(&mut self, id: &str, change: Option<TrashOrigin>) {
        self.may_be_stale = true;
        let key = key_of(id);
        match change {
            Some(origin) => self.add(key, origin),
            None => self.remove(&key),
        }
    }

    pub(super) fn add(&mut self, key: TrashKey, origin: TrashOrigin) {
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

    pub(super) fn into_items(mut self) -> BTreeMap<TrashKey, TrashOrigin> {
        std::mem::take(&mut self.items)
    }
}

impl Drop for TrashWindow {
    fn drop(&mut self) {
        CACHED_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

pub(super) fn weight_of(key: &TrashKey, origin: &TrashOrigin) -> usize {
    let Reverse((_, id)) = key;
    ITEM_OVERHEAD + id.len() + origin.weight()
}

/// Keeps the newest that a window may have; whether there were more.
pub(super) fn truncate_keys(keys: &mut Vec<TrashKey>) -> bool {
    let has_more = keys.len() > MAX_WINDOW_ITEMS;
    if has_more {
        keys.select_nth_unstable(MAX_WINDOW_ITEMS);
        keys.truncate(MAX_WINDOW_ITEMS);
    }
    has_more
}
