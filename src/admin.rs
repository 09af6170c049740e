//! What administrators do, the same for the API and the command line: each act with its entry in the audit log.
//! The acts run to their end where the caller sees to that ([`App::run_to_completion`]).

pub mod history;
mod overview;
pub mod sharing;
pub mod teams;

pub use crate::app::removal::FilesDisposal;

use crate::app::removal::{RemovalOutcome, note_of};
use crate::app::{App, Destination, TreeKind};
use crate::audit::{AuditKind, Reporter};
use crate::auth::{AccountUpdate, AccountView, OpenIdLink};
use crate::model::{AccessCheck, AccountName, Error, Result, Role, VPath};
use crate::storage::Lock;
pub use overview::{FileSystem, HeldHistory, OpenLock, Overview, open_locks, overview};
use std::fmt::Write as _;
use std::sync::Arc;

/// Somebody who administers, and where they sit.
#[derive(Clone, Debug)]
pub struct Administrator {
    app: Arc<App>,
    reporter: Reporter,
    access: Arc<dyn AccessCheck>,
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

    /// Changes an account. As [`Auth::update`](crate::auth::Auth::update).
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

    /// Brings files of a removed account or team folder back. As [`App::restore_removed`].
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

    /// Deletes files of a removed account or team folder, for good. As [`App::purge_removed_files`].
    pub async fn purge_removed_files(&self, which: &str) -> Result<()> {
        let place = self.place_of(which);
        let purged = self.app.purge_removed_files(which).await;
        self.reporter
            .report(AuditKind::RemovedFilesPurged, &place, "", &purged)
            .await;
        purged
    }

    /// Gives up a home or team folder that is missing. As [`App::replace_missing_tree`].
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
