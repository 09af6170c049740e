//! The account that asks: what it is and what it uses.

use super::Tag;
use super::caller::Member;
use super::problem::{Failures, Problem};
use crate::model::{AccountName, Error, Role, VPath, time};
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// An account, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The name.
    pub name: AccountName,
    /// The role.
    pub role: Role,
    /// When the account was made.
    pub created: String,
    /// The quota in bytes; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Bytes in the drive.
    pub used: u64,
    /// Bytes that can still be stored.
    pub available: u64,
}

/// The account that asks.
#[utoipa::path(get, path = "/api/v1/me", tag = Tag::ACCOUNT, operation_id = "me", responses((status = 200, body = Me), Failures))]
pub async fn show(member: Member) -> Result<Json<Me>, Problem> {
    let view = member.app.auth.account(&member.identity.account).ok_or(Error::Unauthenticated)?;
    let quota = member.drive().await?.quota(&VPath::root()).await?;
    Ok(Json(Me {
        name: view.name,
        role: view.role,
        created: time::iso_date(time::from_unix_seconds(view.created)),
        quota: view.quota,
        used: quota.used,
        available: quota.available,
    }))
}
