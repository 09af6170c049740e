//! App passwords: a secret for one device or program, confined to a folder and to rights, found by its hash without argon2.
//! They are of one generation of the account's credentials: a new password or disabling ends them too.

mod access;

use super::accounts::{Account, Accounts};
use super::clock::{LAST_USE_RESOLUTION, now};
use super::grants::{Grant, GrantsById};
use super::password_sign_in::account_in;
use super::sessions::SessionClient;
use super::{Auth, token};
use crate::model::{AccountName, Error, Identity, RelPath, Result, Rights, ScopeTarget, Via};
use crate::state::table::Record;
use access::AppPasswordAccess;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The store's prefix of app passwords.
pub const PREFIX: &str = "app-password/";
const SECRET_LEN: usize = 20;
const MAX_PER_ACCOUNT: usize = 100;

/// One app password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppPassword {
    hash: String,
    account: AccountName,
    generation: u64,
    /// What its owner calls it.
    pub name: String,
    scope: String,
    /// What its scope led to when it was made; none for one of before this was kept, and where nothing was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<ScopeTarget>,
    /// What it may do.
    pub rights: Rights,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// The last use.
    pub last_use: Option<LastUse>,
}

/// When, from where and by what something was last used; an hour late at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastUse {
    /// In seconds since 1970.
    pub at: i64,
    /// The address.
    pub address: IpAddr,
    /// The client, by its own word.
    pub agent: String,
}

/// What a new app password shall be.
#[derive(Clone, Debug)]
pub struct NewAppPassword {
    /// What its owner calls it.
    pub name: String,
    /// The folder of the drive that is its whole drive.
    pub scope: RelPath,
    /// What that folder is, where it is there.
    pub target: Option<ScopeTarget>,
    /// What it may do there.
    pub rights: Rights,
    /// When it ends, in seconds since 1970.
    pub expires: Option<i64>,
}

impl Record for AppPassword {
    const VERSION: u32 = 1;
}

impl Grant for AppPassword {
    const EXACT: bool = true;

    fn hash(&self) -> &str {
        &self.hash
    }

    fn evicted_by(&self, present: &GrantsById<Self>) -> Result<Vec<String>> {
        if present
            .iter()
            .filter(|(_, other)| other.account == self.account)
            .count()
            >= MAX_PER_ACCOUNT
        {
            return Err(Error::LimitReached(
                "There are 100 app passwords, as many as may be; revoke one first.",
            ));
        }
        Ok(Vec::new())
    }
}

impl AppPassword {
    /// The folder of the drive that is its whole drive.
    pub fn scope(&self) -> RelPath {
        RelPath::from_stored(self.scope.clone())
    }

    /// Whether it is an account's of this name.
    pub(super) fn is_of(&self, account: &AccountName) -> bool {
        self.account == *account
    }

    /// Whether it is still good for anything.
    pub(super) fn is_valid(&self, accounts: &Accounts, now: i64) -> bool {
        self.whole(accounts, now).is_some()
    }

    /// Whether it lets do what it let do as it was then.
    pub(super) fn has_same_access(&self, then: &Self) -> bool {
        self.scope == then.scope && self.rights == then.rights
    }

    /// Whether it is still good for anything in its account.
    pub(super) fn is_valid_for(&self, account: &Account, now: i64) -> bool {
        self.expires.is_none_or(|end| now < end) && account.generation() == Some(self.generation)
    }

    /// The whole account, while it stands.
    fn whole(&self, accounts: &Accounts, now: i64) -> Option<Arc<Identity>> {
        accounts
            .find(&self.account)
            .filter(|account| self.is_valid_for(account, now))?
            .identity_at(self.generation)
    }
}

impl Auth {
    /// Makes an app password; its id, and the secret, which nobody can tell again. `LimitReached`, `Unauthenticated` when
    /// the credentials of who asks have ended meanwhile.
    pub async fn add_app_password(
        &self,
        identity: &Identity,
        new: NewAppPassword,
    ) -> Result<(String, Zeroizing<String>)> {
        let id = token::public_id()?;
        let secret = token::readable_secret::<SECRET_LEN>()?;
        let app_password = AppPassword {
            hash: token::digest(&token::as_made(&secret)),
            account: identity.account.clone(),
            generation: identity.generation,
            name: new.name,
            scope: new.scope.as_str().to_owned(),
            target: new.target,
            rights: new.rights,
            created: now(),
            expires: new.expires,
            last_use: None,
        };
        self.app_passwords
            .insert_with(&id, app_password, self.commit_if_unchanged(identity))
            .await?;
        Ok((id, secret))
    }

    /// Who an app password stands for; with a name, only for the account of that name.
    pub fn by_app_password(
        &self,
        user: Option<&str>,
        secret: &str,
        caller: SessionClient<'_>,
    ) -> Option<Arc<Identity>> {
        let (id, found) = self.app_passwords.find(&token::as_made(secret))?;
        if user.is_some_and(|user| account_in(user).as_ref() != Some(&found.account)) {
            return None;
        }
        let now = now();
        let whole = found.whole(&self.accounts, now)?;
        if found
            .last_use
            .as_ref()
            .is_none_or(|last| now >= last.at + LAST_USE_RESOLUTION)
        {
            self.note_app_use(
                &id,
                LastUse {
                    at: now,
                    address: caller.address,
                    agent: caller.truncated_agent(),
                },
            );
        }
        let scope = found.scope();
        let target = found.target;
        let rights = found.rights;
        let app_passwords = Arc::clone(&self.app_passwords);
        let account = self.accounts.find(&found.account)?;
        let access = Arc::new(AppPasswordAccess {
            app_passwords,
            account,
            id: id.clone(),
            entered: found,
        });
        Some(Arc::new(Identity {
            via: Via::AppPassword(id),
            scope,
            target,
            rights,
            access,
            ..Identity::clone(&whole)
        }))
    }

    /// What the owner calls an app password that lets nobody in any more.
    pub(super) fn expired_app_password(&self, user: &str, secret: &[u8]) -> Option<String> {
        let (_, found) = self
            .app_passwords
            .find(&token::as_made(std::str::from_utf8(secret).ok()?))?;
        let is_ended = !found.is_valid(&self.accounts, now());
        (is_ended && account_in(user).as_ref() == Some(&found.account)).then(|| found.name.clone())
    }

    /// Whether an app password of an account stands.
    pub fn has_app_password(&self, account: &AccountName, id: &str) -> bool {
        let found = self
            .app_passwords
            .get(id)
            .filter(|found| found.account == *account);
        found.is_some_and(|found| found.is_valid(&self.accounts, now()))
    }

    /// The app passwords of an account that stand.
    pub fn app_passwords_of(&self, account: &AccountName) -> Vec<(String, Arc<AppPassword>)> {
        let now = now();
        self.app_passwords
            .list(|found| found.account == *account && found.is_valid(&self.accounts, now))
    }

    /// Revokes an app password of an account, from the next request on. `NotFound`.
    pub async fn revoke_app_password(&self, account: &AccountName, id: &str) -> Result<()> {
        let account = account.clone();
        let wanted = id.to_owned();
        let revoked = self
            .app_passwords
            .remove(move |id, found| id == wanted && found.account == account)
            .await?;
        if revoked == 0 {
            Err(Error::NotFound)
        } else {
            Ok(())
        }
    }

    fn note_app_use(&self, id: &str, present: LastUse) {
        let app_passwords = Arc::clone(&self.app_passwords);
        let id = id.to_owned();
        tokio::spawn(async move {
            let late = move |found: &mut AppPassword| {
                let is_late = found
                    .last_use
                    .as_ref()
                    .is_none_or(|last| present.at >= last.at + LAST_USE_RESOLUTION);
                if is_late {
                    found.last_use = Some(present.clone());
                }
                is_late
            };
            match app_passwords.change(&id, late).await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => {
                    tracing::warn!(%error, "the use of an app password could not be noted");
                }
            }
        });
    }
}
