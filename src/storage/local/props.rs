//! Dead properties: JSON in one extended attribute, so that they follow their file wherever it is moved; or in an overflow file that
//! the attribute names, where they are larger than the file system lets an attribute be.

mod copy;
mod encoding;

pub(super) use copy::{copy, copy_onto};
pub(super) use encoding::{decode, decode_by};

use super::errors::{explain_store, is_refused_for_size, map_errno};
use super::file_meta;
use super::names::require_file_or_folder;
use super::overflow::{self, inner_mounts};
use super::overflow_file::NewOverflowFile;
use super::overflow_sweep::{self, SweepMode};
use super::root::TreeRoot;
use super::sys::{self, Errno, Lookup, fd};
use super::usage_counter::UsageDelta;
use crate::model::time::{from_unix_seconds, unix_seconds};
use crate::model::{Error, RelPath, Result};
use crate::storage::{
    Changed, DeadProp, Node, PROPS_LIMIT, PropChange, WriteOptions, unique_mtime,
};
use encoding::encode;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::SystemTime;

/// How often a change is begun anew because the properties have changed meanwhile.
const TRIES: usize = 100;
const TOO_LARGE: &str = "The properties of one file or folder may have 64 KiB of values, and as much again of names and tags.";

/// The dead properties of a path; `None` when looking would wait and `lookup` forbids it.
pub(super) fn read(
    root: &TreeRoot,
    path: &RelPath,
    lookup: Lookup,
) -> Result<Option<Vec<DeadProp>>> {
    let Some(opened) = root.open_path(path, lookup, sys::open_read)? else {
        return Ok(None);
    };
    require_file_or_folder(sys::stat_fd(fd(&opened)).map_err(|e| map_errno("look at it", e))?)?;
    let stored = stored_of(fd(&opened))?;
    if lookup == Lookup::Cached
        && stored
            .as_deref()
            .and_then(overflow::parse_reference)
            .is_some()
    {
        return Ok(None);
    }
    match decode(root, stored.as_deref()) {
        // They were changed between the two looks: what was named is gone.
        Err(Error::Corrupt(_)) if stored_of(fd(&opened))? != stored => read(root, path, lookup),
        decoded => decoded.map(Some),
    }
}

/// The dead properties of a name in a folder, for a listing; none where they cannot be read.
pub(super) fn read_at(
    root: &TreeRoot,
    dir: BorrowedFd<'_>,
    name: &str,
) -> sys::SysResult<Vec<DeadProp>> {
    let look = || match sys::props_at(dir, name) {
        // What the server may not read, it may still name.
        Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => Ok(None),
        stored => stored,
    };
    let stored = look()?;
    let read = |stored: Option<&[u8]>| decode(root, stored);
    // Properties that were changed between the two looks are another overflow file now.
    let props = read(stored.as_deref()).or_else(|e| match look() {
        Ok(now) if now != stored => read(now.as_deref()),
        _ => Err(e),
    });
    Ok(props.unwrap_or_default())
}

/// How properties are stored.
enum StoredProps<'a> {
    /// In the attribute.
    Attribute(Vec<u8>),
    /// In an overflow file that the attribute names.
    Overflow(NewOverflowFile<'a>),
}

/// Properties as they are to be, and what the attribute held that they are made from.
struct PropsUpdate<'a> {
    before: Option<Vec<u8>>,
    value: Result<StoredProps<'a>>,
}

/// What became of a change.
enum PropsSwap {
    Done(OwnedFd, Changed),
    /// An attribute does not take so much.
    TooLarge,
    /// Somebody else was faster.
    Outdated,
}

/// Changes the dead properties of a path, and its modification time if the commit says so. Whatever comes between, what is stored is what
/// was or what is to be. `None` when that would wait for the disk and `lookup` forbids it.
pub(super) fn set(
    root: &TreeRoot,
    path: &RelPath,
    changes: &[PropChange],
    commit: &WriteOptions,
    lookup: Lookup,
) -> Result<Option<Changed>> {
    if lookup == Lookup::Full && root.overflow.must_sweep_now() {
        overflow_sweep::sweep(root, SweepMode::Concurrent);
    }
    let mut is_too_large = false;
    for _ in 0..TRIES {
        let opened = open(root, path)?;
        let before = stored_of(fd(&opened))?;
        let is_overflow = before
            .as_deref()
            .and_then(overflow::parse_reference)
            .is_some();
        if lookup == Lookup::Cached && is_overflow {
            return Ok(None);
        }
        if is_too_large {
            inner_mounts::note(root, &root.overflow, path, fd(&opened))?;
        }
        let value = value_of(root, before.as_deref(), changes, is_too_large);
        match switch(root, path, PropsUpdate { before, value }, commit)? {
            PropsSwap::Done(opened, outcome) => {
                if is_overflow {
                    root.overflow.note_unreferenced();
                }
                root.sync_if_strict(fd(&opened))?;
                return Ok(Some(outcome));
            }
            PropsSwap::TooLarge if lookup == Lookup::Cached => return Ok(None),
            PropsSwap::TooLarge => is_too_large = true,
            PropsSwap::Outdated => {}
        }
    }
    Err(Error::Conflict)
}

/// What is to be stored once `changes` are made to what an attribute holds.
fn value_of<'a>(
    root: &'a TreeRoot,
    before: Option<&[u8]>,
    changes: &[PropChange],
    is_too_large: bool,
) -> Result<StoredProps<'a>> {
    let mut props = decode(root, before)?;
    let old = size_of(&props);
    changes
        .iter()
        .cloned()
        .for_each(|change| apply(&mut props, change));
    // What is there already may always become less.
    let new = size_of(&props);
    if new.0 > PROPS_LIMIT.max(old.0) || new.1 > (2 * PROPS_LIMIT).max(old.1) {
        return Err(Error::LimitReached(TOO_LARGE));
    }
    let text = encode(&props)?;
    if is_too_large {
        NewOverflowFile::new(root, &text, true).map(StoredProps::Overflow)
    } else {
        Ok(StoredProps::Attribute(text))
    }
}

/// Lets the attribute hold a new value, if it holds what that was made from. The check comes first: only whom it lets through hears what
/// is wrong with the value.
fn switch(
    root: &TreeRoot,
    path: &RelPath,
    draft: PropsUpdate<'_>,
    commit: &WriteOptions,
) -> Result<PropsSwap> {
    let _guard = root.lock_names();
    let opened = open(root, path)?;
    let found =
        require_file_or_folder(sys::stat_fd(fd(&opened)).map_err(|e| map_errno("look at it", e))?)?;
    let step = root.check_step(commit, Some(&found.node))?;
    if stored_of(fd(&opened))? != draft.before {
        return Ok(PropsSwap::Outdated);
    }
    let value = draft.value?;
    if let StoredProps::Overflow(written) = &value {
        // What it replaces is given back only when it is swept, and a version may name it.
        root.check_limit(
            UsageDelta {
                added: written.len,
                removed: 0,
            },
            commit.limit,
        )?;
    }
    match (value.store(fd(&opened)), &value) {
        (Err(errno), StoredProps::Attribute(_)) if is_refused_for_size(errno) => {
            return Ok(PropsSwap::TooLarge);
        }
        (stored, _) => stored.map_err(explain_store)?,
    }
    // A file keeps its time when its properties change; what is asked for is set last, and hardly ever fails.
    let set = commit
        .modified
        .map_or(Ok(()), |time| set_time(fd(&opened), &found.node, time));
    if set.is_err() {
        let _ = sys::set_props(fd(&opened), draft.before.as_deref().unwrap_or_default());
        // A sweep that has met the file in between must not count.
        root.usage.apply(
            root,
            UsageDelta {
                added: 0,
                removed: 0,
            },
        );
    } else {
        value.mark_stored();
    }
    set.map(|()| PropsSwap::Done(opened, step.made_beside(None)))
}

impl StoredProps<'_> {
    /// Lets the attribute hold it, or name it.
    fn store(&self, file: BorrowedFd<'_>) -> sys::SysResult<()> {
        match self {
            Self::Attribute(text) => sys::set_props(file, text),
            Self::Overflow(written) => sys::set_props(file, &written.reference()),
        }
    }

    /// Says that it is what is stored now.
    fn mark_stored(self) {
        if let Self::Overflow(mut written) = self {
            written.mark_referenced();
        }
    }
}

fn open(root: &TreeRoot, path: &RelPath) -> Result<OwnedFd> {
    root.open_path(path, Lookup::Full, sys::open_read)?
        .ok_or(Error::NotFound)
}

fn stored_of(file: BorrowedFd<'_>) -> Result<Option<Vec<u8>>> {
    sys::props_fd(file).map_err(|e| map_errno("read properties", e))
}

/// Sets the modification time; the hash of the content is still known after it. A file that has the wanted second already stays as it is.
fn set_time(file: BorrowedFd<'_>, old: &Node, wanted: SystemTime) -> Result<()> {
    let failed = |e| map_errno("set the time of the file", e);
    let is_same = wanted == from_unix_seconds(unix_seconds(old.modified));
    let time = match old.folder {
        false if is_same => return Ok(()),
        false => unique_mtime(Some(wanted), Some(old.modified))?,
        true => wanted,
    };
    sys::set_modified(file, time).map_err(failed)?;
    let new = sys::stat_fd(file).map_err(failed)?.node;
    if unix_seconds(new.modified) != unix_seconds(wanted) {
        // The file system took the nearest it has (ext4: 1901 to 2446).
        sys::set_modified(file, old.modified).map_err(failed)?;
        return Err(Error::Invalid {
            pointer: "/modified".into(),
            why: "The file system of the server keeps no such time.".into(),
        });
    }
    // Without it the hash is only not known.
    let _ = file_meta::carry_digest(file, old, &new);
    Ok(())
}

fn apply(props: &mut Vec<DeadProp>, change: PropChange) {
    let (ns, name) = match &change {
        PropChange::Set(prop) => (&prop.ns, &prop.name),
        PropChange::Remove { ns, name } => (ns, name),
    };
    let position = props
        .iter()
        .position(|prop| prop.ns == *ns && prop.name == *name);
    if let Some(position) = position {
        props.remove(position);
    }
    if let PropChange::Set(prop) = change {
        props.insert(position.unwrap_or(props.len()), prop);
    }
}

/// How many bytes the values of what clients have set have, and all of it with names and tags.
fn size_of(props: &[DeadProp]) -> (usize, usize) {
    props
        .iter()
        .filter(|prop| !prop.is_link_tag())
        .fold((0, 0), |(values, all), prop| {
            (
                values + prop.value().len(),
                all + prop.ns.len() + prop.name.len() + prop.xml.len(),
            )
        })
}
