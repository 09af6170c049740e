//! The characters of request XML: UTF-8, UTF-16 with its byte-order mark (RFC 4918 section 8.2), and what is declared as ISO-8859-1.
//! Everything is decoded before anything is read, so that each rule of the reader holds in every encoding.

use super::names::{MALFORMED, split_attributes};
use crate::model::windows1252;
use crate::model::{Error, Result};
use crate::storage::PROPS_LIMIT;
use std::borrow::Cow;

/// The most bytes that the body of a request may have when it is XML, decoded.
const MAX_DECODED: usize = 64 << 10;
/// The most bytes that it may have on the wire: nothing takes more than twice the bytes of its UTF-8, and a byte-order mark.
pub const MAX_XML: usize = 2 * MAX_DECODED + 2;
/// The most bytes that a PROPPATCH may have, decoded: all properties of a file, with names and tags.
const MAX_DECODED_PROPERTIES: usize = 2 * PROPS_LIMIT;
/// The most bytes that it may have on the wire.
pub const MAX_PROPERTIES: usize = 2 * MAX_DECODED_PROPERTIES + 2;

/// A body as text.
#[derive(Debug)]
pub struct XmlText<'a> {
    text: Cow<'a, str>,
    encoding: Encoding,
}

/// How a body was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// As the Web has it: read as Windows-1252, of which ISO-8859-1 is a part.
    Latin1,
}

impl<'a> XmlText<'a> {
    /// Decodes a body; `BadRequest` for what is in none of the encodings, `TooLarge`.
    pub fn decode(body: &'a [u8]) -> Result<Self> {
        Self::decode_within(body, MAX_DECODED)
    }

    /// As [`decode`](Self::decode), of the body of a PROPPATCH.
    pub fn decode_properties(body: &'a [u8]) -> Result<Self> {
        Self::decode_within(body, MAX_DECODED_PROPERTIES)
    }

    fn decode_within(body: &'a [u8], limit: usize) -> Result<Self> {
        let (encoding, text) = match body {
            [0xff, 0xfe, rest @ ..] => (Encoding::Utf16Le, utf16(rest, u16::from_le_bytes)?.into()),
            [0xfe, 0xff, rest @ ..] => (Encoding::Utf16Be, utf16(rest, u16::from_be_bytes)?.into()),
            [0xef, 0xbb, 0xbf, rest @ ..] => (Encoding::Utf8, utf8(rest)?.into()),
            _ if declares_latin1(body) => (Encoding::Latin1, latin1(body)?.into()),
            _ => (Encoding::Utf8, utf8(body)?.into()),
        };
        let decoded = Self { text, encoding };
        if decoded.text.len() > limit {
            Err(Error::TooLarge)
        } else {
            Ok(decoded)
        }
    }

    /// The text, without a byte-order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks the encoding that the XML declaration names against the one that the body has (XML 1.0 section 4.3.3).
    pub fn check_encoding(&self, declared: &str) -> Result<()> {
        let possible: &[&str] = match self.encoding {
            Encoding::Utf8 => &["utf-8", "us-ascii"],
            Encoding::Utf16Le => &["utf-16", "utf-16le"],
            Encoding::Utf16Be => &["utf-16", "utf-16be"],
            Encoding::Latin1 => &LATIN1,
        };
        if is_one_of(possible, declared) {
            Ok(())
        } else {
            Err(ENCODING)
        }
    }
}

const LATIN1: [&str; 2] = ["iso-8859-1", "windows-1252"];
const ENCODING: Error = Error::BadRequest(
    "The XML must be in UTF-8, in UTF-16 with a byte-order mark, or in ISO-8859-1, and declare no other encoding than it has.",
);

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| ENCODING)
}

fn latin1(bytes: &[u8]) -> Result<String> {
    windows1252::decode(bytes).ok_or(ENCODING)
}

/// An odd number of bytes and lone surrogates are no UTF-16.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return Err(MALFORMED);
    };
    char::decode_utf16(pairs.iter().copied().map(unit))
        .collect::<Result<_, _>>()
        .map_err(|_| MALFORMED)
}

/// Whether a body begins with an XML declaration that names ISO-8859-1. The reader checks the declaration itself.
fn declares_latin1(body: &[u8]) -> bool {
    let declaration = body.strip_prefix(b"<?xml").and_then(|rest| {
        let end = rest.windows(2).position(|two| two == b"?>")?;
        std::str::from_utf8(rest.get(..end)?).ok()
    });
    let attributes = declaration
        .and_then(|text| split_attributes(text.trim_end()).ok())
        .unwrap_or_default();
    attributes
        .iter()
        .any(|attribute| attribute.name == "encoding" && is_one_of(&LATIN1, attribute.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dav::requests::{PropfindKind, parse_propfind};
    use proptest::prelude::*;

    fn find(declared: &str, name: &str) -> String {
        let declaration = if declared.is_empty() {
            String::new()
        } else {
            format!("<?xml version='1.0' encoding='{declared}'?>")
        };
        format!("{declaration}<propfind xmlns='DAV:'><prop><{name} xmlns='u'/></prop></propfind>")
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        ["\u{feff}", text]
            .concat()
            .encode_utf16()
            .flat_map(unit)
            .collect()
    }

    fn asked(body: &[u8]) -> Result<String> {
        match parse_propfind(body)? {
            PropfindKind::Named(names) => Ok(names.into_iter().map(|name| name.local).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_encoding_says_the_same() {
        for declared in ["", "UTF-16", "utf-16le"] {
            assert_eq!(
                asked(&utf16(&find(declared, "größe\u{20000}"), u16::to_le_bytes)).unwrap(),
                "größe\u{20000}"
            );
        }
        for declared in ["", "utf-16", "UTF-16BE"] {
            assert_eq!(
                asked(&utf16(&find(declared, "größe"), u16::to_be_bytes)).unwrap(),
                "größe"
            );
        }
        assert_eq!(asked(find("UTF-8", "größe").as_bytes()).unwrap(), "größe");
        assert_eq!(
            asked(["\u{feff}", &find("utf-8", "a")].concat().as_bytes()).unwrap(),
            "a"
        );
        for declared in ["ISO-8859-1", "windows-1252"] {
            assert_eq!(asked(find(declared, "a").as_bytes()).unwrap(), "a");
            let latin: Vec<u8> = find(declared, "gr@@e")
                .bytes()
                .map(|b| if b == b'@' { 0xf6 } else { b })
                .collect();
            assert_eq!(asked(&latin).unwrap(), "grööe");
        }
    }

    #[test]
    fn what_is_in_another_encoding_than_it_says_is_refused() {
        let le = |text: &str| utf16(text, u16::to_le_bytes);
        let be = |text: &str| utf16(text, u16::to_be_bytes);
        let plain = find("", "a");
        let mut cases = vec![
            find("UTF-16", "a").into_bytes(),
            le(&find("utf-8", "a")),
            le(&find("utf-16be", "a")),
            be(&find("utf-16le", "a")),
            le(&find("ISO-8859-1", "a")),
            ["\u{feff}", &find("ISO-8859-1", "a")].concat().into_bytes(),
            find("utf-7", "a").into_bytes(),
            find("utf-32", "a").into_bytes(),
            // No byte-order mark, two of them, one of the other order, of UTF-32.
            le(&find("UTF-16", "a")).split_off(2),
            be(&plain).split_off(2),
            le(&["\u{feff}", &plain].concat()),
            [&[0xfe, 0xff], &le(&plain)[..]].concat(),
            [&[0xff, 0xfe, 0, 0], &le(&plain)[2..]].concat(),
            vec![0xff, 0xfe],
            vec![0xef, 0xbb, 0xbf],
        ];
        let whole = le(&plain);
        cases.push(whole[..whole.len() - 1].to_vec());
        for lone in [[0x00, 0xd8], [0x00, 0xdc]] {
            let at = (whole.len() / 2) & !1;
            cases.push([&whole[..at], &lone, &whole[at..]].concat());
        }
        cases.push(
            find("ISO-8859-1", "a@")
                .bytes()
                .map(|b| if b == b'@' { 0x81 } else { b })
                .collect(),
        );
        for body in cases {
            assert!(
                matches!(asked(&body), Err(Error::BadRequest(_))),
                "{}",
                String::from_utf8_lossy(&body)
            );
        }
    }

    #[test]
    fn no_encoding_hides_a_document_type() {
        let bomb = "<!DOCTYPE p [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><propfind xmlns='DAV:'><prop><b>&b;</b></prop></propfind>";
        let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{bomb}");
        for body in [
            utf16(bomb, u16::to_le_bytes),
            utf16(bomb, u16::to_be_bytes),
            latin.into_bytes(),
            bomb.into(),
        ] {
            let refused = asked(&body);
            assert!(
                matches!(refused, Err(Error::BadRequest(text)) if text.contains("document type")),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn the_limit_counts_decoded_bytes() {
        let long = |letter: &str, count| find("", "a") + "<!--" + &letter.repeat(count) + "-->";
        assert!(
            asked(&utf16(&long("x", 60_000), u16::to_le_bytes)).is_ok(),
            "120 KB of UTF-16 are 60 KB of text"
        );
        assert!(matches!(
            asked(&utf16(&long("x", 66_000), u16::to_le_bytes)),
            Err(Error::TooLarge)
        ));
        assert!(matches!(
            asked(&utf16(&long("€", 25_000), u16::to_be_bytes)),
            Err(Error::TooLarge)
        ));
        let latin: Vec<u8> = [
            find("ISO-8859-1", "a").as_bytes(),
            b"<!--",
            &vec![0x80; 25_000],
            b"-->",
        ]
        .concat();
        assert!(matches!(asked(&latin), Err(Error::TooLarge)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, mark in 0..4_usize) {
            let marks: [&[u8]; 4] = [b"", b"\xff\xfe", b"\xfe\xff", b"<?xml version='1.0' encoding='ISO-8859-1'?>"];
            let body = [marks[mark], &bytes].concat();
            let _ = parse_propfind(&body);
        }

        #[test]
        fn text_comes_back(text in "\\PC{0,40}") {
            for unit in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes = utf16(&text, unit);
                let decoded = XmlText::decode(&bytes).unwrap();
                prop_assert_eq!(decoded.text(), text.as_str());
            }
        }
    }
}
