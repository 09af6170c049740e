//! What an administrator sees and changes of an account.

use crate::model::{AccountName, Role};

/// What an administrator sees of an account.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct AccountView {
    /// The name.
    pub name: AccountName,
    /// The role.
    pub role: Role,
    /// Whether sign-in is refused.
    pub disabled: bool,
    /// Quota in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl AccountView {
    /// An entity tag that changes whenever what is shown of the account does.
    pub fn revision(&self) -> String {
        use sha2::{Digest, Sha256};
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(text);
        digest
            .iter()
            .take(8)
            .fold(String::from("\""), |tag, byte| format!("{tag}{byte:02x}"))
            + "\""
    }
}

/// What changes of an account; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountUpdate {
    /// The role.
    pub role: Option<Role>,
    /// The quota in bytes; `Some(None)` is unlimited.
    pub quota: Option<Option<u64>>,
    /// Whether sign-in is refused.
    pub disabled: Option<bool>,
}
