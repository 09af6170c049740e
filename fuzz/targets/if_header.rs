//! `If`, `If-Match`, `If-None-Match` and the small headers of WebDAV: what is accepted is within bounds and reads back the same.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sarang::drive::preconditions::ResourceTag;
use sarang::http::dav::{headers, tokens};
use sarang::http::owncloud;
use sarang::model::time::{from_unix_seconds, http_date};
use sarang::storage::{Expect, IfList, StateMatch};
use sarang_fuzz::{ORIGIN, address, check_path, header_lines};

fuzz_target!(|data: &[u8]| {
    let given = header_lines(data);
    check_small(&given);
    let Ok(preconditions) = headers::preconditions(&given, ORIGIN) else {
        return;
    };
    assert!(
        preconditions
            .if_lists
            .iter()
            .map(|list| list.conditions.len())
            .sum::<usize>()
            <= 256
    );
    preconditions.if_lists.iter().for_each(check_list);
    let again = headers::preconditions(
        &written(&preconditions.if_lists, &preconditions.expect),
        ORIGIN,
    )
    .expect("what was read can be written");
    assert_eq!(again.if_lists, preconditions.if_lists);
    assert_eq!(again.expect, preconditions.expect);
});

fn check_list(list: &IfList<ResourceTag>) {
    assert!(!list.conditions.is_empty());
    if let ResourceTag::Path(path) = &list.resource {
        check_path(path);
    }
    for condition in &list.conditions {
        match &condition.state {
            StateMatch::Token(token) => assert!(
                !token.is_empty() && !token.contains(['>', ' ', '\t']),
                "{token:?}"
            ),
            StateMatch::Etag(tag) => assert!(
                tag.ends_with('"') && tag.trim_start_matches("W/").starts_with('"'),
                "{tag:?}"
            ),
        }
    }
}

/// The headers that say the same.
fn written(lists: &[IfList<ResourceTag>], expect: &Expect) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"),
        );
    };
    if !lists.is_empty() {
        set("if", &lists.iter().map(written_list).collect::<String>());
    }
    match expect {
        Expect::Any => {}
        Expect::Exists => set("if-match", "*"),
        Expect::Absent => set("if-none-match", "*"),
        // What no tag can meet: one that is both wanted and unwanted.
        Expect::Etag(tags) if tags.is_empty() => {
            set("if-match", "\"x\"");
            set("if-none-match", "\"x\"");
        }
        Expect::Etag(tags) => set("if-match", &tags.join(", ")),
        Expect::NotEtag(tags) => set("if-none-match", &tags.join(",")),
        Expect::UnmodifiedSince(since) => {
            set("if-unmodified-since", &http_date(from_unix_seconds(*since)))
        }
    }
    headers
}

fn written_list(list: &IfList<ResourceTag>) -> String {
    let mut text = match &list.resource {
        ResourceTag::Request => String::new(),
        ResourceTag::Elsewhere => "<http://elsewhere.example/>".to_owned(),
        ResourceTag::Path(path) => format!("<{}>", address(path)),
    };
    text.push('(');
    for condition in &list.conditions {
        text.push_str(if condition.not { "Not " } else { "" });
        text.push_str(&match &condition.state {
            StateMatch::Token(token) => format!("<{token}>"),
            StateMatch::Etag(tag) => format!("[{tag}]"),
        });
    }
    text.push(')');
    text
}

fn check_small(given: &HeaderMap) {
    let _ = (
        headers::depth(given),
        headers::overwrite(given),
        headers::timeout(given),
    );
    for token in tokens::lock_tokens(given).unwrap_or_default() {
        assert!(
            !token.is_empty() && !token.contains(['<', '>', ' ']),
            "{token:?}"
        );
    }
    if let Ok(Some(time)) = owncloud::oc_mtime(given) {
        let text = sarang::model::time::http_date(time);
        assert_eq!(text.len(), 29, "{text}");
    }
}
