//! Files of removed accounts and team folders that lie aside: which there are, and the way back, at an administrator's wish alone.
//! A new account or team folder begins with nothing: whatever lies where its files will be is laid aside first.

use super::App;
use super::homes::TreeKind;
use super::removal::{FilesDisposal, RemovalRecord};
use crate::auth::AccountCleanup;
use crate::model::{AccountName, Error, Result, VPath, time};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};
use utoipa::ToSchema;

const NOT_EMPTY: Error = Error::Forbidden(
    "There are files already, or some in its trash or versions: bring these back as a folder of an account's drive.",
);

/// Files that lie aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedFiles {
    /// What to bring them back or delete them by.
    pub id: String,
    /// Whose they were.
    pub kind: TreeKind,
    /// The name of the account or team folder.
    pub name: String,
    /// Where they lie in the data folder: `homes/ana.removed-20261129T120102Z`.
    pub place: String,
    /// When the account or team folder was made; absent when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub created: Option<String>,
    /// When it was removed.
    pub removed: String,
    /// Whether they are being deleted.
    pub deleting: bool,
}

/// Where files are brought back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// They become the whole drive of this account, with their trash and versions; it must be empty.
    Home(AccountName),
    /// They become a folder in the drive of this account.
    Folder(AccountName),
    /// They become this team folder, with their trash and versions; it must be empty.
    Team(String),
}

/// What lays aside what lies in the way of a new account.
#[derive(Debug)]
pub(super) struct VacateExisting(pub Weak<App>);

#[async_trait]
impl AccountCleanup for VacateExisting {
    async fn clean_up(&self, name: &AccountName) -> Result<()> {
        let Some(app) = self.0.upgrade() else {
            return Ok(());
        };
        app.remove_account_records(name).await?;
        app.vacate(TreeKind::Home, name.as_str()).await
    }
}

impl App {
    /// The files that lie aside, by place.
    pub fn removed_files(&self) -> Vec<RemovedFiles> {
        let date = |seconds| time::iso_date(time::from_unix_seconds(seconds));
        let settled = self
            .removals
            .list()
            .into_iter()
            .filter(|(_, removal)| removal.settled);
        let mut found: Vec<RemovedFiles> = settled
            .map(|(id, removal)| RemovedFiles {
                id,
                kind: removal.kind,
                name: removal.name.clone(),
                place: removal.place(),
                created: (removal.created > 0).then(|| date(removal.created)),
                removed: date(removal.removed),
                deleting: removal.files.is_purge(),
            })
            .collect();
        found.sort_by(|a, b| a.place.cmp(&b.place));
        found
    }

    /// Brings files back that lie aside; `which` is their id or place. Returns the folder that they have become, of the drive of
    /// [`Destination::Folder`]. `NotFound`, `Forbidden`.
    pub async fn restore_removed(&self, which: &str, to: Destination) -> Result<Option<VPath>> {
        let _turn = self.removals.finishing.lock().await;
        let (id, removal) = self.find_removed(which)?;
        let aside = (removal.kind, removal.folder.as_str());
        if !self.homes.is_there(aside.0, aside.1).await? {
            return Err(Error::NotFound);
        }
        let moved = match to {
            Destination::Folder(to) => {
                self.auth.account(&to).ok_or(Error::NotFound)?;
                self.homes
                    .adopt(aside, &format!("Files of {}", removal.name), &to)
                    .await?
            }
            Destination::Home(to) => {
                self.auth.account(&to).ok_or(Error::NotFound)?;
                self.restore_as_tree(aside, (TreeKind::Home, to.as_str()))
                    .await?;
                None
            }
            Destination::Team(to) => {
                self.sharing.teams.find(&to).ok_or(Error::NotFound)?;
                self.restore_as_tree(aside, (TreeKind::Team, &to)).await?;
                None
            }
        };
        self.removals.forget(&id).await?;
        Ok(moved)
    }

    /// Deletes files that lie aside, for good; `which` is their id or place. `NotFound`.
    pub async fn purge_removed_files(&self, which: &str) -> Result<()> {
        let id = {
            let _turn = self.removals.finishing.lock().await;
            let (id, removal) = self.find_removed(which)?;
            self.removals
                .put(
                    &id,
                    RemovalRecord {
                        files: FilesDisposal::Purge,
                        ..removal.as_ref().clone()
                    },
                )
                .await?;
            id
        };
        self.dispose_files(&id).await.map(drop)
    }

    fn find_removed(&self, which: &str) -> Result<(String, Arc<RemovalRecord>)> {
        let kept = |removal: &RemovalRecord| removal.settled && !removal.files.is_purge();
        let mut all = self
            .removals
            .list()
            .into_iter()
            .filter(|(_, removal)| kept(removal));
        all.find(|(id, removal)| id == which || removal.place() == which)
            .ok_or(Error::NotFound)
    }

    /// Lets files that lie aside become a home or team folder that holds none.
    async fn restore_as_tree(&self, aside: (TreeKind, &str), to: (TreeKind, &str)) -> Result<()> {
        if !self.homes.is_unused(to.0, to.1).await? {
            return Err(NOT_EMPTY);
        }
        self.homes.exchange(aside, to).await
    }

    /// Lays aside what lies where the files of a new account or team folder will be.
    pub(super) async fn vacate(&self, kind: TreeKind, name: &str) -> Result<()> {
        if self.homes.is_empty(kind, name).await? {
            return self.homes.forget(kind, name).await;
        }
        let mut removal = self
            .removals
            .new_removal(self, kind, name, FilesDisposal::Keep)
            .await?;
        removal.settled = true;
        let id = crate::state::table::new_id()?;
        let folder = removal.folder.clone();
        tracing::warn!(
            place = removal.place(),
            "files of an earlier holder of the name lie aside"
        );
        // First the record: what is aside is always named by one.
        self.removals.put(&id, removal).await?;
        self.homes.move_aside(kind, name, &folder).await
    }
}
