//! Which part of which file system is seen where.

use std::fs;
use std::path::{Path, PathBuf};

/// The mounts that there are: a line each, as `proc_pid_mountinfo(5)` says.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// A mount: what of which file system is seen where.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::storage::local) struct MountInfo {
    disk: String,
    /// `None` where that is not told.
    root: Option<PathBuf>,
    pub point: PathBuf,
}

/// Those that there are; `None` where nothing tells.
pub(in crate::storage::local) fn mounts() -> Option<Vec<MountInfo>> {
    Some(mounts_in(&fs::read_to_string(MOUNTINFO).ok()?))
}

fn mounts_in(text: &str) -> Vec<MountInfo> {
    let plain = |text: &str| {
        PathBuf::from(
            text.replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\134", "\\"),
        )
    };
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(2);
        let disk = fields.next()?;
        let root = fields.next()?;
        let point = fields.next()?;
        // The kernel says "/" of every part of an NFS export (`nfs_show_path`), so that two parts would pass for one.
        let is_nfs = fields
            .skip_while(|field| *field != "-")
            .nth(1)
            .is_some_and(|kind| kind.starts_with("nfs"));
        Some(MountInfo {
            disk: disk.to_owned(),
            root: (!is_nfs).then(|| plain(root)),
            point: plain(point),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// Where on which file system a path without links is.
pub(super) fn locate(path: &Path, mounts: &[MountInfo]) -> Option<(String, PathBuf)> {
    let over = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    // Of those at one point the last hides the others.
    let mount = over.max_by_key(|mount| mount.point.components().count())?;
    let rest = path.strip_prefix(&mount.point).ok()?;
    Some((mount.disk.clone(), mount.root.as_ref()?.join(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_over_a_path_tells_where_it_is() {
        let mounts = mounts_in(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 8:3 / /srv/my\\040disk rw - ext4 x rw\n\
             31 30 8:1 /var/lib/sarang /srv/my\\040disk/b rw - ext4 x rw\n\
             32 22 0:50 / /mnt/nas rw,relatime shared:9 - nfs4 nas:/vol/homes rw,vers=4.2\n",
        );
        let at = |path: &str| locate(Path::new(path), &mounts).unwrap();
        assert_eq!(at("/srv/x"), ("8:1".into(), "/srv/x".into()));
        assert_eq!(at("/srv/my disk/x"), ("8:3".into(), "/x".into()));
        assert_eq!(
            at("/srv/my disk/b/homes"),
            ("8:1".into(), "/var/lib/sarang/homes".into())
        );
        assert_eq!(
            locate(Path::new("/mnt/nas/ana"), &mounts),
            None,
            "the kernel does not tell which part this is"
        );
    }
}
