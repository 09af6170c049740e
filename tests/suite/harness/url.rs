//! Paths as they stand in an address; the model's tests use it as well.

use std::fmt::Write as _;

/// Percent-encodes a decoded path; slashes stay.
pub fn url(path: &str) -> String {
    path.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
