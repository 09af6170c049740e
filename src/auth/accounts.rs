//! The accounts: records in the state store under `account/<name>`, all of them in memory, changed one at a time.

mod account;
mod emails;
mod removal;

use super::AccountView;
pub use super::account_record::{AccountRecord, KeptSession};
use super::run_to_completion::run_to_completion;
use crate::model::{AccountName, Error, Result};
use crate::state::registry::{Edit, RecordIndex, Registry};
use crate::state::{Batch, CommitHook, StateStore};
pub use account::Account;
use parking_lot::RwLock;
pub use removal::AccountCleanup;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

const ALIKE: Error = Error::BadName("This name looks too much like the name of another account.");
const LAST: Error =
    Error::Forbidden("This is the last administrator that may sign in: make another one first.");

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    all: Arc<AccountRegistry>,
    /// The names of accounts whose making or removal is under way.
    leaving: Arc<RwLock<BTreeSet<AccountName>>>,
    vacate: OnceLock<Arc<dyn AccountCleanup>>,
}

type AccountRegistry = Registry<AccountRecord, AccountIndex>;

/// The accounts that give identities to requests.
#[derive(Debug, Default)]
struct AccountIndex {
    by_name: BTreeMap<AccountName, Arc<Account>>,
    changes: u64,
}

impl RecordIndex<AccountRecord> for AccountIndex {
    fn update(
        &mut self,
        id: &str,
        _: Option<&Arc<AccountRecord>>,
        now: Option<&Arc<AccountRecord>>,
    ) {
        let Ok(name) = AccountName::parse(id) else {
            return;
        };
        self.changes += 1;
        match (now, self.by_name.get(&name)) {
            (Some(now), Some(account)) => account.show(Arc::clone(now)),
            (Some(now), None) => {
                let account = Account::new(name.clone(), Arc::clone(now));
                self.by_name.insert(name, account);
            }
            (None, Some(account)) => {
                account.end();
                self.by_name.remove(&name);
            }
            (None, None) => {}
        }
    }
}

impl Accounts {
    /// Reads all accounts; `Corrupt` when one cannot be read.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Arc<Self>> {
        let all = AccountRegistry::open(store, "account/").await?;
        for (id, _) in all.view().iter() {
            AccountName::parse(id).map_err(|_| {
                Error::damaged(format_args!("The record {:?}", format!("account/{id}")))
            })?;
        }
        Ok(Arc::new(Self {
            all,
            leaving: Arc::default(),
            vacate: OnceLock::new(),
        }))
    }

    /// How many changes there were since the start: a verdict about a name nobody had holds until the next one.
    pub fn changes(&self) -> u64 {
        self.all.view().index.changes
    }

    /// One account.
    pub fn find(&self, name: &AccountName) -> Option<Arc<Account>> {
        self.all.view().index.by_name.get(name).cloned()
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
        let view = self.all.view();
        let accounts = view.index.by_name.values();
        accounts.map(|account| account.view()).collect()
    }

    /// Up to `most` of what `look` finds in the accounts, by name.
    pub fn pick<T>(
        &self,
        most: usize,
        look: impl Fn(&Account, &AccountName) -> Option<T>,
    ) -> Vec<T> {
        let view = self.all.view();
        let accounts = view.index.by_name.iter();
        accounts
            .filter_map(|(name, account)| look(account, name))
            .take(most)
            .collect()
    }

    /// Whether a new account may have this name: `Exists`, or `BadName` when it looks like another's.
    pub fn check_free(&self, name: &AccountName) -> Result<()> {
        self.check_unreserved(name, &self.leaving.read())
    }

    fn check_unreserved(&self, name: &AccountName, leaving: &BTreeSet<AccountName>) -> Result<()> {
        if leaving.contains(name) {
            return Err(Error::Exists);
        }
        if name.as_str().contains(".removed-") {
            return Err(Error::BadName(
                "A name with “.removed-” is of what was removed; choose another.",
            ));
        }
        check_looks(&self.all, name)?;
        let look = look_of(name);
        if leaving.iter().any(|other| look_of(other) == look) {
            return Err(ALIKE);
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
        let along = along.into();
        run_to_completion(async move {
            let reserved = accounts.reserve(&name)?;
            // This may wait for a disk; other accounts change meanwhile.
            if let Some(vacate) = accounts.vacate.get() {
                vacate.clean_up(&name).await?;
            }
            let plan = |all: &AccountRegistry, present: Option<AccountRecord>| {
                if present.is_some() {
                    return Err(Error::Exists);
                }
                check_looks(all, &name)?;
                Ok(Edit::store(record.clone()).guarded())
            };
            accounts.all.edit(name.as_str(), along, plan).await?;
            drop(reserved);
            Ok(record.view(&name))
        })
        .await
    }

    /// Changes a record; `NotFound`, `Forbidden` when nobody would be left to administer. The edit may be asked again, with what
    /// somebody else stored meanwhile.
    pub async fn change(
        self: &Arc<Self>,
        name: &AccountName,
        mut edit: impl FnMut(&mut AccountRecord) + Send + 'static,
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
        edit: impl FnMut(&mut AccountRecord) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.try_change_keeping(name, None, edit).await
    }

    /// As [`try_change`](Self::try_change), into a new generation that one session is carried over to.
    pub async fn try_change_keeping(
        self: &Arc<Self>,
        name: &AccountName,
        kept: Option<KeptSession>,
        mut edit: impl FnMut(&mut AccountRecord) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let accounts = Arc::clone(self);
        let name = name.clone();
        run_to_completion(async move {
            let plan = |all: &AccountRegistry, present: Option<AccountRecord>| {
                let before = present.ok_or(Error::NotFound)?;
                let mut record = before.clone();
                edit(&mut record)?;
                let is_last = before.administers() && !record.administers();
                if is_last {
                    keep_an_administrator(all, &name)?;
                }
                let is_claim = !record.has_same_email(&before);
                record.kept_session.clone_from(&kept);
                let edit = Edit::store(record);
                Ok(if is_last || is_claim {
                    edit.guarded()
                } else {
                    edit
                })
            };
            accounts
                .all
                .edit(name.as_str(), Batch::new(), plan)
                .await
                .map(drop)
        })
        .await
    }
}

/// Refuses when nobody but this account administers.
fn keep_an_administrator(all: &AccountRegistry, name: &AccountName) -> Result<()> {
    let view = all.view();
    let mut others = view.iter().filter(|(other, _)| *other != name.as_str());
    others
        .any(|(_, record)| record.administers())
        .then_some(())
        .ok_or(LAST)
}

/// Refuses the name of an account, `Exists`, and one that looks like it.
fn check_looks(all: &AccountRegistry, name: &AccountName) -> Result<()> {
    let view = all.view();
    let by_name = &view.index.by_name;
    if by_name.contains_key(name) {
        return Err(Error::Exists);
    }
    let look = look_of(name);
    let is_alike = by_name.keys().any(|other| look_of(other) == look);
    if is_alike { Err(ALIKE) } else { Ok(()) }
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
