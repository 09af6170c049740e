//! A former content of a file becomes its present one: an upload whose bytes are there already.

use super::super::digest::RunningHash;
use super::super::reservation::LocalReservation;
use super::super::root::TreeRoot;
use super::super::sys::Lookup;
use super::super::versions;
use super::LocalUpload;
use crate::model::{RelPath, Result};
use crate::storage::{PutOutcome, Reader as _, WriteOptions};
use std::sync::Arc;

/// Publishes a former content of a file as its present one.
pub(in crate::storage::local) fn restore_version(
    root: &Arc<TreeRoot>,
    path: &RelPath,
    id: &str,
    commit: &WriteOptions,
) -> Result<PutOutcome> {
    let old = root.stat(path, Lookup::Full)?.map_or(0, |node| node.len);
    let mut reservation = LocalReservation::new(root, commit.limit, old).for_restore();
    let version = versions::open(root, path, id)?;
    reservation.grow(version.node().len)?;
    let (stage, node) = versions::copy_aside(root, path, id, commit.access())?;
    let mut upload = LocalUpload::new(root, path, Some(node.len), reservation);
    upload.draft.hasher = version
        .digest()
        .map_or(RunningHash::Unknown, RunningHash::Known);
    upload.draft.staged = Some(Arc::new(stage));
    upload
        .draft
        .publish(&[(path.clone(), commit.clone())], upload.reservation)
}
