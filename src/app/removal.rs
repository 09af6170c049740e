//! How accounts and team folders go, and what becomes of their files. The record of a removal is written in the batch that takes
//! the account away, and the name stays taken until everything that was keyed by it has ended and its folder lies aside, under a
//! name of its own: so nothing passes to the next of that name, and a start finishes what a crash cut short. A folder that was there
//! before (`existing`) stays where it is instead, and is of nobody then.

mod begin;
mod record;

use super::App;
use super::homes::TreeKind;
use crate::model::{AccountName, Error, Result, VPath, time};
use crate::state::StateStore;
use crate::state::table::Table;
use parking_lot::RwLock;
pub use record::{FilesDisposal, RemovalOutcome, RemovalRecord, RemovalStep};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// The store's prefix of removals.
pub const PREFIX: &str = "removal/";
/// What stands between the name of what was removed and the time; no account and no team folder may have it in its name.
pub const INFIX: &str = ".removed-";
/// Bytes that a folder that lies aside keeps of a long name.
const MAX_NAME: usize = 200;

/// The removals of which something is left to do or to bring back.
#[derive(Debug)]
pub(super) struct Removals {
    table: Table<RemovalRecord>,
    all: RwLock<BTreeMap<String, Arc<RemovalRecord>>>,
    /// Held while one is finished, or files are brought back.
    pub(super) finishing: tokio::sync::Mutex<()>,
    /// Held while files are deleted: the name is free by then, and others need not wait.
    purging: tokio::sync::Mutex<()>,
}

impl Removals {
    pub(super) async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let table = Table::<RemovalRecord>::new(store, PREFIX);
        let all = table
            .all()
            .await?
            .into_iter()
            .map(|(id, removal)| (id, Arc::new(removal)))
            .collect();
        let turn = tokio::sync::Mutex::default();
        let purging = tokio::sync::Mutex::default();
        Ok(Self {
            table,
            all: RwLock::new(all),
            finishing: turn,
            purging,
        })
    }

    pub(super) fn list(&self) -> Vec<(String, Arc<RemovalRecord>)> {
        self.all
            .read()
            .iter()
            .map(|(id, removal)| (id.clone(), removal.clone()))
            .collect()
    }

    fn get(&self, id: &str) -> Result<Arc<RemovalRecord>> {
        self.all.read().get(id).cloned().ok_or(Error::NotFound)
    }

    /// The removal of this name that is not finished.
    fn pending(&self, kind: TreeKind, name: &str) -> Option<String> {
        let all = self.all.read();
        let pending = |removal: &RemovalRecord| {
            !removal.settled && removal.kind == kind && removal.name == name
        };
        all.iter()
            .find(|(_, removal)| pending(removal))
            .map(|(id, _)| id.clone())
    }

    pub(super) async fn put(&self, id: &str, removal: RemovalRecord) -> Result<()> {
        self.table.put(id, &removal).await?;
        self.all.write().insert(id.to_owned(), Arc::new(removal));
        Ok(())
    }

    pub(super) async fn forget(&self, id: &str) -> Result<()> {
        self.table.delete(id).await?;
        self.all.write().remove(id);
        Ok(())
    }

    /// A removal of now, whose folder gets a name that nothing has.
    pub(super) async fn new_removal(
        &self,
        app: &App,
        kind: TreeKind,
        name: &str,
        files: FilesDisposal,
    ) -> Result<RemovalRecord> {
        let now = SystemTime::now();
        let stamp = time::iso_date(now).replace(['-', ':'], "");
        let end = name
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take_while(|end| *end <= MAX_NAME)
            .last();
        let start = name.get(..end.unwrap_or_default()).unwrap_or_default();
        for n in 1_u32.. {
            let folder = if n == 1 {
                format!("{start}{INFIX}{stamp}")
            } else {
                format!("{start}{INFIX}{stamp}-{n}")
            };
            let is_named = self
                .all
                .read()
                .values()
                .any(|other| other.kind == kind && other.folder == folder);
            if !is_named && !app.homes.is_there(kind, &folder).await? {
                let removed = time::unix_seconds(now);
                let tree = app.homes.known_id(kind, name);
                let existing = None;
                let name = name.into();
                let settled = false;
                return Ok(RemovalRecord {
                    kind,
                    name,
                    created: 0,
                    removed,
                    folder,
                    files,
                    settled,
                    existing,
                    tree,
                });
            }
        }
        Err(Error::Exists)
    }
}

impl App {
    /// Takes what steps are left, and says where transferred files are. Files that cannot be moved are kept, and why is the error.
    async fn finish_removal(&self, id: &str) -> Result<Option<VPath>> {
        let mut moved = Ok(None);
        for step in RemovalStep::ALL {
            let taken = self.take_step(id, step).await;
            if step == RemovalStep::Transfer {
                if taken.is_err() {
                    let kept = RemovalRecord {
                        files: FilesDisposal::Keep,
                        ..self.removals.get(id)?.as_ref().clone()
                    };
                    self.removals.put(id, kept).await?;
                }
                moved = taken;
            } else {
                taken?;
            }
        }
        moved
    }

    /// Takes one step of a removal, whether or not it was taken before.
    pub async fn take_step(&self, id: &str, step: RemovalStep) -> Result<Option<VPath>> {
        let removal = self.removals.get(id)?;
        let RemovalRecord {
            kind, name, folder, ..
        } = removal.as_ref();
        let account = if *kind == TreeKind::Home {
            Some(AccountName::parse(name)?)
        } else {
            None
        };
        match (step, &account) {
            (RemovalStep::Credentials, Some(account)) => self.auth.end_credentials(account).await?,
            (RemovalStep::Credentials, None) => {}
            (RemovalStep::Records, Some(account)) => self.remove_account_records(account).await?,
            (RemovalStep::Records, None) => self.remove_team_records(name).await?,
            (RemovalStep::Aside, _) if removal.existing.is_some() => {
                self.homes.leave_in_place(*kind, name).await?;
            }
            (RemovalStep::Aside, _) => {
                // As when the state is older than the files: then they are the next holder's, and are kept.
                if let Some(id) = &removal.tree
                    && self.homes.is_another(*kind, name, id).await?
                {
                    self.vacate(*kind, name).await?;
                }
                self.homes.move_aside(*kind, name, folder).await?;
            }
            (RemovalStep::Transfer, _) => {
                let FilesDisposal::Transfer(to) = &removal.files else {
                    return Ok(None);
                };
                let from = (*kind, folder.as_str());
                if let Some(left) = &removal.existing {
                    self.homes.collect_aside(left, from).await?;
                }
                return self
                    .homes
                    .adopt(from, &format!("Files of {name}"), to)
                    .await;
            }
            (RemovalStep::Free, _) => {
                if self.is_left(&removal).await? {
                    let settled = RemovalRecord {
                        settled: true,
                        ..removal.as_ref().clone()
                    };
                    self.removals.put(id, settled).await?;
                } else {
                    self.removals.forget(id).await?;
                }
                match &account {
                    Some(account) => self.auth.release_name(account),
                    None => self.sharing.teams.release_name(name),
                }
            }
        }
        Ok(None)
    }

    /// Whether something is left of the files that is to be deleted or brought back.
    async fn is_left(&self, removal: &RemovalRecord) -> Result<bool> {
        Ok(matches!(removal.files, FilesDisposal::PurgeAt(_))
            || self.homes.is_there(removal.kind, &removal.folder).await?)
    }

    /// The folders that were there before, of removals that are not over.
    pub(super) fn leaving_folders(&self) -> Vec<PathBuf> {
        let left = |(_, removal): (String, Arc<RemovalRecord>)| {
            removal.existing.as_ref().map(|left| (&left.path).into())
        };
        self.removals.list().into_iter().filter_map(left).collect()
    }

    /// Deletes the files of a finished removal where that is wanted, and says where they lie otherwise.
    pub(super) async fn dispose_files(&self, id: &str) -> Result<RemovalOutcome> {
        let Ok(removal) = self.removals.get(id) else {
            return Ok(RemovalOutcome::default());
        };
        if !removal.files.is_purge() {
            return Ok(RemovalOutcome {
                moved: None,
                aside: Some(removal.place()),
            });
        }
        let _alone = self.removals.purging.lock().await;
        match (&removal.files, &removal.existing) {
            (FilesDisposal::PurgeAt(_), Some(left)) => self.homes.purge_left(left).await?,
            _ => self.homes.purge(removal.kind, &removal.folder).await?,
        }
        self.removals.forget(id).await?;
        Ok(RemovalOutcome::default())
    }

    /// Ends everything that is keyed by the name of an account that is none, but its sign-ins.
    pub(super) async fn remove_account_records(&self, name: &AccountName) -> Result<()> {
        self.homes.close(TreeKind::Home, name.as_str());
        self.locks
            .release_account(name, &TreeKind::Home.id(name.as_str()))
            .await?;
        self.sharing.remove_account(name).await?;
        self.links.remove_account(name).await?;
        for upload in self.uploads.expired_or_of(Some(name)) {
            self.uploads.remove(&upload).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_team_records(&self, name: &str) -> Result<()> {
        let root = TreeKind::Team.id(name);
        self.homes.close(TreeKind::Team, name);
        self.locks.release_root(&root).await?;
        for upload in self.uploads.in_root(&root) {
            self.uploads.remove(&upload).await?;
        }
        Ok(())
    }

    /// Deletes everything that an account has, so that it begins anew: between the runs of tests that share a server.
    pub async fn reset_account(&self, name: &AccountName) -> Result<()> {
        self.remove_account_records(name).await?;
        self.homes.forget(TreeKind::Home, name.as_str()).await?;
        self.homes.purge(TreeKind::Home, name.as_str()).await
    }

    /// At the start: keeps the names of removals under way taken, finishes them, and ends what names accounts that are none. What
    /// fails stays as it is, with a line in the log, and is tried again every hour.
    pub(super) async fn resume_removals(self: &Arc<Self>) {
        for (_, removal) in self
            .removals
            .list()
            .into_iter()
            .filter(|(_, removal)| !removal.settled)
        {
            match removal.kind {
                TreeKind::Home => AccountName::parse(&removal.name)
                    .into_iter()
                    .for_each(|it| self.auth.block_name(it)),
                TreeKind::Team => self.sharing.teams.reserve_name(&removal.name),
            }
        }
        if let Err(error) = self.finish_removals().await {
            tracing::error!(%error, "a removal is not finished; its name stays taken");
        }
        if let Err(error) = self.remove_orphans().await {
            tracing::error!(%error, "records of accounts that are no more have not ended");
        }
        // Deleting may take long, and the names are free already.
        let app = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = app.purge_removed().await {
                tracing::error!(%error, "the files of a removed account or team folder are not deleted yet");
            }
        });
    }

    /// Finishes the removals that a crash or a failure cut short.
    pub async fn finish_removals(&self) -> Result<()> {
        let mut outcome = Ok(());
        let _turn = self.removals.finishing.lock().await;
        for (id, removal) in self.removals.list() {
            if removal.settled {
                // What lay there was moved away, here or beside the server.
                if !self.is_left(&removal).await? {
                    outcome = outcome.and(self.removals.forget(&id).await);
                }
                continue;
            }
            let finished = self.finish_removal(&id).await.map(drop);
            let note = format!("finished after a stop; {}", note_of(&removal.files));
            let kind = removal.kind.audit_kind();
            self.audit
                .reporter(crate::audit::Actor::Server, None)
                .report(kind, &removal.name, note, &finished)
                .await;
            outcome = outcome.and(finished);
        }
        outcome
    }

    /// Deletes the files of removed accounts and team folders that are to be deleted.
    pub async fn purge_removed(&self) -> Result<()> {
        let mut outcome = Ok(());
        for (id, _) in self
            .removals
            .list()
            .into_iter()
            .filter(|(_, it)| it.settled && it.files.is_purge())
        {
            outcome = outcome.and(self.dispose_files(&id).await.map(drop));
        }
        outcome
    }

    /// Ends what names groups that there are not, as a crash in a removal leaves it, and accounts, as a crash of an earlier version may have.
    async fn remove_orphans(&self) -> Result<()> {
        let mut named = self.sharing.accounts_named();
        named.extend(self.links.owners());
        named.extend(self.uploads.owners());
        named.extend(
            self.locks
                .all()
                .iter()
                .map(|lock| lock.holder.account.clone()),
        );
        named.retain(|name| self.auth.account(name).is_none());
        self.sharing.remove_lost_groups().await?;
        for name in named {
            tracing::warn!(account = %name, "ended the records of an account that is no more");
            self.remove_account_records(&name).await?;
        }
        Ok(())
    }
}

/// What becomes of the files, for the audit log.
pub fn note_of(files: &FilesDisposal) -> String {
    match files {
        FilesDisposal::Keep => "its files are kept".into(),
        FilesDisposal::Purge => "its files are deleted".into(),
        FilesDisposal::PurgeAt(path) => format!("its files in {path} are deleted"),
        FilesDisposal::Transfer(to) => format!("its files go to {to}"),
    }
}
