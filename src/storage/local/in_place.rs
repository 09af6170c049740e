//! Folders that were there before and are served where they lie. The way to one must be in the hands of root and of the server's user
//! alone: whoever else could change it could lead the server to files that are not theirs. A folder is told by its path without links,
//! by the device and inode of each folder above it, and by its place on its file system, so that links and bind mounts are seen.

pub(super) mod mounts;
#[cfg(test)]
mod tests;

pub use super::remove_tree::purge_folder;
use super::sys;
use mounts::{locate, mounts};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{Error, ErrorKind, Result as IoResult};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why a folder cannot be served where it lies.
#[derive(Debug, thiserror::Error)]
pub enum InPlaceError {
    /// The path is not one that says where it is.
    #[error("{} is no whole path: write it from the root on, without “..”.", .0.display())]
    NotAbsolute(PathBuf),
    /// Nothing is there.
    #[error("There is no folder {}: make it first, or mount its disk.", .0.display())]
    NotFound(PathBuf),
    /// Something else is there.
    #[error("{} is no folder.", .0.display())]
    NotFolder(PathBuf),
    /// The server cannot look there.
    #[error("The server cannot look at {}: {source}.", .path.display())]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: Error,
    },
    /// A link on the way can be led elsewhere.
    #[error(
        "The path leads through the link {}, which others than root and the server's user may change: give the real path.",
        .0.display()
    )]
    UntrustedLink(PathBuf),
    /// Something on the way can be replaced.
    #[error(
        "Others than root and the server's user may replace {}, which the path leads through: nobody else may own the folders above \
         the one that is served, or write there.",
        .0.display()
    )]
    UntrustedParent(PathBuf),
    /// The process may not use it.
    #[error(
        "The server may not read and write in {} ({source}): give its user the right, and in a systemd unit add the folder to \
         ReadWritePaths=.",
        .path.display()
    )]
    NoAccess {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: Error,
    },
    /// It is, holds or lies in another folder.
    #[error("{} and {whose} overlap: one folder belongs to one account, team folder or purpose.", .path.display())]
    Overlap {
        /// The folder.
        path: PathBuf,
        /// With what.
        whose: String,
    },
}

/// Where a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderLocation {
    /// Its path without links.
    pub path: PathBuf,
    /// Device and inode of each folder from the root down to it.
    ancestors: Vec<(u64, u64)>,
    /// The file system, and where on it.
    file_system: Option<(String, PathBuf)>,
}

impl FolderLocation {
    /// Goes to a folder, link by link, and says where it is; `server` is the user that it is to be served by, beside root the only one
    /// that may have a hand in the way.
    pub fn resolve(path: &Path, server: u32) -> Result<Self, InPlaceError> {
        let mut way = PathResolver::from_root(server)?;
        way.walk(absolute_names(path)?)?;
        Ok(way.finish())
    }

    /// As [`resolve`](Self::resolve), of a folder that this process is to serve: it must be able to.
    pub fn resolve_usable(path: &Path) -> Result<Self, InPlaceError> {
        let site = Self::resolve(path, sys::own_user())?;
        match sys::may_use(&site.path) {
            Ok(()) => Ok(site),
            Err(e) => Err(InPlaceError::NoAccess {
                path: site.path,
                source: e.into(),
            }),
        }
    }

    /// Where a folder of the server's own is, whatever leads to it.
    pub fn of_own(path: &Path) -> IoResult<Self> {
        let path = fs::canonicalize(path)?;
        let mut line = Vec::new();
        for above in path.ancestors() {
            line.push(identity(&fs::symlink_metadata(above)?));
        }
        line.reverse();
        let on = mounts().and_then(|mounts| locate(&path, &mounts));
        Ok(Self {
            path,
            ancestors: line,
            file_system: on,
        })
    }

    /// The folders that are mounted somewhere below it.
    pub fn mounted_below(&self) -> Vec<Self> {
        let points = mounts()
            .unwrap_or_default()
            .into_iter()
            .map(|mount| mount.point);
        points
            .filter(|point| *point != self.path && point.starts_with(&self.path))
            .flat_map(|p| Self::of_own(&p))
            .collect()
    }

    /// Whether one is, holds or lies in the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let nested = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
        let within = |a: &Self, b: &Self| {
            b.ancestors
                .last()
                .is_some_and(|end| a.ancestors.contains(end))
        };
        let on_one = match (&self.file_system, &other.file_system) {
            (Some((disk, at)), Some((other_disk, other_at))) => {
                disk == other_disk && nested(at, other_at)
            }
            _ => false,
        };
        nested(&self.path, &other.path) || within(self, other) || within(other, self) || on_one
    }
}

/// The user that a data folder's server runs as, seen from outside.
pub fn owner_of(data_dir: &Path) -> IoResult<u32> {
    fs::metadata(data_dir.join("state"))
        .or_else(|_| fs::metadata(data_dir))
        .map(|facts| facts.uid())
}

/// The names of a path from the root, the last one first.
fn absolute_names(path: &Path) -> Result<Vec<OsString>, InPlaceError> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) if path.is_absolute() => names.push(name.to_owned()),
            _ => return Err(InPlaceError::NotAbsolute(path.to_owned())),
        }
    }
    if path.to_str().is_none() || !path.is_absolute() {
        return Err(InPlaceError::NotAbsolute(path.to_owned()));
    }
    names.reverse();
    Ok(names)
}

/// A way from the root to a folder, as far as it was gone.
struct PathResolver {
    server: u32,
    at: PathBuf,
    /// What the folders are that it leads through, the present one last.
    folders: Vec<Metadata>,
}

impl PathResolver {
    fn from_root(server: u32) -> Result<Self, InPlaceError> {
        let at = PathBuf::from("/");
        let folders = vec![lstat(&at)?];
        Ok(Self {
            server,
            at,
            folders,
        })
    }

    fn walk(&mut self, mut names: Vec<OsString>) -> Result<(), InPlaceError> {
        let mut links = 0;
        while let Some(name) = names.pop() {
            if name == ".." {
                self.back();
                continue;
            }
            let next = self.at.join(&name);
            let facts = lstat(&next)?;
            if facts.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(InPlaceError::NotFolder(next));
                }
                self.follow(&next, &mut names)?;
                continue;
            }
            self.check_step(&next, &facts)?;
            if !facts.is_dir() {
                return Err(InPlaceError::NotFolder(next));
            }
            self.at = next;
            self.folders.push(facts);
        }
        Ok(())
    }

    fn back(&mut self) {
        if self.at.pop() {
            self.folders.pop();
        }
    }

    /// Goes where a link leads.
    fn follow(&mut self, link: &Path, names: &mut Vec<OsString>) -> Result<(), InPlaceError> {
        if self
            .folders
            .last()
            .is_none_or(|above| !self.is_ours(above) || others_write(above))
        {
            return Err(InPlaceError::UntrustedLink(link.to_owned()));
        }
        let target = fs::read_link(link).map_err(|source| InPlaceError::Unreadable {
            path: link.to_owned(),
            source,
        })?;
        let mut ahead = Vec::new();
        for component in target.components() {
            match component {
                Component::RootDir => {
                    self.at = PathBuf::from("/");
                    self.folders.truncate(1);
                }
                Component::Normal(name) => ahead.push(name.to_owned()),
                Component::ParentDir => ahead.push("..".into()),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        names.extend(ahead.into_iter().rev());
        Ok(())
    }

    /// Refuses a step that others can lead elsewhere: what lies in a folder is theirs to replace who may write to that, but, where that
    /// is sticky, for what belongs to us.
    fn check_step(&self, next: &Path, facts: &Metadata) -> Result<(), InPlaceError> {
        let Some(above) = self.folders.last() else {
            return Ok(());
        };
        let is_held = above.permissions().mode() & STICKY != 0 && self.is_ours(facts);
        if self.is_ours(above) && (!others_write(above) || is_held) {
            return Ok(());
        }
        Err(InPlaceError::UntrustedParent(next.to_owned()))
    }

    fn is_ours(&self, facts: &Metadata) -> bool {
        facts.uid() == 0 || facts.uid() == self.server
    }

    fn finish(self) -> FolderLocation {
        let line = self.folders.iter().map(identity).collect();
        let on = mounts().and_then(|mounts| locate(&self.at, &mounts));
        FolderLocation {
            path: self.at,
            ancestors: line,
            file_system: on,
        }
    }
}

/// Whether group or others may write: what an access list grants further people is within what the group's bits say (acl(5)).
fn others_write(facts: &Metadata) -> bool {
    facts.permissions().mode() & OTHERS_WRITE != 0
}

fn identity(facts: &Metadata) -> (u64, u64) {
    (facts.dev(), facts.ino())
}

fn lstat(path: &Path) -> Result<Metadata, InPlaceError> {
    fs::symlink_metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => InPlaceError::NotFound(path.to_owned()),
        ErrorKind::NotADirectory => InPlaceError::NotFolder(path.to_owned()),
        _ => InPlaceError::Unreadable {
            path: path.to_owned(),
            source,
        },
    })
}
