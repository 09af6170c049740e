//! Sessions: how browsers and scripts stay signed in. A session is of one generation of the account's credentials and ends
//! with it; its secret is told once and kept as a hash.

mod access;

use super::accounts::{Account, Accounts, KeptSession};
use super::bearer::{self, BearerClaims};
use super::clock::{LAST_USE_RESOLUTION, now};
use super::grants::{Grant, GrantsById};
use super::password_sign_in::{PasswordCredentials, VerifiedAccount};
use super::sign_in_metrics::CredentialKind;
use super::two_factor::SecondFactorCheck;
use super::{Auth, token};
use crate::model::{AccountName, Error, Identity, Result, Via};
use crate::state::table::Record;
use access::SessionAccess;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The store's prefix of sessions.
pub const PREFIX: &str = "session/";
/// Seconds without a use that end a session.
const IDLE: i64 = 30 * 24 * 3600;
/// Seconds after which a session ends anyway.
pub const LIFE: i64 = 90 * 24 * 3600;
const MAX_PER_ACCOUNT: usize = 100;
/// Bytes that are kept of a User-Agent.
const MAX_AGENT: usize = 200;

/// One session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    hash: String,
    /// Whose it is.
    pub account: AccountName,
    generation: u64,
    /// When it began, in seconds since 1970.
    pub created: i64,
    /// When it was last used, in seconds since 1970, an hour late at most.
    pub used: i64,
    /// Where it began.
    pub address: IpAddr,
    /// The client it began with, by its own word.
    pub agent: String,
}

impl Record for Session {
    const VERSION: u32 = 1;
}

impl Session {
    /// When it ends if it is not used any more, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        (self.used + IDLE).min(self.created + LIFE)
    }

    /// Whether it is of this generation of the credentials.
    pub(super) fn is_of(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// What its account must know to let it go on under a new generation.
    pub(super) fn kept(&self) -> KeptSession {
        (self.hash.clone(), self.generation)
    }

    /// Whether it is still good for something.
    pub(super) fn is_valid_for(&self, account: &Account, now: i64) -> bool {
        now < self.ends() && account.holds_session(&self.hash, self.generation)
    }

    /// Takes it from one generation of the credentials to the next.
    pub(super) fn carry_over(&mut self, before: u64, after: u64) -> bool {
        let is_due = self.generation == before;
        if is_due {
            self.generation = after;
        }
        is_due
    }

    /// Whether it is still good for anything.
    pub(super) fn is_valid(&self, accounts: &Accounts, now: i64) -> bool {
        self.identity(accounts, now).is_some()
    }

    fn identity(&self, accounts: &Accounts, now: i64) -> Option<Arc<Identity>> {
        let account = accounts.find(&self.account).filter(|_| now < self.ends())?;
        account.identity_of(&self.hash, self.generation)
    }
}

impl Grant for Session {
    // One too many for a moment does no harm, and sign-ins need not wait for each other.
    const EXACT: bool = false;

    fn hash(&self) -> &str {
        &self.hash
    }

    fn evicted_by(&self, present: &GrantsById<Self>) -> Result<Vec<String>> {
        let mut own: Vec<_> = present
            .iter()
            .filter(|(_, session)| session.account == self.account)
            .collect();
        own.sort_by_key(|(_, session)| session.used);
        let surplus = (own.len() + 1).saturating_sub(MAX_PER_ACCOUNT);
        Ok(own
            .into_iter()
            .take(surplus)
            .map(|(id, _)| id.to_owned())
            .collect())
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct SessionClient<'a> {
    /// Its address.
    pub address: IpAddr,
    /// Its User-Agent.
    pub agent: &'a str,
}

impl SessionClient<'_> {
    /// What is kept of the User-Agent.
    pub fn truncated_agent(&self) -> String {
        let plain = self.agent.chars().filter(|c| !c.is_control());
        plain
            .scan(0, |len, c| {
                *len += c.len_utf8();
                (*len <= MAX_AGENT).then_some(c)
            })
            .collect()
    }
}

/// A session that has just begun.
#[derive(Debug)]
pub struct NewSession {
    /// Its public id.
    pub id: String,
    /// Its secret; nobody can tell it again.
    pub secret: Zeroizing<String>,
    /// Who has signed in.
    pub identity: Arc<Identity>,
}

impl Auth {
    /// Signs in and begins a session. `Unauthenticated`, `CodeRequired`, `Throttled`, `Busy`.
    pub async fn begin_session(
        &self,
        attempted: PasswordCredentials<'_>,
        code: Option<&str>,
        caller: SessionClient<'_>,
    ) -> Result<NewSession> {
        let begun = self.sign_in_to_session(attempted, code, caller).await;
        self.sign_ins.note(CredentialKind::Password, &begun);
        begun
    }

    async fn sign_in_to_session(
        &self,
        attempted: PasswordCredentials<'_>,
        code: Option<&str>,
        caller: SessionClient<'_>,
    ) -> Result<NewSession> {
        let entry = self.door.check(attempted, caller.address).await?;
        let identity = entry
            .account
            .identity_at(entry.generation)
            .ok_or(Error::Unauthenticated)?;
        let step = SecondFactorCheck {
            code,
            half_open: None,
            from: caller.address,
        };
        self.pass_second_step(&identity.account, &entry, step)
            .await?;
        self.session_of(&entry, caller).await
    }

    /// Begins a session for who has passed everything that sign-in asks for.
    pub(super) async fn session_of(
        &self,
        entry: &VerifiedAccount,
        caller: SessionClient<'_>,
    ) -> Result<NewSession> {
        let id = token::public_id()?;
        let secret = token::long_secret()?;
        let now = now();
        let identity = entry
            .account
            .identity_at(entry.generation)
            .ok_or(Error::Unauthenticated)?;
        let session = Session {
            hash: token::digest(&secret),
            account: identity.account.clone(),
            generation: entry.generation,
            created: now,
            used: now,
            address: caller.address,
            agent: caller.truncated_agent(),
        };
        self.sessions.insert(&id, session).await?;
        Ok(NewSession {
            id,
            secret,
            identity,
        })
    }

    /// Who a session's secret stands for, while the session does.
    pub fn by_session(&self, secret: &str) -> Option<Arc<Identity>> {
        let (id, session) = self.sessions.find(secret)?;
        self.stand_in(id, &session, None)
    }

    /// Who a bearer stands for, while its session does.
    pub fn by_bearer(&self, bearer: &str) -> Option<Arc<Identity>> {
        let BearerClaims {
            sid, generation, ..
        } = self.signer.read(bearer, now())?;
        let session = self
            .sessions
            .get(&sid)
            .filter(|session| session.generation == generation)?;
        self.stand_in(sid, &session, Some(generation))
    }

    /// A bearer for a session. `NotFound` when it has ended.
    pub fn bearer_of(&self, id: &str) -> Result<Zeroizing<String>> {
        let session = self.sessions.get(id).ok_or(Error::NotFound)?;
        let iat = now();
        self.signer.sign(&BearerClaims {
            sid: id.to_owned(),
            generation: session.generation,
            iat,
            exp: iat + bearer::LIFE,
        })
    }

    /// The sessions of an account that stand.
    pub fn sessions_of(&self, account: &AccountName) -> Vec<(String, Arc<Session>)> {
        let now = now();
        self.sessions
            .list(|session| session.account == *account && session.is_valid(&self.accounts, now))
    }

    /// Whether an account has this session, and it stands.
    pub fn has_session(&self, account: &AccountName, id: &str) -> bool {
        let found = self
            .sessions
            .get(id)
            .filter(|session| session.account == *account);
        found.is_some_and(|session| session.is_valid(&self.accounts, now()))
    }

    /// Whether an account's password of this generation still opens it, and alone.
    pub fn opens_by_password(&self, name: &AccountName, generation: u64) -> bool {
        self.accounts
            .find(name)
            .is_some_and(|account| account.identity_by_password(generation).is_some())
    }

    /// How many sessions stand, of all accounts.
    pub fn count_sessions(&self) -> usize {
        let now = now();
        self.sessions
            .list(|session| session.is_valid(&self.accounts, now))
            .len()
    }

    /// Ends a session of an account, from the next request on. `NotFound`.
    pub async fn revoke_session(&self, account: &AccountName, id: &str) -> Result<()> {
        let account = account.clone();
        let wanted = id.to_owned();
        let ended = self
            .sessions
            .remove(move |id, session| id == wanted && session.account == account)
            .await?;
        if ended == 0 {
            Err(Error::NotFound)
        } else {
            Ok(())
        }
    }

    /// Ends all sessions of an account but one, from the next request on.
    pub async fn revoke_other_sessions(
        &self,
        account: &AccountName,
        kept: Option<&str>,
    ) -> Result<usize> {
        let account = account.clone();
        let kept = kept.map(str::to_owned);
        let other = move |id: &str, session: &Session| {
            session.account == account && kept.as_deref() != Some(id)
        };
        self.sessions.remove(other).await
    }

    fn stand_in(
        &self,
        id: String,
        session: &Session,
        bearer_of: Option<u64>,
    ) -> Option<Arc<Identity>> {
        let now = now();
        let whole = session.identity(&self.accounts, now)?;
        if now >= session.used + LAST_USE_RESOLUTION {
            self.note_use(&id, now);
        }
        let sessions = Arc::clone(&self.sessions);
        let account = self.accounts.find(&session.account)?;
        let access = Arc::new(SessionAccess {
            sessions,
            account,
            id: id.clone(),
            bearer_of,
        });
        Some(Arc::new(Identity {
            via: Via::Session(id),
            access,
            ..Identity::clone(&whole)
        }))
    }

    fn note_use(&self, id: &str, now: i64) {
        let sessions = Arc::clone(&self.sessions);
        let id = id.to_owned();
        tokio::spawn(async move {
            let late = move |session: &mut Session| {
                let is_late = now >= session.used + LAST_USE_RESOLUTION;
                session.used = session.used.max(now);
                is_late
            };
            match sessions.change(&id, late).await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => tracing::warn!(%error, "the use of a session could not be noted"),
            }
        });
    }
}

#[cfg(test)]
mod tests;
