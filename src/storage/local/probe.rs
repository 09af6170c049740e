//! Tries out what the file system below a tree can do, once for each: what it lacks is done in other ways (`steps`, `stage`), and where
//! nothing is safe the tree stays closed.

use super::LocalTree;
use super::errors::map_errno;
use super::internal_dirs;
use super::missing_features::{MissingFeature, MissingFeatureSet};
use super::sys::{self, Errno, FileKind, SysResult, fd};
use crate::model::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// What was found out, by device and mount.
static KNOWN: LazyLock<Mutex<HashMap<(u64, u64), MissingFeatureSet>>> =
    LazyLock::new(Mutex::default);
/// So that no two that try at once use the same names.
static TRIES: AtomicU64 = AtomicU64::new(0);
/// How the names begin that are used.
const NAME: &str = "probe-";
/// A second with a fraction in steps that a commit sets.
const FINE: Duration = Duration::from_nanos(1_000_000_000_123_456_700);
/// As many bytes as a meta has.
const SAMPLE_META: [u8; 63] = [1; 63];
/// What is said of a tree that stays closed.
const UNFIT: Error = Error::Unfit(
    "The file system below this drive cannot replace a file by another in one rename, so that nothing can be stored safely. Its files \
     have to be moved to another one.",
);

/// What the file system below a tree lacks. `Unfit`.
pub(super) fn detect(top: BorrowedFd<'_>) -> Result<MissingFeatureSet> {
    let failed = |e| map_errno("look what its file system can do", e);
    let at = sys::mount_of(top).map_err(failed)?;
    if let Some(known) = KNOWN
        .lock()
        .get(&at)
        .copied()
        .filter(|_| is_remembered(top))
    {
        return Ok(known.with(MissingFeature::CaseSensitivity, folds_case(top)));
    }
    let tmp = internal_dirs::open(top, internal_dirs::TMP)?;
    let found = match FsProbe::new(fd(&tmp)).detect() {
        Ok(found) => found,
        Err(Errno::INVAL | Errno::EXIST) => return Err(UNFIT),
        // Full, or read-only: it is no reason to keep anybody from their files, and what is lacking is noticed where it is needed.
        Err(_) => {
            return Ok(
                MissingFeatureSet::default().with(MissingFeature::CaseSensitivity, folds_case(top))
            );
        }
    };
    if is_remembered(top) {
        KNOWN.lock().insert(at, found);
    }
    let found = found.with(MissingFeature::CaseSensitivity, folds_case(top));
    for lack in found.describe() {
        tracing::warn!(disk = at.0, "the file system of a drive has no {lack}");
    }
    Ok(found)
}

/// Whether another file system is another device.
#[cfg(not(test))]
const fn is_remembered(_: BorrowedFd<'_>) -> bool {
    true
}

#[cfg(test)]
fn is_remembered(top: BorrowedFd<'_>) -> bool {
    !sys::fake_fs::is_fake(top)
}

/// Whether the folder of a tree takes upper and lower case for the same: some file systems let each folder decide.
fn folds_case(top: BorrowedFd<'_>) -> bool {
    let inode = |name| sys::stat_at(top, name).ok().map(|found| found.inode);
    inode(".SARANG").is_some_and(|other| inode(".sarang") == Some(other))
}

/// A folder to try in, and the names that go again.
struct FsProbe<'a> {
    dir: BorrowedFd<'a>,
    prefix: String,
}

impl<'a> FsProbe<'a> {
    fn new(dir: BorrowedFd<'a>) -> Self {
        let try_number = TRIES.fetch_add(1, Ordering::Relaxed);
        Self {
            dir,
            prefix: format!("{NAME}{}-{try_number}-", std::process::id()),
        }
    }

    fn name(&self, of: &str) -> String {
        format!("{}{of}", self.prefix)
    }

    /// `EINVAL` or `EEXIST` where a rename does not replace.
    fn detect(&self) -> SysResult<MissingFeatureSet> {
        let one = self.name("a");
        let other = self.name("b");
        let file = sys::create_file(self.dir, &one)?;
        sys::write_all(fd(&file), &mut [IoSlice::new(b"probe")], 0)?;
        drop(sys::create_file(self.dir, &other)?);
        self.check_replaces(&one, &other)?;
        let file = sys::open_write(self.dir, &other)?;
        sys::set_modified(fd(&file), UNIX_EPOCH + FINE)?;
        let node = sys::stat_fd(fd(&file))?.node;
        let [_, born] = node.inode();
        Ok(MissingFeatureSet::default()
            .with(
                MissingFeature::SubsecondTimes,
                node.modified != UNIX_EPOCH + FINE,
            )
            .with(MissingFeature::BirthTime, born == 0)
            .with(MissingFeature::Xattrs, !keeps_attributes(fd(&file)))
            .with(MissingFeature::Fallocate, !sys::can_preallocate(fd(&file)))
            .with(MissingFeature::TmpFile, !self.has_unnamed())
            .with(MissingFeature::HardLinks, !self.has_links(&other))
            .with(MissingFeature::NoReplace, !self.has_no_replace(&other))
            .with(MissingFeature::Exchange, !self.has_exchange(&other)))
    }

    /// Moves a file of five bytes over an empty one.
    fn check_replaces(&self, from: &str, to: &str) -> SysResult<()> {
        sys::rename_over((self.dir, from), (self.dir, to))?;
        let found = sys::stat_at(self.dir, to)?;
        let is_gone = matches!(sys::stat_at(self.dir, from), Err(Errno::NOENT));
        if found.kind == FileKind::File && found.node.len == 5 && is_gone {
            Ok(())
        } else {
            Err(Errno::INVAL)
        }
    }

    fn has_unnamed(&self) -> bool {
        let name = self.name("c");
        let named = sys::create_tmpfile(self.dir)
            .and_then(|file| sys::link_tmpfile(fd(&file), (self.dir, &name)));
        named.is_ok() && sys::stat_at(self.dir, &name).is_ok()
    }

    fn has_links(&self, of: &str) -> bool {
        let name = self.name("d");
        sys::link((self.dir, of), (self.dir, &name)).is_ok()
            && sys::stat_at(self.dir, &name).is_ok_and(|found| found.links == 2)
    }

    /// There are some that know the flag and do not heed it.
    fn has_no_replace(&self, there: &str) -> bool {
        let name = self.name("e");
        let moved = self.name("f");
        sys::create_file(self.dir, &name).is_ok()
            && sys::rename_noreplace((self.dir, &name), (self.dir, there)) == Err(Errno::EXIST)
            && sys::rename_noreplace((self.dir, &name), (self.dir, &moved)).is_ok()
            && sys::stat_at(self.dir, &moved).is_ok()
    }

    fn has_exchange(&self, with: &str) -> bool {
        let name = self.name("g");
        let len = |name: &str| {
            sys::stat_at(self.dir, name)
                .ok()
                .map(|found| found.node.len)
        };
        sys::create_file(self.dir, &name).is_ok()
            && sys::exchange((self.dir, &name), (self.dir, with)).is_ok()
            && (len(&name), len(with)) == (Some(5), Some(0))
    }
}

impl Drop for FsProbe<'_> {
    fn drop(&mut self) {
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            if let Ok(name) = CString::new(self.name(name)) {
                // What stays is swept when the tree is opened.
                let _ = sys::unlink(self.dir, &name);
            }
        }
    }
}

fn keeps_attributes(file: BorrowedFd<'_>) -> bool {
    let is_kept = sys::set_meta(file, &SAMPLE_META).is_ok()
        && sys::meta_fd::<63>(file).is_ok_and(|kept| kept.is_some_and(|kept| kept == SAMPLE_META));
    is_kept && sys::clear_meta(file).is_ok()
}

impl LocalTree {
    /// What the file system that it lies on lacks.
    pub fn missing_features(&self) -> MissingFeatureSet {
        self.root.missing_features
    }

    /// What is missing in the tree below `dir`, which may be in use; nothing where there is none to try in. `Unfit`.
    pub fn missing_features_at(dir: &Path) -> Result<MissingFeatureSet> {
        let dir = sys::open_root(dir).map_err(|e| Error::io("open the folder of files", e))?;
        missing_features_below(fd(&dir))
    }
}

/// What is missing below an open folder.
pub(super) fn missing_features_below(top: BorrowedFd<'_>) -> Result<MissingFeatureSet> {
    let has_one = internal_dirs::find(top, internal_dirs::TMP).is_ok_and(|found| found.is_some());
    if has_one {
        detect(top)
    } else {
        Ok(MissingFeatureSet::default())
    }
}
