//! Headers that ownCloud's and Nextcloud's clients send with an upload, and others after them.

use super::header_values::{list, text};
use crate::drive::Checksum;
use crate::model::time::{in_calendar, parse_seconds};
use crate::model::{Error, Result};
use http::HeaderMap;
use http::header::HeaderName;
use std::time::SystemTime;

/// The `X-OC-Mtime` header: seconds since 1970, a fraction is cut off.
pub fn oc_mtime(headers: &HeaderMap) -> Result<Option<SystemTime>> {
    let Some(value) = text(headers, &HeaderName::from_static("x-oc-mtime"))? else {
        return Ok(None);
    };
    let seconds = parse_seconds(value).and_then(in_calendar);
    seconds.map(Some).ok_or(Error::BadRequest(
        "X-OC-Mtime must be a number of seconds since 1970.",
    ))
}

/// The first checksum of `OC-Checksum` (`SHA1:9f86d0… MD5:…`) whose algorithm is known here.
pub fn oc_checksum(headers: &HeaderMap) -> Result<Option<Checksum>> {
    let sums = list(headers, &HeaderName::from_static("oc-checksum"))?.unwrap_or_default();
    for (algorithm, digits) in sums
        .split([' ', '\t', ','])
        .filter_map(|sum| sum.split_once(':'))
    {
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let expected: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        let expected = expected.filter(|_| is_hex);
        let wrong =
            Error::BadRequest("OC-Checksum must be an algorithm, a colon and hexadecimal digits.");
        if let Some(checksum) = Checksum::new(algorithm, expected.ok_or(wrong)?) {
            return Ok(Some(checksum));
        }
    }
    Ok(None)
}
