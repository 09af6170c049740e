//! How an upload begins: with nothing, with the present content, or with what came before.

use super::target_check::check_path;
use super::{LocalUpload, UploadBase};
use crate::model::{Error, Irrevocable, RelPath, Result};
use crate::storage::SpaceRequest;
use crate::storage::local::digest::RunningHash;
use crate::storage::local::errors::map_errno;
use crate::storage::local::names::replaceable;
use crate::storage::local::reservation::LocalReservation;
use crate::storage::local::resumable;
use crate::storage::local::root::TreeRoot;
use crate::storage::local::staging::StagedFile;
use crate::storage::local::sys::{self, FileKind, Lookup, fd};
use crate::storage::local::writeback::Writeback;
use std::sync::Arc;

/// Up to this announced length the commit alone looks at the target: its verdict comes as early as the body.
const SMALL: u64 = 64 << 10;
/// From this length on the room is taken on the disk before a byte comes.
const RESERVED: u64 = 1 << 20;

impl LocalUpload {
    /// Begins an upload from nothing; `None` when looking would wait and `lookup` forbids it.
    pub fn begin(
        root: &Arc<TreeRoot>,
        path: &RelPath,
        bound: SpaceRequest,
        lookup: Lookup,
    ) -> Result<Option<Self>> {
        check_path(root, path)?;
        let large = bound.len.filter(|len| *len >= RESERVED);
        let mut has_room = true;
        match (bound.len, lookup) {
            // To let go of the history takes its time, and so may taking room.
            (Some(len), Lookup::Cached) if large.is_some() || root.missing_space(len)? > 0 => {
                return Ok(None);
            }
            (Some(len), Lookup::Full) if large.is_none() => {
                has_room = root.check_announced_space(len)?;
            }
            _ => {}
        }
        if bound.limit.is_none() && bound.len.is_some_and(|len| len <= SMALL) {
            let mut upload = Self::new(root, path, bound.len, LocalReservation::none(root));
            upload.draft.has_room = has_room;
            return Ok(Some(upload));
        }
        let mut old = 0;
        match root.stat(path, lookup) {
            Ok(None) => return Ok(None),
            Ok(Some(node)) if node.folder => return Err(Error::IsFolder),
            Ok(Some(node)) => old = node.len,
            Err(Error::NotFound) => match root.stat(&path.parent().unwrap_or_default(), lookup) {
                Ok(None) => return Ok(None),
                Ok(Some(parent)) if parent.folder => {}
                Ok(Some(_)) | Err(Error::NotFound) => return Err(Error::ParentMissing),
                Err(e) => return Err(e),
            },
            Err(e) => return Err(e),
        }
        let mut reservation = LocalReservation::new(root, bound.limit, old);
        match (reservation.try_grow(bound.len.unwrap_or(0)), lookup) {
            (Some(outcome), _) => outcome?,
            (None, Lookup::Cached) => return Ok(None),
            (None, Lookup::Full) => reservation.grow(bound.len.unwrap_or(0))?,
        }
        let mut upload = Self::new(root, path, bound.len, reservation);
        upload.draft.has_room = has_room;
        if let Some(len) = large {
            let stage = StagedFile::create(root)?;
            upload.draft.has_room = root.allocate_free(stage.file(), len)?;
            upload.draft.staged = Some(Arc::new(stage));
        }
        Ok(Some(upload))
    }

    /// Begins an upload from the present content, copied aside.
    pub fn begin_from_present(
        root: &Arc<TreeRoot>,
        path: &RelPath,
        bound: SpaceRequest,
    ) -> Result<Self> {
        check_path(root, path)?;
        bound
            .len
            .map_or(Ok(true), |len| root.check_announced_space(len))?;
        let place = root.open_parent(path)?;
        let (_, found) = place.find()?;
        let Some(found) = replaceable(found)? else {
            let mut upload = Self::new(
                root,
                path,
                bound.len,
                LocalReservation::new(root, bound.limit, 0),
            );
            upload.draft.base = UploadBase::Present(None);
            return Ok(upload);
        };
        if found.kind == FileKind::Folder {
            return Err(Error::IsFolder);
        }
        let Some(old) = root.open_path(path, Lookup::Full, sys::open_read)? else {
            return Err(Error::NotFound);
        };
        let old_node = sys::stat_fd(fd(&old))
            .map_err(|e| map_errno("look at the file", e))?
            .node;
        let mut reservation = LocalReservation::new(root, bound.limit, old_node.len);
        reservation.grow(old_node.len)?;
        let stage = StagedFile::create(root)?;
        root.copy_into(stage.file(), fd(&old), old_node.len, &Irrevocable)?;
        let mut upload = Self::new(root, path, bound.len, reservation);
        upload.len = sys::stat_fd(stage.file())
            .map_err(|e| map_errno("look at the file", e))?
            .node
            .len;
        upload.draft.base = UploadBase::Present(Some(old_node.etag));
        upload.draft.hasher = RunningHash::Unknown;
        upload.draft.staged = Some(Arc::new(stage));
        Ok(upload)
    }

    /// Goes on with an upload that was laid aside. Its room was reserved when it was begun.
    pub fn resume(
        root: &Arc<TreeRoot>,
        id: &str,
        path: &RelPath,
        bound: SpaceRequest,
    ) -> Result<Self> {
        check_path(root, path)?;
        let stage = StagedFile::resume(root, id)?;
        let mut upload = Self::new(root, path, bound.len, LocalReservation::none(root));
        // What a request that failed, or an earlier run, has left beyond it may not be on the disk: nobody must hear of it.
        let whole = bound
            .len
            .filter(|len| sys::is_preallocated(stage.file(), *len));
        upload.len = resumable::truncate_unsynced(stage.file(), whole)?;
        upload.position = upload.len;
        upload.draft.offset = upload.len;
        upload.writeback = Writeback::resumed_at(upload.len);
        if upload.len > 0 {
            upload.draft.hasher = RunningHash::Unknown;
        }
        upload.draft.has_room = bound
            .len
            .is_none_or(|len| sys::is_preallocated(stage.file(), len));
        upload.draft.staged = Some(Arc::new(stage));
        Ok(upload)
    }
}
