//! Files and folders for browsers and scripts: a compact listing, what stands at a path, downloads, new folders.
//! Everything goes through the same [`Drive`] as WebDAV: one authorisation, one quota, one check of locks.

use super::ApiTag;
use super::bulk::submitted;
use super::caller::MemberCaller;
use super::json::{Json, Query};
use super::problem::{Failures, Problem};
use crate::drive::Drive;
use crate::http::conditional;
use crate::http::content_disposition::disposition;
use crate::http::media_type::media_type;
use crate::http::serve_file::serve;
use crate::model::time::unix_millis;
use crate::model::{Error, VPath};
use crate::storage::{Node, Reader};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::{IntoParams, ToSchema};

/// The most rows of one page, and how many it has when nobody says.
const MAX_ROWS: u16 = 10_000;

/// What a file may do that the app shows in a frame: nothing.
const FRAMED: &str = "sandbox; default-src 'none'; frame-ancestors 'self'";

/// One file or folder of a listing: name, kind, size in bytes, modification time in milliseconds since 1970, entity tag.
#[derive(Clone, Debug, Serialize)]
pub struct Row(pub String, pub ResourceKind, pub u64, pub i64, pub String);

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Kind)]
pub enum ResourceKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

impl Row {
    /// The row of a node under this name.
    pub fn new(name: String, node: &Node) -> Self {
        Self(
            name,
            ResourceKind::of(node),
            node.len,
            unix_millis(node.modified),
            node.etag.to_string(),
        )
    }
}

impl ResourceKind {
    /// What a node is.
    pub fn of(node: &Node) -> Self {
        if node.folder {
            Self::Folder
        } else {
            Self::File
        }
    }
}

/// Which folder, and which page of it.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The folder; the drive itself if not said.
    #[serde(default)]
    path: String,
    /// The most rows wanted, 10000 if not said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A path of the drive.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PathQuery {
    /// Names joined by slashes.
    pub path: String,
}

/// A folder's members in byte order of their names.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct FolderPage {
    /// Rows of name, kind (`file` or `folder`), size, modification time in milliseconds since 1970, entity tag.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub items: Vec<Row>,
    /// The cursor of the next page; absent when this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What stands at a path.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stat {
    /// The path.
    path: String,
    /// What it is.
    kind: ResourceKind,
    /// Bytes; 0 for a folder.
    size: u64,
    /// When it was last modified, in milliseconds since 1970.
    modified: i64,
    /// When it was made, in milliseconds since 1970.
    created: i64,
    /// The entity tag, as `If-Match` takes it.
    etag: String,
    /// The media type that it is served with.
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'static str>,
}

/// A folder to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFolder {
    path: String,
}

/// The members of a folder, up to 10,000 in one page.
#[utoipa::path(get, path = "/api/v1/files", tag = ApiTag::FILES, operation_id = "listFiles", params(ListQuery),
    responses((status = 200, body = FolderPage), (status = 304, description = "It is as `If-None-Match` has it."), Failures))]
pub async fn list(
    member: MemberCaller,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(MAX_ROWS);
    if !(1..=MAX_ROWS).contains(&limit) {
        return Err(Error::Invalid {
            pointer: "/limit".into(),
            why: "A page has 1 to 10000 rows.".into(),
        }
        .into());
    }
    let after = query.cursor.as_deref().map(decode).transpose()?;
    let drive = member.drive().await?;
    let page = page(
        &drive,
        &VPath::parse(&query.path)?,
        after.as_deref(),
        limit.into(),
    )
    .await?;
    tagged(&page, &headers).map_err(Problem)
}

/// The first `limit` rows of a folder whose names follow `after`.
pub async fn page(
    drive: &Drive,
    folder: &VPath,
    after: Option<&str>,
    limit: usize,
) -> Result<FolderPage, Error> {
    let mut entries = drive.list_after(folder, after, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let items: Vec<Row> = entries
        .into_iter()
        .map(|entry| Row::new(entry.name, &entry.node))
        .collect();
    let next = items
        .last()
        .filter(|_| more)
        .map(|row| BASE64_URL_SAFE_NO_PAD.encode(&row.0));
    Ok(FolderPage { items, next })
}

fn decode(cursor: &str) -> Result<String, Error> {
    let name = BASE64_URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| Error::Invalid {
        pointer: "/cursor".into(),
        why: "This is not a cursor that a page gave.".into(),
    })
}

/// JSON under an entity tag made of its text; 304 when the client has it.
fn tagged(value: &impl Serialize, headers: &HeaderMap) -> Result<Response, Error> {
    let text = serde_json::to_string(value).map_err(|e| Error::io("write the answer", e))?;
    let digest = Sha256::digest(&text);
    let etag = digest
        .iter()
        .take(12)
        .fold(String::from("\""), |mut tag, byte| {
            let _ = write!(tag, "{byte:02x}");
            tag
        })
        + "\"";
    let known = headers.contains_key(IF_NONE_MATCH)
        && conditional::evaluate(headers, &etag, SystemTime::now())?
            == conditional::ReadCondition::NotModified;
    let mut response = if known {
        Response::default()
    } else {
        Response::new(text.into())
    };
    *response.status_mut() = if known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        out.insert(ETAG, etag);
    }
    Ok(response)
}

/// What stands at a path.
#[utoipa::path(get, path = "/api/v1/files/stat", tag = ApiTag::FILES, operation_id = "statFile", params(PathQuery),
    responses((status = 200, body = Stat), Failures))]
pub async fn stat(
    member: MemberCaller,
    Query(query): Query<PathQuery>,
) -> Result<axum::Json<Stat>, Problem> {
    let path = VPath::parse(&query.path)?;
    let node = member.drive().await?.stat(&path).await?;
    Ok(axum::Json(Stat::new(&path, &node)))
}

impl Stat {
    /// What is told of a node at a path.
    pub fn new(path: &VPath, node: &Node) -> Self {
        Self {
            path: path.as_str().to_owned(),
            kind: ResourceKind::of(node),
            size: node.len,
            modified: unix_millis(node.modified),
            created: unix_millis(node.created),
            etag: node.etag.to_string(),
            media_type: (!node.folder).then(|| media_type(path.name(), false)),
        }
    }
}

/// The content of a file, whole or in ranges.
#[utoipa::path(get, path = "/api/v1/files/content", tag = ApiTag::FILES, operation_id = "download", params(PathQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The ranges asked for."),
        (status = 304, description = "It is as `If-None-Match` has it."),
        (status = 416, description = "The file ends before the range."),
        Failures))]
pub async fn download(
    member: MemberCaller,
    Query(query): Query<PathQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = VPath::parse(&query.path)?;
    let drive = member.drive().await?;
    Ok(content(&drive, &path, path.name(), &headers).await?)
}

/// The answer with a file's content, under this name for whoever saves it.
pub async fn content(
    drive: &Drive,
    path: &VPath,
    name: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    served(drive.open(path).await?, name, headers).await
}

/// As [`content`], of an open file.
pub async fn served(
    reader: Arc<dyn Reader>,
    name: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let mut response = serve(reader, name, headers).await?;
    let out = response.headers_mut();
    let way = if out.contains_key(CONTENT_DISPOSITION) {
        "attachment"
    } else {
        "inline"
    };
    let is_pdf = out
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/pdf");
    out.insert(
        CONTENT_DISPOSITION,
        disposition(
            if is_pdf { "inline" } else { way },
            name.unwrap_or_default(),
        ),
    );
    if is_pdf {
        // The app shows it in a frame, by the viewer of the browser; what it is made of can run nothing there either.
        out.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        out.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(FRAMED));
    }
    Ok(response.map(axum::body::Body::new))
}

/// Makes a folder.
#[utoipa::path(post, path = "/api/v1/files/folder", tag = ApiTag::FILES, operation_id = "makeFolder", request_body = NewFolder,
    responses((status = 201, body = Stat), Failures))]
pub async fn mkdir(
    member: MemberCaller,
    headers: HeaderMap,
    Json(folder): Json<NewFolder>,
) -> Result<(StatusCode, axum::Json<Stat>), Problem> {
    let path = VPath::parse(&folder.path)?;
    let preconditions = submitted(&headers)?;
    let drive = member.drive().await?;
    let made = member.app.run_to_completion(async move {
        drive.mkdir(&path, preconditions).await?;
        // It is made, whoever has moved it since, and whether or not it can be looked at.
        let node = drive
            .stat(&path)
            .await
            .unwrap_or_else(|_| Node::unseen(true));
        Ok(Stat::new(&path, &node))
    });
    Ok((StatusCode::CREATED, axum::Json(made.await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cursors_that_a_page_gave_are_taken() {
        assert_eq!(decode(&BASE64_URL_SAFE_NO_PAD.encode("é")).unwrap(), "é");
        assert!(matches!(decode("!"), Err(Error::Invalid { .. })));
    }
}
