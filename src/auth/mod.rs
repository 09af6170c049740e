//! Who is asking: accounts, passwords, and the checks between a credential and an [`Identity`].

mod accounts;
mod cache;
mod door;
mod linkpass;
mod password;
#[cfg(test)]
mod tests;
mod throttle;

use crate::config::AccountsConfig;
use crate::model::{AccountName, Error, Identity, Result, Role, time};
use crate::store::StateStore;
use accounts::{Accounts, Record};
use door::Door;
use password::{Hasher, Lane, Secret};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use throttle::Throttle;

/// What an administrator sees of an account.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
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
pub struct Auth {
    accounts: Arc<Accounts>,
    door: Arc<Door>,
    hasher: Arc<Hasher>,
    link_throttle: Throttle,
    min_password_length: usize,
}

impl Auth {
    /// Reads every account into memory; `Corrupt` when a record cannot be read.
    pub async fn open(store: Arc<dyn StateStore>, config: &AccountsConfig) -> Result<Arc<Self>> {
        let (accounts, hasher) = (Accounts::open(store).await?, Hasher::for_this_machine());
        let door = Door::new(Arc::clone(&accounts), Arc::clone(&hasher), config)?;
        let link_throttle = Throttle::new(config.failures_per_network, config.failures_per_account);
        Ok(Arc::new(Self { accounts, door, hasher, link_throttle, min_password_length: config.min_password_length }))
    }

    /// The verdict on an `Authorization` header value that was verified before and still holds; microseconds, never throttled.
    /// `None` when it must be verified.
    pub fn recall(&self, header: &[u8]) -> Option<Result<Arc<Identity>>> {
        self.door.recall(header)
    }

    /// Verifies name and password, and remembers the verdict for `header`. `Unauthenticated`, `Throttled`, `Busy`.
    pub async fn sign_in(&self, header: &[u8], user: &str, password: &[u8], from: IpAddr) -> Result<Arc<Identity>> {
        self.door.sign_in(header, user, password, from).await
    }

    /// Makes an account; `Exists`, `BadName` (looks like another's), `BadRequest` (weak password).
    pub async fn create(
        &self,
        name: &AccountName,
        password: &[u8],
        role: Role,
        quota: Option<u64>,
    ) -> Result<AccountView> {
        self.accounts.check_free(name)?;
        let hash = self.hash_new(name, password).await?;
        let created = time::unix_seconds(SystemTime::now());
        self.accounts.insert(name, Record::new(hash, role, quota, created)?).await
    }

    /// All accounts by name.
    pub fn list(&self) -> Vec<AccountView> {
        self.accounts.list()
    }

    /// One account.
    pub fn account(&self, name: &AccountName) -> Option<AccountView> {
        self.accounts.view(name)
    }

    /// Sets a password; the old one fails from the next request on. `NotFound`, `BadRequest` (weak password).
    pub async fn set_password(&self, name: &AccountName, password: &[u8]) -> Result<()> {
        self.accounts.find(name).ok_or(Error::NotFound)?;
        let hash = self.hash_new(name, password).await?;
        let edit = move |record: &mut Record| {
            record.password = hash;
            record.generation += 1;
        };
        self.accounts.change(name, edit).await
    }

    /// Forbids or allows sign-in, from the next request on. `NotFound`.
    pub async fn set_disabled(&self, name: &AccountName, disabled: bool) -> Result<()> {
        let edit = move |record: &mut Record| {
            record.disabled = disabled;
            record.generation += 1;
        };
        self.accounts.change(name, edit).await
    }

    /// Sets the quota in bytes, from the next request on; `None` is unlimited. `NotFound`.
    pub async fn set_quota(&self, name: &AccountName, quota: Option<u64>) -> Result<()> {
        self.accounts.change(name, move |record| record.quota = quota).await
    }

    /// Removes the account, and with it every sign-in; its files are the caller's business. `NotFound`.
    pub async fn remove(&self, name: &AccountName) -> Result<()> {
        self.accounts.remove(name).await
    }

    async fn hash_new(&self, name: &AccountName, password: &[u8]) -> Result<String> {
        password::check_strength(name, password, self.min_password_length)?;
        let deadline = tokio::time::Instant::now() + password::WAIT;
        self.hasher.turn(Lane::Known, deadline).await?.hash(Secret::new(password.to_vec())).await
    }
}
