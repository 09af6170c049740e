//! What a new account gets.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The quota of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaChoice {
    /// What the settings say.
    Default,
    /// None.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// A password in a request: not shown by `Debug`, wiped when dropped.
#[derive(Serialize, Deserialize)]
pub struct Password(String);

impl Password {
    /// Takes over a password.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}
