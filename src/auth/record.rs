//! What is stored of an account.

use super::password::random_bytes;
use super::two_factor::TwoFactor;
use crate::model::{Result, Role};
use crate::store::table;
use serde::{Deserialize, Serialize};

/// The record of one account. Version 1 had no display name, e-mail address and second factor.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    /// The role.
    pub role: Role,
    /// Whether sign-in is refused.
    pub disabled: bool,
    /// Quota in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The password's hash, a PHC string.
    pub password: String,
    /// Changes with the password and with disabling: whatever was granted under another generation is void.
    /// It begins at random, so that an account made anew under an old name revives nothing.
    pub generation: u64,
    /// The name that people see.
    pub display_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The second factor, if it was begun.
    pub two_factor: Option<TwoFactor>,
}

impl Record {
    /// The record of a new account.
    pub fn new(password: String, role: Role, quota: Option<u64>, created: i64) -> Result<Self> {
        let generation = u64::from(u32::from_le_bytes(random_bytes()?));
        let (display_name, email, two_factor) = (None, None, None);
        Ok(Self { role, disabled: false, quota, created, password, generation, display_name, email, two_factor })
    }

    /// Whether sign-in asks for a code after the password.
    pub fn wants_code(&self) -> bool {
        self.two_factor.as_ref().is_some_and(TwoFactor::is_on)
    }

    /// The generation under which the password alone signs in; `None` when it does not.
    pub fn password_opens(&self) -> Option<u64> {
        (!self.disabled && !self.wants_code()).then_some(self.generation)
    }

    /// Whether it is an administrator's who may sign in.
    pub fn administers(&self) -> bool {
        self.role == Role::Admin && !self.disabled
    }
}

impl table::Record for Record {
    // What an older version lacks is optional, so its fields are read as they are.
    const VERSION: u32 = 2;
}
