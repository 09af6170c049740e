//! Conditions of reads by status, and those of changes as they are parsed.

use super::*;
use crate::model::time::from_unix_seconds;
use http::HeaderValue;
use http::header::HeaderName;
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

fn with(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        HeaderName::from_static(name),
        HeaderValue::from_bytes(value.as_bytes()).unwrap(),
    )])
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
fn several_lines_of_tags_for_a_change_are_one_list() {
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
