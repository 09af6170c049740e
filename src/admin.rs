//! What administrators do, the same for the API and the command line: each act with its entry in the audit log.
//! The acts run to their end where the caller sees to that ([`App::finish`]).

pub mod history;
pub mod sharing;
pub mod teams;

pub use crate::app::removal::FilesDisposal;

use crate::app::removal::{RemovalOutcome, note_of};
use crate::app::{App, Destination, TreeKind};
use crate::audit::{AuditKind, Reporter};
use crate::auth::{AccountUpdate, AccountView, OpenIdLink};
use crate::drive::locks::Lock;
use crate::model::{AccessCheck, AccountName, Error, Result, Role, VPath, time};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use utoipa::ToSchema;

/// Somebody who administers, and where they sit.
#[derive(Clone, Debug)]
pub struct Administrator {
    app: Arc<App>,
    reporter: Reporter,
    access: Arc<dyn AccessCheck>,
}

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
    /// The locked path there.
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

impl Administrator {
    /// Whoever `reporter` speaks of, at work for as long as `access` holds.
    pub fn new(app: &Arc<App>, reporter: Reporter, access: Arc<dyn AccessCheck>) -> Self {
        Self {
            app: app.clone(),
            reporter,
            access,
        }
    }

    /// Makes an account. As [`App::create_account`].
    pub async fn create(
        &self,
        name: &AccountName,
        password: &[u8],
        (role, quota): (Role, Option<u64>),
        home: Option<&str>,
    ) -> Result<AccountView> {
        check_quota(quota)?;
        let made = self
            .app
            .create_account(name, password, (role, quota), home)
            .await;
        let mut note = words(AccountUpdate {
            role: Some(role),
            quota: Some(quota),
            disabled: None,
        });
        if let Some(home) = home {
            let _ = write!(note, ", its files in {home}");
        }
        self.reporter
            .report(AuditKind::AccountCreated, name.as_str(), note, &made)
            .await;
        made
    }

    /// Changes an account. As [`Auth::alter`](crate::auth::Auth::alter).
    pub async fn alter(
        &self,
        name: &AccountName,
        what: AccountUpdate,
        only_at: Option<Vec<String>>,
    ) -> Result<AccountView> {
        check_quota(what.quota.flatten())?;
        let before = self.app.auth.account(name).map(|view| view.revision());
        let altered = self.app.auth.update(name, what, only_at).await;
        let is_change = altered.as_ref().ok().map(AccountView::revision) != before;
        self.reporter
            .report_change(
                AuditKind::AccountChanged,
                name.as_str(),
                words(what),
                (&altered, is_change),
            )
            .await;
        self.app.release_lost_locks().await;
        altered
    }

    /// Sets a password. As [`Auth::set_password`](crate::auth::Auth::set_password).
    pub async fn set_password(&self, name: &AccountName, password: &[u8]) -> Result<()> {
        let set = self.app.auth.set_password(name, password).await;
        self.reporter
            .report(
                AuditKind::PasswordChanged,
                name.as_str(),
                String::new(),
                &set,
            )
            .await;
        set
    }

    /// Sets the e-mail address of an account and vouches for it. As [`Auth::set_email`](crate::auth::Auth::set_email).
    pub async fn set_email(&self, name: &AccountName, email: Option<String>) -> Result<()> {
        let profile = self.app.auth.profile(name);
        let before = profile.as_ref().and_then(|profile| profile.email.clone());
        let words = |email: &Option<String>| email.clone().unwrap_or_else(|| "none".into());
        let note = format!("e-mail from {} to {}", words(&before), words(&email));
        let set = self.app.auth.set_email(name, email).await;
        let is_change = self.app.auth.profile(name) != profile;
        self.reporter
            .report_change(
                AuditKind::AccountChanged,
                name.as_str(),
                note,
                (&set, is_change),
            )
            .await;
        set
    }

    /// Links an account to a subject of the provider. As [`Auth::link_openid`](crate::auth::Auth::link_openid); `Forbidden`
    /// without a provider.
    pub async fn link_openid(&self, name: &AccountName, subject: &str) -> Result<OpenIdLink> {
        let provider = self.app.openid.as_ref();
        let issuer = &provider
            .ok_or(Error::Forbidden(
                "This server has no sign-in provider: set [openid] up first.",
            ))?
            .config()
            .issuer;
        let linked = self.app.auth.link_openid(name, issuer, subject).await;
        self.reporter
            .report(
                AuditKind::OpenidLinked,
                name.as_str(),
                format!("to {subject} of {issuer}"),
                &linked,
            )
            .await;
        linked
    }

    /// Ends the links of an account to a provider. `NotFound` when it has none.
    pub async fn unlink_openid(&self, name: &AccountName) -> Result<()> {
        let ended = self.app.auth.unlink_openid(name).await;
        let ended = ended.and_then(|count| {
            if count == 0 {
                Err(Error::NotFound)
            } else {
                Ok(())
            }
        });
        self.reporter
            .report(AuditKind::OpenidUnlinked, name.as_str(), "", &ended)
            .await;
        ended
    }

    /// Ends two-factor sign-in. As [`Auth::drop_two_factor`](crate::auth::Auth::drop_two_factor).
    pub async fn drop_two_factor(&self, name: &AccountName) -> Result<()> {
        let dropped = self.app.auth.drop_two_factor(name).await;
        self.reporter
            .report(
                AuditKind::TwoFactorChanged,
                name.as_str(),
                "off, and its sessions ended",
                &dropped,
            )
            .await;
        dropped
    }

    /// Removes an account. As [`App::remove_account`].
    pub async fn remove(&self, name: &AccountName, files: FilesDisposal) -> Result<RemovalOutcome> {
        if let FilesDisposal::Transfer(to) = &files {
            self.check_transfer(name, to).await?;
        }
        let mut note = note_of(&files);
        let removed = self.app.remove_account(name, files).await;
        match &removed {
            Ok(RemovalOutcome {
                moved: Some(path), ..
            }) => {
                let _ = write!(note, ", into {:?}", path.as_str());
            }
            Ok(RemovalOutcome {
                aside: Some(place), ..
            }) => {
                let _ = write!(note, ", in {place}");
            }
            _ => {}
        }
        self.reporter
            .report(AuditKind::AccountRemoved, name.as_str(), note, &removed)
            .await;
        removed
    }

    /// Brings files of a removed account or team folder back. As [`App::bring_back`].
    pub async fn restore_removed(&self, which: &str, to: Destination) -> Result<Option<VPath>> {
        let note = match &to {
            Destination::Home(to) => format!("as the drive of {to}"),
            Destination::Folder(to) => format!("into the drive of {to}"),
            Destination::Team(to) => format!("as the team folder {to}"),
        };
        let place = self.place_of(which);
        let back = self.app.restore_removed(which, to).await;
        self.reporter
            .report(AuditKind::RemovedFilesRestored, &place, note, &back)
            .await;
        back
    }

    /// Deletes files of a removed account or team folder, for good. As [`App::purge_aside`].
    pub async fn purge_removed_files(&self, which: &str) -> Result<()> {
        let place = self.place_of(which);
        let purged = self.app.purge_removed_files(which).await;
        self.reporter
            .report(AuditKind::RemovedFilesPurged, &place, "", &purged)
            .await;
        purged
    }

    /// Gives up a home or team folder that is missing. As [`App::renew`].
    pub async fn replace_missing_tree(&self, place: &str) -> Result<()> {
        let (kind, name) = self.app.replace_missing_tree(place).await?;
        let kind = if kind == TreeKind::Home {
            AuditKind::AccountChanged
        } else {
            AuditKind::TeamFolderChanged
        };
        self.reporter
            .done(
                kind,
                &name,
                "what lies in the place of its missing folder is its folder now",
            )
            .await;
        Ok(())
    }

    fn place_of(&self, which: &str) -> String {
        let found = self
            .app
            .removed_files()
            .into_iter()
            .find(|files| files.id == which);
        found.map_or_else(|| which.to_owned(), |files| files.place)
    }

    async fn check_transfer(&self, name: &AccountName, to: &AccountName) -> Result<()> {
        let wrong = |why: &str| {
            Err(Error::Invalid {
                pointer: "/to".into(),
                why: why.into(),
            })
        };
        if name == to {
            return wrong("The files must go to another account.");
        }
        if self.app.auth.account(name).is_none() {
            // Begun already, with what was said then; or there is none.
            return Ok(());
        }
        if self.app.auth.account(to).is_none() {
            return wrong("There is no such account to give the files to.");
        }
        self.app.check_transfer(name, to).await
    }

    /// Ends the lock with this id; `admits` says whether this administrator may. `NotFound`.
    pub async fn break_lock(&self, id: &str, admits: impl Fn(&Lock) -> bool) -> Result<()> {
        let locks = self.app.locks.all();
        let lock = locks
            .iter()
            .find(|lock| lock.id() == id && admits(lock))
            .ok_or(Error::NotFound)?;
        let broken = self.app.locks.break_lock(&lock.token).await;
        let place = format!("{}/{}", lock.resource.root, lock.resource.path.as_str());
        self.reporter
            .report(
                AuditKind::LockBroken,
                &place,
                format!("held by {}", lock.holder),
                &broken,
            )
            .await;
        broken.map_err(|error| {
            if matches!(error, Error::NoSuchLock) {
                Error::NotFound
            } else {
                error
            }
        })
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

/// Refuses a quota greater than what programs that read the API can count to.
pub fn check_quota(quota: Option<u64>) -> Result<()> {
    if quota.is_some_and(|bytes| i64::try_from(bytes).is_err()) {
        let why = "A quota is at most 9223372036854775807 bytes; null is unlimited.".into();
        return Err(Error::Invalid {
            pointer: "/quota".into(),
            why,
        });
    }
    Ok(())
}

/// An alteration in a few words.
fn words(what: AccountUpdate) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(role) = what.role {
        let _ = write!(
            text,
            "role {}",
            if role == Role::Admin { "admin" } else { "user" }
        );
    }
    if let Some(quota) = what.quota {
        let quota = quota.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
        let _ = write!(
            text,
            "{}quota {quota}",
            if text.is_empty() { "" } else { ", " }
        );
    }
    if let Some(disabled) = what.disabled {
        let state = if disabled { "disabled" } else { "enabled" };
        let _ = write!(text, "{}{state}", if text.is_empty() { "" } else { ", " });
    }
    text
}
