//! The access of a request that signed in with a session: it ends with the session.

use super::Session;
use crate::auth::accounts::Account;
use crate::auth::clock::now;
use crate::auth::grants::Grants;
use crate::auth::revocation::require_valid;
use crate::model::{AccessCheck, Error, Result};
use std::fmt;
use std::sync::Arc;

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
        require_valid(is_of && session.is_valid_for(&self.account, now()))
    }
}
