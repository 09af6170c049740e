//! What went wrong, as HTTP.

use super::body::Body;
use crate::model::Error;
use http::{Response, StatusCode, header};

/// The answer to a request that failed.
pub fn failure(error: &Error) -> Response<Body> {
    let status = match error {
        Error::NotFound => StatusCode::NOT_FOUND,
        Error::Exists => StatusCode::CONFLICT,
        Error::BadName(_) | Error::BadRequest(_) => StatusCode::BAD_REQUEST,
        Error::Unauthenticated => StatusCode::UNAUTHORIZED,
        Error::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = Response::new(Body::full(format!("{error}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
