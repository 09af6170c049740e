//! Who is asking: accounts, passwords, and the checks between a credential and an [`Identity`].

mod account_management;
mod account_record;
mod account_view;
mod accounts;
mod app_passwords;
mod attempt_limiter;
mod bearer;
mod clock;
mod connection;
mod credential_cache;
mod failures;
mod grants;
mod link_password;
mod openid;
mod password;
mod password_sign_in;
mod people;
mod profile;
mod registration;
mod revocation;
mod run_to_completion;
mod second_factor;
mod sessions;
mod sign_in_metrics;
mod single_flight;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod totp;
mod two_factor;

use crate::audit::Audit;
use crate::config::AccountsConfig;
use crate::model::{AccountName, Error, Identity, Result};
use crate::state::{Batch, StateStore};
pub use account_record::{EmailSource, Profile};
pub use account_view::{AccountUpdate, AccountView};
pub use accounts::AccountCleanup;
use accounts::{AccountRecord, Accounts};
pub use app_passwords::{AppPassword, NewAppPassword};
use attempt_limiter::AttemptLimiter;
use bearer::BearerSigner;
pub use bearer::LIFE as BEARER_LIFE;
pub use connection::{Connection, RequestOrigin};
use grants::Grants;
pub use openid::{Assertion, CredentialSnapshot, OpenIdLink, OpenIdSignIn, PendingSignIn};
use password::{HashPriority, HashQueue, Secret};
pub use password_sign_in::PasswordCredentials;
use password_sign_in::PasswordSignIn;
pub use profile::{FieldChange, ProfileChange};
pub use registration::{Applicant, Invite, NewInvite, RegisteredAccount};
pub use sessions::{LIFE as SESSION_LIFE, NewSession, Session, SessionClient};
use sign_in_metrics::CredentialKind;
pub use sign_in_metrics::SignInCounters;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use throttle::Throttle;
pub use throttle::{AttemptReservation, ClientNetwork};
use tokio::sync::Semaphore;
pub use two_factor::Enrolment;

/// A commit under way.
type CommitFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// How many new passwords of links may wait to be hashed: a part of the places that all share.
const LINK_HASHES: usize = 4;

/// Accounts and sign-in.
#[derive(Debug)]
pub struct Auth {
    accounts: Arc<Accounts>,
    door: Arc<PasswordSignIn>,
    hasher: Arc<HashQueue>,
    sessions: Arc<Grants<Session>>,
    app_passwords: Arc<Grants<AppPassword>>,
    link_throttle: Throttle,
    /// How many new passwords of links may wait to be hashed.
    link_hashes: Semaphore,
    signer: BearerSigner,
    invites: Arc<Grants<Invite>>,
    openid_links: Arc<Grants<OpenIdLink>>,
    /// Codes of sign-ins that owe one, by the sign-in.
    half_open: AttemptLimiter<String>,
    /// Searches for people, by who looks.
    searches: AttemptLimiter<AccountName>,
    sign_ins: SignInCounters,
    config: AccountsConfig,
}

impl Auth {
    /// Reads every account into memory; `Corrupt` when a record cannot be read.
    pub async fn open(store: Arc<dyn StateStore>, config: &AccountsConfig) -> Result<Arc<Self>> {
        let accounts = Accounts::open(store.clone()).await?;
        let hasher = HashQueue::for_this_machine(config.hash_cost);
        let door = PasswordSignIn::new(Arc::clone(&accounts), Arc::clone(&hasher), config)?;
        let link_throttle = Throttle::new(config.failures_per_network, config.failures_per_account);
        let signer = BearerSigner::open(store.clone()).await?;
        let now = clock::now();
        let stands = |session: &Session| session.is_valid(&accounts, now);
        let sessions = Grants::open(store.clone(), sessions::PREFIX, stands).await?;
        let stands = |found: &AppPassword| found.is_valid(&accounts, now);
        let app_passwords = Grants::open(store.clone(), app_passwords::PREFIX, stands).await?;
        let stands = |invite: &Invite| invite.is_valid(&accounts, now);
        let invites = Grants::open(store.clone(), registration::PREFIX, stands).await?;
        let stands = |link: &OpenIdLink| link.is_valid(&accounts);
        let openid_links = Grants::open(store, openid::PREFIX, stands).await?;
        let half_open = AttemptLimiter::new(second_factor::WRONG_CODES, openid::OWING);
        let config = config.clone();
        Ok(Arc::new(Self {
            accounts,
            door,
            hasher,
            sessions,
            app_passwords,
            link_throttle,
            link_hashes: Semaphore::new(LINK_HASHES),
            signer,
            invites,
            openid_links,
            half_open,
            searches: people::searches(),
            sign_ins: SignInCounters::default(),
            config,
        }))
    }

    /// Tells the audit log of sign-ins from now on.
    pub fn set_audit(&self, audit: Audit) {
        self.door.set_audit(audit);
    }

    /// Who an `Authorization` header value signs in that was verified before and still holds; microseconds. `None` when it must
    /// be verified, also since guesses on its network are refused for now and its connection has not signed in before.
    pub fn cached_identity(&self, header: &[u8], origin: &RequestOrigin) -> Option<Arc<Identity>> {
        self.door.cached_identity(header, origin)
    }

    /// Verifies name and password, and remembers the verdict for `header`. `Unauthenticated`, `Throttled`, `Busy`.
    pub async fn sign_in(
        &self,
        header: &[u8],
        user: &str,
        password: &[u8],
        origin: impl Into<RequestOrigin>,
    ) -> Result<Arc<Identity>> {
        let attempted = PasswordCredentials { user, password };
        let device = self.expired_app_password(user, password);
        let signed_in = self
            .door
            .sign_in(header, attempted, &origin.into(), device)
            .await;
        self.sign_ins.note(CredentialKind::Password, &signed_in);
        signed_in
    }

    /// What came of sign-ins since the start.
    pub fn sign_ins(&self) -> &SignInCounters {
        &self.sign_ins
    }

    /// How many passwords are being hashed, and how many wait for it.
    pub fn hashing(&self) -> (usize, usize) {
        self.hasher.load()
    }

    /// Counts a try that is no password (a set-up link, the word of a provider) against its network, before it is judged:
    /// [`refund_attempt`](Self::refund_attempt) gives it back when it was right. `Throttled`.
    pub fn reserve_attempt(&self, from: IpAddr) -> Result<AttemptReservation> {
        self.door.reserve_attempt(from)
    }

    /// Gives a try back that was right.
    pub fn refund_attempt(&self, reserved: AttemptReservation) {
        self.door.refund_attempt(reserved);
    }

    /// Clears away what was granted under a generation that is over. It is void already, so a failure harms nothing.
    async fn purge_revoked(&self, name: &AccountName) {
        let accounts = self.accounts.clone();
        let own = name.clone();
        let now = clock::now();
        let sessions = self
            .sessions
            .remove(move |_, it| it.account == own && !it.is_valid(&accounts, now));
        let accounts = self.accounts.clone();
        let own = name.clone();
        let app_passwords = self
            .app_passwords
            .remove(move |_, it| it.is_of(&own) && !it.is_valid(&accounts, now));
        let accounts = self.accounts.clone();
        let own = name.clone();
        let invites = self
            .invites
            .remove(move |_, it| it.by == own && !it.is_valid(&accounts, now));
        for outcome in [sessions.await, app_passwords.await, invites.await] {
            if let Err(error) = outcome {
                tracing::warn!(account = %name, %error, "what has ended could not be cleared away");
            }
        }
    }

    /// Commits a batch while the account is the one that `identity` signed in to, under the same credentials; else
    /// `Unauthenticated`.
    fn commit_if_unchanged(
        &self,
        identity: &Identity,
    ) -> impl FnMut(Batch) -> CommitFuture + Send + 'static {
        let accounts = Arc::clone(&self.accounts);
        let name = identity.account.clone();
        let id = identity.account_id.clone();
        let generation = identity.generation;
        move |batch| {
            let (accounts, name, id) = (accounts.clone(), name.clone(), id.clone());
            Box::pin(async move {
                let check = move |record: &AccountRecord| {
                    let same = record.check_same(&id, generation);
                    same.map_err(|_| Error::Unauthenticated)
                };
                match accounts.commit_while(&name, check, batch).await {
                    Err(Error::NotFound) => Err(Error::Unauthenticated),
                    outcome => outcome,
                }
            })
        }
    }

    async fn hash_new(&self, name: &AccountName, password: &[u8]) -> Result<String> {
        self.hash_with_priority(HashPriority::Known, name, password)
            .await
    }

    async fn hash_with_priority(
        &self,
        lane: HashPriority,
        name: &AccountName,
        password: &[u8],
    ) -> Result<String> {
        password::check_strength(name, password, self.config.min_password_length)?;
        let deadline = tokio::time::Instant::now() + password::WAIT;
        self.hasher
            .acquire(lane, deadline)
            .await?
            .hash(Secret::new(password.to_vec()))
            .await
    }
}
