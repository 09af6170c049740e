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
mod tests;
