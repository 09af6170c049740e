//! The access of a request that signed in with an app password: it ends with the app password.

use super::AppPassword;
use crate::auth::accounts::Account;
use crate::auth::clock::now;
use crate::auth::grants::Grants;
use crate::auth::revocation::require_valid;
use crate::model::{AccessCheck, Error, Result};
use std::fmt;
use std::sync::Arc;

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
        require_valid(
            present.has_same_access(&self.entered) && present.is_valid_for(&self.account, now()),
        )
    }
}
