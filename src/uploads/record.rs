//! The record of an upload: what it is to become.

use crate::model::{AccountName, RelPath, Result, VPath};
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// What is stored of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// Whose upload it is.
    pub owner: AccountName,
    /// The folder that the drive was confined to when it began.
    pub scope: String,
    /// Where it goes in that drive.
    pub path: String,
    /// The tree that it is kept in.
    pub root: String,
    /// Where it goes in the root.
    pub at: String,
    /// Its length in bytes.
    pub len: u64,
    /// What its client says about it, as it said it.
    pub metadata: String,
    /// The modification time that it gets, in seconds since 1970.
    pub modified: Option<i64>,
    /// Whether nothing may stand there.
    pub fresh: bool,
    /// The entity tags of which what stands there must have one; empty for any.
    pub tags: Vec<String>,
    /// When it is given up, in seconds since 1970.
    pub expires: i64,
    /// The entity tag of the file it has become.
    pub published: Option<String>,
}

impl Record for UploadRecord {
    const VERSION: u32 = 1;
}

/// What an upload is to become.
#[derive(Clone, Debug)]
pub struct UploadSpec {
    /// Where it goes.
    pub path: VPath,
    /// Its length in bytes.
    pub len: u64,
    /// What its client says about it.
    pub metadata: String,
    /// The modification time that it gets, in seconds since 1970.
    pub modified: Option<i64>,
    /// Whether nothing may stand there.
    pub fresh: bool,
    /// The entity tags of which what stands there must have one; empty for any.
    pub tags: Vec<String>,
}

impl UploadRecord {
    /// Where it goes in its root.
    pub fn place(&self) -> Result<RelPath> {
        RelPath::parse(&self.at)
    }
}
