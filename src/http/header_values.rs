//! Values of request headers, read strictly: how often a header may come, lists over several lines, text, dates.

use crate::model::time::{parse_http_date, unix_seconds};
use crate::model::{Error, Result};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use std::borrow::Cow;

/// A header's text, `None` when absent; repeated or not UTF-8 is `BadRequest`.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::BadRequest(
            "A header is there twice that may be there only once.",
        ));
    }
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Error::BadRequest("A header is not valid text."))?;
    Ok(Some(text.trim()))
}

/// All lines of a header as one list (RFC 9110 section 5.3), `None` when absent; not UTF-8 is `BadRequest`.
pub fn list(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>> {
    let Some(list) = lines(headers, name) else {
        return Ok(None);
    };
    let text = String::from_utf8(list.into_owned())
        .map_err(|_| Error::BadRequest("A header is not valid text."))?;
    Ok(Some(text.trim().to_owned()))
}

/// All lines of a header as one list of bytes (RFC 9110 section 5.3); `None` when it is absent.
pub fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = lines.next()?;
    Some(lines.fold(Cow::Borrowed(first), |list, line| {
        [&list, line].join(&b", "[..]).into()
    }))
}

/// A header's one value; `None` when it is absent or there in several lines.
pub fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// A header's date in seconds since 1970; what is no date, or comes twice, counts as absent (RFC 9110 section 13.1.3).
pub fn date(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    single_value(headers, name)?
        .to_str()
        .ok()
        .and_then(|text| parse_http_date(text.trim()))
        .map(unix_seconds)
}
