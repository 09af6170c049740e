//! Everything that requests share, opened once, and the way from an identity to its drive.

mod data_folder;
mod existing_folders;
mod export;
mod health;
mod homes;
mod lock_check;
mod maintenance;
mod registration;
pub mod removal;
mod removed_files;
mod usage;

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
use crate::storage::local::LocalTree;
use crate::uploads::{ResumableUpload, Uploads};
pub use data_folder::{TREES as TREE_FOLDERS, is_new as is_new_data_folder};
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
        let (sled, issuers) = open_state(&config).await?;
        let store: Arc<dyn StateStore> = sled.clone();
        let public_url = &config.server.public_url;
        let provider = OpenId::open(&config.openid, public_url, store.clone()).await?;
        let audit = Audit::new(&config.data_dir.join("audit"));
        let auth = Auth::open(store.clone(), &config.accounts).await?;
        auth.set_audit(audit.clone());
        let locks = Arc::new(Locks::open(store.clone(), config.locks.clone()).await?);
        let links = Arc::new(Links::open(store.clone()).await?);
        let uploads = Arc::new(Uploads::open(store.clone(), config.drive.upload_days).await?);
        let setup = if auth.list().is_empty() {
            Setup::open(store.clone()).await?
        } else {
            Setup::done()
        };
        let homes = open_homes(&config, &store, &auth, (&uploads, &locks)).await?;
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

    /// Refuses to remove an account whose files could not go to the other. `Forbidden`.
    pub async fn check_transfer(&self, from: &AccountName, to: &AccountName) -> Result<()> {
        self.homes.check_transfer(from, to).await
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

fn refuse_unfinished(dir: &Path) -> Result<()> {
    if dir.join(UNFINISHED).exists() {
        return Err(Error::Forbidden(
            "A restore into this data folder was not finished: empty the folder and run `sarang restore` again.",
        ));
    }
    Ok(())
}

/// Opens what lies in the data folder beside the files: the state and the issuers of certificates.
async fn open_state(config: &Config) -> Result<(Arc<SledStore>, Issuers)> {
    let dir = config.data_dir.clone();
    let anew = config.anew;
    let settings = config.clone();
    let open = move || {
        LocalTree::check_system()?;
        refuse_unfinished(&dir)?;
        let state = data_folder::open_state(&dir, anew)?;
        LocalTree::set_state_disk(&dir.join("state"))?;
        Ok((state, Issuers::open(&settings)?))
    };
    blocking(open).await
}

async fn open_homes(
    config: &Config,
    store: &Arc<dyn StateStore>,
    auth: &Arc<Auth>,
    (uploads, locks): (&Arc<Uploads>, &Arc<Locks>),
) -> Result<Arc<Homes>> {
    let known = KnownTrees::open(store.clone()).await?;
    let existing =
        ExistingFolders::open(store.clone(), &config.data_dir, &config.storage.allowed).await?;
    Ok(Arc::new(Homes::new(
        config,
        auth.clone(),
        (uploads.clone(), locks.clone()),
        (known, Arc::new(existing)),
    )))
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
