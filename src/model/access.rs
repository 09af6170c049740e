//! What lets a request in may end while the request runs: a credential, a session, a link. Each drive asks it again at every step.

use super::error::Result;
use std::fmt::Debug;

/// Whether what a request was let in by still holds: a look into memory that never waits.
pub trait AccessCheck: Debug + Send + Sync {
    /// `AccessEnded`, or `NotFound` by a public link, once it does not.
    fn check(&self) -> Result<()>;

    /// Of a link, the generation of the password that it was entered with: its visitors take locks under it. Else 0.
    fn generation(&self) -> u64 {
        0
    }
}

/// The access of who needs no credential: the server's own administrator at its command line.
#[derive(Clone, Copy, Debug)]
pub struct Irrevocable;

impl AccessCheck for Irrevocable {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}
