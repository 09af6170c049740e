//! Conditions on reading (RFC 9110 section 13), judged in the order of section 13.2.2.

use crate::model::time::{parse_http_date, unix_seconds};
use crate::model::{Error, Result};
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue};
use std::time::SystemTime;

/// How a conditional GET or HEAD goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As if there were no condition.
    Proceed,
    /// The client has it already: 304.
    NotModified,
}

/// How entity tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Judges the conditions of a GET or HEAD for something that exists; `etag` is quoted.
/// `PreconditionFailed`, and `BadRequest` for a malformed list of tags.
pub fn judge(headers: &HeaderMap, etag: &str, modified: SystemTime) -> Result<Verdict> {
    if let Some(matches) = match_tags(headers, &IF_MATCH, etag, Comparison::Strong)? {
        if !matches {
            return Err(Error::PreconditionFailed);
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|since| unix_seconds(modified) > since) {
        return Err(Error::PreconditionFailed);
    }
    let known = match match_tags(headers, &IF_NONE_MATCH, etag, Comparison::Weak)? {
        Some(matches) => matches,
        None => date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| unix_seconds(modified) <= since),
    };
    Ok(if known { Verdict::NotModified } else { Verdict::Proceed })
}

/// Whether `If-Range` lets a `Range` count: the tag or the date is exactly the present one.
pub fn range_counts(headers: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    let Some(value) = headers.get(IF_RANGE).map(HeaderValue::as_bytes) else { return true };
    value.trim_ascii() == etag.as_bytes() || date(headers, &IF_RANGE) == Some(unix_seconds(modified))
}

/// A header's date in seconds since 1970; what is no date counts as absent, as RFC 9110 has it.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    headers.get(name)?.to_str().ok().and_then(|text| parse_http_date(text.trim())).map(unix_seconds)
}

/// Whether a header lists the tag; `None` if there is no such header.
fn match_tags(headers: &HeaderMap, name: &HeaderName, etag: &str, comparison: Comparison) -> Result<Option<bool>> {
    let mut found = None;
    for value in headers.get_all(name) {
        let lists = lists_tag(value.as_bytes(), etag.as_bytes(), comparison)
            .ok_or(Error::BadRequest("The list of entity tags is malformed; a tag is quoted, as in \"abc\"."))?;
        found = Some(lists || found == Some(true));
    }
    Ok(found)
}

/// Whether a list of tags, or `*`, includes the tag; `None` for what is neither.
fn lists_tag(list: &[u8], etag: &[u8], comparison: Comparison) -> Option<bool> {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return Some(true);
    }
    let (mut found, mut any) = (false, false);
    loop {
        rest = rest.trim_ascii_start();
        if let Some(tail) = rest.strip_prefix(b",") {
            rest = tail;
            continue;
        }
        if rest.is_empty() {
            return any.then_some(found);
        }
        let (weak, tag) = rest.strip_prefix(b"W/").map_or((false, rest), |tag| (true, tag));
        let inner = tag.strip_prefix(b"\"")?;
        let len = inner.iter().position(|&b| b == b'"')?;
        let (opaque, tail) = inner.split_at_checked(len)?;
        if !opaque.iter().all(|&b| b == 0x21 || (0x23..0x7f).contains(&b) || b >= 0x80) {
            return None;
        }
        let same = etag.strip_prefix(b"\"").and_then(|e| e.strip_suffix(b"\"")) == Some(opaque);
        found |= same && (!weak || comparison == Comparison::Weak);
        any = true;
        rest = tail.strip_prefix(b"\"")?.trim_ascii_start();
        if !(rest.is_empty() || rest.starts_with(b",")) {
            return None;
        }
    }
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
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        match judge(&headers, TAG, modified()) {
            Ok(Verdict::Proceed) => 200,
            Ok(Verdict::NotModified) => 304,
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
        assert_eq!(outcome(&[(IF_MATCH, TAG), (IF_UNMODIFIED_SINCE, BEFORE)]), 200);
        assert_eq!(outcome(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, THEN)]), 200);
        assert_eq!(outcome(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)]), 412);
        assert_eq!(outcome(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)]), 304);
    }

    #[test]
    fn malformed_lists_are_bad_requests() {
        for bad in ["\"", "", ",", "a-b", "\"a", "\"a\"b", "\"a\" \"b\"", "w/\"a\"", "W/", "\"a b\"", "*,\"a\"", "W/*"]
        {
            for name in [IF_MATCH, IF_NONE_MATCH] {
                assert_eq!(outcome(&[(name.clone(), bad)]), 400, "{name}: {bad}");
            }
        }
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
            let headers: HeaderMap = [(IF_RANGE, HeaderValue::from_str(value).unwrap())].into_iter().collect();
            assert_eq!(range_counts(&headers, TAG, modified()), counts, "{value}");
        }
        assert!(range_counts(&HeaderMap::new(), TAG, modified()));
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "[\"W/*, a\\-b\u{e9}]{0,20}") {
            for comparison in [Comparison::Strong, Comparison::Weak] {
                let _ = lists_tag(list.as_bytes(), TAG.as_bytes(), comparison);
            }
        }

        #[test]
        fn listed_tags_are_found(others in proptest::collection::vec("[!#-~]{0,8}", 0..4), weak: bool) {
            let mut list: Vec<String> = others.iter().map(|o| format!("\"{o}\"")).collect();
            list.push(format!("{}{TAG}", if weak { "W/" } else { "" }));
            let list = list.join(", ");
            prop_assert_eq!(lists_tag(list.as_bytes(), TAG.as_bytes(), Comparison::Weak), Some(true));
        }
    }
}
