//! What is stored of an account.

use super::account_view::AccountView;
use super::password::random_bytes;
use super::second_factor::TwoFactor;
use crate::model::{AccountName, Error, Result, Role};
use crate::state::table::{self, new_id};
use serde::{Deserialize, Serialize};

/// Who vouches for an e-mail address.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EmailSource {
    /// An administrator set it.
    Administrator,
    /// The account confirmed it with its password.
    Owner,
}

/// What an account says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name that people see.
    pub display_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Who vouches for the address; `None` for a mere claim, which lets nobody in.
    pub email_source: Option<EmailSource>,
    /// When the address last changed, in milliseconds since 1970; `None` when it did not since that is noted.
    pub email_since: Option<i64>,
}

/// The record of one account. Version 1 had no display name, e-mail address and second factor; version 2 neither
/// an id nor who vouches for the address.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccountRecord {
    /// What no other account ever has, also not a later one of the same name; empty for one of before there were ids.
    #[serde(default)]
    pub id: String,
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
    /// Who vouches for the e-mail address; without that it lets nobody in.
    #[serde(default)]
    pub email_source: Option<EmailSource>,
    /// When the e-mail address last changed, in milliseconds since 1970; of two who confirmed one, the first has it.
    #[serde(default)]
    pub email_since: Option<i64>,
    /// The second factor, if it was begun.
    pub two_factor: Option<TwoFactor>,
    /// The session that goes on under the present generation, until its own record says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_session: Option<KeptSession>,
}

/// A session that a change of the password does not end: the hash of its secret, and its generation before.
pub type KeptSession = (String, u64);

impl AccountRecord {
    /// The record of a new account.
    pub fn new(password: String, role: Role, quota: Option<u64>, created: i64) -> Result<Self> {
        let generation = u64::from(u32::from_le_bytes(random_bytes()?));
        Ok(Self {
            id: new_id()?,
            role,
            disabled: false,
            quota,
            created,
            password,
            generation,
            display_name: None,
            email: None,
            email_source: None,
            email_since: None,
            two_factor: None,
            kept_session: None,
        })
    }

    /// Ends everything that was granted or begun under the present credentials.
    pub fn end_generation(&mut self) {
        self.generation += 1;
        // A second factor that was begun and not confirmed may be somebody else's.
        self.two_factor = self.two_factor.take().filter(TwoFactor::is_on);
    }

    /// Refuses what was begun under other credentials, or by another account of the name. `Conflict`.
    pub fn check_same(&self, id: &str, generation: u64) -> Result<()> {
        if self.id == id && self.generation == generation {
            Ok(())
        } else {
            Err(Error::Conflict)
        }
    }

    /// What an administrator sees of it.
    pub fn view(&self, name: &AccountName) -> AccountView {
        AccountView {
            name: name.clone(),
            role: self.role,
            disabled: self.disabled,
            quota: self.quota,
            created: self.created,
            email: self.email.clone(),
        }
    }

    /// Whether the address and the claim to it are the same.
    pub fn has_same_email(&self, other: &Self) -> bool {
        let claim = |record: &Self| (record.email_source, record.email_since);
        self.email == other.email && claim(self) == claim(other)
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

impl table::Record for AccountRecord {
    // What an older version lacks is optional, so its fields are read as they are.
    const VERSION: u32 = 3;
}
