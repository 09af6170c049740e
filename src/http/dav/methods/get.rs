//! GET and HEAD of a resource: a file, or a sentence for a folder.

use crate::drive::Drive;
use crate::http::body::Body;
use crate::http::conditional::{ReadCondition, evaluate};
use crate::http::etag::quoted;
use crate::http::serve_file::{describe, not_modified, serve};
use crate::model::{Error, Result, VPath};
use crate::storage::Node;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};

/// What a GET on a folder says.
const FOLDER: &str = "This is a folder; open it with a WebDAV client.\n";

/// Answers with a file, a part of it, or a sentence for a folder, never by a redirect. `Stale`.
pub async fn answer(
    drive: &Drive,
    path: &VPath,
    head: bool,
    headers: &HeaderMap,
) -> Result<Response<Body>> {
    let at = drive.at(path).await?;
    if head {
        let node = at.node().await?;
        return if node.folder {
            folder(&node, true, headers)
        } else {
            describe(&node, path.name(), headers)
        };
    }
    match at.open().await {
        Ok(reader) => serve(reader, path.name(), headers).await,
        Err(Error::IsFolder) => folder(&at.node().await?, false, headers),
        Err(error) => Err(error),
    }
}

/// A sentence for a folder, or its headers alone.
fn folder(node: &Node, head: bool, conditions: &HeaderMap) -> Result<Response<Body>> {
    let etag = quoted(node);
    if evaluate(conditions, &etag, node.modified)? == ReadCondition::NotModified {
        return Ok(not_modified(node, etag));
    }
    let mut response = Response::new(if head {
        Body::empty()
    } else {
        Body::full(FOLDER)
    });
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(FOLDER.len()));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_folder_has_the_headers_of_its_get() {
        let node = Node::unseen(true);
        let folder = |head| folder(&node, head, &HeaderMap::new()).unwrap();
        let head = folder(true);
        let get = folder(false);
        assert_eq!(head.headers(), get.headers());
        assert!(head.body().is_empty() && !get.body().is_empty());
    }
}
