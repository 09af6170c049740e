//! One request: an id, strict framing, the front chosen by prefix, a caught panic, one log line, headers every answer has.
//! The only place that speaks HTTP; what WebDAV means is in [`dav`], the JSON API in [`api`].

pub mod api;
mod assets;
pub mod body;
mod caching;
mod conditional;
mod content_disposition;
mod cookie;
mod csrf;
mod dates;
pub mod dav;
mod decimal;
pub mod drain;
mod etag;
mod expected_length;
mod failure_reports;
pub mod framing;
mod header_values;
pub mod href;
mod html;
pub mod login;
mod media_type;
mod multipart;
pub mod owncloud;
mod path_prefix;
mod plain_http;
mod problem_document;
mod public;
pub mod range;
mod read_file;
mod reclaimable_body;
pub mod reply;
pub mod request_body;
mod request_id;
mod response_memory;
mod router;
mod serve_file;
pub mod target;
pub mod thumbnails;
mod trust;
mod web;
pub mod zip;

use crate::app::App;
use crate::auth::RequestOrigin;
use crate::config::ServerConfig;
use crate::log::{self, RequestLine};
use crate::metrics::{Front, Metrics};
use crate::model::{Error, Identity};
use body::Body;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use reclaimable_body::ReclaimableBody;
use request_body::RequestBody;
use request_id::RequestId;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a front makes of a request.
#[derive(Debug)]
struct Answer {
    response: Response<Body>,
    identity: Option<Arc<Identity>>,
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self {
            response,
            identity: None,
        }
    }
}

/// Answers one request, whatever happens while it is handled.
pub async fn handle(
    app: &Arc<App>,
    peer: RequestOrigin,
    request: Request<RequestBody>,
) -> Response<Body> {
    let tls_port = app.config.tls.redirect_port();
    let around = RequestContext {
        config: &app.config.server,
        metrics: &app.metrics,
        tls_port,
    };
    let from = peer.address;
    let mut response = around
        .handle_request(peer, request, |request, origin| {
            choose_front(app, request, origin)
        })
        .await;
    failure_reports::record_unencrypted(app, from, &mut response);
    response
}

/// The front of a request, by the prefix of its path. Whatever is not asked for all the time has a box of its own: every connection has
/// room for the largest of what is not, and it is copied for every request.
async fn choose_front(
    app: &Arc<App>,
    request: Request<RequestBody>,
    origin: RequestOrigin,
) -> Answer {
    let request = match expected_length::length(request.method(), request.headers()) {
        Ok(None) => request,
        announced => match Box::pin(enforce_length(request, announced)).await {
            Ok(request) => request,
            Err(answer) => return answer,
        },
    };
    let path = request.uri().path();
    let drive = path
        .strip_prefix("/dav")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let above =
        matches!(path, "/" | "*") && matches!(request.method().as_str(), "OPTIONS" | "PROPFIND");
    let mounted = public::mounted(path);
    if web::is_foreign_code(path, request.headers()) {
        return web::refuse_code().into();
    }
    if csrf::is_foreign(&app.config.server, &request) {
        let dav = drive || above || mounted.is_some();
        return Box::pin(csrf::refuse(request, dav)).await;
    }
    if let Some(token) = mounted {
        return Box::pin(public::webdav::handle(
            app,
            token.to_owned(),
            &origin,
            request,
        ))
        .await;
    }
    if !drive && !above {
        return Box::pin(router::answer(app, origin, request)).await;
    }
    let (parts, mut body) = request.into_parts();
    let identity = match login::authenticate(app, &parts, &origin).await {
        Ok(identity) => identity,
        Err(error) => {
            failure_reports::record_unauthenticated(app, &parts, &origin);
            return Box::pin(login::refuse(&error, &parts, &mut body))
                .await
                .into();
        }
    };
    let mut response = if drive {
        let context = dav::DavContext::own(identity.clone(), app.config.server.path_prefix());
        dav::handle(app, &context, &parts, body).await
    } else {
        let prefix = app.config.server.path_prefix();
        Box::pin(dav::parents::handle(&identity, &parts, body, prefix)).await
    };
    failure_reports::record_drive_failure(app, &identity, (&parts, &origin), &mut response);
    Answer {
        response,
        identity: Some(identity),
    }
}

/// The request with its body held to the length that it announces, or the refusal of lengths that cannot be.
async fn enforce_length(
    request: Request<RequestBody>,
    announced: Result<Option<u64>, Error>,
) -> Result<Request<RequestBody>, Answer> {
    let (parts, body) = request.into_parts();
    let held = match announced {
        Ok(len) => expected_length::enforce(body, len),
        Err(error) => Err((error, body)),
    };
    match held {
        Ok(body) => Ok(Request::from_parts(parts, body)),
        Err((error, body)) => Err(ReclaimableBody::new(body)
            .drain(&parts.headers, reply::failure(&error))
            .await
            .into()),
    }
}

/// What every request needs, whichever front answers it.
struct RequestContext<'a> {
    config: &'a ServerConfig,
    metrics: &'a Metrics,
    /// The port with TLS that requests without it are sent to; `None` where they are served.
    tls_port: Option<u16>,
}

impl RequestContext<'_> {
    async fn handle_request<F, A>(
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
        if !is_trusted {
            request.headers_mut().remove(cookie::X_FORWARDED_PROTO);
            login::note_forwarded(self.metrics, request.headers(), peer.address);
        }
        if peer.is_tls && !cookie::is_forwarded(request.headers()) {
            request
                .headers_mut()
                .insert(cookie::X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
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
        let headers = answer.response.headers_mut();
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(X_REQUEST_ID, id.header());
        if is_script {
            // A browser would ask with its own box, in front of the page that made the request.
            headers.remove(header::WWW_AUTHENTICATE);
        }
        let took = asked.finish(answer.response.status().as_u16());
        if let Some(seen) = seen {
            seen.log(&id, client, (&answer, took));
        }
        answer.response
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

/// The front that answers a path, for who counts.
fn front_of(path: &str) -> Front {
    let is_below = |front: &str| {
        path.strip_prefix(front)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match path {
        _ if is_below("/dav") => Front::Dav,
        _ if is_below("/api") => Front::Api,
        _ if is_below("/s") => Front::Link,
        _ if router::is_health(path) => Front::Health,
        _ => Front::Web,
    }
}

/// What the log line needs of a request; shared with it, not copied.
struct LoggedRequest {
    method: Method,
    uri: Uri,
    agent: Option<HeaderValue>,
    version: Version,
}

impl LoggedRequest {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            agent: request.headers().get(header::USER_AGENT).cloned(),
            version: request.version(),
        }
    }

    fn log(&self, id: &RequestId, client: IpAddr, (answer, took): (&Answer, Duration)) {
        log::request(&RequestLine {
            id: id.as_str(),
            method: self.method.as_str(),
            path: &public::without_token(self.uri.path()),
            status: answer.response.status().as_u16(),
            bytes: http_body::Body::size_hint(answer.response.body()).exact(),
            took,
            client,
            account: answer
                .identity
                .as_ref()
                .map(|identity| identity.account.as_str()),
            agent: self.agent.as_ref().map(HeaderValue::as_bytes),
            version: self.version,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer<A: Future<Output = Answer>>(
        metrics: &Metrics,
        request: http::request::Builder,
        front: impl FnOnce(Request<RequestBody>, RequestOrigin) -> A,
    ) -> Response<Body> {
        answer_from(
            RequestOrigin::from(IpAddr::from([127, 0, 0, 1])),
            metrics,
            request,
            front,
        )
        .await
    }

    async fn answer_from<A: Future<Output = Answer>>(
        peer: RequestOrigin,
        metrics: &Metrics,
        request: http::request::Builder,
        front: impl FnOnce(Request<RequestBody>, RequestOrigin) -> A,
    ) -> Response<Body> {
        let around = RequestContext {
            config: &ServerConfig::default(),
            metrics,
            tls_port: Some(8443),
        };
        around
            .handle_request(peer, request.body(RequestBody::from(b"")).unwrap(), front)
            .await
    }

    #[tokio::test]
    async fn a_panic_is_one_500() {
        let metrics = Metrics::default();
        let request = Request::builder().header("host", "a");
        let response = answer(&metrics, request, |_, _| async { panic!("on purpose") }).await;
        assert_eq!(response.status(), 500);
        assert_eq!(metrics.panics.get(), 1);
        assert_eq!(metrics.requests.total(), 1);
    }

    #[tokio::test]
    async fn ambiguous_requests_do_not_reach_a_front() {
        let metrics = Metrics::default();
        let request = Request::builder().header("host", "a").header("host", "b");
        let response = answer(&metrics, request, |_, _| async { panic!("reached") }).await;
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[header::CONNECTION], "close");
        assert_eq!(metrics.panics.get(), 0);
    }

    #[tokio::test]
    async fn every_answer_has_an_id_of_its_own_and_nosniff() {
        let metrics = Metrics::default();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let request = Request::builder().header("host", "a");
            let front = |_, origin: RequestOrigin| async move {
                assert!(origin.address.is_loopback());
                Answer::from(Response::new(Body::empty()))
            };
            let response = answer(&metrics, request, front).await;
            assert_eq!(
                response.headers()[header::X_CONTENT_TYPE_OPTIONS],
                "nosniff"
            );
            assert!(!response.headers().contains_key(header::SERVER));
            ids.push(response.headers()[X_REQUEST_ID].clone());
        }
        assert_ne!(ids[0], ids[1]);
    }

    #[tokio::test]
    async fn without_tls_only_this_machine_is_served_where_tls_is() {
        let metrics = Metrics::default();
        let request = || {
            Request::builder()
                .uri("/dav/a%20b?x")
                .header("host", "nest.example:4918")
        };
        let served = |_, _| async { Answer::from(Response::new(Body::empty())) };
        let stranger = || RequestOrigin::from(IpAddr::from([192, 0, 2, 1]));
        let refused = answer_from(stranger(), &metrics, request(), served).await;
        assert_eq!(
            (
                refused.status().as_u16(),
                &refused.headers()[header::CONNECTION]
            ),
            (403, &"close".parse().unwrap())
        );
        let page_of = |path: &str| request().uri(path).header("accept", "text/html,*/*");
        let redirected = answer_from(stranger(), &metrics, page_of("/dav/a%20b?x"), served).await;
        assert_eq!(redirected.status(), 308);
        assert_eq!(
            redirected.headers()[header::LOCATION],
            "https://nest.example:8443/dav/a%20b?x"
        );
        let config = ServerConfig {
            public_url: "https://nest.example".into(),
            ..ServerConfig::default()
        };
        let named = plain_http::refuse(
            &config,
            &page_of("/a?b").body(RequestBody::from(b"")).unwrap(),
            8443,
        );
        assert_eq!(
            named.response.headers()[header::LOCATION],
            "https://nest.example/a?b"
        );
        let signed_in = request()
            .header("accept", "text/html")
            .header("authorization", "Basic YTpi");
        assert_eq!(
            answer_from(stranger(), &metrics, signed_in, served)
                .await
                .status(),
            403
        );
        for open in [
            "/healthz",
            "/readyz",
            "/trust",
            "/trust/sarang.crt",
            "/_/0/app.css",
        ] {
            assert_eq!(
                answer_from(stranger(), &metrics, request().uri(open), served)
                    .await
                    .status(),
                200,
                "{open}"
            );
        }
        for closed in [
            "/trusted",
            "/_/0/app.js",
            "/trust/../dav/",
            "/_/../dav/app.css",
        ] {
            assert_eq!(
                answer_from(stranger(), &metrics, request().uri(closed), served)
                    .await
                    .status(),
                403,
                "{closed}"
            );
        }
        for here in [
            IpAddr::from([127, 0, 0, 1]),
            "::ffff:127.0.0.1".parse().unwrap(),
            "::1".parse().unwrap(),
        ] {
            assert_eq!(
                answer_from(here.into(), &metrics, request(), served)
                    .await
                    .status(),
                200
            );
        }
        let seen = |request: Request<RequestBody>, _| async move {
            assert_eq!(request.headers()["x-forwarded-proto"], "https");
            Answer::from(Response::new(Body::empty()))
        };
        let forged = request().header("x-forwarded-proto", "http");
        assert_eq!(
            answer_from(
                RequestOrigin {
                    is_tls: true,
                    ..stranger()
                },
                &metrics,
                forged,
                seen
            )
            .await
            .status(),
            200
        );
    }
}
