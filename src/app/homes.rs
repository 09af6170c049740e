//! The folders on disk that drives are made of: homes and team folders, each opened once, at its first use.

use super::blocking;
use crate::audit::Kind as AuditKind;
use crate::auth::Auth;
use crate::config::Config;
use crate::content::local::{LocalSettings, LocalTree};
use crate::drive::commons::Roots;
use crate::drive::place::Root;
use crate::model::{AccountName, Error, RelPath, Result};
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How long requests under way may hinder the deletion of a home.
const PURGE_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a home is still where it was opened.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a tree of files belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TreeKind {
    /// An account.
    Home,
    /// A team folder.
    Team,
}

impl TreeKind {
    /// The folder of the data folder that such trees lie in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Home => "homes",
            Self::Team => "teams",
        }
    }

    /// The name in records of such a tree.
    pub fn id(self, name: &str) -> String {
        match self {
            Self::Home => format!("home/{name}"),
            Self::Team => format!("team/{name}"),
        }
    }

    /// What the audit log calls the removal of what it belongs to.
    pub fn audit_kind(self) -> AuditKind {
        match self {
            Self::Home => AuditKind::AccountRemoved,
            Self::Team => AuditKind::TeamFolderRemoved,
        }
    }
}

/// An account's home. The first who asks opens it while the others wait: opening twice would take the uploads
/// of the one for leftovers of the other.
#[derive(Debug, Default)]
struct Home(OnceCell<OpenHome>);

#[derive(Debug)]
struct OpenHome {
    root: Arc<Root>,
    tree: Arc<LocalTree>,
    inode: (u64, u64),
    looked: Mutex<Instant>,
}

impl Home {
    /// Whether another folder, or none, has come into the place of the one that is open.
    fn has_moved(&self, dir: impl FnOnce() -> PathBuf) -> bool {
        let Some(open) = self.0.get() else { return false };
        // Whoever holds it is looking.
        let Some(mut looked) = open.looked.try_lock() else { return false };
        if looked.elapsed() < LOOK_EVERY {
            return false;
        }
        *looked = Instant::now();
        match inode_of(&dir()) {
            Ok(inode) => inode != open.inode,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Lets no change happen in it any more.
    fn close(&self) {
        if let Some(open) = self.0.get() {
            open.root.close();
        }
    }
}

fn inode_of(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|facts| (facts.dev(), facts.ino()))
}

/// Every home and team folder.
#[derive(Debug)]
pub(super) struct Homes {
    dir: PathBuf,
    settings: LocalSettings,
    auth: Arc<Auth>,
    accounts: RwLock<HashMap<AccountName, Arc<Home>>>,
    teams: RwLock<HashMap<String, Arc<Home>>>,
}

impl Homes {
    pub(super) fn new(config: &Config, auth: Arc<Auth>) -> Self {
        let drive = &config.drive;
        let settings = LocalSettings {
            durability: drive.durability,
            portable_names: drive.portable_names,
            versions: config.history.versions,
            reserve: drive.reserve,
        };
        let (dir, accounts, teams) = (config.data_dir.clone(), RwLock::default(), RwLock::default());
        Self { dir, settings, auth, accounts, teams }
    }

    /// The home of an account; made at the first use.
    pub(super) async fn home_of(&self, account: &AccountName) -> Result<Arc<Root>> {
        let home = self.home(account);
        let open = home.0.get_or_try_init(|| self.open_home(account)).await?;
        Ok(open.root.clone())
    }

    fn home(&self, account: &AccountName) -> Arc<Home> {
        let present = self.accounts.read().get(account).cloned();
        if let Some(home) = present {
            if !home.has_moved(|| self.home_dir(account)) {
                return home;
            }
            tracing::warn!(%account, "the home folder was replaced beside the server; it is opened anew");
            self.accounts.write().remove(account);
        }
        self.accounts.write().entry(account.clone()).or_default().clone()
    }

    async fn open_home(&self, account: &AccountName) -> Result<OpenHome> {
        // A request may have signed in just before its account was removed: no home is made for it again.
        self.auth.account(account).ok_or(Error::Unauthenticated)?;
        let opened = self.open(self.home_dir(account), TreeKind::Home.id(account.as_str())).await?;
        // Or while it was being opened: then what was opened stays closed.
        self.auth.account(account).ok_or(Error::Unauthenticated)?;
        Ok(opened)
    }

    async fn open(&self, dir: PathBuf, id: String) -> Result<OpenHome> {
        let settings = self.settings;
        blocking(move || {
            let tree = LocalTree::open(&dir, settings)?;
            let inode = inode_of(&dir).map_err(|e| Error::io("look at the home folder", e))?;
            let root = Arc::new(Root::new(id.into(), tree.clone()));
            Ok(OpenHome { root, tree, inode, looked: Mutex::new(Instant::now()) })
        })
        .await
    }

    fn home_dir(&self, account: &AccountName) -> PathBuf {
        self.dir_of(TreeKind::Home, account.as_str())
    }

    fn dir_of(&self, kind: TreeKind, name: &str) -> PathBuf {
        self.dir.join(kind.folder()).join(name)
    }

    /// Whether an account's home is there already.
    pub(super) async fn exists(&self, account: &AccountName) -> Result<bool> {
        let dir = self.home_dir(account);
        blocking(move || Ok(dir.exists())).await
    }

    /// The homes and team folders that are open.
    pub(super) fn open_roots(&self) -> Vec<Arc<Root>> {
        let (homes, teams) = (self.accounts.read(), self.teams.read());
        let open = |home: &Arc<Home>| home.0.get().map(|open| open.root.clone());
        homes.values().chain(teams.values()).filter_map(open).collect()
    }

    /// As [`open_roots`](Self::open_roots), the trees by their names.
    pub(super) fn open_trees(&self) -> Vec<(Arc<str>, Arc<LocalTree>)> {
        let (homes, teams) = (self.accounts.read(), self.teams.read());
        let open = |home: &Arc<Home>| home.0.get().map(|open| (open.root.id.clone(), open.tree.clone()));
        homes.values().chain(teams.values()).filter_map(open).collect()
    }

    /// Refuses what [`transfer`](Self::transfer) could not do.
    pub(super) async fn check_transfer(&self, from: &AccountName, to: &AccountName) -> Result<()> {
        self.home_of(to).await?;
        let (here, there) = (self.home_dir(from), self.home_dir(to));
        blocking(move || match (inode_of(&here), inode_of(&there)) {
            (Ok((here, _)), Ok((there, _))) if here != there => Err(Error::Forbidden(
                "The two homes lie on different file systems: keep the files, and move them by hand.",
            )),
            _ => Ok(()),
        })
        .await
    }

    /// Moves a tree that lies aside into a new folder of an account's drive, called `title` or nearly so; says which, `None` when
    /// there is no such tree.
    pub(super) async fn adopt(
        &self,
        (kind, folder): (TreeKind, &str),
        title: &str,
        to: &AccountName,
    ) -> Result<Option<RelPath>> {
        let is_there = self.is_there(kind, folder).await?;
        let (dir, home) = (self.dir_of(kind, folder), self.home(to));
        let open = home.0.get_or_try_init(|| self.open_home(to)).await?;
        for n in 1_u32.. {
            let name = if n == 1 { title.to_owned() } else { format!("{title} ({n})") };
            let path = RelPath::root().join(&name)?;
            if !is_there {
                // It was moved before; a crash may have kept its history from coming along.
                match open.tree.adopt_history(&path).await {
                    Err(Error::NotFound) => return Ok(None),
                    outcome => outcome?,
                }
                continue;
            }
            match open.tree.adopt(&dir, &path).await {
                Err(Error::Exists) => {}
                outcome => return outcome.map(|()| Some(path)),
            }
        }
        Err(Error::Exists)
    }

    /// Lets nothing change any more in a home or team folder that is open.
    pub(super) fn close(&self, kind: TreeKind, name: &str) {
        let open = match kind {
            TreeKind::Home => AccountName::parse(name).ok().and_then(|name| self.accounts.write().remove(&name)),
            TreeKind::Team => self.teams.write().remove(name),
        };
        if let Some(open) = open {
            open.close();
        }
    }

    /// Whether a tree is there, also as a link.
    pub(super) async fn is_there(&self, kind: TreeKind, folder: &str) -> Result<bool> {
        let dir = self.dir_of(kind, folder);
        blocking(move || Ok(dir.symlink_metadata().is_ok())).await
    }

    /// Whether nothing at all lies where the files of this name are.
    pub(super) async fn is_empty(&self, kind: TreeKind, name: &str) -> Result<bool> {
        let dir = self.dir_of(kind, name);
        blocking(move || match names_in(&dir) {
            Ok(names) => Ok(names.is_empty()),
            // What is no folder is not taken over either.
            Err(_) => Ok(dir.symlink_metadata().is_err()),
        })
        .await
    }

    /// Whether a home or team folder holds neither files nor any in its trash and versions.
    pub(super) async fn is_unused(&self, kind: TreeKind, name: &str) -> Result<bool> {
        let dir = self.dir_of(kind, name);
        blocking(move || {
            let own = [".sarang/trash/files", ".sarang/versions"];
            let files = names_in(&dir).map_err(|e| Error::io("look at the files", e))?;
            let history = own.iter().any(|own| names_in(&dir.join(own)).is_ok_and(|names| !names.is_empty()));
            Ok(files.iter().all(|name| name == ".sarang") && !history)
        })
        .await
    }

    /// Gives the folder of a home or team folder, if there is one, the name `folder`, durably, and closes it.
    pub(super) async fn lay_aside(&self, kind: TreeKind, name: &str, folder: &str) -> Result<()> {
        self.close(kind, name);
        let (from, to) = (self.dir_of(kind, name), self.dir_of(kind, folder));
        blocking(move || {
            // After a crash it may be there already.
            if to.symlink_metadata().is_ok() {
                return Ok(());
            }
            rename_durably(&from, &to).map_err(|e| Error::io("lay the files aside", e))
        })
        .await
    }

    /// Lets a tree that lies aside take the place of one that holds no files, which goes.
    pub(super) async fn exchange(&self, aside: (TreeKind, &str), to: (TreeKind, &str)) -> Result<()> {
        let (from, place) = (self.dir_of(aside.0, aside.1), self.dir_of(to.0, to.1));
        let until = Instant::now() + PURGE_PATIENCE;
        loop {
            self.close(to.0, to.1);
            let (from, place) = (from.clone(), place.clone());
            let exchanged = blocking(move || {
                let taken = purge_folder(&place.join(".sarang")).and_then(|()| match std::fs::remove_dir(&place) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                    _ => rename_durably(&from, &place),
                });
                taken.map_err(|e| Error::io("bring the files back", e))
            });
            match exchanged.await {
                // A request has opened it again meanwhile.
                Err(Error::Io { source, .. })
                    if source.kind() == ErrorKind::DirectoryNotEmpty && Instant::now() < until => {}
                outcome => return outcome,
            }
        }
    }

    /// Deletes a tree that lies aside.
    pub(super) async fn purge(&self, kind: TreeKind, folder: &str) -> Result<()> {
        let dir = self.dir_of(kind, folder);
        blocking(move || purge_folder(&dir).map_err(|e| Error::io("delete the files", e))).await
    }
}

#[async_trait]
impl Roots for Homes {
    async fn home(&self, account: &AccountName) -> Result<(Arc<Root>, Option<u64>)> {
        let view = self.auth.account(account).filter(|view| !view.disabled).ok_or(Error::NotFound)?;
        match self.home_of(account).await {
            Ok(root) => Ok((root, view.quota)),
            Err(Error::Unauthenticated) => Err(Error::NotFound),
            Err(error) => Err(error),
        }
    }

    fn check_home(&self, account: &AccountName) -> Result<()> {
        self.auth.account(account).filter(|view| !view.disabled).map(drop).ok_or(Error::NotFound)
    }

    async fn team(&self, name: &str) -> Result<Arc<Root>> {
        let home = self.teams.write().entry(name.to_owned()).or_default().clone();
        let open =
            home.0.get_or_try_init(|| self.open(self.dir_of(TreeKind::Team, name), TreeKind::Team.id(name))).await?;
        Ok(open.root.clone())
    }
}

/// The names in a folder; none where there is none.
fn names_in(dir: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Renames a folder within one folder or between two, if it is there, and waits until that is on the disk.
fn rename_durably(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound && from.symlink_metadata().is_err() => return Ok(()),
        outcome => outcome?,
    }
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Deletes a folder and all below it. Requests that were under way may still put files there for a moment.
fn purge_folder(dir: &Path) -> std::io::Result<()> {
    let until = Instant::now() + PURGE_PATIENCE;
    loop {
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
}
