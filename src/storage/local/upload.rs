//! Uploads: small bodies stay in memory until their commit, larger ones are written aside while the next part arrives.

mod begin;
mod draft;
mod etag_time;
pub(super) mod restore_version;
mod staged_content;
mod target_check;

use super::blocking::{run_blocking, run_change};
use super::digest::RunningHash;
use super::errors::map_errno;
use super::history_limit;
use super::reservation::LocalReservation;
use super::resumable;
use super::root::TreeRoot;
use super::staging::StagedFile;
use super::writeback::Writeback;
use crate::model::{Error, RelPath, Result};
use crate::storage::{Etag, PutOutcome, Upload, WriteOptions};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Bytes collected before they are written: also the size up to which an upload touches the disk once, at its commit.
const FLUSH: usize = 128 << 10;
/// Chunks collected at most; tiny ones must not pin their buffers.
const CHUNKS: usize = 1024;

/// A file being written.
pub(super) struct LocalUpload {
    draft: UploadDraft,
    position: u64,
    len: u64,
    written: u64,
    broken: bool,
    writeback: Writeback,
    reservation: LocalReservation,
}

/// What a commit needs of an upload.
struct UploadDraft {
    root: Arc<TreeRoot>,
    path: RelPath,
    announced: Option<u64>,
    /// Whether there is room for what was announced: looked for or taken.
    has_room: bool,
    base: UploadBase,
    staged: Option<Arc<StagedFile>>,
    chunks: Vec<Bytes>,
    collected: usize,
    /// Where the first collected chunk goes.
    offset: u64,
    hasher: RunningHash,
}

/// What the upload was started from.
enum UploadBase {
    Nothing,
    /// The content that stood there: another one at commit means that somebody else's change would be lost.
    Present(Option<Etag>),
}

impl LocalUpload {
    fn new(
        root: &Arc<TreeRoot>,
        path: &RelPath,
        announced: Option<u64>,
        reservation: LocalReservation,
    ) -> Self {
        let root = Arc::clone(root);
        let path = path.clone();
        let base = UploadBase::Nothing;
        let draft = UploadDraft {
            root,
            path,
            announced,
            has_room: true,
            base,
            staged: None,
            chunks: Vec::new(),
            collected: 0,
            offset: 0,
            hasher: RunningHash::start(),
        };
        Self {
            draft,
            position: 0,
            len: 0,
            written: 0,
            broken: false,
            writeback: Writeback::default(),
            reservation,
        }
    }

    /// Reserves room for so many bytes in all.
    async fn reserve(&mut self, len: u64) -> Result<()> {
        while self.reservation.try_grow(len).transpose()?.is_none() {
            let limit = self.reservation.limit();
            run_blocking(&self.draft.root, move |root| {
                history_limit::count_if_unknown(root, limit)
            })
            .await?;
        }
        Ok(())
    }

    /// Writes what is collected, under `relaxed` on this thread while it still lies in its cache. Once a write has failed, all that follows does.
    async fn flush(&mut self) -> Result<()> {
        if !self.draft.chunks.is_empty() {
            let mut part = self.draft.take();
            self.broken = true;
            part.make_room(part.ahead()).await?;
            let root = Arc::clone(&part.root);
            let written = run_change(&root, move |_| {
                part.write_out().map(|stage| (stage, part.hasher))
            })
            .await?;
            self.writeback.advance(&written.0, self.position).await?;
            (self.draft.staged, self.draft.hasher) = (Some(written.0), written.1);
            self.broken = false;
        }
        self.draft.offset = self.position;
        Ok(())
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn len(&self) -> u64 {
        self.len
    }

    async fn seek(&mut self, offset: u64) -> Result<()> {
        if offset > self.len {
            return Err(Error::BadRequest(
                "The write would leave a gap in the file.",
            ));
        }
        if offset != self.position {
            self.flush().await?;
            self.draft.hasher = RunningHash::Unknown;
            self.position = offset;
            self.draft.offset = offset;
        }
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.broken {
            return Err(Error::Truncated);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        let count = chunk.len() as u64;
        let end = self.position.checked_add(count).ok_or(Error::TooLarge)?;
        self.reserve(self.len.max(end)).await?;
        self.position = end;
        self.len = self.len.max(end);
        self.written += count;
        self.draft.collected += chunk.len();
        self.draft.chunks.push(chunk);
        if self.draft.collected >= FLUSH || self.draft.chunks.len() >= CHUNKS {
            self.flush().await?;
        }
        Ok(())
    }

    async fn truncate(&mut self, len: u64) -> Result<()> {
        self.flush().await?;
        self.writeback.wait().await?;
        if let Some(stage) = self.draft.staged.clone() {
            let whole = self
                .draft
                .announced
                .filter(|_| stage.is_resumable() && self.draft.has_room);
            let shorten = move || resumable::truncate(stage.file(), len, whole);
            run_blocking(&self.draft.root, move |_| {
                shorten().map_err(|e| map_errno("take back what came", e))
            })
            .await?;
        }
        self.draft.hasher = RunningHash::Unknown;
        self.len = self.len.min(len);
        self.position = self.position.min(len);
        self.draft.offset = self.position;
        Ok(())
    }

    async fn persist(mut self: Box<Self>) -> Result<u64> {
        let flushed = if self.broken {
            Ok(())
        } else {
            self.flush().await
        };
        self.writeback.wait().await?;
        // What could not be written, or was being written when the request ended, has not come.
        let len = if self.broken {
            self.draft.offset
        } else {
            self.len
        };
        let stage = self.draft.staged.clone();
        run_blocking(&self.draft.root, move |_| {
            stage.map_or(Ok(()), |stage| stage.persist(len))
        })
        .await?;
        flushed.map(|()| len)
    }

    async fn commit(self: Box<Self>, commit: WriteOptions) -> Result<PutOutcome> {
        let way = (self.draft.path.clone(), commit);
        self.commit_first_free(vec![way]).await
    }

    async fn commit_first_free(
        self: Box<Self>,
        ways: Vec<(RelPath, WriteOptions)>,
    ) -> Result<PutOutcome> {
        let Self {
            draft,
            written,
            broken,
            writeback: mut behind,
            reservation,
            ..
        } = *self;
        if broken
            || ways
                .iter()
                .any(|(_, commit)| commit.len.is_some_and(|announced| announced != written))
        {
            return Err(Error::Truncated);
        }
        behind.wait().await?;
        let root = Arc::clone(&draft.root);
        if root.disk_access.can_read_inline() {
            if let Err(error) = draft.make_room(0).await {
                return run_change(&root, move |_| draft.persist().and(Err(error))).await;
            }
            return run_change(&root, move |_| draft.publish(&ways, reservation)).await;
        }
        // All on one thread that may wait: a change that is begun goes on without its caller.
        run_change(&root, move |root| {
            match draft
                .unannounced()
                .map_or(Ok(()), |more| root.ensure_space(more, 0))
            {
                Ok(()) => draft.publish(&ways, reservation),
                Err(error) => draft.persist().and(Err(error)),
            }
        })
        .await
    }
}
