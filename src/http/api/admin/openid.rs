//! The identities at the sign-in provider that an account is linked to, for administrators.

use crate::http::api::caller::AdminCaller;
use crate::http::api::document::ApiTag;
use crate::http::api::json::{Json, Path, Query};
use crate::http::api::openid_links::{OpenIdLinkView, page_of};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::model::{AccountName, Error};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who it is at the provider.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectWish {
    /// The provider's own id of them, `sub`.
    #[schema(min_length = 1, max_length = 255)]
    pub subject: String,
}

/// Whom of the provider an account belongs to.
#[utoipa::path(get, path = "/api/v1/accounts/{name}/openid", tag = ApiTag::ACCOUNTS, operation_id = "listAccountOpenidLinks",
    params(("name" = AccountName, Path), PageQuery), responses((status = 200, body = Page<OpenIdLinkView>), Failures))]
pub async fn list(
    AdminCaller { app, .. }: AdminCaller,
    Path(name): Path<AccountName>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Page<OpenIdLinkView>>, Problem> {
    app.auth.account(&name).ok_or(Error::NotFound)?;
    Ok(axum::Json(page_of(
        &app.auth.openid_links_of(&name),
        &page,
    )?))
}

/// Link an account to somebody of the provider.
#[utoipa::path(post, path = "/api/v1/accounts/{name}/openid", tag = ApiTag::ACCOUNTS, operation_id = "linkAccountOpenid",
    params(("name" = AccountName, Path)), request_body = SubjectWish,
    responses((status = 201, body = OpenIdLinkView), Failures))]
pub async fn link(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
    Json(wish): Json<SubjectWish>,
) -> Result<(StatusCode, axum::Json<OpenIdLinkView>), Problem> {
    let work = admin.at_work();
    let linked = admin
        .app
        .run_to_completion(async move { work.link_openid(&name, &wish.subject).await })
        .await?;
    Ok((
        StatusCode::CREATED,
        axum::Json(OpenIdLinkView::from(&linked)),
    ))
}

/// End the links of an account: nobody of the provider signs in to it any more. Its sessions go on.
#[utoipa::path(delete, path = "/api/v1/accounts/{name}/openid", tag = ApiTag::ACCOUNTS, operation_id = "unlinkAccountOpenid",
    params(("name" = AccountName, Path)), responses((status = 204), Failures))]
pub async fn unlink(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    admin
        .app
        .run_to_completion(async move { work.unlink_openid(&name).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
