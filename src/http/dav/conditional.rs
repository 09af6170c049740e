//! Conditions on reading (RFC 9110 section 13), judged in the order of section 13.2.2.

use crate::drive::Drive;
use crate::model::time::{parse_http_date, unix_seconds};
use crate::model::{Error, Result, VPath};
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use http::{HeaderMap, HeaderValue};
use std::borrow::Cow;
use std::time::SystemTime;

/// How a conditional GET or HEAD goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadCondition {
    /// As if there were no condition.
    Proceed,
    /// The client has it already: 304.
    NotModified,
}

/// Judges the conditions of a GET or HEAD for something that exists; `etag` is quoted. `Stale`, and `BadRequest` for a
/// malformed `If-Match`. What is malformed in `If-None-Match` matches nothing: then the client gets the content, which is never wrong.
pub fn evaluate(headers: &HeaderMap, etag: &str, modified: SystemTime) -> Result<ReadCondition> {
    let etag = etag.as_bytes();
    if let Some(list) = list(headers, &IF_MATCH) {
        let matches = lists_tag(&list, etag).ok_or(Error::BadRequest(
            "The list of entity tags is malformed; a tag is quoted, as in \"abc\".",
        ))?;
        if !matches {
            return Err(Error::Stale {
                etag: String::from_utf8_lossy(etag).into_owned(),
            });
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE)
        .is_some_and(|since| unix_seconds(modified) > since)
    {
        return Err(Error::Stale {
            etag: String::from_utf8_lossy(etag).into_owned(),
        });
    }
    let known = match list(headers, &IF_NONE_MATCH) {
        Some(list) => {
            is_any(&list) || elements(&list).any(|element| element.is_some_and(|tag| tag.is(etag)))
        }
        None => {
            date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| unix_seconds(modified) <= since)
        }
    };
    Ok(if known {
        ReadCondition::NotModified
    } else {
        ReadCondition::Proceed
    })
}

/// A failure with the entity tag of what stands at `path`, if a condition on that has failed and the drive shows it.
pub async fn with_current_etag(drive: &Drive, path: &VPath, error: Error) -> Error {
    if !matches!(error, Error::PreconditionFailed) {
        return error;
    }
    match drive.find(path).await {
        Ok(Some(node)) => Error::Stale {
            etag: node.etag.to_string(),
        },
        _ => error,
    }
}

/// Whether `If-Range` lets a `Range` count: the tag or the date is exactly the present one.
pub fn if_range_matches(headers: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(value) = single_value(headers, &IF_RANGE) else {
        return false;
    };
    value.as_bytes().trim_ascii() == etag.as_bytes()
        || date(headers, &IF_RANGE) == Some(unix_seconds(modified))
}

/// A header's one value; `None` when it is absent or there in several lines.
pub(super) fn single_value<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// A header's date in seconds since 1970; what is no date, or more than one, counts as absent, as RFC 9110 has it.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    single_value(headers, name)?
        .to_str()
        .ok()
        .and_then(|text| parse_http_date(text.trim()))
        .map(unix_seconds)
}

/// All lines of a header as one list (RFC 9110 section 5.3); `None` when it is absent.
pub(super) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = lines.next()?;
    Some(lines.fold(Cow::Borrowed(first), |list, line| {
        [&list, line].join(&b", "[..]).into()
    }))
}

/// An entity tag as it is written, without its quotes.
#[derive(Clone, Copy)]
struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl EntityTag<'_> {
    /// Whether it is this quoted tag; by the weak comparison, which does not look at `weak` (RFC 9110 section 8.8.3.2).
    fn is(self, etag: &[u8]) -> bool {
        etag.strip_prefix(b"\"").and_then(|e| e.strip_suffix(b"\"")) == Some(self.opaque)
    }
}

/// Whether a list of tags, or `*`, includes the tag by the strong comparison; `None` for what is neither.
fn lists_tag(list: &[u8], etag: &[u8]) -> Option<bool> {
    if is_any(list) {
        return Some(true);
    }
    let tags: Vec<EntityTag<'_>> = elements(list).collect::<Option<_>>()?;
    (!tags.is_empty()).then(|| tags.iter().any(|tag| !tag.weak && tag.is(etag)))
}

/// Whether a list is `*`, be it in several lines.
fn is_any(list: &[u8]) -> bool {
    list.split(|b| *b == b',')
        .all(|element| element.trim_ascii() == b"*")
}

/// The elements of a list of tags; `None` for one that is no tag.
fn elements(list: &[u8]) -> impl Iterator<Item = Option<EntityTag<'_>>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        while let Some(tail) = rest.strip_prefix(b",") {
            rest = tail.trim_ascii_start();
        }
        if rest.is_empty() {
            return None;
        }
        if let Some((tag, tail)) = leading_tag(rest) {
            rest = tail;
            return Some(Some(tag));
        }
        let end = rest.iter().position(|b| *b == b',').unwrap_or(rest.len());
        rest = rest.get(end..).unwrap_or_default();
        Some(None)
    })
}

/// The tag that a list begins with, up to the next comma or the end.
fn leading_tag(list: &[u8]) -> Option<(EntityTag<'_>, &[u8])> {
    let (weak, tag) = list
        .strip_prefix(b"W/")
        .map_or((false, list), |tag| (true, tag));
    let inner = tag.strip_prefix(b"\"")?;
    let (opaque, tail) = inner.split_at_checked(inner.iter().position(|b| *b == b'"')?)?;
    let is_opaque = opaque
        .iter()
        .all(|&b| b == 0x21 || (0x23..0x7f).contains(&b) || b >= 0x80);
    let tail = tail.strip_prefix(b"\"")?.trim_ascii_start();
    (is_opaque && (tail.is_empty() || tail.starts_with(b",")))
        .then_some((EntityTag { weak, opaque }, tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::from_unix_seconds;
    use proptest::prelude::*;
    use std::time::Duration;

    const TAG: &str = "\"a-b\"";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn modified() -> SystemTime {
        from_unix_seconds(784_111_777) + Duration::from_millis(600)
    }

    fn outcome(pairs: &[(HeaderName, &str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        match evaluate(&headers, TAG, modified()) {
            Ok(ReadCondition::Proceed) => 200,
            Ok(ReadCondition::NotModified) => 304,
            Err(error) => crate::http::reply::status(&error).as_u16(),
        }
    }

    #[test]
    fn single_conditions() {
        let cases = [
            (IF_MATCH, "\"a-b\"", 200),
            (IF_MATCH, "*", 200),
            (IF_MATCH, "\"x\" , \"a-b\"", 200),
            (IF_MATCH, "\"x\"", 412),
            (IF_MATCH, "W/\"a-b\"", 412),
            (IF_NONE_MATCH, "\"a-b\"", 304),
            (IF_NONE_MATCH, "W/\"a-b\"", 304),
            (IF_NONE_MATCH, "*", 304),
            (IF_NONE_MATCH, ",\"a,b\",\"x\",", 200),
            (IF_MODIFIED_SINCE, THEN, 304),
            (IF_MODIFIED_SINCE, BEFORE, 200),
            (IF_MODIFIED_SINCE, "garbage", 200),
            (IF_UNMODIFIED_SINCE, THEN, 200),
            (IF_UNMODIFIED_SINCE, BEFORE, 412),
            (IF_UNMODIFIED_SINCE, "garbage", 200),
        ];
        for (name, value, status) in cases {
            assert_eq!(outcome(&[(name.clone(), value)]), status, "{name}: {value}");
        }
    }

    #[test]
    fn tags_go_before_dates_and_matching_before_not_matching() {
        assert_eq!(
            outcome(&[(IF_MATCH, TAG), (IF_UNMODIFIED_SINCE, BEFORE)]),
            200
        );
        assert_eq!(
            outcome(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, THEN)]),
            200
        );
        assert_eq!(outcome(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)]), 412);
        assert_eq!(
            outcome(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)]),
            304
        );
    }

    #[test]
    fn malformed_lists_are_bad_requests_or_match_nothing() {
        for bad in [
            "\"",
            "",
            ",",
            "a-b",
            "\"a",
            "\"a\"b",
            "\"a\" \"b\"",
            "w/\"a\"",
            "W/",
            "\"a b\"",
            "*,\"a\"",
            "W/*",
        ] {
            assert_eq!(outcome(&[(IF_MATCH, bad)]), 400, "{bad}");
            assert_eq!(outcome(&[(IF_NONE_MATCH, bad)]), 200, "{bad}");
            assert_eq!(
                outcome(&[(IF_NONE_MATCH, bad), (IF_MODIFIED_SINCE, THEN)]),
                200,
                "{bad}"
            );
        }
        for known in ["a-b, \"a-b\"", "\"x\"y, W/\"a-b\"", ", \"a-b\" ,"] {
            assert_eq!(outcome(&[(IF_NONE_MATCH, known)]), 304, "{known}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        for (name, yes, no) in [(IF_MATCH, 200, 412), (IF_NONE_MATCH, 304, 200)] {
            assert_eq!(
                outcome(&[(name.clone(), "\"x\""), (name.clone(), TAG)]),
                yes,
                "{name}"
            );
            assert_eq!(
                outcome(&[(name.clone(), TAG), (name.clone(), "")]),
                yes,
                "{name}"
            );
            assert_eq!(
                outcome(&[(name.clone(), "*"), (name.clone(), "*")]),
                yes,
                "{name}"
            );
            assert_eq!(
                outcome(&[(name.clone(), "\"x\""), (name.clone(), "\"y\"")]),
                no,
                "{name}"
            );
        }
        assert_eq!(outcome(&[(IF_MATCH, TAG), (IF_MATCH, "a-b")]), 400);
        for (name, value) in [(IF_MODIFIED_SINCE, THEN), (IF_UNMODIFIED_SINCE, BEFORE)] {
            assert_eq!(
                outcome(&[(name.clone(), value), (name.clone(), value)]),
                200,
                "{name}: a date is no list"
            );
        }
        let ranges = [
            (IF_RANGE, HeaderValue::from_static(TAG)),
            (IF_RANGE, HeaderValue::from_static(TAG)),
        ];
        let mut headers = HeaderMap::new();
        headers.extend(ranges);
        assert!(!if_range_matches(&headers, TAG, modified()));
    }

    #[test]
    fn if_range_is_exact() {
        for (value, counts) in [
            (TAG, true),
            (THEN, true),
            ("W/\"a-b\"", false),
            (BEFORE, false),
            ("\"x\"", false),
            ("\"", false),
            ("", false),
        ] {
            let headers: HeaderMap = [(IF_RANGE, HeaderValue::from_str(value).unwrap())]
                .into_iter()
                .collect();
            assert_eq!(
                if_range_matches(&headers, TAG, modified()),
                counts,
                "{value}"
            );
        }
        assert!(if_range_matches(&HeaderMap::new(), TAG, modified()));
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "[\"W/*, a\\-b\u{e9}]{0,20}") {
            let _ = lists_tag(list.as_bytes(), TAG.as_bytes());
            let count = elements(list.as_bytes()).count();
            prop_assert!(count <= list.len());
        }

        #[test]
        fn listed_tags_are_found(others in proptest::collection::vec("[!#-~]{0,8}", 0..4), weak: bool) {
            let mut list: Vec<String> = others.iter().map(|o| format!("\"{o}\"")).collect();
            list.push(format!("{}{TAG}", if weak { "W/" } else { "" }));
            let list = list.join(", ");
            prop_assert!(elements(list.as_bytes()).all(|tag| tag.is_some()));
            prop_assert!(elements(list.as_bytes()).flatten().any(|tag| tag.is(TAG.as_bytes())));
            prop_assert!(weak || lists_tag(list.as_bytes(), TAG.as_bytes()) == Some(true));
        }
    }
}
