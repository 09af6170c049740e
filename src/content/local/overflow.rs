//! Overflow files: dead properties that are larger than an extended attribute may be lie in `.sarang/props/<random name>`, and the
//! attribute names the file instead. An overflow file is never changed: other properties are another file, named in one step.
//! Several files may name one (a version and the file it is of, a copy made beside the server): `sweep` deletes what none names. Each is on
//! the books, as bytes of its tree, from when it is named until it is deleted.

pub(super) mod mounted;
mod sweep;

use super::ledger::Growth;
use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, explain, stat_name};
use super::waiting::on_thread;
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

pub(super) use sweep::{Sweep, references, sweep};

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
pub(super) struct Overflow {
    /// Written, and not yet named by an attribute.
    unnamed: Mutex<HashSet<String>>,
    /// How many may have lost what named them since the last sweep.
    loose: AtomicUsize,
    /// Whether there have been any.
    has_any: AtomicBool,
    /// Whether a sweep waits for its time or is being made.
    is_awaited: AtomicBool,
    due: Mutex<Option<Instant>>,
    sweeping: Mutex<()>,
    /// Held while it is noted what is mounted inside the tree.
    mounted: Mutex<()>,
}

impl Overflow {
    /// Those in an open folder. It is not kept open: few homes have any, and each descriptor is one for every home.
    /// A crash may have left some that nothing names.
    pub fn new(dir: BorrowedFd<'_>) -> Result<Self> {
        let is_empty = names(dir)?.is_empty();
        Ok(Self {
            unnamed: Mutex::default(),
            loose: AtomicUsize::new(usize::from(!is_empty)),
            has_any: AtomicBool::new(!is_empty),
            is_awaited: AtomicBool::new(false),
            due: Mutex::default(),
            sweeping: Mutex::default(),
            mounted: Mutex::default(),
        })
    }

    /// Lets nothing be swept while this is held.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.sweeping.lock()
    }

    /// Says that every overflow file is named by something, as it was when the tree was closed.
    pub fn note_swept(&self) {
        self.loose.store(0, Ordering::Relaxed);
    }

    /// Whether there are overflow files, and every one is named by something.
    pub fn is_swept(&self) -> bool {
        self.has_any.load(Ordering::Relaxed) && self.loose.load(Ordering::Relaxed) == 0
    }

    /// Says that something which may have named an overflow file names it no more.
    pub fn note_loose(&self) {
        self.loose.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens the folder of a tree's overflow files.
fn folder(root: &Root) -> Result<OwnedFd> {
    os::open_folder(fd(&root.dir), PROPS, Lookup::Full).map_err(failed)
}

/// Gives all overflow files of the tree in `other` a second name in this one, durably: what names them comes into this tree.
pub(super) fn adopt(root: &Root, other: &Path) -> Result<()> {
    let from = match os::open_root(&other.join(PROPS)) {
        Ok(from) => from,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    let dir = folder(root)?;
    root.overflow.has_any.store(true, Ordering::Relaxed);
    for name in names(fd(&from))? {
        match root.name_again((fd(&from), &name), (fd(&dir), &name)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    os::sync(fd(&dir)).map_err(failed)
}

/// The overflow file that the value of an attribute names; `None` for properties themselves.
pub(super) fn named(stored: &[u8]) -> Option<&str> {
    let name = stored.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let is_name = name.len() == NAME && name.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(name).ok().filter(|_| is_name)
}

/// What an attribute that names an overflow file holds.
pub(super) fn reference(name: &str) -> Vec<u8> {
    [BEFORE, name.as_bytes(), AFTER].concat()
}

/// What an overflow file of a tree holds; `NotFound`.
pub(super) fn load_of(root: &Root, name: &str) -> Result<Vec<u8>> {
    load(fd(&folder(root)?), name)
}

/// What an overflow file in an open folder holds; `NotFound`.
pub(super) fn load(dir: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>> {
    let file = os::open_read(dir, name, Lookup::Full).map_err(|e| explain("read properties", e))?;
    let mut text = Vec::new();
    let read = std::fs::File::from(file)
        .take(LARGEST)
        .read_to_end(&mut text);
    read.map_err(|e| Error::io("read properties", e))?;
    Ok(text)
}

/// Bytes of all overflow files of a tree that are named.
pub(super) fn bytes(root: &Root) -> Result<u64> {
    if !root.overflow.has_any.load(Ordering::Relaxed) {
        return Ok(0);
    }
    let dir = folder(root)?;
    let mut sum = 0;
    for name in names(fd(&dir))? {
        if !root.overflow.unnamed.lock().contains(&name) {
            sum += stat_name(fd(&dir), &name)?.map_or(0, |found| found.node.len);
        }
    }
    Ok(sum)
}

/// The names of all overflow files.
fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    super::walk::names(dir).map_err(|e| explain("list the overflow files of properties", e))
}

/// An overflow file that was written; deleted when dropped unless an attribute names it.
pub(super) struct Written<'a> {
    root: &'a Root,
    name: String,
    pub len: u64,
    is_named: bool,
}

impl<'a> Written<'a> {
    /// Writes properties to a new file. `is_synced` puts it on the disk: an attribute must not reach it before the file does.
    pub fn new(root: &'a Root, props: &[u8], is_synced: bool) -> Result<Self> {
        root.check_room(props.len() as u64, 0)?;
        let name = new_name()?;
        root.overflow.has_any.store(true, Ordering::Relaxed);
        root.overflow.unnamed.lock().insert(name.clone());
        let written = Self {
            root,
            name,
            len: props.len() as u64,
            is_named: false,
        };
        let dir = folder(root)?;
        let file = os::create_file(fd(&dir), &written.name).map_err(failed)?;
        os::write_all(fd(&file), &mut [IoSlice::new(props)], 0).map_err(failed)?;
        if is_synced {
            os::sync(fd(&file))
                .and_then(|()| os::sync(fd(&dir)))
                .map_err(failed)?;
        }
        Ok(written)
    }

    /// What an attribute that names it holds.
    pub fn reference(&self) -> Vec<u8> {
        reference(&self.name)
    }

    /// Says that an attribute names it now: it is on the books.
    pub fn keep(&mut self) {
        self.is_named = true;
        self.root.overflow.unnamed.lock().remove(&self.name);
        self.root.ledger.note(
            self.root,
            Growth {
                new: self.len,
                old: 0,
            },
        );
    }
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        if !self.is_named {
            // What stays is swept.
            let _ = folder(self.root).map(|dir| os::unlink_file(fd(&dir), &self.name));
        }
        self.root.overflow.unnamed.lock().remove(&self.name);
    }
}

fn failed(errno: Errno) -> Error {
    explain("store properties", errno)
}

/// A name that no overflow file has.
pub(super) fn new_name() -> Result<String> {
    let mut bytes = [0; NAME / 2];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
    Ok(bytes.iter().fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    }))
}

/// Has overflow files that nothing names deleted, in a while and by somebody else.
pub(super) fn sweep_props(root: &Arc<Root>) {
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
        let swept = on_thread(&root, |root| {
            sweep(root, Sweep::Beside);
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
        let name = new_name().unwrap();
        let reference = [BEFORE, name.as_bytes(), AFTER].concat();
        assert_eq!(named(&reference), Some(name.as_str()));
        assert!(serde_json::from_slice::<serde_json::Value>(&reference).is_ok());
        assert_ne!(name, new_name().unwrap());
        for other in [
            "[]",
            r#"[{"ns":"","name":"a","xml":"<a/>"}]"#,
            r#"{"file":"../../../../etc/passwd"}"#,
            r#"{"file":""}"#,
        ] {
            assert_eq!(named(other.as_bytes()), None, "{other}");
        }
    }
}
