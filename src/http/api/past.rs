//! The trash and the versions of files: seen, put back, deleted for good.

use super::Tag;
use super::caller::{Account, Member};
use super::files::Kind;
use super::json::{Json, Path, Query};
use super::page::{Page, PageQuery};
use super::problem::{Failures, Problem};
use crate::content::history::{Trashed, Version};
use crate::drive::{Drive, Terms};
use crate::http::api::files;
use crate::model::{AccountName, Error, Result, VPath, time};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How many names are tried beside one that is taken.
const TRIES: u32 = 100;

/// Something in the trash.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrashItem {
    /// What it is called in the trash.
    id: String,
    /// Where it lay.
    path: String,
    /// What it is.
    kind: Kind,
    /// Its length in bytes; 0 for a folder.
    size: u64,
    /// When it was deleted or replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<AccountName>,
}

/// Where to restore to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restoring {
    /// The path; where it lay if not said, or beside it under a free name.
    to: Option<String>,
}

/// Where something is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Restored {
    /// The path.
    path: String,
}

/// A former content of a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileVersion {
    /// What it is called among the versions of the file.
    id: String,
    /// Its length in bytes.
    size: u64,
    /// When it was written.
    modified: String,
    /// When another content took its place.
    replaced: String,
}

/// The versions of a file, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileVersions {
    /// The versions.
    items: Vec<FileVersion>,
}

/// Which file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// The path.
    path: String,
}

/// Which version of which file.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionOf {
    /// The path of the file.
    path: String,
    /// The version's id.
    id: String,
}

/// What lies in the trash, newest first.
#[utoipa::path(get, path = "/api/v1/trash", tag = Tag::PAST, operation_id = "listTrash", params(PageQuery),
    responses((status = 200, body = Page<TrashItem>), Failures))]
pub async fn list(account: Account, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<TrashItem>>, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    let items = drive.trashed(query.after()?.as_deref(), query.size()? + 1).await?;
    Ok(axum::Json(query.close(items.into_iter().map(TrashItem::from).collect(), |item| item.id.clone())?))
}

/// Puts something back from the trash.
#[utoipa::path(post, path = "/api/v1/trash/{id}/restore", tag = Tag::PAST, operation_id = "restoreFromTrash",
    params(("id" = String, Path, description = "What it is called in the trash.")), request_body = Restoring,
    responses((status = 200, body = Restored), Failures))]
pub async fn restore(
    account: Account,
    Path(id): Path<String>,
    Json(restoring): Json<Restoring>,
) -> Result<axum::Json<Restored>, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    let wish = restoring.to.map(|to| VPath::parse(&to)).transpose()?;
    let path = account.app.finish(async move { put_back(&drive, &id, wish).await }).await?;
    Ok(axum::Json(Restored { path: format!("/{path}") }))
}

/// Deletes something in the trash for good.
#[utoipa::path(delete, path = "/api/v1/trash/{id}", tag = Tag::PAST, operation_id = "purgeFromTrash",
    params(("id" = String, Path, description = "What it is called in the trash.")),
    responses((status = 204, description = "It is gone."), Failures))]
pub async fn purge(account: Account, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let drive = account.app.drive(&account.identity).await?;
    account.app.finish(async move { drive.purge(&id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The versions of a file.
#[utoipa::path(get, path = "/api/v1/versions", tag = Tag::PAST, operation_id = "listVersions", params(FileQuery),
    responses((status = 200, body = FileVersions), Failures))]
pub async fn versions(member: Member, Query(query): Query<FileQuery>) -> Result<axum::Json<FileVersions>, Problem> {
    let versions = member.drive().await?.versions(&VPath::parse(&query.path)?).await?;
    Ok(axum::Json(FileVersions { items: versions.into_iter().map(FileVersion::from).collect() }))
}

/// A former content.
#[utoipa::path(get, path = "/api/v1/versions/content", tag = Tag::PAST, operation_id = "downloadVersion", params(VersionOf),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The ranges asked for."), (status = 304, description = "It is as `If-None-Match` has it."),
        (status = 416, description = "The file ends before the range."), Failures))]
pub async fn download(member: Member, Query(query): Query<VersionOf>, headers: HeaderMap) -> Result<Response, Problem> {
    let path = VPath::parse(&query.path)?;
    let reader = member.drive().await?.open_version(&path, &query.id).await?;
    Ok(files::served(reader, path.name(), &headers).await?)
}

/// Gives a file its former content again; the present one becomes a version.
#[utoipa::path(post, path = "/api/v1/versions/restore", tag = Tag::PAST, operation_id = "restoreVersion",
    request_body = VersionOf, responses((status = 204, description = "The file has that content again."), Failures))]
pub async fn revert(member: Member, Json(version): Json<VersionOf>) -> Result<StatusCode, Problem> {
    let path = VPath::parse(&version.path)?;
    let drive = member.drive().await?;
    member.app.finish(async move { drive.revert(&path, &version.id, Terms::default()).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restores to `wish`, or else to where it lay, or else beside that.
async fn put_back(drive: &Drive, id: &str, wish: Option<VPath>) -> Result<VPath> {
    if let Some(path) = wish {
        drive.untrash(id, &path, Terms::default()).await?;
        return Ok(path);
    }
    let path = drive.trash_item(id).await?.path;
    for n in 0..TRIES {
        let path = beside(&path, n)?;
        match drive.untrash(id, &path, Terms::default()).await {
            Err(Error::Exists) => {}
            outcome => return outcome.map(|()| path),
        }
    }
    Err(Error::Exists)
}

/// The path itself, then `name (restored).txt`, `name (restored 2).txt` and so on.
fn beside(path: &VPath, n: u32) -> Result<VPath> {
    let mark = match n {
        0 => return Ok(path.clone()),
        1 => " (restored)".to_owned(),
        n => format!(" (restored {n})"),
    };
    let name = path.name().unwrap_or_default();
    let dot = name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    path.parent().unwrap_or_default().join(&format!("{stem}{mark}{extension}"))
}

impl From<Trashed> for TrashItem {
    fn from(item: Trashed) -> Self {
        let kind = Kind::of(&item.node);
        let (path, deleted) = (format!("/{}", item.path), item.when.map(time::iso_date));
        Self { id: item.id, path, kind, size: item.node.len, deleted, by: item.who }
    }
}

impl From<Version> for FileVersion {
    fn from(version: Version) -> Self {
        let (modified, replaced) = (time::iso_date(version.node.modified), time::iso_date(version.replaced));
        Self { id: version.id, size: version.node.len, modified, replaced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_keeps_its_extension() {
        let names = |path: &str| [0, 1, 2].map(|n| beside(&VPath::parse(path).unwrap(), n).unwrap().to_string());
        assert_eq!(names("a/b.tar.gz"), ["a/b.tar.gz", "a/b.tar (restored).gz", "a/b.tar (restored 2).gz"]);
        assert_eq!(names(".hidden"), [".hidden", ".hidden (restored)", ".hidden (restored 2)"]);
    }
}
