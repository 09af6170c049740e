//! Several files and folders as one zip archive, made while it is sent.

use super::ApiTag;
use super::caller::MemberCaller;
use super::problem::{Failures, Problem};
use crate::auth::ClientNetwork;
use crate::drive::Drive;
use crate::http::content_disposition::disposition;
use crate::http::zip;
use crate::model::{Error, Result, VPath};
use axum::response::Response;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// The most paths of one archive.
const MAX_PATHS: usize = 1000;

/// Files and folders, with all below, as one zip archive; `path` may be there many times.
#[utoipa::path(get, path = "/api/v1/zip", tag = ApiTag::FILES, operation_id = "downloadZip",
    params(("path" = Vec<String>, Query, description = "A file or folder; may be repeated.")),
    responses((status = 200, body = Vec<u8>, content_type = "application/zip"), Failures))]
pub async fn download(member: MemberCaller, uri: Uri) -> Result<Response, Problem> {
    let paths = paths(uri.query().unwrap_or_default())?;
    Ok(archive(
        member.drive().await?,
        paths,
        ("files", member.client.into()),
    )
    .await?)
}

/// The answer with an archive of these paths; `top` names that of a whole drive or of several paths, `network` is where it goes.
pub async fn archive(
    drive: Drive,
    paths: Vec<VPath>,
    (top, network): (&str, ClientNetwork),
) -> Result<Response> {
    for path in &paths {
        drive.stat(path).await?;
    }
    let name = match paths.as_slice() {
        [one] => one.name().unwrap_or(top),
        _ => top,
    };
    let name = disposition("attachment", &format!("{name}.zip"));
    let mut response = Response::new(axum::body::Body::new(zip::archive(drive, paths, network)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// Every `path` of a query.
fn paths(query: &str) -> Result<Vec<VPath>> {
    let mut paths = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != "path" {
            return Err(Error::Invalid {
                pointer: "/query".into(),
                why: "In the query: only path is known.".into(),
            });
        }
        let spaced = value.replace('+', " ");
        let text = percent_decode_str(&spaced).decode_utf8();
        let path = VPath::parse(&text.map_err(|_| Error::BadName("A name must be valid UTF-8."))?)?;
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Err(Error::Invalid {
            pointer: "/path".into(),
            why: "An archive takes 1 to 1000 paths.".into(),
        });
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_the_query() {
        let read = |query| {
            paths(query).map(|paths| paths.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            read("path=a%20b%2Fc+d&path=%C3%A9&path=%C3%A9").unwrap(),
            ["a b/c d", "é"]
        );
        assert_eq!(read("path=").unwrap(), [""]);
        for bad in ["", "path=%ff", "path=..", "other=a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
