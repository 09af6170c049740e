//! The tokens and tags that a request brings in `If` (RFC 4918 section 10.4.2) and `Lock-Token`, read strictly.

use super::server_origin::{ServerOrigin, address};
use crate::drive::preconditions::ResourceTag;
use crate::http::header_values::list;
use crate::model::{Error, Result};
use crate::storage::{IfCondition, IfList, StateMatch};
use http::HeaderMap;
use http::header::HeaderName;

/// The most conditions an `If` header may have, and the most tokens `Lock-Token`.
const MAX_CONDITIONS: usize = 256;

/// The lists of an `If` header (RFC 4918 section 10.4.2).
pub fn if_lists(value: &str, origin: ServerOrigin<'_>) -> Result<Vec<IfList<ResourceTag>>> {
    let malformed = || Error::BadRequest("The If header is malformed.");
    let mut rest = value.trim();
    let mut subject = ResourceTag::Request;
    let mut lists = Vec::new();
    let mut bare_tag = false;
    while let Some(first) = rest.chars().next() {
        match first {
            '<' => {
                let (address_text, after) = rest
                    .get(1..)
                    .and_then(|r| r.split_once('>'))
                    .ok_or_else(malformed)?;
                if bare_tag || (subject == ResourceTag::Request && !lists.is_empty()) {
                    return Err(malformed());
                }
                subject = address(address_text, origin)?
                    .map_or(ResourceTag::Elsewhere, ResourceTag::Path);
                (rest, bare_tag) = (after.trim_start(), true);
            }
            '(' => {
                let (conditions, after) = if_conditions(rest.get(1..).unwrap_or_default())?;
                lists.push(IfList {
                    resource: subject.clone(),
                    conditions,
                });
                (rest, bare_tag) = (after.trim_start(), false);
            }
            // Where lines of the header were joined on the way.
            ',' if !bare_tag => rest = rest.trim_start_matches([' ', '\t', ',']),
            _ => return Err(malformed()),
        }
        if lists
            .iter()
            .map(|l: &IfList<ResourceTag>| l.conditions.len())
            .sum::<usize>()
            > MAX_CONDITIONS
        {
            return Err(Error::BadRequest("The If header has too many conditions."));
        }
    }
    if lists.is_empty() || bare_tag {
        Err(malformed())
    } else {
        Ok(lists)
    }
}

/// The conditions up to the closing parenthesis, and what follows it.
fn if_conditions(text: &str) -> Result<(Vec<IfCondition>, &str)> {
    let malformed = || Error::BadRequest("The If header is malformed.");
    let mut rest = text.trim_start();
    let mut conditions = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(')') {
            return if conditions.is_empty() {
                Err(malformed())
            } else {
                Ok((conditions, after))
            };
        }
        let not = rest
            .get(..3)
            .is_some_and(|word| word.eq_ignore_ascii_case("not"));
        if not {
            rest = rest.get(3..).unwrap_or_default().trim_start();
        }
        let (state, after) = if let Some(token) = rest.strip_prefix('<') {
            let (token, after) = token.split_once('>').ok_or_else(malformed)?;
            if token.is_empty() || token.contains(char::is_whitespace) {
                return Err(malformed());
            }
            (StateMatch::Token(token.to_owned()), after)
        } else {
            let (tag, after) = rest
                .strip_prefix('[')
                .and_then(|tag| tag.split_once(']'))
                .ok_or_else(malformed)?;
            let bare = tag.trim().strip_prefix("W/").unwrap_or(tag.trim());
            if bare.len() < 2 || !bare.starts_with('"') || !bare.ends_with('"') {
                return Err(malformed());
            }
            (StateMatch::Etag(tag.trim().to_owned()), after)
        };
        conditions.push(IfCondition { not, state });
        rest = after.trim_start();
    }
}

/// The tokens of `Lock-Token`, with or without their angle brackets, each once; several lines, or several in one, are one list.
pub fn lock_tokens(headers: &HeaderMap) -> Result<Vec<String>> {
    let Some(list) = list(headers, &HeaderName::from_static("lock-token"))? else {
        return Ok(Vec::new());
    };
    let malformed = || Error::BadRequest("Lock-Token must hold the token of a lock.");
    let mut rest = list.as_str();
    let mut tokens = Vec::new();
    while !rest.is_empty() {
        let (token, after) = match rest.strip_prefix('<') {
            Some(inner) => inner.split_once('>').ok_or_else(malformed)?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        let token = token.trim();
        let after = after.trim_start();
        if token.is_empty()
            || token.contains(['<', '>', ' '])
            || !(after.is_empty() || after.starts_with(','))
        {
            return Err(malformed());
        }
        if !tokens.iter().any(|known| known == token) {
            tokens.push(token.to_owned());
        }
        if tokens.len() > MAX_CONDITIONS {
            return Err(Error::BadRequest("Lock-Token holds too many tokens."));
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    if tokens.is_empty() {
        Err(malformed())
    } else {
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::super::headers::preconditions;
    use super::*;
    use crate::model::VPath;
    use http::HeaderValue;

    const ORIGIN: ServerOrigin<'_> = ServerOrigin {
        host: "nest.example:8080",
        also: &[],
        prefix: "/dav",
        path_prefix: "",
    };

    #[test]
    fn if_headers_are_read_strictly() {
        let lists = if_lists(
            "<http://nest.example/dav/a> (<urn:x> [\"t\"]) (Not <urn:y>) </dav/b> ([W/\"w\"])",
            ORIGIN,
        )
        .unwrap();
        assert_eq!(lists.len(), 3);
        assert_eq!(
            lists[0].resource,
            ResourceTag::Path(VPath::parse("a").unwrap())
        );
        assert_eq!(
            lists[1].conditions,
            [IfCondition {
                not: true,
                state: StateMatch::Token("urn:y".into())
            }]
        );
        assert_eq!(
            lists[2].resource,
            ResourceTag::Path(VPath::parse("b").unwrap())
        );
        assert_eq!(if_lists("(<urn:x>)(<urn:y>)", ORIGIN).unwrap().len(), 2);
        assert_eq!(
            if_lists("<http://other.example/> (<urn:x>)", ORIGIN).unwrap()[0].resource,
            ResourceTag::Elsewhere
        );
        for bad in [
            "",
            "(",
            "()",
            "(<abc",
            "(<>)",
            "<x>",
            "(<a>) <http://nest.example/dav/> (<b>)",
            "([t])",
            "([\"t)",
            "(Not)",
            "(<a b>)",
            "x",
        ] {
            assert!(if_lists(bad, ORIGIN).is_err(), "{bad}");
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
        let read = |values: &[&'static str]| {
            preconditions(&lines("if", values), ORIGIN)
                .map(|preconditions| preconditions.if_lists.len())
                .ok()
        };
        assert_eq!(read(&["(<urn:x>)", "(<urn:y>) (Not <urn:z>)"]), Some(3));
        assert_eq!(read(&["</dav/a> (<urn:x>)", "</dav/b> (<urn:y>)"]), Some(2));
        assert_eq!(
            read(&["(<urn:x>), (<urn:y>)"]),
            Some(2),
            "as a proxy joins them"
        );
        for bad in [
            &["(<urn:x>)", "</dav/a> (<urn:y>)"][..],
            &["</dav/a>", "(<urn:x>)"],
            &["(<urn:x>", "<urn:y>)"],
            &[","],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        let tokens = |values: &[&'static str]| lock_tokens(&lines("lock-token", values)).ok();
        assert_eq!(tokens(&[]), Some(vec![]));
        for same in [
            &["<urn:x>", "<urn:y>"][..],
            &["urn:x , <urn:y>"],
            &["<urn:x>,<urn:y>,", "<urn:x>"],
        ] {
            assert_eq!(
                tokens(same),
                Some(vec!["urn:x".into(), "urn:y".into()]),
                "{same:?}"
            );
        }
        for bad in [
            &[""][..],
            &["<>"],
            &["<urn:x"],
            &["<urn:x> <urn:y>"],
            &["urn x"],
            &["<urn:x>", "<"],
            &[","],
        ] {
            assert_eq!(tokens(bad), None, "{bad:?}");
        }
    }
}
