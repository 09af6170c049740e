//! The trash and the versions of files: seen, put back, deleted for good.

use super::ApiTag;
use super::bulk::submitted;
use super::caller::{AccountCaller, MemberCaller};
use super::files::ResourceKind;
use super::json::{Json, Path, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem};
use crate::audit::AuditKind as Act;
use crate::http::api::files;
use crate::model::{AccountName, VPath, time};
use crate::storage::history::{TrashedItem, Version};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Something in the trash.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TrashItem)]
pub struct TrashItemView {
    /// What it is called in the trash.
    pub id: String,
    /// Where it lay.
    pub path: String,
    /// What it is.
    pub kind: ResourceKind,
    /// Its length in bytes; 0 for a folder.
    pub size: u64,
    /// When it was deleted or replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<AccountName>,
}

/// Which page of whose trash.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrashQuery {
    /// The most items wanted, 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only what was deleted below this folder. In a folder that was shared with the account it is what the account deleted there, in a
    /// team folder what any member did.
    folder: Option<String>,
}

/// Where to restore to.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restoring {
    /// The path; where it lay if not said, or beside it under a free name.
    pub to: Option<String>,
    /// The folder whose trash it is in, as for the list.
    pub folder: Option<String>,
}

/// Where something is now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Restored)]
pub struct RestoredItem {
    /// The path.
    pub path: String,
}

/// How much was deleted for good.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Purged {
    /// Items of the trash.
    pub items: u64,
}

/// A former content of a file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FileVersion {
    /// What it is called among the versions of the file.
    pub id: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: String,
    /// When another content took its place.
    pub replaced: String,
}

/// The versions of a file, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FileVersions {
    /// The versions.
    pub items: Vec<FileVersion>,
}

/// Which file.
#[derive(Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// The path.
    pub path: String,
}

/// Which version of which file.
#[derive(Debug, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionOf {
    /// The path of the file.
    pub path: String,
    /// The version's id.
    pub id: String,
}

/// What lies in the trash, newest first.
#[utoipa::path(get, path = "/api/v1/trash", tag = ApiTag::HISTORY, operation_id = "listTrash", params(TrashQuery),
    responses((status = 200, body = Page<TrashItemView>), Failures))]
pub async fn list(
    account: AccountCaller,
    Query(query): Query<TrashQuery>,
) -> Result<axum::Json<Page<TrashItemView>>, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    let folder = query.folder.map(|path| VPath::parse(&path)).transpose()?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let items = drive
        .list_trash(folder.as_ref(), page.after()?.as_deref(), page.size()? + 1)
        .await?;
    Ok(axum::Json(page.close(
        items.into_iter().map(TrashItemView::from).collect(),
        |item| item.id.clone(),
    )?))
}

/// Puts something back from the trash.
#[utoipa::path(post, path = "/api/v1/trash/{id}/restore", tag = ApiTag::HISTORY, operation_id = "restoreFromTrash",
    params(("id" = String, Path, description = "What it is called in the trash.")), request_body = Restoring,
    responses((status = 200, body = RestoredItem), Failures))]
pub async fn restore(
    account: AccountCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(restoring): Json<Restoring>,
) -> Result<axum::Json<RestoredItem>, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    let tokens = submitted(&headers)?;
    let path = |text: Option<String>| text.map(|path| VPath::parse(&path)).transpose();
    let wish = path(restoring.to)?;
    let folder = path(restoring.folder)?;
    let path = account
        .app
        .run_to_completion(async move {
            drive
                .restore_from_trash(folder.as_ref(), &id, wish, tokens)
                .await
        })
        .await?;
    Ok(axum::Json(RestoredItem {
        path: format!("/{path}"),
    }))
}

/// Deletes something in the trash for good.
#[utoipa::path(delete, path = "/api/v1/trash/{id}", tag = ApiTag::HISTORY, operation_id = "purgeFromTrash",
    params(("id" = String, Path, description = "What it is called in the trash.")),
    responses((status = 204, description = "It is gone."), Failures))]
pub async fn purge(account: AccountCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    let reporter = account.reporter();
    let work = async move {
        let purged = drive.purge(&id).await;
        let name = drive.identity().account.as_str();
        reporter
            .report(
                Act::HistoryPurged,
                name,
                format!("{id:?} of the trash"),
                &purged,
            )
            .await;
        purged
    };
    account.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes all that lies in the trash for good.
#[utoipa::path(delete, path = "/api/v1/trash", tag = ApiTag::HISTORY, operation_id = "emptyTrash",
    responses((status = 200, body = Purged), Failures))]
pub async fn empty(account: AccountCaller) -> Result<axum::Json<Purged>, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    let reporter = account.reporter();
    let work = async move {
        let emptied = drive.empty_trash().await;
        let note = emptied
            .as_ref()
            .map(|items| format!("all of the trash: {items}"))
            .unwrap_or_default();
        let is_change = emptied.as_ref().is_ok_and(|items| *items > 0);
        let name = drive.identity().account.as_str();
        reporter
            .report_change(Act::HistoryPurged, name, note, (&emptied, is_change))
            .await;
        emptied
    };
    Ok(axum::Json(Purged {
        items: account.app.run_to_completion(work).await?,
    }))
}

/// Deletes a former content of a file for good.
#[utoipa::path(delete, path = "/api/v1/versions", tag = ApiTag::HISTORY, operation_id = "purgeVersion", params(VersionOf),
    responses((status = 204, description = "It is gone."), Failures))]
pub async fn purge_version(
    account: AccountCaller,
    Query(version): Query<VersionOf>,
) -> Result<StatusCode, Problem> {
    let path = VPath::parse(&version.path)?;
    let drive = account.app.drive(&account.identity).await?;
    let reporter = account.reporter();
    let work = async move {
        let purged = drive.purge_version(&path, &version.id).await;
        let note = format!("a version of /{path}");
        reporter
            .report(
                Act::HistoryPurged,
                drive.identity().account.as_str(),
                note,
                &purged,
            )
            .await;
        purged
    };
    account.app.run_to_completion(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The versions of a file.
#[utoipa::path(get, path = "/api/v1/versions", tag = ApiTag::HISTORY, operation_id = "listVersions", params(FileQuery),
    responses((status = 200, body = FileVersions), Failures))]
pub async fn versions(
    member: MemberCaller,
    Query(query): Query<FileQuery>,
) -> Result<axum::Json<FileVersions>, Problem> {
    let versions = member
        .drive()
        .await?
        .versions(&VPath::parse(&query.path)?)
        .await?;
    Ok(axum::Json(FileVersions {
        items: versions.into_iter().map(FileVersion::from).collect(),
    }))
}

/// A former content.
#[utoipa::path(get, path = "/api/v1/versions/content", tag = ApiTag::HISTORY, operation_id = "downloadVersion", params(VersionOf),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The ranges asked for."), (status = 304, description = "It is as `If-None-Match` has it."),
        (status = 416, description = "The file ends before the range."), Failures))]
pub async fn download(
    member: MemberCaller,
    Query(query): Query<VersionOf>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = VPath::parse(&query.path)?;
    let reader = member.drive().await?.open_version(&path, &query.id).await?;
    Ok(files::served(reader, path.name(), &headers).await?)
}

/// Gives a file its former content again; the present one becomes a version.
#[utoipa::path(post, path = "/api/v1/versions/restore", tag = ApiTag::HISTORY, operation_id = "restoreVersion",
    request_body = VersionOf, responses((status = 204, description = "The file has that content again."), Failures))]
pub async fn revert(
    member: MemberCaller,
    headers: HeaderMap,
    Json(version): Json<VersionOf>,
) -> Result<StatusCode, Problem> {
    let tokens = submitted(&headers)?;
    let path = VPath::parse(&version.path)?;
    let drive = member.drive().await?;
    member
        .app
        .run_to_completion(async move { drive.restore_version(&path, &version.id, tokens).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<TrashedItem> for TrashItemView {
    fn from(item: TrashedItem) -> Self {
        let kind = ResourceKind::of(&item.node);
        let path = format!("/{}", item.path);
        let deleted = item.deleted_at.map(time::iso_date);
        Self {
            id: item.id,
            path,
            kind,
            size: item.node.len,
            deleted,
            by: item.deleted_by,
        }
    }
}

impl From<Version> for FileVersion {
    fn from(version: Version) -> Self {
        let modified = time::iso_date(version.node.modified);
        let replaced = time::iso_date(version.replaced_at);
        Self {
            id: version.id,
            size: version.node.len,
            modified,
            replaced,
        }
    }
}
