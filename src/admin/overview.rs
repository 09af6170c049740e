//! What administrators see of the server: accounts, disks, held histories, open locks.

use crate::app::App;
use crate::auth::AccountView;
use crate::model::{AccountName, Result, Role, time};
use crate::storage::Lock;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Instant;
use utoipa::ToSchema;

/// How the server is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// The program's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// Accounts.
    pub accounts: u64,
    /// Accounts that administer and may sign in.
    pub administrators: u64,
    /// Accounts that may not sign in.
    pub disabled: u64,
    /// Sessions that stand: browsers and programs that are signed in.
    #[serde(default)]
    pub sessions: u64,
    /// Bytes that can still be stored.
    pub free: u64,
    /// Bytes in the drives that were used since the start, as last counted.
    pub used: u64,
    /// Locks held now.
    pub locks: u64,
    /// Connections open now.
    pub connections: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Whether anything can be changed: not after a disk error.
    pub writable: bool,
    /// When the state was exported last; absent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exported: Option<String>,
    /// Drives of which a large part was overwritten or deleted within minutes: nothing of their history expires for now.
    #[serde(default)]
    pub held: Vec<HeldHistory>,
    /// Homes and team folders that were not where they were when they were looked for last, as when their disk is not mounted: `home/ana`.
    #[serde(default)]
    pub missing: Vec<String>,
    /// What the file systems lack on which homes and team folders lie, as far as these have been used since the start.
    #[serde(default)]
    pub file_systems: Vec<FileSystem>,
    /// Addresses that send `X-Forwarded-For` and are not in `server.trusted_proxies`: all who come through one are one network
    /// where failed sign-ins are counted.
    #[serde(default)]
    pub untrusted_proxies: Vec<String>,
    /// Whether the clock has jumped, so that nothing of the history and no unfinished upload expires for now; the server's log says more.
    #[serde(default)]
    pub date_doubted: bool,
}

/// A file system that lacks something.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FileSystem {
    /// What it has not, and what that means, each as the rest of a sentence that begins "It has no".
    pub lacks: Vec<String>,
    /// The homes and team folders on it: `home/ana`.
    pub roots: Vec<String>,
}

/// A drive whose history is held.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HeldHistory {
    /// Whose drive, or which other root: `home/ana`.
    pub root: String,
    /// Until when.
    pub until: String,
}

/// A lock, as an administrator or the owner of the place sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenLock {
    /// What to break it by; not its token.
    pub id: String,
    /// In whose drive, or which other root: `home/ana`.
    pub root: String,
    /// The locked path there; for whoever it is shared with, from the shared file or folder on.
    pub path: String,
    /// Whose lock it is, or whose link it was taken by.
    pub holder: AccountName,
    /// The link whose visitors hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub link: Option<String>,
    /// Since when.
    pub since: String,
    /// When it ends if nobody prolongs it.
    pub until: String,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Whether it covers all below.
    pub deep: bool,
    /// `open by ana since 2026-11-21T10:41:00Z`
    pub summary: String,
}

impl OpenLock {
    fn of(lock: &Lock) -> Self {
        let since = time::iso_date(lock.since);
        let left = lock.ends.saturating_duration_since(Instant::now());
        Self {
            id: lock.id(),
            root: lock.resource.root.to_string(),
            path: format!("/{}", lock.resource.path.as_str()),
            holder: lock.holder.account.clone(),
            link: lock.holder.link().map(str::to_owned),
            until: time::iso_date(std::time::SystemTime::now() + left),
            shared: lock.shared,
            deep: lock.deep,
            summary: format!("open by {} since {since}", lock.holder),
            since,
        }
    }
}

/// How the server is.
pub async fn overview(app: &App) -> Result<Overview> {
    let accounts = app.auth.list();
    let count = |which: &dyn Fn(&AccountView) -> bool| {
        accounts.iter().filter(|account| which(account)).count() as u64
    };
    Ok(Overview {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime: app.uptime().as_secs(),
        accounts: accounts.len() as u64,
        administrators: count(&|account| account.role == Role::Admin && !account.disabled),
        disabled: count(&|account| account.disabled),
        sessions: app.auth.count_sessions() as u64,
        free: app.free().await?,
        used: app.usage_of_open_homes().await?,
        locks: app.locks.all().len() as u64,
        connections: app.metrics.connections.load(Ordering::Relaxed),
        requests: app.metrics.requests.total(),
        writable: app.store.is_writable(),
        exported: app.newest_export().await?.map(time::iso_date),
        held: app
            .retention_holds()
            .into_iter()
            .map(|(root, until)| HeldHistory {
                root: root.to_string(),
                until: time::iso_date(until),
            })
            .collect(),
        missing: app.missing_trees(),
        file_systems: app
            .missing_features()
            .into_iter()
            .map(|(lacks, roots)| FileSystem {
                lacks: lacks.into_iter().map(str::to_owned).collect(),
                roots,
            })
            .collect(),
        untrusted_proxies: app
            .metrics
            .untrusted_proxies
            .all()
            .iter()
            .map(ToString::to_string)
            .collect(),
        date_doubted: app.metrics.is_date_doubted.load(Ordering::Relaxed),
    })
}

/// The locks that `admits` lets through, by place.
pub fn open_locks(app: &App, admits: impl Fn(&Lock) -> bool) -> Vec<OpenLock> {
    app.locks
        .all()
        .iter()
        .filter(|lock| admits(lock))
        .map(|lock| OpenLock::of(lock))
        .collect()
}
