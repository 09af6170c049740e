//! What an identity changes beside the content of files; shares follow what they show, or end with it.

use super::bursts::Harm;
use super::commons::Commons;
use super::judge::{self, Bench, Need};
use super::landing::Landing;
use super::mounts::{Mount, Way};
use super::place::{Access, Place, Spot, VIEW_ONLY};
use super::shares::Share;
use super::{Copying, Drive, Terms, present};
use crate::audit::{Actor, Kind};
use crate::content::{Commit, FileId, PropChange, Reach};
use crate::model::{AccountName, Error, RelPath, Result, Rights, VPath};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;

/// The shares that a move ends, once it is made.
type Ended = Arc<Mutex<Vec<Arc<Share>>>>;

/// What was moved to the trash.
#[derive(Debug)]
pub(super) struct Removed {
    /// What it is called there.
    pub id: String,
    /// Whether it is a folder.
    pub folder: bool,
}

impl Drive {
    /// Changes dead properties and, if given, the modification time: all or nothing.
    pub async fn set_props(
        &self,
        path: &VPath,
        changes: Vec<PropChange>,
        modified: Option<SystemTime>,
        terms: Terms,
    ) -> Result<()> {
        let place = self.admitted(path, Access::Change).await?;
        let commit = self
            .commit(&place, terms, vec![Need::Content(place.spot())])
            .await?;
        let commit = Commit {
            modified,
            limit: place.quota,
            ..commit
        };
        place
            .root
            .tree
            .set_props(&place.path, changes, commit)
            .await
    }

    /// Makes a folder.
    pub async fn mkdir(&self, path: &VPath, terms: Terms) -> Result<()> {
        let place = self.admitted(path, Access::Change).await?;
        let commit = self.commit(&place, terms, judge::creating(&place)).await?;
        place.root.tree.mkdir(&place.path, commit).await
    }

    /// Moves to the trash; the locks and shares below end. A mount is only taken out of the drive.
    pub async fn delete(&self, path: &VPath, terms: Terms) -> Result<()> {
        if let Some(mount) = self.mount_at(path).await? {
            return mount.leave(&self.locks).await;
        }
        let place = self.admitted(path, Access::Change).await?;
        refuse_root(&place)?;
        let removed = self.remove(&place, terms).await?;
        self.note_removed(&place.root, removed);
        Ok(())
    }

    /// Moves what is at a place to the trash.
    pub(super) async fn remove(&self, place: &Place<'_>, terms: Terms) -> Result<Removed> {
        let bench = self
            .bench_for(place, place, terms, judge::removing(place))
            .await?;
        self.remove_by(place, bench).await
    }

    /// As [`remove`](Self::remove), under this judge.
    pub(super) async fn remove_by(&self, place: &Place<'_>, bench: Bench) -> Result<Removed> {
        let (bench, is_twin) = (Arc::new(bench), has_twin(place).await?);
        let outcome = place.root.tree.delete(&place.path, bench.commit()).await;
        self.locks.forget(bench.ended()).await;
        if outcome.is_ok() && !is_twin {
            self.end_shares(&place.spot()).await;
        }
        outcome.map(|id| Removed {
            id,
            folder: bench.met_folder(),
        })
    }

    /// Moves `from` to `to`; the locks on both end, for locks do not follow a move (RFC 4918 section 7.5). Into another root
    /// it is a copy, and the source goes to the trash. Returns whether nothing stood at `to` before.
    pub async fn rename(
        &self,
        from: &VPath,
        to: &VPath,
        overwrite: bool,
        terms: Terms,
    ) -> Result<bool> {
        if let Some(mount) = self.mount_at(from).await? {
            return self.rename_mount(&mount, to).await;
        }
        let (source, target) = self.admitted_pair(from, to, Access::Change).await?;
        refuse_root(&source)?;
        if source.root.id != target.root.id {
            return self.carry_away(&source, &target, overwrite, terms).await;
        }
        let created = self.shift(&source, &target, overwrite, terms).await?;
        if !created {
            self.note_harm(
                &target.root,
                Harm {
                    removed: 1,
                    overwritten: 0,
                },
                None,
            );
        }
        Ok(created)
    }

    /// Moves what is at a place to another of the same root.
    pub(super) async fn shift(
        &self,
        source: &Place<'_>,
        target: &Place<'_>,
        overwrite: bool,
        terms: Terms,
    ) -> Result<bool> {
        let needs = judge::removing(source)
            .into_iter()
            .chain(judge::replacing(target))
            .collect();
        let bench = self
            .bench_for(source, target, terms, needs)
            .await?
            .also(source, Access::Change);
        let is_twin = has_twin(source).await? || has_twin(target).await?;
        let (bench, followers) = if is_twin {
            (Arc::new(bench), Ended::default())
        } else {
            self.with_shares(bench, source.spot(), target.spot())
        };
        let commit = Commit {
            overwrite,
            ..bench.commit()
        };
        let outcome = source
            .root
            .tree
            .rename(&source.path, &target.path, commit)
            .await;
        self.locks.forget(bench.ended()).await;
        if outcome.is_ok() {
            self.keep_shares(&target.spot(), &followers).await;
        }
        outcome
    }

    /// Copies `from` to `to`, within the quota. Returns whether nothing stood at `to` before.
    pub async fn copy(
        &self,
        from: &VPath,
        to: &VPath,
        copying: Copying,
        terms: Terms,
    ) -> Result<bool> {
        let Copying { reach, overwrite } = copying;
        let (source, target) = self.admitted_pair(from, to, Access::Read).await?;
        if source.below == 0 && source.mount.as_ref().is_some_and(|mount| mount.is_trash()) {
            return Err(Error::Forbidden(
                "The trash is not copied as a whole; copy what is in it.",
            ));
        }
        if source.root.id != target.root.id {
            return self
                .carry((&source, Access::Read, None), &target, copying, terms)
                .await
                .map(|carried| carried.created);
        }
        let node = source.root.tree.stat(&source.path).await?;
        let there = if reach == Reach::Shallow {
            present(&target).await?
        } else {
            None
        };
        let replaces = !reach.leaves_standing(&node, there.as_ref());
        let bench = self
            .bench_for(&source, &target, terms, judge::replacing(&target))
            .await?;
        let bench = Arc::new(bench.also(&source, Access::Read));
        let commit = Commit {
            overwrite,
            limit: target.quota,
            ..bench.commit()
        };
        let outcome = source
            .root
            .tree
            .copy(&source.path, &target.path, reach, commit)
            .await;
        if replaces && !matches!(outcome, Ok(true)) {
            self.locks.forget(bench.ended()).await;
        }
        if replaces && matches!(outcome, Ok(false)) {
            self.note_harm(
                &target.root,
                Harm {
                    overwritten: 1,
                    removed: 0,
                },
                None,
            );
            self.end_shares(&target.spot()).await;
        }
        outcome
    }

    /// Both ends of a move or copy that needs `access` at its source. One within the other is refused before anything is touched.
    async fn admitted_pair<'a>(
        &self,
        from: &'a VPath,
        to: &'a VPath,
        access: Access,
    ) -> Result<(Place<'a>, Place<'a>)> {
        let (source, target) = (
            self.admitted(from, access).await?,
            self.admitted(to, Access::Change).await?,
        );
        refuse_root(&target)?;
        let (one, other) = (source.spot(), target.spot());
        if one.root != other.root || (from != to && one == other) {
            return Ok((source, target));
        }
        if other.path.is_within(&one.path) || one.path.is_within(&other.path) {
            return Err(Error::Forbidden(
                "A folder cannot be moved or copied onto itself, into itself or over what holds it.",
            ));
        }
        Ok((source, target))
    }

    /// What a share of a path would show: its place in the home, whether that is a folder, and which file or folder it is, which is kept
    /// with it from now on. `Forbidden` for what is not the account's own.
    pub async fn shareable(&self, path: &VPath) -> Result<(RelPath, bool, FileId)> {
        let place = self.admitted(path, Access::Change).await?;
        if place.below == 0 {
            return Err(Error::Forbidden(
                "The drive as a whole cannot be shared; share a folder in it.",
            ));
        }
        if place.mount.is_some() {
            return Err(Error::Forbidden("Only what is your own can be shared."));
        }
        if has_twin(&place).await? {
            return Err(Error::Forbidden(
                "Beside this, or beside a folder that it is in, lies another whose name differs only in how Unicode writes it (NFC, NFD); \
                 rename one of the two first.",
            ));
        }
        let (node, id) = place.root.tree.keep_id(&place.path).await?;
        Ok((place.spot().path, node.folder, id))
    }

    /// The mount that a path names itself, if whoever asks may change what the drive shows.
    async fn mount_at(&self, path: &VPath) -> Result<Option<Arc<Mount>>> {
        self.check()?;
        let Some(mounts) = self.mounts.as_ref().filter(|_| !path.is_root()) else {
            return Ok(None);
        };
        let way = mounts.find_way(&path.beneath(&self.identity.scope)).await?;
        let Way::Mount(mount, rest) = way else {
            return Ok(None);
        };
        if !rest.is_root() || mount.is_trash() {
            return Ok(None);
        }
        if self.identity.rights != Rights::Edit {
            return Err(Error::Forbidden(VIEW_ONLY));
        }
        Ok(Some(mount))
    }

    async fn rename_mount(&self, mount: &Mount, to: &VPath) -> Result<bool> {
        let beside = to.beneath(&self.identity.scope).to_nfc();
        let name = beside
            .name()
            .filter(|_| beside.parent() == mount.at.parent());
        match (self.resolve(to).await, name) {
            (Ok(Landing::Nowhere), Some(name)) => mount.rename(name).await.map(|()| true),
            _ => Err(Error::Forbidden(
                "What others share with you can be renamed where it is, not moved; delete it to leave the share.",
            )),
        }
    }

    /// Ends the shares of what is gone.
    pub(super) async fn end_shares(&self, gone: &Spot) {
        if let (Some(commons), Some(owner)) = (&self.commons, owner(gone)) {
            let ended = commons.shares.end_within(&owner, &gone.path).await;
            self.report_ended(commons, &ended).await;
        }
    }

    /// A judge under which shares follow a move within a root in the step that makes it, and those that it ends.
    fn with_shares(&self, bench: Bench, from: Spot, to: Spot) -> (Arc<Bench>, Ended) {
        let ended = Ended::default();
        let (Some(commons), Some(owner)) = (self.commons.clone(), owner(&from)) else {
            return (Arc::new(bench), ended);
        };
        let told = ended.clone();
        let follow = move || *told.lock() = commons.shares.follow(&owner, &from.path, &to.path);
        (Arc::new(bench.followed_by(follow)), ended)
    }

    /// Keeps what a move has done to shares.
    async fn keep_shares(&self, to: &Spot, ended: &Ended) {
        if let (Some(commons), Some(owner)) = (&self.commons, owner(to)) {
            let ended = std::mem::take(&mut *ended.lock());
            commons.shares.keep_moved(&owner, &to.path, &ended).await;
            self.report_ended(commons, &ended).await;
        }
    }

    async fn report_ended(&self, commons: &Commons, ended: &[Arc<Share>]) {
        let reporter = commons.audit.reporter(Actor::from(&*self.identity), None);
        for share in ended {
            let note = format!("{}: it was deleted, moved away or replaced", share.words());
            reporter.done(Kind::ShareRemoved, &share.id, note).await;
        }
    }
}

/// Whether the name in NFC, by which shares know a place, is that of something else: two names that differ only in their Unicode form can be
/// made beside the server.
async fn has_twin(place: &Place<'_>) -> Result<bool> {
    let known = place.spot().path;
    if known == *place.path {
        return Ok(false);
    }
    let tree = &place.root.tree;
    Ok(
        tree.spelled(&known).await? != tree.spelled(&place.path).await?
            && tree.stat(&place.path).await.is_ok(),
    )
}

/// Whose home a spot lies in.
fn owner(spot: &Spot) -> Option<AccountName> {
    spot.root
        .strip_prefix("home/")
        .and_then(|name| AccountName::parse(name).ok())
}

fn refuse_root(place: &Place<'_>) -> Result<()> {
    if place.below == 0 {
        return Err(Error::Forbidden(
            "The drive itself cannot be moved, replaced or deleted.",
        ));
    }
    Ok(())
}
