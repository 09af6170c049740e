//! Team folders: roots that belong to no account, with members and a quota of their own.

use super::groups::{Grantee, GranteeRef, Groups};
use crate::model::path::check_name;
use crate::model::time::unix_seconds;
use crate::model::{AccountName, Error, RelPath, Result, Rights};
use crate::state::table::{Record, Table};
use crate::state::{Batch, CommitHook, StateStore};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Mutex;

/// Who may use a team folder, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamFolderMember {
    /// Whom it is shown to.
    #[serde(flatten)]
    pub to: GranteeRef,
    /// What they may do.
    pub rights: Rights,
}

/// A team folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Who may use it.
    pub members: Vec<TeamFolderMember>,
    /// Its quota in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

impl Record for Team {
    const VERSION: u32 = 1;
}

/// Every team folder.
#[derive(Debug)]
pub struct Teams {
    table: Table<Team>,
    all: RwLock<BTreeMap<String, Arc<Team>>>,
    /// The names of those whose removal is under way.
    leaving: RwLock<BTreeSet<String>>,
    groups: Arc<Groups>,
    /// One change at a time, so that memory and store agree.
    changing: Mutex<()>,
}

impl Teams {
    /// Reads every team folder.
    pub async fn open(store: Arc<dyn StateStore>, groups: Arc<Groups>) -> Result<Self> {
        let table = Table::<Team>::new(store, "team/");
        let all = table
            .all()
            .await?
            .into_iter()
            .map(|(name, team)| (name, Arc::new(team)))
            .collect();
        let all = RwLock::new(all);
        let leaving = RwLock::default();
        let changing = Mutex::default();
        Ok(Self {
            table,
            all,
            leaving,
            groups,
            changing,
        })
    }

    /// All team folders by name.
    pub fn list(&self) -> Vec<(String, Arc<Team>)> {
        self.all
            .read()
            .iter()
            .map(|(name, team)| (name.clone(), team.clone()))
            .collect()
    }

    /// One team folder.
    pub fn find(&self, name: &str) -> Option<Arc<Team>> {
        self.all.read().get(name).cloned()
    }

    /// What an account may do in a team folder; `None` when it is not shown to it.
    pub fn rights(&self, team: &Team, account: &AccountName) -> Option<Rights> {
        let granted = team
            .members
            .iter()
            .filter(|member| self.groups.includes(&member.to, account));
        granted
            .map(|member| member.rights)
            .max_by_key(|rights| *rights == Rights::Edit)
    }

    /// The names of the team folders that an account sees.
    pub fn of(&self, account: &AccountName) -> Vec<String> {
        let all = self.all.read();
        all.iter()
            .filter(|(_, team)| self.rights(team, account).is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether an account sees a team folder.
    pub fn has_any_for(&self, account: &AccountName) -> bool {
        self.all
            .read()
            .values()
            .any(|team| self.rights(team, account).is_some())
    }

    /// Makes a team folder, in one step with what comes along; `Exists` also for a name that differs in case alone.
    pub async fn create(
        &self,
        name: &str,
        members: Vec<TeamFolderMember>,
        quota: Option<u64>,
        along: CommitHook,
    ) -> Result<Arc<Team>> {
        let _turn = self.changing.lock().await;
        let name = self.check_new(name)?;
        let members = self.without_lost(members);
        let team = Arc::new(Team {
            members,
            quota,
            created: unix_seconds(SystemTime::now()),
        });
        let (batch, stored) = along.into_parts();
        self.table
            .commit(self.table.put_in(batch, name.as_str(), &team)?)
            .await?;
        stored();
        self.all
            .write()
            .insert(name.as_str().to_owned(), team.clone());
        Ok(team)
    }

    /// The name of a new team folder as it is stored. `BadName`, `Exists`.
    pub fn check_new(&self, name: &str) -> Result<RelPath> {
        check_name(name)?;
        if name.starts_with('.') || name.chars().count() > 64 {
            return Err(Error::BadName(
                "The name of a team folder has at most 64 characters and begins with no dot.",
            ));
        }
        let name = RelPath::parse(name)?.to_nfc();
        self.check_free(name.as_str())?;
        Ok(name)
    }

    /// Changes a team folder, from the next request on; `NotFound`.
    pub async fn change(&self, name: &str, edit: impl FnOnce(&mut Team)) -> Result<Arc<Team>> {
        let _turn = self.changing.lock().await;
        let mut team = Team::clone(&*self.find(name).ok_or(Error::NotFound)?);
        edit(&mut team);
        team.members = self.without_lost(team.members);
        self.store(name, team).await
    }

    /// Whether a new team folder may have this name: `Exists`, also for one that differs in case alone.
    pub fn check_free(&self, name: &str) -> Result<()> {
        let folded = name.to_lowercase();
        let all = self.all.read();
        let leaving = self.leaving.read();
        let taken = all
            .keys()
            .chain(&*leaving)
            .any(|taken| taken.to_lowercase() == folded);
        if taken { Err(Error::Exists) } else { Ok(()) }
    }

    /// Removes a team folder from every drive, in one step with what else is in the batch; its name stays taken until
    /// [`release_name`](Self::release_name). `NotFound`.
    pub async fn remove(&self, name: &str, along: Batch) -> Result<()> {
        let _turn = self.changing.lock().await;
        self.find(name).ok_or(Error::NotFound)?;
        self.table.commit(self.table.delete_in(along, name)).await?;
        self.reserve_name(name);
        self.all.write().remove(name);
        Ok(())
    }

    /// Gives no team folder this name.
    pub fn reserve_name(&self, name: &str) {
        self.leaving.write().insert(name.to_owned());
    }

    /// Lets a team folder have the name of one that was removed.
    pub fn release_name(&self, name: &str) {
        self.leaving.write().remove(name);
    }

    /// The accounts that are members by their names.
    pub fn accounts_named(&self) -> BTreeSet<AccountName> {
        let all = self.all.read();
        let members = all.values().flat_map(|team| &team.members);
        members
            .filter_map(|member| {
                if let Grantee::Account(name) = &member.to.named {
                    Some(name.clone())
                } else {
                    None
                }
            })
            .collect()
    }

    /// Takes an account or group that was removed out of every team folder.
    pub async fn remove_grantee(&self, to: &GranteeRef) -> Result<()> {
        self.retain(|member| member.to != *to).await
    }

    /// Takes groups that are no more out of every team folder.
    pub async fn remove_lost_groups(&self) -> Result<()> {
        self.retain(|member| self.groups.exists(&member.to)).await
    }

    async fn retain(&self, stays: impl Fn(&TeamFolderMember) -> bool) -> Result<()> {
        let _turn = self.changing.lock().await;
        for (name, team) in self.list() {
            if !team.members.iter().all(&stays) {
                let mut team = Team::clone(&team);
                team.members.retain(&stays);
                self.store(&name, team).await?;
            }
        }
        Ok(())
    }

    /// Members but for groups that were removed since they were looked up.
    fn without_lost(&self, mut members: Vec<TeamFolderMember>) -> Vec<TeamFolderMember> {
        members.retain(|member| self.groups.exists(&member.to));
        members
    }

    async fn store(&self, name: &str, team: Team) -> Result<Arc<Team>> {
        self.table.put(name, &team).await?;
        let team = Arc::new(team);
        self.all.write().insert(name.to_owned(), team.clone());
        Ok(team)
    }
}
