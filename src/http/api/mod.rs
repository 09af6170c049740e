//! The JSON API, and the forms that do the same without scripts.

pub mod json;
pub mod problem;
pub mod setup;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

/// The most bytes a JSON document or form may have.
const MAX_BODY: usize = 64 << 10;

/// Every route of the API; `Extension<Arc<App>>` is there for each.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/api/v1/setup", post(setup::create))
        .route("/setup", get(setup::show).post(setup::submit))
        .route("/api/{*rest}", axum::routing::any(|| async { problem::Problem(crate::model::Error::NotFound) }))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
