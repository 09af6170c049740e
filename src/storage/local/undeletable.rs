//! What of the history cannot be deleted (immutable, or on a part of the disk that fails) keeps nothing else from going.

use crate::model::{Error, Result};

/// So many may be left where they are; with more the disk is not well, and each try may take its time.
const MOST: usize = 16;

/// How many were left where they are.
#[derive(Debug, Default)]
pub(super) struct Undeletable(usize);

impl Undeletable {
    /// Goes on to the next, unless there were too many; logs the first.
    pub fn skip(&mut self, error: Error) -> Result<()> {
        if self.0 == 0 {
            tracing::warn!(%error, "something of the history cannot be deleted: it stays, and the rest goes");
        }
        self.0 += 1;
        if self.0 > MOST { Err(error) } else { Ok(()) }
    }
}
