//! The request headers of WebDAV, read strictly: what is malformed is 400, never "absent".

use super::conditional;
pub use super::owncloud::{oc_checksum, oc_mtime};
use super::tokens::{if_lists, lock_tokens};
use crate::drive::preconditions::Preconditions;
use crate::model::{Error, Result, VPath};
use crate::storage::Expect;
use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
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

/// What makes an address one of this server's, and how it is spelled.
#[derive(Clone, Copy, Debug)]
pub struct ServerOrigin<'a> {
    /// The `Host` of the request.
    pub host: &'a str,
    /// Other names of this server.
    pub also: &'a [String],
    /// What the drive's paths begin with (`/dav`).
    pub prefix: &'a str,
}

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
    let Some(list) = conditional::list(headers, name) else {
        return Ok(None);
    };
    let text = String::from_utf8(list.into_owned())
        .map_err(|_| Error::BadRequest("A header is not valid text."))?;
    Ok(Some(text.trim().to_owned()))
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

/// An absolute URI or path as a path of this drive; `None` when it lies elsewhere. User names in it and its scheme are passed
/// over: KIO sends both, and a TLS proxy changes the scheme.
pub(super) fn address(value: &str, origin: ServerOrigin<'_>) -> Result<Option<VPath>> {
    let path = match value.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let (authority, path) = rest
                .find(['/', '?', '#'])
                .map_or((rest, "/"), |at| rest.split_at(at));
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            let known = ["http", "https", "webdav", "webdavs", "dav", "davs"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme));
            if !known || !is_own_host(host, origin) {
                return Ok(None);
            }
            path
        }
        _ => value,
    };
    if !path.starts_with('/') {
        return Err(Error::BadRequest(
            "An address in a header must be a URL or begin with a slash.",
        ));
    }
    // A client that does not escape a name would have another one changed than it means.
    if path.contains(['?', '#']) {
        return Err(Error::BadRequest(
            "An address in a header has neither query nor fragment: a ? in a name is written %3F, a # is %23.",
        ));
    }
    VPath::from_url(path, origin.prefix)
}

fn is_own_host(host: &str, origin: ServerOrigin<'_>) -> bool {
    let name = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_ascii_lowercase(),
        _ => host.to_ascii_lowercase(),
    };
    name(host) == name(origin.host) || origin.also.iter().any(|also| name(also) == name(host))
}

/// The conditions of a request, from `If`, `If-Match` and `If-None-Match`, and the tokens of `Lock-Token`.
pub fn preconditions(headers: &HeaderMap, origin: ServerOrigin<'_>) -> Result<Preconditions> {
    let lists = match list(headers, &HeaderName::from_static("if"))? {
        Some(value) => if_lists(&value, origin)?,
        None => Vec::new(),
    };
    Ok(Preconditions {
        expect: expect(headers)?,
        if_lists: lists,
        lock_tokens: lock_tokens(headers)?,
        ..Preconditions::default()
    })
}

/// The condition on the resource that a change names. Two that say together what no one condition does are refused, as are
/// those that contradict each other, since passing over one of them could lose somebody's change.
pub fn expect(headers: &HeaderMap) -> Result<Expect> {
    let since = conditional::date(headers, &IF_UNMODIFIED_SINCE);
    match (
        tags(headers, &IF_MATCH)?,
        tags(headers, &IF_NONE_MATCH)?,
        since,
    ) {
        (None, None, None) => Ok(Expect::Any),
        (None, None, Some(since)) => Ok(Expect::UnmodifiedSince(since)),
        (Some(EntityTags::Any), None, _) => Ok(Expect::Exists),
        (Some(EntityTags::These(tags)), None, _) => Ok(Expect::Etag(tags)),
        // What does not exist has no date to be compared.
        (None, Some(EntityTags::Any), _) => Ok(Expect::Absent),
        (None, Some(EntityTags::These(tags)), None) => Ok(Expect::NotEtag(tags)),
        (Some(EntityTags::These(mut tags)), Some(EntityTags::These(not)), _) => {
            tags.retain(|tag| !not.contains(tag));
            Ok(Expect::Etag(tags))
        }
        _ => Err(Error::BadRequest(
            "If-Match, If-None-Match and If-Unmodified-Since cannot be joined like this.",
        )),
    }
}

/// What If-Match or If-None-Match names.
enum EntityTags {
    /// `*`
    Any,
    /// These, quoted.
    These(Vec<String>),
}

/// A list of entity tags. A bare tag gets its quotes; a weak one matches as any other in If-None-Match (RFC 9110 section
/// 13.1.2), elsewhere it is kept as it is and matches nothing.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<EntityTags>> {
    let malformed =
        Error::BadRequest("If-Match and If-None-Match take * or a list of quoted tags.");
    let Some(list) = list(headers, name)? else {
        return Ok(None);
    };
    if list.split(',').all(|element| element.trim() == "*") {
        return Ok(Some(EntityTags::Any));
    }
    // Lines may be empty, and an empty element of a list is none (RFC 9110 section 5.6.1).
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let (weak, body) = rest
            .strip_prefix("W/")
            .map_or(("", rest), |body| ("W/", body));
        let weak = if *name == IF_NONE_MATCH { "" } else { weak };
        let (tag, after) = match body.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(malformed_tag())?,
            None => body.split_at(body.find(',').unwrap_or(body.len())),
        };
        let tag = tag.trim();
        if tag.contains('"') || (matches!(tag, "" | "*") && !body.starts_with('"')) {
            return Err(malformed);
        }
        tags.push(format!("{weak}\"{tag}\""));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start_matches([' ', '\t', ',']),
            None if rest.is_empty() => rest,
            None => return Err(malformed),
        };
    }
    if tags.is_empty() {
        Err(malformed)
    } else {
        Ok(Some(EntityTags::These(tags)))
    }
}

fn malformed_tag() -> Error {
    Error::BadRequest("An entity tag lacks its closing quote.")
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
    fn tags_keep_commas_and_get_their_quotes() {
        let expect = |name, value| expect(&with(name, value)).ok();
        assert_eq!(expect("if-match", "*"), Some(Expect::Exists));
        assert_eq!(
            expect("if-match", ", \"a\",,"),
            Some(Expect::Etag(vec!["\"a\"".into()]))
        );
        assert_eq!(expect("if-none-match", "*"), Some(Expect::Absent));
        assert_eq!(
            expect("if-match", "\"a,b\" , W/\"c\",d"),
            Some(Expect::Etag(vec![
                "\"a,b\"".into(),
                "W/\"c\"".into(),
                "\"d\"".into()
            ]))
        );
        for bad in ["", "\"", "\"a\" \"b\"", ",", "a\"b"] {
            assert_eq!(expect("if-match", bad), None, "{bad}");
        }
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
        let etags = |values: &[&'static str]| expect(&lines("if-match", values)).ok();
        let both = Some(Expect::Etag(vec!["\"a\"".into(), "\"b\"".into()]));
        assert_eq!(etags(&["\"a\"", "\"b\""]), both);
        assert_eq!(etags(&["\"a\",", "", "\"b\""]), both);
        assert_eq!(etags(&["*", "*"]), Some(Expect::Exists));
        assert_eq!(etags(&["*", "\"a\""]), None);
        let wait = |values: &[&'static str]| {
            timeout(&lines("timeout", values)).map(|timeout| timeout.as_secs())
        };
        assert_eq!(wait(&["Extend", "Second-5"]), Some(5));
    }

    #[test]
    fn no_condition_of_a_change_is_passed_over() {
        let both = |one: (&'static str, &'static str), other: (&'static str, &'static str)| {
            let mut headers = with(one.0, one.1);
            headers.extend(with(other.0, other.1));
            expect(&headers).ok()
        };
        let then = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            expect(&with("if-unmodified-since", then)).ok(),
            Some(Expect::UnmodifiedSince(784_111_777))
        );
        assert_eq!(
            expect(&with("if-unmodified-since", "then")).ok(),
            Some(Expect::Any),
            "no date counts as absent"
        );
        let tag = Some(Expect::Etag(vec!["\"a\"".into()]));
        assert_eq!(
            both(("if-match", "\"a\""), ("if-unmodified-since", then)),
            tag,
            "RFC 9110 section 13.1.4"
        );
        assert_eq!(both(("if-match", "*"), ("if-none-match", "*")), None);
        assert_eq!(both(("if-match", "\"a\""), ("if-none-match", "\"b\"")), tag);
        assert_eq!(
            both(("if-match", "\"b\", \"a\""), ("if-none-match", "W/\"b\"")),
            tag
        );
        assert_eq!(both(("if-match", "*"), ("if-none-match", "\"b\"")), None);
        assert_eq!(
            both(("if-none-match", "*"), ("if-unmodified-since", then)),
            Some(Expect::Absent)
        );
        assert_eq!(
            both(("if-none-match", "\"b\""), ("if-unmodified-since", then)),
            None
        );
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
}
