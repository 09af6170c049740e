//! For tests: folders whose file system lacks something, and in which, from some step on, nothing more is changed, as after a kill.

use super::{Errno, FileKind, FileStat, SysResult};
use crate::storage::Etag;
use crate::storage::local::missing_features::{MissingFeature, MissingFeatureSet};
use parking_lot::Mutex;
use rustix::fs as sys;
use std::borrow::Cow;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static ALL: Mutex<Vec<FakeFs>> = Mutex::new(Vec::new());

struct FakeFs {
    dir: PathBuf,
    lacks: MissingFeatureSet,
    errno: Errno,
    /// Changes of names that still happen.
    left: Option<usize>,
    /// How much the file system holds.
    size: Option<u64>,
    /// Whether no folder can be read to its end.
    torn: bool,
}

/// While it is held, what lies below the folder is on such a file system.
pub(in crate::storage::local) struct FakeFsGuard(PathBuf);

/// Pretends that the file system below a folder lacks all this, and says so by `errno`.
pub(in crate::storage::local) fn fake_fs(
    dir: &Path,
    lacks: MissingFeatureSet,
    errno: Errno,
) -> FakeFsGuard {
    let dir = dir.canonicalize().unwrap();
    ALL.lock().push(FakeFs {
        dir: dir.clone(),
        lacks,
        errno,
        left: None,
        size: None,
        torn: false,
    });
    COUNT.fetch_add(1, Ordering::Relaxed);
    FakeFsGuard(dir)
}

impl FakeFsGuard {
    /// Lets so many changes of names happen, and then none; with `None` all.
    pub(in crate::storage::local) fn cut_after(&self, left: Option<usize>) {
        for one in ALL.lock().iter_mut().filter(|one| one.dir == self.0) {
            one.left = left;
        }
    }

    /// Lets the file system hold so many bytes in all.
    pub(in crate::storage::local) fn limit(&self, size: u64) {
        for one in ALL.lock().iter_mut().filter(|one| one.dir == self.0) {
            one.size = Some(size);
        }
    }

    /// Lets no folder be read to its end.
    pub(in crate::storage::local) fn tear(&self) {
        for one in ALL.lock().iter_mut().filter(|one| one.dir == self.0) {
            one.torn = true;
        }
    }

    /// Whether it has come to that.
    pub(in crate::storage::local) fn is_cut(&self) -> bool {
        ALL.lock()
            .iter()
            .any(|one| one.dir == self.0 && one.left == Some(0))
    }
}

impl Drop for FakeFsGuard {
    fn drop(&mut self) {
        ALL.lock().retain(|one| one.dir != self.0);
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether something is pretended there.
pub(in crate::storage::local) fn is_fake(dir: BorrowedFd<'_>) -> bool {
    with(dir, |_| true).unwrap_or_default()
}

/// Fails where the file system lacks this, and where nothing more is changed.
pub(super) fn change(dir: BorrowedFd<'_>, needs: &[MissingFeature]) -> SysResult<()> {
    let outcome = with(dir, |one| {
        if needs.iter().any(|lack| one.lacks.has(*lack)) {
            return Err(if needs.contains(&MissingFeature::HardLinks) {
                Errno::PERM
            } else {
                one.errno
            });
        }
        match &mut one.left {
            Some(0) => Err(Errno::IO),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    });
    outcome.unwrap_or(Ok(()))
}

/// Whether the file system lacks this.
pub(super) fn lacks(dir: BorrowedFd<'_>, lack: MissingFeature) -> bool {
    with(dir, |one| one.lacks.has(lack)).unwrap_or_default()
}

/// Fails where no folder can be read to its end.
pub(super) fn end_of_names(dir: BorrowedFd<'_>) -> SysResult<()> {
    if with(dir, |one| one.torn).unwrap_or_default() {
        Err(Errno::IO)
    } else {
        Ok(())
    }
}

/// Fails where there are no attributes.
pub(super) fn attributes(file: BorrowedFd<'_>) -> SysResult<()> {
    if lacks(file, MissingFeature::Xattrs) {
        Err(Errno::OPNOTSUPP)
    } else {
        Ok(())
    }
}

/// Bytes that are left on a file system that is limited: each file counts once, whatever names it has.
pub(super) fn free(dir: BorrowedFd<'_>) -> Option<u64> {
    let (top, size) = with(dir, |one| one.size.map(|size| (one.dir.clone(), size)))??;
    let mut files = std::collections::HashMap::new();
    let mut waiting = vec![top];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(facts) if facts.is_dir() => waiting.push(entry.path()),
                Ok(facts) => {
                    files.insert(std::os::unix::fs::MetadataExt::ino(&facts), facts.len());
                }
                Err(_) => {}
            }
        }
    }
    Some(size.saturating_sub(files.values().sum()))
}

/// What is seen of something.
pub(super) fn seen(dir: BorrowedFd<'_>, mut found: FileStat) -> FileStat {
    let Etag([_, birth, modified, _]) = &mut found.node.etag;
    if lacks(dir, MissingFeature::BirthTime) {
        *birth = 0;
        found.node.created = found.node.modified;
    }
    if lacks(dir, MissingFeature::SubsecondTimes) && found.kind == FileKind::File {
        let rest = modified
            .cast_signed()
            .rem_euclid(1_000_000_000)
            .cast_unsigned();
        *modified = modified.wrapping_sub(rest);
        found.node.modified -= Duration::from_nanos(rest);
    }
    found
}

/// A path as it is spelled there, where case tells nothing.
pub(super) fn spelled<'a>(dir: BorrowedFd<'_>, path: &'a str) -> Cow<'a, str> {
    if !lacks(dir, MissingFeature::CaseSensitivity) {
        return path.into();
    }
    let mut at = path_of(dir);
    let mut names = Vec::new();
    for name in path.split('/') {
        let there = std::fs::read_dir(&at)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name());
        let same = |other: &std::ffi::OsString| {
            other.to_string_lossy().to_lowercase() == name.to_lowercase()
        };
        let name = there
            .into_iter()
            .find(same)
            .map_or(name.to_owned(), |name| name.to_string_lossy().into_owned());
        at.push(&name);
        names.push(name);
    }
    names.join("/").into()
}

fn with<T>(dir: BorrowedFd<'_>, of: impl FnOnce(&mut FakeFs) -> T) -> Option<T> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let path = path_of(dir);
    ALL.lock()
        .iter_mut()
        .find(|one| path.starts_with(&one.dir))
        .map(of)
}

fn path_of(fd: BorrowedFd<'_>) -> PathBuf {
    let link = sys::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new()).unwrap();
    Path::new(std::ffi::OsStr::from_bytes(link.as_bytes())).to_owned()
}
