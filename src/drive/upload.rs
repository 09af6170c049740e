//! Uploads through a drive: judged before the first byte, bounded by the quota while bytes come, judged again when published.

use super::bursts::Harm;
use super::judge::Bench;
use super::place::{Access, Place};
use super::{Checksum, Drive, Terms, judge, present};
use crate::content::{Commit, Expect, Put, Room, Start, Upload};
use crate::model::{Error, RelPath, Result, Rights, VPath};
use bytes::Bytes;
use std::sync::Arc;
use std::time::SystemTime;

/// What an upload is announced with.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Its length, when it must be exactly that.
    pub len: Option<u64>,
    /// About how long it will be, for the early check of the quota only.
    pub estimate: Option<u64>,
    /// The modification time to set instead of now.
    pub modified: Option<SystemTime>,
    /// From what it starts.
    pub start: Start,
    /// What its bytes must come to; else `Checksum`. Not for what is written in parts.
    pub checksum: Option<Checksum>,
}

/// A file on its way into a drive.
pub struct DriveUpload {
    upload: Box<dyn Upload>,
    commit: Commit,
    checksum: Option<Checksum>,
    bench: Arc<Bench>,
    drive: Drive,
    /// Where it may be published instead, in order, when it must not show which names are taken.
    ways: Vec<(RelPath, Commit)>,
}

/// The terms of an upload to a place. What may only be added to takes nothing but new files; and a file that is all a drive or
/// mount shows can be written to, but not made again.
pub(super) async fn admit_target(place: &Place<'_>, terms: Terms) -> Result<Terms> {
    if place.rights == Rights::Drop {
        return Ok(Terms {
            expect: Expect::Absent,
            ..terms
        });
    }
    if place.below > 0 {
        return Ok(terms);
    }
    match present(place).await? {
        None => Err(Error::NotFound),
        Some(node) if node.folder => Err(Error::IsFolder),
        Some(_) if terms.expect == Expect::Any => Ok(Terms {
            expect: Expect::Exists,
            ..terms
        }),
        Some(_) => Ok(terms),
    }
}

impl Drive {
    /// Begins an upload: refuses at once what conditions, locks, quota or the disk will not let through.
    pub async fn begin_put(
        &self,
        path: &VPath,
        announced: Announced,
        terms: Terms,
    ) -> Result<DriveUpload> {
        let place = self.admitted(path, Access::Create).await?;
        if place.rights == Rights::Drop {
            return self.begin_drop(&place, announced, terms).await;
        }
        let terms = admit_target(&place, terms).await?;
        // Without conditions and locks there is nothing to judge early, and what stands there need not be looked at twice.
        let free = terms.is_empty() && self.locks.hold().none_in(&place.root.id);
        let bench = self.bench(&place, terms, judge::creating(&place)).await?;
        let commit = bench.commit();
        if !free {
            self.pre_judge(&place, &commit).await?;
        }
        let expected = announced.len.or(announced.estimate);
        let room = Room {
            len: expected,
            limit: place.quota,
        };
        let upload = place
            .root
            .tree
            .begin_put(&place.path, announced.start, room)
            .await?;
        let len = announced.len.filter(|_| announced.start == Start::Empty);
        let commit = Commit {
            len,
            modified: announced.modified,
            limit: place.quota,
            ..commit
        };
        let checksum = announced
            .checksum
            .filter(|_| announced.start == Start::Empty);
        Ok(DriveUpload {
            checksum,
            ..DriveUpload::new(upload, commit, bench, self.clone())
        })
    }
}

impl DriveUpload {
    pub(super) fn new(
        upload: Box<dyn Upload>,
        commit: Commit,
        bench: Arc<Bench>,
        drive: Drive,
    ) -> Self {
        Self {
            upload,
            commit,
            checksum: None,
            bench,
            drive,
            ways: Vec::new(),
        }
    }

    /// The same upload, to be published under the first of these names that is free.
    pub(super) fn beside(self, ways: Vec<(RelPath, Commit)>, checksum: Option<Checksum>) -> Self {
        Self {
            checksum,
            ways,
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
        self.bench.check()?;
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&chunk);
        }
        self.upload.write(chunk).await
    }

    /// Takes back all bytes beyond `len`.
    pub async fn truncate(&mut self, len: u64) -> Result<()> {
        self.upload.truncate(len).await
    }

    /// Puts all bytes that have come on disk and leaves them there, for an upload that was laid aside.
    pub async fn keep(self) -> Result<u64> {
        self.upload.keep().await
    }

    /// Publishes the file.
    pub async fn commit(self) -> Result<Put> {
        if !self.checksum.is_none_or(Checksum::holds) {
            return Err(Error::Checksum);
        }
        let put = if self.ways.is_empty() {
            self.upload.commit(self.commit).await?
        } else {
            self.upload.commit_beside(self.ways).await?
        };
        if !put.created {
            self.drive.note_harm(
                self.bench.root(),
                Harm {
                    overwritten: 1,
                    removed: 0,
                },
                None,
            );
        }
        Ok(put)
    }
}
