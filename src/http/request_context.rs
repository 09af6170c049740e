//! What is done around every request, whichever front answers it: an id, strict framing, a caught panic, headers, counters, a log line.

use super::access_log::LoggedRequest;
use super::answer::Answer;
use super::body::Body;
use super::front::front_of;
use super::request_body::RequestBody;
use super::request_id::RequestId;
use crate::auth::RequestOrigin;
use crate::config::ServerConfig;
use crate::http::{caching, cookie, framing, login, path_prefix, plain_http, target};
use crate::log;
use crate::metrics::Metrics;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use std::panic::AssertUnwindSafe;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every request needs, whichever front answers it.
pub(super) struct RequestContext<'a> {
    pub(super) config: &'a ServerConfig,
    pub(super) metrics: &'a Metrics,
    /// The port with TLS that requests without it are sent to; `None` where they are served.
    pub(super) tls_port: Option<u16>,
}

impl RequestContext<'_> {
    pub(super) async fn handle_request<F, A>(
        &self,
        peer: RequestOrigin,
        mut request: Request<RequestBody>,
        front: F,
    ) -> Response<Body>
    where
        F: FnOnce(Request<RequestBody>, RequestOrigin) -> A,
        A: Future<Output = Answer>,
    {
        let id = RequestId::next();
        let client = login::client_address(self.config, request.headers(), peer.address);
        let is_trusted = login::is_trusted(self.config, peer.address);
        self.correct_forwarded_proto(&mut request, &peer, is_trusted);
        target::simplify(&mut request);
        path_prefix::strip(&mut request, self.config.path_prefix());
        let is_served_plain =
            peer.is_tls || is_trusted || peer.address.to_canonical().is_loopback();
        let tls_port = self.tls_port.filter(|_| {
            !is_served_plain && !plain_http::is_allowed_without_tls(request.uri().path())
        });
        let origin = RequestOrigin {
            address: client,
            ..peer
        };
        let is_script = login::is_script(request.headers());
        let asked = self
            .metrics
            .requests
            .begin(request.method().as_str(), front_of(request.uri().path()));
        if request.version() == Version::HTTP_2 {
            self.metrics.http2.add(1);
        }
        let seen = log::wants_requests().then(|| LoggedRequest::of(&request));
        let mut answer = match (framing::check(&mut request), tls_port) {
            (Ok(()), Some(port)) => plain_http::refuse(self.config, &request, port),
            // The future is gone after a panic, and what it shares is built to outlive one (no lock is poisoned).
            (Ok(()), None) => match AssertUnwindSafe(async { front(request, origin).await })
                .catch_unwind()
                .await
            {
                Ok(answer) => answer,
                Err(_) => self.after_panic(&id),
            },
            (Err(refusal), _) => refusal.answer().into(),
        };
        caching::forbid_caching(&mut answer.response);
        set_headers(answer.response.headers_mut(), &id, is_script);
        let took = asked.finish(answer.response.status().as_u16());
        if let Some(seen) = seen {
            seen.log(&id, client, (&answer, took));
        }
        answer.response
    }

    /// `X-Forwarded-Proto` counts only from a trusted proxy; a connection with TLS of its own says the same.
    fn correct_forwarded_proto(
        &self,
        request: &mut Request<RequestBody>,
        peer: &RequestOrigin,
        is_trusted: bool,
    ) {
        if !is_trusted {
            request.headers_mut().remove(cookie::X_FORWARDED_PROTO);
            login::note_forwarded(self.metrics, request.headers(), peer.address);
        }
        if peer.is_tls && !cookie::is_forwarded(request.headers()) {
            request
                .headers_mut()
                .insert(cookie::X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
    }

    fn after_panic(&self, id: &RequestId) -> Answer {
        self.metrics.panics.add(1);
        tracing::error!(
            id = id.as_str(),
            "handling a request panicked; it was answered with 500"
        );
        let mut response = Response::new(Body::full(format!(
            "The server made a mistake. Its log tells more about request {}.\n",
            id.as_str()
        )));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response.into()
    }
}

/// The headers that every answer has.
fn set_headers(headers: &mut HeaderMap, id: &RequestId, is_script: bool) {
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(X_REQUEST_ID, id.header());
    if is_script {
        // A browser would ask with its own box, in front of the page that made the request.
        headers.remove(header::WWW_AUTHENTICATE);
    }
}

#[cfg(test)]
mod tests;
