//! The first administrator: one secret, made at the start when there are no accounts, good for one use. It is a record, so that all
//! processes on one store print the same link, and is removed in the batch that stores the account.

use crate::model::{Error, Result};
use crate::state::{Batch, StateStore, stored_key};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const KEY: &str = "setup";

type Token = Zeroizing<String>;

/// Whether the first administrator is still to be made, and the secret that allows it.
#[derive(Default)]
pub struct Setup {
    token: Mutex<Option<Token>>,
    /// What uses the secret up.
    spend: Batch,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("open", &self.is_open())
            .finish()
    }
}

impl Setup {
    /// Set-up with a 256-bit secret: that of whoever else uses the store, or a new one.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let (key, spend) = match stored_key::open(store, KEY).await {
            Ok(key) => {
                let spend = stored_key::spend(KEY, &key)?;
                (key, spend)
            }
            Err(Error::Corrupt(why)) => return Err(Error::Corrupt(why)),
            Err(error) => {
                tracing::warn!(%error, "the set-up link could not be stored: it is good until the next start");
                (stored_key::random()?, Batch::new())
            }
        };
        let token = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(key.as_slice()));
        Ok(Self {
            token: Mutex::new(Some(token)),
            spend,
        })
    }

    /// Set-up that is over: there are accounts.
    pub fn done() -> Self {
        Self::default()
    }

    /// Whether the first administrator is still to be made.
    pub fn is_open(&self) -> bool {
        self.token.lock().is_some()
    }

    /// Ends set-up, when an account came to be in another way.
    pub fn close(&self) {
        *self.token.lock() = None;
    }

    /// The secret, for the link that is printed at the start.
    pub fn token(&self) -> Option<Token> {
        self.token.lock().clone()
    }

    /// Takes the secret if `given` is it, compared in constant time; nobody else can take it until the claim is dropped.
    pub fn claim(&self, given: &str) -> Option<SetupClaim<'_>> {
        let mut held = self.token.lock();
        let same = held
            .as_ref()
            .is_some_and(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())));
        if !same {
            return None;
        }
        Some(SetupClaim {
            setup: self,
            token: held.take(),
        })
    }
}

/// The right to make the first administrator; dropping it unused gives the secret back.
#[derive(Debug)]
pub struct SetupClaim<'a> {
    setup: &'a Setup,
    token: Option<Token>,
}

impl SetupClaim<'_> {
    /// What uses the secret up, to be committed with the account; a `Conflict` when somebody else was faster.
    pub fn spend(&self) -> Batch {
        self.setup.spend.clone()
    }

    /// Ends set-up for good.
    pub fn finish(mut self) {
        self.token = None;
    }
}

impl Drop for SetupClaim<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            *self.setup.token.lock() = Some(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    async fn open() -> Setup {
        Setup::open(MemoryStore::new()).await.unwrap()
    }

    #[tokio::test]
    async fn a_secret_is_used_once_and_survives_a_failed_use() {
        let setup = open().await;
        let token = setup.token().unwrap();
        assert_eq!(token.len(), 43);
        assert!(setup.claim("").is_none());
        assert!(setup.claim(&token[1..]).is_none());
        let claim = setup.claim(&token).unwrap();
        assert!(setup.claim(&token).is_none(), "two at once");
        drop(claim);
        setup.claim(&token).unwrap().finish();
        assert!(setup.claim(&token).is_none() && !setup.is_open());
    }

    #[tokio::test]
    async fn two_who_start_at_once_have_one_secret_for_one_use() {
        let store = MemoryStore::new();
        store.slow_down();
        let (here, there) = tokio::join!(Setup::open(store.clone()), Setup::open(store.clone()));
        let (here, there) = (here.unwrap(), there.unwrap());
        let token = here.token().unwrap();
        let claims = [here.claim(&token).unwrap(), there.claim(&token).unwrap()];
        let spend = async |claim: &SetupClaim<'_>, account: &str| {
            store.commit(claim.spend().put(account, "x")).await
        };
        spend(&claims[0], "account/ana").await.unwrap();
        let second = spend(&claims[1], "account/ben").await;
        assert!(matches!(second, Err(Error::Conflict)));
        assert!(store.get("account/ben").await.unwrap().is_none());
        assert!(store.get("key/setup").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn secrets_differ_and_do_not_show() {
        let one = open().await;
        let two = open().await;
        assert_ne!(one.token(), two.token());
        assert!(!format!("{one:?}").contains(one.token().unwrap().as_str()));
        assert!(Setup::done().claim("").is_none());
    }
}
