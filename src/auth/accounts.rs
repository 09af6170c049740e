//! The accounts: records in the state store under `account/<name>`, all of them in memory, changed one at a time.

mod account;
mod emails;
mod removal;

use super::AccountView;
pub use super::account_record::AccountRecord;
use super::run_to_completion::run_to_completion;
use crate::model::{AccountName, Error, Result};
use crate::state::{Batch, CommitHook, StateStore, table};
pub use account::{Account, KeptSession};
use parking_lot::RwLock;
pub use removal::AccountCleanup;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

const PREFIX: &str = "account/";
const PAGE: usize = 1000;
const LAST: Error =
    Error::Forbidden("This is the last administrator that may sign in: make another one first.");

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    store: Arc<dyn StateStore>,
    by_name: RwLock<BTreeMap<AccountName, Arc<Account>>>,
    /// The names of accounts whose removal is under way.
    leaving: RwLock<BTreeSet<AccountName>>,
    vacate: OnceLock<Arc<dyn AccountCleanup>>,
    /// Held over each change, from reading the present record to showing the new one.
    changing: tokio::sync::Mutex<()>,
    changes: AtomicU64,
}

impl Accounts {
    /// Reads all accounts; `Corrupt` when one cannot be read.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Arc<Self>> {
        let mut by_name = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = store.scan(PREFIX, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (key, text) in page {
                let name = AccountName::parse(key.trim_start_matches(PREFIX))
                    .map_err(|_| Error::damaged(format_args!("The record {key:?}")))?;
                let record = table::decode(&key, &text)?;
                by_name.insert(name.clone(), Account::new(name, record, text));
            }
        }
        let by_name = RwLock::new(by_name);
        let changing = tokio::sync::Mutex::default();
        let changes = AtomicU64::new(0);
        let leaving = RwLock::default();
        let vacate = OnceLock::new();
        Ok(Arc::new(Self {
            store,
            by_name,
            leaving,
            vacate,
            changing,
            changes,
        }))
    }

    /// How many changes there were since the start: a verdict about a name nobody had holds until the next one.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// One account.
    pub fn find(&self, name: &AccountName) -> Option<Arc<Account>> {
        self.by_name.read().get(name).cloned()
    }

    /// Whether an account administers and may sign in.
    pub fn administers(&self, name: &AccountName) -> bool {
        self.find(name).is_some_and(|account| account.administers())
    }

    /// What an administrator sees of one account.
    pub fn view(&self, name: &AccountName) -> Option<AccountView> {
        self.find(name).map(|account| account.view())
    }

    /// What an administrator sees of all accounts, by name.
    pub fn list(&self) -> Vec<AccountView> {
        self.by_name
            .read()
            .values()
            .map(|account| account.view())
            .collect()
    }

    /// Up to `most` of what `look` finds in the accounts, by name.
    pub fn pick<T>(
        &self,
        most: usize,
        look: impl Fn(&Account, &AccountName) -> Option<T>,
    ) -> Vec<T> {
        self.by_name
            .read()
            .iter()
            .filter_map(|(name, account)| look(account, name))
            .take(most)
            .collect()
    }

    /// Whether a new account may have this name: `Exists`, or `BadName` when it looks like another's.
    pub fn check_free(&self, name: &AccountName) -> Result<()> {
        let by_name = self.by_name.read();
        let leaving = self.leaving.read();
        if by_name.contains_key(name) || leaving.contains(name) {
            return Err(Error::Exists);
        }
        if name.as_str().contains(".removed-") {
            return Err(Error::BadName(
                "A name with “.removed-” is of what was removed; choose another.",
            ));
        }
        let look = look_of(name);
        if by_name
            .keys()
            .chain(&*leaving)
            .any(|other| look_of(other) == look)
        {
            return Err(Error::BadName(
                "This name looks too much like the name of another account.",
            ));
        }
        Ok(())
    }

    /// Stores a new account, in one step with what comes along.
    pub async fn insert(
        self: &Arc<Self>,
        name: &AccountName,
        record: AccountRecord,
        along: impl Into<CommitHook>,
    ) -> Result<AccountView> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        let (along, stored) = along.into().into_parts();
        run_to_completion(async move {
            let reserved = accounts.reserve(&name).await?;
            // This may wait for a disk; other accounts change meanwhile.
            if let Some(vacate) = accounts.vacate.get() {
                vacate.clean_up(&name).await?;
            }
            let _alone = accounts.changing.lock().await;
            let text = table::encode(&record)?;
            let key = key_of(&name);
            let batch = along.expect(&key, None).put(&key, &text);
            accounts.commit(&name, batch).await?;
            stored();
            let account = Account::new(name.clone(), record, text);
            accounts.by_name.write().insert(name, Arc::clone(&account));
            drop(reserved);
            accounts.changes.fetch_add(1, Ordering::Release);
            Ok(account.view())
        })
        .await
    }

    /// Changes a record; `NotFound`, `Conflict` when the store was changed by somebody else meanwhile, `Forbidden` when
    /// nobody would be left to administer.
    pub async fn change(
        self: &Arc<Self>,
        name: &AccountName,
        edit: impl FnOnce(&mut AccountRecord) + Send + 'static,
    ) -> Result<()> {
        self.try_change(name, move |record| {
            edit(record);
            Ok(())
        })
        .await
    }

    /// As [`change`](Self::change), unless `edit` finds a reason against it.
    pub async fn try_change(
        self: &Arc<Self>,
        name: &AccountName,
        edit: impl FnOnce(&mut AccountRecord) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.try_change_keeping(name, None, edit).await
    }

    /// As [`try_change`](Self::try_change), into a new generation that one session is carried over to.
    pub async fn try_change_keeping(
        self: &Arc<Self>,
        name: &AccountName,
        kept: Option<KeptSession>,
        edit: impl FnOnce(&mut AccountRecord) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        run_to_completion(async move {
            let _alone = accounts.changing.lock().await;
            let account = accounts.find(&name).ok_or(Error::NotFound)?;
            let (mut record, before) = {
                let present = account.present.read();
                (present.record.clone(), present.text.clone())
            };
            let administered = record.administers();
            edit(&mut record)?;
            if administered && !record.administers() {
                accounts.keep_an_administrator(&name)?;
            }
            let text = table::encode(&record)?;
            let key = key_of(&name);
            accounts
                .commit(
                    &name,
                    Batch::new().expect(&key, Some(before)).put(&key, &text),
                )
                .await?;
            account.show(record, text, kept);
            accounts.changes.fetch_add(1, Ordering::Release);
            Ok(())
        })
        .await
    }

    /// Refuses when nobody but this account administers; called while changes are held up.
    fn keep_an_administrator(&self, name: &AccountName) -> Result<()> {
        let by_name = self.by_name.read();
        by_name
            .values()
            .any(|account| account.name != *name && account.administers())
            .then_some(())
            .ok_or(LAST)
    }

    /// Commits, and on a conflict reads what the store has now, so that trying again can succeed.
    async fn commit(&self, name: &AccountName, batch: Batch) -> Result<()> {
        let outcome = self.store.commit(batch).await;
        if matches!(outcome, Err(Error::Conflict)) {
            match self.store.get(&key_of(name)).await? {
                None => self.forget(name),
                Some(text) => self.show(name, table::decode(&key_of(name), &text)?, text),
            }
        }
        outcome
    }

    fn show(&self, name: &AccountName, record: AccountRecord, text: String) {
        match self.find(name) {
            Some(account) => account.show(record, text, None),
            None => {
                self.by_name
                    .write()
                    .insert(name.clone(), Account::new(name.clone(), record, text));
            }
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn forget(&self, name: &AccountName) {
        if let Some(account) = self.by_name.write().remove(name) {
            account.end();
        }
        self.changes.fetch_add(1, Ordering::Release);
    }
}

fn key_of(name: &AccountName) -> String {
    format!("{PREFIX}{name}")
}

/// What a hurried reader sees of a name: `0` as `o`, `1` and `i` as `l`, no separators. Two accounts never share it.
fn look_of(name: &AccountName) -> String {
    let seen = |c| match c {
        '.' | '_' | '-' => None,
        '0' => Some('o'),
        '1' | 'i' => Some('l'),
        other => Some(other),
    };
    name.as_str().chars().filter_map(seen).collect()
}

#[cfg(test)]
mod tests;
