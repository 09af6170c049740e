//! Files and folders for browsers and scripts: a compact listing, what stands at a path, downloads, new folders.
//! Everything goes through the same [`Drive`] as WebDAV: one authorisation, one quota, one judgement of locks.

use super::Tag;
use super::bulk::submitted;
use super::caller::Member;
use super::json::{Json, Query};
use super::problem::{Failures, Problem};
use crate::content::{Node, Reader};
use crate::drive::Drive;
use crate::http::dav::{conditional, get, href, media};
use crate::model::time::unix_millis;
use crate::model::{Error, VPath};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::{IntoParams, ToSchema};

/// The most rows of one page, and how many it has when nobody says.
const MAX_ROWS: u16 = 10_000;
/// What may be kept by whoever asked, but asked after each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// One file or folder of a listing: name, kind, size in bytes, modification time in milliseconds since 1970, entity tag.
#[derive(Clone, Debug, Serialize)]
pub struct Row(pub String, pub Kind, pub u64, pub i64, pub String);

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

impl Row {
    /// The row of a node under this name.
    pub fn new(name: String, node: &Node) -> Self {
        Self(name, Kind::of(node), node.len, unix_millis(node.modified), node.etag.to_string())
    }
}

impl Kind {
    /// What a node is.
    pub fn of(node: &Node) -> Self {
        if node.folder { Self::Folder } else { Self::File }
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
#[derive(Clone, Debug, Serialize, ToSchema)]
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
    kind: Kind,
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
#[utoipa::path(get, path = "/api/v1/files", tag = Tag::FILES, operation_id = "listFiles", params(ListQuery),
    responses((status = 200, body = FolderPage), (status = 304, description = "It is as `If-None-Match` has it."), Failures))]
pub async fn list(member: Member, Query(query): Query<ListQuery>, headers: HeaderMap) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(MAX_ROWS);
    if !(1..=MAX_ROWS).contains(&limit) {
        return Err(Error::Invalid { pointer: "/limit".into(), why: "A page has 1 to 10000 rows.".into() }.into());
    }
    let after = query.cursor.as_deref().map(decode).transpose()?;
    let drive = member.drive().await?;
    let rows = rows(&drive, &VPath::parse(&query.path)?).await?;
    let page = cut(rows, after.as_deref(), limit.into());
    tagged(&page, &headers).map_err(Problem)
}

/// The rows of a folder, sorted by name.
pub async fn rows(drive: &Drive, folder: &VPath) -> Result<Vec<Row>, Error> {
    let mut listing = drive.list(folder, false).await?;
    let mut rows = Vec::new();
    loop {
        let page = listing.next_page().await?;
        if page.is_empty() {
            rows.sort_unstable_by(|a: &Row, b: &Row| a.0.cmp(&b.0));
            return Ok(rows);
        }
        rows.extend(page.into_iter().map(|entry| Row::new(entry.name, &entry.node)));
    }
}

fn cut(mut rows: Vec<Row>, after: Option<&str>, limit: usize) -> FolderPage {
    let start = after.map_or(0, |after| rows.partition_point(|row| row.0.as_str() <= after));
    let mut items = rows.split_off(start);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|row| BASE64_URL_SAFE_NO_PAD.encode(&row.0));
    FolderPage { items, next }
}

fn decode(cursor: &str) -> Result<String, Error> {
    let name = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| Error::Invalid {
        pointer: "/cursor".into(),
        why: "This is not a cursor that a page gave.".into(),
    })
}

/// JSON under an entity tag made of its text; 304 when the client has it.
fn tagged(value: &impl Serialize, headers: &HeaderMap) -> Result<Response, Error> {
    let text = serde_json::to_string(value).map_err(|e| Error::io("write the answer", e))?;
    let digest = Sha256::digest(&text);
    let etag = digest.iter().take(12).fold(String::from("\""), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    }) + "\"";
    let known = headers.contains_key(IF_NONE_MATCH)
        && conditional::judge(headers, &etag, SystemTime::now())? == conditional::Verdict::NotModified;
    let mut response = if known { Response::default() } else { Response::new(text.into()) };
    *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(CACHE_CONTROL, REVALIDATE);
    if let Ok(etag) = HeaderValue::try_from(etag) {
        out.insert(ETAG, etag);
    }
    Ok(response)
}

/// What stands at a path.
#[utoipa::path(get, path = "/api/v1/files/stat", tag = Tag::FILES, operation_id = "statFile", params(PathQuery),
    responses((status = 200, body = Stat), Failures))]
pub async fn stat(member: Member, Query(query): Query<PathQuery>) -> Result<axum::Json<Stat>, Problem> {
    let path = VPath::parse(&query.path)?;
    let node = member.drive().await?.stat(&path).await?;
    Ok(axum::Json(Stat::new(&path, &node)))
}

impl Stat {
    /// What is told of a node at a path.
    pub fn new(path: &VPath, node: &Node) -> Self {
        Self {
            path: path.as_str().to_owned(),
            kind: Kind::of(node),
            size: node.len,
            modified: unix_millis(node.modified),
            created: unix_millis(node.created),
            etag: node.etag.to_string(),
            media_type: (!node.folder).then(|| media::media_type(path.name(), false)),
        }
    }
}

/// The content of a file, whole or in ranges.
#[utoipa::path(get, path = "/api/v1/files/content", tag = Tag::FILES, operation_id = "download", params(PathQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The ranges asked for."),
        (status = 304, description = "It is as `If-None-Match` has it."),
        (status = 416, description = "The file ends before the range."),
        Failures))]
pub async fn download(member: Member, Query(query): Query<PathQuery>, headers: HeaderMap) -> Result<Response, Problem> {
    let path = VPath::parse(&query.path)?;
    let drive = member.drive().await?;
    Ok(content(&drive, &path, path.name(), &headers).await?)
}

/// The answer with a file's content, under this name for whoever saves it.
pub async fn content(drive: &Drive, path: &VPath, name: Option<&str>, headers: &HeaderMap) -> Result<Response, Error> {
    served(drive.open(path).await?, name, headers).await
}

/// As [`content`], of an open file.
pub async fn served(reader: Arc<dyn Reader>, name: Option<&str>, headers: &HeaderMap) -> Result<Response, Error> {
    let mut response = get::serve(reader, name, headers).await?;
    let out = response.headers_mut();
    out.insert(CACHE_CONTROL, REVALIDATE);
    let way = if out.contains_key(CONTENT_DISPOSITION) { "attachment" } else { "inline" };
    out.insert(CONTENT_DISPOSITION, disposition(way, name.unwrap_or_default()));
    Ok(response.map(axum::body::Body::new))
}

/// A `Content-Disposition` with a name (RFC 6266): in plain ASCII for old clients, and exactly.
pub fn disposition(way: &str, name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| if c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%')) { c } else { '_' })
        .collect();
    let mut exact = Vec::new();
    href::write_encoded(&mut exact, name);
    let exact = String::from_utf8(exact).unwrap_or_default();
    let text = format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{exact}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Makes a folder.
#[utoipa::path(post, path = "/api/v1/files/folder", tag = Tag::FILES, operation_id = "makeFolder", request_body = NewFolder,
    responses((status = 201, body = Stat), Failures))]
pub async fn mkdir(
    member: Member,
    headers: HeaderMap,
    Json(folder): Json<NewFolder>,
) -> Result<(StatusCode, axum::Json<Stat>), Problem> {
    let (path, terms) = (VPath::parse(&folder.path)?, submitted(&headers)?);
    let drive = member.drive().await?;
    let made = member.app.finish(async move {
        drive.mkdir(&path, terms).await?;
        // It is made, whoever has moved it since, and whether or not it can be looked at.
        let node = drive.stat(&path).await.unwrap_or_else(|_| Node::unseen(true));
        Ok(Stat::new(&path, &node))
    });
    Ok((StatusCode::CREATED, axum::Json(made.await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_old_and_new_clients() {
        let value = disposition("attachment", "a\"\u{e9}%;\r.txt");
        assert_eq!(value, "attachment; filename=\"a___;_.txt\"; filename*=UTF-8''a%22%C3%A9%25%3B%0D.txt");
    }

    #[test]
    fn pages_of_rows_join_to_the_whole() {
        let rows = || ["a", "b", "c"].map(|name| Row::new(name.into(), &Node::unseen(false))).to_vec();
        let names = |page: &FolderPage| page.items.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
        let first = cut(rows(), None, 2);
        assert_eq!(names(&first), ["a", "b"]);
        let after = decode(first.next.as_deref().unwrap()).unwrap();
        let last = cut(rows(), Some(&after), 2);
        assert_eq!((names(&last), last.next), (vec!["c".to_owned()], None));
        assert!(cut(rows(), None, 3).next.is_none());
        assert!(matches!(decode("!"), Err(Error::Invalid { .. })));
    }
}
