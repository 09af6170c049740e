//! The names under which accounts see the shares they receive. A name is assigned at the first listing and kept as long as the share shows:
//! otherwise a client would find another's folder under it once an older share of the same name has ended. One record per receiver and
//! share, as a group may have any number of members.

use super::Share;
use crate::model::{AccountName, Error, Result, VPath};
use crate::sharing::names::{UniqueNames, folded};
use crate::state::StateStore;
use crate::state::registry::{RecordIndex, Registry};
use crate::state::table::Record;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

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
type NamesByShare = HashMap<String, Arc<ShownName>>;

/// The names by the accounts that see them.
#[derive(Debug, Default)]
struct NamesByAccount(HashMap<AccountName, NamesByShare>);

impl RecordIndex<ShownName> for NamesByAccount {
    fn update(&mut self, key: &str, _: Option<&Arc<ShownName>>, now: Option<&Arc<ShownName>>) {
        let Some((account, id)) = parse_key(key) else {
            return;
        };
        let own = self.0.entry(account.clone()).or_default();
        match now {
            Some(shown) => own.insert(id.to_owned(), Arc::clone(shown)),
            None => own.remove(id),
        };
        if own.is_empty() {
            self.0.remove(&account);
        }
    }
}

/// Every name that was given.
#[derive(Debug)]
pub(super) struct ShownNames {
    given: Arc<Registry<ShownName, NamesByAccount>>,
}

impl ShownNames {
    /// Reads the names, and clears away those of shares that are no more.
    pub async fn open(store: Arc<dyn StateStore>, is_there: impl Fn(&str) -> bool) -> Result<Self> {
        let given = Registry::<ShownName, NamesByAccount>::open(store, "share-name/").await?;
        let is_over = |key: &str| parse_key(key).is_none_or(|(_, id)| !is_there(id));
        if let Err(error) = given.remove_all(|key, _| is_over(key)).await {
            tracing::warn!(%error, "names of shares that have ended could not be cleared away; they are in nobody's way");
        }
        Ok(Self { given })
    }

    /// The names of these shares for an account, in their order; `None` while one of them has none.
    pub fn of(&self, account: &AccountName, shares: &[Arc<Share>]) -> Option<Vec<String>> {
        let given = self.given.view();
        let own = given.index.0.get(account);
        shares
            .iter()
            .map(|share| valid(own?, share, account).map(|shown| shown.name.clone()))
            .collect()
    }

    /// Whether one of these shares shows under this name, or will as it has none yet.
    pub fn has(&self, account: &AccountName, shares: &[Arc<Share>], name: &str) -> bool {
        let given = self.given.view();
        let own = given.index.0.get(account);
        let wanted = folded(name);
        shares.iter().any(|share| {
            let shown = own.and_then(|own| valid(own, share, account));
            folded(shown.map_or_else(|| share.name_for(account), |shown| &shown.name)) == wanted
        })
    }

    /// The shares that `look` finds and their names for an account, in their order: given to those that have none. Names of shares that it
    /// sees no more are free. No two look at the same time, whichever handles they have.
    pub async fn assign(
        &self,
        account: &AccountName,
        look: impl Fn() -> Vec<Arc<Share>>,
        folder: &VPath,
        other: &str,
    ) -> Result<(Vec<Arc<Share>>, Vec<String>)> {
        let mut shares = Vec::new();
        let mut names = Vec::new();
        let mut is_all = false;
        while !is_all {
            let plan = |given: &Registry<ShownName, NamesByAccount>| {
                shares = look();
                let view = given.view();
                let own = view.index.0.get(account);
                let (given, mut changes) = given_names((account, own), &shares, folder, other);
                names = given;
                is_all = changes.len() <= AT_ONCE;
                changes.truncate(AT_ONCE);
                Ok(changes)
            };
            self.given.edit_many(plan).await?;
        }
        Ok((shares, names))
    }

    /// Lets a share be given another name at the next look.
    pub async fn release(&self, account: &AccountName, id: &str) -> Result<()> {
        match self.given.remove(&key(account, id), |_| Ok(())).await {
            Err(Error::NotFound) => Ok(()),
            released => released,
        }
    }

    /// Forgets the names of an account that was removed.
    pub async fn remove_account(&self, account: &AccountName) -> Result<()> {
        let is_own = |key: &str| parse_key(key).is_some_and(|(of, _)| of == *account);
        self.given.remove_all(|key, _| is_own(key)).await.map(drop)
    }

    /// The accounts that names were given to.
    pub fn accounts_named(&self) -> BTreeSet<AccountName> {
        self.given.view().index.0.keys().cloned().collect()
    }
}

/// The names of shares for an account that has these, and what is to change in its records.
fn given_names(
    (account, own): (&AccountName, Option<&NamesByShare>),
    shares: &[Arc<Share>],
    folder: &VPath,
    other: &str,
) -> (Vec<String>, Vec<(String, Option<ShownName>)>) {
    let seen: HashSet<_> = shares.iter().map(|share| share.id.as_str()).collect();
    let known = own.into_iter().flat_map(NamesByShare::keys);
    let mut changes: Vec<(String, Option<ShownName>)> = known
        .filter(|id| !seen.contains(id.as_str()))
        .map(|id| (key(account, id), None))
        .collect();
    let kept = |share: &Share| valid(own?, share, account).map(|shown| shown.name.as_str());
    let mut taken = UniqueNames::without(shares.iter().filter_map(|share| kept(share)));
    let mut give = |share: &Share| {
        let wanted = share.name_for(account).to_owned();
        let name = taken.assign(folder, &wanted, other);
        let shown = ShownName {
            wanted,
            name: name.clone(),
        };
        changes.push((key(account, &share.id), Some(shown)));
        name
    };
    let names = shares
        .iter()
        .map(|share| kept(share).map_or_else(|| give(share), str::to_owned))
        .collect();
    (names, changes)
}

/// The name of a share, unless the share is called otherwise since.
fn valid<'a>(own: &'a NamesByShare, share: &Share, account: &AccountName) -> Option<&'a ShownName> {
    own.get(&share.id)
        .map(Arc::as_ref)
        .filter(|shown| shown.wanted == share.name_for(account))
}

/// The account and the share of a record.
fn parse_key(key: &str) -> Option<(AccountName, &str)> {
    let (account, id) = key.split_once('/')?;
    Some((AccountName::parse(account).ok()?, id))
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
        let assign = async |names: &ShownNames, shares: &[Arc<Share>]| {
            let look = || shares.to_vec();
            names.assign(&ben, look, &folder, "Shared").await.unwrap().1
        };
        let given = assign(&names, &all).await;
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), SHARES);
        assert_eq!(names.of(&ben, &all), Some(given.clone()));
        let names = ShownNames::open(store.clone(), |id| id != "0")
            .await
            .unwrap();
        assert_eq!(names.of(&ben, &all[1..]).unwrap(), given[1..]);
        assert!(names.of(&ben, &all).is_none());
        // What shows no more has no name, and what comes takes the first that is free.
        let late = [&all[2..], &[share(SHARES)]].concat();
        let given_late = assign(&names, &late).await;
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
