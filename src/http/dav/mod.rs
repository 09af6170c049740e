//! The drive over WebDAV.

use super::Exchange;
use super::body::Body;
use http::Response;

/// Answers a request beneath `/dav`.
pub async fn handle(exchange: Exchange) -> Response<Body> {
    drop(exchange);
    Response::new(Body::empty())
}

/// Answers OPTIONS and PROPFIND on what lies above `/dav`, and on `*`.
pub async fn parents(exchange: Exchange) -> Response<Body> {
    drop(exchange);
    Response::new(Body::empty())
}
