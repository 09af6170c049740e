//! Records of removals: what is removed, and which steps are left.

use super::super::homes::{LeftFolder, TreeKind};
use crate::model::{AccountName, VPath};
use crate::state::table;
use serde::{Deserialize, Serialize};

/// What becomes of the files of a removed account or team folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilesDisposal {
    /// They stay on the disk, aside.
    Keep,
    /// They are deleted.
    Purge,
    /// They are deleted though they lie in a folder that was there before: this one.
    PurgeAt(String),
    /// They become a folder in the drive of this account.
    Transfer(AccountName),
}

impl FilesDisposal {
    /// Whether they are deleted.
    pub fn is_purge(&self) -> bool {
        matches!(self, Self::Purge | Self::PurgeAt(_))
    }
}

/// A removal: under way, or done, with files that lie aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalRecord {
    /// What was removed.
    pub kind: TreeKind,
    /// Its name.
    pub name: String,
    /// When it was made, in seconds since 1970; 0 when that is not known.
    pub created: i64,
    /// When it was removed, in seconds since 1970.
    pub removed: i64,
    /// What its folder is called aside, beside those of its kind.
    pub folder: String,
    /// What becomes of its files.
    pub files: FilesDisposal,
    /// Whether the name is free again.
    pub settled: bool,
    /// The folder that was there before, where its files lie there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<LeftFolder>,
    /// The id that lies in the `.sarang` of its files, where that is known: what has another is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
}

impl table::Record for RemovalRecord {
    const VERSION: u32 = 1;
}

impl RemovalRecord {
    /// Where its files lie: aside, in the data folder, or where they were before and are being deleted.
    pub fn place(&self) -> String {
        match &self.files {
            FilesDisposal::PurgeAt(path) => path.clone(),
            _ => format!("{}/{}", self.kind.folder(), self.folder),
        }
    }
}

/// One step of a removal; each can be taken again after a crash in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalStep {
    /// Sign-ins, app passwords, invites and links to the provider end.
    Credentials,
    /// Everything else that is keyed by the name ends: locks, shares, memberships, links, uploads.
    Records,
    /// The folder gets a name of its own, or is left where it was before.
    Aside,
    /// A transfer moves it into the drive of its receiver.
    Transfer,
    /// The name is free.
    Free,
}

impl RemovalStep {
    /// The steps in their order; before the first, the account or team folder is gone and the removal recorded.
    pub const ALL: [Self; 5] = [
        Self::Credentials,
        Self::Records,
        Self::Aside,
        Self::Transfer,
        Self::Free,
    ];
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalOutcome {
    /// The folder of the receiver's drive that they are in.
    pub moved: Option<VPath>,
    /// Where in the data folder they lie aside; the whole path of a folder that was there before, and stays.
    pub aside: Option<String>,
}
