//! How a removal begins: what becomes of the files is decided, then the account or team folder goes in one batch with the record.

use super::{FilesDisposal, RemovalOutcome, RemovalRecord};
use crate::app::App;
use crate::app::homes::{LeftFolder, TreeKind};
use crate::model::{AccountName, Error, Result};
use crate::state::Batch;
use crate::state::table::new_id;
use std::path::Path;
use std::sync::Arc;

impl App {
    /// Removes an account; where its removal has begun already, goes on with that. When something fails afterwards, the
    /// name stays taken until it is finished, at the latest by the next start; files that could not be moved are kept.
    /// `NotFound`, `Forbidden` for the last administrator.
    pub async fn remove_account(
        &self,
        name: &AccountName,
        files: FilesDisposal,
    ) -> Result<RemovalOutcome> {
        let (id, left) = {
            let _turn = self.removals.finishing.lock().await;
            let id = match self.removals.pending(TreeKind::Home, name.as_str()) {
                Some(id) => id,
                None => self.begin_removal(name, files).await?,
            };
            let left = self.removals.get(&id)?.existing.clone();
            match self.finish_removal(&id).await? {
                Some(moved) => {
                    return Ok(RemovalOutcome {
                        moved: Some(moved),
                        aside: None,
                    });
                }
                None => (id, left),
            }
        };
        self.dispose_removed(&id, left).await
    }

    /// Removes a team folder, as [`remove_account`](Self::remove_account); its files are not transferred. `NotFound`.
    pub async fn remove_team(&self, name: &str, files: FilesDisposal) -> Result<RemovalOutcome> {
        let (id, left) = {
            let _turn = self.removals.finishing.lock().await;
            let id = match self.removals.pending(TreeKind::Team, name) {
                Some(id) => id,
                None => self.begin_team_removal(name, files).await?,
            };
            let left = self.removals.get(&id)?.existing.clone();
            self.finish_removal(&id).await?;
            (id, left)
        };
        self.dispose_removed(&id, left).await
    }

    /// As [`dispose_files`](Self::dispose_files); a folder that was there before and is kept is said to be where it is.
    async fn dispose_removed(&self, id: &str, left: Option<LeftFolder>) -> Result<RemovalOutcome> {
        let kept = left.filter(|left| left.id.is_none());
        let outcome = self.dispose_files(id).await?;
        Ok(RemovalOutcome {
            aside: outcome.aside.or(kept.map(|left| left.path)),
            ..outcome
        })
    }

    /// Takes the account away and records what is still to be done. `NotFound`, `Forbidden` for the last administrator.
    pub async fn begin_removal(&self, name: &AccountName, files: FilesDisposal) -> Result<String> {
        let view = self.auth.account(name).ok_or(Error::NotFound)?;
        let removal = self
            .removal_of(TreeKind::Home, name.as_str(), files)
            .await?;
        let removal = RemovalRecord {
            created: view.created,
            ..removal
        };
        let id = new_id()?;
        let table = &self.removals.table;
        self.auth
            .begin_removal(name, table.put_in(Batch::new(), &id, &removal)?)
            .await?;
        self.removals
            .all
            .write()
            .insert(id.clone(), Arc::new(removal));
        Ok(id)
    }

    async fn begin_team_removal(&self, name: &str, files: FilesDisposal) -> Result<String> {
        let team = self.sharing.teams.find(name).ok_or(Error::NotFound)?;
        let removal = self.removal_of(TreeKind::Team, name, files).await?;
        let removal = RemovalRecord {
            created: team.created,
            ..removal
        };
        let id = new_id()?;
        let table = &self.removals.table;
        self.sharing
            .teams
            .remove(name, table.put_in(Batch::new(), &id, &removal)?)
            .await?;
        self.removals
            .all
            .write()
            .insert(id.clone(), Arc::new(removal));
        Ok(id)
    }

    async fn removal_of(
        &self,
        kind: TreeKind,
        name: &str,
        files: FilesDisposal,
    ) -> Result<RemovalRecord> {
        let existing = self.left_of(kind, name, &files).await?;
        if files != FilesDisposal::Keep {
            self.homes.check_there(kind, name).await?;
        }
        let removal = self.removals.new_removal(self, kind, name, files).await?;
        Ok(RemovalRecord {
            existing,
            ..removal
        })
    }

    /// The folder that was there before, if there the files lie. It is deleted only for whoever names its path. `Invalid`.
    async fn left_of(
        &self,
        kind: TreeKind,
        name: &str,
        files: &FilesDisposal,
    ) -> Result<Option<LeftFolder>> {
        let wrong = |why: String| {
            Err(Error::Invalid {
                pointer: "/path".into(),
                why,
            })
        };
        let Some(path) = self.existing_folder(kind, name) else {
            return match files {
                FilesDisposal::PurgeAt(_) => wrong(
                    "Its files lie in the data folder: delete them without naming a path.".into(),
                ),
                _ => Ok(None),
            };
        };
        match files {
            FilesDisposal::Keep => return Ok(Some(LeftFolder { path, id: None })),
            FilesDisposal::Purge => {
                return wrong(format!(
                    "Its files lie in {path}, which was there before: they are deleted only when that path is named. Without it, keep \
                     them where they are."
                ));
            }
            FilesDisposal::PurgeAt(named) if Path::new(named) != Path::new(&path) => {
                return wrong(format!(
                    "Its files lie in {path}, not in {named}: nothing was removed."
                ));
            }
            FilesDisposal::PurgeAt(_) | FilesDisposal::Transfer(_) => {}
        }
        let id = self.homes.id_of(kind, name).await?;
        Ok(Some(LeftFolder { path, id: Some(id) }))
    }
}
