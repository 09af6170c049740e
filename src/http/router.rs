//! Routes everything that is not WebDAV: the web app, the JSON API, public links, health.

use super::Answer;
use super::api;
use super::api::caller::{ApiRequest, PublicCaller};
use super::body::Body;
use super::caching;
use super::path_prefix;
use super::reclaimable_body::ReclaimableBody;
use super::request_body::RequestBody;
use super::{public, trust, web};
use crate::app::App;
use crate::auth::RequestOrigin;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, middleware};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use std::sync::{Arc, LazyLock};
use tower::ServiceExt;

const SECURITY: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Where it is asked whether the server lives, and whether it can do its work.
const ALIVE: &str = "/healthz";
const READY: &str = "/readyz";

static ROUTES: LazyLock<Router> = LazyLock::new(|| {
    Router::new()
        .route(ALIVE, get(liveness))
        .route(READY, get(readiness))
        .merge(web::routes())
        .merge(api::routes())
        .merge(public::routes())
        .merge(trust::routes())
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "There is nothing at this address. The drive is at /dav/.\n",
            )
        })
        .layer(middleware::map_response(secure))
});

/// Answers a request that is not WebDAV.
pub(super) async fn answer(
    app: &Arc<App>,
    origin: RequestOrigin,
    request: Request<RequestBody>,
) -> Answer {
    let api_request = ApiRequest::new(Arc::clone(app), origin);
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(api_request.clone());
    // Drain what a refused upload has left: its client would see a broken connection otherwise.
    let kept = (!http_body::Body::is_end_stream(&body)).then(|| parts.headers.clone());
    let reclaimable = ReclaimableBody::new(body);
    let request = Request::from_parts(parts, axum::body::Body::new(reclaimable.borrow()));
    let response = match ROUTES.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let response = path_prefix::restore(response, app.config.server.path_prefix()).await;
    let mut response = response.map(Body::from_axum);
    if let Some(headers) = kept {
        response = reclaimable.drain(&headers, response).await;
    }
    Answer {
        response,
        identity: api_request.identity(),
    }
}

/// The headers of every answer that does not bring its own, as files do.
async fn secure(mut response: axum::response::Response) -> axum::response::Response {
    for (name, value) in SECURITY {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    caching::confine_page(&mut response);
    response
}

/// Whether a path is one of health.
pub(super) fn is_health(path: &str) -> bool {
    [ALIVE, READY].contains(&path)
}

/// Whether anything can be changed; when not, only a restart helps, so that a supervisor may ask this.
async fn liveness(PublicCaller { app, .. }: PublicCaller) -> impl IntoResponse {
    if app.store.is_writable() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "The state store is read-only; the log says why.\n",
        )
    }
}

/// Whether the server can do its work now; a load balancer asks this.
async fn readiness(PublicCaller { app, .. }: PublicCaller) -> impl IntoResponse {
    match app.readiness_problems().await.as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        why => (StatusCode::SERVICE_UNAVAILABLE, why.join("\n") + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn health_is_whether_anything_can_be_changed() {
        let dir = tempfile::tempdir().unwrap();
        let config = crate::config::Config {
            data_dir: dir.path().to_owned(),
            ..crate::config::Config::default()
        };
        let app = App::open(config).await.unwrap();
        let ask = async |path: &str| {
            let request = Request::builder()
                .uri(path)
                .body(RequestBody::from(b""))
                .unwrap();
            answer(&app, std::net::IpAddr::from([127, 0, 0, 1]).into(), request)
                .await
                .response
                .status()
        };
        assert_eq!(
            (ask("/healthz").await, ask("/readyz").await),
            (StatusCode::OK, StatusCode::OK)
        );
        app.store.close().await.unwrap();
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(
            (ask("/healthz").await, ask("/readyz").await),
            (unavailable, unavailable)
        );
    }

    #[tokio::test]
    async fn pages_are_locked_down() {
        let request = Request::builder()
            .uri("/_/0/none.css")
            .body(axum::body::Body::empty())
            .unwrap();
        let response = ROUTES.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 404);
        for (name, value) in SECURITY {
            assert_eq!(response.headers()[&name], value, "{name}");
        }
        assert_eq!(response.headers()[header::CACHE_CONTROL], caching::NEVER);
        let request = Request::builder()
            .uri("/nothing")
            .body(axum::body::Body::empty())
            .unwrap();
        assert_eq!(ROUTES.clone().oneshot(request).await.unwrap().status(), 404);
    }
}
