//! Failures of the API as `application/problem+json` (RFC 9457).

use crate::http::body::Body;
use crate::http::reply;
use crate::model::Error;
use axum::response::{IntoResponse, Response};

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
        reply::problem(&self.0).map(|body: Body| axum::body::Body::new(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    #[tokio::test]
    async fn a_problem_is_a_document_without_the_systems_words() {
        let source = std::io::Error::other("/srv/secret/path");
        let response = Problem(Error::Io { doing: "store the account", source }).into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let status = response.status().as_u16();
        let text = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&document["code"], &document["status"]), (&"io".into(), &status.into()));
        assert_eq!(document["detail"], "Something went wrong in the server; its log says more.");
        assert_eq!(document["type"], "about:blank");
        assert!(!String::from_utf8_lossy(&text).contains("secret"));
    }
}
