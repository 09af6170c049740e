//! All shares and public links of all accounts, for administrators.

use crate::http::api::caller::AdminCaller;
use crate::http::api::document::ApiTag;
use crate::http::api::json::{Path, Query};
use crate::http::api::links::LinkView;
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::http::api::shares::OutgoingShare;
use crate::model::AccountName;
use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A share and whose it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SomebodysShare {
    /// Who made it; paths are in this account's drive.
    pub owner: AccountName,
    /// The share.
    #[serde(flatten)]
    pub share: OutgoingShare,
}

/// A public link and whose it is; its token is told to nobody.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SomebodysLink {
    /// Who made it; paths are in this account's drive.
    pub owner: AccountName,
    /// The link.
    #[serde(flatten)]
    pub link: LinkView,
}

/// The shares of all accounts, oldest first.
#[utoipa::path(get, path = "/api/v1/admin/shares", tag = ApiTag::SHARES, operation_id = "listAllShares", params(PageQuery),
    responses((status = 200, body = Page<SomebodysShare>), Failures))]
pub async fn shares(
    AdminCaller { app, .. }: AdminCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SomebodysShare>>, Problem> {
    let page = page.cut(app.sharing.shares.list(), |share| share.sort_key())?;
    let items = page.items.iter();
    let items = items.map(|share| SomebodysShare {
        owner: share.owner.clone(),
        share: OutgoingShare::of(share),
    });
    Ok(Json(Page {
        items: items.collect(),
        next: page.next,
    }))
}

/// Ends a share, whoever made it.
#[utoipa::path(delete, path = "/api/v1/admin/shares/{id}", tag = ApiTag::SHARES, operation_id = "endAnyShare", params(("id" = String, Path)),
    responses((status = 204, description = "It is no more."), Failures))]
pub async fn end_share(admin: AdminCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    admin
        .app
        .run_to_completion(async move { work.revoke_share(&id).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The public links of all accounts.
#[utoipa::path(get, path = "/api/v1/admin/links", tag = ApiTag::LINKS, operation_id = "listAllLinks", params(PageQuery),
    responses((status = 200, body = Page<SomebodysLink>), Failures))]
pub async fn links(
    AdminCaller { app, .. }: AdminCaller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SomebodysLink>>, Problem> {
    let page = page.cut(app.links.list(), |link| link.id.clone())?;
    let items = page.items.iter();
    let items = items.map(|link| SomebodysLink {
        owner: link.record.owner.clone(),
        link: LinkView::from(link),
    });
    Ok(Json(Page {
        items: items.collect(),
        next: page.next,
    }))
}

/// Ends a public link, whoever made it.
#[utoipa::path(delete, path = "/api/v1/admin/links/{id}", tag = ApiTag::LINKS, operation_id = "endAnyLink", params(("id" = String, Path)),
    responses((status = 204, description = "It is no more."), Failures))]
pub async fn end_link(admin: AdminCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    admin
        .app
        .run_to_completion(async move { work.revoke_link(&id).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
