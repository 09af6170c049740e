//! Registration: accounts that people make for themselves, with an invite or, where the settings allow it, without.

use super::account_record::AccountRecord;
use super::accounts::Accounts;
use super::clock::now;
use super::grants::{Grant, GrantsById};
use super::password::HashPriority;
use super::profile::{ProfileChange, at};
use super::{AccountView, Auth, token};
use crate::config::Registration;
use crate::model::{AccountName, Error, Identity, Result, Role};
use crate::state::{Batch, table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The store's prefix of invites.
pub const PREFIX: &str = "invite/";
/// Seconds an invite is good for when nothing else is said.
const USUAL_LIFE: i64 = 7 * 24 * 3600;
const MAX_INVITES: usize = 1000;

/// The right to make one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invite {
    hash: String,
    /// The administrator who made it; it holds while they are one, under the same credentials.
    pub by: AccountName,
    /// The id of their account and the generation of its credentials; an invite of before that was noted has none.
    #[serde(default)]
    under: Option<(String, u64)>,
    /// Whom or what it is for.
    pub note: Option<String>,
    /// Quota of the account in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// The groups that the account will be in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The ids of those groups, by their names: a name can be given again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group_ids: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

/// What a new invite shall be.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// Whom or what it is for.
    pub note: Option<String>,
    /// Quota of the account in bytes; what new accounts get when not said.
    pub quota: Option<u64>,
    /// The groups that the account will be in.
    pub groups: Vec<String>,
    /// The ids of those groups, by their names.
    pub group_ids: BTreeMap<String, String>,
    /// When it ends, in seconds since 1970; in a week when not said.
    pub expires: Option<i64>,
}

/// An account that somebody made for themselves.
#[derive(Debug)]
pub struct RegisteredAccount {
    /// The account.
    pub account: AccountView,
    /// The invite that was used up for it, with its id.
    pub invite: Option<(String, Arc<Invite>)>,
}

/// Who wants an account.
pub struct Applicant<'a> {
    /// The name it shall have.
    pub name: &'a str,
    /// Its password.
    pub password: &'a [u8],
    /// The secret of the invite.
    pub invite: Option<&'a str>,
    /// What it shall say of itself.
    pub profile: ProfileChange,
}

impl std::fmt::Debug for Applicant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applicant")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl table::Record for Invite {
    const VERSION: u32 = 1;
}

impl Grant for Invite {
    const EXACT: bool = true;

    fn hash(&self) -> &str {
        &self.hash
    }

    fn evicted_by(&self, present: &GrantsById<Self>) -> Result<Vec<String>> {
        let now = now();
        let over: Vec<String> = present
            .iter()
            .filter(|(_, invite)| invite.expires <= now)
            .map(|(id, _)| id.to_owned())
            .collect();
        if present.len() - over.len() >= MAX_INVITES {
            return Err(Error::LimitReached(
                "There are 1000 open invites, as many as may be; withdraw some first.",
            ));
        }
        Ok(over)
    }
}

impl Invite {
    /// Whether it is still good for anything.
    pub(super) fn is_valid(&self, accounts: &Accounts, now: i64) -> bool {
        let Some(by) = accounts.find(&self.by).filter(|_| now < self.expires) else {
            return false;
        };
        let same = |(id, generation): &(String, u64)| {
            *by.id() == **id && by.generation() == Some(*generation)
        };
        accounts.administers(&self.by) && self.under.as_ref().is_none_or(same)
    }
}

impl Auth {
    /// Makes an invite; its id, and the secret, which nobody can tell again. `LimitReached`, `Unauthenticated` when the
    /// credentials of who asks have ended meanwhile.
    pub async fn invite(
        &self,
        by: &Identity,
        new: NewInvite,
    ) -> Result<(String, Zeroizing<String>)> {
        let id = token::public_id()?;
        let secret = token::long_secret()?;
        let created = now();
        let invite = Invite {
            hash: token::digest(&secret),
            by: by.account.clone(),
            under: Some((by.account_id.to_string(), by.generation)),
            note: new.note,
            quota: new.quota.or(self.config.default_quota),
            groups: new.groups,
            group_ids: new.group_ids,
            created,
            expires: new.expires.unwrap_or(created + USUAL_LIFE),
        };
        self.invites
            .insert_with(&id, invite, self.commit_if_unchanged(by))
            .await?;
        Ok((id, secret))
    }

    /// The identity of an administrator, for an invite that the command line makes in their name. `NotFound`; `Forbidden` for an account
    /// that does not administer, or may not sign in.
    pub fn administrator(&self, name: &AccountName) -> Result<Arc<Identity>> {
        let account = self.accounts.find(name).ok_or(Error::NotFound)?;
        let generation = account.generation();
        let identity = generation.and_then(|generation| account.identity_at(generation));
        identity
            .filter(|identity| identity.role == Role::Admin)
            .ok_or(Error::Forbidden(
                "Invites are made in the name of an administrator who may sign in.",
            ))
    }

    /// The invites that are open.
    pub fn open_invites(&self) -> Vec<(String, Arc<Invite>)> {
        let now = now();
        self.invites
            .list(|invite| invite.is_valid(&self.accounts, now))
    }

    /// Withdraws an invite. `NotFound`.
    pub async fn revoke_invite(&self, id: &str) -> Result<()> {
        let wanted = id.to_owned();
        let withdrawn = self.invites.remove(move |id, _| id == wanted).await?;
        if withdrawn == 0 {
            Err(Error::NotFound)
        } else {
            Ok(())
        }
    }

    /// Makes an account for somebody who is not signed in. Every try counts as a failed sign-in of its network.
    /// `Forbidden`, `Invalid`, `Exists`, `Throttled`, `Busy`.
    pub async fn register(
        &self,
        applicant: Applicant<'_>,
        from: IpAddr,
    ) -> Result<RegisteredAccount> {
        if self.config.registration == Registration::Closed {
            return Err(Error::Forbidden(
                "Nobody can register here; ask the administrator for an account.",
            ));
        }
        if self.accounts.list().is_empty() {
            return Err(Error::Forbidden(
                "The first account is made by the set-up link that the server prints.",
            ));
        }
        // Never given back: who makes accounts by the dozen is slowed, too.
        drop(self.door.reserve_attempt(from)?);
        let invite = applicant
            .invite
            .map(|secret| self.open_invite(secret))
            .transpose()?;
        if invite.is_none() && self.config.registration != Registration::Open {
            return Err(at(
                "/invite",
                Error::BadRequest("An account here needs an invite."),
            ));
        }
        let name = AccountName::parse(applicant.name).map_err(|error| at("/name", error))?;
        let profile = applicant.profile.checked()?;
        self.accounts.check_free(&name).map_err(taken)?;
        let hash = self
            .hash_with_priority(HashPriority::Stranger, &name, applicant.password)
            .await;
        let hash = hash.map_err(|error| at("/password", error))?;
        let quota = invite
            .as_ref()
            .map_or(self.config.default_quota, |(_, invite)| invite.quota);
        let mut record = AccountRecord::new(hash, Role::User, quota, now())?;
        profile.apply(&mut record);
        let account = match &invite {
            None => self.accounts.insert(&name, record, Batch::new()).await,
            Some((id, invite)) => self.redeem(id, invite, &name, record).await,
        };
        let account = account.map_err(|error| match error {
            Error::NotFound => SPENT,
            other => taken(other),
        })?;
        Ok(RegisteredAccount { account, invite })
    }

    /// Makes an account in the step that uses up its invite. `NotFound` when that is not open any more.
    async fn redeem(
        &self,
        id: &str,
        invite: &Arc<Invite>,
        name: &AccountName,
        record: AccountRecord,
    ) -> Result<AccountView> {
        let accounts = Arc::clone(&self.accounts);
        let (invite, name) = (Arc::clone(invite), name.clone());
        let insert = move |spent: Batch| {
            let (accounts, invite) = (accounts.clone(), invite.clone());
            let (name, record) = (name.clone(), record.clone());
            async move {
                // Who made it may have lost the right while the password was hashed.
                if !invite.is_valid(&accounts, now()) {
                    return Err(Error::NotFound);
                }
                accounts.insert(&name, record, spent).await
            }
        };
        self.invites.redeem(id, insert).await
    }

    fn open_invite(&self, secret: &str) -> Result<(String, Arc<Invite>)> {
        self.invites
            .find(secret)
            .filter(|(_, invite)| invite.is_valid(&self.accounts, now()))
            .ok_or(SPENT)
    }
}

fn taken(error: Error) -> Error {
    match error {
        Error::Exists => at(
            "/name",
            Error::BadName("This name is taken; choose another."),
        ),
        other => at("/name", other),
    }
}

const SPENT: Error =
    Error::Forbidden("This invite is not open: it was used or withdrawn, or its time is over.");
