//! Names in an open folder: what one names, in either Unicode form, and which of them drives show.

use super::errors::map_errno;
use super::sys::{self, Errno, FileKind, FileStat};
use crate::model::path::check_name;
use crate::model::{Error, Result};
use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt::Write as _;
use std::os::fd::BorrowedFd;
use unicode_normalization::UnicodeNormalization;

/// Hexadecimal digits of a random name.
pub(super) const RANDOM_NAME_LEN: usize = 32;

/// A name in an open folder.
pub(super) type NameAt<'a> = (BorrowedFd<'a>, &'a str);

/// A name in an open folder, and the path that leads there from the root.
#[derive(Clone, Copy)]
pub(super) struct PathAt<'a> {
    pub dir: BorrowedFd<'a>,
    pub name: &'a str,
    pub path: &'a str,
}

/// An id that came from outside, or from an attribute that others may have written: one name and no way out of its folder; `NotFound`.
pub(super) fn check_id(id: &str) -> Result<&str> {
    check_name(id).map(|()| id).map_err(|_| Error::NotFound)
}

/// What exactly this name names.
pub(super) fn stat_name(dir: BorrowedFd<'_>, name: &str) -> Result<Option<FileStat>> {
    match sys::stat_at(dir, name) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
        Err(e) => Err(map_errno("look at it", e)),
    }
}

/// Only files and folders exist.
pub(super) fn require_file_or_folder(found: FileStat) -> Result<FileStat> {
    if found.kind == FileKind::Other {
        Err(Error::NotFound)
    } else {
        Ok(found)
    }
}

/// What stands at a target: nothing, a file or a folder; anything else is in the way.
pub(super) fn replaceable(found: Option<FileStat>) -> Result<Option<FileStat>> {
    match found {
        Some(found) if found.kind == FileKind::Other => Err(Error::Forbidden(
            "Something that is neither a file nor a folder is in the way.",
        )),
        other => Ok(other),
    }
}

/// `name` as it is spelled in `dir` and what it names: itself, else its NFC or NFD form, else itself and nothing.
pub(super) fn resolve_name<'a>(
    dir: BorrowedFd<'_>,
    name: &'a str,
) -> Result<(Cow<'a, str>, Option<FileStat>)> {
    if let Some(found) = stat_name(dir, name)? {
        return Ok((Cow::Borrowed(name), Some(found)));
    }
    if !name.is_ascii() {
        for other in [
            name.nfc().collect::<String>(),
            name.nfd().collect::<String>(),
        ] {
            if other != name
                && let Some(found) = stat_name(dir, &other)?
            {
                return Ok((Cow::Owned(other), Some(found)));
            }
        }
    }
    Ok((Cow::Borrowed(name), None))
}

/// The name if drives show it: valid UTF-8, allowed by the name policy, not the server's own.
pub(super) fn visible_name(name: &CStr) -> Option<&str> {
    name.to_str().ok().filter(|name| check_name(name).is_ok())
}

/// A name in a folder, as a path.
pub(super) fn join_path(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The folder of a path, and its last name.
pub(super) fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A name that nothing else has.
pub(super) fn random_name() -> Result<String> {
    let mut bytes = [0; RANDOM_NAME_LEN / 2];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
    Ok(bytes.iter().fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    }))
}
