//! The gate: turns a request into an [`Exchange`] and the plain request that the protocol crate gets instead of the client's.
//! Only headers that the gate has read and understood go on, so that nothing the crate misreads ever reaches it.

use super::exchange::{DavExchange, DavMethod, ExchangeOutcome};
use super::headers::{self, Depth, ServerOrigin};
use super::href::{self, PREFIX};
use super::lockxml;
use crate::drive::Drive;
use crate::drive::locks::LockRequest;
use crate::drive::preconditions::Preconditions;
use crate::http::expected_length;
use crate::model::{Error, Result, VPath, Via};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, request};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Where the body of a PATCH goes.
const X_UPDATE_RANGE: HeaderName = HeaderName::from_static("x-update-range");

/// The most conditions in `If` of who visits a link.
const OF_VISITORS: usize = 16;

/// A request head, and what the gate made of its address.
pub struct DavRequestHead<'a> {
    /// The method, for the crate.
    pub verb: DavMethod,
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
) -> Result<Preconditions> {
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
    arrival: &DavRequestHead<'_>,
) -> Result<Arc<DavExchange>> {
    let headers = &arrival.head.headers;
    let mut exchange = DavExchange {
        preconditions: preconditions(&drive, headers, arrival.origin)?,
        method: arrival.verb,
        path: arrival.path.clone(),
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
    match arrival.verb {
        DavMethod::Put | DavMethod::Patch => parse_put(&mut exchange, arrival)?,
        DavMethod::Copy | DavMethod::Move => parse_transfer(&mut exchange, arrival)?,
        DavMethod::Lock => parse_lock(&mut exchange, arrival).await?,
        DavMethod::Delete => drop(whole_depth(headers)?),
        DavMethod::Mkcol | DavMethod::Unlock => {}
    }
    Ok(Arc::new(exchange))
}

fn parse_put(exchange: &mut DavExchange, arrival: &DavRequestHead<'_>) -> Result<()> {
    let headers = &arrival.head.headers;
    if headers.contains_key(CONTENT_RANGE) {
        return Err(Error::BadRequest(
            "A PUT replaces the whole file; to change a part use PATCH with X-Update-Range.",
        ));
    }
    if arrival.head.uri.path().ends_with('/') {
        return Err(Error::IsFolder);
    }
    let announced = expected_length::body_length(&arrival.head.method, headers)?;
    exchange.estimate = announced;
    exchange.modified = headers::oc_mtime(headers)?;
    exchange.checksum = headers::oc_checksum(headers)?;
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
    let range =
        headers::text(headers, &X_UPDATE_RANGE)?.and_then(|range| range.strip_prefix("bytes="));
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
fn parse_transfer(exchange: &mut DavExchange, arrival: &DavRequestHead<'_>) -> Result<()> {
    let depth = whole_depth(&arrival.head.headers)?;
    exchange.shallow = exchange.method == DavMethod::Copy && depth == Some(Depth::Zero);
    exchange.destination = headers::destination(&arrival.head.headers, arrival.origin)?;
    // The crate looks for the parent of the destination and panics when there is none.
    if exchange.destination.as_ref().is_some_and(VPath::is_root) {
        return Err(Error::Forbidden("The drive itself cannot be replaced."));
    }
    Ok(())
}

async fn parse_lock(exchange: &mut DavExchange, arrival: &DavRequestHead<'_>) -> Result<()> {
    let depth = whole_depth(&arrival.head.headers)?;
    if arrival.xml.is_empty() {
        let tokens: HashSet<&str> = exchange.preconditions.submitted_tokens().collect();
        return match tokens.len() {
            1 => Ok(()),
            _ => Err(Error::BadRequest(
                "A LOCK without a body refreshes a lock: its one token belongs in the If header.",
            )),
        };
    }
    let info = lockxml::parse_lockinfo(arrival.xml)?;
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

/// The request that the crate gets: canonical addresses and only the headers it needs.
pub fn plain_request<B>(
    exchange: &DavExchange,
    arrival: &DavRequestHead<'_>,
    body: B,
) -> Result<Request<B>> {
    let malformed = |_| Error::BadRequest("The request cannot be understood.");
    let address = href::encode(PREFIX, &exchange.path, false);
    let mut request = Request::builder()
        .method(arrival.head.method.clone())
        .uri(address);
    let given = &arrival.head.headers;
    let forwarded: &[HeaderName] = match exchange.method {
        DavMethod::Put => &[CONTENT_LENGTH],
        DavMethod::Patch => &[CONTENT_LENGTH, CONTENT_TYPE, X_UPDATE_RANGE],
        _ => &[],
    };
    for name in forwarded {
        if let Some(value) = given.get(name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in derived_headers(exchange)? {
        request = request.header(name, value);
    }
    request.body(body).map_err(malformed)
}

fn derived_headers(exchange: &DavExchange) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let value = |text: &[u8]| {
        HeaderValue::from_bytes(text).map_err(|_| Error::BadRequest("A header is not valid text."))
    };
    let depth = |text| {
        (
            HeaderName::from_static("depth"),
            HeaderValue::from_static(text),
        )
    };
    Ok(match exchange.method {
        DavMethod::Delete => vec![depth("0")],
        DavMethod::Copy | DavMethod::Move => {
            let to = exchange
                .destination
                .as_ref()
                .map(|path| href::encode(PREFIX, path, false))
                .unwrap_or_default();
            let overwrite = HeaderValue::from_static(if exchange.overwrite { "T" } else { "F" });
            vec![
                depth(if exchange.shallow { "0" } else { "infinity" }),
                (HeaderName::from_static("destination"), value(&to)?),
                (HeaderName::from_static("overwrite"), overwrite),
            ]
        }
        DavMethod::Lock if exchange.lock.is_none() => {
            let token = exchange
                .preconditions
                .submitted_tokens()
                .next()
                .unwrap_or_default();
            vec![(
                HeaderName::from_static("if"),
                value(format!("(<{token}>)").as_bytes())?,
            )]
        }
        DavMethod::Lock => vec![depth(
            if exchange.lock.as_ref().is_some_and(|lock| lock.deep) {
                "infinity"
            } else {
                "0"
            },
        )],
        DavMethod::Unlock => {
            let [token] = exchange.preconditions.lock_tokens.as_slice() else {
                return Err(Error::BadRequest("UNLOCK needs one Lock-Token."));
            };
            vec![(
                HeaderName::from_static("lock-token"),
                value(format!("<{token}>").as_bytes())?,
            )]
        }
        DavMethod::Put | DavMethod::Patch | DavMethod::Mkcol => Vec::new(),
    })
}

/// The body that the crate gets with a LOCK: what it needs to go on, never the client's XML.
pub fn plain_lockinfo(exchange: &DavExchange) -> Bytes {
    match &exchange.lock {
        None => Bytes::new(),
        Some(_) => Bytes::from_static(
            b"<D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>",
        ),
    }
}
