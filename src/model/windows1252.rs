//! Bytes of old programs as text: Windows-1252, which has all of ISO-8859-1 that anybody can see.

/// What 0x80 to 0x9F stand for; NUL where Windows-1252 has no character.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘',
    '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// The text that bytes are in Windows-1252; `None` when one of them has no character there.
pub fn decode(bytes: &[u8]) -> Option<String> {
    bytes.iter().map(|byte| character(*byte)).collect()
}

fn character(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9f => HIGH
            .get(usize::from(byte - 0x80))
            .copied()
            .filter(|c| *c != '\0'),
        byte => Some(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_character_or_none() {
        assert_eq!(
            decode(b"gr\xf6\xdfe \x80 \x9f \xff").as_deref(),
            Some("größe € Ÿ ÿ")
        );
        assert_eq!(decode(b"").as_deref(), Some(""));
        let none: Vec<u8> = (0..=255)
            .filter(|byte| decode(&[*byte]).is_none())
            .collect();
        assert_eq!(none, [0x81, 0x8d, 0x8f, 0x90, 0x9d]);
        assert!(
            (0..0x80)
                .chain(0xa0..=0xff)
                .all(|byte| decode(&[byte]) == Some(char::from(byte).to_string()))
        );
    }
}
