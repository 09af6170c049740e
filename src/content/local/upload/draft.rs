//! What becomes of an upload at its commit: the rest is written, the file gets what it inherits, and it appears.

use super::super::chronicle::Event;
use super::super::ledger::Growth;
use super::super::on_thread;
use super::super::os::{self, Kind};
use super::super::replaced::Replaced;
use super::super::reservation::Reservation;
use super::super::root::{change, explain, replaceable};
use super::super::stage::Stage;
use super::super::versions::Shelf;
use super::refusal::is_taken;
use super::tag;
use super::{Base, Draft};
use crate::content::{Commit, Digest, Expect, Node, Put};
use crate::model::{Error, RelPath, Result};
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

/// For so many bytes to come history goes at once, at the most.
const AHEAD: u64 = 64 << 20;

impl Draft {
    /// The collected part, to be written on another thread.
    pub(super) fn take(&mut self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            path: RelPath::root(),
            announced: self.announced,
            has_room: self.has_room,
            base: Base::Nothing,
            stage: self.stage.clone(),
            chunks: std::mem::take(&mut self.chunks),
            collected: std::mem::take(&mut self.collected),
            offset: self.offset,
            sum: std::mem::take(&mut self.sum),
        }
    }

    /// Looks for room where none was found or taken at the beginning, and for `ahead` more if history must go. To let go of history takes its time.
    pub(super) async fn make_room(&self, ahead: u64) -> Result<()> {
        if let Some(more) = self.unannounced()
            && (!self.root.waiting.may_look() || self.root.missing_room(more)? > 0)
        {
            on_thread(&self.root, move |root| root.check_room(more, ahead)).await?;
        }
        Ok(())
    }

    /// The bytes collected, where more has come than there is known to be room for.
    pub(super) fn unannounced(&self) -> Option<u64> {
        let (end, collected) = (
            self.offset.saturating_add(self.collected as u64),
            self.collected as u64,
        );
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
    pub(super) fn keep(&self) -> Result<()> {
        self.stage
            .as_ref()
            .filter(|stage| stage.is_kept())
            .map_or(Ok(()), |stage| stage.keep(self.offset))
    }

    /// Writes the collected chunks aside.
    pub(super) fn write_out(&mut self) -> Result<Arc<Stage>> {
        let end = self.offset.saturating_add(self.collected as u64);
        let stage = self
            .stage
            .take()
            .map_or_else(|| Stage::create(&self.root).map(Arc::new), Ok)?;
        self.chunks.iter().for_each(|chunk| self.sum.add(chunk));
        let mut parts: Vec<IoSlice<'_>> = self
            .chunks
            .iter()
            .map(|chunk| IoSlice::new(chunk))
            .collect();
        os::write_all(stage.file(), &mut parts, self.offset)
            .map_err(|e| explain("write the file", e))?;
        self.chunks.clear();
        self.offset = end;
        self.collected = 0;
        Ok(stage)
    }

    /// Gives the staged file its time, its hash and what the one before hands on, and puts it on disk, if the settings want that.
    fn seal(
        &self,
        stage: &Stage,
        dir: BorrowedFd<'_>,
        old: &Replaced<'_>,
        wanted: Option<SystemTime>,
    ) -> Result<(Node, Option<Digest>)> {
        let (node, digest) = (tag::set_time(stage, wanted, old)?, self.sum.finish());
        old.endow(stage, dir, digest.as_ref(), &node)?;
        self.root.settle(stage.file())?;
        stage.conclude()?;
        Ok((node, digest))
    }

    /// Writes what is left and makes the file appear. What has come of an upload that was laid aside stays when it may not be published.
    pub(super) fn publish(
        mut self,
        ways: &[(RelPath, Commit)],
        mut reservation: Reservation,
    ) -> Result<Put> {
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
        if published.is_err() && stage.is_kept() {
            stage.forget()?;
            stage.keep(end)?;
        }
        published
    }

    fn put_in_place(
        &self,
        stage: &Stage,
        commit: &Commit,
        reservation: &mut Reservation,
    ) -> Result<Put> {
        let (root, path) = (&self.root, &self.path);
        let mut place = root.place(path)?;
        let (name, found) = place.find()?;
        if found.is_some() && commit.expect == Expect::Absent {
            // Else the file would be given what only what is replaced hands on.
            let folder = found.is_some_and(|found| found.kind == Kind::Folder);
            return Err(if folder {
                Error::IsFolder
            } else {
                Error::PreconditionFailed
            });
        }
        let mut old = Replaced::look(root, (place.dir(), &name), found.as_ref())?;
        let (mut node, digest) = self.seal(stage, place.dir(), &old, commit.modified)?;
        let replaced = {
            let _guard = root.guard();
            place.refresh()?;
            let (name, found) = place.find()?;
            let found = replaceable(found)?;
            if found
                .as_ref()
                .is_some_and(|found| found.kind == Kind::Folder)
            {
                return Err(Error::IsFolder);
            }
            let present = found.as_ref().map(|found| found.node.clone());
            if matches!(&self.base, Base::Present(tag) if *tag != present.as_ref().map(|node| node.etag))
            {
                return Err(Error::Conflict);
            }
            let growth = Growth {
                new: node.len,
                old: present.as_ref().map_or(0, |old| old.len),
            };
            change(commit, present.as_ref(), &mut || {
                root.ledger.admit(root, growth, commit.limit)?;
                let here = (place.dir(), name.as_ref());
                let are_alike = tag::are_alike(&node, present.as_ref());
                if are_alike || !old.is_still(found.as_ref())? {
                    stage.forget()?;
                    old = Replaced::look(root, here, found.as_ref())?;
                    if are_alike {
                        node = tag::set_time(stage, commit.modified, &old)?;
                    }
                    old.endow(stage, place.dir(), digest.as_ref(), &node)?;
                    root.settle(stage.file())?;
                }
                // A save that changes nothing makes no version.
                let same =
                    digest.is_some() && present.as_ref().and_then(|now| old.digest(now)) == digest;
                let kept = match &present {
                    None => stage.publish(here).map(|()| None)?,
                    Some(_) => {
                        stage.publish_over(&node, here, old.shelf.as_mut().filter(|_| !same))?
                    }
                };
                old.shelf
                    .as_mut()
                    .filter(|_| kept.is_some())
                    .map(Shelf::keep);
                old.part(root, kept.as_deref());
                root.ledger.note_put(growth, reservation, commit.limit);
                if !same {
                    let path = path.as_str().to_owned();
                    root.pen.note(
                        root,
                        &[Event::written(
                            path,
                            present.as_ref(),
                            old.shelf.as_ref().zip(kept),
                        )],
                    );
                }
                Ok(())
            })?;
            present
        };
        root.settle(place.dir())?;
        old.shelf.map_or(Ok(()), |shelf| shelf.settle())?;
        Ok(Put {
            node,
            created: replaced.is_none(),
        })
    }
}
