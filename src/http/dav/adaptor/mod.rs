//! Adaptor of the protocol crate (dav-server): runs one exchange through it and corrects its reply.

mod file_system;
mod lock_system;
mod plain_request;

use super::exchange::{DavExchange, DavMethod};
use super::gate::DavRequestHead;
use super::lock_xml;
use crate::app::App;
use crate::http::body::Body;
use crate::http::href::PREFIX;
use crate::http::reclaimable_body::ReclaimableBody;
use crate::http::reply;
use crate::model::time::{http_date, unix_seconds};
use crate::model::{Error, Result};
use crate::storage::Node;
use dav_server::body::BodyType;
use dav_server::{DavConfig, DavHandler};
use file_system::ExchangeFs;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, LAST_MODIFIED};
use http::{HeaderMap, Response, StatusCode};
use lock_system::ExchangeLocks;
use plain_request::{plain_lockinfo, plain_request};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

static HANDLER: LazyLock<DavHandler> = LazyLock::new(|| {
    DavHandler::builder()
        .strip_prefix(PREFIX)
        .autoindex(false)
        .hide_symlinks(false)
        .build_handler()
});

type CrateReply = Response<dav_server::body::Body>;

/// Runs an exchange through the crate. What changes files runs to its end though the client leaves; a body being sent does not.
pub async fn run(
    app: &Arc<App>,
    exchange: Arc<DavExchange>,
    dav_request: &DavRequestHead<'_>,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    if matches!(exchange.method, DavMethod::Copy | DavMethod::Move)
        && exchange.destination.is_none()
    {
        return Ok(reply::sentence(
            StatusCode::BAD_GATEWAY,
            "The Destination lies on another server or outside of the drive.",
        ));
    }
    let config = DavConfig::new()
        .filesystem(Box::new(ExchangeFs(exchange.clone())))
        .locksystem(Box::new(ExchangeLocks(exchange.clone())));
    let given = if matches!(exchange.method, DavMethod::Put | DavMethod::Patch) {
        let request = plain_request(&exchange, dav_request, body.borrow())?;
        HANDLER.handle_with(config, request).await
    } else {
        let body = http_body_util::Full::new(plain_lockinfo(&exchange));
        let request = plain_request(&exchange, dav_request, body)?;
        app.run_to_completion(async move { Ok(HANDLER.handle_with(config, request).await) })
            .await?
    };
    correct_reply(&exchange, dav_request.origin.prefix, given)
}

/// Our own status, failure and lock description in place of the crate's.
fn correct_reply(
    exchange: &DavExchange,
    prefix: &str,
    given: CrateReply,
) -> Result<Response<Body>> {
    let mut outcome = exchange.outcome.lock();
    let mut response = from_crate(given);
    if let Some(status) = outcome.status {
        // What was made is made: nothing that the crate meets after it may say otherwise.
        *response.status_mut() = status;
    } else {
        let explained = outcome
            .failure
            .take()
            .or_else(|| explain(exchange.method, response.status()));
        explained.map_or(Ok(()), Err)?;
    }
    if response.status() == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    if let Some(node) = &outcome.put {
        describe(response.headers_mut(), node, exchange.modified);
    }
    if let (DavMethod::Lock, Some(lock)) = (exchange.method, &outcome.lock) {
        *response.body_mut() = Body::full(lock_xml::lock_answer(lock, prefix));
    }
    Ok(response)
}

/// The time of a file that was put. `X-OC-Mtime: accepted` only where the file system keeps the time asked for: ext4 ends in 1901 and 2446.
fn describe(headers: &mut HeaderMap, node: &Node, asked: Option<SystemTime>) {
    if let Ok(date) = HeaderValue::try_from(http_date(node.modified)) {
        headers.insert(LAST_MODIFIED, date);
    }
    if asked.map(unix_seconds) == Some(unix_seconds(node.modified)) {
        headers.insert(
            HeaderName::from_static("x-oc-mtime"),
            HeaderValue::from_static("accepted"),
        );
    }
}

fn from_crate(given: CrateReply) -> Response<Body> {
    given.map(|body| match body.inner {
        BodyType::Bytes(Some(bytes)) => Body::full(bytes),
        BodyType::Bytes(None) | BodyType::Empty => Body::empty(),
        BodyType::AsyncStream(stream) => Body::stream(stream, None),
    })
}

/// The crate's bare refusals as failures with a sentence.
fn explain(method: DavMethod, status: StatusCode) -> Option<Error> {
    match (method, status) {
        (_, StatusCode::NOT_FOUND) => Some(Error::NotFound),
        (_, StatusCode::CONFLICT) => Some(Error::ParentMissing),
        (_, StatusCode::PRECONDITION_FAILED) => Some(Error::PreconditionFailed),
        (DavMethod::Copy | DavMethod::Move, StatusCode::FORBIDDEN) => {
            Some(Error::Forbidden("Source and target are the same."))
        }
        (DavMethod::Put | DavMethod::Patch, StatusCode::BAD_GATEWAY) => Some(Error::Truncated),
        (DavMethod::Patch, StatusCode::BAD_REQUEST) => Some(Error::BadRequest(
            "A PATCH needs X-Update-Range with a range of bytes.",
        )),
        _ => None,
    }
}
