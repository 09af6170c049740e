//! The time of an upload, which makes its entity tag: never one that what stands there has at the same length.

#[cfg(test)]
mod tests;

use super::super::replaced_file::ReplacedFile;
use super::super::staging::StagedFile;
use super::super::sys;
use crate::model::Result;
use crate::storage::Node;
use crate::storage::local::errors::map_errno;
use std::time::SystemTime;

/// Gives a staged file a time for this one that a client wants, or the present one, and not that of the file before; returns what it is now.
pub(super) fn set_time(
    stage: &StagedFile,
    wanted: Option<SystemTime>,
    before: &ReplacedFile<'_>,
) -> Result<Node> {
    let time = before.unique_mtime(stage.root(), wanted)?;
    sys::set_modified(stage.file(), time).map_err(|e| map_errno("set the time of the file", e))?;
    Ok(sys::stat_fd(stage.file())
        .map_err(|e| map_errno("look at the file", e))?
        .node)
}

/// Whether two contents would have one tag.
pub(super) fn are_alike(new: &Node, present: Option<&Node>) -> bool {
    present.is_some_and(|present| (present.modified, present.len) == (new.modified, new.len))
}
