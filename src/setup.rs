//! The first administrator: one secret, made at the start when there are no accounts, good for one use.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Token = Zeroizing<String>;

/// Whether the first administrator is still to be made, and the secret that allows it.
#[derive(Default)]
pub struct Setup(Mutex<Option<Token>>);

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("open", &self.is_open())
            .finish()
    }
}

impl Setup {
    /// Set-up with a fresh 256-bit secret from the operating system.
    pub fn open() -> std::io::Result<Self> {
        let mut secret = Zeroizing::new([0_u8; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Self(Mutex::new(Some(Zeroizing::new(
            BASE64_URL_SAFE_NO_PAD.encode(secret.as_slice()),
        )))))
    }

    /// Set-up that is over: there are accounts.
    pub fn done() -> Self {
        Self::default()
    }

    /// Whether the first administrator is still to be made.
    pub fn is_open(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Ends set-up, when an account came to be in another way.
    pub fn close(&self) {
        *self.0.lock() = None;
    }

    /// The secret, for the link that is printed at the start.
    pub fn token(&self) -> Option<Token> {
        self.0.lock().clone()
    }

    /// Takes the secret if `given` is it, compared in constant time; nobody else can take it until the claim is dropped.
    pub fn claim(&self, given: &str) -> Option<SetupClaim<'_>> {
        let mut held = self.0.lock();
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
    /// Ends set-up for good.
    pub fn finish(mut self) {
        self.token = None;
    }
}

impl Drop for SetupClaim<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            *self.setup.0.lock() = Some(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_used_once_and_survives_a_failed_use() {
        let setup = Setup::open().unwrap();
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

    #[test]
    fn secrets_differ_and_do_not_show() {
        let one = Setup::open().unwrap();
        let two = Setup::open().unwrap();
        assert_ne!(one.token(), two.token());
        assert!(!format!("{one:?}").contains(one.token().unwrap().as_str()));
        assert!(Setup::done().claim("").is_none());
    }
}
