//! What no name of a drive may be because of how it would be read: by people, for whom directions of text can turn it round, and by
//! file systems, for some of which other names are `.sarang` too.

use unicode_normalization::UnicodeNormalization;

/// The folder of Sarang's own, at the top of every tree, and deeper where a tree was given to another account.
const OWN: &str = ".sarang";
/// The most embeddings and isolates within each other. Names have one or two; a paragraph at most 125 (UAX #9, BD2).
const MAX_NESTED: usize = 16;

/// Whether a name is Sarang's own folder, or would be for a file system that does not look at case, at the form of Unicode, at characters
/// that nobody sees (HFS+, ext4 with casefold), or at dots and blanks at the end (FAT, SMB). Others that only begin so are not.
pub fn is_reserved(name: &str) -> bool {
    if !name.starts_with('.') && name.is_ascii() {
        return false;
    }
    let mut seen = name.nfd().filter(|c| !is_ignorable(*c)).flat_map(fold);
    OWN.chars().all(|own| seen.next() == Some(own)) && seen.all(|c| matches!(c, '.' | ' '))
}

/// Simple case folding, as far as it can lead to ASCII letters.
fn fold(c: char) -> impl Iterator<Item = char> {
    let c = if c == '\u{17f}' { 's' } else { c };
    c.to_lowercase()
}

/// What Unicode calls `Default_Ignorable_Code_Point`.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// What a directional character has opened (UAX #9, section 2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum DirectionalOpening {
    Embedding,
    Isolate,
}

/// Whether a name ends every embedding and isolate that it begins, and so turns nothing round but what is in it. Overrides, which show
/// letters backwards, are never balanced. Marks (U+200E, U+200F, U+061C) have no end and no reach.
pub fn is_balanced(name: &str) -> bool {
    if name.is_ascii() {
        return true;
    }
    let mut open = Vec::new();
    for c in name.chars() {
        match c {
            '\u{202a}' | '\u{202b}' => open.push(DirectionalOpening::Embedding),
            '\u{2066}'..='\u{2068}' => open.push(DirectionalOpening::Isolate),
            // Each ends the innermost, which must be of its kind: what is left open within an isolate has no end of its own.
            '\u{202c}' if open.pop() == Some(DirectionalOpening::Embedding) => {}
            '\u{2069}' if open.pop() == Some(DirectionalOpening::Isolate) => {}
            '\u{202c}'..='\u{202e}' | '\u{2069}' => return false,
            // Ends a paragraph, and everything that is open in it.
            '\u{2029}' if !open.is_empty() => return false,
            _ => {}
        }
        if open.len() > MAX_NESTED {
            return false;
        }
    }
    open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_directions_are_told_from_others() {
        for good in [
            "plain",
            "\u{202a}+49 30 901820\u{202c}.vcf",
            "\u{202b}אבג\u{202c} (1).txt",
            "\u{2068}علي\u{2069} – \u{2066}Ali\u{2069}",
            "\u{2067}a\u{202b}b\u{202c}c\u{2069}",
            "\u{202a}a\u{2068}b\u{2069}c\u{202c}",
            "\u{200e}\u{200f}\u{61c}",
            "\u{202a}\u{202c}",
            "a\u{2029}b",
            &["\u{202a}".repeat(16), "\u{202c}".repeat(16)].concat(),
            &"\u{2066}\u{2069}".repeat(40),
        ] {
            assert!(is_balanced(good), "{good:?}");
        }
        for bad in [
            "\u{202d}a\u{202c}",
            "\u{202e}a\u{202c}",
            "\u{2066}\u{202e}a\u{202c}\u{2069}",
            "\u{202a}a",
            "a\u{202c}",
            "\u{2067}a",
            "a\u{2069}",
            "\u{202c}a\u{202a}",
            "\u{202a}a\u{2069}",
            "\u{2066}a\u{202c}",
            "\u{202a}\u{2066}a\u{202c}\u{2069}",
            "\u{2066}\u{202a}a\u{2069}\u{202c}",
            "\u{2066}\u{202a}a\u{2069}",
            "\u{202a}a\u{202c}\u{202c}",
            "\u{202a}a\u{2029}b\u{202c}",
            &["\u{202a}".repeat(17), "\u{202c}".repeat(17)].concat(),
        ] {
            assert!(!is_balanced(bad), "{bad:?}");
        }
    }

    #[test]
    fn only_the_folder_of_our_own_is_reserved() {
        for own in [
            ".sarang",
            ".SARANG",
            ".Sarang",
            ".\u{17f}arang",
            ".sar\u{200d}ang",
            "\u{feff}.sarang",
            ".sarang\u{34f}",
            ".sarang.",
            ".sarang. .",
        ] {
            assert!(is_reserved(own), "{own:?}");
        }
        for free in [
            ".sarangfoo",
            ".sarang-notes.txt",
            ".sarang.txt",
            ".sarang x",
            "sarang",
            " .sarang",
            "..sarang",
            ".sarań",
            ".sarang\u{301}",
            ".",
        ] {
            assert!(!is_reserved(free), "{free:?}");
        }
    }
}
