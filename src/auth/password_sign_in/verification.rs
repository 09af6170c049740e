//! Comparing a password with the stored hash, and what follows from it. The cost is the same for every name.

use super::{PasswordSignIn, SignInAttempt, VerifiedAccount};
use crate::auth::credential_cache::CredentialKey;
use crate::auth::password::{HashPermit, HashPriority};
use crate::auth::throttle::AttemptReservation;
use crate::model::{AccountName, Error, Identity, Result};
use std::sync::Arc;
use std::time::Instant;

impl PasswordSignIn {
    /// Waits for a turn to hash, but not for what is known to be wrong.
    pub(super) async fn wait_for_permit(
        &self,
        attempt: &SignInAttempt,
        reserved: Option<&AttemptReservation>,
        deadline: tokio::time::Instant,
    ) -> Result<HashPermit> {
        self.refuse_wrong(&attempt.key)?;
        let is_known =
            self.throttle
                .is_proven(attempt.network, attempt.name.as_ref(), Instant::now());
        let turn = self
            .hash_queue
            .acquire(
                if is_known {
                    HashPriority::Known
                } else {
                    HashPriority::Stranger
                },
                deadline,
            )
            .await?;
        reserved.map_or(Ok(()), |reserved| {
            self.throttle.charge(reserved, Instant::now())
        })?;
        // Once more: others may have tried the same meanwhile.
        self.refuse_wrong(&attempt.key)?;
        Ok(turn)
    }

    pub(super) async fn verify(
        self: Arc<Self>,
        turn: HashPermit,
        key: CredentialKey,
        attempt: SignInAttempt,
        reserved: Option<AttemptReservation>,
    ) -> Result<Arc<Identity>> {
        // Read before the account: a change during the hash must void the verdict.
        let changes = self.accounts.changes();
        if let Some(VerifiedAccount {
            account,
            generation,
        }) = self.compare(turn, &attempt).await?
            && let Some(identity) = account.identity_by_password(generation)
        {
            self.cache
                .remember_right(&key, account, generation, Instant::now());
            if let Some(reserved) = reserved {
                self.throttle.refund(reserved);
            }
            self.record_success(identity.account.clone(), attempt.from);
            return Ok(identity);
        }
        if reserved.is_none() {
            self.throttle.count(
                attempt.network,
                attempt.name.as_ref(),
                Some(attempt.print),
                Instant::now(),
            );
        }
        if !self.remember_wrong(&attempt.key, changes) {
            self.note_failure(attempt.name.as_ref(), attempt.from);
            self.explain(&attempt);
        }
        Err(Error::Unauthenticated)
    }

    pub(super) async fn verify_once(
        self: Arc<Self>,
        turn: HashPermit,
        attempt: SignInAttempt,
        reserved: AttemptReservation,
    ) -> Result<VerifiedAccount> {
        let changes = self.accounts.changes();
        let entry = self.compare(turn, &attempt).await?;
        let (Some(entry), Some(name)) = (entry, attempt.name.clone()) else {
            if !self.remember_wrong(&attempt.key, changes) {
                self.note_failure(attempt.name.as_ref(), attempt.from);
            }
            return Err(Error::Unauthenticated);
        };
        self.throttle.refund(reserved);
        if !entry.account.wants_code() {
            self.record_success(name, attempt.from);
        }
        Ok(entry)
    }

    /// The account, if the password is the right one and it may sign in; costs the same for every name.
    async fn compare(
        &self,
        turn: HashPermit,
        attempt: &SignInAttempt,
    ) -> Result<Option<VerifiedAccount>> {
        let account = attempt
            .name
            .as_ref()
            .and_then(|name| self.accounts.find(name));
        let present =
            account.and_then(|account| account.credentials().map(|(at, hash)| (account, at, hash)));
        let (account, stored) = match present {
            Some((account, generation, hash)) => (Some((account, generation)), hash),
            None => (None, self.dummy.clone()),
        };
        let verdict = turn.verify(stored, attempt.password.clone()).await?;
        let Some((account, generation)) = account.filter(|_| verdict.matches) else {
            return Ok(None);
        };
        if let (Some(renewed), Some(identity)) = (verdict.renewed, account.identity_at(generation))
        {
            self.renew(&identity.account, generation, renewed).await;
        }
        Ok(account.identity_at(generation).map(|_| VerifiedAccount {
            account,
            generation,
        }))
    }

    /// Stores the hash with today's parameters. Who signed in is not refused when that fails: the next sign-in tries again.
    async fn renew(&self, name: &AccountName, generation: u64, hash: String) {
        let outcome = self.accounts.change(name, move |record| {
            if record.generation == generation {
                record.password.clone_from(&hash);
            }
        });
        if let Err(error) = outcome.await {
            tracing::warn!(account = %name, %error, "could not renew a password hash");
        }
    }
}
