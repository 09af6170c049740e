//! Who is asking: accounts, passwords, and the checks between a credential and an [`Identity`].

use crate::config::AccountsConfig;
use crate::model::{AccountName, Identity, Result, Role};
use crate::store::StateStore;
use std::net::IpAddr;
use std::sync::Arc;

/// What an administrator sees of an account.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct AccountView {
    /// The name.
    pub name: AccountName,
    /// The role.
    pub role: Role,
    /// Whether sign-in is refused.
    pub disabled: bool,
    /// Quota in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// Accounts and sign-in.
#[derive(Debug)]
pub struct Auth {}

impl Auth {
    /// Reads every account into memory.
    pub async fn open(_store: Arc<dyn StateStore>, _config: &AccountsConfig) -> Result<Arc<Self>> {
        todo!()
    }
    /// The verdict on an `Authorization` header value that was verified before and still holds; microseconds, never throttled.
    /// `None` when it must be verified.
    pub fn recall(&self, _header: &[u8]) -> Option<Result<Arc<Identity>>> {
        todo!()
    }
    /// Verifies name and password, and remembers the verdict for `header`. `Unauthenticated`, `Throttled`, `Busy`.
    pub async fn sign_in(&self, _header: &[u8], _user: &str, _password: &[u8], _from: IpAddr) -> Result<Arc<Identity>> {
        todo!()
    }
    /// Makes an account; `Exists`, `BadName`, `BadRequest` (weak password).
    pub async fn create(
        &self,
        _name: &AccountName,
        _password: &[u8],
        _role: Role,
        _quota: Option<u64>,
    ) -> Result<AccountView> {
        todo!()
    }
    /// All accounts by name.
    pub fn list(&self) -> Vec<AccountView> {
        todo!()
    }
    /// One account.
    pub fn account(&self, _name: &AccountName) -> Option<AccountView> {
        todo!()
    }
    /// Sets a password; the old one fails from the next request on.
    pub async fn set_password(&self, _name: &AccountName, _password: &[u8]) -> Result<()> {
        todo!()
    }
    /// Forbids or allows sign-in, from the next request on.
    pub async fn set_disabled(&self, _name: &AccountName, _disabled: bool) -> Result<()> {
        todo!()
    }
    /// Sets the quota in bytes; `None` is unlimited.
    pub async fn set_quota(&self, _name: &AccountName, _quota: Option<u64>) -> Result<()> {
        todo!()
    }
    /// Removes the account; its files are the caller's business.
    pub async fn remove(&self, _name: &AccountName) -> Result<()> {
        todo!()
    }
}
