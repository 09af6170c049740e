//! `Content-Disposition`: the name of a file written for downloads (RFC 6266), and read from a part of a form, in whatever encoding it comes.

use super::href;
use crate::model::windows1252;
use crate::model::{Error, Result};
use http::header::CONTENT_DISPOSITION;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;

/// A `Content-Disposition` with a name (RFC 6266): in plain ASCII for old clients, and exactly.
pub fn disposition(way: &str, name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| {
            if c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%')) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut exact = Vec::new();
    href::write_encoded(&mut exact, name);
    let exact = String::from_utf8(exact).unwrap_or_default();
    let text = format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{exact}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// What a part calls its file.
#[derive(Debug)]
pub struct FileName {
    /// As people are told of it.
    pub shown: String,
    /// As it is to be stored.
    pub name: Result<String>,
}

/// The name of the file in a part; `None` when the part is no file, or no file was chosen. `filename*` goes before `filename`, where it can be
/// read (RFC 6266 section 4.3). What is not UTF-8 is Windows-1252, as old browsers and pages have it.
pub fn file_name(part: &HeaderMap) -> Option<FileName> {
    let header = part.get(CONTENT_DISPOSITION)?.as_bytes();
    let mut plain = None;
    let mut extended = None;
    for (name, value) in parameters(header) {
        if name.eq_ignore_ascii_case(b"filename") {
            plain.get_or_insert(value);
        } else if name.eq_ignore_ascii_case(b"filename*") {
            extended.get_or_insert(value);
        }
    }
    let read = extended.as_deref().and_then(read_extended);
    if let Some(name) = read.filter(|name| !name.is_empty()) {
        return Some(FileName {
            shown: name.clone(),
            name: Ok(name),
        });
    }
    let bytes = plain.or(extended).filter(|bytes| !bytes.is_empty())?;
    let name = text(&bytes).ok_or(Error::BadName(
        "The name of the file is in no encoding that is known here.",
    ));
    Some(FileName {
        shown: name.as_ref().map_or_else(
            |_| String::from_utf8_lossy(&bytes).into_owned(),
            Clone::clone,
        ),
        name,
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .ok()
        .or_else(|| windows1252::decode(bytes))
}

/// `UTF-8'de'gr%C3%B6%C3%9Fe` (RFC 5987, RFC 8187); `None` for what is none.
fn read_extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |b| *b == b'\'');
    let charset = parts.next()?;
    let _ = parts.next()?;
    let encoded = parts.next()?;
    let is_escape =
        |rest: &[u8]| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !encoded.split(|b| *b == b'%').skip(1).all(is_escape) {
        return None;
    }
    let bytes: Vec<u8> = percent_decode(encoded).collect();
    if charset.eq_ignore_ascii_case(b"utf-8") {
        return String::from_utf8(bytes).ok();
    }
    charset
        .eq_ignore_ascii_case(b"iso-8859-1")
        .then(|| windows1252::decode(&bytes))
        .flatten()
}

/// The parameters of a header, values without their quotes. Of backslashes only those before a quote are escapes: old browsers send
/// whole paths of Windows.
fn parameters(header: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = after(header, b';');
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|b| matches!(b, b'=' | b';'))
            .unwrap_or(rest.len());
        let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let Some(value) = tail.strip_prefix(b"=") else {
            rest = after(tail, b';');
            continue;
        };
        let value = value.trim_ascii_start();
        let (value, tail) = if let Some(inner) = value.strip_prefix(b"\"") {
            quoted(inner)
        } else {
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            value
                .split_at_checked(end)
                .map(|(value, tail)| (value.trim_ascii().to_vec(), tail))
                .unwrap_or_default()
        };
        found.push((name.trim_ascii(), value));
        rest = after(tail, b';');
    }
    found
}

/// What follows the first `stop`.
fn after(bytes: &[u8], stop: u8) -> &[u8] {
    let at = bytes.iter().position(|b| *b == stop);
    at.and_then(|at| bytes.get(at + 1..)).unwrap_or_default()
}

/// A quoted value, and what follows its end. One without an end goes to the end of the header: the name of a file may end in a backslash.
fn quoted(inner: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner;
    loop {
        rest = match rest {
            [b'\\', b'"', tail @ ..] if tail.contains(&b'"') => {
                value.push(b'"');
                tail
            }
            [b'"', tail @ ..] => return (value, tail),
            [byte, tail @ ..] => {
                value.push(*byte);
                tail
            }
            [] => return (value, rest),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    /// The name, or what became of it.
    fn named(header: &[u8]) -> String {
        let part = HeaderMap::from_iter([(
            CONTENT_DISPOSITION,
            HeaderValue::from_bytes(header).unwrap(),
        )]);
        file_name(&part).map_or_else(
            || NONE.to_owned(),
            |file| file.name.unwrap_or_else(|_| REFUSED.to_owned()),
        )
    }

    const NONE: &str = "no file";
    const REFUSED: &str = "refused";

    #[test]
    fn names_are_quoted_for_old_and_new_clients() {
        let value = disposition("attachment", "a\"\u{e9}%;\r.txt");
        assert_eq!(
            value,
            "attachment; filename=\"a___;_.txt\"; filename*=UTF-8''a%22%C3%A9%25%3B%0D.txt"
        );
    }

    #[test]
    fn every_file_has_a_name_or_a_refusal() {
        let cases: [(&[u8], &str); 24] = [
            (b"form-data; name=\"f\"; filename=\"a b.txt\"", "a b.txt"),
            (
                "form-data; name=\"f\"; filename=\"größe\"".as_bytes(),
                "größe",
            ),
            (
                b"form-data; name=\"f\"; filename=\"gr\xf6\xdfe \x80\"",
                "größe €",
            ),
            (b"form-data; filename=gr\xf6\xdfe ; name=f", "größe"),
            (b"form-data; name=\"f\"; filename=\"a\x81\"", REFUSED),
            (
                b"form-data; name=\"f\"; filename=\"a\\\"b.txt\"",
                "a\"b.txt",
            ),
            (
                b"form-data; name=\"f\"; filename=\"C:\\dir\\a.txt\"",
                "C:\\dir\\a.txt",
            ),
            (b"form-data; name=\"f\"; filename=\"a\\\"", "a\\"),
            (b"form-data; name=\"f\"; filename=\"a", "a"),
            (
                b"form-data; name=\"f;filename=no\"; filename=\"a;b=c\"",
                "a;b=c",
            ),
            (b"form-data; name=f;FileName=a", "a"),
            (b"form-data; filename = \"a\"", "a"),
            (
                b"form-data; filename=\"a\"; filename*=UTF-8''gr%C3%B6%C3%9Fe",
                "größe",
            ),
            (
                b"form-data; filename*=utf-8'de'%e2%82%ac; filename=\"a\"",
                "€",
            ),
            (b"form-data; filename*=ISO-8859-1''gr%F6%DFe", "größe"),
            (b"form-data; filename=a; filename*=UTF-8''%FF", "a"),
            (b"form-data; filename=a; filename*=UTF-8''%zz", "a"),
            (b"form-data; filename=a; filename*=koi8-r''%F6", "a"),
            (b"form-data; filename=a; filename*=nonsense", "a"),
            (b"form-data; filename*=UTF-8''%FF", "UTF-8''%FF"),
            (b"form-data; filename*=UTF-8''a%2Fb", "a/b"),
            (b"form-data; name=\"f\"; filename=\"\"", NONE),
            (b"form-data; name=\"filename\"", NONE),
            (b"form-data", NONE),
        ];
        for (header, expected) in cases {
            assert_eq!(
                named(header),
                expected,
                "{}",
                String::from_utf8_lossy(header)
            );
        }
        assert!(file_name(&HeaderMap::new()).is_none());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_and_no_name_is_lost(name in "[^\\p{Cc}\"\\\\]{1,20}", junk in "[ -~é]{0,40}") {
            let value = format!("form-data; name=\"f\"; filename=\"{name}\"; x={junk}");
            let part = HeaderMap::from_iter([(CONTENT_DISPOSITION, HeaderValue::from_bytes(value.as_bytes()).unwrap())]);
            prop_assert!(junk.contains("filename") || file_name(&part).is_some_and(|file| file.shown == name));
            if let Ok(value) = HeaderValue::from_bytes(junk.as_bytes()) {
                let _ = file_name(&HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]));
            }
        }
    }
}
