//! Overflow files: dead properties that are larger than an extended attribute may be lie in `.sarang/props/<random name>`, and the
//! attribute names the file instead. An overflow file is never changed: other properties are another file, named in one step.
//! Several files may name one (a version and the file it is of, a copy made beside the server): `sweep` deletes what none names. Each is on
//! the books, as bytes of its tree, from when it is named until it is deleted.

pub(super) mod inner_mounts;
mod sweep;

use super::blocking::run_blocking;
use super::root::{TreeRoot, map_errno, stat_name};
use super::sys::{self, Errno, Lookup, fd};
use super::usage_counter::UsageDelta;
use crate::model::{Error, Result};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{IoSlice, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;

pub(super) use sweep::{SweepMode, references, sweep};

/// Where overflow files lie, below the root.
pub(super) const PROPS: &str = ".sarang/props";
/// An attribute that names an overflow file; properties themselves are a JSON array.
const BEFORE: &[u8] = br#"{"file":""#;
const AFTER: &[u8] = br#""}"#;
/// Hexadecimal digits of a name.
const NAME: usize = 32;
/// The most bytes that are read of an overflow file: several times what properties may have, as JSON escapes.
const LARGEST: u64 = 1 << 20;

/// The most bytes of an attribute that names an overflow file.
pub(super) const REFERENCE: usize = BEFORE.len() + NAME + AFTER.len();

/// The overflow files of a tree.
#[derive(Debug)]
pub(super) struct OverflowFiles {
    /// Written, and not yet named by an attribute.
    unreferenced_new: Mutex<HashSet<String>>,
    /// How many may have lost what named them since the last sweep.
    unreferenced: AtomicUsize,
    /// Whether there have been any.
    has_any: AtomicBool,
    /// Whether a sweep waits for its time or is being made.
    is_awaited: AtomicBool,
    due: Mutex<Option<Instant>>,
    sweeping: Mutex<()>,
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
}

/// Opens the folder of a tree's overflow files.
fn folder(root: &TreeRoot) -> Result<OwnedFd> {
    sys::open_folder(fd(&root.dir), PROPS, Lookup::Full).map_err(failed)
}

/// Gives all overflow files of the tree in `other` a second name in this one, durably: what names them comes into this tree.
pub(super) fn adopt(root: &TreeRoot, other: &Path) -> Result<()> {
    let from = match sys::open_root(&other.join(PROPS)) {
        Ok(from) => from,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    let dir = folder(root)?;
    root.overflow.has_any.store(true, Ordering::Relaxed);
    for name in names(fd(&from))? {
        match root.link_or_copy((fd(&from), &name), (fd(&dir), &name)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    sys::sync(fd(&dir)).map_err(failed)
}

/// The overflow file that the value of an attribute names; `None` for properties themselves.
pub(super) fn parse_reference(stored: &[u8]) -> Option<&str> {
    let name = stored.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let is_name = name.len() == NAME && name.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(name).ok().filter(|_| is_name)
}

/// What an attribute that names an overflow file holds.
pub(super) fn reference(name: &str) -> Vec<u8> {
    [BEFORE, name.as_bytes(), AFTER].concat()
}

/// What an overflow file of a tree holds; `NotFound`.
pub(super) fn load_of(root: &TreeRoot, name: &str) -> Result<Vec<u8>> {
    load(fd(&folder(root)?), name)
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
pub(super) fn bytes(root: &TreeRoot) -> Result<u64> {
    if !root.overflow.has_any.load(Ordering::Relaxed) {
        return Ok(0);
    }
    let dir = folder(root)?;
    let mut sum = 0;
    for name in names(fd(&dir))? {
        if !root.overflow.unreferenced_new.lock().contains(&name) {
            sum += stat_name(fd(&dir), &name)?.map_or(0, |found| found.node.len);
        }
    }
    Ok(sum)
}

/// The names of all overflow files.
fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    super::walk::names(dir).map_err(|e| map_errno("list the overflow files of properties", e))
}

/// An overflow file that was written; deleted when dropped unless an attribute names it.
pub(super) struct NewOverflowFile<'a> {
    root: &'a TreeRoot,
    name: String,
    pub len: u64,
    is_referenced: bool,
}

impl<'a> NewOverflowFile<'a> {
    /// Writes properties to a new file. `is_synced` puts it on the disk: an attribute must not reach it before the file does.
    pub fn new(root: &'a TreeRoot, props: &[u8], is_synced: bool) -> Result<Self> {
        root.ensure_space(props.len() as u64, 0)?;
        let name = random_name()?;
        root.overflow.has_any.store(true, Ordering::Relaxed);
        root.overflow.unreferenced_new.lock().insert(name.clone());
        let written = Self {
            root,
            name,
            len: props.len() as u64,
            is_referenced: false,
        };
        let dir = folder(root)?;
        let file = sys::create_file(fd(&dir), &written.name).map_err(failed)?;
        sys::write_all(fd(&file), &mut [IoSlice::new(props)], 0).map_err(failed)?;
        if is_synced {
            sys::sync(fd(&file))
                .and_then(|()| sys::sync(fd(&dir)))
                .map_err(failed)?;
        }
        Ok(written)
    }

    /// What an attribute that names it holds.
    pub fn reference(&self) -> Vec<u8> {
        reference(&self.name)
    }

    /// Says that an attribute names it now: it is on the books.
    pub fn mark_referenced(&mut self) {
        self.is_referenced = true;
        self.root
            .overflow
            .unreferenced_new
            .lock()
            .remove(&self.name);
        self.root.usage.apply(
            self.root,
            UsageDelta {
                added: self.len,
                removed: 0,
            },
        );
    }
}

impl Drop for NewOverflowFile<'_> {
    fn drop(&mut self) {
        if !self.is_referenced {
            // What stays is swept.
            let _ = folder(self.root).map(|dir| sys::unlink_file(fd(&dir), &self.name));
        }
        self.root
            .overflow
            .unreferenced_new
            .lock()
            .remove(&self.name);
    }
}

fn failed(errno: Errno) -> Error {
    map_errno("store properties", errno)
}

/// A name that no overflow file has.
pub(super) fn random_name() -> Result<String> {
    let mut bytes = [0; NAME / 2];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
    Ok(bytes.iter().fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    }))
}

/// Has overflow files that nothing names deleted, in a while and by somebody else.
pub(super) fn schedule_sweep(root: &Arc<TreeRoot>) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let Some(due) = root.overflow.is_due() else {
        return;
    };
    let root = Arc::downgrade(root);
    // Not awaited: what is loose costs room and nothing else.
    runtime.spawn(async move {
        tokio::time::sleep_until(due.into()).await;
        let Some(root) = root.upgrade() else { return };
        // Only a runtime that is shutting down cuts it short; the next start sweeps.
        let swept = run_blocking(&root, |root| {
            sweep(root, SweepMode::Concurrent);
            Ok(())
        });
        let _ = swept.await;
    });
}

#[cfg(test)]
mod tests {
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
