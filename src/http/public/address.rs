//! Addresses within the pages of a link.

use crate::http::href;
use crate::model::VPath;

/// An address beneath a link, in ASCII that stands in a quoted attribute as it is.
pub(super) fn address(token: &str, what: &str, path: &VPath, more: &str) -> String {
    format!(
        "/s/{}{what}?path={}{more}",
        encoded(token),
        encoded(path.as_str())
    )
}

/// Text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = Vec::new();
    href::write_encoded(&mut encoded, text);
    String::from_utf8(encoded).unwrap_or_default()
}
