//! The API for the administrator at the command line: its routes with a caller who needs no credential. Whoever calls this has checked
//! that the other side may open the data folder anyway; no listener does.

use super::api;
use super::api::caller::ApiRequest;
use super::api::problem::WholeProblem;
use super::body::Body;
use super::reply;
use super::request_body::RequestBody;
use crate::app::App;
use crate::model::Error;
use axum::Router;
use futures_util::FutureExt;
use http::{Request, Response};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use tower::ServiceExt;

static ROUTES: LazyLock<Router> = LazyLock::new(api::local_routes);

/// Answers a request of the administrator at the command line, whatever happens while it is handled.
pub async fn answer(app: &Arc<App>, request: Request<RequestBody>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(ApiRequest::local(Arc::clone(app)));
    let request = Request::from_parts(parts, axum::body::Body::new(body));
    // The future is gone after a panic, and what it shares is built to outlive one (no lock is poisoned).
    let answered = AssertUnwindSafe(ROUTES.clone().oneshot(request)).catch_unwind();
    let mut response = match answered.await {
        Ok(Ok(response)) => response.map(Body::from_axum),
        Ok(Err(never)) => match never {},
        Err(_) => {
            app.metrics.panics.add(1);
            tracing::error!("handling a request of the command line panicked");
            let source = std::io::Error::other("a panic");
            reply::problem_with(
                &Error::io("answer", source),
                "The server made a mistake; its log tells more.".into(),
            )
        }
    };
    if let Some(WholeProblem(document)) = response.extensions_mut().remove() {
        *response.body_mut() = Body::full(reply::written(&document));
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use http::StatusCode;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn the_command_line_is_told_what_the_log_is() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        let app = App::open(config).await.unwrap();
        // A file where the folder of exports would be.
        let _ = std::fs::remove_dir_all(dir.path().join(crate::app::FOR_BACKUP));
        std::fs::write(dir.path().join(crate::app::FOR_BACKUP), "x").unwrap();
        let request = Request::post("/api/v1/local/state-exports")
            .body(RequestBody::from(b""))
            .unwrap();
        let response = answer(&app, request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let detail = document["detail"].as_str().unwrap();
        assert_eq!(document["code"], "io");
        assert!(detail.starts_with("The server could not "), "{detail}");
        app.close().await.unwrap();
    }
}
