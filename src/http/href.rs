//! Addresses as answers write them: absolute paths in percent-encoded ASCII, folders ending in `/`.

use crate::model::VPath;

/// The path prefix of the drive of the signed-in account.
pub const PREFIX: &str = "/dav";

/// Bytes that stand for themselves: unreserved characters and the slash (RFC 3986 section 2.3).
const PLAIN: [bool; 256] = plain();
const HEX: &[u8; 16] = b"0123456789ABCDEF";

const fn plain() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte always lies in a table of 256"
        )]
        {
            table[byte as usize] =
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/');
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
        let run = rest
            .iter()
            .position(|&b| !is_plain(b))
            .unwrap_or(rest.len());
        let (head, tail) = rest.split_at(run);
        out.extend_from_slice(head);
        let Some((&byte, tail)) = tail.split_first() else {
            return;
        };
        write_escape(out, byte);
        rest = tail;
    }
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

/// The address of a path in the drive that is served under `prefix`, ending in a slash for a folder.
pub fn encode(prefix: &str, path: &VPath, folder: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + 2 + path.as_str().len());
    write_path(&mut out, prefix, path, folder);
    out
}

/// Writes the address of a path in the drive that is served under `prefix`.
pub fn write_path(out: &mut Vec<u8>, prefix: &str, path: &VPath, folder: bool) {
    out.extend_from_slice(prefix.as_bytes());
    out.push(b'/');
    write_encoded(out, path.as_str());
    if folder && !path.is_root() {
        out.push(b'/');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_encoded_byte_by_byte() {
        let mut out = Vec::new();
        write_encoded(&mut out, "fi le$%<>é.txt#?;+");
        assert_eq!(out, b"fi%20le%24%25%3C%3E%C3%A9.txt%23%3F%3B%2B");
        let mut out = Vec::new();
        write_path(&mut out, PREFIX, &VPath::parse("a b/c").unwrap(), true);
        write_path(&mut out, "/s/x", &VPath::root(), true);
        assert_eq!(out, b"/dav/a%20b/c//s/x/");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(name in "\\PC{0,40}") {
            let mut out = Vec::new();
            write_encoded(&mut out, &name);
            prop_assert!(out.is_ascii());
            prop_assert_eq!(percent_encoding::percent_decode(&out).decode_utf8().unwrap(), name);
        }
    }
}
