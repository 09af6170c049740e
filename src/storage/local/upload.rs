//! Uploads: small bodies stay in memory until their commit, larger ones are written aside while the next part arrives.

mod draft;
mod etag_time;
pub(super) mod restore_version;
mod target_check;

use super::digest::RunningHash;
use super::errors::map_errno;
use super::names::replaceable;
use super::reservation::LocalReservation;
use super::resumable;
use super::root::TreeRoot;
use super::staging::StagedFile;
use super::sys::{self, FileKind, Lookup, fd};
use super::writeback::Writeback;
use super::{history_limit, run_blocking, run_change};
use crate::model::{Error, RelPath, Result};
use crate::storage::{Etag, NoPreconditions, PutOutcome, SpaceRequest, Upload, WriteOptions};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use target_check::check_path;

/// Bytes collected before they are written: also the size up to which an upload touches the disk once, at its commit.
const FLUSH: usize = 128 << 10;
/// Up to this announced length the commit alone looks at the target: its verdict comes as early as the body.
const SMALL: u64 = 64 << 10;
/// Chunks collected at most; tiny ones must not pin their buffers.
const CHUNKS: usize = 1024;
/// From this length on the room is taken on the disk before a byte comes.
const RESERVED: u64 = 1 << 20;

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
        root.copy_into(stage.file(), fd(&old), old_node.len, &NoPreconditions)?;
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
