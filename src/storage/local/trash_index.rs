//! What lies in the trash, newest first, kept in memory while somebody pages through it: a page then reads what it shows and nothing
//! else. What all trees keep together is bounded; so is what one keeps, by holding a window of the trash.

mod folder;
mod key;
#[cfg(test)]
mod tests;
mod window;

#[cfg(test)]
use folder::TrashReadCounts;
pub(super) use folder::{TrashFilter, is_large};
pub(super) use key::stamp_of;

use super::dirs::TreeDirs;
use crate::model::{AccountName, RelPath, Result};
use crate::storage::history::TrashedItem;
use folder::{TrashDir, TrashOrigin};
use key::{TrashKey, key_of};
use parking_lot::Mutex;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use window::{CACHED_BYTES, TrashWindow};

/// How many bytes the windows of all trees have at most; then those of the others go.
const MAX_CACHED_BYTES: usize = 48 << 20;
/// How many changes wait at most until somebody asks.
const MAX_PENDING: usize = 4096;
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

/// What has come and gone since somebody asked.
#[derive(Debug, Default)]
struct PendingTrashChanges {
    is_tracking: bool,
    changes: Vec<(String, Option<TrashOrigin>)>,
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
        let mut window = TrashWindow::read(folder, old, seen, after.filter(|_| was_cut).cloned())?;
        if !window.covers(after) {
            window = TrashWindow::read(folder, Some(window), seen, after.cloned())?;
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
