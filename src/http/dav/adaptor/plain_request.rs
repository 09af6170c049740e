//! The plain request that the protocol crate gets instead of the client's. Only headers that the gate has read and understood go on, so
//! that nothing the crate misreads ever reaches it.

use crate::http::dav::exchange::{DavExchange, DavMethod};
use crate::http::dav::gate::{DavRequestHead, X_UPDATE_RANGE};
use crate::http::href::{self, PREFIX};
use crate::model::{Error, Result};
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};

/// The request that the crate gets: canonical addresses and only the headers it needs.
pub fn plain_request<B>(
    exchange: &DavExchange,
    dav_request: &DavRequestHead<'_>,
    body: B,
) -> Result<Request<B>> {
    let malformed = |_| Error::BadRequest("The request cannot be understood.");
    let address = href::encode(PREFIX, &exchange.path, false);
    let mut request = Request::builder()
        .method(dav_request.head.method.clone())
        .uri(address);
    let given = &dav_request.head.headers;
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
