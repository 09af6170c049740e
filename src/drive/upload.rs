//! Uploads through a drive: preconditions are checked before the first byte, the quota while bytes come, and all again when the file is published.

use super::access::Access;
use super::mass_change::ChangeCounts;
use super::named_tree::NamedTree;
use super::resolved_path::ResolvedPath;
use super::visitor_promise::VisitorPromise;
use super::{Checksum, Drive, RequestPreconditions, present, resolved_preconditions};
use crate::model::{Error, RelPath, Result, Rights, VPath, Via};
use crate::storage::{Expect, InitialContent, PutOutcome, SpaceRequest, Upload, WriteOptions};
use bytes::Bytes;
use std::sync::Arc;
use std::time::SystemTime;

/// What an upload is announced with.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Its length, when it must be exactly that.
    pub len: Option<u64>,
    /// About how long it will be, for the early check of the quota only.
    pub estimate: Option<u64>,
    /// The modification time to set instead of now.
    pub modified: Option<SystemTime>,
    /// From what it starts.
    pub start: InitialContent,
    /// What its bytes must come to; else `Checksum`. Not for what is written in parts.
    pub checksum: Option<Checksum>,
}

/// A file on its way into a drive.
pub struct DriveUpload {
    upload: Box<dyn Upload>,
    commit: WriteOptions,
    checksum: Option<Checksum>,
    /// What is held of the budget of visitors.
    promise: Option<VisitorPromise>,
    root: Arc<NamedTree>,
    drive: Drive,
    /// Where it may be published instead, in order, when it must not show which names are taken.
    alternatives: Vec<(RelPath, WriteOptions)>,
}

/// The preconditions of an upload. What may only be added to takes nothing but new files; and a file that is all a drive or
/// mount shows can be written to, but not made again.
pub(super) async fn upload_preconditions(
    place: &ResolvedPath<'_>,
    preconditions: RequestPreconditions,
) -> Result<RequestPreconditions> {
    if place.rights == Rights::Drop {
        return Ok(RequestPreconditions {
            expect: Expect::Absent,
            ..preconditions
        });
    }
    if place.depth > 0 {
        return Ok(preconditions);
    }
    match present(place).await? {
        None => Err(Error::NotFound),
        Some(node) if node.folder => Err(Error::IsFolder),
        Some(_) if preconditions.expect == Expect::Any => Ok(RequestPreconditions {
            expect: Expect::Exists,
            ..preconditions
        }),
        Some(_) => Ok(preconditions),
    }
}

impl Drive {
    /// Begins an upload: refuses at once what conditions, locks, quota or the disk will not let through.
    pub async fn begin_put(
        &self,
        path: &VPath,
        announced: UploadOptions,
        preconditions: RequestPreconditions,
    ) -> Result<DriveUpload> {
        let place = self.resolve_authorized(path, Access::Create).await?;
        if place.rights == Rights::Drop {
            return self
                .begin_drop_upload(&place, announced, preconditions)
                .await;
        }
        let preconditions = upload_preconditions(&place, preconditions).await?;
        let is_conditional = !preconditions.is_empty();
        let commit = self
            .write_options(
                &place,
                preconditions,
                resolved_preconditions::scopes_to_create(&place),
            )
            .await?;
        let locks = self.locks_near(&commit).await?;
        // Without conditions and locks there is nothing to check early, and what stands there need not be looked at twice.
        if is_conditional || !locks.is_empty() {
            self.check_with(&place, &commit, &locks).await?;
        }
        let (room, promise) = self
            .space_to_promise(&place, announced.len.or(announced.estimate))
            .await?;
        let upload = place
            .root
            .tree
            .begin_upload(&place.path, announced.start, room)
            .await?;
        let len = announced
            .len
            .filter(|_| announced.start == InitialContent::Empty);
        let commit = WriteOptions {
            len,
            modified: announced.modified,
            limit: place.quota,
            ..commit
        };
        let checksum = announced
            .checksum
            .filter(|_| announced.start == InitialContent::Empty);
        Ok(DriveUpload {
            checksum,
            promise,
            ..DriveUpload::new(upload, commit, place.root, self.clone())
        })
    }

    /// The space that an upload of `len` bytes is promised before they come: all of it, and for visitors of public links what their
    /// [budget](super::visitor_promise) has, where all of it would fit. What is beyond is taken as it comes.
    pub(super) async fn space_to_promise(
        &self,
        place: &ResolvedPath<'_>,
        len: Option<u64>,
    ) -> Result<(SpaceRequest, Option<VisitorPromise>)> {
        let limit = place.quota;
        let is_visitor = matches!(self.identity.via, Via::Link(_));
        let whole = SpaceRequest { len, limit };
        let Some(announced) = len.filter(|_| is_visitor) else {
            return Ok((whole, None));
        };
        let promise = place.root.visitor_promises.promise(announced);
        if promise.left() < announced {
            place.root.tree.check_space(&place.path, whole).await?;
        }
        let room = SpaceRequest {
            len: Some(promise.left()),
            limit,
        };
        Ok((room, Some(promise)))
    }
}

impl DriveUpload {
    pub(super) fn new(
        upload: Box<dyn Upload>,
        commit: WriteOptions,
        root: Arc<NamedTree>,
        drive: Drive,
    ) -> Self {
        Self {
            upload,
            commit,
            checksum: None,
            promise: None,
            root,
            drive,
            alternatives: Vec::new(),
        }
    }

    /// The same upload by a visitor, to be published under the first of these names that is free.
    pub(super) fn with_alternatives(
        self,
        ways: Vec<(RelPath, WriteOptions)>,
        checksum: Option<Checksum>,
        promise: Option<VisitorPromise>,
    ) -> Self {
        Self {
            checksum,
            promise,
            alternatives: ways,
            ..self
        }
    }

    /// Bytes that lie in the upload now.
    pub fn len(&self) -> u64 {
        self.upload.len()
    }

    /// Whether nothing lies in the upload yet.
    pub fn is_empty(&self) -> bool {
        self.upload.is_empty()
    }

    /// Moves to where the next bytes go; beyond the end is `BadRequest`.
    pub async fn seek(&mut self, offset: u64) -> Result<()> {
        self.checksum = None;
        self.upload.seek(offset).await
    }

    /// Adds bytes; `NoSpace` at the quota or the end of the disk, `AccessEnded` or `NotFound` when who sends them is let in no longer.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.commit.access().check()?;
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&chunk);
        }
        let came = chunk.len() as u64;
        self.upload.write(chunk).await?;
        if let Some(promise) = &mut self.promise {
            promise.receive(came);
        }
        Ok(())
    }

    /// Takes back all bytes beyond `len`.
    pub async fn truncate(&mut self, len: u64) -> Result<()> {
        self.upload.truncate(len).await
    }

    /// Puts all bytes that have come on disk and leaves them there, for a resumable upload.
    pub async fn keep(self) -> Result<u64> {
        self.upload.persist().await
    }

    /// Publishes the file.
    pub async fn commit(self) -> Result<PutOutcome> {
        if !self.checksum.is_none_or(Checksum::matches) {
            return Err(Error::Checksum);
        }
        let put = if self.alternatives.is_empty() {
            self.upload.commit(self.commit).await?
        } else {
            self.upload.commit_first_free(self.alternatives).await?
        };
        if !put.created() {
            self.drive.count_mass_change(
                &self.root,
                ChangeCounts {
                    overwritten: 1,
                    removed: 0,
                },
                None,
            );
        }
        Ok(put)
    }
}
