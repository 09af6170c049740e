//! Passwords of public links: hashed and verified as those of accounts are, throttled by link and network.

use super::Auth;
use super::password::{self, HashPriority, Secret};
use super::sign_in_metrics::CredentialKind;
use super::throttle::ClientNetwork;
use crate::model::{AccountName, Error, Result};
use std::net::IpAddr;
use std::time::Instant;

impl Auth {
    /// The hash of a link's new password; `Busy`.
    pub async fn hash_link_password(&self, password: &[u8]) -> Result<String> {
        let deadline = tokio::time::Instant::now() + password::WAIT;
        // Whoever sets passwords of links all the time must leave room for those who sign in.
        let one = tokio::time::timeout_at(deadline, self.link_hashes.acquire()).await;
        let _one = one.ok().and_then(Result::ok).ok_or_else(password::busy)?;
        self.hasher
            .acquire(HashPriority::Known, deadline)
            .await?
            .hash(Secret::new(password.to_vec()))
            .await
    }

    /// Whether somebody there may try another password of a link, which the throttle knows by `key`; `Throttled`.
    pub fn check_link_tries(&self, key: &str, from: IpAddr) -> Result<()> {
        let Ok(key) = AccountName::parse(key) else {
            return Ok(());
        };
        self.link_throttle
            .check(ClientNetwork::from(from), &key, Instant::now())
    }

    /// Verifies the password of a link, which the throttle knows by `key`; `Unauthenticated`, `Throttled`, `Busy`.
    pub async fn check_link_password(
        &self,
        key: &str,
        stored: &str,
        password: &[u8],
        from: IpAddr,
    ) -> Result<()> {
        let checked = self
            .compare_link_password(key, stored, password, from)
            .await;
        self.sign_ins.note(CredentialKind::LinkPassword, &checked);
        checked
    }

    async fn compare_link_password(
        &self,
        key: &str,
        stored: &str,
        password: &[u8],
        from: IpAddr,
    ) -> Result<()> {
        let network = ClientNetwork::from(from);
        let account = AccountName::parse(key).ok();
        let print = self.door.fingerprint(key.as_bytes(), password);
        let changes = self.door.changes();
        // By its hash, as what was wrong can be the next one.
        let wrong = self
            .door
            .attempt_key(network, "link", (stored.as_bytes(), password));
        let tried =
            self.link_throttle
                .reserve(network, account.as_ref(), Some(print), Instant::now())?;
        self.door.refuse_wrong(&wrong)?;
        let deadline = tokio::time::Instant::now() + password::WAIT;
        // Of one password from one network only one try is in the queue, which is for all.
        let flight = self.door.join(wrong);
        let Ok(_alone) = tokio::time::timeout_at(deadline, flight.mutex.lock()).await else {
            return Err(password::busy());
        };
        let turn = self
            .hasher
            .acquire(HashPriority::Stranger, deadline)
            .await?;
        self.link_throttle.charge(&tried, Instant::now())?;
        self.door.refuse_wrong(&wrong)?;
        let verdict = turn
            .verify(stored.to_owned(), Secret::new(password.to_vec()))
            .await?;
        if !verdict.matches {
            self.door.remember_wrong(&wrong, changes);
            return Err(Error::Unauthenticated);
        }
        self.link_throttle.refund(tried);
        if let Some(key) = account {
            self.link_throttle.prove(network, key, Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccountsConfig;
    use crate::state::memory::MemoryStore;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    /// One account that sets passwords of links all the time takes a few places of the queue, not all.
    #[tokio::test(start_paused = true)]
    async fn new_passwords_of_links_leave_room_for_those_who_sign_in() {
        let auth = Auth::open(MemoryStore::new(), &AccountsConfig::default())
            .await
            .unwrap();
        let far = tokio::time::Instant::now() + Duration::from_secs(60);
        let turn = auth.hasher.acquire(HashPriority::Known, far).await.unwrap();
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let auth = auth.clone();
                tokio::spawn(async move { auth.hash_link_password(b"any").await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(auth.hasher.waiting.load(Ordering::Relaxed), 4);
        for task in tasks {
            assert!(matches!(
                task.await.unwrap(),
                Err(crate::model::Error::Busy { .. })
            ));
        }
        drop(turn);
        auth.hash_link_password(b"any").await.unwrap();
    }
}
