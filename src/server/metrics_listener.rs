//! The listener of the metrics: `GET /metrics`, and nothing else.

use super::handler::RequestHandler;
use super::{ActivatedSockets, Certificates, Listeners, WorkerPool};
use crate::app::App;
use crate::certs::Issuers;
use crate::config::{MetricsConfig, ServerConfig, TlsConfig};
use crate::http::body::Body;
use crate::http::framing;
use crate::http::reply;
use crate::http::request_body::RequestBody;
use crate::model::Result;
use crate::observe::{self, ExpositionFormat};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::sync::Arc;

/// The limits of this listener: who scrapes needs a connection or two.
fn limits(config: &MetricsConfig) -> ServerConfig {
    ServerConfig {
        listen: config.listen.clone(),
        max_connections: 16,
        max_connections_per_address: 8,
        header_timeout: 5,
        body_timeout: 10,
        shutdown_grace: 1,
        ..ServerConfig::default()
    }
}

/// Takes the addresses of the metrics. They are answered on the runtime that this is called on.
pub(super) async fn bind(config: &MetricsConfig) -> Result<Listeners> {
    let tls = TlsConfig::default();
    let here = Arc::new(WorkerPool::current_runtime());
    let listeners = Listeners::bind(
        &limits(config),
        &tls,
        &Issuers::default(),
        here,
        ActivatedSockets::default(),
    )
    .await?;
    for address in &listeners.addresses {
        tracing::info!("metrics are at http://{address}/metrics");
    }
    for address in config.public() {
        tracing::warn!(
            "metrics.listen: {address} may be reached from the internet, and whoever reaches it reads all metrics without a \
             password; use a loopback or private address, or let a firewall keep others away"
        );
    }
    Ok(listeners)
}

/// What answers there.
pub(super) fn answers(
    app: &Arc<App>,
    certificates: Option<Arc<Certificates>>,
) -> impl RequestHandler + use<> {
    let app = Arc::clone(app);
    move |_, request| {
        let app = Arc::clone(&app);
        let certificates = certificates.clone();
        async move { answer(&app, certificates.as_deref(), request).await }
    }
}

/// Answers a request to it.
async fn answer(
    app: &Arc<App>,
    certificates: Option<&Certificates>,
    mut request: Request<RequestBody>,
) -> Response<Body> {
    if let Err(refusal) = framing::check(&mut request) {
        return refusal.answer();
    }
    if request.uri().path() != "/metrics" {
        return reply::sentence(
            StatusCode::NOT_FOUND,
            "There is nothing at this address. The metrics are at /metrics.\n",
        );
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = reply::sentence(
            StatusCode::METHOD_NOT_ALLOWED,
            "Metrics are only read: use GET.\n",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let accepted = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let wants_open = accepted
        .into_iter()
        .any(|value| value.contains("application/openmetrics-text"));
    let format = if wants_open {
        ExpositionFormat::OpenMetrics
    } else {
        ExpositionFormat::Prometheus
    };
    let expiry = certificates.map(Certificates::expiry).unwrap_or_default();
    match observe::page(app, expiry, format).await {
        Ok(page) => {
            let mut response = Response::new(Body::full(page));
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(format.content_type()),
            );
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
            response
        }
        Err(error) => {
            reply::log(&error);
            reply::failure(&error)
        }
    }
}
