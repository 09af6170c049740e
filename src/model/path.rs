//! Paths: one parser from URLs, one policy for names, and comparisons by whole components only.

use super::error::{Error, Result};
use super::names::{is_balanced, is_reserved};
use std::borrow::Cow;
use std::fmt;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The most components that the path of what is made in a root may have.
pub const MAX_DEPTH: usize = 128;
/// The most bytes that it may have.
pub const MAX_BYTES: usize = 4096;
/// The most bytes one name may have.
pub const MAX_NAME: usize = 255;

/// How much longer the path of the same may be in a drive that shows it through a mount: by the folder of the mounts and the mount.
const MOUNT_DEPTH: usize = 2;
const MOUNT_BYTES: usize = MOUNT_DEPTH * (MAX_NAME + 1);

const TOO_DEEP: Error = Error::BadName("A path may have at most 128 levels.");
const TOO_LONG: Error = Error::BadName("A path may have at most 4096 bytes.");

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
        Self::collect(text.split('/'))
    }

    /// Reads the path part of a URL beneath `prefix` (empty, or names each after a slash, as `/dav`), percent-decoded once;
    /// `None` when it lies outside. `..` climbs, also out of the prefix and back, and never above the top.
    pub fn from_url(path: &str, prefix: &str) -> Result<Option<Self>> {
        let mut joined = String::with_capacity(path.len());
        for segment in path.split('/') {
            let name = decode(segment)?;
            match name.as_ref() {
                "" | "." => {}
                ".." => joined.truncate(joined.rfind('/').ok_or(OUTSIDE)?),
                name => {
                    check_name(name)?;
                    joined.push('/');
                    joined.push_str(name);
                }
            }
        }
        match joined.strip_prefix(prefix) {
            Some("") => return Ok(Some(Self::root())),
            Some(below) if below.starts_with('/') => {}
            _ => return Ok(None),
        }
        joined.drain(..=prefix.len());
        Self(joined).bounded().map(Some)
    }

    /// Takes back what [`as_str`](Self::as_str) of a path said, from a record of our own. It is not checked again: the NFC form
    /// of a name may be longer than a name may be.
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Reads the path of what is or was there, joined by `/`: made beside the server it may be longer than what clients name.
    pub fn of_existing(text: &str) -> Result<Self> {
        Self::checked(text.split('/'))
    }

    fn collect<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self> {
        Self::checked(names)?.bounded()
    }

    fn checked<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut joined = String::new();
        for name in names.filter(|name| !name.is_empty() && *name != ".") {
            check_name(name)?;
            if !joined.is_empty() {
                joined.push('/');
            }
            joined.push_str(name);
        }
        Ok(Self(joined))
    }

    /// Refuses what is longer than any path in a drive of what was made through one.
    fn bounded(self) -> Result<Self> {
        if self.names().count() > MAX_DEPTH + MOUNT_DEPTH {
            return Err(TOO_DEEP);
        }
        if self.0.len() > MAX_BYTES + MOUNT_BYTES {
            return Err(TOO_LONG);
        }
        Ok(self)
    }

    /// How much longer a path in a root may be than this one; refused where this is too long for anything to be made there.
    pub fn remaining(&self) -> Result<PathBudget> {
        let top = PathBudget {
            levels: MAX_DEPTH,
            bytes: MAX_BYTES + 1,
        };
        self.names().try_fold(top, PathBudget::below)
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
        Some(Self(
            self.0
                .rsplit_once('/')
                .map_or_else(String::new, |(head, _)| head.to_owned()),
        ))
    }

    /// This path and the name of something that is there.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.is_root() {
            Self(name.to_owned())
        } else {
            Self(format!("{}/{name}", self.0))
        }
    }

    /// This path and one more name, checked by the name policy.
    pub fn join(&self, name: &str) -> Result<Self> {
        Self::collect(self.names().chain([name]))
    }

    /// Whether `self` is `other` or lies beneath it, by whole names.
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root()
            || self
                .0
                .strip_prefix(&other.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// This path beneath `base`, however long that is: what is made is refused by its tree ([`remaining`](Self::remaining)).
    #[must_use]
    pub fn beneath(&self, base: &Self) -> Self {
        if self.is_root() {
            base.clone()
        } else {
            base.child(&self.0)
        }
    }

    /// What of this path follows `base`, by whole names; `None` when it does not lie within.
    pub fn after(&self, base: &Self) -> Option<Self> {
        if base.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&base.0)?;
        if rest.is_empty() {
            return Some(Self::root());
        }
        rest.strip_prefix('/').map(|rest| Self(rest.to_owned()))
    }

    /// What follows the first `count` names, as it is spelled.
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        Self(
            self.0
                .splitn(count + 1, '/')
                .nth(count)
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// The same path in Unicode NFC: the form under which both spellings of a name are one key.
    #[must_use]
    pub fn to_nfc(&self) -> Self {
        if self.0.is_ascii() || is_nfc_quick(self.0.chars()) == IsNormalized::Yes {
            return self.clone();
        }
        Self(self.0.nfc().collect())
    }
}

/// What of the longest path is left below one.
#[derive(Clone, Copy, Debug)]
pub struct PathBudget {
    levels: usize,
    /// Each name counted with a slash.
    bytes: usize,
}

impl PathBudget {
    /// What is left below a name.
    pub fn below(self, name: &str) -> Result<Self> {
        let levels = self.levels.checked_sub(1).ok_or(TOO_DEEP)?;
        let bytes = self.bytes.checked_sub(name.len() + 1).ok_or(TOO_LONG)?;
        Ok(Self { levels, bytes })
    }

    /// Whether any one name would fit.
    pub fn fits_a_name(self) -> bool {
        self.levels > 0 && self.bytes > MAX_NAME
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

const OUTSIDE: Error = Error::Forbidden("The address leads out of the drive.");

/// One segment of a URL, decoded.
fn decode(segment: &str) -> Result<Cow<'_, str>> {
    let is_escape = |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !segment.split('%').skip(1).all(is_escape) {
        return Err(Error::BadRequest(
            "The address has a percent sign that begins no escape.",
        ));
    }
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
    decoded.map_err(|_| Error::BadName("A name must be valid UTF-8."))
}

/// The name policy of every drive: what is refused has a sentence, all else is kept byte for byte.
pub fn check_name(name: &str) -> Result<()> {
    // Nearly all names are plain ASCII, in which nothing below finds fault.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'/';
    if (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain)
    {
        return Ok(());
    }
    if name.is_empty() || name == "." || name == ".." {
        return Err(Error::BadName("This name is not allowed."));
    }
    if name.len() > MAX_NAME {
        return Err(Error::BadName("A name may have at most 255 bytes."));
    }
    if is_reserved(name) {
        return Err(Error::BadName("The name .sarang is kept for the server."));
    }
    if name.contains('/') {
        return Err(Error::BadName("A name cannot contain a slash."));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::BadName("A name cannot contain control characters."));
    }
    if !is_balanced(name) {
        return Err(Error::BadName(
            "A name cannot contain characters that reverse the direction of text, nor begin a direction that it does not end.",
        ));
    }
    Ok(())
}

/// Names that Windows cannot show, for drives with `portable_names`.
pub fn check_portable(name: &str) -> Result<()> {
    const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
    if name.contains(['<', '>', ':', '"', '\\', '|', '?', '*']) || name.ends_with(['.', ' ']) {
        return Err(Error::BadName(
            "Windows cannot show this name: it has one of < > : \" \\ | ? * or ends in a dot or space.",
        ));
    }
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let numbered = |port: &str| {
        stem.strip_prefix(port)
            .is_some_and(|n| matches!(n.as_bytes(), [b'1'..=b'9']))
    };
    if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        return Err(Error::BadName("Windows keeps this name for a device."));
    }
    Ok(())
}

/// A name with something added before its extension; where that makes it longer than a name may be, its end is cut off.
pub fn before_extension(name: &str, addition: &str) -> String {
    let room = MAX_NAME.saturating_sub(addition.len());
    let split = name
        .rsplit_once('.')
        .filter(|(stem, extension)| !stem.is_empty() && extension.len() < room / 2);
    let (stem, extension) = split.map_or((name, String::new()), |(stem, extension)| {
        (stem, format!(".{extension}"))
    });
    let most = room.saturating_sub(extension.len());
    let end = (0..=most.min(stem.len()))
        .rev()
        .find(|end| stem.is_char_boundary(*end))
        .unwrap_or_default();
    format!(
        "{}{addition}{extension}",
        stem.get(..end).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests;
