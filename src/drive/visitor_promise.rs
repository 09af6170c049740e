//! Room that the visitors of public links are promised before their bytes come. Visitors are not known: what they announce and do not send
//! must not use up the owner's quota or the disk.

use parking_lot::Mutex;
use std::sync::Arc;

/// Bytes that the visitors of all links of one tree are promised together.
const BUDGET: u64 = 64 << 20;

/// What is promised to visitors of one tree and has not come yet.
#[derive(Debug, Default)]
pub(super) struct VisitorPromises {
    /// In bytes, at most [`BUDGET`].
    promised: Mutex<u64>,
}

/// What one upload of a visitor is promised; given back as its bytes come, and when dropped.
#[derive(Debug)]
pub(super) struct VisitorPromise {
    all: Arc<VisitorPromises>,
    left: u64,
}

impl VisitorPromises {
    /// Promises `len` bytes, or what the budget still has of them.
    pub(super) fn promise(self: &Arc<Self>, len: u64) -> VisitorPromise {
        let mut promised = self.promised.lock();
        let left = len.min(BUDGET.saturating_sub(*promised));
        *promised += left;
        VisitorPromise {
            all: Arc::clone(self),
            left,
        }
    }
}

impl VisitorPromise {
    /// Bytes that are promised and have not come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Notes that bytes have come.
    pub(super) fn receive(&mut self, came: u64) {
        let kept = came.min(self.left);
        self.left -= kept;
        *self.all.promised.lock() -= kept;
    }
}

impl Drop for VisitorPromise {
    fn drop(&mut self) {
        self.receive(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_one_for_all_and_comes_back() {
        let all = Arc::new(VisitorPromises::default());
        let mut first = all.promise(BUDGET - 10);
        let second = all.promise(30);
        assert_eq!((first.left(), second.left()), (BUDGET - 10, 10));
        assert_eq!(all.promise(1).left(), 0);
        first.receive(4);
        assert_eq!(all.promise(5).left(), 4);
        first.receive(BUDGET);
        assert_eq!(all.promise(BUDGET).left(), BUDGET - 10);
        drop((first, second));
        assert_eq!(all.promise(BUDGET + 1).left(), BUDGET);
    }
}
