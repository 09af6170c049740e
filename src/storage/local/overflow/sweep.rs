//! The sweep of overflow files that nothing names: the whole tree is looked through for attributes that name them, its own folder
//! included, so that neither versions, nor the trash, nor copies made beside the server lose their properties.

use super::inner_mounts::{self, InnerMount, InnerMounts};
use super::{OverflowFiles, REFERENCE, folder, names, parse_reference};
use crate::model::Result;
use crate::storage::local::root::{TreeRoot, map_errno, stat_name};
use crate::storage::local::sys::{self, Errno, Lookup, fd};
use crate::storage::local::walk;
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// So many times as long as a sweep took nothing is swept after it.
const PAUSE: u32 = 50;
/// With so many overflow files that may be loose, the next change of properties sweeps first.
const MANY: usize = 256;
/// How often a sweep is tried beside changes of names.
const TRIES: usize = 3;

/// How much a sweep may hinder others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage::local) enum SweepMode {
    /// Beside changes: where names change all the time, what is loose stays for the next one.
    Concurrent,
    /// If need be while no name changes.
    Exclusive,
}

impl OverflowFiles {
    /// When to sweep, if there is need and nobody else is to do it: whoever is told does it by [`sweep`].
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

/// Deletes the overflow files that nothing names. Where that fails they stay for the next time.
pub(in crate::storage::local) fn sweep(root: &TreeRoot, how: SweepMode) {
    let overflow = &root.overflow;
    let _one_at_a_time = overflow.sweeping.lock();
    overflow.is_awaited.store(false, Ordering::Relaxed);
    let loose = overflow.unreferenced.swap(0, Ordering::Relaxed);
    if loose == 0 {
        return;
    }
    let began = Instant::now();
    let swept = try_sweep(root, how).unwrap_or_else(|error| {
        tracing::warn!(%error, "overflow files of properties that nothing names were left");
        false
    });
    if !swept {
        overflow.unreferenced.fetch_add(loose, Ordering::Relaxed);
    }
    *overflow.due.lock() =
        Some(Instant::now() + began.elapsed().max(Duration::from_millis(1)) * PAUSE);
}

/// Returns whether nothing loose is left: while something is away nobody can tell.
fn try_sweep(root: &TreeRoot, how: SweepMode) -> Result<bool> {
    for _ in 0..TRIES {
        let changes = root.usage.changes();
        let Some(gone) = unreferenced(root)? else {
            return Ok(false);
        };
        if delete_beside(root, &gone, changes)? {
            return Ok(true);
        }
    }
    if how == SweepMode::Concurrent {
        return Ok(false);
    }
    let _guard = root.lock_names();
    let Some(gone) = unreferenced(root)? else {
        return Ok(false);
    };
    delete(root, &gone).map(|()| true)
}

/// Deletes unless a name has changed since there were so many changes: something that is moved may have been missed.
fn delete_beside(root: &TreeRoot, gone: &HashSet<String>, changes: u64) -> Result<bool> {
    if gone.is_empty() {
        return Ok(true);
    }
    let _guard = root.lock_names();
    if root.usage.changes() != changes {
        return Ok(false);
    }
    delete(root, gone).map(|()| true)
}

fn delete(root: &TreeRoot, gone: &HashSet<String>) -> Result<()> {
    let dir = folder(root)?;
    for name in gone {
        let len = stat_name(fd(&dir), name)?.map_or(0, |found| found.node.len);
        match sys::unlink_file(fd(&dir), name) {
            Ok(()) => root.usage.note_swept(len),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(map_errno("delete an overflow file of properties", e)),
        }
    }
    Ok(())
}

/// The overflow files that nothing names, by two walks: programs beside the server move things about, too. `None` while something is
/// away that may name those that are left.
fn unreferenced(root: &TreeRoot) -> Result<Option<HashSet<String>>> {
    let mut left: HashSet<String> = names(fd(&folder(root)?))?.into_iter().collect();
    // After the names: what was written later is not among them.
    left.retain({
        let unnamed = root.overflow.unreferenced_new.lock();
        move |name| !unnamed.contains(name)
    });
    for _ in 0..2 {
        if left.is_empty() {
            break;
        }
        let mounts = references(fd(&root.dir), |_, name| {
            left.remove(name);
        })?;
        let away = inner_mounts::missing_mounts(fd(&root.dir), &mounts)?;
        inner_mounts::remember(root, mounts.referencing)?;
        if let Some(away) = away.first().filter(|_| !left.is_empty()) {
            tracing::debug!(
                path = away.path,
                "what was mounted there is away: overflow files of properties are kept"
            );
            return Ok(None);
        }
    }
    Ok(Some(left))
}

/// Shows each attribute in a tree that names an overflow file to `visit`: what carries it, as a path for people, and the name; returns
/// what is mounted in it. What may not be read makes it fail: it may name something.
pub(in crate::storage::local) fn references(
    root: BorrowedFd<'_>,
    mut visit: impl FnMut(&str, &str),
) -> Result<InnerMounts> {
    let mut mounts = InnerMounts::default();
    let doing = "look for what names overflow files";
    let top = sys::open_folder(root, "", Lookup::Full).map_err(|e| map_errno(doing, e))?;
    let stored = reference_at(root, c".").map_err(|e| map_errno(doing, e))?;
    if let Some(name) = stored.as_ref().and_then(|stored| parse_reference(stored)) {
        visit("", name);
    }
    let looked = walk::everything(top, |met| {
        // Files can be mounted, too.
        let id = is_there(sys::mounted_at(met.dir, met.raw))?.flatten();
        mounts.present.extend(id.map(|id| InnerMount {
            path: met.path(),
            id,
        }));
        let stored = reference_at(met.dir, met.raw)?;
        if let Some(name) = stored.as_ref().and_then(|stored| parse_reference(stored)) {
            let path = met.path();
            mounts.note_reference(&path);
            visit(&path, name);
        }
        // A file system keeps `lost+found` for itself, and from everybody but root, who must see what fsck has put there.
        let is_closed = met.is_at(&[c"lost+found"])
            && sys::open_folder_raw(met.dir, met.raw)
                .is_err_and(|e| matches!(e, Errno::ACCESS | Errno::PERM));
        Ok::<_, Errno>(
            !met.is_at(&[c".sarang", c"props"])
                && !met.is_at(&[c".sarang", c"thumbnails"])
                && !is_closed,
        )
    });
    looked.map_err(|e| map_errno(doing, e))?;
    Ok(mounts)
}

/// What a look has found; `None` for what has gone away meanwhile.
fn is_there<T>(outcome: sys::SysResult<T>) -> sys::SysResult<Option<T>> {
    match outcome {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// The attribute of a name, if it is as long as one that names an overflow file.
fn reference_at(dir: BorrowedFd<'_>, name: &CStr) -> sys::SysResult<Option<[u8; REFERENCE]>> {
    match sys::small_props_at(dir, name) {
        Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PROPS, random_name};
    use super::*;
    use crate::storage::local::{LocalTree, tests::RELAXED};
    use std::fs;
    use tempfile::TempDir;

    #[tokio::test]
    async fn what_is_loose_stays_so_while_something_is_away() {
        let dir = TempDir::new().unwrap();
        drop(LocalTree::open(dir.path(), RELAXED).unwrap());
        let loose = dir.path().join(PROPS).join(random_name().unwrap());
        let noted = dir.path().join(inner_mounts::MOUNTED);
        fs::write(&loose, "[]").unwrap();
        fs::write(&noted, r#"[{"path":"disk","id":[1,2]}]"#).unwrap();
        let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for how in [SweepMode::Concurrent, SweepMode::Exclusive] {
            sweep(&tree.root, how);
            assert!(loose.exists() && !tree.root.overflow.is_swept());
        }
        fs::remove_file(&noted).unwrap();
        sweep(&tree.root, SweepMode::Concurrent);
        assert!(!loose.exists() && tree.root.overflow.is_swept());
    }
}
