//! Who is asking: account names, roles, and the identity a request acts as.

use super::access::AccessCheck;
use super::error::{Error, Result};
use super::path::RelPath;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A checked account name, `[a-z0-9][a-z0-9._-]{0,63}`: safe as a file name and as part of a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
pub struct AccountName(String);

impl AccountName {
    /// Folds ASCII case and checks the form; [`Error::BadName`] says what is allowed.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.to_ascii_lowercase();
        let mut bytes = name.bytes();
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let head = bytes.next().is_some_and(alphanumeric);
        if head && name.len() <= 64 && bytes.all(|b| alphanumeric(b) || b"._-".contains(&b)) {
            return Ok(Self(name));
        }
        Err(Error::BadName(
            "An account name is 1 to 64 letters a-z, digits, dots, underscores or hyphens, and begins with a letter or digit.",
        ))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What an account may do beyond its own drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses their own drive.
    User,
    /// Also administers accounts.
    Admin,
}

/// Who a request acts as, after sign-in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The account.
    pub account: AccountName,
    /// Which account of that name it is: a name can be given again, an id cannot.
    pub account_id: Arc<str>,
    /// The generation of the account's credentials at sign-in; what is begun under it does not complete under another.
    pub generation: u64,
    /// Its role.
    pub role: Role,
    /// Its quota in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// What it signed in with.
    pub via: Via,
    /// The folder of the drive that is its whole drive; the root, unless an app password says otherwise.
    pub scope: RelPath,
    /// What that folder must be, whatever it is called; `None` for any.
    pub target: Option<ScopeTarget>,
    /// What it may do there.
    pub rights: Rights,
    /// Whether what it signed in with still holds.
    pub access: Arc<dyn AccessCheck>,
}

/// What a scope leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeTarget {
    /// The file or folder with this file id.
    File([u8; 16]),
    /// A folder of what others share.
    Mounts,
}

/// What a request signed in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// The account's password.
    Password,
    /// An app password, by its id.
    AppPassword(String),
    /// A session of the web app or the API, by its id.
    Session(String),
    /// A public link, by its id: the request acts for the account that made the link.
    Link(String),
}

/// What may be done in a drive or a part of it; each contains the ones before it, but for `Drop`, which shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rights {
    /// Upload new files, and see nothing.
    Drop,
    /// See and download.
    View,
    /// Everything.
    Edit,
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::View => "view",
            Self::Edit => "edit",
        })
    }
}

impl Identity {
    /// The whole account, by its password, for as long as `access` holds.
    pub fn whole(
        account: AccountName,
        role: Role,
        quota: Option<u64>,
        access: Arc<dyn AccessCheck>,
    ) -> Self {
        let account_id = Arc::default();
        let generation = 0;
        let via = Via::Password;
        let scope = RelPath::default();
        let target = None;
        let rights = Rights::Edit;
        Self {
            account,
            account_id,
            generation,
            role,
            quota,
            via,
            scope,
            target,
            rights,
            access,
        }
    }

    /// Whether it is confined in any way: then it may use files, but not change the account itself.
    pub fn is_confined(&self) -> bool {
        self.rights != Rights::Edit
            || !self.scope.is_root()
            || matches!(self.via, Via::AppPassword(_) | Via::Link(_))
    }
}
