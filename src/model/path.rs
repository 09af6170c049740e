//! Paths: one parser from URLs, one policy for names, and comparisons by whole components only.

use super::error::{Error, Result};
use std::fmt;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The most components a path may have.
pub const MAX_DEPTH: usize = 128;
/// The most bytes a path may have.
pub const MAX_BYTES: usize = 4096;
/// The most bytes one name may have.
pub const MAX_NAME: usize = 255;
/// Names that begin so belong to Sarang and never show in a drive.
pub const RESERVED: &str = ".sarang";

/// A path in a drive, as the client sees it: checked names joined by `/`, empty for the drive itself.
pub type VPath = RelPath;

/// A path beneath a root: checked names joined by `/`, no leading or trailing slash, empty for the root itself.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// The root itself.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Reads a path of decoded names joined by `/`; empty names and `.` are passed over, `..` is refused.
    pub fn parse(text: &str) -> Result<Self> {
        Self::collect(text.split('/').map(Ok))
    }

    /// Reads the path part of a URL beneath its prefix, percent-decoded once; `..` climbs, and never above the root.
    pub fn from_url(path: &str) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        for segment in path.split('/') {
            let name = percent_encoding::percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| Error::BadName("A name must be valid UTF-8."))?;
            match name.as_ref() {
                "" | "." => {}
                ".." => {
                    names.pop().ok_or(Error::Forbidden("The address leads out of the drive."))?;
                }
                name => names.push(name.to_owned()),
            }
        }
        Self::collect(names.iter().map(|n| Ok(n.as_str())))
    }

    fn collect<'a>(names: impl Iterator<Item = Result<&'a str>>) -> Result<Self> {
        let (mut joined, mut depth) = (String::new(), 0);
        for name in names {
            let name = name?;
            if name.is_empty() || name == "." {
                continue;
            }
            check_name(name)?;
            depth += 1;
            if !joined.is_empty() {
                joined.push('/');
            }
            joined.push_str(name);
        }
        if depth > MAX_DEPTH {
            return Err(Error::BadName("A path may have at most 128 levels."));
        }
        if joined.len() > MAX_BYTES {
            return Err(Error::BadName("A path may have at most 4096 bytes."));
        }
        Ok(Self(joined))
    }

    /// The path as text, names joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names from the top down.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|n| !n.is_empty())
    }

    /// The last name, `None` for the root.
    pub fn name(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|n| !n.is_empty())
    }

    /// The folder that holds this, `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or_else(String::new, |(head, _)| head.to_owned())))
    }

    /// This path and one more name, checked by the name policy.
    pub fn join(&self, name: &str) -> Result<Self> {
        Self::collect(self.names().chain([name]).map(Ok))
    }

    /// Whether `self` is `other` or lies beneath it, by whole names.
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root() || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The same path in Unicode NFC: the form under which both spellings of a name are one key.
    pub fn to_nfc(&self) -> Self {
        if self.0.is_ascii() || is_nfc_quick(self.0.chars()) == IsNormalized::Yes {
            return self.clone();
        }
        Self(self.0.nfc().collect())
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name policy of every drive: what is refused has a sentence, all else is kept byte for byte.
pub fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(Error::BadName("This name is not allowed."));
    }
    if name.len() > MAX_NAME {
        return Err(Error::BadName("A name may have at most 255 bytes."));
    }
    if is_reserved(name) {
        return Err(Error::BadName("Names that begin with .sarang are kept for the server."));
    }
    if name.contains('/') {
        return Err(Error::BadName("A name cannot contain a slash."));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::BadName("A name cannot contain control characters."));
    }
    if name.chars().any(is_bidi_override) {
        return Err(Error::BadName("A name cannot contain characters that reverse the direction of text."));
    }
    Ok(())
}

/// Whether a name belongs to Sarang's own files, in any case.
pub fn is_reserved(name: &str) -> bool {
    name.as_bytes().get(..RESERVED.len()).is_some_and(|head| head.eq_ignore_ascii_case(RESERVED.as_bytes()))
}

/// Names that Windows cannot show, for drives with `portable_names`.
pub fn check_portable(name: &str) -> Result<()> {
    const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
    if name.contains(['<', '>', ':', '"', '\\', '|', '?', '*']) || name.ends_with(['.', ' ']) {
        return Err(Error::BadName(
            "Windows cannot show this name: it has one of < > : \" \\ | ? * or ends in a dot or space.",
        ));
    }
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = |port: &str| {
        stem.strip_prefix(port).is_some_and(|n| n.len() == 1 && n != "0" && n.as_bytes()[0].is_ascii_digit())
    };
    if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        return Err(Error::BadName("Windows keeps this name for a device."));
    }
    Ok(())
}

/// Explicit embeddings, overrides and isolates (Unicode TR9), which make a name look like another.
fn is_bidi_override(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_decode_once_and_stay_inside() {
        assert_eq!(RelPath::from_url("/a//b/./c%20d/").unwrap().as_str(), "a/b/c d");
        assert_eq!(RelPath::from_url("/a/%2e%2e/b").unwrap().as_str(), "b");
        assert_eq!(RelPath::from_url("/a%252fb").unwrap().as_str(), "a%2fb");
        assert!(matches!(RelPath::from_url("/../x"), Err(Error::Forbidden(_))));
        for bad in ["/a%2fb", "/a%00b", "/%ff", "/.sarang/trash", "/.SARANG", "/a%0ab", "/%E2%80%AEgnp.exe"] {
            assert!(matches!(RelPath::from_url(bad), Err(Error::BadName(_))), "{bad}");
        }
        assert!(RelPath::from_url(&"/a".repeat(128)).is_ok());
        assert!(RelPath::from_url(&"/a".repeat(129)).is_err());
        assert!(RelPath::from_url(&format!("/{}", "a".repeat(256))).is_err());
    }

    #[test]
    fn comparisons_are_by_whole_names() {
        let path = |text| RelPath::parse(text).unwrap();
        assert!(path("a/b").is_within(&path("a")));
        assert!(path("a").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
        assert!(path("a").is_within(&RelPath::root()));
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(RelPath::root()));
        assert_eq!(RelPath::root().parent(), None);
        assert_eq!(path("cafe\u{301}").to_nfc(), path("café"));
    }

    #[test]
    fn portable_names_refuse_what_windows_cannot_show() {
        for bad in ["a:b", "x.", "y ", "CON", "aux.txt", "Lpt1.log", "what?"] {
            assert!(check_portable(bad).is_err(), "{bad}");
        }
        for good in ["console", "com0", "com10", "a.b", "über.txt"] {
            assert!(check_portable(good).is_ok(), "{good}");
        }
    }
}
