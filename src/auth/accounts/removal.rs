//! How an account goes, and what its name and its credentials must still be for what was begun under them to complete.

use super::{AccountRecord, Accounts, key_of};
use crate::auth::run_to_completion::run_to_completion;
use crate::model::{AccountName, Error, Result};
use crate::state::Batch;
use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::Arc;

/// Lets nothing of an earlier account pass to a new one of its name.
#[async_trait]
pub trait AccountCleanup: Debug + Send + Sync {
    /// Ends what is keyed by the name, and lays its files aside; called before a new account is there.
    async fn clean_up(&self, name: &AccountName) -> Result<()>;
}

/// A name that nobody else gets.
pub(super) struct NameReservation {
    accounts: Arc<Accounts>,
    name: AccountName,
}

impl Drop for NameReservation {
    fn drop(&mut self) {
        self.accounts.release_name(&self.name);
    }
}

impl Accounts {
    /// Says what lets nothing of an earlier account pass to a new one; once, when everything is opened.
    pub fn set_cleanup(&self, vacate: Arc<dyn AccountCleanup>) {
        let _ = self.vacate.set(vacate);
    }

    /// Gives nobody this name.
    pub fn block_name(&self, name: AccountName) {
        self.leaving.write().insert(name);
    }

    /// Lets somebody have this name again.
    pub fn release_name(&self, name: &AccountName) {
        self.leaving.write().remove(name);
    }

    /// Takes a name for an account that is being made, as long as the result lives; as [`check_free`](Self::check_free).
    pub(super) async fn reserve(self: &Arc<Self>, name: &AccountName) -> Result<NameReservation> {
        let _alone = self.changing.lock().await;
        self.check_free(name)?;
        self.block_name(name.clone());
        Ok(NameReservation {
            accounts: Arc::clone(self),
            name: name.clone(),
        })
    }

    /// Commits a batch that `check` finds nothing against in the account's present record. `NotFound`.
    pub async fn commit_while(
        self: &Arc<Self>,
        name: &AccountName,
        check: impl FnOnce(&AccountRecord) -> Result<()> + Send + 'static,
        batch: Batch,
    ) -> Result<()> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        run_to_completion(async move {
            let _alone = accounts.changing.lock().await;
            let account = accounts.find(&name).ok_or(Error::NotFound)?;
            let before = {
                let present = account.present.read();
                check(&present.record)?;
                present.text.clone()
            };
            accounts
                .commit(&name, batch.expect(key_of(&name), Some(before)))
                .await
        })
        .await
    }

    /// Removes an account, in one step with what else is in the batch; its name stays taken. `NotFound`.
    pub async fn remove(self: &Arc<Self>, name: &AccountName, along: Batch) -> Result<()> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        run_to_completion(async move {
            let _alone = accounts.changing.lock().await;
            let account = accounts.find(&name).ok_or(Error::NotFound)?;
            if account.administers() {
                accounts.keep_an_administrator(&name)?;
            }
            let before = account.present.read().text.clone();
            let key = key_of(&name);
            accounts
                .commit(&name, along.expect(&key, Some(before)).delete(&key))
                .await?;
            accounts.block_name(name.clone());
            accounts.forget(&name);
            Ok(())
        })
        .await
    }
}
