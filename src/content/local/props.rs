//! Dead properties: JSON in one extended attribute, so that they follow their file wherever it is moved.

use super::label;
use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, change, existing, explain};
use crate::content::{Commit, DeadProp, Node, PropChange};
use crate::model::{Error, RelPath, Result};
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

/// The dead properties of a path; `None` when looking would wait and `lookup` forbids it.
pub(super) fn read(root: &Root, path: &RelPath, lookup: Lookup) -> Result<Option<Vec<DeadProp>>> {
    let Some(opened) = root.look(path, lookup, os::open_read)? else { return Ok(None) };
    existing(os::stat_fd(fd(&opened)).map_err(|e| explain("look at it", e))?)?;
    let stored = os::props_fd(fd(&opened)).map_err(|e| explain("read properties", e))?;
    decode(stored.as_deref()).map(Some)
}

/// Changes the dead properties of a path, and its modification time if the commit says so.
pub(super) fn set(root: &Root, path: &RelPath, changes: Vec<PropChange>, commit: &Commit) -> Result<()> {
    let mut changes = Some(changes);
    let opened = {
        let _guard = root.guard();
        let opened = root.look(path, Lookup::Full, os::open_read)?.ok_or(Error::NotFound)?;
        let found = existing(os::stat_fd(fd(&opened)).map_err(|e| explain("look at it", e))?)?;
        change(commit, Some(&found.node), &mut || {
            let stored = os::props_fd(fd(&opened)).map_err(|e| explain("read properties", e))?;
            let mut props = decode(stored.as_deref())?;
            changes.take().into_iter().flatten().for_each(|change| apply(&mut props, change));
            os::set_props(fd(&opened), &encode(&props)?).map_err(explain_store)?;
            // A file keeps its time when its properties change; what is asked for is set last, and hardly ever fails.
            let set = commit.modified.map_or(Ok(()), |time| set_time(fd(&opened), &found.node, time));
            if set.is_err() {
                let _ = os::set_props(fd(&opened), stored.as_deref().unwrap_or_default());
            }
            set
        })?;
        opened
    };
    root.settle(fd(&opened))
}

/// Sets the modification time; the hash of the content is still known after it.
fn set_time(file: BorrowedFd<'_>, old: &Node, time: SystemTime) -> Result<()> {
    let failed = |e| explain("set the time of the file", e);
    os::set_modified(file, time).map_err(failed)?;
    let new = os::stat_fd(file).map_err(failed)?.node;
    // Without it the hash is only not known.
    let _ = label::carry_digest(file, old, &new);
    Ok(())
}

fn apply(props: &mut Vec<DeadProp>, change: PropChange) {
    let (ns, name) = match &change {
        PropChange::Set(prop) => (&prop.ns, &prop.name),
        PropChange::Remove { ns, name } => (ns, name),
    };
    let position = props.iter().position(|prop| prop.ns == *ns && prop.name == *name);
    if let Some(position) = position {
        props.remove(position);
    }
    if let PropChange::Set(prop) = change {
        props.insert(position.unwrap_or(props.len()), prop);
    }
}

/// Reads what an attribute holds.
pub(super) fn decode(stored: Option<&[u8]>) -> Result<Vec<DeadProp>> {
    let Some(stored) = stored else { return Ok(Vec::new()) };
    let unreadable = |_| Error::Corrupt("The properties kept with this file cannot be read.".to_owned());
    serde_json::from_slice(stored).map_err(unreadable)
}

/// Writes what an attribute is to hold.
pub(super) fn encode(props: &[DeadProp]) -> Result<Vec<u8>> {
    if props.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::to_vec(props).map_err(|e| Error::io("write properties", std::io::Error::other(e)))
}

/// Why properties could not be stored: file systems say in three ways that they are too large.
pub(super) fn explain_store(errno: Errno) -> Error {
    match errno {
        Errno::TOOBIG | Errno::RANGE => Error::NoSpace,
        other => explain("store properties", other),
    }
}
