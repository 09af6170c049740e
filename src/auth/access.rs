//! Whether what a request signed in with still holds: asked while the request runs, in memory only. A password is over by a flag
//! that its account raises; sessions and app passwords are looked up as they are when a request signs in.

use super::accounts::Account;
use super::app_passwords::AppPassword;
use super::grants::Grants;
use super::sessions::{Session, now};
use crate::model::{AccessCheck, Error, Result};
use std::fmt;
use std::sync::Arc;
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
        holds(!self.0.load(Ordering::Acquire))
    }
}

/// The access of a session, or of a bearer of it.
pub struct SessionAccess {
    pub(super) sessions: Arc<Grants<Session>>,
    pub(super) account: Arc<Account>,
    pub(super) id: String,
    /// The generation that a bearer is of: it ends with that, though its session may go on.
    pub(super) bearer_of: Option<u64>,
}

impl fmt::Debug for SessionAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionAccess").field(&self.id).finish()
    }
}

impl AccessCheck for SessionAccess {
    fn check(&self) -> Result<()> {
        let session = self.sessions.get(&self.id).ok_or(Error::AccessEnded)?;
        let is_of = self
            .bearer_of
            .is_none_or(|generation| session.is_of(generation));
        holds(is_of && session.is_valid_for(&self.account, now()))
    }
}

/// The access of an app password, as wide as it was when the request signed in.
pub struct AppPasswordAccess {
    pub(super) app_passwords: Arc<Grants<AppPassword>>,
    pub(super) account: Arc<Account>,
    pub(super) id: String,
    pub(super) entered: Arc<AppPassword>,
}

impl fmt::Debug for AppPasswordAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppPasswordAccess").field(&self.id).finish()
    }
}

impl AccessCheck for AppPasswordAccess {
    fn check(&self) -> Result<()> {
        let present = self.app_passwords.get(&self.id).ok_or(Error::AccessEnded)?;
        holds(present.has_same_access(&self.entered) && present.is_valid_for(&self.account, now()))
    }
}

fn holds(holds: bool) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::AccessEnded)
    }
}
