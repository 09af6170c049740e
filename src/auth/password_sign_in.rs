//! The way in: one sign-in by name and password, from the first look at the cache to the remembered verdict.
//! Unknown and disabled accounts take the same path as wrong passwords, at the same cost.

mod failure_reports;
mod verification;

use super::accounts::{Account, Accounts};
use super::attempt_limiter::{AttemptLimiter, SecretFingerprint};
use super::connection::RequestOrigin;
use super::credential_cache::{CredentialCache, CredentialKey};
use super::password::{self, HashQueue, Secret};
use super::second_factor::WRONG_CODES;
use super::single_flight::{FlightGuard, SingleFlight};
use super::throttle::{AttemptReservation, ClientNetwork, Throttle, WINDOW};
use crate::audit::{Actor, Audit, AuditEvent, AuditKind};
use crate::config::AccountsConfig;
use crate::failures::{ClientKind, FailureLog};
use crate::model::{AccountName, Error, Identity, Result};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Doors to which a password is enough, alone or with a code afterwards.
const ALONE: &str = "alone";
const WITH_CODE: &str = "with code";

/// Everything a sign-in passes.
#[derive(Debug)]
pub struct PasswordSignIn {
    accounts: Arc<Accounts>,
    cache: CredentialCache,
    throttle: Throttle,
    /// Codes of the second factor, by account alone: wherever they come from.
    codes: AttemptLimiter<AccountName>,
    hash_queue: Arc<HashQueue>,
    /// What a password is compared with when there is no account for it.
    dummy: String,
    single_flight: SingleFlight,
    audit: OnceLock<Audit>,
    failures: FailureLog,
}

/// One try to sign in.
struct SignInAttempt {
    name: Option<AccountName>,
    network: ClientNetwork,
    from: IpAddr,
    password: Secret,
    /// By what it is known when it was wrong.
    key: CredentialKey,
    /// By what it is counted, at every door.
    print: SecretFingerprint,
    client: ClientKind,
    /// The name of the app password that this was, if it lets nobody in any more.
    device: Option<String>,
}

/// What somebody says who wants to begin a session or to prove once more who they are.
#[derive(Clone, Copy)]
pub struct PasswordCredentials<'a> {
    /// The account's name, as a client writes it.
    pub user: &'a str,
    /// The password.
    pub password: &'a [u8],
}

impl std::fmt::Debug for PasswordCredentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempted")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// An account that a password was right for.
#[derive(Debug)]
pub struct VerifiedAccount {
    /// The account.
    pub account: Arc<Account>,
    /// The generation of its credentials.
    pub generation: u64,
}

impl PasswordSignIn {
    /// A door to these accounts.
    pub fn new(
        accounts: Arc<Accounts>,
        hasher: Arc<HashQueue>,
        config: &AccountsConfig,
    ) -> Result<Arc<Self>> {
        let throttle = Throttle::new(config.failures_per_network, config.failures_per_account);
        let codes = AttemptLimiter::new(WRONG_CODES, WINDOW);
        let cache = CredentialCache::new()?;
        let dummy = password::dummy_hash(config.hash_cost)?;
        let flights = SingleFlight::default();
        let audit = OnceLock::new();
        let failures = FailureLog::default();
        Ok(Arc::new(Self {
            accounts,
            cache,
            throttle,
            codes,
            hash_queue: hasher,
            dummy,
            single_flight: flights,
            audit,
            failures,
        }))
    }

    /// Tells the audit log of sign-ins from now on.
    pub fn set_audit(&self, audit: Audit) {
        // Said once, when everything is opened.
        let _ = self.audit.set(audit);
    }

    /// Who a header value signs in that was verified before, without hashing a password. Where the budget for guesses is used
    /// up, only for a connection that it had signed in over: what others have shown is nothing that a guesser is told.
    pub fn cached_identity(&self, header: &[u8], origin: &RequestOrigin) -> Option<Arc<Identity>> {
        let network = ClientNetwork::from(origin.address);
        let now = Instant::now();
        let key = self.cache.key(network, header);
        let identity = self.cache.get(&key, now)?;
        if !origin.is_proven(&key) {
            self.throttle.check(network, &identity.account, now).ok()?;
            origin.note(Some(key));
        }
        Some(identity)
    }

    /// Verifies a password and remembers the verdict; many at once with the same header verify once.
    pub async fn sign_in(
        self: &Arc<Self>,
        header: &[u8],
        attempted: PasswordCredentials<'_>,
        origin: &RequestOrigin,
        device: Option<String>,
    ) -> Result<Arc<Identity>> {
        let key = self.cache.key(ClientNetwork::from(origin.address), header);
        let attempt = SignInAttempt {
            client: origin.client,
            device,
            ..self.attempt(ALONE, attempted, origin.address)
        };
        let name = attempt.name.clone();
        let signed_in = self.sign_in_as(key, attempt, origin).await;
        match &signed_in {
            Ok(_) => origin.note(Some(key)),
            // Nothing was judged.
            Err(Error::Busy { .. }) => {}
            Err(error) => {
                origin.note(None);
                if matches!(error, Error::Throttled { .. }) {
                    self.explain_throttled(name.as_ref(), origin);
                }
            }
        }
        signed_in
    }

    async fn sign_in_as(
        self: &Arc<Self>,
        key: CredentialKey,
        attempt: SignInAttempt,
        origin: &RequestOrigin,
    ) -> Result<Arc<Identity>> {
        let deadline = tokio::time::Instant::now() + password::WAIT;
        // Who goes on with what had signed in over the same connection does not guess.
        let reserved = if origin.is_proven(&key) {
            None
        } else {
            Some(self.reserve(&attempt)?)
        };
        let flight = self.single_flight.join(attempt.key);
        let alone = tokio::time::timeout_at(deadline, flight.mutex.lock()).await;
        let _alone = alone.map_err(|_| password::busy())?;
        if let Some(identity) = self.cache.get(&key, Instant::now()) {
            if let Some(reserved) = reserved {
                self.throttle.refund(reserved);
            }
            return Ok(identity);
        }
        let turn = self
            .wait_for_permit(&attempt, reserved.as_ref(), deadline)
            .await?;
        // A client that leaves before the answer has still made its try.
        let done = tokio::spawn(Arc::clone(self).verify(turn, key, attempt, reserved)).await;
        done.unwrap_or_else(|e| Err(Error::io("check a password", std::io::Error::other(e))))
    }

    /// Verifies a password for this once: only what was wrong a moment ago is known. `Unauthenticated`, `Throttled`, `Busy`.
    pub async fn check(
        self: &Arc<Self>,
        attempted: PasswordCredentials<'_>,
        from: IpAddr,
    ) -> Result<VerifiedAccount> {
        let attempt = self.attempt(WITH_CODE, attempted, from);
        let reserved = self.reserve(&attempt)?;
        let deadline = tokio::time::Instant::now() + password::WAIT;
        // Of one credential only one try is in the queue, which is for all.
        let flight = self.single_flight.join(attempt.key);
        let alone = tokio::time::timeout_at(deadline, flight.mutex.lock()).await;
        let _alone = alone.map_err(|_| password::busy())?;
        let turn = self
            .wait_for_permit(&attempt, Some(&reserved), deadline)
            .await?;
        let done = tokio::spawn(Arc::clone(self).verify_once(turn, attempt, reserved)).await;
        done.unwrap_or_else(|e| Err(Error::io("check a password", std::io::Error::other(e))))
    }

    /// Takes part in the flight of a try.
    pub fn join(&self, key: CredentialKey) -> FlightGuard<'_> {
        self.single_flight.join(key)
    }

    /// Counts a try that is no password of an account (a registration, a set-up link, the word of a provider) against its
    /// network, before it is judged. `Throttled`.
    pub fn reserve_attempt(&self, from: IpAddr) -> Result<AttemptReservation> {
        let now = Instant::now();
        let reserved = self
            .throttle
            .reserve(ClientNetwork::from(from), None, None, now)?;
        self.throttle.charge(&reserved, now)?;
        Ok(reserved)
    }

    /// Gives such a try back.
    pub fn refund_attempt(&self, reserved: AttemptReservation) {
        self.throttle.refund(reserved);
    }

    /// Forgets where an account that was removed has signed in from.
    pub fn forget(&self, name: &AccountName) {
        self.throttle.forget(name);
    }

    /// Writes to the audit log.
    pub fn note(&self, event: AuditEvent) {
        if let Some(audit) = self.audit.get() {
            drop(audit.record(event));
        }
    }

    /// Counts a code of the second factor before it is judged. `Throttled`.
    pub fn reserve_code(&self, name: &AccountName) -> Result<SecretFingerprint> {
        self.codes.reserve(name, None, Instant::now())
    }

    /// Gives a code back that was right.
    pub fn refund_code(&self, name: &AccountName, code: SecretFingerprint) {
        self.codes.refund(name, code);
    }

    /// What stands for a secret that is tried on something of this name.
    pub fn fingerprint(&self, name: &[u8], secret: &[u8]) -> SecretFingerprint {
        self.cache.fingerprint(name, secret)
    }

    /// What stands for a secret that is tried, when it was wrong; asked by [`refuse_wrong`](Self::refuse_wrong).
    pub fn attempt_key(
        &self,
        network: ClientNetwork,
        door: &str,
        tried: (&[u8], &[u8]),
    ) -> CredentialKey {
        self.cache.attempt_key(network, door, tried)
    }

    /// Refuses what was wrong a moment ago without hashing it again: it is no new guess, so that no budget bounds it.
    /// `Unauthenticated`.
    pub fn refuse_wrong(&self, key: &CredentialKey) -> Result<()> {
        let is_wrong = self
            .cache
            .is_wrong(key, self.accounts.changes(), Instant::now());
        if is_wrong {
            Err(Error::Unauthenticated)
        } else {
            Ok(())
        }
    }

    /// Remembers what was wrong when the count of changes to accounts was this; true when that is nothing new.
    pub fn remember_wrong(&self, key: &CredentialKey, changes: u64) -> bool {
        self.cache.remember_wrong(key, changes, Instant::now())
    }

    /// How many changes to accounts there were.
    pub fn changes(&self) -> u64 {
        self.accounts.changes()
    }

    fn attempt(
        &self,
        door: &str,
        PasswordCredentials { user, password }: PasswordCredentials<'_>,
        from: IpAddr,
    ) -> SignInAttempt {
        let name = account_in(user);
        let network = ClientNetwork::from(from);
        let meant = name.as_ref().map_or(user, AccountName::as_str).as_bytes();
        let key = self.attempt_key(network, door, (meant, password));
        let print = self.fingerprint(meant, password);
        let password = Secret::new(password.to_vec());
        let client = ClientKind::default();
        let device = None;
        SignInAttempt {
            name,
            network,
            from,
            password,
            key,
            print,
            client,
            device,
        }
    }

    fn reserve(&self, attempt: &SignInAttempt) -> Result<AttemptReservation> {
        self.throttle.reserve(
            attempt.network,
            attempt.name.as_ref(),
            Some(attempt.print),
            Instant::now(),
        )
    }

    /// Notes a sign-in: which network it came from, and in the audit log, when it is the first from there.
    pub fn record_success(&self, name: AccountName, from: IpAddr) {
        let network = ClientNetwork::from(from);
        let now = Instant::now();
        if let Some(audit) = self
            .audit
            .get()
            .filter(|_| !self.throttle.is_proven(network, Some(&name), now))
        {
            let event = AuditEvent::new(
                Actor::Account(name.clone()),
                AuditKind::SignIn,
                name.as_str(),
            )
            .with_address(from);
            drop(audit.record(event));
        }
        self.throttle.prove(network, name, now);
    }

    /// Notes a failed sign-in that is counted, or that no budget is for, in the audit log.
    pub fn note_failure(&self, name: Option<&AccountName>, from: IpAddr) {
        if let Some(audit) = self.audit.get() {
            audit.count_failure(name, from);
        }
    }

    /// Notes a wrong code of the second factor: a failed sign-in, as a wrong password is.
    pub fn record_failure(&self, name: &AccountName, from: IpAddr) {
        self.note_failure(Some(name), from);
        self.throttle
            .count(ClientNetwork::from(from), Some(name), None, Instant::now());
    }
}

#[cfg(test)]
impl PasswordSignIn {
    /// Whether a password is known to be wrong.
    pub fn is_wrong(&self, user: &str, password: &[u8], from: IpAddr) -> bool {
        self.refuse_wrong(
            &self
                .attempt(ALONE, PasswordCredentials { user, password }, from)
                .key,
        )
        .is_err()
    }

    /// Forgets the codes that were tried, as time does.
    pub fn forget_codes(&self) {
        self.codes.forget();
    }

    /// Forgets what was right, as time does.
    pub fn forget_verdicts(&self) {
        self.cache.forget();
    }
}

/// The account a client means: `DOMAIN\user` and `user@host`, as Windows and some phones send it, are `user`.
pub fn account_in(user: &str) -> Option<AccountName> {
    let user = user.rsplit_once('\\').map_or(user, |(_, user)| user);
    let user = user.split_once('@').map_or(user, |(user, _)| user);
    AccountName::parse(user).ok()
}

#[cfg(test)]
mod tests;
