//! Files that no thumbnail can be made of: each costs its decoding once, however often it is asked for. In memory only: the next start
//! tries again.

use crate::storage::Etag;
use parking_lot::Mutex;
use std::collections::HashMap;

/// How many are remembered. One more, and all are forgotten.
const MOST: usize = 4096;

/// Contents, each with the least size that it cannot be made at.
#[derive(Debug, Default)]
pub(super) struct FailedThumbnails(Mutex<HashMap<[u64; 4], u32>>);

impl FailedThumbnails {
    /// Whether this content is known not to be made at this size.
    pub(super) fn has(&self, etag: Etag, size: u32) -> bool {
        self.0.lock().get(&etag.0).is_some_and(|from| size >= *from)
    }

    /// Remembers that this content cannot be made at this size and above.
    pub(super) fn add(&self, etag: Etag, from: u32) {
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(&etag.0) {
            all.clear();
        }
        all.entry(etag.0)
            .and_modify(|known| *known = from.min(*known))
            .or_insert(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_refused_from_the_least_size_on_that_failed() {
        let refused = FailedThumbnails::default();
        let etag = Etag([1, 2, 3, 4]);
        let other = Etag([1, 2, 3, 5]);
        refused.add(etag, 640);
        refused.add(etag, 1024);
        assert!(refused.has(etag, 640) && !refused.has(etag, 320) && !refused.has(other, 640));
        refused.add(etag, 0);
        assert!(refused.has(etag, 32));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let refused = FailedThumbnails::default();
        let known = || refused.0.lock().len();
        let most = u64::try_from(MOST).unwrap();
        (0..most).for_each(|inode| refused.add(Etag([inode, 0, 0, 0]), 0));
        refused.add(Etag([0; 4]), 0);
        assert_eq!(known(), MOST, "it was among them");
        refused.add(Etag([most, 0, 0, 0]), 0);
        assert_eq!(known(), 1);
    }
}
