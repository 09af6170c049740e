//! How names are spelled on the disk: clients ask in either Unicode form, and some file systems take upper and lower case for the same.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::missing_features::MissingFeature;
use super::names::{resolve_name, stat_name};
use super::sys::{self, Errno, FileKind, FileStat, Lookup, fd};
use super::walk;
use crate::model::{RelPath, Result};
use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};

impl TreeDirs {
    /// The path as its names are spelled on disk, as far as they exist.
    pub fn stored_path(&self, path: &RelPath) -> Result<RelPath> {
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        let mut dir: Option<OwnedFd> = None;
        let mut rest = path.names();
        for name in rest.by_ref() {
            let at = fd(dir.as_ref().unwrap_or(&self.dir));
            let (mut spelled, found) = resolve_name(at, name)?;
            if let Some(found) = found
                .as_ref()
                .filter(|_| self.missing_features.has(MissingFeature::CaseSensitivity))
            {
                spelled = Cow::Owned(entry_of(at, &spelled, found)?);
            }
            let next = match found {
                Some(found) if found.kind == FileKind::Folder => {
                    match sys::open_folder(at, &spelled, Lookup::Full) {
                        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
                        // Anything else, such as no descriptors left, must not look like nothing there.
                        opened => Some(opened.map_err(|e| map_errno("open it", e))?),
                    }
                }
                _ => None,
            };
            names.push(spelled);
            dir = next;
            if dir.is_none() {
                break;
            }
        }
        names.extend(rest.map(Cow::Borrowed));
        // The names come from a path, or from the disk where that has them: also our own folders.
        Ok(RelPath::from_stored(names.join("/")))
    }
}

/// The name of the entry that `name` leads to, where case tells nothing.
fn entry_of(dir: BorrowedFd<'_>, name: &str, found: &FileStat) -> Result<String> {
    let names = walk::names(dir).map_err(|e| map_errno("look how it is spelled", e))?;
    if names.iter().any(|other| other == name) {
        return Ok(name.to_owned());
    }
    let is_it =
        |other: &&String| sys::stat_at(dir, other).is_ok_and(|other| other.inode == found.inode);
    let (like, unlike): (Vec<_>, Vec<_>) = names
        .iter()
        .partition(|other| other.to_lowercase() == name.to_lowercase());
    Ok(like
        .into_iter()
        .chain(unlike)
        .find(is_it)
        .map_or(name, String::as_str)
        .to_owned())
}

/// Whether two names, which lead to the same file or folder, are one entry: spelled in two ways, where case tells nothing.
pub(super) fn is_same_entry(
    dirs: &TreeDirs,
    one: (BorrowedFd<'_>, &str),
    other: (BorrowedFd<'_>, &str),
) -> Result<bool> {
    let inode = |dir| {
        sys::stat_fd(dir)
            .map(|found| found.inode)
            .map_err(|e| map_errno("look at it", e))
    };
    if !dirs.missing_features.has(MissingFeature::CaseSensitivity)
        || inode(one.0)? != inode(other.0)?
    {
        return Ok(false);
    }
    let Some(found) = stat_name(one.0, one.1)? else {
        return Ok(false);
    };
    Ok(entry_of(one.0, one.1, &found)? == entry_of(other.0, other.1, &found)?)
}
