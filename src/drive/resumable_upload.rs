//! Resumable uploads: one request after the other adds to them until they are published.

use super::access::Access;
use super::upload::{DriveUpload, upload_preconditions};
use super::{Drive, RequestPreconditions, resolved_preconditions};
use crate::model::{Error, RelPath, Result, VPath};
use crate::storage::{InitialContent, SpaceRequest, SpaceReservation, WriteOptions};
use std::sync::Arc;
use std::time::SystemTime;

/// A new resumable upload, and the space that it was promised.
#[derive(Debug)]
pub struct CreatedUpload {
    /// The name of the root.
    pub root: Arc<str>,
    /// Where it will stand in the root.
    pub path: RelPath,
    /// Its room.
    pub reservation: Box<dyn SpaceReservation>,
}

/// How an upload that is complete is published.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The tree that it is kept in.
    pub root: String,
    /// Its length in bytes.
    pub len: u64,
    /// The modification time to set instead of now.
    pub modified: Option<SystemTime>,
    /// Under which conditions.
    pub preconditions: RequestPreconditions,
}

impl Drive {
    /// Makes a resumable upload of `len` bytes under `id`, a new one: checked as if it were published now, its space reserved.
    pub async fn create_upload(
        &self,
        id: &str,
        path: &VPath,
        len: u64,
        preconditions: RequestPreconditions,
    ) -> Result<CreatedUpload> {
        let place = self.resolve_authorized(path, Access::Create).await?;
        let preconditions = upload_preconditions(&place, preconditions).await?;
        let commit = self
            .write_options(
                &place,
                preconditions,
                resolved_preconditions::scopes_to_create(&place),
            )
            .await?;
        self.check_early(&place, &commit).await?;
        let tree = &place.root.tree;
        let room = SpaceRequest {
            len: Some(len),
            limit: place.quota,
        };
        // What is wrong with the place is told before a byte has come; nothing of this stays.
        drop(
            tree.begin_upload(
                &place.path,
                InitialContent::Empty,
                SpaceRequest { len: None, ..room },
            )
            .await?,
        );
        let reserved = tree.reserve_space(&place.path, room).await?;
        tree.create_upload(id, len).await?;
        Ok(CreatedUpload {
            root: place.root.id.clone(),
            path: place.path.into_owned(),
            reservation: reserved,
        })
    }

    /// Whether something may be made at a path, by what it leads through alone.
    pub async fn check_may_change(&self, path: &VPath) -> Result<()> {
        self.resolve_authorized(path, Access::Create)
            .await
            .map(drop)
    }

    /// Goes on with an upload; `NotFound` when it is gone, or the path leads to another tree than it is kept in.
    pub async fn resume_upload(
        &self,
        id: &str,
        path: &VPath,
        publication: Publication,
    ) -> Result<DriveUpload> {
        let place = self.resolve_authorized(path, Access::Create).await?;
        if *place.root.id != *publication.root {
            return Err(Error::NotFound);
        }
        let preconditions = upload_preconditions(&place, publication.preconditions).await?;
        let commit = self
            .write_options(
                &place,
                preconditions,
                resolved_preconditions::scopes_to_create(&place),
            )
            .await?;
        let room = SpaceRequest {
            len: Some(publication.len),
            limit: place.quota,
        };
        let upload = place.root.tree.resume_upload(id, &place.path, room).await?;
        let commit = WriteOptions {
            modified: publication.modified,
            limit: place.quota,
            ..commit
        };
        Ok(DriveUpload::new(upload, commit, place.root, self.clone()))
    }
}
