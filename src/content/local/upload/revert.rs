//! A former content of a file becomes its present one: an upload whose bytes are there already.

use super::super::digest::Sum;
use super::super::os::Lookup;
use super::super::reservation::Reservation;
use super::super::root::Root;
use super::super::versions;
use super::LocalUpload;
use crate::content::{Commit, Put, Reader as _};
use crate::model::{RelPath, Result};
use std::sync::Arc;

/// Publishes a former content of a file as its present one.
pub(in crate::content::local) fn revert(
    root: &Arc<Root>,
    path: &RelPath,
    id: &str,
    commit: &Commit,
) -> Result<Put> {
    let old = root.stat(path, Lookup::Full)?.map_or(0, |node| node.len);
    let mut reservation = Reservation::new(root, commit.limit, old).of_history();
    let version = versions::open(root, path, id)?;
    reservation.grow(version.node().len)?;
    let (stage, node) = versions::copy_aside(root, path, id, commit.judge.as_ref())?;
    let mut upload = LocalUpload::new(root, path, Some(node.len), reservation);
    upload.draft.sum = version.digest().map_or(Sum::Unknown, Sum::Known);
    upload.draft.stage = Some(Arc::new(stage));
    upload
        .draft
        .publish(&[(path.clone(), commit.clone())], upload.reservation)
}
