//! What is stored of the second factor of an account, and the codes that it takes.

use super::{token, totp};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Wrong codes a minute on one account, from wherever they come: six digits are soon guessed.
pub const WRONG_CODES: u32 = 5;

/// The second factor of an account, from its beginning on.
#[derive(Clone, Serialize, Deserialize)]
pub struct TwoFactor {
    pub(super) secret: Zeroizing<String>,
    pub(super) confirmed: bool,
    pub(super) last_step: u64,
    pub(super) recovery: Vec<String>,
}

impl TwoFactor {
    /// Whether sign-in asks for a code.
    pub fn is_on(&self) -> bool {
        self.confirmed
    }

    /// One that is begun and not yet confirmed.
    pub fn begin(secret: &[u8]) -> Self {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(secret));
        Self {
            secret,
            confirmed: false,
            last_step: 0,
            recovery: Vec::new(),
        }
    }

    /// Uses a code up; whether it was a good one.
    pub fn spend(&mut self, code: &str, now: i64) -> bool {
        let code = token::as_made(code);
        if let Some(step) = self.step_of(&code, now) {
            self.last_step = step;
            return true;
        }
        let hash = token::digest(&code);
        let at = self.recovery.iter().position(|kept| *kept == hash);
        at.map(|at| self.recovery.remove(at)).is_some()
    }

    fn step_of(&self, code: &str, now: i64) -> Option<u64> {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(self.secret.as_bytes()).ok()?);
        totp::step_of(&secret, code, now, self.last_step)
    }
}
