//! The request headers of WebDAV, read strictly: what is malformed is 400, never "absent".

use super::server_origin::{ServerOrigin, address};
use super::tokens::{if_lists, lock_tokens};
use crate::drive::preconditions::RequestPreconditions;
use crate::http::conditional::expect;
use crate::http::header_values::{list, text};
use crate::model::{Error, Result, VPath};
use http::HeaderMap;
use http::header::HeaderName;
use std::time::Duration;

/// How far below a folder a request reaches (RFC 4918 section 10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The resource itself.
    Zero,
    /// And its members.
    One,
    /// Its members without itself (`1,noroot`, MS-WDVME).
    OneNoRoot,
    /// And everything below.
    Infinity,
}

/// The `Depth` header.
pub fn depth(headers: &HeaderMap) -> Result<Option<Depth>> {
    let Some(value) = text(headers, &HeaderName::from_static("depth"))? else {
        return Ok(None);
    };
    match value.to_ascii_lowercase().replace(' ', "").as_str() {
        "0" => Ok(Some(Depth::Zero)),
        "1" => Ok(Some(Depth::One)),
        "1,noroot" => Ok(Some(Depth::OneNoRoot)),
        "infinity" | "infinity,noroot" => Ok(Some(Depth::Infinity)),
        _ => Err(Error::BadRequest("Depth must be 0, 1 or infinity.")),
    }
}

/// The `Overwrite` header; absent is `T` (RFC 4918 section 10.6).
pub fn overwrite(headers: &HeaderMap) -> Result<bool> {
    match text(headers, &HeaderName::from_static("overwrite"))? {
        None | Some("T" | "t") => Ok(true),
        Some("F" | "f") => Ok(false),
        Some(_) => Err(Error::BadRequest("Overwrite must be T or F.")),
    }
}

/// The `Destination` header as a path of this drive; `None` when it names another server or another part of this one.
pub fn destination(headers: &HeaderMap, origin: ServerOrigin<'_>) -> Result<Option<VPath>> {
    let value = text(headers, &HeaderName::from_static("destination"))?;
    address(
        value.ok_or(Error::BadRequest("A copy or move needs a Destination."))?,
        origin,
    )
}

/// The conditions of a request, from `If`, `If-Match` and `If-None-Match`, and the tokens of `Lock-Token`.
pub fn preconditions(
    headers: &HeaderMap,
    origin: ServerOrigin<'_>,
) -> Result<RequestPreconditions> {
    let lists = match list(headers, &HeaderName::from_static("if"))? {
        Some(value) => if_lists(&value, origin)?,
        None => Vec::new(),
    };
    Ok(RequestPreconditions {
        expect: expect(headers)?,
        if_lists: lists,
        lock_tokens: lock_tokens(headers)?,
        ..RequestPreconditions::default()
    })
}

/// The `Timeout` header: the first value understood; `None` when there is none (RFC 4918 section 10.7).
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = list(headers, &HeaderName::from_static("timeout"))
        .ok()
        .flatten()?;
    value.split(',').map(str::trim).find_map(|choice| {
        if choice.eq_ignore_ascii_case("infinite") {
            return Some(Duration::MAX);
        }
        let (word, seconds) = choice.split_at_checked(7)?;
        word.eq_ignore_ascii_case("second-")
            .then(|| seconds.parse().ok().map(Duration::from_secs))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ORIGIN: ServerOrigin<'_> = ServerOrigin {
        host: "nest.example:8080",
        also: &[],
        prefix: "/dav",
        path_prefix: "",
    };

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )])
    }

    #[test]
    fn destinations_of_every_client_land_in_the_drive() {
        let path = |value| {
            destination(&with("destination", value), ORIGIN)
                .unwrap()
                .map(|p| p.as_str().to_owned())
        };
        for value in [
            "/dav/a%20b",
            "http://nest.example:8080/dav/a%20b",
            "https://nest.example/dav/a%20b",
            "http://u:p@nest.example/dav/a%20b/",
            "webdav://NEST.example/dav//a%20b",
            "/x/../dav/a%20b",
        ] {
            assert_eq!(path(value).as_deref(), Some("a b"), "{value}");
        }
        for value in [
            "http://evil.example/dav/x",
            "http://evil#@nest.example/dav/x",
            "http://evil?@nest.example/dav/x",
            "ftp://nest.example/dav/x",
            "/other/x",
            "/davx",
            "/dav/../x",
        ] {
            assert_eq!(path(value), None, "{value}");
        }
        for value in [
            "",
            "dav/x",
            "/dav/x#y",
            "/dav/x?y",
            "/dav/x?",
            "http://nest.example/dav/what?.txt",
            "http://nest.example?/dav/x",
            "/dav/%ff",
            "/dav/a%00",
            "/dav/%zz",
        ] {
            assert!(
                destination(&with("destination", value), ORIGIN).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn timeouts_take_the_first_choice_understood() {
        let seconds = |value| timeout(&with("timeout", value)).map(|t| t.as_secs());
        assert_eq!(seconds("Second-3600"), Some(3600));
        assert_eq!(seconds("Extend, Second-5"), Some(5));
        assert_eq!(seconds("Infinite, Second-4100000000"), Some(u64::MAX));
        assert_eq!(seconds("Second-"), None);
        assert_eq!(seconds("é"), None);
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = |name: &'static str, values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name, HeaderValue::from_static(value));
            }
            headers
        };
        let wait = |values: &[&'static str]| {
            timeout(&lines("timeout", values)).map(|timeout| timeout.as_secs())
        };
        assert_eq!(wait(&["Extend", "Second-5"]), Some(5));
    }
}
