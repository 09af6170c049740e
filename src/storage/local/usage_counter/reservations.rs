//! What is promised to uploads: bytes below a limit, and those of the files that they are to replace.

use super::UsageCounter;
use crate::model::{Error, Result};

impl UsageCounter {
    /// Reserves `bytes` more, whether they fit or not.
    pub fn reserve(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_add(bytes);
    }

    /// Takes back what was reserved.
    pub fn release(&self, bytes: u64) {
        if bytes > 0 {
            let mut state = self.state.lock();
            state.reserved = state.reserved.saturating_sub(bytes);
        }
    }

    /// Lets an upload count on the bytes of the file that it is to replace. False where another one does, or where all together would count
    /// on more than there is: files that were replaced meanwhile are history, or gone.
    pub fn claim(&self, inode: [u64; 2], bytes: u64) -> bool {
        let most = self.state.lock().upper_bound();
        let mut claims = self.claims.lock();
        let sum = claims
            .values()
            .fold(bytes, |sum, claimed| sum.saturating_add(*claimed));
        let fits =
            !claims.contains_key(&inode) && most.map_or(claims.is_empty(), |most| sum <= most);
        if fits {
            claims.insert(inode, bytes);
        }
        fits
    }

    /// Ends what [`claim`](Self::claim) began.
    pub fn release_claim(&self, inode: [u64; 2]) {
        self.claims.lock().remove(&inode);
    }

    /// Reserves `bytes` more if they fit below `limit`; `None` when that cannot be said without counting.
    pub fn try_reserve(&self, bytes: u64, limit: u64) -> Option<Result<()>> {
        let mut state = self.state.lock();
        let sum = state
            .upper_bound()?
            .saturating_add(state.reserved)
            .saturating_add(bytes);
        if sum <= limit {
            state.reserved = state.reserved.saturating_add(bytes);
            return Some(Ok(()));
        }
        (state.used.is_some() && state.unmeasured.is_empty()).then_some(Err(Error::NoSpace))
    }
}
