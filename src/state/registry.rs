//! All records of one kind in memory, over a [`Table`]. Reads never wait. A change is a compare-and-set on the stored text, tried again
//! when another handle on the store was faster; a rule over several records holds by a guard record in the same batch. What other handles
//! change is followed through [`StateStore::changes`].

mod follow;
mod guard;
mod several;
mod view;

use super::table::{Record, Table, encode};
use super::{Batch, CommitHook, StateStore};
use crate::model::{Error, Result};
use guard::{Guard, GuardState};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
pub use view::{RecordIndex, RegistryView};

/// Attempts at one change while other handles are faster.
pub const ATTEMPTS: u32 = 64;
/// What is said when others were faster each time.
pub const BUSY: Error = Error::Busy {
    retry_after: Duration::from_secs(1),
};

/// What becomes of one record.
#[derive(Debug)]
pub struct Edit<R> {
    record: Option<R>,
    guarded: bool,
    evicted: Vec<String>,
}

impl<R> Edit<R> {
    /// Stores the record; one that is as it was is not written again.
    pub fn store(record: R) -> Self {
        Self {
            record: Some(record),
            guarded: false,
            evicted: Vec::new(),
        }
    }

    /// Removes the record.
    pub fn remove() -> Self {
        Self {
            record: None,
            guarded: false,
            evicted: Vec::new(),
        }
    }

    /// Says that the look at other records must still be true when this is stored: of changes that say so, one happens at a time.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// Removes these other records with it.
    #[must_use]
    pub fn evicting(mut self, ids: Vec<String>) -> Self {
        self.evicted = ids;
        self
    }
}

/// A record as it is stored; `None` for one that is not there.
type Stored<R> = Option<(Arc<R>, String)>;

/// The records of one kind.
pub struct Registry<R, I = ()> {
    store: Arc<dyn StateStore>,
    table: Table<R>,
    guard: Guard,
    view: RwLock<RegistryView<R, I>>,
    /// Changes of this handle take turns, so that they are not in each other's way; other handles are met by compare-and-set.
    turn: tokio::sync::Mutex<()>,
    /// Held from reading the store to showing what was read, so that memory never goes back. It says which guarded changes memory has.
    refreshing: tokio::sync::Mutex<u64>,
}

impl<R, I> fmt::Debug for Registry<R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("table", &self.table_name())
            .finish_non_exhaustive()
    }
}

impl<R, I> Registry<R, I> {
    fn table_name(&self) -> &str {
        self.guard.name()
    }
}

impl<R: Record + Send + Sync + 'static, I: RecordIndex<R>> Registry<R, I> {
    /// Reads all records whose keys begin with `prefix` (`"account/"`), and follows the store from then on. `Corrupt` when one cannot
    /// be read.
    pub async fn open(store: Arc<dyn StateStore>, prefix: &'static str) -> Result<Arc<Self>> {
        let changes = store.changes();
        let registry = Arc::new(Self {
            table: Table::new(Arc::clone(&store), prefix),
            guard: Guard::of(prefix),
            store,
            view: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        });
        registry.reload().await?;
        tokio::spawn(follow::run(Arc::downgrade(&registry), changes));
        Ok(registry)
    }

    /// All records and their index; held for no longer than a look takes.
    pub fn view(&self) -> RwLockReadGuard<'_, RegistryView<R, I>> {
        self.view.read()
    }

    /// The record with this id.
    pub fn get(&self, id: &str) -> Option<Arc<R>> {
        self.view.read().get(id).cloned()
    }

    /// Changes what the index keeps beside the records.
    pub fn with_index<T>(&self, change: impl FnOnce(&mut I) -> T) -> T {
        change(&mut self.view.write().index)
    }

    /// Stores a new record. `Exists`.
    pub async fn insert(&self, id: &str, record: R) -> Result<Arc<R>>
    where
        R: Clone,
    {
        let plan = |_: &Self, present: Option<R>| match present {
            Some(_) => Err(Error::Exists),
            None => Ok(Edit::store(record.clone())),
        };
        let stored = self.edit(id, Batch::new(), plan).await?;
        stored.ok_or(Error::NotFound)
    }

    /// Changes a record, unless `edit` finds a reason against it; it may be asked again, with what another handle stored. `NotFound`,
    /// `Busy` when others were faster each time.
    pub async fn change(
        &self,
        id: &str,
        mut edit: impl FnMut(&mut R) -> Result<()>,
    ) -> Result<Arc<R>> {
        let plan = |_: &Self, present: Option<R>| {
            let mut record = present.ok_or(Error::NotFound)?;
            edit(&mut record)?;
            Ok(Edit::store(record))
        };
        let stored = self.edit(id, Batch::new(), plan).await?;
        stored.ok_or(Error::NotFound)
    }

    /// Removes a record, unless `check` finds a reason against it. `NotFound`, `Busy`.
    pub async fn remove(&self, id: &str, check: impl Fn(&R) -> Result<()>) -> Result<()> {
        let plan = |_: &Self, present: Option<R>| {
            check(&present.ok_or(Error::NotFound)?)?;
            Ok(Edit::remove())
        };
        self.edit(id, Batch::new(), plan).await.map(drop)
    }

    /// Commits a batch that [`edit_by`](Self::edit_by) gave.
    pub async fn commit(&self, batch: Batch) -> Result<()> {
        self.store.commit(batch).await
    }

    /// Stores what `plan` makes of all records and of the one with this id as it is stored, in one step with what comes along. The plan
    /// may be asked several times. `Conflict` when an expectation of what comes along does not hold, `Busy`.
    pub async fn edit(
        &self,
        id: &str,
        along: impl Into<CommitHook>,
        plan: impl FnMut(&Self, Option<R>) -> Result<Edit<R>>,
    ) -> Result<Option<Arc<R>>> {
        let (along, stored) = along.into().into_parts();
        let stored = &Mutex::new(Some(stored));
        let commit = |batch: Batch| {
            let batch = batch.and(along.clone());
            async move {
                // What is stored already is not written again.
                if !batch.put.is_empty() || !batch.delete.is_empty() {
                    self.store.commit(batch).await?;
                }
                if let Some(stored) = stored.lock().take() {
                    stored();
                }
                Ok(())
            }
        };
        let (shown, ()) = self.edit_by(id, plan, commit).await?;
        Ok(shown)
    }
}

/// Whether a change went through.
enum Outcome<T> {
    Done(T),
    /// Another handle was faster.
    Lost,
}

impl<R: Record + Send + Sync + 'static, I: RecordIndex<R>> Registry<R, I> {
    /// As [`edit`](Self::edit): `commit` commits the batch, together with what it is given for.
    pub async fn edit_by<T, F: Future<Output = Result<T>>>(
        &self,
        id: &str,
        mut plan: impl FnMut(&Self, Option<R>) -> Result<Edit<R>>,
        mut commit: impl FnMut(Batch) -> F,
    ) -> Result<(Option<Arc<R>>, T)> {
        let _turn = self.turn.lock().await;
        let mut guarded = false;
        let mut lost = None;
        let mut attempt = 0;
        while attempt < ATTEMPTS {
            let guard = if guarded {
                Some(self.catch_up().await?)
            } else {
                None
            };
            let (present, text) = self.table.get_exact(id).await?.unzip();
            let found = (text.clone(), guard.as_ref().map(|guard| guard.text.clone()));
            if lost.as_ref() == Some(&found) {
                // Nothing of ours has changed since: what came along does not hold.
                return Err(Error::Conflict);
            }
            let planned = plan(self, present);
            let edit = match planned {
                Ok(edit) => edit,
                Err(error) => {
                    // The reason may be something that is not followed yet.
                    drop(self.refresh(vec![id.to_owned()]).await);
                    return Err(error);
                }
            };
            if edit.guarded && !guarded {
                guarded = true;
                continue;
            }
            match self.attempt(id, (edit, text, guard), &mut commit).await? {
                Outcome::Done(done) => return Ok(done),
                Outcome::Lost => lost = Some(found),
            }
            back_off(attempt).await;
            attempt += 1;
        }
        Err(BUSY)
    }

    /// One attempt at an edit of a record that has this text.
    async fn attempt<T, F: Future<Output = Result<T>>>(
        &self,
        id: &str,
        (edit, before, guard): (Edit<R>, Option<String>, Option<GuardState>),
        commit: &mut impl FnMut(Batch) -> F,
    ) -> Result<Outcome<(Option<Arc<R>>, T)>> {
        let text = edit.record.as_ref().map(encode).transpose()?;
        let mut batch = Batch::new().expect(self.table.key(id), before.clone());
        match &text {
            Some(text) if before.as_ref() == Some(text) => {}
            Some(text) => batch = batch.put(self.table.key(id), text),
            None if before.is_some() => batch = self.table.delete_in(batch, id),
            None => {}
        }
        for id in &edit.evicted {
            batch = self.table.delete_in(batch, id);
        }
        let mut number = None;
        if let Some(guard) = guard {
            let ids = edit.evicted.iter().cloned().chain([id.to_owned()]);
            let next = guard.after(ids.collect());
            batch = self.guard.renew_in(batch, guard.text, &next)?;
            number = Some(next.number());
        }
        match commit(batch).await {
            Err(Error::Conflict) => Ok(Outcome::Lost),
            Err(error) => Err(error),
            Ok(answer) => {
                let ours = edit.record.map(Arc::new).zip(text);
                let shown = ours.as_ref().map(|(record, _)| Arc::clone(record));
                let others = edit.evicted.into_iter().map(|id| (id, None));
                let changed: Vec<_> = others.chain([(id.to_owned(), ours)]).collect();
                self.show(changed, number).await;
                Ok(Outcome::Done((shown, answer)))
            }
        }
    }

    /// Shows what was just committed, or what others have made of it since.
    async fn show(&self, changed: Vec<(String, Stored<R>)>, guarded: Option<u64>) {
        let mut seen = self.refreshing.lock().await;
        let mut found = Vec::with_capacity(changed.len());
        for (id, ours) in changed {
            let key = self.table.key(&id);
            let now = match self.store.get(&key).await {
                Ok(text) if text.as_ref() != ours.as_ref().map(|(_, text)| text) => {
                    self.decode_shown(&id, text)
                }
                _ => ours.map(|(record, _)| record),
            };
            found.push((id, now));
        }
        self.apply(&found);
        *seen = guarded.map_or(*seen, |number| number.max(*seen));
    }

    fn apply(&self, found: &[(String, Option<Arc<R>>)]) {
        let mut view = self.view.write();
        for (id, now) in found {
            view.set(id, now.as_ref());
        }
    }
}

/// Lets others finish before the next attempt: at once at first, as they may change nothing else, then for up to 8 ms.
pub async fn back_off(attempt: u32) {
    match attempt {
        0..4 => tokio::task::yield_now().await,
        _ => tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(8)))).await,
    }
}

#[cfg(test)]
mod tests;
