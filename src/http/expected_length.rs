//! Bodies that are held to the length their request announces beside its framing: `X-Expected-Entity-Length` (Finder, with
//! chunks) and `OC-Total-Length`. A proxy that drops a body ends it properly, and only this length tells.

use super::header_values;
use super::request_body::RequestBody;
use crate::model::{Error, Result};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const X_EXPECTED_ENTITY_LENGTH: HeaderName = HeaderName::from_static("x-expected-entity-length");
const OC_TOTAL_LENGTH: HeaderName = HeaderName::from_static("oc-total-length");
const OC_CHUNKED: HeaderName = HeaderName::from_static("oc-chunked");

/// The length of the body as its request announces it beside its framing; `BadRequest` when that is no number, there twice, or two
/// different ones; `ContentCoding` for a body that is coded.
pub fn length(method: &Method, headers: &HeaderMap) -> Result<Option<u64>> {
    let mut codings = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(HeaderValue::as_bytes);
    // Some clients send the headers of bodies with every request.
    let may_have_body = !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
    if may_have_body
        && codings.any(|coding| {
            !matches!(
                coding.trim_ascii().to_ascii_lowercase().as_slice(),
                b"" | b"identity"
            )
        })
    {
        return Err(Error::ContentCoding);
    }
    if !matches!(method.as_str(), "PUT" | "PATCH" | "POST") {
        return Ok(None);
    }
    // With OC-Chunked it is the length of the file that this body is a part of.
    let has_total = *method == Method::PUT && !headers.contains_key(OC_CHUNKED);
    let total = if has_total {
        number(headers, &OC_TOTAL_LENGTH)?
    } else {
        None
    };
    match (number(headers, &X_EXPECTED_ENTITY_LENGTH)?, total) {
        (Some(one), Some(other)) if one != other => Err(CONTRADICTION),
        (one, other) => Ok(one.or(other)),
    }
}

/// The length of a body, by its framing or else by what is announced beside that.
pub fn body_length(method: &Method, headers: &HeaderMap) -> Result<Option<u64>> {
    let framed = headers
        .get(CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok()?.parse().ok());
    framed.map_or_else(|| length(method, headers), |framed| Ok(Some(framed)))
}

const CONTRADICTION: Error =
    Error::BadRequest("The request announces two different lengths; nothing was changed.");

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>> {
    let malformed = Error::BadRequest(
        "X-Expected-Entity-Length and OC-Total-Length must be a number of bytes.",
    );
    let Some(text) = header_values::text(headers, name)? else {
        return Ok(None);
    };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| is_number)
        .map(Some)
        .ok_or(malformed)
}

/// Holds a body to the announced length. `BadRequest` at once when its framing says another.
pub fn enforce(body: RequestBody, len: Option<u64>) -> Result<RequestBody, (Error, RequestBody)> {
    match (len, body.size_hint().exact()) {
        (Some(len), None) => Ok(RequestBody::Wrapped(Box::pin(ExactLengthBody::new(
            body, len,
        )))),
        (Some(len), Some(framed)) if len != framed => Err((CONTRADICTION, body)),
        _ => Ok(body),
    }
}

/// A body whose last piece is not handed on before it is known to be the last, and that all have the announced length together.
#[derive(Debug)]
pub struct ExactLengthBody {
    inner: RequestBody,
    /// Bytes that have not come yet.
    left: u64,
    held: Option<Bytes>,
    /// What comes after `held`.
    failed: Option<io::Error>,
    is_over: bool,
}

impl ExactLengthBody {
    fn new(inner: RequestBody, len: u64) -> Self {
        Self {
            inner,
            left: len,
            held: None,
            failed: None,
            is_over: false,
        }
    }

    fn end(&mut self, error: Option<io::Error>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.is_over = true;
        Poll::Ready(match error {
            Some(error) => Some(Err(error)),
            None => self.held.take().map(|last| Ok(Frame::data(last))),
        })
    }
}

impl Body for ExactLengthBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(error) = this.failed.take() {
            return this.end(Some(error));
        }
        loop {
            let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
            // After a wrong length has been told, what is left is only read to its end.
            if this.is_over {
                return Poll::Ready(frame);
            }
            match frame {
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    let Some(left) = this.left.checked_sub(piece.len() as u64) else {
                        this.held = None;
                        return this
                            .end(Some(io::Error::other("the body is longer than announced")));
                    };
                    this.left = left;
                    if let Some(before) = this.held.replace(piece) {
                        return Poll::Ready(Some(Ok(Frame::data(before))));
                    }
                }
                // A broken connection: the last piece is passed on first, for resumable uploads.
                Some(Err(error)) => match this.held.take() {
                    Some(last) => {
                        this.failed = Some(error);
                        return Poll::Ready(Some(Ok(Frame::data(last))));
                    }
                    None => return this.end(Some(error)),
                },
                None if this.left > 0 => {
                    this.held = None;
                    return this.end(Some(io::ErrorKind::UnexpectedEof.into()));
                }
                None => return this.end(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_held_to = self.left == 0 && self.held.is_none() && self.failed.is_none();
        (self.is_over || is_held_to) && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_over {
            return self.inner.size_hint();
        }
        SizeHint::with_exact(
            self.left
                .saturating_add(self.held.as_ref().map_or(0, |held| held.len() as u64)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn announced(
        method: &Method,
        pairs: &[(&'static str, &'static str)],
    ) -> Result<Option<u64>, ()> {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        length(method, &headers).map_err(drop)
    }

    #[test]
    fn the_announced_length_is_one_number() {
        let expected = "x-expected-entity-length";
        assert_eq!(announced(&Method::PUT, &[]), Ok(None));
        assert_eq!(announced(&Method::PUT, &[(expected, "5")]), Ok(Some(5)));
        assert_eq!(
            announced(&Method::PUT, &[("oc-total-length", "5")]),
            Ok(Some(5))
        );
        assert_eq!(
            announced(&Method::PUT, &[("oc-total-length", "5"), (expected, "5")]),
            Ok(Some(5))
        );
        assert_eq!(
            announced(&Method::PUT, &[("oc-total-length", "6"), (expected, "5")]),
            Err(())
        );
        assert_eq!(
            announced(
                &Method::PUT,
                &[("oc-total-length", "6"), ("oc-chunked", "1")]
            ),
            Ok(None)
        );
        assert_eq!(
            announced(&Method::PATCH, &[("oc-total-length", "6")]),
            Ok(None),
            "that of the whole file"
        );
        assert_eq!(announced(&Method::GET, &[(expected, "x")]), Ok(None));
        assert_eq!(
            announced(&Method::PUT, &[(expected, "5"), (expected, "5")]),
            Err(())
        );
        for bad in [
            "",
            "+5",
            "-5",
            "5.0",
            "0x5",
            "5,5",
            "1e3",
            "99999999999999999999",
            "abc",
        ] {
            for (method, name) in [
                (&Method::PUT, expected),
                (&Method::PUT, "oc-total-length"),
                (&Method::POST, expected),
            ] {
                assert_eq!(
                    announced(method, &[(name, bad)]),
                    Err(()),
                    "{name}: {bad:?}"
                );
            }
        }
    }
}
