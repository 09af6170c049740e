//! A tree that was copied as a whole to other inodes, as by `cp -a` to another disk or by a restore: its files are still the same. The
//! label of its own folder says for which inode it was written, like each file's, and so tells such a tree from a copy within one.

use super::chronicle::OWN;
use super::label::Label;
use super::os::{self, Errno, Kind, Lookup, fd};
use super::root::{Root, explain};
use super::walk::{self, Met};
use crate::content::FileId;
use crate::model::{Error, Result};
use std::collections::HashSet;
use std::os::fd::BorrowedFd;

const DOING: &str = "look which files these are";

/// Where a tree lies, as its labels say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// Where it did when they were written: what bears the label of another inode is a copy.
    Here,
    /// Elsewhere: all bears labels of other inodes.
    Elsewhere,
}

/// Where the tree in a folder lies; `None` for a folder that is no tree.
pub(super) fn lies(top: BorrowedFd<'_>) -> os::Outcome<Option<Lies>> {
    let own = match os::open_folder(top, OWN, Lookup::Full) {
        Ok(own) => own,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(e) => return Err(e),
    };
    let node = os::stat_fd(fd(&own))?.node;
    let is_here = match Label::of_file(fd(&own)) {
        Ok(label) => label.own_id(&node).is_some(),
        Err(Errno::OPNOTSUPP) => true,
        Err(e) => return Err(e),
    };
    Ok(Some(if is_here { Lies::Here } else { Lies::Elsewhere }))
}

/// Writes all labels anew where a tree has come to lie elsewhere. Of two that bear one id the first keeps it: the other was a copy there.
/// It can be cut at any step and begun again.
pub(super) fn settle(root: &Root) -> Result<()> {
    if lies(fd(&root.dir)).map_err(|e| explain(DOING, e))? != Some(Lies::Elsewhere) {
        return Ok(());
    }
    let (mut seen, mut is_changed) = (HashSet::new(), false);
    for (top, is_tree) in [("", true), (super::chronicle::TRASH, false)] {
        let top = os::open_folder(fd(&root.dir), top, Lookup::Full).map_err(|e| explain(DOING, e))?;
        walk::everything(top, |met| {
            if is_tree && met.is_own() {
                return Ok(false);
            }
            is_changed |= take_over(met, &mut seen)?;
            Ok(met.kind == Kind::Folder)
        })
        .map_err(|Failure(e)| e)?;
    }
    let own = os::open_folder(fd(&root.dir), OWN, Lookup::Full).map_err(|e| explain(DOING, e))?;
    let node = os::stat_fd(fd(&own)).map_err(|e| explain(DOING, e))?.node;
    if is_changed && root.is_strict() {
        os::sync_all(fd(&own)).map_err(|e| Error::io("write to the disk", e))?;
    }
    Label::new(FileId::new()?, None, &node).offer(fd(&own))?;
    root.settle(fd(&own))
}

/// Lets a file or folder keep its id where it lies now, unless another one has it; returns whether its label was written.
fn take_over(met: &Met<'_>, seen: &mut HashSet<FileId>) -> Result<bool, Failure> {
    let opened = match met.kind {
        Kind::File => os::open_read_raw(met.dir, met.raw),
        Kind::Folder => os::open_folder_raw(met.dir, met.raw),
        Kind::Other => return Ok(false),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ACCESS | Errno::PERM) => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    let (label, node) = (Label::of_file(fd(&opened))?, os::stat_fd(fd(&opened))?.node);
    let Some(id) = label.written_id() else { return Ok(false) };
    if !seen.insert(id) || label.own_id(&node).is_some() {
        return Ok(false);
    }
    match label.handed_over(Lies::Elsewhere, &node, &node).store(fd(&opened)) {
        // What may not be written keeps an id of its own.
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

struct Failure(Error);

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self(explain(DOING, errno))
    }
}
