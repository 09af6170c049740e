//! Addresses as answers write them: absolute paths in percent-encoded ASCII, folders ending in `/`.

use crate::model::VPath;

/// The path under which the drive is served.
pub const PREFIX: &str = "/dav";

/// Bytes that stand for themselves: unreserved characters and the slash (RFC 3986 section 2.3).
const PLAIN: [bool; 256] = plain();
const HEX: &[u8; 16] = b"0123456789ABCDEF";

const fn plain() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a byte always lies in a table of 256")]
        {
            table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/');
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// Whether a byte stands for itself in an address.
fn is_plain(byte: u8) -> bool {
    PLAIN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Writes decoded text percent-encoded.
pub fn write_encoded(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let run = rest.iter().position(|&b| !is_plain(b)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(run);
        out.extend_from_slice(head);
        let Some((&byte, tail)) = tail.split_first() else { return };
        write_escape(out, byte);
        rest = tail;
    }
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

/// The address of a path in the drive, without a closing slash.
pub fn encode(path: &VPath) -> String {
    let mut out = Vec::with_capacity(PREFIX.len() + 1 + path.as_str().len());
    write_path(&mut out, path, false);
    String::from_utf8(out).unwrap_or_default()
}

/// The address of a path in the drive.
pub fn write_path(out: &mut Vec<u8>, path: &VPath, folder: bool) {
    out.extend_from_slice(PREFIX.as_bytes());
    out.push(b'/');
    write_encoded(out, path.as_str());
    if folder && !path.is_root() {
        out.push(b'/');
    }
}

/// The address of a request in one canonical spelling: decoded and encoded again name by name, `//` and `/./` gone,
/// ending in `/` exactly for a folder. What the client spelled as NFC or NFD stays so.
pub fn canonical(href: &str, folder: bool) -> Vec<u8> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let path = href.split(['?', '#']).next().unwrap_or_default();
    for segment in path.split('/') {
        let name: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
        match name.as_slice() {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    let mut out = Vec::with_capacity(href.len() + 8);
    for name in &names {
        out.push(b'/');
        for &byte in name {
            if is_plain(byte) && byte != b'/' {
                out.push(byte);
            } else {
                write_escape(&mut out, byte);
            }
        }
    }
    if folder || names.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canon(href: &str, folder: bool) -> String {
        String::from_utf8(canonical(href, folder)).unwrap()
    }

    #[test]
    fn addresses_have_one_spelling() {
        assert_eq!(canon("/dav", true), "/dav/");
        assert_eq!(canon("/dav//a/./b%20c/?x=1", true), "/dav/a/b%20c/");
        assert_eq!(canon("/dav/a/", false), "/dav/a");
        assert_eq!(canon("/dav/%61(1)&amp;%e2%82%ac", false), "/dav/a%281%29%26amp%3B%E2%82%AC");
        assert_eq!(canon("/dav/x/../y", false), "/dav/y");
        assert_eq!(canon("/dav/a%2fb", false), "/dav/a%2Fb");
    }

    #[test]
    fn names_are_encoded_byte_by_byte() {
        let mut out = Vec::new();
        write_encoded(&mut out, "fi le$%<>é.txt#?;+");
        assert_eq!(out, b"fi%20le%24%25%3C%3E%C3%A9.txt%23%3F%3B%2B");
        let mut out = Vec::new();
        write_path(&mut out, &VPath::parse("a b/c").unwrap(), true);
        write_path(&mut out, &VPath::root(), true);
        assert_eq!(out, b"/dav/a%20b/c//dav/");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(name in "\\PC{0,40}") {
            let mut out = Vec::new();
            write_encoded(&mut out, &name);
            prop_assert!(out.is_ascii());
            prop_assert_eq!(percent_encoding::percent_decode(&out).decode_utf8().unwrap(), name);
        }

        #[test]
        fn canonical_is_stable(href in "/[a-z%/.é0-9]{0,40}", folder: bool) {
            let once = canon(&href, folder);
            prop_assert_eq!(canon(&once, folder), once);
        }
    }
}
