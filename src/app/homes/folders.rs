//! What is done to the folders of homes and team folders from outside.

use crate::storage::local::in_place::purge_folder as purge_now;
use std::ffi::OsString;
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long requests under way may hinder the deletion of a home.
pub(super) const PURGE_PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn inode_of(path: &Path) -> Result<(u64, u64)> {
    std::fs::metadata(path).map(|facts| (facts.dev(), facts.ino()))
}

/// The names in a folder; none where there is none.
pub(super) fn names_in(dir: &Path) -> Result<Vec<OsString>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Renames a folder within one folder or between two, if it is there, and waits until that is on the disk.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound && from.symlink_metadata().is_err() => {
            return Ok(());
        }
        outcome => outcome?,
    }
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Deletes a folder and all below it, but nothing that is mounted there. Requests that were under way may still put files there for a moment.
pub(super) fn purge_folder(dir: &Path) -> Result<()> {
    let until = Instant::now() + PURGE_PATIENCE;
    loop {
        match purge_now(dir) {
            Err(error)
                if error.kind() == ErrorKind::DirectoryNotEmpty && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
}

/// The folder of a tree's own, and what in it says which tree it is.
const OWN: &str = ".sarang";
const MARKER: &str = "home";

/// Moves all that lies in a folder into another one, made if missing; what lies there already stays. The tree's own folder comes last: until
/// then the marker in it says that there is something to move.
pub(super) fn move_content(from: &Path, to: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)?;
    let mut names = names_in(from)?;
    names.sort_by_key(|name| name == OWN);
    for name in names {
        if to.join(&name).symlink_metadata().is_err() {
            std::fs::rename(from.join(&name), to.join(&name))?;
        }
    }
    for folder in [to, from] {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Deletes all that lies in a folder, the marker in the tree's own last.
pub(super) fn purge_content(dir: &Path) -> Result<()> {
    let own = dir.join(OWN);
    let below = |dir: &Path, kept: &str| -> Result<Vec<_>> {
        Ok(names_in(dir)?
            .into_iter()
            .filter(|name| name != kept)
            .map(|name| dir.join(name))
            .collect())
    };
    for path in below(dir, OWN)?.into_iter().chain(below(&own, MARKER)?) {
        let is_folder = path.symlink_metadata().is_ok_and(|facts| facts.is_dir());
        let removed = if is_folder {
            purge_folder(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    purge_folder(&own)?;
    std::fs::File::open(dir)?.sync_all()
}
