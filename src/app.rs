//! Everything that requests share, opened once, and the way from an identity to its drive.

use crate::auth::Auth;
use crate::config::Config;
use crate::content::local::{LocalSettings, LocalTree};
use crate::drive::Drive;
use crate::drive::locks::Locks;
use crate::drive::place::Root;
use crate::metrics::Metrics;
use crate::model::{AccountName, Error, Identity, Result};
use crate::setup::Setup;
use crate::store::StateStore;
use crate::store::sled::SledStore;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

const EXPORT_EVERY: Duration = Duration::from_secs(24 * 3600);

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
    sled: Arc<SledStore>,
    homes: RwLock<HashMap<AccountName, Arc<Root>>>,
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
        let setup = if auth.list().is_empty() {
            Setup::open().map_err(|e| Error::io("make a set-up link", e))?
        } else {
            Setup::done()
        };
        let (homes, tasks) = (RwLock::default(), TaskTracker::new());
        Ok(Arc::new(Self { config, metrics: Metrics::default(), store, auth, setup, locks, sled, homes, tasks }))
    }

    /// The drive of an identity; its home is made at the first use.
    pub async fn drive(&self, identity: &Arc<Identity>) -> Result<Drive> {
        let present = self.homes.read().get(&identity.account).cloned();
        let home = match present {
            Some(home) => home,
            None => self.open_home(&identity.account).await?,
        };
        Ok(Drive::new(identity.clone(), home, self.locks.clone()))
    }

    async fn open_home(&self, account: &AccountName) -> Result<Arc<Root>> {
        self.auth.account(account).ok_or(Error::Unauthenticated)?;
        let (dir, drive) = (self.home_dir(account), &self.config.drive);
        let settings = LocalSettings {
            durability: drive.durability,
            portable_names: drive.portable_names,
            reserve: drive.reserve,
        };
        let tree = blocking(move || LocalTree::open(&dir, settings)).await?;
        let root = Arc::new(Root::new(root_id(account), tree));
        let mut homes = self.homes.write();
        // A request may have signed in just before its account was removed: the home that was closed then stays closed.
        self.auth.account(account).ok_or(Error::Unauthenticated)?;
        // Two first requests at once must end up with one tree, for its guard is in it.
        Ok(homes.entry(account.clone()).or_insert(root).clone())
    }

    fn home_dir(&self, account: &AccountName) -> PathBuf {
        self.config.data_dir.join("homes").join(account.as_str())
    }

    /// Ends the locks of an account that was removed and closes its home; `purge` also deletes its files, for good.
    pub async fn forget_account(&self, name: &AccountName, purge: bool) -> Result<()> {
        self.locks.end_account(name, &root_id(name)).await?;
        if let Some(home) = self.homes.write().remove(name) {
            home.close();
        }
        if !purge {
            return Ok(());
        }
        let dir = self.home_dir(name);
        blocking(move || match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("delete the account's files", error))
            }
            _ => Ok(()),
        })
        .await
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

fn root_id(account: &AccountName) -> Arc<str> {
    format!("home/{account}").into()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => Err(Error::io("finish a task", std::io::Error::other(failed.to_string()))),
    }
}
