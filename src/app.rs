//! Everything that requests share, opened once, and the way from an identity to its drive.

use crate::auth::Auth;
use crate::config::Config;
use crate::content::local::{LocalSettings, LocalTree};
use crate::drive::Drive;
use crate::drive::locks::Locks;
use crate::drive::place::Root;
use crate::links::Links;
use crate::metrics::Metrics;
use crate::model::{AccountName, Error, Identity, Result};
use crate::setup::Setup;
use crate::store::StateStore;
use crate::store::sled::SledStore;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

const EXPORT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How long requests under way may hinder the deletion of a home.
const PURGE_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a home is still where it was opened.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An account's home. The first who asks opens it while the others wait: opening twice would take the uploads
/// of the one for leftovers of the other.
#[derive(Debug, Default)]
struct Home(OnceCell<OpenHome>);

#[derive(Debug)]
struct OpenHome {
    root: Arc<Root>,
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

/// The running program's shared state.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Counters.
    pub metrics: Metrics,
    /// Records.
    pub store: Arc<dyn StateStore>,
    /// Accounts and sign-in.
    pub auth: Arc<Auth>,
    /// The way to the first administrator, open while there is no account.
    pub setup: Setup,
    /// Locks of every drive.
    pub locks: Arc<Locks>,
    /// Public links.
    pub links: Links,
    sled: Arc<SledStore>,
    homes: RwLock<HashMap<AccountName, Arc<Home>>>,
    tasks: TaskTracker,
}

impl App {
    /// Opens the data folder: store, accounts, locks.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let dir = config.data_dir.clone();
        let sled = blocking(move || SledStore::open(&dir.join("state"))).await?;
        let store: Arc<dyn StateStore> = sled.clone();
        let auth = Auth::open(store.clone(), &config.accounts).await?;
        let locks = Arc::new(Locks::open(store.clone(), config.locks.clone()).await?);
        let links = Links::open(store.clone()).await?;
        let setup = if auth.list().is_empty() {
            Setup::open().map_err(|e| Error::io("make a set-up link", e))?
        } else {
            Setup::done()
        };
        let (homes, tasks) = (RwLock::default(), TaskTracker::new());
        Ok(Arc::new(Self { config, metrics: Metrics::default(), store, auth, setup, locks, links, sled, homes, tasks }))
    }

    /// The drive of an identity; its home is made at the first use.
    pub async fn drive(&self, identity: &Arc<Identity>) -> Result<Drive> {
        let account = &identity.account;
        let home = self.home(account);
        let open = home.0.get_or_try_init(|| self.open_home(account)).await?;
        Ok(Drive::new(identity.clone(), open.root.clone(), self.locks.clone()))
    }

    fn home(&self, account: &AccountName) -> Arc<Home> {
        let present = self.homes.read().get(account).cloned();
        if let Some(home) = present {
            if !home.has_moved(|| self.home_dir(account)) {
                return home;
            }
            tracing::warn!(%account, "the home folder was replaced beside the server; it is opened anew");
            self.homes.write().remove(account);
        }
        self.homes.write().entry(account.clone()).or_default().clone()
    }

    async fn open_home(&self, account: &AccountName) -> Result<OpenHome> {
        // A request may have signed in just before its account was removed: no home is made for it again.
        self.auth.account(account).ok_or(Error::Unauthenticated)?;
        let (dir, drive) = (self.home_dir(account), &self.config.drive);
        let settings = LocalSettings {
            durability: drive.durability,
            portable_names: drive.portable_names,
            reserve: drive.reserve,
        };
        let id = root_id(account);
        let opened = blocking(move || {
            let tree = LocalTree::open(&dir, settings)?;
            let inode = inode_of(&dir).map_err(|e| Error::io("look at the home folder", e))?;
            Ok(OpenHome { root: Arc::new(Root::new(id, tree)), inode, looked: Mutex::new(Instant::now()) })
        });
        let opened = opened.await?;
        // Or while it was being opened: then what was opened stays closed.
        self.auth.account(account).ok_or(Error::Unauthenticated)?;
        Ok(opened)
    }

    fn home_dir(&self, account: &AccountName) -> PathBuf {
        self.config.data_dir.join("homes").join(account.as_str())
    }

    /// Ends the locks of an account that was removed and closes its home; `purge` also deletes its files, for good.
    pub async fn forget_account(&self, name: &AccountName, purge: bool) -> Result<()> {
        self.locks.end_account(name, &root_id(name)).await?;
        self.links.forget_account(name).await?;
        if let Some(home) = self.homes.write().remove(name) {
            home.close();
        }
        if !purge {
            return Ok(());
        }
        let dir = self.home_dir(name);
        blocking(move || purge_folder(&dir).map_err(|e| Error::io("delete the account's files", e))).await
    }

    /// Runs what changes files to its end, even when whoever waits for it leaves.
    pub async fn finish<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        match self.tasks.spawn(work).await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Busy { retry_after: Duration::from_secs(1) }),
            },
        }
    }

    /// Exports the store when its newest export is a day old.
    pub async fn export_daily(&self) -> Result<()> {
        let sled = self.sled.clone();
        blocking(move || {
            let age = sled.newest_export()?.map(|made| made.elapsed().unwrap_or_default());
            if age.is_none_or(|age| age >= EXPORT_EVERY) {
                sled.export_daily()?;
            }
            Ok(())
        })
        .await
    }

    /// Waits for running changes, writes everything and lets go of the data folder.
    pub async fn close(&self) -> Result<()> {
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await
    }
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

fn root_id(account: &AccountName) -> Arc<str> {
    format!("home/{account}").into()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => Err(Error::io("finish a task", std::io::Error::other(failed.to_string()))),
    }
}
