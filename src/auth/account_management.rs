//! Making, changing and removing accounts.

use super::accounts::{AccountCleanup, AccountRecord};
use super::{AccountUpdate, AccountView, Auth, password};
use crate::model::{AccountName, Error, Result, Role, time};
use crate::state::{Batch, CommitHook};
use std::sync::Arc;
use std::time::SystemTime;

impl Auth {
    /// Makes an account; `Exists`, `BadName` (looks like another's), `BadRequest` (weak password).
    pub async fn create(
        &self,
        name: &AccountName,
        password: &[u8],
        role: Role,
        quota: Option<u64>,
    ) -> Result<AccountView> {
        self.create_with(name, password, (role, quota), Batch::new().into())
            .await
    }

    /// As [`create`](Self::create), in one step with what comes along.
    pub async fn create_with(
        &self,
        name: &AccountName,
        password: &[u8],
        (role, quota): (Role, Option<u64>),
        along: CommitHook,
    ) -> Result<AccountView> {
        self.check_new(name, password)?;
        let hash = self.hash_new(name, password).await?;
        let created = time::unix_seconds(SystemTime::now());
        self.accounts
            .insert(name, AccountRecord::new(hash, role, quota, created)?, along)
            .await
    }

    /// Refuses name or password of a new account, as [`create`](Self::create) does.
    pub fn check_new(&self, name: &AccountName, password: &[u8]) -> Result<()> {
        self.accounts.check_free(name)?;
        password::check_strength(name, password, self.config.min_password_length)
    }

    /// All accounts by name.
    pub fn list(&self) -> Vec<AccountView> {
        self.accounts.list()
    }

    /// One account.
    pub fn account(&self, name: &AccountName) -> Option<AccountView> {
        self.accounts.view(name)
    }

    /// Whether an account is there and not disabled.
    pub fn may_sign_in(&self, name: &AccountName) -> bool {
        self.accounts
            .find(name)
            .is_some_and(|account| account.generation().is_some())
    }

    /// Sets a password; the old one fails from the next request on. `NotFound`, `BadRequest` (weak password).
    pub async fn set_password(&self, name: &AccountName, password: &[u8]) -> Result<()> {
        let id = self.accounts.find(name).ok_or(Error::NotFound)?.id();
        let hash = self.hash_new(name, password).await?;
        let edit = move |record: &mut AccountRecord| {
            // Another account may have got the name while the password was hashed.
            if *record.id != *id {
                return Err(Error::NotFound);
            }
            record.password.clone_from(&hash);
            record.end_generation();
            Ok(())
        };
        self.accounts.try_change(name, edit).await?;
        self.purge_revoked(name).await;
        Ok(())
    }

    /// Forbids or allows sign-in, from the next request on. `NotFound`.
    pub async fn set_disabled(&self, name: &AccountName, disabled: bool) -> Result<()> {
        let edit = move |record: &mut AccountRecord| {
            record.disabled = disabled;
            record.end_generation();
        };
        self.accounts.change(name, edit).await?;
        self.purge_revoked(name).await;
        Ok(())
    }

    /// Changes role, quota and whether it may sign in, in one step, from the next request on. `NotFound`, `Forbidden` when nobody
    /// would be left to administer, `Stale` when its revision is none of `only_at`.
    pub async fn update(
        &self,
        name: &AccountName,
        what: AccountUpdate,
        only_at: Option<Vec<String>>,
    ) -> Result<AccountView> {
        let account = name.clone();
        let edit = move |record: &mut AccountRecord| {
            if let Some(tags) = &only_at {
                let etag = record.view(&account).revision();
                if !tags.contains(&etag) {
                    return Err(Error::Stale { etag });
                }
            }
            let AccountUpdate {
                role,
                quota,
                disabled,
            } = what;
            let before = (record.role, record.disabled);
            record.role = role.unwrap_or(record.role);
            record.disabled = disabled.unwrap_or(record.disabled);
            record.quota = quota.unwrap_or(record.quota);
            if before != (record.role, record.disabled) {
                record.end_generation();
            }
            Ok(())
        };
        self.accounts.try_change(name, edit).await?;
        self.purge_revoked(name).await;
        self.account(name).ok_or(Error::NotFound)
    }

    /// Sets the quota in bytes, from the next request on; `None` is unlimited. `NotFound`.
    pub async fn set_quota(&self, name: &AccountName, quota: Option<u64>) -> Result<()> {
        self.accounts
            .change(name, move |record| record.quota = quota)
            .await
    }

    /// Removes the account, and with it every sign-in, in one step with what else is in the batch. Its name stays taken until
    /// [`release_name`](Self::release_name). `NotFound`, `Forbidden` when nobody would be left to administer.
    pub async fn begin_removal(&self, name: &AccountName, along: Batch) -> Result<()> {
        self.accounts.remove(name, along).await
    }

    /// Clears away what let somebody in to an account that was removed.
    pub async fn end_credentials(&self, name: &AccountName) -> Result<()> {
        self.door.forget(name);
        self.purge_revoked(name).await;
        self.unlink_openid(name).await.map(drop)
    }

    /// Gives nobody this name.
    pub fn block_name(&self, name: AccountName) {
        self.accounts.block_name(name);
    }

    /// Lets somebody have the name of an account that was removed.
    pub fn release_name(&self, name: &AccountName) {
        self.accounts.release_name(name);
    }

    /// Says what lets nothing of an earlier account pass to a new one of its name.
    pub fn set_cleanup(&self, vacate: Arc<dyn AccountCleanup>) {
        self.accounts.set_cleanup(vacate);
    }

    /// Removes the account, and with it every sign-in; its files are the caller's business. `NotFound`.
    #[cfg(test)]
    pub(super) async fn remove(&self, name: &AccountName) -> Result<()> {
        self.begin_removal(name, Batch::new()).await?;
        self.end_credentials(name).await?;
        self.release_name(name);
        Ok(())
    }
}
