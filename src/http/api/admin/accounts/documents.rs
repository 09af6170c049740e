//! Accounts as administrators see and change them.

use crate::app::{App, TreeKind};
use crate::auth::AccountView;
use crate::http::api::fields::date;
use crate::http::api::json::{given, stated};
use crate::model::{AccountName, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

/// An account, as administrators see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccountDocument {
    /// The name.
    pub name: AccountName,
    /// The role.
    pub role: Role,
    /// Whether sign-in is refused.
    pub disabled: bool,
    /// The quota in bytes; null when unlimited.
    pub quota: Option<u64>,
    /// When it was made.
    pub created: String,
    /// The e-mail address; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub email: Option<String>,
    /// The folder on the server's disk that its files lie in, if that was there before; absent for one of the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub home: Option<String>,
    /// Bytes in its drive, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub used: Option<u64>,
}

impl AccountDocument {
    pub(in crate::http::api) fn of(app: &App, view: AccountView) -> Self {
        let created = date(view.created);
        let home = app.existing_folder(TreeKind::Home, view.name.as_str());
        let AccountView {
            name,
            role,
            disabled,
            quota,
            email,
            ..
        } = view;
        Self {
            name,
            role,
            disabled,
            quota,
            created,
            email,
            home,
            used: None,
        }
    }
}

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// The most items wanted, 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Only names that contain this.
    pub query: Option<String>,
    /// Whether the bytes in each drive are wanted.
    pub usage: Option<bool>,
}

/// A new account.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The name.
    pub name: AccountName,
    /// The password; its holder can change it.
    #[schema(value_type = String, min_length = 1)]
    pub password: Zeroizing<String>,
    /// The role; `user` if not said.
    #[serde(default = "user")]
    pub role: Role,
    /// The quota in bytes, null for unlimited; that of the settings if not said.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<u64>)]
    pub quota: Option<Option<u64>>,
    /// A folder on the server's disk, by its whole path, that its files lie in from now on, with all that is there already; it must lie in one
    /// that the settings name (`[storage] allowed`). One of the data folder if not said.
    #[serde(
        default,
        deserialize_with = "stated",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false, min_length = 1)]
    pub home: Option<String>,
}

/// What changes of an account; what is not said stays.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// The role.
    #[serde(
        default,
        deserialize_with = "stated",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    pub role: Option<Role>,
    /// The quota in bytes; null is unlimited.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<u64>)]
    pub quota: Option<Option<u64>>,
    /// Whether sign-in is refused.
    #[serde(
        default,
        deserialize_with = "stated",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
}

/// A new password.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The new password.
    #[schema(value_type = String, min_length = 1)]
    pub password: Zeroizing<String>,
}

/// An e-mail address.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEmail {
    /// The address; null for none.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, max_length = 254)]
    pub email: Option<String>,
}

/// What becomes of the files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FilesFate {
    /// They stay on the server's disk, aside, until an administrator brings them back or deletes them.
    Keep,
    /// They are deleted.
    Purge,
    /// They become a folder in another account's drive.
    Transfer,
}

/// How to remove an account.
#[derive(Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountRemovalQuery {
    /// What becomes of its files.
    #[param(inline)]
    pub files: FilesFate,
    /// To which account they go, with `transfer`.
    #[param(value_type = Option<AccountName>)]
    pub to: Option<AccountName>,
    /// With `purge`, the folder that its files lie in, if that was there before (`home`): such a folder is deleted from only for whoever
    /// names it, and stays where it is with `keep`.
    pub path: Option<String>,
}

/// What became of a removed account's files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Removed)]
pub struct RemovedAccount {
    /// Where in the other account's drive they are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub folder: Option<String>,
    /// Where on the server's disk they lie: aside in the data folder, or, by its whole path, in a folder that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kept: Option<String>,
}

fn user() -> Role {
    Role::User
}
