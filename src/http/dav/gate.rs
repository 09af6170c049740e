//! The gate: reads every header of a request strictly into a [`DavExchange`], before anything is asked of the drive or the protocol crate.

use super::exchange::{DavExchange, DavMethod, ExchangeOutcome};
use super::headers::{self, Depth};
use super::lock_xml;
use super::server_origin::ServerOrigin;
use crate::drive::Drive;
use crate::drive::preconditions::RequestPreconditions;
use crate::http::owncloud::{oc_checksum, oc_mtime};
use crate::http::{expected_length, header_values};
use crate::model::{Error, Result, VPath, Via};
use crate::storage::LockRequest;
use http::header::{CONTENT_RANGE, HeaderName};
use http::{HeaderMap, request};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Where the body of a PATCH goes.
pub const X_UPDATE_RANGE: HeaderName = HeaderName::from_static("x-update-range");

/// The most conditions in `If` of who visits a link.
const OF_VISITORS: usize = 16;

/// A request head, and what the gate made of its address.
pub struct DavRequestHead<'a> {
    /// The method, for the crate.
    pub method: DavMethod,
    /// The head as it came.
    pub head: &'a request::Parts,
    /// The resource named.
    pub path: VPath,
    /// What counts as this server.
    pub origin: ServerOrigin<'a>,
    /// The body, where the method has an XML one.
    pub xml: &'a [u8],
}

/// The conditions of a request. Each may cost a look at the disk, so visitors of links have few. `BadRequest`.
pub fn preconditions(
    drive: &Drive,
    headers: &HeaderMap,
    origin: ServerOrigin<'_>,
) -> Result<RequestPreconditions> {
    let preconditions = headers::preconditions(headers, origin)?;
    let count = preconditions
        .if_lists
        .iter()
        .map(|list| list.conditions.len())
        .sum::<usize>();
    if count > OF_VISITORS && matches!(drive.identity().via, Via::Link(_)) {
        return Err(Error::BadRequest(
            "By a link, the If header may have at most 16 conditions: send fewer.",
        ));
    }
    Ok(preconditions)
}

/// Reads a request whole; malformed or dangerous ones end here.
pub async fn parse_exchange(
    drive: Drive,
    dav_request: &DavRequestHead<'_>,
) -> Result<Arc<DavExchange>> {
    let headers = &dav_request.head.headers;
    let mut exchange = DavExchange {
        preconditions: preconditions(&drive, headers, dav_request.origin)?,
        method: dav_request.method,
        path: dav_request.path.clone(),
        destination: None,
        overwrite: headers::overwrite(headers)?,
        shallow: false,
        len: None,
        estimate: None,
        modified: None,
        checksum: None,
        existing: None,
        lock: None,
        timeout: headers::timeout(headers),
        outcome: Mutex::new(ExchangeOutcome::default()),
        drive,
    };
    match dav_request.method {
        DavMethod::Put | DavMethod::Patch => parse_put(&mut exchange, dav_request)?,
        DavMethod::Copy | DavMethod::Move => parse_transfer(&mut exchange, dav_request)?,
        DavMethod::Lock => parse_lock(&mut exchange, dav_request).await?,
        DavMethod::Delete => drop(whole_depth(headers)?),
        DavMethod::Mkcol | DavMethod::Unlock => {}
    }
    Ok(Arc::new(exchange))
}

fn parse_put(exchange: &mut DavExchange, dav_request: &DavRequestHead<'_>) -> Result<()> {
    let headers = &dav_request.head.headers;
    if headers.contains_key(CONTENT_RANGE) {
        return Err(Error::BadRequest(
            "A PUT replaces the whole file; to change a part use PATCH with X-Update-Range.",
        ));
    }
    if dav_request.head.uri.path().ends_with('/') {
        return Err(Error::IsFolder);
    }
    let announced = expected_length::body_length(&dav_request.head.method, headers)?;
    exchange.estimate = announced;
    exchange.modified = oc_mtime(headers)?;
    exchange.checksum = oc_checksum(headers)?;
    match exchange.method {
        DavMethod::Put => exchange.len = announced,
        _ if exchange.checksum.is_some() => {
            return Err(Error::BadRequest(
                "OC-Checksum is of a whole file: a PATCH cannot be held to it.",
            ));
        }
        _ => check_update_range(headers)?,
    }
    Ok(())
}

/// The crate subtracts the two ends of a range without looking.
fn check_update_range(headers: &HeaderMap) -> Result<()> {
    let range = header_values::text(headers, &X_UPDATE_RANGE)?
        .and_then(|range| range.strip_prefix("bytes="));
    match range
        .and_then(|range| range.split_once('-'))
        .map(|(first, last)| (first.parse::<u64>(), last.parse::<u64>()))
    {
        Some((Ok(_), Ok(u64::MAX))) => Err(Error::BadRequest(
            "No file reaches as far as X-Update-Range says.",
        )),
        _ => Ok(()),
    }
}

/// MOVE and DELETE always reach everything. `Depth: 0` is let pass with them, though RFC 4918 knows only infinity there:
/// rclone sends it with every request.
fn parse_transfer(exchange: &mut DavExchange, dav_request: &DavRequestHead<'_>) -> Result<()> {
    let depth = whole_depth(&dav_request.head.headers)?;
    exchange.shallow = exchange.method == DavMethod::Copy && depth == Some(Depth::Zero);
    exchange.destination = headers::destination(&dav_request.head.headers, dav_request.origin)?;
    // The crate looks for the parent of the destination and panics when there is none.
    if exchange.destination.as_ref().is_some_and(VPath::is_root) {
        return Err(Error::Forbidden("The drive itself cannot be replaced."));
    }
    Ok(())
}

async fn parse_lock(exchange: &mut DavExchange, dav_request: &DavRequestHead<'_>) -> Result<()> {
    let depth = whole_depth(&dav_request.head.headers)?;
    if dav_request.xml.is_empty() {
        let tokens: HashSet<&str> = exchange.preconditions.submitted_tokens().collect();
        return match tokens.len() {
            1 => Ok(()),
            _ => Err(Error::BadRequest(
                "A LOCK without a body refreshes a lock: its one token belongs in the If header.",
            )),
        };
    }
    let info = lock_xml::parse_lockinfo(dav_request.xml)?;
    exchange.existing = exchange.drive.find(&exchange.path).await?;
    exchange.lock = Some(LockRequest {
        owner: info.owner,
        shared: info.shared,
        deep: depth != Some(Depth::Zero),
        folder: exchange.existing.as_ref().is_some_and(|node| node.folder),
        timeout: exchange.timeout,
    });
    Ok(())
}

/// The depth of a method that reaches one resource or everything.
fn whole_depth(headers: &HeaderMap) -> Result<Option<Depth>> {
    match headers::depth(headers)? {
        Some(Depth::One | Depth::OneNoRoot) => {
            Err(Error::BadRequest("This method takes Depth 0 or infinity."))
        }
        depth => Ok(depth),
    }
}
