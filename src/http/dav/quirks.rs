//! Exceptions for single clients: each with the client, the reason and the source.

use crate::model::time::unix_seconds;
use std::time::SystemTime;

/// Windows Explorer (`WebClient`, `Microsoft-WebDAV-MiniRedir`) refuses answers above 1,000,000 bytes, so about 2,000
/// entries of 500 bytes: listings for it leave out `supportedlock`, which it never reads.
/// Source: `FileAttributesLimitInBytes`, Microsoft KB 912152.
pub fn wants_lean_listings(user_agent: &str) -> bool {
    user_agent.contains("Microsoft-WebDAV-MiniRedir")
}

/// Windows writes 1601-01-01 (the zero of its clock) where it has no time to set: the file keeps the time it has.
/// Source: FILETIME in MS-DTYP 2.3.3.
pub fn is_unset_windows_time(time: SystemTime) -> bool {
    const WINDOWS_ZERO: i64 = -11_644_473_600;
    unix_seconds(time) == WINDOWS_ZERO
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::parse_http_date;

    #[test]
    fn windows_is_recognised() {
        assert!(wants_lean_listings("Microsoft-WebDAV-MiniRedir/10.0.19045"));
        assert!(!wants_lean_listings("WebDAVFS/3.0.0"));
        assert!(is_unset_windows_time(
            parse_http_date("Mon, 01 Jan 1601 00:00:00 GMT").unwrap()
        ));
        assert!(!is_unset_windows_time(SystemTime::UNIX_EPOCH));
    }
}
