//! One share: a file or folder of an account that is shown to others.

use crate::model::time::unix_seconds;
use crate::model::{AccountName, RelPath, Rights};
use crate::sharing::groups::GranteeRef;
use crate::state::table::Record;
use crate::storage::FileId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// One share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its id, random.
    pub id: String,
    /// Whose home it shows.
    pub owner: AccountName,
    /// The file or folder in that home, in NFC.
    pub(super) path: String,
    /// Which file or folder that is.
    pub node: FileId,
    /// Whether it is a folder.
    pub folder: bool,
    /// Whom it is shown to.
    #[serde(flatten)]
    pub to: GranteeRef,
    /// What they may do.
    pub rights: Rights,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it ends by itself, in seconds since 1970.
    pub expires: Option<i64>,
    /// What the owner says about it.
    pub note: String,
    /// The names that receivers gave it.
    pub names: BTreeMap<AccountName, String>,
    /// The receivers who do not want it.
    pub left: BTreeSet<AccountName>,
}

impl Record for Share {
    const VERSION: u32 = 1;
}

/// What a new share is made of.
#[derive(Clone, Debug)]
pub struct NewShare {
    /// The file or folder in the owner's home.
    pub path: RelPath,
    /// Which file or folder that is.
    pub node: FileId,
    /// Whether it is a folder.
    pub folder: bool,
    /// Whom it is shown to.
    pub to: GranteeRef,
    /// What they may do.
    pub rights: Rights,
    /// When it ends by itself.
    pub expires: Option<i64>,
    /// What the owner says about it.
    pub note: String,
}

impl Share {
    /// The file or folder in the owner's home, in NFC.
    pub fn path(&self) -> RelPath {
        RelPath::from_stored(self.path.clone())
    }

    /// Says that what it shows is called so now.
    pub fn set_path(&mut self, path: &RelPath) {
        path.to_nfc().as_str().clone_into(&mut self.path);
    }

    /// The name under which a receiver sees it, before it is made unique.
    pub fn name_for(&self, account: &AccountName) -> &str {
        self.names.get(account).map_or_else(
            || self.path.rsplit('/').next().unwrap_or_default(),
            String::as_str,
        )
    }

    /// A text that puts shares in their order, oldest first.
    pub fn sort_key(&self) -> String {
        format!("{:020}/{}", self.created, self.id)
    }

    /// What the audit log says of it: `/folder of ana to group crew, view`.
    pub fn audit_text(&self) -> String {
        format!(
            "/{} of {} to {}, {}",
            self.path, self.owner, self.to, self.rights
        )
    }

    /// What the audit log says of the name that a receiver gave it.
    pub fn audit_name_text(&self, account: &AccountName) -> String {
        format!(
            "{}: {account} names it {:?}",
            self.audit_text(),
            self.name_for(account)
        )
    }

    /// What the audit log says of a receiver who does not want it.
    pub fn audit_left_text(&self, account: &AccountName) -> String {
        format!("{}: {account} left it", self.audit_text())
    }

    /// Whether its time is not over.
    pub(super) fn is_live(&self) -> bool {
        self.expires
            .is_none_or(|end| end > unix_seconds(SystemTime::now()))
    }

    /// The key of its record.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.owner, self.id)
    }
}
