//! Team folders: roots that belong to no account, with members and a quota of their own.

use super::groups::{Grantee, GranteeRef, Groups};
use crate::model::path::check_name;
use crate::model::time::unix_seconds;
use crate::model::{AccountName, Error, RelPath, Result, Rights};
use crate::state::registry::{Edit, Registry};
use crate::state::table::Record;
use crate::state::{Batch, CommitHook, StateStore};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

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
    all: Arc<Registry<Team>>,
    /// The names of those whose removal is under way.
    leaving: Arc<RwLock<BTreeSet<String>>>,
    groups: Arc<Groups>,
}

impl Teams {
    /// Reads every team folder.
    pub async fn open(store: Arc<dyn StateStore>, groups: Arc<Groups>) -> Result<Self> {
        Ok(Self {
            all: Registry::open(store, "team/").await?,
            leaving: Arc::default(),
            groups,
        })
    }

    /// All team folders by name.
    pub fn list(&self) -> Vec<(String, Arc<Team>)> {
        let all = self.all.view();
        all.iter()
            .map(|(name, team)| (name.to_owned(), team.clone()))
            .collect()
    }

    /// One team folder.
    pub fn find(&self, name: &str) -> Option<Arc<Team>> {
        self.all.get(name)
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
        let all = self.all.view();
        all.iter()
            .filter(|(_, team)| self.rights(team, account).is_some())
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// Whether an account sees a team folder.
    pub fn has_any_for(&self, account: &AccountName) -> bool {
        let all = self.all.view();
        all.iter()
            .any(|(_, team)| self.rights(team, account).is_some())
    }

    /// Makes a team folder, in one step with what comes along; `Exists` also for a name that differs in case alone.
    pub async fn create(
        &self,
        name: &str,
        members: Vec<TeamFolderMember>,
        quota: Option<u64>,
        along: CommitHook,
    ) -> Result<Arc<Team>> {
        let name = self.check_new(name)?;
        let team = Team {
            members: self.without_lost(members),
            quota,
            created: unix_seconds(SystemTime::now()),
        };
        let plan = |all: &Registry<Team>, _| {
            self.check_unused(all, name.as_str())?;
            Ok(Edit::store(team.clone()).guarded())
        };
        let made = self.all.edit(name.as_str(), along, plan).await?;
        made.ok_or(Error::NotFound)
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
    pub async fn change(&self, name: &str, edit: impl Fn(&mut Team)) -> Result<Arc<Team>> {
        let edit = |team: &mut Team| {
            edit(team);
            team.members.retain(|member| self.groups.exists(&member.to));
            Ok(())
        };
        self.all.change(name, edit).await
    }

    /// Whether a new team folder may have this name: `Exists`, also for one that differs in case alone.
    pub fn check_free(&self, name: &str) -> Result<()> {
        self.check_unused(&self.all, name)
    }

    fn check_unused(&self, all: &Registry<Team>, name: &str) -> Result<()> {
        let folded = name.to_lowercase();
        let leaving = self.leaving.read();
        let taken = all
            .view()
            .iter()
            .map(|(taken, _)| taken)
            .chain(leaving.iter().map(String::as_str))
            .any(|taken| taken.to_lowercase() == folded);
        if taken { Err(Error::Exists) } else { Ok(()) }
    }

    /// Removes a team folder from every drive, in one step with what else is in the batch; its name stays taken until
    /// [`release_name`](Self::release_name). `NotFound`.
    pub async fn remove(&self, name: &str, along: Batch) -> Result<()> {
        let plan = |_: &Registry<Team>, present: Option<Team>| {
            present.ok_or(Error::NotFound)?;
            Ok(Edit::remove())
        };
        let leaving = Arc::clone(&self.leaving);
        let reserved = name.to_owned();
        let reserve = move || {
            leaving.write().insert(reserved);
        };
        let along = CommitHook::new(along, reserve);
        self.all.edit(name, along, plan).await.map(drop)
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
        let all = self.all.view();
        let members = all.iter().flat_map(|(_, team)| &team.members);
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
        for (name, team) in self.list() {
            if team.members.iter().all(&stays) {
                continue;
            }
            let edit = |team: &mut Team| {
                team.members.retain(&stays);
                Ok(())
            };
            match self.all.change(&name, edit).await {
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Members but for groups that were removed since they were looked up.
    fn without_lost(&self, mut members: Vec<TeamFolderMember>) -> Vec<TeamFolderMember> {
        members.retain(|member| self.groups.exists(&member.to));
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    fn member(name: &str) -> TeamFolderMember {
        TeamFolderMember {
            to: AccountName::parse(name).unwrap().into(),
            rights: Rights::View,
        }
    }

    /// Two nodes, of which neither has seen what the other did when it decides.
    #[tokio::test]
    async fn two_handles_lose_no_member_and_make_no_two_of_one_name() {
        let store = MemoryStore::new();
        let groups = Arc::new(Groups::open(store.clone()).await.unwrap());
        let here = Teams::open(store.clone(), groups.clone()).await.unwrap();
        let there = Teams::open(store.clone(), groups).await.unwrap();
        let along = || CommitHook::from(Batch::new());
        here.create("Crew", Vec::new(), None, along())
            .await
            .unwrap();
        assert!(there.find("Crew").is_none(), "it has not been followed yet");
        let alike = there.create("crew", Vec::new(), None, along()).await;
        assert!(matches!(alike, Err(Error::Exists)));
        for (teams, name) in [(&here, "ana"), (&there, "ben"), (&here, "zoe")] {
            let add = |team: &mut Team| team.members.push(member(name));
            teams.change("Crew", add).await.unwrap();
        }
        let members = |teams: &Teams| teams.find("Crew").unwrap().members.len();
        assert_eq!(members(&here), 3);
        there.remove("Crew", Batch::new()).await.unwrap();
        assert!(matches!(
            here.change("Crew", |team| team.quota = Some(1)).await,
            Err(Error::NotFound)
        ));
        assert!(here.find("Crew").is_none());
    }
}
