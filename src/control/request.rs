//! What can be asked of a server over its control socket, and what it answers.

use super::password::{Password, QuotaChoice};
use crate::admin::FilesDisposal;
use crate::admin::history::{HistoryRequest, HistoryResponse};
use crate::admin::teams::TeamSummary;
use crate::admin::{OpenLock, Overview};
use crate::app::{Destination, RemovedFiles};
use crate::audit::{AuditEntry, AuditFilter};
use crate::auth::AccountView;
use crate::failures::ClientFailure;
use crate::model::{AccountName, Role};
use crate::sharing::teams::TeamFolderMember;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Make an account.
    UserAdd {
        /// Its name.
        name: AccountName,
        /// Its role.
        role: Role,
        /// Its quota.
        quota: QuotaChoice,
        /// Its password.
        password: Password,
        /// The folder that was there before, in which its files lie; `None` for one of the data folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<String>,
    },
    /// Show all accounts.
    UserList,
    /// Set a password.
    UserPasswd {
        /// Whose.
        name: AccountName,
        /// The new password.
        password: Password,
    },
    /// End two-factor sign-in.
    UserTwoFactorOff {
        /// Whose.
        name: AccountName,
    },
    /// Forbid sign-in.
    UserDisable {
        /// Whose.
        name: AccountName,
    },
    /// Allow sign-in again.
    UserEnable {
        /// Whose.
        name: AccountName,
    },
    /// Remove an account.
    UserRemove {
        /// Which.
        name: AccountName,
        /// What becomes of its files.
        files: FilesDisposal,
    },
    /// Set a quota.
    UserQuota {
        /// Whose.
        name: AccountName,
        /// Bytes; `None` is unlimited.
        quota: Option<u64>,
    },
    /// Set a role.
    UserRole {
        /// Whose.
        name: AccountName,
        /// The role.
        role: Role,
    },
    /// Set an e-mail address.
    UserEmail {
        /// Whose.
        name: AccountName,
        /// The address; `None` for none.
        email: Option<String>,
    },
    /// Link an account to a subject of the sign-in provider.
    UserLink {
        /// Which account.
        name: AccountName,
        /// Who it is at the provider.
        subject: String,
    },
    /// End the links of an account.
    UserUnlink {
        /// Which account.
        name: AccountName,
    },
    /// Show why clients of an account failed lately.
    UserFailures {
        /// Whose.
        name: AccountName,
    },
    /// Make a team folder.
    TeamAdd {
        /// Its name.
        name: String,
        /// Who may use it.
        members: Vec<TeamFolderMember>,
        /// Bytes; `None` is unlimited.
        quota: Option<u64>,
        /// As `home` of an account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
    /// Show all team folders.
    TeamList,
    /// Remove a team folder.
    TeamRemove {
        /// Which.
        name: String,
        /// What becomes of its files; they are not transferred.
        files: FilesDisposal,
    },
    /// Show the files of removed accounts and team folders that lie aside.
    RemovedList,
    /// Bring such files back.
    RemovedRestore {
        /// Their id or place.
        which: String,
        /// Where to.
        to: Destination,
    },
    /// Delete such files for good.
    RemovedPurge {
        /// Their id or place.
        which: String,
    },
    /// Give up a home or team folder that is missing.
    NewHome {
        /// Its place in the data folder: `homes/ana`.
        place: String,
    },
    /// Show entries of the audit log, newest first.
    Audit {
        /// Which.
        filter: AuditFilter,
        /// How many at most.
        limit: u32,
    },
    /// Show how the server is.
    Overview,
    /// Write all state to a file.
    Export,
    /// Count the files of open homes and team folders anew.
    AuditBooks,
    /// Show the locks.
    LockList,
    /// End a lock.
    LockBreak {
        /// Its id, from the list.
        id: String,
    },
    /// Look at the past of a drive, or restore from it.
    Past {
        /// Whose.
        name: AccountName,
        /// What.
        what: HistoryRequest,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done.
    Done,
    /// The account is removed, and its files are in this folder (`/Files of ana`) of the other account's drive; `None` when there
    /// were none.
    Moved(Option<String>),
    /// The account or team folder is removed, and its files lie aside in this place of the data folder, or where they were before, by the
    /// whole path; `None` when there were none.
    Aside(Option<String>),
    /// All team folders, by name.
    Teams(Vec<TeamSummary>),
    /// Files that lie aside.
    Removed(Vec<RemovedFiles>),
    /// All accounts, by name.
    Accounts(Vec<AccountView>),
    /// Why clients failed, newest first.
    Failures(Vec<ClientFailure>),
    /// Entries of the audit log, newest first.
    Audit(Vec<AuditEntry>),
    /// How the server is.
    Overview(Box<Overview>),
    /// All state is in the file of this name in `state/for-backup`, which whoever asked is to remove.
    Exported(String),
    /// Homes and team folders whose books were wrong: what they said, and what there is.
    Books(Vec<(String, u64, u64)>),
    /// The locks.
    Locks(Vec<OpenLock>),
    /// What there is of the past, or what became of it.
    Past(HistoryResponse),
    /// It is not done; the sentence says why.
    Refused(String),
}
