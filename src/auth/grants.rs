//! What lets somebody in by a secret (a session, an app password, an invite): records in the state store and all of them
//! in memory, found by the hash of the secret. What they mean is their owners' business.

use super::run_to_completion::run_to_completion;
use super::token;
use crate::model::{Error, Result};
use crate::state::registry::{Edit, RecordIndex, Registry, RegistryView};
use crate::state::table::Record;
use crate::state::{Batch, StateStore};
use std::collections::HashMap;
use std::sync::Arc;

/// A kind of grant.
pub trait Grant: Record + Clone + Send + Sync + 'static {
    /// Whether what [`evicted_by`](Self::evicted_by) says must hold exactly, whoever makes grants at the same time.
    const EXACT: bool;

    /// The hash of the secret that it answers to.
    fn hash(&self) -> &str;

    /// The ids of those that make room for this one, of all that there are; a refusal when none may.
    fn evicted_by(&self, present: &GrantsById<Self>) -> Result<Vec<String>>;
}

/// The grants of one kind by their public ids.
pub type GrantsById<G> = RegistryView<G, GrantIds>;

/// The ids of grants by the hashes of their secrets.
#[derive(Debug, Default)]
pub struct GrantIds(HashMap<String, String>);

impl<G: Grant> RecordIndex<G> for GrantIds {
    fn update(&mut self, id: &str, before: Option<&Arc<G>>, now: Option<&Arc<G>>) {
        if let Some(before) = before {
            self.0.remove(before.hash());
        }
        if let Some(now) = now {
            self.0.insert(now.hash().to_owned(), id.to_owned());
        }
    }
}

/// All grants of one kind.
#[derive(Debug)]
pub struct Grants<G> {
    all: Arc<Registry<G, GrantIds>>,
}

impl<G: Grant> Grants<G> {
    /// Reads all grants and clears away those that no longer hold.
    pub async fn open(
        store: Arc<dyn StateStore>,
        prefix: &'static str,
        holds: impl Fn(&G) -> bool,
    ) -> Result<Arc<Self>> {
        let all = Registry::<G, GrantIds>::open(store, prefix).await?;
        if let Err(error) = all.remove_all(|_, grant| !holds(grant)).await {
            tracing::warn!(%error, "what has ended could not be cleared away; it ends nonetheless");
        }
        Ok(Arc::new(Self { all }))
    }

    /// The grant that answers to a secret, with its id.
    pub fn find(&self, secret: &str) -> Option<(String, Arc<G>)> {
        let hash = token::digest(secret);
        let present = self.all.view();
        let id = present.index.0.get(&hash)?;
        Some((id.clone(), Arc::clone(present.get(id)?)))
    }

    /// The grant with an id.
    pub fn get(&self, id: &str) -> Option<Arc<G>> {
        self.all.get(id)
    }

    /// The wanted ones, in the order of their ids.
    pub fn list(&self, wanted: impl Fn(&G) -> bool) -> Vec<(String, Arc<G>)> {
        let present = self.all.view();
        present
            .iter()
            .filter(|(_, grant)| wanted(grant))
            .map(|(id, grant)| (id.to_owned(), grant.clone()))
            .collect()
    }

    /// Stores a new one, and ends those that it displaces.
    pub async fn insert(self: &Arc<Self>, id: &str, grant: G) -> Result<()> {
        let grants = Arc::clone(self);
        let commit = move |batch| {
            let grants = Arc::clone(&grants);
            async move { grants.all.commit(batch).await }
        };
        self.insert_with(id, grant, commit).await
    }

    /// As [`insert`](Self::insert): `work` commits the batch that stores it together with what it is given with, and is asked again with
    /// another batch when that is a `Conflict`.
    pub async fn insert_with<T: Send + 'static, F>(
        self: &Arc<Self>,
        id: &str,
        grant: G,
        work: impl FnMut(Batch) -> F + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let grants = Arc::clone(self);
        let id = id.to_owned();
        run_to_completion(async move {
            let plan = |all: &Registry<G, GrantIds>, present: Option<G>| {
                if present.is_some() {
                    return Err(Error::Exists);
                }
                let edit = Edit::store(grant.clone()).evicting(grant.evicted_by(&all.view())?);
                Ok(if G::EXACT { edit.guarded() } else { edit })
            };
            let (_, done) = grants.all.edit_by(&id, plan, work).await?;
            Ok(done)
        })
        .await
    }

    /// Changes one; `edit` says whether it did. `NotFound`.
    pub async fn change(
        self: &Arc<Self>,
        id: &str,
        mut edit: impl FnMut(&mut G) -> bool + Send + 'static,
    ) -> Result<()> {
        let grants = Arc::clone(self);
        let id = id.to_owned();
        run_to_completion(async move {
            let edit = |grant: &mut G| {
                let mut changed = grant.clone();
                if edit(&mut changed) {
                    *grant = changed;
                }
                Ok(())
            };
            grants.all.change(&id, edit).await.map(drop)
        })
        .await
    }

    /// Ends the wanted ones and says how many they were.
    pub async fn remove(
        self: &Arc<Self>,
        wanted: impl Fn(&str, &G) -> bool + Send + Sync + 'static,
    ) -> Result<usize> {
        let grants = Arc::clone(self);
        run_to_completion(async move { grants.all.remove_all(wanted).await }).await
    }

    /// Uses one up: `work` commits the batch that removes it together with what it is given for. `NotFound` when it is
    /// gone, so that of many at once one succeeds, whichever handles they have.
    pub async fn redeem<T: Send + 'static, F>(
        self: &Arc<Self>,
        id: &str,
        work: impl FnMut(Batch) -> F + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let grants = Arc::clone(self);
        let id = id.to_owned();
        run_to_completion(async move {
            let plan = |_: &Registry<G, GrantIds>, present: Option<G>| {
                present.map(|_| Edit::remove()).ok_or(Error::NotFound)
            };
            let (_, done) = grants.all.edit_by(&id, plan, work).await?;
            Ok(done)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sled::SledStore;
    use crate::state::table::Table;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Ended {
        hash: String,
    }

    impl Record for Ended {
        const VERSION: u32 = 1;
    }

    impl Grant for Ended {
        const EXACT: bool = true;

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
