//! Everything that is not WebDAV: the page for browsers, set-up, health, the JSON API.

use super::Answer;
use super::api;
use super::api::caller::{ApiRequest, PublicCaller};
use super::body::Body;
use super::caching;
use super::dav::reclaimable_body::ReclaimableBody;
use super::request_body::RequestBody;
use super::{public, trust, web};
use crate::app::App;
use crate::auth::RequestOrigin;
use axum::response::{Html, IntoResponse};
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
    let arrival = ApiRequest::new(Arc::clone(app), origin);
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(arrival.clone());
    // What a refused upload has left is read, lest its client sees a broken connection.
    let kept = (!http_body::Body::is_end_stream(&body)).then(|| parts.headers.clone());
    let lent = ReclaimableBody::new(body);
    let request = Request::from_parts(parts, axum::body::Body::new(lent.borrow()));
    let mut response = match ROUTES.clone().oneshot(request).await {
        Ok(response) => response.map(Body::from_axum),
        Err(never) => match never {},
    };
    if let Some(headers) = kept {
        response = lent.drain(&headers, response).await;
    }
    Answer {
        response,
        identity: arrival.identity(),
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

/// A whole page around `content`, which is HTML. Its own forms must say where they come from, though nothing else hears its
/// address: with `no-referrer`, the policy of the header, browsers send `Origin: null` (Fetch section 3.2).
pub(super) fn page(title: &str, content: &str) -> Html<String> {
    page_with(title, content, "")
}

/// As [`page`], with more in its head.
pub(super) fn page_with(title: &str, content: &str, head: &str) -> Html<String> {
    let assets = web::assets();
    Html(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"referrer\" content=\"same-origin\"><meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"icon\" href=\"{assets}icons.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"{assets}app.css\">{head}</head>\
         <body><main class=\"plain\"><h1>{title}</h1>\n{content}\n</main></body></html>\n"
    ))
}

/// Text as HTML, in elements and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// How to connect, for who sees no more than this; `host` is HTML.
pub(super) fn welcome(host: &str, needs_setup: bool) -> String {
    let setup = if needs_setup {
        "<p><strong>Nobody can sign in yet.</strong> Open the set-up link that the server printed when it started, \
         or run <code>sarang user add</code>.</p>"
    } else {
        ""
    };
    format!(
        "{setup}<p>This is a network drive. Connect a file manager to it:</p>\
         <p><code>http://{host}/dav/</code></p>\
         <p>Linux file managers write it <code>dav://{host}/dav/</code>.</p>"
    )
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

    #[test]
    fn what_a_client_sends_is_text_in_the_page() {
        assert_eq!(escape("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        assert!(!welcome("a", false).contains("sarang user add"));
        assert!(welcome("a", true).contains("sarang user add"));
    }

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
