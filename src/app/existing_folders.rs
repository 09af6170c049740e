//! Accounts and team folders whose files lie in a folder that was there before.

use super::homes::{TreeKind, with_disk_timeout};
use super::removal::INFIX;
use super::{App, blocking};
use crate::auth::AccountView;
use crate::model::{AccountName, Error, Result, Role};
use crate::sharing::teams::{Team, TeamFolderMember};
use crate::state::{Batch, CommitHook};
use std::sync::Arc;

impl App {
    /// Makes an account; its files lie in the folder `home`, where that is given. As [`Auth::create`](crate::auth::Auth::create);
    /// `Invalid` for a folder that cannot be served.
    pub async fn create_account(
        &self,
        name: &AccountName,
        password: &[u8],
        (role, quota): (Role, Option<u64>),
        home: Option<&str>,
    ) -> Result<AccountView> {
        let Some(home) = home else {
            return self.auth.create(name, password, role, quota).await;
        };
        self.auth.check_new(name, password)?;
        let make = |along| self.auth.create_with(name, password, (role, quota), along);
        self.make_in_place((TreeKind::Home, name.as_str()), ("/home", home), make)
            .await
    }

    /// Makes a team folder, without anything of one that had its name; its files lie in `folder`, where that is given. As
    /// [`Teams::create`](crate::sharing::teams::Teams::create).
    pub async fn create_team(
        &self,
        name: &str,
        members: Vec<TeamFolderMember>,
        quota: Option<u64>,
        folder: Option<&str>,
    ) -> Result<Arc<Team>> {
        let _turn = self.removals.finishing.lock().await;
        if name.contains(INFIX) {
            return Err(Error::BadName(
                "A name with “.removed-” is of what was removed; choose another.",
            ));
        }
        let teams = &self.sharing.teams;
        let stored = teams.check_new(name)?;
        let make = async |along: CommitHook| {
            self.remove_team_records(stored.as_str()).await?;
            self.vacate(TreeKind::Team, stored.as_str()).await?;
            teams.create(name, members, quota, along).await
        };
        match folder {
            Some(folder) => {
                self.make_in_place((TreeKind::Team, stored.as_str()), ("/folder", folder), make)
                    .await
            }
            None => make(Batch::new().into()).await,
        }
    }

    /// Where the files of an account or team folder lie, if not in the data folder.
    pub fn existing_folder(&self, kind: TreeKind, name: &str) -> Option<String> {
        self.homes
            .existing()
            .path_of(&kind.id(name))
            .map(|path| path.to_string_lossy().into_owned())
    }

    /// Makes something whose files lie in the folder at `path`, which the request has at `pointer`. Two at once take turns, so that
    /// they cannot take folders that overlap.
    async fn make_in_place<T, F: Future<Output = Result<T>>>(
        &self,
        (kind, name): (TreeKind, &str),
        (pointer, path): (&str, &str),
        make: impl FnOnce(CommitHook) -> F,
    ) -> Result<T> {
        let wrong = |why: String| Error::Invalid {
            pointer: pointer.into(),
            why,
        };
        let existing = self.homes.existing().clone();
        let _alone = existing.adding.lock().await;
        let looking = existing.clone();
        let path = path.to_owned();
        let leaving = self.leaving_folders();
        let found = with_disk_timeout(blocking(move || {
            Ok(looking.check_new(path.as_ref(), &leaving))
        }))
        .await?;
        let site = found.map_err(wrong)?;
        let prepared = with_disk_timeout(self.homes.prepare(site.path.clone())).await;
        let id = prepared
            .map_err(|error| wrong(format!("{} cannot be served: {error}", site.path.display())))?;
        make(self.homes.store_in_place(kind, name, (site, id))?).await
    }
}
