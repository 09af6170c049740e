//! How much a tree holds: counted by walking it now and then, kept up with changes in between.

use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, explain};
use crate::model::Result;
use crate::model::path::is_reserved;
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a count is believed.
const FRESH: Duration = Duration::from_secs(60);

/// The last count.
#[derive(Debug, Default)]
pub(super) struct Count {
    last: Mutex<Option<(Instant, u64)>>,
    running: AtomicBool,
    /// Held by the first callers, who wait for one count together.
    pub first: tokio::sync::Mutex<()>,
}

impl Count {
    /// The last count, and whether it is time for the next and the caller is the one to make it.
    pub fn last(&self) -> Option<(u64, bool)> {
        let (at, used) = (*self.last.lock())?;
        Some((used, at.elapsed() >= FRESH && !self.running.swap(true, Ordering::Relaxed)))
    }

    /// Lets the next who asks count anew: something of unknown size has come.
    pub fn forget(&self) {
        *self.last.lock() = None;
    }

    /// Adds what a change has brought and takes what it removed; folders removed are noticed at the next count.
    pub fn add(&self, new: u64, old: u64) {
        if let Some((_, used)) = self.last.lock().as_mut() {
            *used = used.saturating_add(new).saturating_sub(old);
        }
    }
}

/// Counts now.
pub(super) fn count(root: &Root) -> Result<u64> {
    let counted = walk(root).map_err(|e| explain("count the files", e));
    if let Ok(used) = counted {
        *root.count.last.lock() = Some((Instant::now(), used));
    }
    root.count.running.store(false, Ordering::Relaxed);
    counted
}

/// Bytes left on the disk, without the reserve.
pub(super) fn free(root: &Root) -> Result<u64> {
    let free = os::free_bytes(fd(&root.dir)).map_err(|e| explain("ask for free space", e))?;
    Ok(free.saturating_sub(root.settings.reserve))
}

fn walk(root: &Root) -> os::Outcome<u64> {
    let (mut sum, mut buffer) = (0_u64, Vec::new());
    let mut levels: Vec<(OwnedFd, Vec<String>)> = Vec::new();
    let mut next = Some(os::open_folder(fd(&root.dir), "", Lookup::Full)?);
    loop {
        if let Some(dir) = next.take() {
            let mut folders = Vec::new();
            os::read_names(fd(&dir), &mut buffer, usize::MAX, |raw, kind| {
                let name = raw.to_str().unwrap_or_default();
                if kind == Some(Kind::Other) || is_reserved(name) {
                    return Ok(());
                }
                match os::stat_entry(fd(&dir), raw) {
                    Ok(found) if found.kind == Kind::File => sum = sum.saturating_add(found.node.len),
                    Ok(found) if found.kind == Kind::Folder && !name.is_empty() => folders.push(name.to_owned()),
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(e) => return Err(e),
                }
                Ok::<_, Errno>(())
            })?;
            levels.push((dir, folders));
        }
        let Some((dir, folders)) = levels.last_mut() else { return Ok(sum) };
        match folders.pop() {
            None => drop(levels.pop()),
            Some(name) => match os::open_folder(fd(dir), &name, Lookup::Full) {
                Ok(below) => next = Some(below),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => {}
                Err(e) => return Err(e),
            },
        }
    }
}
