//! Whether what a request signed in with still holds: asked while the request runs, in memory only. A password ends by a flag
//! that its account raises; sessions and app passwords are looked up as they are when a request signs in.

use crate::model::{AccessCheck, Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells all who hold it that what was granted under it is over.
#[derive(Debug, Default)]
pub struct Revocation(AtomicBool);

impl Revocation {
    /// Ends what was granted under it, for good.
    pub fn revoke(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl AccessCheck for Revocation {
    fn check(&self) -> Result<()> {
        require_valid(!self.0.load(Ordering::Acquire))
    }
}

/// `AccessEnded` unless it is valid.
pub fn require_valid(is_valid: bool) -> Result<()> {
    if is_valid {
        Ok(())
    } else {
        Err(Error::AccessEnded)
    }
}
