//! The protocol crate at work on one exchange, and its reply put right.

use super::body::Lent;
use super::exchange::{Exchange, Verb};
use super::fs::ExchangeFs;
use super::gate::{self, Arrival};
use super::href::PREFIX;
use super::locks::ExchangeLocks;
use super::lockxml;
use crate::app::App;
use crate::http::body::Body;
use crate::http::reply;
use crate::model::{Error, Result};
use dav_server::body::BodyType;
use dav_server::{DavConfig, DavHandler};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use std::sync::{Arc, LazyLock};

static HANDLER: LazyLock<DavHandler> =
    LazyLock::new(|| DavHandler::builder().strip_prefix(PREFIX).autoindex(false).hide_symlinks(false).build_handler());

type CrateReply = Response<dav_server::body::Body>;

/// Runs an exchange through the crate. What changes files runs to its end though the client leaves; a body being sent does not.
pub async fn run(
    app: &Arc<App>,
    exchange: Arc<Exchange>,
    arrival: &Arrival<'_>,
    body: &Lent,
) -> Result<Response<Body>> {
    if matches!(exchange.verb, Verb::Copy | Verb::Move) && exchange.destination.is_none() {
        return Ok(reply::sentence(
            StatusCode::BAD_GATEWAY,
            "The Destination lies on another server or outside of the drive.",
        ));
    }
    let config = DavConfig::new()
        .filesystem(Box::new(ExchangeFs(exchange.clone())))
        .locksystem(Box::new(ExchangeLocks(exchange.clone())));
    let given = if matches!(exchange.verb, Verb::Put | Verb::Patch) {
        let request = gate::plain_request(&exchange, arrival, body.lend())?;
        HANDLER.handle_with(config, request).await
    } else {
        let body = http_body_util::Full::new(gate::plain_lockinfo(&exchange));
        let request = gate::plain_request(&exchange, arrival, body)?;
        app.finish(async move { Ok(HANDLER.handle_with(config, request).await) }).await?
    };
    put_right(&exchange, arrival.origin.prefix, given)
}

/// Our own status, failure and lock description in place of the crate's.
fn put_right(exchange: &Exchange, prefix: &str, given: CrateReply) -> Result<Response<Body>> {
    let mut outcome = exchange.outcome.lock();
    if let Some(failure) = outcome.failure.take() {
        return Err(failure);
    }
    let mut response = from_crate(given);
    if let Some(failure) = explain(exchange.verb, response.status()) {
        return Err(failure);
    }
    let created = outcome.created.or(outcome.put.as_ref().map(|put| put.created));
    if let Some(created) = created {
        *response.status_mut() = if created { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    }
    if response.status() == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    if exchange.modified.is_some() && outcome.put.is_some() {
        response.headers_mut().insert(HeaderName::from_static("x-oc-mtime"), HeaderValue::from_static("accepted"));
    }
    if let (Verb::Lock, Some(lock)) = (exchange.verb, &outcome.lock) {
        *response.body_mut() = Body::full(lockxml::lock_answer(lock, prefix));
    }
    Ok(response)
}

fn from_crate(given: CrateReply) -> Response<Body> {
    given.map(|body| match body.inner {
        BodyType::Bytes(Some(bytes)) => Body::full(bytes),
        BodyType::Bytes(None) | BodyType::Empty => Body::empty(),
        BodyType::AsyncStream(stream) => Body::stream(stream, None),
    })
}

/// The crate's bare refusals as failures with a sentence.
fn explain(verb: Verb, status: StatusCode) -> Option<Error> {
    match (verb, status) {
        (_, StatusCode::NOT_FOUND) => Some(Error::NotFound),
        (_, StatusCode::CONFLICT) => Some(Error::ParentMissing),
        (_, StatusCode::PRECONDITION_FAILED) => Some(Error::PreconditionFailed),
        (Verb::Copy | Verb::Move, StatusCode::FORBIDDEN) => Some(Error::Forbidden("Source and target are the same.")),
        (Verb::Put | Verb::Patch, StatusCode::BAD_GATEWAY) => Some(Error::Truncated),
        (Verb::Patch, StatusCode::BAD_REQUEST) => {
            Some(Error::BadRequest("A PATCH needs X-Update-Range with a range of bytes."))
        }
        _ => None,
    }
}
