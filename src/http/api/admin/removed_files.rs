//! The files of removed accounts and team folders that lie aside, for administrators.

use crate::app::{Destination, RemovedFiles};
use crate::http::api::caller::AdminCaller;
use crate::http::api::document::ApiTag;
use crate::http::api::json::{Json, Path, Query};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where files are brought back to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BringBack {
    /// The home of an account, a folder in its drive, or a team folder.
    pub to: Destination,
}

/// What files that were brought back have become.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BroughtBack {
    /// The folder in the drive of the account, with `folder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub folder: Option<String>,
}

/// The files of removed accounts and team folders that lie aside, by place.
#[utoipa::path(get, path = "/api/v1/removed-files", tag = ApiTag::ACCOUNTS, operation_id = "listRemovedFiles", params(PageQuery),
    responses((status = 200, body = Page<RemovedFiles>), Failures))]
pub async fn list(
    AdminCaller { app, .. }: AdminCaller,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Page<RemovedFiles>>, Problem> {
    Ok(axum::Json(
        page.cut(app.removed_files(), |files| files.place.clone())?,
    ))
}

/// Bring such files back: into an account or team folder that holds none, or as a folder of an account's drive.
#[utoipa::path(post, path = "/api/v1/removed-files/{id}/restore", tag = ApiTag::ACCOUNTS, operation_id = "restoreRemovedFiles",
    params(("id" = String, Path)), request_body = BringBack,
    responses((status = 200, body = BroughtBack), Failures))]
pub async fn restore(
    admin: AdminCaller,
    Path(id): Path<String>,
    Json(wish): Json<BringBack>,
) -> Result<axum::Json<BroughtBack>, Problem> {
    let work = admin.at_work();
    let folder = admin
        .app
        .run_to_completion(async move { work.restore_removed(&id, wish.to).await })
        .await?;
    Ok(axum::Json(BroughtBack {
        folder: folder.map(|path| format!("/{path}")),
    }))
}

/// Delete such files for good, trash and versions too.
#[utoipa::path(delete, path = "/api/v1/removed-files/{id}", tag = ApiTag::ACCOUNTS, operation_id = "purgeRemovedFiles",
    params(("id" = String, Path)), responses((status = 204, description = "They are deleted."), Failures))]
pub async fn purge(admin: AdminCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    admin
        .app
        .run_to_completion(async move { work.purge_removed_files(&id).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
