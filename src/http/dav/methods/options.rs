//! OPTIONS, answered here because the `Allow` of the protocol crate leaves methods out; and the refusals that speak of methods.

use crate::drive::Drive;
use crate::http::body::Body;
use crate::http::reply;
use crate::model::{Result, VPath};
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

const UNMAPPED: &str = "OPTIONS, PUT, MKCOL, LOCK, PATCH";
const FILE: &str =
    "OPTIONS, GET, HEAD, PUT, PATCH, DELETE, PROPFIND, PROPPATCH, COPY, MOVE, LOCK, UNLOCK";
const FOLDER: &str = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PROPPATCH, COPY, MOVE, LOCK, UNLOCK";
const ALL: &str =
    "OPTIONS, GET, HEAD, PUT, PATCH, MKCOL, DELETE, PROPFIND, PROPPATCH, COPY, MOVE, LOCK, UNLOCK";

/// OPTIONS of a resource. 200 with an empty body: old Windows dislikes 204.
pub async fn answer(drive: &Drive, path: &VPath) -> Result<Response<Body>> {
    Ok(capabilities(match drive.find(path).await? {
        None => UNMAPPED,
        Some(node) if node.folder => FOLDER,
        Some(_) => FILE,
    }))
}

/// OPTIONS of the server (`*`) and of what lies above the drive.
pub fn of_server() -> Response<Body> {
    capabilities(ALL)
}

fn capabilities(allow: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("dav"),
        HeaderValue::from_static("1, 2, 3, sabredav-partialupdate"),
    );
    headers.insert(
        HeaderName::from_static("ms-author-via"),
        HeaderValue::from_static("DAV"),
    );
    headers.insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// The refusal of a method that no resource has.
pub fn method_not_allowed() -> Response<Body> {
    let mut response = reply::sentence(
        StatusCode::METHOD_NOT_ALLOWED,
        "The drive does not know this method.",
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(ALL));
    response
}

/// The refusal of PROPFIND with Depth infinity (RFC 4918 section 9.1).
pub fn finite_depth_only() -> Response<Body> {
    const BODY: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:error xmlns:D=\"DAV:\"><D:propfind-finite-depth/></D:error>";
    let mut response = Response::new(Body::full(BODY));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/xml; charset=utf-8"),
    );
    response
}
