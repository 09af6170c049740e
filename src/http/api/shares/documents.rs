//! Shares as the API shows and takes them.

use crate::http::api::field_patch::FieldPatch;
use crate::http::api::fields::date;
use crate::model::{AccountName, Rights, VPath};
use crate::sharing::groups::Grantee;
use crate::sharing::shares::Share;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What those may do whom something is shared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Granted {
    /// See and download.
    View,
    /// Everything but sharing it on.
    Edit,
}

impl From<Granted> for Rights {
    fn from(granted: Granted) -> Self {
        match granted {
            Granted::View => Self::View,
            Granted::Edit => Self::Edit,
        }
    }
}

impl From<Rights> for Granted {
    fn from(rights: Rights) -> Self {
        if rights == Rights::Edit {
            Self::Edit
        } else {
            Self::View
        }
    }
}

/// A share to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// The file or folder in your drive.
    pub path: String,
    /// Whom to share it with.
    pub to: Grantee,
    /// What they may do.
    pub rights: Granted,
    /// When the share ends by itself (RFC 3339, UTC).
    pub expires: Option<String>,
    /// A word to the receivers.
    pub note: Option<String>,
}

/// A change to a share: its owner changes all but the name, a receiver the name alone.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareChange {
    /// What the receivers may do.
    pub rights: Option<Granted>,
    /// When the share ends by itself; `null` for never.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires: FieldPatch<String>,
    /// A word to the receivers.
    pub note: Option<String>,
    /// The name under which you want to see it.
    pub name: Option<String>,
}

/// A share, as the account that made it sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Outgoing)]
pub struct OutgoingShare {
    /// The id.
    pub id: String,
    /// The file or folder in your drive.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Whom it is shared with.
    pub to: Grantee,
    /// What they may do.
    pub rights: Granted,
    /// When it was made.
    pub created: String,
    /// When it ends by itself; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Your word to the receivers.
    pub note: String,
}

/// A share, as an account that it was made for sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incoming)]
pub struct IncomingShare {
    /// The id.
    pub id: String,
    /// Whose it is.
    pub owner: AccountName,
    /// Where it shows in your drive.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// What you may do.
    pub rights: Granted,
    /// When it was made.
    pub created: String,
    /// When it ends by itself; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The owner's word to you.
    pub note: String,
}

impl OutgoingShare {
    /// The document of this share.
    pub fn of(share: &Share) -> Self {
        Self {
            id: share.id.clone(),
            path: format!("/{}", share.path()),
            folder: share.folder,
            to: share.to.named.clone(),
            rights: share.rights.into(),
            created: date(share.created),
            expires: share.expires.map(date),
            note: share.note.clone(),
        }
    }
}

impl IncomingShare {
    /// The document of this share, mounted at `at`.
    pub fn of(share: &Share, at: &VPath) -> Self {
        Self {
            id: share.id.clone(),
            owner: share.owner.clone(),
            path: format!("/{at}"),
            folder: share.folder,
            rights: share.rights.into(),
            created: date(share.created),
            expires: share.expires.map(date),
            note: share.note.clone(),
        }
    }
}
