//! JSON bodies: one content type, one size limit, failures as problems.

use super::problem::Problem;
use crate::model::Error;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header;
use serde::de::DeserializeOwned;

/// A JSON body; types that come in through it say `deny_unknown_fields`.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem(Error::BadRequest("The body must be JSON, with Content-Type: application/json.")));
        }
        let body = read(request, state).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            tracing::debug!(%error, "a JSON body was refused");
            Problem(Error::BadRequest(
                "The body is not the JSON expected here: a field is missing, unknown or of a wrong kind.",
            ))
        })
    }
}

/// The whole body, within the routes' limit.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        Problem(if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Error::TooLarge
        } else {
            Error::Truncated
        })
    })
}
