//! The check of a change at the moment it happens: the locks in its way and the `If` lists it came with.

use super::access::Access;
use super::locks::Locks;
use super::mounts::Mount;
use super::named_tree::NamedTree;
use super::preconditions::{Preconditions, ResolvedIfHeader, ResourceTag, TaggedResource};
use super::resolved_path::ResolvedPath;
use super::resource_id::ResourceId;
use super::{Drive, present};
use crate::model::{AccessCheck, Error, Result};
use crate::storage::{Node, PreconditionCheck, WriteOptions};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A refusal that does not say whose lock is in the way.
pub(super) fn without_holder(error: Error) -> Error {
    match error {
        Error::Locked { .. } => Error::Locked {
            holder: "somebody else".into(),
        },
        error => error,
    }
}

/// What a change takes hold of; locks on it ask for their tokens.
#[derive(Clone, Debug)]
pub(super) enum LockScope {
    /// Content or properties of a place.
    Content(ResourceId),
    /// The members of a folder.
    Members(ResourceId),
    /// The members of a folder, if nothing stands at the target yet.
    NewMember(ResourceId),
    /// All that lies at a place and below it, which goes away: its locks end with the change.
    Subtree(ResourceId),
}

impl LockScope {
    fn resource(&self) -> &ResourceId {
        match self {
            Self::Content(resource)
            | Self::Members(resource)
            | Self::NewMember(resource)
            | Self::Subtree(resource) => resource,
        }
    }
}

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

/// The preconditions of one request with paths resolved; the outcome of the change is read from it.
pub(super) struct ResolvedPreconditions {
    root: Arc<NamedTree>,
    /// What let the identity in.
    access: Arc<dyn AccessCheck>,
    /// The mounts that it reads or changes something in.
    mounts: Vec<(Arc<Mount>, Access)>,
    /// Hide the lock holder's name (visitors of a public link).
    hide_holder: bool,
    locks: Arc<Locks>,
    if_header: ResolvedIfHeader,
    lock_scopes: Vec<LockScope>,
    /// The tokens of the locks that stood on what has gone away.
    ended_locks: Mutex<Vec<String>>,
    /// Whether what stood at the target when it was last checked was a folder.
    met_folder_at_target: AtomicBool,
    /// What must follow in the step that makes the change.
    on_commit: Option<Box<dyn Fn() + Send + Sync>>,
}

impl ResolvedPreconditions {
    /// The conditions to hand to a tree.
    pub(super) fn write_options(self: &Arc<Self>) -> WriteOptions {
        let expect = self.if_header.preconditions.expect.clone();
        let Preconditions {
            is_synced_later,
            fits,
            ..
        } = self.if_header.preconditions;
        WriteOptions {
            expect,
            defer_sync: is_synced_later,
            skip_depth_check: fits,
            preconditions: self.clone(),
            ..WriteOptions::by(self.if_header.holder.account.clone())
        }
    }

    /// The tokens of the locks that have lost what they stood on. Known from the moment of the change,
    /// so that a lock granted right after it on something new of the same name is not among them.
    pub(super) fn ended_locks(&self) -> Vec<String> {
        std::mem::take(&mut *self.ended_locks.lock())
    }

    /// Whether what stood at the target when it was last checked was a folder.
    pub(super) fn met_folder_at_target(&self) -> bool {
        self.met_folder_at_target.load(Ordering::Relaxed)
    }

    /// The root in which it changes something.
    pub(super) fn root(&self) -> &Arc<NamedTree> {
        &self.root
    }

    /// Whether the identity, and the mounts at both ends, still let it do this; a look into memory.
    pub(super) fn check(&self) -> Result<()> {
        self.access.check()?;
        self.mounts
            .iter()
            .try_for_each(|(mount, access)| mount.check(*access))
    }

    /// The same, if it also has this access at another place.
    pub(super) fn with_access_at(mut self, place: &ResolvedPath<'_>, access: Access) -> Self {
        self.mounts
            .extend(place.mount.clone().map(|mount| (mount, access)));
        self
    }

    /// The same; `follow` is called in the step that makes the change, once that is made.
    pub(super) fn on_commit(mut self, follow: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_commit = Some(Box::new(follow));
        self
    }

    /// Whether the change may happen; the tokens of the locks that end with it.
    fn evaluate(&self, present: Option<&Node>) -> Result<Vec<String>> {
        if self.root.is_closed() {
            return Err(Error::Forbidden("This account has been removed."));
        }
        self.check()?;
        let held = self.locks.read_guard();
        let now = Instant::now();
        self.if_header.check(&held, present, now)?;
        if self
            .lock_scopes
            .iter()
            .all(|need| held.none_in(&need.resource().root))
        {
            return Ok(Vec::new());
        }
        let who = &self.if_header.holder;
        let tokens = self
            .if_header
            .preconditions
            .submitted_tokens()
            .collect::<Vec<_>>();
        let admitted = self.lock_scopes.iter().try_for_each(|need| match need {
            LockScope::Content(resource) => held.check_content(resource, who, &tokens, now),
            LockScope::NewMember(_) if present.is_some() => Ok(()),
            LockScope::Members(resource) | LockScope::NewMember(resource) => {
                held.check_members(resource, who, &tokens, now)
            }
            LockScope::Subtree(resource) => held.check_subtree(resource, who, &tokens, now),
        });
        admitted.map_err(|error| {
            if self.hide_holder {
                without_holder(error)
            } else {
                error
            }
        })?;
        let gone = self.lock_scopes.iter().filter_map(|need| {
            if let LockScope::Subtree(resource) = need {
                Some(resource)
            } else {
                None
            }
        });
        Ok(gone
            .flat_map(|resource| held.tokens_within(resource))
            .collect())
    }
}

impl PreconditionCheck for ResolvedPreconditions {
    fn check_still_allowed(&self) -> Result<()> {
        Self::check(self)
    }

    fn check_and_apply(
        &self,
        present: Option<&Node>,
        change: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        // What the check rests on holds until this is over: whoever takes a lock from here on waits for it.
        let _turn = self.root.pending_changes.begin();
        let ended = self.evaluate(present)?;
        self.met_folder_at_target
            .store(present.is_some_and(|node| node.folder), Ordering::Relaxed);
        change()?;
        self.on_commit.iter().for_each(|follow| follow());
        self.ended_locks.lock().extend(ended);
        Ok(())
    }
}

impl Drive {
    /// The preconditions of a change at `place`, resolved.
    pub(super) async fn resolve_preconditions(
        &self,
        place: &ResolvedPath<'_>,
        preconditions: Preconditions,
        scopes: Vec<LockScope>,
    ) -> Result<Arc<ResolvedPreconditions>> {
        Ok(Arc::new(
            self.resolve_preconditions_for(place, place, preconditions, scopes)
                .await?,
        ))
    }

    /// The preconditions of a request that names `place` and changes what is at `changed`. What it reads elsewhere must be added
    /// ([`with_access_at`](ResolvedPreconditions::with_access_at)).
    pub(super) async fn resolve_preconditions_for(
        &self,
        place: &ResolvedPath<'_>,
        changed: &ResolvedPath<'_>,
        preconditions: Preconditions,
        scopes: Vec<LockScope>,
    ) -> Result<ResolvedPreconditions> {
        let if_header = self.resolve_if_header(place, preconditions).await?;
        let root = changed.root.clone();
        let locks = self.locks.clone();
        let mounts = Vec::new();
        let ended = Mutex::default();
        let met_folder = AtomicBool::default();
        let following = None;
        let access = self.identity.access.clone();
        let discreet = self.hides_lock_holders();
        let resolved = ResolvedPreconditions {
            root,
            access,
            mounts,
            hide_holder: discreet,
            locks,
            if_header,
            lock_scopes: scopes,
            ended_locks: ended,
            met_folder_at_target: met_folder,
            on_commit: following,
        };
        Ok(resolved.with_access_at(changed, Access::Change))
    }

    /// The conditions of a change at `place`, to be checked when it happens.
    pub(super) async fn write_options(
        &self,
        place: &ResolvedPath<'_>,
        preconditions: Preconditions,
        scopes: Vec<LockScope>,
    ) -> Result<WriteOptions> {
        Ok(self
            .resolve_preconditions(place, preconditions, scopes)
            .await?
            .write_options())
    }

    /// Checks a change now, before its body has come; it is checked again when it happens.
    pub(super) async fn check_early(
        &self,
        place: &ResolvedPath<'_>,
        commit: &WriteOptions,
    ) -> Result<()> {
        let present = present(place).await?;
        if !commit.expect.holds(present.as_ref()) {
            return Err(Error::PreconditionFailed);
        }
        commit
            .preconditions
            .check_and_apply(present.as_ref(), &mut || Ok(()))
    }

    async fn resolve_if_header(
        &self,
        place: &ResolvedPath<'_>,
        preconditions: Preconditions,
    ) -> Result<ResolvedIfHeader> {
        let mut tagged = Vec::new();
        for list in &preconditions.if_lists {
            tagged.push(match &list.resource {
                ResourceTag::Path(path) => Some(self.resolve_tag(path, &preconditions).await?),
                ResourceTag::Request | ResourceTag::Elsewhere => None,
            });
        }
        Ok(ResolvedIfHeader {
            holder: self.holder(),
            resource: place.resource_id(),
            preconditions,
            tagged,
        })
    }

    async fn resolve_tag(
        &self,
        path: &crate::model::VPath,
        preconditions: &Preconditions,
    ) -> Result<TaggedResource> {
        let place = match self.resolve_authorized(path, Access::Read).await {
            Ok(place) => place,
            // What may not be seen has no state.
            Err(Error::NotFound | Error::Forbidden(_)) => {
                return Ok(TaggedResource {
                    resource: ResourceId::none(),
                    etag: None,
                });
            }
            Err(error) => return Err(error),
        };
        let asked = preconditions.etag_paths().any(|asked| asked == path);
        let etag = if asked {
            present(&place).await?.map(|node| node.etag)
        } else {
            None
        };
        Ok(TaggedResource {
            resource: place.resource_id(),
            etag,
        })
    }
}

#[cfg(test)]
mod tests;
