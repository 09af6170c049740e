//! Whom something is shared with: an account, or a group by its name and id.

use crate::model::{AccountName, Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A checked group name, of the same form as an account name.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
pub struct GroupName(String);

impl GroupName {
    /// Folds ASCII case and checks the form.
    pub fn parse(text: &str) -> Result<Self> {
        AccountName::parse(text).map(|name| Self(name.into())).map_err(|_| {
            Error::BadName(
                "A group name is 1 to 64 letters a-z, digits, dots, underscores or hyphens, and begins with a letter or digit.",
            )
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for GroupName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom something is shown to.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Grantee {
    /// One account.
    Account(AccountName),
    /// Every account that is in a group at the time.
    Group(GroupName),
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => name.fmt(f),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// A grantee as records name it: the name of a group can be given again, its id cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GranteeRef {
    /// Whom the record names.
    #[serde(rename = "to")]
    pub named: Grantee,
    /// The id of the group; none for an account, and for a group of before groups had ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
}

impl GranteeRef {
    /// A group by its name and id.
    pub fn to_group(name: &GroupName, group_id: Option<&str>) -> Self {
        Self {
            named: Grantee::Group(name.clone()),
            group_id: group_id.map(str::to_owned),
        }
    }
}

impl From<AccountName> for GranteeRef {
    fn from(name: AccountName) -> Self {
        Self {
            named: Grantee::Account(name),
            group_id: None,
        }
    }
}

impl fmt::Display for GranteeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named.fmt(f)
    }
}
