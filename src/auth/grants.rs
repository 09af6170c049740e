//! What lets somebody in by a secret (a session, an app password, an invite): records in the state store and all of them
//! in memory, found by the hash of the secret. What they mean is their owners' business.

use super::run_to_completion::run_to_completion;
use super::token;
use crate::model::{Error, Result};
use crate::state::table::{Record, Table};
use crate::state::{Batch, StateStore};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A kind of grant.
pub trait Grant: Record + Clone + Send + Sync + 'static {
    /// The hash of the secret that it answers to.
    fn hash(&self) -> &str;

    /// The ids of those that make room for this one, of all that there are; a refusal when none may.
    fn evicted_by(&self, present: &GrantsById<Self>) -> Result<Vec<String>>;
}

/// The grants of one kind by their public ids.
pub type GrantsById<G> = BTreeMap<String, Arc<G>>;

/// All grants of one kind.
#[derive(Debug)]
pub struct Grants<G> {
    table: Table<G>,
    index: RwLock<GrantIndex<G>>,
    /// Held over each change, from reading the present record to showing the new one.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct GrantIndex<G> {
    by_id: GrantsById<G>,
    ids: HashMap<String, String>,
}

impl<G: Grant> GrantIndex<G> {
    fn insert(&mut self, id: String, grant: G) {
        self.ids.insert(grant.hash().to_owned(), id.clone());
        self.by_id.insert(id, Arc::new(grant));
    }

    fn remove(&mut self, id: &str) {
        if let Some(grant) = self.by_id.remove(id) {
            self.ids.remove(grant.hash());
        }
    }
}

impl<G: Grant> Grants<G> {
    /// Reads all grants and clears away those that no longer hold.
    pub async fn open(
        store: Arc<dyn StateStore>,
        prefix: &'static str,
        holds: impl Fn(&G) -> bool,
    ) -> Result<Arc<Self>> {
        let table = Table::new(store, prefix);
        let mut shelf = GrantIndex {
            by_id: BTreeMap::new(),
            ids: HashMap::new(),
        };
        let mut over = Vec::new();
        for (id, grant) in table.all().await? {
            if holds(&grant) {
                shelf.insert(id, grant);
            } else {
                over.push(id);
            }
        }
        if let Err(error) = table.delete_all(&over).await {
            tracing::warn!(%error, "what has ended could not be cleared away; it ends nonetheless");
        }
        Ok(Arc::new(Self {
            table,
            index: RwLock::new(shelf),
            changing: tokio::sync::Mutex::default(),
        }))
    }

    /// The grant that answers to a secret, with its id.
    pub fn find(&self, secret: &str) -> Option<(String, Arc<G>)> {
        let hash = token::digest(secret);
        let present = self.index.read();
        let id = present.ids.get(&hash)?;
        Some((id.clone(), Arc::clone(present.by_id.get(id)?)))
    }

    /// The grant with an id.
    pub fn get(&self, id: &str) -> Option<Arc<G>> {
        self.index.read().by_id.get(id).cloned()
    }

    /// The wanted ones, in the order of their ids.
    pub fn list(&self, wanted: impl Fn(&G) -> bool) -> Vec<(String, Arc<G>)> {
        let present = self.index.read();
        present
            .by_id
            .iter()
            .filter(|(_, grant)| wanted(grant))
            .map(|(id, grant)| (id.clone(), grant.clone()))
            .collect()
    }

    /// Stores a new one, and ends those that it displaces.
    pub async fn insert(self: &Arc<Self>, id: &str, grant: G) -> Result<()> {
        let table = self.table.clone();
        self.insert_with(
            id,
            grant,
            move |batch| async move { table.commit(batch).await },
        )
        .await
    }

    /// As [`insert`](Self::insert): `work` commits the batch that stores it together with what it is given with.
    pub async fn insert_with<T: Send + 'static, F>(
        self: &Arc<Self>,
        id: &str,
        grant: G,
        work: impl FnOnce(Batch) -> F + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let grants = Arc::clone(self);
        let id = id.to_owned();
        run_to_completion(async move {
            let _alone = grants.changing.lock().await;
            let displaced = grant.evicted_by(&grants.index.read().by_id)?;
            let batch =
                grants
                    .table
                    .put_in(grants.table.absent_in(Batch::new(), &id), &id, &grant)?;
            let done = work(
                displaced
                    .iter()
                    .fold(batch, |batch, id| grants.table.delete_in(batch, id)),
            )
            .await?;
            let mut present = grants.index.write();
            for id in &displaced {
                present.remove(id);
            }
            present.insert(id, grant);
            Ok(done)
        })
        .await
    }

    /// Changes one; `edit` says whether it did. `NotFound`.
    pub async fn change(
        self: &Arc<Self>,
        id: &str,
        edit: impl FnOnce(&mut G) -> bool + Send + 'static,
    ) -> Result<()> {
        let grants = Arc::clone(self);
        let id = id.to_owned();
        run_to_completion(async move {
            let _alone = grants.changing.lock().await;
            let mut grant = grants.get(&id).ok_or(Error::NotFound)?.as_ref().clone();
            if edit(&mut grant) {
                grants
                    .commit(grants.table.put_in(Batch::new(), &id, &grant)?)
                    .await?;
                grants.index.write().insert(id, grant);
            }
            Ok(())
        })
        .await
    }

    /// Ends the wanted ones and says how many they were.
    pub async fn remove(
        self: &Arc<Self>,
        wanted: impl Fn(&str, &G) -> bool + Send + 'static,
    ) -> Result<usize> {
        let grants = Arc::clone(self);
        run_to_completion(async move {
            let _alone = grants.changing.lock().await;
            let mut ids: Vec<String> = Vec::new();
            ids.extend(
                grants
                    .index
                    .read()
                    .by_id
                    .iter()
                    .filter(|(id, g)| wanted(id, g))
                    .map(|(id, _)| id.clone()),
            );
            grants.table.delete_all(&ids).await?;
            let mut present = grants.index.write();
            for id in &ids {
                present.remove(id);
            }
            Ok(ids.len())
        })
        .await
    }

    /// Uses one up: `work` commits the batch that removes it together with what it is given for. `NotFound` when it is
    /// gone, so that of many at once one succeeds.
    pub async fn redeem<T: Send + 'static, F>(
        self: &Arc<Self>,
        id: &str,
        work: impl FnOnce(Batch) -> F + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let grants = Arc::clone(self);
        let id = id.to_owned();
        run_to_completion(async move {
            let _alone = grants.changing.lock().await;
            grants.get(&id).ok_or(Error::NotFound)?;
            let done = work(grants.table.delete_in(Batch::new(), &id)).await?;
            grants.index.write().remove(&id);
            Ok(done)
        })
        .await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.table.commit(batch).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sled::SledStore;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Ended {
        hash: String,
    }

    impl Record for Ended {
        const VERSION: u32 = 1;
    }

    impl Grant for Ended {
        fn hash(&self) -> &str {
            &self.hash
        }

        fn evicted_by(&self, _: &GrantsById<Self>) -> Result<Vec<String>> {
            Ok(Vec::new())
        }
    }

    /// More than one step of a store may delete.
    #[tokio::test]
    async fn however_many_have_ended_all_are_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        let table = Table::<Ended>::new(store.clone(), "ended/");
        let id = |n: usize| format!("{n:064}");
        for start in (0..6000).step_by(500) {
            let some = start..start + 500;
            let batch = some.fold(Batch::new(), |batch, n| {
                table.put_in(batch, &id(n), &Ended { hash: id(n) }).unwrap()
            });
            store.commit(batch).await.unwrap();
        }
        let grants = Grants::<Ended>::open(store.clone(), "ended/", |_| true)
            .await
            .unwrap();
        assert_eq!(
            grants
                .remove(move |_, grant| grant.hash >= id(100))
                .await
                .unwrap(),
            5900
        );
        Grants::<Ended>::open(store.clone(), "ended/", move |grant| grant.hash == id(7))
            .await
            .unwrap();
        assert_eq!(table.all().await.unwrap().len(), 1);
    }
}
