//! The data folder as a whole: whether it is the one that was, or new. A folder that is missing because its disk is not mounted must
//! not become a server without accounts.

use crate::model::{Error, Result};
use crate::state::sled::SledStore;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file in a data folder that says that it is one.
pub(super) const MARKER: &str = "sarang.data";
const MARKER_TEXT: &str = "This is the data folder of a Sarang server. Without this file the server does not start on it.\n";
/// What may lie in a folder that is new: the settings, and what a file system keeps for itself.
const STRANGERS: [&str; 2] = ["config.toml", "lost+found"];
/// Where the files of accounts and team folders will be: made before the first start where they lie on another disk.
pub const TREES: [&str; 2] = ["homes", "teams"];
/// The mounts that this machine is set up with, and those that there are.
const FSTAB: &str = "/etc/fstab";
const MOUNTS: &str = "/proc/self/mountinfo";

/// Opens the state in a data folder. Where no data folder is, one is made only if nothing was there before, or `anew`.
pub(super) fn open_state(dir: &Path, anew: bool) -> Result<Arc<SledStore>> {
    if !anew {
        is_new(dir)?;
    }
    let store = SledStore::open(&dir.join("state"))?;
    mark(dir).map_err(|e| Error::io("mark the data folder", e))?;
    Ok(store)
}

fn mark(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(MARKER);
    if !path.exists() {
        fs::write(&path, MARKER_TEXT)?;
        fs::File::open(&path)?.sync_all()?;
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Whether a folder is none of a server yet. Refuses one that has been a data folder, or should be the mount point of one, and has no
/// state.
pub fn is_new(dir: &Path) -> Result<bool> {
    let names = names_in(dir).map_err(|e| Error::io("look at the data folder", e))?;
    let has_state = names_in(&dir.join("state")).is_ok_and(|names| !names.is_empty());
    if has_state {
        return Ok(false);
    }
    if names.iter().any(|name| name == MARKER) {
        return Err(Error::Forbidden(
            "It was the data folder of a server, and its state is gone. Bring the state back (`sarang restore`, `sarang store \
             restore`), mount its disk, or start with no accounts: `sarang serve --new`.",
        ));
    }
    let may_be_there = |name: &str| {
        STRANGERS.contains(&name) || (TREES.contains(&name) && holds_nothing(&dir.join(name), 1))
    };
    if !names.iter().all(|name| may_be_there(name)) {
        return Err(Error::Forbidden(
            "There is something in it, and no state of a server: maybe its disk is not mounted, or only part of it was brought \
             back. If a new server is meant, `sarang serve --new` makes one here.",
        ));
    }
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    match unmounted(&absolute(dir), &read(FSTAB), &read(MOUNTS)) {
        Some(_) => Err(Error::Forbidden(
            "It lies on a disk that is in /etc/fstab and not mounted: mount it. If a new server is meant here, `sarang serve --new` \
             makes one.",
        )),
        None => Ok(true),
    }
}

/// Whether something is a folder without anything in it but such folders, so many levels deep.
fn holds_nothing(dir: &Path, levels: usize) -> bool {
    let below = |name: &String| {
        name == "lost+found" || (levels > 0 && holds_nothing(&dir.join(name), levels - 1))
    };
    dir.is_dir() && names_in(dir).is_ok_and(|names| names.iter().all(below))
}

/// The names in a folder; none where there is none.
fn names_in(dir: &Path) -> std::io::Result<Vec<String>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A path without links, as far as it exists.
fn absolute(dir: &Path) -> PathBuf {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let there = dir
        .ancestors()
        .find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    match there {
        Some((above, real)) => dir
            .strip_prefix(above)
            .map_or_else(|_| dir.clone(), |rest| real.join(rest)),
        None => dir,
    }
}

/// The mount point over a path that the machine is set up with and that is not mounted.
fn unmounted(dir: &Path, fstab: &str, mounts: &str) -> Option<PathBuf> {
    let present: Vec<PathBuf> = mounts.lines().filter_map(|line| path_in(line, 4)).collect();
    let lines = fstab
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let wanted = lines
        .filter_map(|line| path_in(line, 1))
        .filter(|point| point.is_absolute() && dir.starts_with(point));
    wanted
        .filter(|point| point != Path::new("/"))
        .find(|point| !present.contains(point))
}

/// Whether a folder lies where a disk should be mounted within the data folder, and is not.
pub(super) fn is_unmounted_within(data: &Path, dir: &Path) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    is_unmounted(&absolute(data), &absolute(dir), &read(FSTAB), &read(MOUNTS))
}

fn is_unmounted(data: &Path, dir: &Path, fstab: &str, mounts: &str) -> bool {
    let is_within = |line: &&str| {
        path_in(line, 1).is_some_and(|point| point.starts_with(data) && point != data)
    };
    let within: Vec<&str> = fstab.lines().filter(is_within).collect();
    unmounted(dir, &within.join("\n"), mounts).is_some()
}

/// A field of a line in one of the tables of mounts, in which blanks are `\040`.
fn path_in(line: &str, field: usize) -> Option<PathBuf> {
    let text = line.split_whitespace().nth(field)?;
    Some(
        text.replace("\\040", " ")
            .replace("\\011", "\t")
            .replace("\\134", "\\")
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_should_be_mounted_and_is_not_is_seen() {
        let fstab = "# <file system> <mount point>\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n\
                     UUID=3 /srv/my\\040disk ext4 nofail 0 2\n#UUID=4 /old ext4 nofail 0 2\n";
        let root = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let mounted = format!("{root}30 22 8:3 / /srv/my\\040disk rw - ext4 /dev/sdc1 rw\n");
        let disk = Path::new("/srv/my disk");
        assert_eq!(unmounted(disk, fstab, root).as_deref(), Some(disk));
        assert_eq!(
            unmounted(&disk.join("data"), fstab, root).as_deref(),
            Some(disk)
        );
        assert_eq!(unmounted(&disk.join("data"), fstab, &mounted), None);
        for other in ["/srv/my disk 2", "/srv", "/old/data", "/var/lib/sarang"] {
            assert_eq!(unmounted(Path::new(other), fstab, root), None, "{other}");
        }
    }

    /// A home on a disk of its own; what is above the data folder was looked at when the server was made.
    #[test]
    fn a_home_whose_disk_should_be_mounted_is_not_made() {
        let fstab = "UUID=1 /srv ext4 noauto 0 2\nUUID=2 /srv/data/homes/ana ext4 nofail 0 2\n#UUID=3 /srv/data/teams ext4 0 2\n";
        let mounted = "30 22 8:3 / /srv/data/homes/ana rw - ext4 /dev/sdc1 rw\n";
        let at = |dir: &str, mounts: &str| {
            is_unmounted(Path::new("/srv/data"), Path::new(dir), fstab, mounts)
        };
        assert!(at("/srv/data/homes/ana", ""));
        assert!(!at("/srv/data/homes/ana", mounted));
        assert!(
            !at("/srv/data/homes/ben", "")
                && !at("/srv/data/homes/ana2", "")
                && !at("/srv/data/teams/x", "")
        );
    }

    #[test]
    fn a_server_begins_only_where_nothing_was() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("data");
        assert!(is_new(&dir).unwrap());
        fs::create_dir(&dir).unwrap();
        fs::create_dir(dir.join("lost+found")).unwrap();
        fs::write(dir.join("config.toml"), "").unwrap();
        assert!(is_new(&dir).unwrap());
        fs::create_dir_all(dir.join("homes/ana/lost+found")).unwrap();
        assert!(is_new(&dir).unwrap());
        fs::write(dir.join("homes/ana/file"), "").unwrap();
        assert!(matches!(is_new(&dir), Err(Error::Forbidden(_))));
        drop(open_state(&dir, true).unwrap());
        drop(open_state(&dir, false).unwrap());
        fs::remove_file(dir.join(MARKER)).unwrap();
        drop(open_state(&dir, false).unwrap());
        assert!(
            dir.join(MARKER).exists(),
            "a data folder from before there was a marker gets one"
        );
        fs::remove_dir_all(dir.join("state")).unwrap();
        assert!(
            matches!(is_new(&dir), Err(Error::Forbidden(_))),
            "its state is gone"
        );
    }
}
