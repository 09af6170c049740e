//! Failures of the API as `application/problem+json` (RFC 9457), and what the API's document says of them.

use crate::http::problem_document::ProblemDocument;
use crate::http::reply;
use crate::model::Error;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

/// A failure on its way to the client.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        reply::log(&self.0);
        let mut response = reply::problem(&self.0).map(axum::body::Body::new);
        if matches!(self.0, Error::Corrupt(_) | Error::Io { .. }) {
            let detail = self.0.to_string();
            let document = ProblemDocument {
                detail,
                ..reply::problem_document(&self.0)
            };
            response.extensions_mut().insert(WholeProblem(document));
        }
        response
    }
}

/// Beside an answer that leaves details to the log, those with them: for the administrator at the command line alone.
#[derive(Clone, Debug)]
pub struct WholeProblem(pub ProblemDocument);

/// A failure of one field of a request, told by its JSON pointer.
pub fn invalid(pointer: &str, why: impl Into<String>) -> Error {
    Error::Invalid {
        pointer: pointer.into(),
        why: why.into(),
    }
}

/// Status, name in the document, and what it means.
const FAILURES: [(&str, &str, &str); 15] = [
    ("400", "BadRequest", "The request is malformed."),
    ("401", "Unauthorized", "Sign in first."),
    ("403", "Forbidden", "Understood and refused."),
    (
        "404",
        "NotFound",
        "There is nothing there, or nothing the caller may know of.",
    ),
    ("405", "MethodNotAllowed", "There is no such method here."),
    ("409", "Conflict", "The present state does not allow it."),
    (
        "412",
        "PreconditionFailed",
        "A condition of the request does not hold.",
    ),
    ("413", "ContentTooLarge", "The body is too large."),
    (
        "415",
        "UnsupportedMediaType",
        "The body is not of the expected kind.",
    ),
    (
        "422",
        "UnprocessableContent",
        "A field has a value that cannot be; `errors` says which.",
    ),
    ("423", "Locked", "Somebody holds a lock on it."),
    (
        "429",
        "TooManyRequests",
        "Too many tries; `Retry-After` says when to come back.",
    ),
    (
        "500",
        "InternalServerError",
        "Something went wrong in the server; its log says more.",
    ),
    (
        "503",
        "ServiceUnavailable",
        "The server is busy or read-only; `Retry-After` says when to come back.",
    ),
    ("507", "InsufficientStorage", "There is no room left."),
];

/// Every failure that any route may answer with; what each means stands in the document once.
#[derive(Debug)]
pub struct Failures;

impl Failures {
    /// The answers by their names, for the document's components.
    pub(super) fn described() -> impl Iterator<Item = (String, RefOr<utoipa::openapi::Response>)> {
        FAILURES.into_iter().map(|(_, name, text)| {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("ProblemDocument")))
                .build();
            let response = ResponseBuilder::new()
                .description(text)
                .content("application/problem+json", content);
            (name.to_owned(), RefOr::T(response.build()))
        })
    }
}

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        FAILURES
            .into_iter()
            .map(|(status, name, _)| (status.to_owned(), Ref::from_response_name(name).into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    #[tokio::test]
    async fn a_problem_is_a_document_without_the_systems_words() {
        let source = std::io::Error::other("/srv/secret/path");
        let response = Problem(Error::Io {
            doing: "store the account",
            source,
        })
        .into_response();
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let status = response.status().as_u16();
        let text = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (&document["code"], &document["status"]),
            (&"io".into(), &status.into())
        );
        assert_eq!(
            document["detail"],
            "Something went wrong in the server; its log says more."
        );
        assert_eq!(document["type"], "about:blank");
        assert!(!String::from_utf8_lossy(&text).contains("secret"));
    }

    #[tokio::test]
    async fn a_wrong_field_is_pointed_at() {
        let error = Error::Invalid {
            pointer: "/name".into(),
            why: "too long".into(),
        };
        let response = Problem(error).into_response();
        assert_eq!(response.status(), 422);
        let text = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            document["errors"],
            serde_json::json!([{"pointer": "/name", "detail": "too long"}])
        );
    }
}
