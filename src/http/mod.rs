//! One request: an id, strict framing, the front chosen by prefix, a caught panic, one log line, headers every answer has.
//! The only place that speaks HTTP; what WebDAV means is in [`dav`], the JSON API in [`api`].

mod access_log;
mod answer;
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
mod front;
mod header_values;
pub mod href;
mod html;
pub mod local;
pub mod login;
mod media_type;
mod multipart;
pub mod owncloud;
mod path_prefix;
mod plain_http;
pub mod problem_document;
mod public;
pub mod range;
mod read_file;
mod reclaimable_body;
pub mod reply;
pub mod request_body;
mod request_context;
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
use answer::Answer;
use body::Body;
use front::choose_front;
use http::{Request, Response};
use request_body::RequestBody;
use request_context::RequestContext;
use std::sync::Arc;

/// Answers one request, whatever happens while it is handled.
pub async fn handle(
    app: &Arc<App>,
    peer: RequestOrigin,
    request: Request<RequestBody>,
) -> Response<Body> {
    let tls_port = app.config.tls.redirect_port();
    let context = RequestContext {
        config: &app.config.server,
        metrics: &app.metrics,
        tls_port,
    };
    let from = peer.address;
    let mut response = context
        .handle_request(peer, request, |request, origin| {
            choose_front(app, request, origin)
        })
        .await;
    failure_reports::record_unencrypted(app, from, &mut response);
    response
}
