//! What becomes of an upload at its commit: the rest is written, the file gets what it inherits, and it appears.

use super::super::blocking::run_blocking;
use super::super::replaced_file::ReplacedFile;
use super::super::reservation::LocalReservation;
use super::super::staging::StagedFile;
use super::super::sys::{self, FileKind, FileStat};
use super::super::usage_counter::UsageDelta;
use super::etag_time;
use super::staged_content::StagedContent;
use super::target_check::is_taken;
use super::{UploadBase, UploadDraft};
use crate::model::{Error, RelPath, Result};
use crate::storage::local::errors::map_errno;
use crate::storage::local::names::replaceable;
use crate::storage::{Digest, Expect, Node, PutOutcome, WriteOptions};
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

/// For so many bytes to come history goes at once, at the most.
const AHEAD: u64 = 64 << 20;

impl UploadDraft {
    /// The collected part, to be written on another thread.
    pub(super) fn take(&mut self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            path: RelPath::root(),
            announced: self.announced,
            has_room: self.has_room,
            base: UploadBase::Nothing,
            staged: self.staged.clone(),
            chunks: std::mem::take(&mut self.chunks),
            collected: std::mem::take(&mut self.collected),
            offset: self.offset,
            hasher: std::mem::take(&mut self.hasher),
        }
    }

    /// Looks for room where none was found or taken at the beginning, and for `ahead` more if history must go. To let go of history takes its time.
    pub(super) async fn make_room(&self, ahead: u64) -> Result<()> {
        if let Some(more) = self.unannounced()
            && (!self.root.disk_access.can_read_inline() || self.root.missing_space(more)? > 0)
        {
            run_blocking(&self.root, move |root| root.ensure_space(more, ahead)).await?;
        }
        Ok(())
    }

    /// The bytes collected, where more has come than there is known to be room for.
    pub(super) fn unannounced(&self) -> Option<u64> {
        let end = self.offset.saturating_add(self.collected as u64);
        let collected = self.collected as u64;
        let is_more = self.announced.is_none_or(|announced| end > announced);
        (is_more || !self.has_room && collected > 0).then_some(collected)
    }

    /// For how many bytes after those collected room may be made: as many as have come before, up to a bound, so that an upload that is cut
    /// has cost at most twice of the history what it sent.
    pub(super) fn ahead(&self) -> u64 {
        let end = self.offset.saturating_add(self.collected as u64);
        let left = self
            .announced
            .map_or(u64::MAX, |announced| announced.saturating_sub(end));
        left.min(self.offset).min(AHEAD)
    }

    /// Keeps what has come of an upload that was laid aside, when it may not be published.
    pub(super) fn persist(&self) -> Result<()> {
        self.staged
            .as_ref()
            .filter(|stage| stage.is_resumable())
            .map_or(Ok(()), |stage| stage.persist(self.offset))
    }

    /// Writes the collected chunks aside.
    pub(super) fn write_out(&mut self) -> Result<Arc<StagedFile>> {
        let end = self.offset.saturating_add(self.collected as u64);
        let stage = self
            .staged
            .take()
            .map_or_else(|| StagedFile::create(&self.root).map(Arc::new), Ok)?;
        self.chunks
            .iter()
            .for_each(|chunk| self.hasher.update(chunk));
        let mut parts: Vec<IoSlice<'_>> = self
            .chunks
            .iter()
            .map(|chunk| IoSlice::new(chunk))
            .collect();
        sys::write_all(stage.file(), &mut parts, self.offset)
            .map_err(|e| map_errno("write the file", e))?;
        self.chunks.clear();
        self.offset = end;
        self.collected = 0;
        Ok(stage)
    }

    /// Gives the staged file its time, its hash and what the one before hands on, and puts it on disk, if the settings want that.
    fn finalize(
        &self,
        stage: &StagedFile,
        dir: BorrowedFd<'_>,
        old: &ReplacedFile<'_>,
        wanted: Option<SystemTime>,
    ) -> Result<(Node, Option<Digest>)> {
        let node = etag_time::set_time(stage, wanted, old)?;
        let digest = self.hasher.finalize();
        old.hand_on_to(stage, dir, digest.as_ref(), &node)?;
        self.root.sync_if_strict(stage.file())?;
        stage.clear_synced_len()?;
        Ok((node, digest))
    }

    /// Writes what is left and makes the file appear. What has come of an upload that was laid aside stays when it may not be published.
    pub(super) fn publish(
        mut self,
        ways: &[(RelPath, WriteOptions)],
        mut reservation: LocalReservation,
    ) -> Result<PutOutcome> {
        let stage = self.write_out()?;
        let end = self.offset;
        let mut published = Err(Error::PreconditionFailed);
        for (path, commit) in ways {
            self.path.clone_from(path);
            published = self.put_in_place(&stage, commit, &mut reservation);
            if !published.as_ref().is_err_and(is_taken) {
                break;
            }
        }
        if published.is_err() && stage.is_resumable() {
            stage.clear_inherited()?;
            stage.persist(end)?;
        }
        published
    }

    fn put_in_place(
        &self,
        stage: &StagedFile,
        commit: &WriteOptions,
        reservation: &mut LocalReservation,
    ) -> Result<PutOutcome> {
        let root = &self.root;
        let path = &self.path;
        let mut place = root.open_parent(path)?;
        let (name, found) = place.find()?;
        if found.is_some() && *commit.expect() == Expect::Absent {
            // Else the file would be given what only what is replaced hands on.
            let folder = found.is_some_and(|found| found.kind == FileKind::Folder);
            return Err(if folder {
                Error::IsFolder
            } else {
                Error::PreconditionFailed
            });
        }
        let old = ReplacedFile::open(
            root,
            (place.dir(), &name),
            found.as_ref(),
            commit.keep_replaced,
        )?;
        let (node, digest) = self.finalize(stage, place.dir(), &old, commit.modified)?;
        let mut content = StagedContent {
            root,
            stage,
            node,
            digest,
            old,
        };
        let changed = {
            let _guard = root.lock_names();
            place.refresh()?;
            let (name, found) = place.find()?;
            let found = replaceable(found)?;
            self.check_base(found.as_ref())?;
            let present = found.as_ref().map(|found| found.node.clone());
            let growth = UsageDelta {
                added: content.node.len,
                removed: present.as_ref().map_or(0, |old| old.len),
            };
            let step = root.check_step(commit, present.as_ref())?;
            root.check_limit(growth, commit.limit)?;
            let here = (place.dir(), name.as_ref());
            content.inherit_current(here, found.as_ref(), commit)?;
            let is_same = content.is_same_as(present.as_ref());
            let kept = content.publish(here, present.is_some(), is_same)?;
            reservation.apply_upload(growth, commit.limit);
            if !is_same {
                content.log(path, present.as_ref(), kept);
            }
            step.made(present)
        };
        root.sync_if_strict(place.dir())?;
        content.finish(changed)
    }

    /// Refuses a folder at the target, and another content than the one that the upload began with.
    fn check_base(&self, found: Option<&FileStat>) -> Result<()> {
        if found.is_some_and(|found| found.kind == FileKind::Folder) {
            return Err(Error::IsFolder);
        }
        let present = found.map(|found| found.node.etag);
        if matches!(&self.base, UploadBase::Present(tag) if *tag != present) {
            return Err(Error::Conflict);
        }
        Ok(())
    }
}
