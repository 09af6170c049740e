//! What surrounds a request, with fronts that are made here.

use super::*;
use std::net::IpAddr;

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
    let context = RequestContext {
        config: &ServerConfig::default(),
        metrics,
        tls_port: Some(8443),
    };
    context
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
