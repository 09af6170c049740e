//! Settings: `config.toml`, one struct a section, overridden by `SARANG_<SECTION>__<KEY>`. The only reader of the environment.

mod acme;
mod host_name;
mod load;
mod metrics;
mod mode;
mod network;
mod openid;
mod public_url;
mod service_manager;
mod tls;
mod validation;

use crate::model::path::check_name;
use crate::model::{Error, RelPath};
pub use acme::AcmeConfig;
pub use host_name::is_host_name;
pub use metrics::{MetricsConfig, is_public};
pub use mode::Mode;
pub use network::IpNetwork;
pub use openid::{NameClaim, OpenIdConfig, UnknownSubjects};
use serde::{Deserialize, Serialize};
pub use service_manager::ManagerEnv;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
pub use tls::{CertificateFiles, PlainHttp, TlsConfig};

/// All settings. Unknown keys are errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Whether a new server is meant whatever the data folder looks like: no setting, but a word of the command line.
    #[serde(skip)]
    pub anew: bool,
    /// The file that the settings were read from, by its whole path; `None` when there was none.
    #[serde(skip)]
    pub read_from: Option<PathBuf>,
    /// Connections.
    pub server: ServerConfig,
    /// Encrypted connections.
    pub tls: TlsConfig,
    /// Drives.
    pub drive: DriveConfig,
    /// Homes and team folders on the disk.
    pub storage: StorageConfig,
    /// What is kept of the past.
    pub history: HistoryConfig,
    /// Accounts and sign-in.
    pub accounts: AccountsConfig,
    /// Sign-in by an OpenID Connect provider.
    pub openid: OpenIdConfig,
    /// Locks.
    pub locks: LocksConfig,
    /// Numbers for Prometheus.
    pub metrics: MetricsConfig,
    /// Logs.
    pub log: LogConfig,
}

/// `[server]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Names under which clients reach this server, beyond the `Host` they send; compared with `Destination`.
    pub hosts: Vec<String>,
    /// The scheme and host that browsers see, such as `https://files.example.org`; empty when only `Host` tells.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Networks whose connections begin with a PROXY protocol header.
    pub proxy_protocol: Vec<IpNetwork>,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address (IPv6: from one /64).
    pub max_connections_per_address: usize,
    /// Seconds a client may take to send the head of a request.
    pub header_timeout: u64,
    /// Seconds a body may pause.
    pub body_timeout: u64,
    /// Seconds a connection may lie idle between requests.
    pub keep_alive: u64,
    /// Seconds that requests in flight may take to end at shutdown.
    pub shutdown_grace: u64,
    /// Whether the server confines itself to the folders that the settings name (Landlock).
    pub sandbox: bool,
}

/// When a change counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk before it is acknowledged.
    Strict,
    /// In the page cache; a power cut may lose the last seconds, never tear a file's name from its old content on ext4 and xfs journals.
    Relaxed,
}

/// `[drive]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriveConfig {
    /// `strict` or `relaxed`.
    pub durability: Durability,
    /// Also refuse names that Windows cannot show.
    pub portable_names: bool,
    /// Bytes of disk that uploads leave free.
    pub reserve: u64,
    /// Days without a byte after which an unfinished upload is given up.
    pub upload_days: u32,
    /// Clients (part of the User-Agent) that are not told quota properties.
    pub hide_quota_from: Vec<String>,
    /// The folder in which a drive shows what others share with its account.
    pub shared_folder: FolderName,
    /// The folder in which a drive shows team folders.
    pub team_folder: FolderName,
    /// The folder in which a drive shows its trash; `None` for none.
    pub trash_folder: Option<FolderName>,
}

/// The name of a folder that drives show: one that a drive could store, in NFC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderName(String);

impl FolderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FolderName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        check_name(&name)?;
        if name.starts_with('.') || name.trim() != name {
            return Err(Error::BadName(
                "This name would be hidden or hard to type: begin it with no dot, and no blank at its ends.",
            ));
        }
        Ok(Self(RelPath::parse(&name)?.to_nfc().as_str().to_owned()))
    }
}

impl From<FolderName> for String {
    fn from(name: FolderName) -> Self {
        name.0
    }
}

/// `[storage]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Homes and team folders that are kept open for the next request, beyond those in use.
    pub open_homes: usize,
    /// Permissions of files that are stored, where no default ACL of their folder says more.
    pub file_mode: Mode,
    /// The same of folders.
    pub folder_mode: Mode,
    /// Folders outside the data folder that homes and team folders may be, or lie in; none allows none.
    pub allowed: Vec<PathBuf>,
}

/// `[history]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// Whether a file that is overwritten leaves its content as a version.
    pub versions: bool,
    /// Days that what was deleted or replaced lies in the trash; 0 is for ever.
    pub trash_days: u32,
    /// Hours that all versions of a file are kept.
    pub all_hours: u32,
    /// Days that one version an hour is kept.
    pub hourly_days: u32,
    /// Days that one version a day is kept.
    pub daily_days: u32,
    /// Days that one version a week is kept.
    pub weekly_days: u32,
    /// By which share of a drive's files, overwritten or deleted by one credential within minutes, its history is held; 0 is never.
    pub burst_share: f64,
    /// The fewest files for that.
    pub burst_count: u32,
}

/// Who may make an account for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Nobody.
    Closed,
    /// Who has an invite from an administrator.
    Invite,
    /// Everybody.
    Open,
}

/// `[accounts]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsConfig {
    /// `closed`, `invite` or `open`.
    pub registration: Registration,
    /// The fewest characters a password may have.
    pub min_password_length: usize,
    /// Quota of new accounts in bytes; absent is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_quota: Option<u64>,
    /// Whether every account may look for others, and for groups, by the beginning of a name.
    pub people_search: bool,
    /// Different wrong passwords a minute from one network (IPv4 address, IPv6 /64).
    pub failures_per_network: u32,
    /// Different wrong passwords a minute on one account from one network.
    pub failures_per_account: u32,
    /// No setting: the tests of the whole server lower it, which sign in thousands of times.
    #[serde(skip)]
    pub hash_cost: HashCost,
}

/// What argon2id (RFC 9106) takes to hash a password once, in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
        }
    }
}

/// `[locks]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocksConfig {
    /// Seconds a lock holds when the client does not say.
    pub default_timeout: u64,
    /// Seconds a lock holds at most without a refresh.
    pub max_timeout: u64,
    /// Locks one account may hold.
    pub per_account: usize,
    /// Shared locks on one resource.
    pub per_resource: usize,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Whether each request gets a line.
    pub requests: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "sarang-data".into(),
            anew: false,
            read_from: None,
            server: ServerConfig::default(),
            tls: TlsConfig::default(),
            drive: DriveConfig::default(),
            storage: StorageConfig::default(),
            history: HistoryConfig::default(),
            accounts: AccountsConfig::default(),
            openid: OpenIdConfig::default(),
            locks: LocksConfig::default(),
            metrics: MetricsConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 4918))],
            hosts: Vec::new(),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol: Vec::new(),
            max_connections: 4096,
            max_connections_per_address: 256,
            header_timeout: 10,
            body_timeout: 60,
            keep_alive: 75,
            shutdown_grace: 30,
            sandbox: true,
        }
    }
}

impl Default for DriveConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Strict,
            portable_names: false,
            reserve: 64 << 20,
            upload_days: 2,
            hide_quota_from: Vec::new(),
            shared_folder: FolderName("Shared with me".into()),
            team_folder: FolderName("Team folders".into()),
            trash_folder: None,
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            open_homes: 256,
            file_mode: Mode::PRIVATE_FILE,
            folder_mode: Mode::PRIVATE_FOLDER,
            allowed: Vec::new(),
        }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            versions: true,
            trash_days: 30,
            all_hours: 1,
            hourly_days: 1,
            daily_days: 30,
            weekly_days: 365,
            burst_share: 0.3,
            burst_count: 100,
        }
    }
}

impl Default for AccountsConfig {
    fn default() -> Self {
        Self {
            registration: Registration::Invite,
            min_password_length: 10,
            default_quota: None,
            people_search: true,
            failures_per_network: 10,
            failures_per_account: 5,
            hash_cost: HashCost::default(),
        }
    }
}

impl Default for LocksConfig {
    fn default() -> Self {
        Self {
            default_timeout: 600,
            max_timeout: 86_400,
            per_account: 1000,
            per_resource: 10,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".into(),
            requests: true,
        }
    }
}
