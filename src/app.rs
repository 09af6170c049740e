//! Everything that requests share, opened once, and the way from an identity to its drive.

mod data_folder;
mod existing_folders;
mod health;
mod homes;
mod lock_check;
mod maintenance;
mod registration;
pub mod removal;
mod removed_files;

use crate::audit::Audit;
use crate::auth::Auth;
use crate::certs::Issuers;
use crate::config::Config;
use crate::drive::Drive;
use crate::drive::context::{DriveContext, MountFolderNames, TreeProvider};
use crate::drive::locks::Locks;
use crate::drive::mass_change::MassChangeDetector;
use crate::drive::named_tree::NamedTree;
use crate::links::Links;
use crate::metrics::Metrics;
use crate::model::{AccountName, Error, Identity, Result};
use crate::openid::OpenId;
use crate::setup::Setup;
use crate::sharing::Sharing;
use crate::sharing::groups::Groups;
use crate::sharing::shares::Shares;
use crate::sharing::teams::Teams;
use crate::state::StateStore;
use crate::state::sled::SledStore;
use crate::storage::Tree as _;
use crate::storage::local::LocalTree;
use crate::uploads::{ResumableUpload, Uploads};
pub use data_folder::TREES as TREE_FOLDERS;
use futures_util::future::join_all;
use health::DiskProbe;
use homes::Homes;
pub use homes::TreeKind;
use homes::existing::ExistingFolders;
pub use homes::existing::{ExistingFolder, PREFIX as EXISTING};
use homes::known::KnownTrees;
pub use homes::known::{PREFIX as TREES, TreeRecord};
use lock_check::LockCheck;
use maintenance::Maintenance;
use removal::Removals;
use removed_files::VacateExisting;
pub use removed_files::{Destination, RemovedFiles};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::task::TaskTracker;

/// The file in a data folder that says that it is not yet all there.
pub const UNFINISHED: &str = "restoring";
/// The file that says that a folder is one of backups.
pub const BACKUPS: &str = ".sarang-backups";
/// Where in a data folder the state is exported to for whoever makes a backup of it.
pub const FOR_BACKUP: &str = "state/for-backup";
/// How long changes that wait for their disk are waited for at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
const EXPORT_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long the count of a home is waited for that somebody only looks at; it goes on, and is there for the next.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// The running program's shared state.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Records.
    pub store: Arc<dyn StateStore>,
    /// Who did what.
    pub audit: Audit,
    /// Accounts and sign-in.
    pub auth: Arc<Auth>,
    /// Who issues TLS certificates to this server.
    pub issuers: Issuers,
    /// The provider that people may sign in by.
    pub openid: Option<OpenId>,
    /// The way to the first administrator, open while there is no account.
    pub setup: Setup,
    /// Locks of every drive.
    pub locks: Arc<Locks>,
    /// Public links.
    pub links: Arc<Links>,
    /// Unfinished uploads.
    pub uploads: Arc<Uploads>,
    sled: Arc<SledStore>,
    /// Groups, shares, team folders.
    pub sharing: Arc<Sharing>,
    /// What all drives have in common.
    pub drives: Arc<DriveContext>,
    homes: Arc<Homes>,
    removals: Removals,
    maintenance: Maintenance,
    disk_probe: DiskProbe,
    tasks: TaskTracker,
    opened: Instant,
    started: SystemTime,
}

impl App {
    /// Opens the data folder: store, accounts, locks.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let dir = config.data_dir.clone();
        let anew = config.anew;
        let settings = config.clone();
        let provider = OpenId::open(&config.openid, &config.server.public_url)?;
        let open = move || {
            LocalTree::check_system()?;
            refuse_unfinished(&dir)?;
            let state = data_folder::open_state(&dir, anew)?;
            LocalTree::set_state_disk(&dir.join("state"))?;
            Ok((state, Issuers::open(&settings)?))
        };
        let (sled, issuers) = blocking(open).await?;
        let store: Arc<dyn StateStore> = sled.clone();
        let audit = Audit::new(&config.data_dir.join("audit"));
        let auth = Auth::open(store.clone(), &config.accounts).await?;
        auth.set_audit(audit.clone());
        let locks = Arc::new(Locks::open(store.clone(), config.locks.clone()).await?);
        let links = Arc::new(Links::open(store.clone()).await?);
        let uploads = Arc::new(Uploads::open(store.clone(), config.drive.upload_days).await?);
        let setup = if auth.list().is_empty() {
            Setup::open().map_err(|e| Error::io("make a set-up link", e))?
        } else {
            Setup::done()
        };
        let known = KnownTrees::open(store.clone()).await?;
        let existing = Arc::new(
            ExistingFolders::open(store.clone(), &config.data_dir, &config.storage.allowed).await?,
        );
        let homes = Arc::new(Homes::new(
            &config,
            auth.clone(),
            uploads.clone(),
            (known, existing),
        ));
        let removals = Removals::open(store.clone()).await?;
        let sharing = Arc::new(open_sharing(&store).await?);
        let drives = Arc::new(drive_context(&config, &sharing, &audit, &homes));
        locks.set_holder_check(Arc::new(LockCheck::new(&auth, &links, &sharing)));
        let metrics = Arc::default();
        let tasks = TaskTracker::new();
        let opened = Instant::now();
        let app = Arc::new(Self {
            config,
            metrics,
            store,
            audit,
            auth,
            issuers,
            openid: provider,
            setup,
            locks,
            links,
            uploads,
            sled,
            sharing,
            drives,
            homes,
            removals,
            maintenance: Maintenance::default(),
            disk_probe: DiskProbe::default(),
            tasks,
            opened,
            started: SystemTime::now(),
        });
        app.auth
            .set_cleanup(Arc::new(VacateExisting(Arc::downgrade(&app))));
        app.resume_removals().await;
        app.homes.log_missing_features();
        Ok(app)
    }

    /// Ends an unfinished upload and deletes what has come of it.
    pub async fn abort_upload(&self, upload: &ResumableUpload) -> Result<()> {
        let root = self.root(&upload.record().root).await;
        self.uploads.remove(upload).await?;
        match root {
            Ok(root) => root.tree.abort_upload(&upload.id).await,
            // Its root went away, and took it along.
            Err(Error::NotFound | Error::Unauthenticated) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The root of a name in records; `NotFound` when its account or team folder is no more.
    async fn root(&self, id: &str) -> Result<Arc<NamedTree>> {
        match id.split_once('/') {
            Some(("home", account)) => self.homes.home_of(&AccountName::parse(account)?).await,
            Some(("team", name)) if self.sharing.teams.find(name).is_some() => {
                self.homes.team(name).await
            }
            _ => Err(Error::NotFound),
        }
    }

    /// The drive of an identity; its home is made at the first use.
    pub async fn drive(&self, identity: &Arc<Identity>) -> Result<Drive> {
        let home = self.homes.home_of(&identity.account).await?;
        Drive::new(identity.clone(), home, self.locks.clone())
            .with_context(&self.drives)
            .await
    }

    /// The homes and team folders that were not there when they were looked for last.
    pub fn missing_trees(&self) -> Vec<String> {
        self.homes.missing()
    }

    /// What the file systems lack on which homes and team folders lie that have been opened, and which of them lack just that.
    pub fn missing_features(&self) -> Vec<(Vec<&'static str>, Vec<String>)> {
        self.homes.missing_features()
    }

    /// Bytes of live files in the home of an account, as last counted; none where it has not been used yet. `Missing`, `Busy` where that is
    /// not known soon.
    pub async fn usage(&self, account: &AccountName) -> Result<u64> {
        with_count_timeout(async {
            if !self.homes.is_made(account) && !self.homes.exists(account).await? {
                return Ok(0);
            }
            Ok(self.homes.home_of(account).await?.tree.usage().await?.used)
        })
        .await
    }

    /// Until when nothing of the history of an account's home expires, if it has been open.
    pub fn retention_hold_of(&self, account: &AccountName) -> Option<SystemTime> {
        let id = TreeKind::Home.id(account.as_str());
        self.retention_holds()
            .into_iter()
            .find(|(root, _)| **root == *id)
            .map(|(_, until)| until)
    }

    /// The drives whose history is held, and until when, of those that have been open.
    pub fn retention_holds(&self) -> Vec<(Arc<str>, SystemTime)> {
        self.homes.retention_holds()
    }

    /// Bytes of live files in the homes and team folders that have been open, as last counted, but for those that do not answer.
    pub async fn usage_of_open_homes(&self) -> Result<u64> {
        let count = |(id, tree): (Arc<str>, Arc<LocalTree>)| async move {
            // What is known is asked nobody for.
            let used = match tree.known_used() {
                Some(used) => Ok(used),
                None => with_count_timeout(async { Ok(tree.usage().await?.used) }).await,
            };
            used.inspect_err(
                |error| tracing::warn!(root = &*id, %error, "its files cannot be counted"),
            )
            .unwrap_or(0)
        };
        let counted = join_all(self.homes.open_trees().into_iter().map(count)).await;
        Ok(counted
            .into_iter()
            .fold(self.homes.used_in_closed(), u64::saturating_add))
    }

    /// Counts the files of the homes and team folders that are open anew; returns those whose books were wrong, with what they said
    /// and what there is.
    pub async fn recount_usage(&self) -> Result<Vec<(String, u64, u64)>> {
        let mut wrong = Vec::new();
        for (id, tree) in self.homes.open_trees() {
            wrong.extend(
                tree.recount_usage()
                    .await?
                    .map(|(said, counted)| (id.to_string(), said, counted)),
            );
        }
        Ok(wrong)
    }

    /// Bytes that the disk of the homes has left, without the reserve.
    pub async fn free(&self) -> Result<u64> {
        let dir = self.config.data_dir.clone();
        let reserve = self.config.drive.reserve;
        blocking(move || Ok(LocalTree::free_at(&dir)?.saturating_sub(reserve))).await
    }

    /// Refuses to remove an account whose files could not go to the other. `Forbidden`.
    pub async fn check_transfer(&self, from: &AccountName, to: &AccountName) -> Result<()> {
        self.homes.check_transfer(from, to).await
    }

    /// Exports the store into [`FOR_BACKUP`], for somebody who comes for the file; returns its name.
    pub async fn export_for_backup(&self) -> Result<String> {
        let sled = self.sled.clone();
        let dir = self.config.data_dir.join(FOR_BACKUP);
        let export = move || {
            let file = sled.export(&dir)?;
            // Two who come in the same second must not have, and remove, the same one.
            let own = file.with_file_name(format!("state-{}.jsonl", unix_nanoseconds()));
            std::fs::rename(file, &own).map_err(|e| Error::io("export the state", e))?;
            Ok(own)
        };
        let file = blocking(export).await?;
        Ok(file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default())
    }

    /// When the store was exported last.
    pub async fn newest_export(&self) -> Result<Option<SystemTime>> {
        let sled = self.sled.clone();
        blocking(move || sled.newest_export()).await
    }

    /// How long ago everything was opened.
    pub fn uptime(&self) -> Duration {
        self.opened.elapsed()
    }

    /// When everything was opened, by the date that the machine had then.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Runs what changes files to its end, even when whoever waits for it leaves.
    pub async fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.tasks.spawn(work).await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Busy {
                    retry_after: Duration::from_secs(1),
                }),
            },
        }
    }

    /// Exports the store when its newest export is a day old.
    pub async fn export_daily(&self) -> Result<()> {
        let sled = self.sled.clone();
        blocking(move || {
            let age = sled
                .newest_export()?
                .map(|made| made.elapsed().unwrap_or_default());
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
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "changes still wait for their disk; they are cut off, and what was begun is taken back when the home is opened again"
            );
        }
        self.homes.close_all().await;
        self.audit.flush(true).await;
        self.store.close().await
    }
}

/// Where the tree of a name in records lies in a data folder.
pub fn place_of(tree: &str) -> Option<String> {
    let kinds = [TreeKind::Home, TreeKind::Team];
    kinds.into_iter().find_map(|kind| {
        Some(format!(
            "{}/{}",
            kind.folder(),
            tree.strip_prefix(&kind.id(""))?
        ))
    })
}

async fn with_count_timeout<T>(count: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(COUNT_TIMEOUT, count)
        .await
        .unwrap_or(Err(Error::Busy {
            retry_after: COUNT_TIMEOUT,
        }))
}

fn unix_nanoseconds() -> u128 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

fn refuse_unfinished(dir: &Path) -> Result<()> {
    if dir.join(UNFINISHED).exists() {
        return Err(Error::Forbidden(
            "A restore into this data folder was not finished: empty the folder and run `sarang restore` again.",
        ));
    }
    Ok(())
}

async fn open_sharing(store: &Arc<dyn StateStore>) -> Result<Sharing> {
    let groups = Arc::new(Groups::open(store.clone()).await?);
    Ok(Sharing {
        shares: Shares::open(store.clone(), groups.clone()).await?,
        teams: Teams::open(store.clone(), groups.clone()).await?,
        groups,
    })
}

fn drive_context(
    config: &Config,
    sharing: &Arc<Sharing>,
    audit: &Audit,
    homes: &Arc<Homes>,
) -> DriveContext {
    let names = &config.drive;
    DriveContext {
        sharing: sharing.clone(),
        mount_folders: MountFolderNames {
            shared: names.shared_folder.clone().into(),
            teams: names.team_folder.clone().into(),
            trash: names.trash_folder.clone().map(String::from),
        },
        mass_changes: MassChangeDetector::new(&config.history),
        audit: audit.clone(),
        trees: homes.clone(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => Err(Error::io(
            "finish a task",
            std::io::Error::other(failed.to_string()),
        )),
    }
}
