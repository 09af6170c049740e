//! Space taken on a disk for uploads whose bytes have not come yet. All of it together may be at most half of what would be free without it:
//! whoever announces much and sends nothing must not fill the disk for everybody else.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes promised on one disk and not sent. The lock is held while somebody looks for space and takes it.
#[derive(Debug, Default)]
pub(super) struct UnsentSpace(Mutex<u64>);

/// The right to look for space on a disk and take it.
pub(super) struct SpaceTurn<'a>(MutexGuard<'a, u64>);

/// Space that was taken for one upload. What of it was not sent counts until this is dropped.
#[derive(Debug)]
pub(super) struct SpacePromise {
    disk: Arc<UnsentSpace>,
    len: u64,
    unsent: Mutex<u64>,
}

/// The promises of uploads that outlive requests, by their ids.
#[derive(Debug, Default)]
pub(super) struct ResumablePromises(Mutex<HashMap<String, Arc<SpacePromise>>>);

impl UnsentSpace {
    /// Waits for the right to look for space and take it.
    pub fn lock(&self) -> SpaceTurn<'_> {
        SpaceTurn(self.0.lock())
    }
}

impl SpaceTurn<'_> {
    /// Whether `len` more bytes may be promised where `free` are left beside the reserve and all that was promised.
    pub fn allows(&self, len: u64, free: u64) -> bool {
        let unsent = *self.0;
        unsent.saturating_add(len) <= free.saturating_add(unsent) / 2
    }

    /// Notes that `len` bytes were taken for an upload.
    pub fn promise(mut self, disk: &Arc<UnsentSpace>, len: u64) -> SpacePromise {
        *self.0 = self.0.saturating_add(len);
        SpacePromise {
            disk: disk.clone(),
            len,
            unsent: Mutex::new(len),
        }
    }
}

impl SpacePromise {
    /// Notes how many bytes of the upload have come.
    pub fn set_sent(&self, sent: u64) {
        let mut own = self.unsent.lock();
        let mut all = self.disk.0.lock();
        let unsent = self.len.saturating_sub(sent);
        *all = all.saturating_sub(*own).saturating_add(unsent);
        *own = unsent;
    }
}

impl Drop for SpacePromise {
    fn drop(&mut self) {
        let mut all = self.disk.0.lock();
        *all = all.saturating_sub(*self.unsent.get_mut());
    }
}

impl ResumablePromises {
    /// Keeps the promise of an upload until it ends; those of uploads that have come whole are not needed.
    pub fn insert(&self, id: &str, promise: SpacePromise) -> Arc<SpacePromise> {
        let promise = Arc::new(promise);
        let mut all = self.0.lock();
        all.retain(|_, promise| *promise.unsent.lock() > 0);
        all.insert(id.to_owned(), promise.clone());
        promise
    }

    /// The promise of an upload.
    pub fn get(&self, id: &str) -> Option<Arc<SpacePromise>> {
        self.0.lock().get(id).cloned()
    }

    /// Ends the promise of an upload that was published or aborted.
    pub fn remove(&self, id: &str) {
        self.0.lock().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of 1000 bytes of which `sent` are used.
    fn take(disk: &Arc<UnsentSpace>, len: u64, sent: u64) -> Option<SpacePromise> {
        let turn = disk.lock();
        let free = 1000 - sent - *turn.0;
        turn.allows(len, free).then(|| turn.promise(disk, len))
    }

    #[test]
    fn unsent_promises_hold_at_most_half_of_a_disk() {
        let disk = Arc::new(UnsentSpace::default());
        assert!(take(&disk, 501, 0).is_none());
        let first = take(&disk, 300, 0).unwrap();
        assert!(take(&disk, 201, 0).is_none());
        let second = take(&disk, 200, 0).unwrap();
        assert!(take(&disk, 1, 0).is_none());
        // What has come is no promise any more: 300 of 1000 are used, and 200 of 700 promised.
        first.set_sent(300);
        assert!(take(&disk, 151, 300).is_none());
        assert!(take(&disk, 150, 300).is_some());
        // What an upload takes back was promised to it.
        first.set_sent(0);
        assert!(take(&disk, 1, 0).is_none());
        drop(second);
        drop(first);
        assert!(take(&disk, 500, 0).is_some());
    }

    #[test]
    fn promises_of_resumable_uploads_last_until_they_end() {
        let disk = Arc::new(UnsentSpace::default());
        let promises = ResumablePromises::default();
        drop(promises.insert("a", take(&disk, 500, 0).unwrap()));
        assert!(take(&disk, 1, 0).is_none());
        promises.get("a").unwrap().set_sent(400);
        assert!(take(&disk, 200, 400).is_some());
        promises.remove("a");
        assert!(take(&disk, 300, 400).is_some());
    }
}
