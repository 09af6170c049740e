//! The accounts: records in the state store under `account/<name>`, all of them in memory, changed one at a time.

use super::AccountView;
use super::profile::Profile;
pub use super::record::Record;
use crate::model::{AccountName, Error, Identity, Result};
use crate::store::{Batch, StateStore, table};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = "account/";
const PAGE: usize = 1000;
const LAST: Error = Error::Forbidden("This is the last administrator that may sign in: make another one first.");

/// One account in memory; whoever holds it sees every change at once.
pub struct Account {
    name: AccountName,
    present: RwLock<Present>,
}

struct Present {
    record: Record,
    /// The record as stored: what the next change expects to find.
    text: String,
    identity: Arc<Identity>,
    removed: bool,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Account").field(&self.name).finish()
    }
}

impl Account {
    fn new(name: AccountName, record: Record, text: String) -> Arc<Self> {
        let present = Present::new(&name, record, text);
        Arc::new(Self { name, present: RwLock::new(present) })
    }

    /// The identity as it is now, if the account may sign in and its credentials are still of this generation.
    pub fn identity_at(&self, generation: u64) -> Option<Arc<Identity>> {
        let present = self.present.read();
        let holds = !present.removed && !present.record.disabled && present.record.generation == generation;
        holds.then(|| Arc::clone(&present.identity))
    }

    /// The generation and password hash to verify a sign-in against; `None` when it may not sign in.
    pub fn credentials(&self) -> Option<(u64, String)> {
        let present = self.present.read();
        let open = !present.removed && !present.record.disabled;
        open.then(|| (present.record.generation, present.record.password.clone()))
    }

    /// What the account says of itself.
    pub fn profile(&self) -> Profile {
        let present = self.present.read();
        Profile { display_name: present.record.display_name.clone(), email: present.record.email.clone() }
    }

    fn administers(&self) -> bool {
        let present = self.present.read();
        !present.removed && present.record.administers()
    }

    fn view(&self) -> AccountView {
        let Record { role, disabled, quota, created, .. } = self.present.read().record;
        AccountView { name: self.name.clone(), role, disabled, quota, created }
    }
}

impl Present {
    fn new(name: &AccountName, record: Record, text: String) -> Self {
        let identity = Arc::new(Identity::whole(name.clone(), record.role, record.quota));
        Self { record, text, identity, removed: false }
    }
}

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    store: Arc<dyn StateStore>,
    by_name: RwLock<BTreeMap<AccountName, Arc<Account>>>,
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
        let (by_name, changing, changes) = (RwLock::new(by_name), tokio::sync::Mutex::default(), AtomicU64::new(0));
        Ok(Arc::new(Self { store, by_name, changing, changes }))
    }

    /// How many changes there were since the start: a verdict about a name nobody had holds until the next one.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// One account.
    pub fn find(&self, name: &AccountName) -> Option<Arc<Account>> {
        self.by_name.read().get(name).cloned()
    }

    /// What an administrator sees of one account.
    pub fn view(&self, name: &AccountName) -> Option<AccountView> {
        self.find(name).map(|account| account.view())
    }

    /// What an administrator sees of all accounts, by name.
    pub fn list(&self) -> Vec<AccountView> {
        self.by_name.read().values().map(|account| account.view()).collect()
    }

    /// Whether a new account may have this name: `Exists`, or `BadName` when it looks like another's.
    pub fn check_free(&self, name: &AccountName) -> Result<()> {
        let by_name = self.by_name.read();
        if by_name.contains_key(name) {
            return Err(Error::Exists);
        }
        let look = look_of(name);
        if by_name.keys().any(|other| look_of(other) == look) {
            return Err(Error::BadName("This name looks too much like the name of another account."));
        }
        Ok(())
    }

    /// Stores a new account, in one step with what else is in the batch.
    pub async fn insert(self: &Arc<Self>, name: &AccountName, record: Record, along: Batch) -> Result<AccountView> {
        let (accounts, name) = (Arc::clone(self), name.clone());
        to_the_end(async move {
            let _alone = accounts.changing.lock().await;
            accounts.check_free(&name)?;
            let text = table::encode(&record)?;
            let key = key_of(&name);
            let batch = along.expect(&key, None).put(&key, &text);
            accounts.commit(&name, batch).await?;
            let account = Account::new(name.clone(), record, text);
            accounts.by_name.write().insert(name, Arc::clone(&account));
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
        edit: impl FnOnce(&mut Record) + Send + 'static,
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
        edit: impl FnOnce(&mut Record) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (accounts, name) = (Arc::clone(self), name.clone());
        to_the_end(async move {
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
            accounts.commit(&name, Batch::new().expect(&key, Some(before)).put(&key, &text)).await?;
            *account.present.write() = Present::new(&name, record, text);
            accounts.changes.fetch_add(1, Ordering::Release);
            Ok(())
        })
        .await
    }

    /// Removes an account; `NotFound`.
    pub async fn remove(self: &Arc<Self>, name: &AccountName) -> Result<()> {
        let (accounts, name) = (Arc::clone(self), name.clone());
        to_the_end(async move {
            let _alone = accounts.changing.lock().await;
            let account = accounts.find(&name).ok_or(Error::NotFound)?;
            if account.administers() {
                accounts.keep_an_administrator(&name)?;
            }
            let before = account.present.read().text.clone();
            let key = key_of(&name);
            accounts.commit(&name, Batch::new().expect(&key, Some(before)).delete(&key)).await?;
            accounts.forget(&name);
            Ok(())
        })
        .await
    }

    /// Refuses when nobody but this account administers; called while changes are held up.
    fn keep_an_administrator(&self, name: &AccountName) -> Result<()> {
        let by_name = self.by_name.read();
        by_name.values().any(|account| account.name != *name && account.administers()).then_some(()).ok_or(LAST)
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

    fn show(&self, name: &AccountName, record: Record, text: String) {
        match self.find(name) {
            Some(account) => *account.present.write() = Present::new(name, record, text),
            None => {
                self.by_name.write().insert(name.clone(), Account::new(name.clone(), record, text));
            }
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn forget(&self, name: &AccountName) {
        if let Some(account) = self.by_name.write().remove(name) {
            account.present.write().removed = true;
        }
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// Runs a change to its end even when whoever asked goes away: store and memory must not part.
pub async fn to_the_end<T: Send + 'static>(change: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let done = tokio::spawn(change).await;
    done.unwrap_or_else(|e| Err(Error::io("change the account", std::io::Error::other(e))))
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
mod tests {
    use super::*;
    use crate::model::Role;
    use crate::store::memory::MemoryStore;

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    fn record() -> Record {
        Record::new("$argon2id$".into(), Role::User, Some(7), 1000).unwrap()
    }

    #[tokio::test]
    async fn accounts_are_found_again_after_a_restart() {
        let store = MemoryStore::new();
        let accounts = Accounts::open(store.clone()).await.unwrap();
        accounts.insert(&name("ana"), record(), Batch::new()).await.unwrap();
        accounts.insert(&name("ben"), record(), Batch::new()).await.unwrap();
        accounts.change(&name("ben"), |r| r.quota = None).await.unwrap();
        accounts.remove(&name("ana")).await.unwrap();
        let again = Accounts::open(store).await.unwrap().list();
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].name.as_str(), again[0].quota, again[0].created), ("ben", None, 1000));
    }

    #[tokio::test]
    async fn names_that_look_alike_are_refused() {
        let accounts = Accounts::open(MemoryStore::new()).await.unwrap();
        accounts.insert(&name("bill.o"), record(), Batch::new()).await.unwrap();
        assert!(matches!(accounts.insert(&name("BILL.O"), record(), Batch::new()).await, Err(Error::Exists)));
        for alike in ["billo", "bi11.0", "b-i-l-l-o", "bill_o", "blll.o"] {
            assert!(
                matches!(accounts.insert(&name(alike), record(), Batch::new()).await, Err(Error::BadName(_))),
                "{alike}"
            );
        }
        for other in ["bill", "billo2", "bil.o"] {
            assert!(accounts.insert(&name(other), record(), Batch::new()).await.is_ok(), "{other}");
        }
    }

    #[tokio::test]
    async fn a_change_made_elsewhere_is_a_conflict_once_and_then_seen() {
        let store = MemoryStore::new();
        let (here, there) =
            (Accounts::open(store.clone()).await.unwrap(), Accounts::open(store.clone()).await.unwrap());
        here.insert(&name("ana"), record(), Batch::new()).await.unwrap();
        assert!(matches!(there.insert(&name("ana"), record(), Batch::new()).await, Err(Error::Conflict)));
        there.change(&name("ana"), |r| r.quota = Some(1)).await.unwrap();
        assert!(matches!(here.change(&name("ana"), |r| r.disabled = true).await, Err(Error::Conflict)));
        assert_eq!(here.view(&name("ana")).unwrap().quota, Some(1));
        here.change(&name("ana"), |r| r.disabled = true).await.unwrap();
        here.remove(&name("ana")).await.unwrap();
        assert!(matches!(there.remove(&name("ana")).await, Err(Error::Conflict)));
        assert!(matches!(there.remove(&name("ana")).await, Err(Error::NotFound)));
    }

    #[tokio::test]
    async fn a_failed_commit_changes_nothing() {
        let store = MemoryStore::new();
        let accounts = Accounts::open(store.clone()).await.unwrap();
        accounts.insert(&name("ana"), record(), Batch::new()).await.unwrap();
        store.break_disk();
        assert!(matches!(accounts.change(&name("ana"), |r| r.disabled = true).await, Err(Error::ReadOnly)));
        assert!(matches!(accounts.insert(&name("ben"), record(), Batch::new()).await, Err(Error::ReadOnly)));
        assert!(!accounts.view(&name("ana")).unwrap().disabled);
        assert!(accounts.find(&name("ben")).is_none());
    }

    #[tokio::test]
    async fn damaged_and_newer_records_stop_the_start() {
        let newer = table::encode(&record()).unwrap().replace("\"v\":2", "\"v\":3");
        for (text, why) in [("{", "cannot be read"), ("{\"v\":1}", "cannot be read"), (&newer, "a newer Sarang")] {
            let store = MemoryStore::new();
            store.commit(Batch::new().put("account/ana", text)).await.unwrap();
            let Err(Error::Corrupt(sentence)) = Accounts::open(store).await else { panic!("{text}") };
            assert!(sentence.contains("account/ana") && sentence.contains(why), "{sentence}");
        }
    }

    #[tokio::test]
    async fn records_of_the_first_version_are_read_and_written_anew() {
        let store = MemoryStore::new();
        let old = r#"{"v":1,"role":"admin","disabled":false,"quota":7,"created":1000,"password":"$argon2id$","generation":5}"#;
        store.commit(Batch::new().put("account/ana", old)).await.unwrap();
        let accounts = Accounts::open(store.clone()).await.unwrap();
        let account = accounts.find(&name("ana")).unwrap();
        assert_eq!(account.view().quota, Some(7));
        assert!(account.identity_at(5).is_some() && account.profile() == Profile::default());
        accounts.change(&name("ana"), |r| r.email = Some("ana@x".into())).await.unwrap();
        let again = Accounts::open(store).await.unwrap().find(&name("ana")).unwrap();
        assert_eq!(again.profile().email.as_deref(), Some("ana@x"));
        assert!(again.identity_at(5).is_some());
    }

    #[tokio::test]
    async fn more_accounts_than_a_page_are_all_read() {
        let store = MemoryStore::new();
        let text = table::encode(&record()).unwrap();
        let batch = (0..=PAGE).fold(Batch::new(), |batch, n| batch.put(format!("account/u{n}"), &text));
        store.commit(batch).await.unwrap();
        assert_eq!(Accounts::open(store).await.unwrap().list().len(), PAGE + 1);
    }
}
