//! How an account goes, and what its name and its credentials must still be for what was begun under them to complete.

use super::{AccountRecord, AccountRegistry, Accounts, keep_an_administrator};
use crate::auth::run_to_completion::run_to_completion;
use crate::model::{AccountName, Error, Result};
use crate::state::registry::Edit;
use crate::state::{Batch, CommitHook};
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
    pub(super) fn reserve(self: &Arc<Self>, name: &AccountName) -> Result<NameReservation> {
        let mut leaving = self.leaving.write();
        self.check_unreserved(name, &leaving)?;
        leaving.insert(name.clone());
        Ok(NameReservation {
            accounts: Arc::clone(self),
            name: name.clone(),
        })
    }

    /// Commits a batch that `check` finds nothing against in the account's present record. `NotFound`, `Conflict` when an expectation of
    /// the batch does not hold.
    pub async fn commit_while(
        self: &Arc<Self>,
        name: &AccountName,
        mut check: impl FnMut(&AccountRecord) -> Result<()> + Send + 'static,
        batch: Batch,
    ) -> Result<()> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        run_to_completion(async move {
            let plan = |_: &AccountRegistry, present: Option<AccountRecord>| {
                let record = present.ok_or(Error::NotFound)?;
                check(&record)?;
                Ok(Edit::store(record))
            };
            accounts
                .all
                .edit(name.as_str(), batch, plan)
                .await
                .map(drop)
        })
        .await
    }

    /// Removes an account, in one step with what else is in the batch; its name stays taken. `NotFound`.
    pub async fn remove(self: &Arc<Self>, name: &AccountName, along: Batch) -> Result<()> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        run_to_completion(async move {
            let plan = |all: &AccountRegistry, present: Option<AccountRecord>| {
                if !present.ok_or(Error::NotFound)?.administers() {
                    return Ok(Edit::remove());
                }
                keep_an_administrator(all, &name)?;
                Ok(Edit::remove().guarded())
            };
            let leaving = accounts.leaving.clone();
            let left = name.clone();
            let block = move || {
                leaving.write().insert(left);
            };
            let along = CommitHook::new(along, block);
            accounts
                .all
                .edit(name.as_str(), along, plan)
                .await
                .map(drop)
        })
        .await
    }
}
