//! Entity tags (RFC 9110 section 8.8.3): written into answers, read from the lists of conditions.

use super::decimal::write_hex;
use super::header_values;
use crate::model::{Error, Result};
use crate::storage::{Etag, Node};
use http::HeaderMap;
use http::header::{HeaderName, IF_NONE_MATCH};

/// Writes an entity tag as its `Display` does.
pub fn write_etag(out: &mut Vec<u8>, etag: &Etag) {
    out.push(b'"');
    for (index, part) in etag.parts().iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        write_hex(out, *part);
    }
    out.push(b'"');
}

/// The entity tag of a file as headers have it.
pub fn quoted(node: &Node) -> String {
    let mut tag = Vec::with_capacity(72);
    write_etag(&mut tag, &node.etag);
    String::from_utf8(tag).unwrap_or_default()
}

/// An entity tag as it is written, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct EntityTag<'a> {
    pub(super) weak: bool,
    opaque: &'a [u8],
}

impl EntityTag<'_> {
    /// Whether it is this quoted tag; by the weak comparison, which does not look at `weak` (RFC 9110 section 8.8.3.2).
    pub(super) fn is(self, etag: &[u8]) -> bool {
        etag.strip_prefix(b"\"").and_then(|e| e.strip_suffix(b"\"")) == Some(self.opaque)
    }
}

/// Whether a list of tags, or `*`, includes the tag by the strong comparison; `None` for what is neither.
pub(super) fn lists_tag(list: &[u8], etag: &[u8]) -> Option<bool> {
    if is_any(list) {
        return Some(true);
    }
    let tags: Vec<EntityTag<'_>> = elements(list).collect::<Option<_>>()?;
    (!tags.is_empty()).then(|| tags.iter().any(|tag| !tag.weak && tag.is(etag)))
}

/// Whether a list is `*`, be it in several lines.
pub(super) fn is_any(list: &[u8]) -> bool {
    list.split(|b| *b == b',')
        .all(|element| element.trim_ascii() == b"*")
}

/// The elements of a list of tags; `None` for one that is no tag.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = Option<EntityTag<'_>>> {
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

/// What If-Match or If-None-Match names.
pub(super) enum EntityTags {
    /// `*`
    Any,
    /// These, quoted.
    These(Vec<String>),
}

/// A list of entity tags. A bare tag gets its quotes; a weak one matches as any other in If-None-Match (RFC 9110 section
/// 13.1.2), elsewhere it is kept as it is and matches nothing.
pub(super) fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<EntityTags>> {
    let malformed =
        Error::BadRequest("If-Match and If-None-Match take * or a list of quoted tags.");
    let Some(list) = header_values::list(headers, name)? else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_as_they_are_shown() {
        for etag in [
            Etag([0, 1, u64::MAX, 0xabc]),
            Etag([u64::MAX; 4]),
            Etag([1, 2, 1_700_000_000_000_100, 3]),
        ] {
            let mut out = Vec::new();
            write_etag(&mut out, &etag);
            assert_eq!(String::from_utf8(out).unwrap(), etag.to_string());
        }
    }
}
