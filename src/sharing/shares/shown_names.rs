//! The names under which accounts see the shares they receive. A name is assigned at the first listing and kept as long as the share shows:
//! otherwise a client would find another's folder under it once an older share of the same name has ended. One record per receiver and
//! share, as a group may have any number of members.

use super::Share;
use crate::model::{AccountName, Result, VPath};
use crate::sharing::names::UniqueNames;
use crate::state::table::{Record, Table};
use crate::state::{Batch, StateStore};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// Records changed in one step.
const AT_ONCE: usize = 500;

/// The name of one share for one receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ShownName {
    /// What the share was called when the name was given: its owner or the receiver may call it otherwise since.
    wanted: String,
    name: String,
}

impl Record for ShownName {
    const VERSION: u32 = 1;
}

/// The names by the ids of the shares.
type NamesByShare = HashMap<String, ShownName>;

/// Every name that was given.
#[derive(Debug)]
pub(super) struct ShownNames {
    table: Table<ShownName>,
    given: RwLock<HashMap<AccountName, NamesByShare>>,
    /// Whoever gives names does so alone, from the look at what shows to the last record.
    giving: Mutex<()>,
}

impl ShownNames {
    /// Reads the names, and clears away those of shares that are no more.
    pub async fn open(store: Arc<dyn StateStore>, is_there: impl Fn(&str) -> bool) -> Result<Self> {
        let table = Table::<ShownName>::new(store, "share-name/");
        let mut given = HashMap::<_, NamesByShare>::new();
        let mut over = Vec::new();
        for (key, shown) in table.all().await? {
            let of = key.split_once('/').filter(|(_, id)| is_there(id));
            match of
                .and_then(|(account, id)| Some((AccountName::parse(account).ok()?, id.to_owned())))
            {
                Some((account, id)) => drop(given.entry(account).or_default().insert(id, shown)),
                None => over.push(key),
            }
        }
        if let Err(error) = table.delete_all(&over).await {
            tracing::warn!(%error, "names of shares that have ended could not be cleared away; they are in nobody's way");
        }
        Ok(Self {
            table,
            given: RwLock::new(given),
            giving: Mutex::default(),
        })
    }

    /// The names of these shares for an account, in their order; `None` while one of them has none.
    pub fn of(&self, account: &AccountName, shares: &[Arc<Share>]) -> Option<Vec<String>> {
        let given = self.given.read();
        let own = given.get(account);
        shares
            .iter()
            .map(|share| valid(own?, share, account).map(|shown| shown.name.clone()))
            .collect()
    }

    /// The right to give names.
    pub async fn lock_naming(&self) -> MutexGuard<'_, ()> {
        self.giving.lock().await
    }

    /// The names of all shares that an account sees since the [lock](Self::lock_naming) began, in their order: given to those that have
    /// none. Names of shares that it sees no more are free.
    pub async fn assign(
        &self,
        account: &AccountName,
        shares: &[Arc<Share>],
        folder: &VPath,
        other: &str,
    ) -> Result<Vec<String>> {
        let own = self.given.read().get(account).cloned().unwrap_or_default();
        let seen: HashSet<_> = shares.iter().map(|share| share.id.as_str()).collect();
        let mut changes: Vec<(String, Option<ShownName>)> = own
            .keys()
            .filter(|id| !seen.contains(id.as_str()))
            .map(|id| (id.clone(), None))
            .collect();
        let kept = |share: &Share| valid(&own, share, account).map(|shown| shown.name.as_str());
        let mut taken = UniqueNames::without(shares.iter().filter_map(|share| kept(share)));
        let mut give = |share: &Share| {
            let wanted = share.name_for(account).to_owned();
            let name = taken.assign(folder, &wanted, other);
            changes.push((
                share.id.clone(),
                Some(ShownName {
                    wanted,
                    name: name.clone(),
                }),
            ));
            name
        };
        let names = shares
            .iter()
            .map(|share| kept(share).map_or_else(|| give(share), str::to_owned))
            .collect();
        for some in changes.chunks(AT_ONCE) {
            self.change(account, some).await?;
        }
        Ok(names)
    }

    async fn change(
        &self,
        account: &AccountName,
        changes: &[(String, Option<ShownName>)],
    ) -> Result<()> {
        let mut batch = Batch::new();
        for (id, shown) in changes {
            batch = match shown {
                Some(shown) => self.table.put_in(batch, &key(account, id), shown)?,
                None => self.table.delete_in(batch, &key(account, id)),
            };
        }
        self.table.commit(batch).await?;
        let mut given = self.given.write();
        let own = given.entry(account.clone()).or_default();
        for (id, shown) in changes {
            match shown {
                Some(shown) => drop(own.insert(id.clone(), shown.clone())),
                None => drop(own.remove(id)),
            }
        }
        Ok(())
    }

    /// Lets a share be given another name at the next look.
    pub async fn release(&self, account: &AccountName, id: &str) -> Result<()> {
        let _turn = self.lock_naming().await;
        self.change(account, &[(id.to_owned(), None)]).await
    }

    /// Forgets the names of an account that was removed.
    pub async fn remove_account(&self, account: &AccountName) -> Result<()> {
        let _turn = self.lock_naming().await;
        let ids: Vec<_> = self
            .given
            .read()
            .get(account)
            .into_iter()
            .flat_map(NamesByShare::keys)
            .cloned()
            .collect();
        self.table
            .delete_all(&ids.iter().map(|id| key(account, id)).collect::<Vec<_>>())
            .await?;
        self.given.write().remove(account);
        Ok(())
    }

    /// The accounts that names were given to.
    pub fn accounts_named(&self) -> BTreeSet<AccountName> {
        self.given.read().keys().cloned().collect()
    }
}

/// The name of a share, unless the share is called otherwise since.
fn valid<'a>(own: &'a NamesByShare, share: &Share, account: &AccountName) -> Option<&'a ShownName> {
    own.get(&share.id)
        .filter(|shown| shown.wanted == share.name_for(account))
}

fn key(account: &AccountName, id: &str) -> String {
    format!("{account}/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    /// More than one step of a store takes.
    const SHARES: usize = 2 * AT_ONCE + 1;

    fn share(id: usize) -> Arc<Share> {
        let fields = serde_json::json!({"id": id.to_string(), "owner": "ana", "path": "x/same", "node": [1, id], "folder": true,
            "to": {"account": "ben"}, "rights": "view", "created": 1, "expires": null, "note": "", "names": {}, "left": []});
        Arc::new(serde_json::from_value(fields).unwrap())
    }

    #[tokio::test]
    async fn names_stay_over_a_restart_and_end_with_their_share_and_account() {
        let store = MemoryStore::new();
        let ben = AccountName::parse("ben").unwrap();
        let folder = VPath::parse("in").unwrap();
        let all: Vec<_> = (0..SHARES).map(share).collect();
        let names = ShownNames::open(store.clone(), |_| true).await.unwrap();
        assert!(names.of(&ben, &all).is_none());
        let given = names.assign(&ben, &all, &folder, "Shared").await.unwrap();
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), SHARES);
        assert_eq!(names.of(&ben, &all), Some(given.clone()));
        let names = ShownNames::open(store.clone(), |id| id != "0")
            .await
            .unwrap();
        assert_eq!(names.of(&ben, &all[1..]).unwrap(), given[1..]);
        assert!(names.of(&ben, &all).is_none());
        // What shows no more has no name, and what comes takes the first that is free.
        let late = [&all[2..], &[share(SHARES)]].concat();
        let given_late = names.assign(&ben, &late, &folder, "Shared").await.unwrap();
        assert_eq!(
            (&given_late[..SHARES - 2], given_late[SHARES - 2].as_str()),
            (&given[2..], "same")
        );
        assert!(names.of(&ben, &all[1..2]).is_none());
        names.remove_account(&ben).await.unwrap();
        assert!(names.accounts_named().is_empty());
        let names = ShownNames::open(store, |_| true).await.unwrap();
        assert!(names.accounts_named().is_empty());
    }
}
