//! Overflow files: dead properties that are larger than an extended attribute may be lie in `.sarang/props/<random name>`, and the
//! attribute names the file instead. An overflow file is never changed: other properties are another file, named in one step.
//! Several files may name one (a version and the file it is of, a copy made beside the server): `overflow_sweep` deletes what none
//! names. Each counts as used, as bytes of its tree, from when it is named until it is deleted.

pub(super) mod inner_mounts;
mod references;

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::internal_dirs::PROPS;
use super::names::{RANDOM_NAME_LEN, stat_name};
use super::sys::{self, Errno, Lookup, fd};
use crate::model::{Error, Result};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashSet;
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

pub(super) use references::references;

/// An attribute that names an overflow file; properties themselves are a JSON array.
const BEFORE: &[u8] = br#"{"file":""#;
const AFTER: &[u8] = br#""}"#;
/// The most bytes that are read of an overflow file: several times what properties may have, as JSON escapes.
const LARGEST: u64 = 1 << 20;

/// With so many overflow files that may be loose, the next change of properties sweeps first.
const MANY: usize = 256;

/// The most bytes of an attribute that names an overflow file.
pub(super) const REFERENCE: usize = BEFORE.len() + RANDOM_NAME_LEN + AFTER.len();

/// The overflow files of a tree.
#[derive(Debug)]
pub(super) struct OverflowFiles {
    /// Written, and not yet named by an attribute.
    pub unreferenced_new: Mutex<HashSet<String>>,
    /// How many may have lost what named them since the last sweep.
    pub unreferenced: AtomicUsize,
    /// Whether there have been any.
    pub has_any: AtomicBool,
    /// Whether a sweep waits for its time or is being made.
    pub is_awaited: AtomicBool,
    pub due: Mutex<Option<Instant>>,
    pub sweeping: Mutex<()>,
    /// Held while it is noted what is mounted inside the tree.
    mounted: Mutex<()>,
}

impl OverflowFiles {
    /// Those in an open folder. It is not kept open: few homes have any, and each descriptor is one for every home.
    /// A crash may have left some that nothing names.
    pub fn new(dir: BorrowedFd<'_>) -> Result<Self> {
        let is_empty = names(dir)?.is_empty();
        Ok(Self {
            unreferenced_new: Mutex::default(),
            unreferenced: AtomicUsize::new(usize::from(!is_empty)),
            has_any: AtomicBool::new(!is_empty),
            is_awaited: AtomicBool::new(false),
            due: Mutex::default(),
            sweeping: Mutex::default(),
            mounted: Mutex::default(),
        })
    }

    /// Lets nothing be swept while this is held.
    pub fn pause_sweep(&self) -> MutexGuard<'_, ()> {
        self.sweeping.lock()
    }

    /// Says that every overflow file is named by something, as it was when the tree was closed.
    pub fn note_swept(&self) {
        self.unreferenced.store(0, Ordering::Relaxed);
    }

    /// Whether there are overflow files, and every one is named by something.
    pub fn is_swept(&self) -> bool {
        self.has_any.load(Ordering::Relaxed) && self.unreferenced.load(Ordering::Relaxed) == 0
    }

    /// Says that something which may have named an overflow file names it no more.
    pub fn note_unreferenced(&self) {
        self.unreferenced.fetch_add(1, Ordering::Relaxed);
    }

    /// When to sweep, if there is need and nobody else is to do it: whoever is told does it by `overflow_sweep`.
    pub fn is_due(&self) -> Option<Instant> {
        if self.unreferenced.load(Ordering::Relaxed) == 0
            || self.is_awaited.swap(true, Ordering::Relaxed)
        {
            return None;
        }
        let now = Instant::now();
        Some(self.due.lock().map_or(now, |due| due.max(now)))
    }

    /// Whether so many may be loose that they are swept before there are more, unless that was just tried.
    pub fn must_sweep_now(&self) -> bool {
        self.unreferenced.load(Ordering::Relaxed) >= MANY
            && self.due.lock().is_none_or(|due| due <= Instant::now())
    }
}

/// Opens the folder of a tree's overflow files.
pub(super) fn folder(dirs: &TreeDirs) -> Result<OwnedFd> {
    sys::open_folder(fd(&dirs.dir), PROPS, Lookup::Full).map_err(failed)
}

/// Gives all overflow files of the tree in `other` a second name in this one, durably: what names them comes into this tree.
pub(super) fn adopt(dirs: &TreeDirs, overflow: &OverflowFiles, other: &Path) -> Result<()> {
    let from = match sys::open_root(&other.join(PROPS)) {
        Ok(from) => from,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    let dir = folder(dirs)?;
    overflow.has_any.store(true, Ordering::Relaxed);
    for name in names(fd(&from))? {
        match dirs.link_or_copy((fd(&from), &name), (fd(&dir), &name)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    sys::sync(fd(&dir)).map_err(failed)
}

/// The overflow file that the value of an attribute names; `None` for properties themselves.
pub(super) fn parse_reference(stored: &[u8]) -> Option<&str> {
    let name = stored.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let is_name = name.len() == RANDOM_NAME_LEN && name.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(name).ok().filter(|_| is_name)
}

/// What an attribute that names an overflow file holds.
pub(super) fn reference(name: &str) -> Vec<u8> {
    [BEFORE, name.as_bytes(), AFTER].concat()
}

/// What an overflow file of a tree holds; `NotFound`.
pub(super) fn load_of(dirs: &TreeDirs, name: &str) -> Result<Vec<u8>> {
    load(fd(&folder(dirs)?), name)
}

/// What an overflow file in an open folder holds; `NotFound`.
pub(super) fn load(dir: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>> {
    let file =
        sys::open_read(dir, name, Lookup::Full).map_err(|e| map_errno("read properties", e))?;
    let mut text = Vec::new();
    let read = std::fs::File::from(file)
        .take(LARGEST)
        .read_to_end(&mut text);
    read.map_err(|e| Error::io("read properties", e))?;
    Ok(text)
}

/// Bytes of all overflow files of a tree that are named.
pub(super) fn bytes(dirs: &TreeDirs, overflow: &OverflowFiles) -> Result<u64> {
    if !overflow.has_any.load(Ordering::Relaxed) {
        return Ok(0);
    }
    let dir = folder(dirs)?;
    let mut sum = 0;
    for name in names(fd(&dir))? {
        if !overflow.unreferenced_new.lock().contains(&name) {
            sum += stat_name(fd(&dir), &name)?.map_or(0, |found| found.node.len);
        }
    }
    Ok(sum)
}

/// The names of all overflow files.
pub(super) fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    super::walk::names(dir).map_err(|e| map_errno("list the overflow files of properties", e))
}

/// Why an overflow file could not be written.
pub(super) fn failed(errno: Errno) -> Error {
    map_errno("store properties", errno)
}

#[cfg(test)]
mod tests {
    use super::super::names::random_name;
    use super::*;

    #[test]
    fn only_a_random_name_is_a_reference() {
        let name = random_name().unwrap();
        let reference = [BEFORE, name.as_bytes(), AFTER].concat();
        assert_eq!(parse_reference(&reference), Some(name.as_str()));
        assert!(serde_json::from_slice::<serde_json::Value>(&reference).is_ok());
        assert_ne!(name, random_name().unwrap());
        for other in [
            "[]",
            r#"[{"ns":"","name":"a","xml":"<a/>"}]"#,
            r#"{"file":"../../../../etc/passwd"}"#,
            r#"{"file":""}"#,
        ] {
            assert_eq!(parse_reference(other.as_bytes()), None, "{other}");
        }
    }
}
