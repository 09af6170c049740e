//! Failures of the API as `application/problem+json` (RFC 9457).

use crate::http::reply;
use crate::model::Error;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;

/// A failure on its way to the client.
#[derive(Debug)]
pub struct Problem(pub Error);

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: String,
    code: &'a str,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let failure = reply::failure(&self.0);
        let status = failure.status();
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Failure"),
            status: status.as_u16(),
            detail: detail(&self.0),
            code: code(&self.0),
        };
        let text = serde_json::to_string(&document).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response();
        if let Some(wait) = failure.headers().get(header::RETRY_AFTER) {
            response.headers_mut().insert(header::RETRY_AFTER, wait.clone());
        }
        response
    }
}

/// The sentence for the client; what the operating system said stays in the log.
fn detail(error: &Error) -> String {
    match error {
        Error::Io { doing, source } => {
            tracing::error!(%source, "could not {doing}");
            format!("The server could not {doing}.")
        }
        Error::Corrupt(reason) => {
            tracing::error!(reason, "a stored record cannot be read");
            "A record of the server cannot be read; its log tells more.".to_owned()
        }
        error => error.to_string(),
    }
}

/// The name of a failure that programs may compare; it never changes.
pub fn code(error: &Error) -> &'static str {
    match error {
        Error::NotFound => "not_found",
        Error::ParentMissing => "parent_missing",
        Error::Exists => "exists",
        Error::IsFolder => "is_folder",
        Error::NotFolder => "not_folder",
        Error::BadName(_) => "bad_name",
        Error::BadRequest(_) => "bad_request",
        Error::Forbidden(_) => "forbidden",
        Error::PreconditionFailed => "precondition_failed",
        Error::Locked { .. } => "locked",
        Error::NoSuchLock => "no_such_lock",
        Error::NoSpace => "no_space",
        Error::TooLarge => "too_large",
        Error::LimitReached(_) => "limit_reached",
        Error::Truncated => "truncated",
        Error::Unauthenticated => "unauthenticated",
        Error::Throttled { .. } => "throttled",
        Error::Busy { .. } => "busy",
        Error::ReadOnly => "read_only",
        Error::Conflict => "conflict",
        Error::Corrupt(_) => "corrupt",
        Error::Unsupported => "unsupported",
        Error::Io { .. } => "io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_a_document_without_the_systems_words() {
        let source = std::io::Error::other("/srv/secret/path");
        let response = Problem(Error::Io { doing: "store the account", source }).into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let status = response.status().as_u16();
        let text = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&document["code"], &document["status"]), (&"io".into(), &status.into()));
        assert_eq!(document["detail"], "The server could not store the account.");
        assert_eq!(document["type"], "about:blank");
        assert!(!String::from_utf8_lossy(&text).contains("secret"));
    }
}
