//! The preconditions of a request with its paths resolved: what a tree checks in the step that makes the change, and the drive before.

use super::access::Access;
use super::change_access::ChangeAccess;
use super::preconditions::{RequestPreconditions, ResourceTag};
use super::resolved_path::ResolvedPath;
use super::{Drive, absent_is_none, present};
use crate::model::{Error, Result, VPath};
use crate::storage::{
    Etag, Expect, IfList, IfResource, IfTag, LockScope, LocksSeen, Preconditions, ResourceId, Seen,
    WriteOptions,
};
use std::sync::Arc;

/// What writing at a place needs: a lock on the folder guards only against new members.
pub(super) fn scopes_to_create(place: &ResolvedPath<'_>) -> Vec<LockScope> {
    let parent = parent(place).map(LockScope::NewMember);
    parent
        .into_iter()
        .chain([LockScope::Content(place.resource_id())])
        .collect()
}

/// What replacing whatever is at a place needs.
pub(super) fn scopes_to_replace(place: &ResolvedPath<'_>) -> Vec<LockScope> {
    let parent = parent(place).map(LockScope::Members);
    parent
        .into_iter()
        .chain([
            LockScope::Content(place.resource_id()),
            LockScope::Subtree(place.resource_id()),
        ])
        .collect()
}

fn parent(place: &ResolvedPath<'_>) -> Option<ResourceId> {
    let resource = place.resource_id();
    resource.path.parent().map(|path| ResourceId {
        root: resource.root,
        path,
    })
}

/// What taking something away needs.
pub(super) fn scopes_to_delete(place: &ResolvedPath<'_>) -> Vec<LockScope> {
    scopes_to_replace(place)
}

/// The preconditions of one request, and what lets it in.
#[derive(Clone, Debug)]
pub(super) struct ResolvedPreconditions {
    preconditions: Arc<Preconditions>,
    access: Arc<ChangeAccess>,
    is_synced_later: bool,
    fits: bool,
}

impl ResolvedPreconditions {
    /// The options of a change by `drive` to hand to a tree.
    pub(super) fn write_options(&self, drive: &Drive) -> WriteOptions {
        WriteOptions {
            defer_sync: self.is_synced_later,
            skip_depth_check: self.fits,
            preconditions: Some(self.preconditions.clone()),
            access: Some(self.access.clone()),
            ..WriteOptions::by(drive.identity.account.clone())
        }
    }

    /// The same, if it also has this access at another place.
    pub(super) fn with_access_at(mut self, place: &ResolvedPath<'_>, access: Access) -> Self {
        Arc::make_mut(&mut self.access).add(place.mount.clone(), access);
        self
    }
}

impl Drive {
    /// The preconditions of a change at `place`, resolved.
    pub(super) async fn resolve_preconditions(
        &self,
        place: &ResolvedPath<'_>,
        preconditions: RequestPreconditions,
        scopes: Vec<LockScope>,
    ) -> Result<ResolvedPreconditions> {
        self.resolve_preconditions_for(place, place, preconditions, scopes)
            .await
    }

    /// The preconditions of a request that names `place` and changes what is at `changed`. What it reads elsewhere must be added
    /// ([`with_access_at`](ResolvedPreconditions::with_access_at)).
    pub(super) async fn resolve_preconditions_for(
        &self,
        place: &ResolvedPath<'_>,
        changed: &ResolvedPath<'_>,
        asked: RequestPreconditions,
        scopes: Vec<LockScope>,
    ) -> Result<ResolvedPreconditions> {
        let mut access = ChangeAccess::new(self.identity.access.clone());
        access.add(changed.mount.clone(), Access::Change);
        let mut preconditions = Preconditions {
            tokens: asked.submitted_tokens().map(str::to_owned).collect(),
            scopes,
            holder: Some(self.holder()),
            hide_holder: self.hides_lock_holders(),
            ..Preconditions::default()
        };
        if !asked.if_lists.is_empty() {
            self.resolve_if_header(place, &asked, &mut preconditions)
                .await?;
        }
        preconditions.expect = asked.expect;
        Ok(ResolvedPreconditions {
            preconditions: Arc::new(preconditions),
            access: Arc::new(access),
            is_synced_later: asked.is_synced_later,
            fits: asked.fits,
        })
    }

    /// The conditions of a change at `place`, to be checked when it happens.
    pub(super) async fn write_options(
        &self,
        place: &ResolvedPath<'_>,
        preconditions: RequestPreconditions,
        scopes: Vec<LockScope>,
    ) -> Result<WriteOptions> {
        Ok(self
            .resolve_preconditions(place, preconditions, scopes)
            .await?
            .write_options(self))
    }

    /// Checks a change now, before its body has come; it is checked again when it happens.
    pub(super) async fn check_early(
        &self,
        place: &ResolvedPath<'_>,
        commit: &WriteOptions,
    ) -> Result<()> {
        self.check_with(place, commit, &self.locks_near(commit).await?)
            .await
    }

    /// The locks near what a change takes hold of.
    pub(super) async fn locks_near(&self, commit: &WriteOptions) -> Result<LocksSeen> {
        match &commit.preconditions {
            Some(asked) => self.locks.look(&asked.scopes, &asked.named).await,
            None => self.locks.look(&[], &[]).await,
        }
    }

    /// As [`check_early`](Self::check_early), with the locks that were seen.
    pub(super) async fn check_with(
        &self,
        place: &ResolvedPath<'_>,
        commit: &WriteOptions,
        locks: &LocksSeen,
    ) -> Result<()> {
        let present = present(place).await?;
        let tags = match &commit.preconditions {
            Some(asked) => tags_of(place, &asked.tagged).await?,
            None => Vec::new(),
        };
        commit.check(&Seen {
            present: present.as_ref(),
            tags: &tags,
            locks,
            is_closed: place.root.is_closed(),
        })
    }

    /// Checks the conditions of a request that takes the mount at `path` out of the drive or gives it another name. That changes nothing of
    /// what it shows, so no token is asked for its locks.
    pub(super) async fn check_mount_change(
        &self,
        path: &VPath,
        asked: RequestPreconditions,
    ) -> Result<()> {
        if asked.expect == Expect::Any && asked.if_lists.is_empty() {
            return Ok(());
        }
        let place = self.resolve_authorized(path, Access::Stat).await?;
        let asked = self
            .resolve_preconditions(&place, asked, Vec::new())
            .await?
            .preconditions;
        asked.check(&Seen {
            present: present(&place).await?.as_ref(),
            tags: &tags_of(&place, &asked.tagged).await?,
            locks: &self.locks.look(&asked.scopes, &asked.named).await?,
            is_closed: false,
        })
    }

    async fn resolve_if_header(
        &self,
        place: &ResolvedPath<'_>,
        asked: &RequestPreconditions,
        preconditions: &mut Preconditions,
    ) -> Result<()> {
        for list in &asked.if_lists {
            let resource = match &list.resource {
                ResourceTag::Request => IfResource::Target(place.resource_id()),
                ResourceTag::Elsewhere => IfResource::Elsewhere,
                ResourceTag::Path(path) => {
                    let is_asked = asked.etag_paths().any(|asked| asked == path);
                    self.resolve_tag(place, (path, is_asked), &mut preconditions.tagged)
                        .await?
                }
            };
            if let IfResource::Target(named) | IfResource::Tagged(named, _) = &resource {
                preconditions.named.push(named.clone());
            }
            preconditions.if_lists.push(IfList {
                resource,
                conditions: list.conditions.clone(),
            });
        }
        Ok(())
    }

    /// Where a tagged list leads, and whether the tree of the request's own `place` is to read its entity tag.
    async fn resolve_tag(
        &self,
        place: &ResolvedPath<'_>,
        (path, is_asked): (&VPath, bool),
        tagged: &mut Vec<VPath>,
    ) -> Result<IfResource> {
        let other = match self.resolve_authorized(path, Access::Read).await {
            Ok(other) => other,
            // What may not be seen has no state.
            Err(Error::NotFound | Error::Forbidden(_)) => return Ok(IfResource::Elsewhere),
            Err(error) => return Err(error),
        };
        let resource = other.resource_id();
        if resource == place.resource_id() {
            return Ok(IfResource::Target(resource));
        }
        let tag = if !is_asked {
            IfTag::Known(None)
        } else if resource.root == place.root.id {
            tagged.push(other.path.into_owned());
            IfTag::Read(tagged.len() - 1)
        } else {
            IfTag::Known(present(&other).await?.map(|node| node.etag))
        };
        Ok(IfResource::Tagged(resource, tag))
    }
}

/// The entity tags at some paths of the tree of `place`; `None` where nothing is.
async fn tags_of(place: &ResolvedPath<'_>, paths: &[VPath]) -> Result<Vec<Option<Etag>>> {
    let mut tags = Vec::new();
    for path in paths {
        let found = absent_is_none(place.root.tree.stat(path).await)?;
        tags.push(found.map(|node| node.etag));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests;
