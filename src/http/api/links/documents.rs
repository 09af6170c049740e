//! Links as the API shows and takes them.

use crate::http::api::field_patch::FieldPatch;
use crate::http::api::fields::date;
use crate::http::api::files::ResourceKind;
use crate::links::Link;
use crate::model::Rights;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// What it shows, in the home of the account.
    pub(super) path: String,
    /// What may be done with it: `view` if not said; `drop` and `edit` are for folders.
    pub(super) rights: Option<Rights>,
    /// A password that visitors must give.
    #[schema(value_type = Option<String>)]
    pub(super) password: Option<Zeroizing<String>>,
    /// When it ends (RFC 3339).
    pub(super) expires: Option<String>,
    /// How many downloads it allows.
    #[schema(minimum = 1)]
    pub(super) max_downloads: Option<u64>,
    /// What its owner says about it.
    #[serde(default)]
    pub(super) note: String,
}

/// What changes of a link; what is not said stays, and `null` takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkChange {
    /// What may be done with it.
    pub(super) rights: Option<Rights>,
    /// A password that visitors must give.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) password: FieldPatch<Zeroizing<String>>,
    /// When it ends (RFC 3339).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) expires: FieldPatch<String>,
    /// How many downloads it allows in all.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub(super) max_downloads: FieldPatch<u64>,
    /// What its owner says about it.
    pub(super) note: Option<String>,
}

/// A link, as its owner sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// The id.
    pub id: String,
    /// What it shows.
    pub path: String,
    /// What that is.
    pub kind: ResourceKind,
    /// What may be done with it.
    pub rights: Rights,
    /// Whether visitors must give a password.
    pub has_password: bool,
    /// When it ends; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// How many downloads it allows; absent for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_downloads: Option<u64>,
    /// How many downloads there were.
    pub downloads: u64,
    /// When it was made.
    pub created: String,
    /// When it was used last; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// What its owner says about it.
    pub note: String,
}

/// A new link, with what is never told again.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedLink {
    #[serde(flatten)]
    pub(super) link: LinkView,
    /// The secret of the link.
    pub(super) token: String,
    /// Where visitors find it, on this server.
    pub(super) url: String,
}

impl std::fmt::Debug for NewLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLink")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LinkChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkChange").finish_non_exhaustive()
    }
}

impl From<&Link> for LinkView {
    fn from(link: &Link) -> Self {
        let record = link.record.as_ref();
        Self {
            id: link.id.clone(),
            path: record.path.clone(),
            kind: if record.target.folder {
                ResourceKind::Folder
            } else {
                ResourceKind::File
            },
            rights: record.rights,
            has_password: record.password.is_some(),
            expires: record.expires.map(date),
            max_downloads: record.max_downloads,
            downloads: record.downloads,
            created: date(record.created),
            last_used: record.last_used.map(date),
            note: record.note.clone(),
        }
    }
}
