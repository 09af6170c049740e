//! Rewinding: a folder, or some of what is in it, as it was at a moment. It is made of moves, the trash and versions, so that nothing
//! is lost by it, and a rewind can itself be rewound.

mod actions;

use super::access::Access;
use super::resolved_path::ResolvedPath;
use super::{Drive, RequestPreconditions, resolved_preconditions};
use crate::model::{AccountName, Error, RelPath, Result, VPath};
use crate::storage::history::{RewindPlan, RewindSource, RewindStep};
use crate::storage::{InitialContent, LockScope, SpaceRequest, WriteOptions};
use actions::list_actions;
pub use actions::{RewindAction, RewoundPath};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

/// What a rewind comes to.
#[derive(Clone, Debug, Default)]
pub struct RewindSummary {
    /// The first of what changes, in this order.
    pub changes: Vec<RewoundPath>,
    /// How many changes there are in all.
    pub count: u64,
    /// The first of what was there and is not kept any more.
    pub lost: Vec<VPath>,
    /// How many those are in all.
    pub lost_count: u64,
    /// Since when every change is known.
    pub since: Option<SystemTime>,
}

/// What is wanted of a rewind.
#[derive(Clone, Debug)]
pub struct RewindRequest {
    /// The moment to go back to.
    pub moment: SystemTime,
    /// What of the folder; all if empty.
    pub only: Vec<VPath>,
    /// Whether it is only said what would change.
    pub dry_run: bool,
    /// The tokens of the locks that may be passed, and no condition.
    pub submitted: RequestPreconditions,
}

impl Drive {
    /// Makes a folder, or some of what is in it, as it was. Refused before anything changes: `Locked` when a lock stands on what
    /// would change, `NoSpace`. `NotFound` when it was not there.
    pub async fn rewind(&self, path: &VPath, wish: RewindRequest) -> Result<RewindSummary> {
        let place = self.rewindable(path).await?;
        let mut only = Vec::new();
        for item in &wish.only {
            let item = self.rewindable(item).await?;
            if item.root.id != place.root.id || !item.path.is_within(&place.path) {
                let why = "Each must lie in the folder that is rewound.".into();
                return Err(Error::Invalid {
                    pointer: "/only".into(),
                    why,
                });
            }
            only.push(item.path.into_owned());
        }
        let rewind = place
            .root
            .tree
            .plan_rewind(&place.path, wish.moment, &only)
            .await?;
        if !wish.dry_run {
            self.check_rewind(&place, &rewind, &wish.submitted).await?;
            self.apply_rewind(&place, &rewind, &wish.submitted).await?;
        }
        let top = top_of(path, &place);
        let seen = |path: &RelPath| path.after(&top.1).unwrap_or_default().beneath(&top.0);
        let changes = list_actions(&rewind, &seen).await?;
        let lost = rewind.lost.iter().map(seen).collect();
        Ok(RewindSummary {
            changes,
            count: rewind.count,
            lost,
            lost_count: rewind.lost_count,
            since: rewind.since,
        })
    }

    /// A place whose past is for whoever asks: in the home or a team folder. What is shared is its owner's to rewind.
    async fn rewindable<'a>(&self, path: &'a VPath) -> Result<ResolvedPath<'a>> {
        if self.identity.is_confined() {
            return Err(Error::Forbidden("Rewinding is for the account itself."));
        }
        let place = self.resolve_authorized(path, Access::Change).await?;
        if place.mount.is_some() && !place.root.id.starts_with("team/") {
            return Err(Error::Forbidden("What is shared is rewound by its owner."));
        }
        Ok(place)
    }

    /// Refuses a rewind that would not go through.
    async fn check_rewind(
        &self,
        place: &ResolvedPath<'_>,
        rewind: &RewindPlan,
        submitted: &RequestPreconditions,
    ) -> Result<()> {
        let mut next = 0;
        loop {
            let (steps, end) = rewind.steps.read(next).await?;
            if steps.is_empty() {
                break;
            }
            next = end;
            let commit = self
                .write_options(place, submitted.clone(), lock_scopes_of(place, &steps))
                .await?;
            self.check_early(place, &commit).await?;
        }
        let Some(quota) = place.quota.filter(|_| rewind.grows > rewind.shrinks) else {
            return Ok(());
        };
        let used = place.root.tree.usage().await?.used;
        let after = used
            .saturating_add(rewind.grows)
            .saturating_sub(rewind.shrinks);
        if after > quota {
            Err(Error::NoSpace)
        } else {
            Ok(())
        }
    }

    /// Takes the steps, without a limit on the room of each: what they come to was admitted.
    async fn apply_rewind(
        &self,
        place: &ResolvedPath<'_>,
        rewind: &RewindPlan,
        submitted: &RequestPreconditions,
    ) -> Result<()> {
        let place = &ResolvedPath {
            quota: None,
            ..place.clone()
        };
        let mut discarded = DeletedItems::default();
        let mut next = 0;
        // The records of shares that follow a step must not reach the disk before it.
        let way = StepOptions {
            needed: &rewind.needed,
            submitted,
            is_synced_later: !self.has_shares_in(place),
        };
        loop {
            let (steps, end) = rewind.steps.read(next).await?;
            if steps.is_empty() {
                return Ok(());
            }
            next = end;
            let mut taken = Ok(());
            for step in &steps {
                taken = self.apply_step(place, step, &way, &mut discarded).await;
                if taken.is_err() {
                    break;
                }
            }
            // One wait for some hundred of them instead of three for each.
            taken.and(rewind.steps.sync().await)?;
        }
    }

    async fn apply_step(
        &self,
        place: &ResolvedPath<'_>,
        step: &RewindStep,
        way: &StepOptions<'_>,
        discarded: &mut DeletedItems,
    ) -> Result<()> {
        let later = || RequestPreconditions {
            is_synced_later: way.is_synced_later,
            fits: true,
            ..way.submitted.clone()
        };
        match step {
            RewindStep::Discard { path } => {
                let id = self.delete_at(&at(place, path), later()).await?.id;
                discarded.note(way.needed, id);
                Ok(())
            }
            RewindStep::Move {
                from: RewindSource::Path(from),
                to,
            } => self
                .move_within(&at(place, from), &at(place, to), false, later())
                .await
                .map(drop),
            RewindStep::Move {
                from: RewindSource::Trash { id, inner },
                to,
            } => self.fetch(place, (id, inner), to, way).await,
            RewindStep::Move {
                from: RewindSource::Discarded { index, inner },
                to,
            } => {
                let id = discarded.ids.get(index).ok_or(Error::Conflict)?;
                self.fetch(place, (id, inner), to, way).await
            }
            RewindStep::Make { path } => {
                let place = at(place, path);
                let commit = self
                    .write_options(
                        &place,
                        later(),
                        resolved_preconditions::scopes_to_create(&place),
                    )
                    .await?;
                place.root.tree.mkdir(&place.path, commit).await.map(drop)
            }
            RewindStep::Revert { path, version } => {
                self.restore_version_at(&at(place, path), version, way.submitted.clone())
                    .await
            }
            RewindStep::Blank { path } => self.blank(&at(place, path), way).await,
        }
    }

    fn has_shares_in(&self, place: &ResolvedPath<'_>) -> bool {
        let owner = place
            .root
            .id
            .strip_prefix("home/")
            .and_then(|name| AccountName::parse(name).ok());
        let shares = self
            .context
            .as_ref()
            .zip(owner)
            .map(|(context, owner)| context.sharing.shares.of(&owner));
        shares.is_some_and(|shares| !shares.is_empty())
    }

    async fn fetch(
        &self,
        place: &ResolvedPath<'_>,
        (id, inner): (&str, &RelPath),
        to: &RelPath,
        way: &StepOptions<'_>,
    ) -> Result<()> {
        let to = at(place, to);
        let commit = self
            .write_options(
                &to,
                way.submitted.clone(),
                resolved_preconditions::scopes_to_create(&to),
            )
            .await?;
        let commit = WriteOptions {
            limit: to.quota,
            skip_depth_check: true,
            ..commit
        };
        let tree = &to.root.tree;
        tree.restore_part(id, inner, &to.path, commit)
            .await
            .map(drop)
    }

    async fn blank(&self, place: &ResolvedPath<'_>, way: &StepOptions<'_>) -> Result<()> {
        let commit = self
            .write_options(
                place,
                way.submitted.clone(),
                resolved_preconditions::scopes_to_create(place),
            )
            .await?;
        let upload = place
            .root
            .tree
            .begin_upload(&place.path, InitialContent::Empty, SpaceRequest::of(0))
            .await?;
        let commit = WriteOptions {
            keep_replaced: true,
            ..commit
        };
        upload.commit(commit).await.map(drop)
    }
}

/// How the steps of a rewind are taken.
struct StepOptions<'a> {
    /// Which of the discarded are needed by later steps.
    needed: &'a HashSet<usize>,
    /// The tokens of the locks that may be passed.
    submitted: &'a RequestPreconditions,
    is_synced_later: bool,
}

/// Another path of the same root.
fn at(place: &ResolvedPath<'_>, path: &RelPath) -> ResolvedPath<'static> {
    let root = place.root.clone();
    let mount = place.mount.clone();
    let below = path.names().count();
    ResolvedPath {
        root,
        path: Cow::Owned(path.clone()),
        rights: place.rights,
        quota: place.quota,
        depth: below,
        mount,
    }
}

/// Where the root of a place shows in the drive, and which of its paths that is.
fn top_of(path: &VPath, place: &ResolvedPath<'_>) -> (VPath, RelPath) {
    let mut seen = path.clone();
    let mut real = place.path.clone().into_owned();
    while let (Some(above), Some(parent)) = (seen.parent(), real.parent()) {
        (seen, real) = (above, parent);
    }
    (seen, real)
}

/// What the steps so far have moved to the trash: what of it a later step needs, each under its number.
#[derive(Default)]
struct DeletedItems {
    count: usize,
    ids: HashMap<usize, String>,
}

impl DeletedItems {
    fn note(&mut self, needed: &HashSet<usize>, what: String) {
        if needed.contains(&self.count) {
            self.ids.insert(self.count, what);
        }
        self.count += 1;
    }
}

/// What some steps take hold of.
fn lock_scopes_of(place: &ResolvedPath<'_>, steps: &[RewindStep]) -> Vec<LockScope> {
    let mut scopes = Vec::new();
    for step in steps {
        match step {
            RewindStep::Move { from, to } => {
                scopes.extend(resolved_preconditions::scopes_to_replace(&at(place, to)));
                if let RewindSource::Path(from) = from {
                    scopes.extend(resolved_preconditions::scopes_to_delete(&at(place, from)));
                }
            }
            RewindStep::Discard { path } => {
                scopes.extend(resolved_preconditions::scopes_to_delete(&at(place, path)));
            }
            RewindStep::Make { path } => {
                scopes.extend(resolved_preconditions::scopes_to_replace(&at(place, path)));
            }
            RewindStep::Revert { path, .. } | RewindStep::Blank { path } => {
                scopes.push(LockScope::Content(at(place, path).resource_id()));
            }
        }
    }
    scopes
}

#[cfg(test)]
mod tests;
