//! Room: what is used and promised, below a limit and on a disk that is made up.

use super::Shared;
use super::state::{ItemId, ItemKind, MemoryState, ROOT, STAGING};
use crate::model::{Error, RelPath, Result};
use crate::storage::{SpaceRequest, SpaceReservation, Usage};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes that the disk has.
const DISK: u64 = 1 << 40;

impl MemoryState {
    pub fn usage(&self) -> Usage {
        let used = self.size(ROOT) + self.size(STAGING);
        let held = self.items.values().map(|item| match &item.kind {
            ItemKind::Folder(_) => 0,
            ItemKind::File(content) => {
                let former = content.versions.iter().map(|former| former.bytes.len());
                content.bytes.len() + former.sum::<usize>()
            }
        });
        let uploads = self.uploads.values();
        let kept = uploads.map(|upload| upload.len.max(upload.bytes.lock().len() as u64));
        let free = DISK - held.sum::<usize>() as u64 - kept.sum::<u64>();
        Usage { used, free }
    }

    /// Fails where a change makes the tree hold more than the limit; what it does not make larger always fits.
    pub fn check_limit(&self, added: u64, removed: u64, limit: Option<u64>) -> Result<()> {
        let fits = |limit| added <= removed || self.usage().used + added - removed <= limit;
        if limit.is_none_or(fits) {
            Ok(())
        } else {
            Err(Error::NoSpace)
        }
    }

    /// As [`check_limit`](Self::check_limit), beside what is promised.
    pub fn check_room(&self, added: u64, removed: u64, limit: Option<u64>) -> Result<()> {
        let promised = self.promises.values().sum::<u64>();
        let left = limit.map(|limit| limit.saturating_sub(promised));
        self.check_limit(added, removed, left)
    }

    /// Fails where the disk has no room for so many bytes.
    pub fn check_disk(&self, len: u64) -> Result<()> {
        if len <= self.usage().free {
            Ok(())
        } else if self.held_until > SystemTime::now() {
            Err(Error::LimitReached("The history is held."))
        } else {
            Err(Error::NoSpace)
        }
    }

    /// The file that an upload to this path replaces, and its bytes.
    pub fn replaced(&self, path: &RelPath) -> (Option<ItemId>, u64) {
        let found = self.file(path).ok();
        found.map_or((None, 0), |(id, content)| {
            (Some(id), content.bytes.len() as u64)
        })
    }
}

/// Bytes promised to an upload; given back when dropped.
#[derive(Debug)]
pub(super) struct MemoryReservation {
    shared: Arc<Shared>,
    pub number: u64,
    limit: Option<u64>,
    /// Bytes that go when what the upload replaces goes.
    replaced: u64,
    claim: Option<ItemId>,
}

impl SpaceReservation for MemoryReservation {}

impl MemoryReservation {
    pub fn new(shared: &Arc<Shared>, limit: Option<u64>, replaced: u64) -> Self {
        let number = shared.state.lock().next_number();
        Self {
            shared: Arc::clone(shared),
            number,
            limit,
            replaced,
            claim: None,
        }
    }

    /// For an upload that outlives requests: of those one at a time counts on the bytes of the file that it replaces. Without a limit its
    /// room is promised in any case.
    pub fn for_resumable(shared: &Arc<Shared>, path: &RelPath, room: SpaceRequest) -> Result<Self> {
        let mut reservation = Self::new(shared, room.limit, 0);
        let mut state = shared.state.lock();
        if let (Some(file), bytes) = state.replaced(path)
            && state.claims.insert(file)
        {
            reservation.claim = Some(file);
            reservation.replaced = bytes;
        }
        let len = room.len.unwrap_or_default();
        let granted = reservation.try_grow(&mut state, len);
        if granted.is_ok() && room.limit.is_none() {
            let bytes = len.saturating_sub(reservation.replaced);
            state.promises.insert(reservation.number, bytes);
        }
        // A refused one is dropped, which takes the lock.
        drop(state);
        granted.map(|()| reservation)
    }

    /// Makes room for a file of `len` bytes; `NoSpace`.
    pub fn grow(&self, len: u64) -> Result<()> {
        self.try_grow(&mut self.shared.state.lock(), len)
    }

    fn try_grow(&self, state: &mut MemoryState, len: u64) -> Result<()> {
        let held = state.promises.get(&self.number).copied().unwrap_or(0);
        let needed = len.saturating_sub(self.replaced).max(held);
        if self.limit.is_none() {
            return Ok(());
        }
        state.check_room(needed, held, self.limit)?;
        state.promises.insert(self.number, needed);
        Ok(())
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.promises.remove(&self.number);
        if let Some(file) = self.claim {
            state.claims.remove(&file);
        }
    }
}
