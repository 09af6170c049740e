//! The one way from the paths of a drive to places: its scope, its home and its mounts.

use super::access::{Access, intersect_rights};
use super::mounts::{MountFolder, MountLookup};
use super::resolved_path::{ResolvedPath, authorize};
use super::{Drive, absent_is_none};
use crate::model::{Error, Result, ScopeTarget, VPath};
use std::borrow::Cow;
use std::sync::Arc;

/// Where a path of a drive lands.
#[derive(Debug)]
pub(super) enum Resolved<'a> {
    /// In a root.
    Storage(ResolvedPath<'a>),
    /// On a folder of mounts, which is in no root.
    MountFolder(Arc<MountFolder>),
    /// On the top of a drive that shows one file in a folder of its own.
    SingleFileRoot,
    /// Beneath such a folder, where nothing is.
    Missing,
}

impl<'a> Resolved<'a> {
    /// Whether it is what a mount shows itself, or a folder of mounts.
    pub(super) fn is_mount(&self) -> bool {
        match self {
            Self::MountFolder(_) => true,
            Self::Storage(place) => place.depth == 0 && place.mount.is_some(),
            Self::SingleFileRoot | Self::Missing => false,
        }
    }

    /// The place in a root, if `access` is allowed there.
    pub(super) fn authorized(self, access: Access) -> Result<ResolvedPath<'a>> {
        match self {
            Self::Storage(place) => {
                authorize(&place, access)?;
                Ok(place)
            }
            Self::Missing if matches!(access, Access::Stat | Access::Read) => Err(Error::NotFound),
            Self::MountFolder(_) | Self::Missing | Self::SingleFileRoot => Err(Error::Forbidden(
                "This folder shows what was shared, and nothing else can be in it.",
            )),
        }
    }
}

impl Drive {
    /// Where a path lands, by what is in memory. In a mount only after [`resolve`](Self::resolve) has found and opened it.
    pub(super) fn resolve_cached<'a>(&self, path: &'a VPath) -> Result<Resolved<'a>> {
        let scope = &self.identity.scope;
        if self.single_file {
            let is_file =
                path.names().count() == 1 && path.to_nfc().name() == scope.to_nfc().name();
            return Ok(match is_file {
                true => Resolved::Storage(ResolvedPath {
                    path: Cow::Owned(scope.clone()),
                    depth: 0,
                    ..self.top()
                }),
                false if path.is_root() => Resolved::SingleFileRoot,
                false => Resolved::Missing,
            });
        }
        let whole = if scope.is_root() {
            Cow::Borrowed(path)
        } else {
            Cow::Owned(path.beneath(scope))
        };
        match self
            .mounts
            .as_ref()
            .map_or(MountLookup::Home, |mounts| mounts.lookup_cached(&whole))
        {
            MountLookup::Home => Ok(Resolved::Storage(ResolvedPath {
                path: whole,
                depth: path.names().count(),
                ..self.top()
            })),
            MountLookup::MountFolder(folder) => Ok(Resolved::MountFolder(folder)),
            MountLookup::Missing => Ok(Resolved::Missing),
            MountLookup::Mount(mount, rest) => {
                let grant = mount.grant()?;
                let opened = mount.opened().ok_or(Error::NotFound)?.clone();
                let rights =
                    intersect_rights(self.identity.rights, grant.rights).ok_or(Error::NotFound)?;
                let below = rest.names().count().min(path.names().count());
                let path = Cow::Owned(rest.beneath(&grant.base));
                let mount = Some(mount);
                Ok(Resolved::Storage(ResolvedPath {
                    root: opened.root,
                    path,
                    rights,
                    quota: opened.quota,
                    depth: below,
                    mount,
                }))
            }
        }
    }

    /// The top of the home.
    pub(super) fn top(&self) -> ResolvedPath<'static> {
        let root = self.home.clone();
        let rights = self.identity.rights;
        let quota = self.identity.quota;
        ResolvedPath {
            root,
            path: Cow::Owned(VPath::root()),
            rights,
            quota,
            depth: 0,
            mount: None,
        }
    }

    /// Where a path lands; `NotFound` when what the drive is confined to is gone, or another thing has its name.
    pub(super) async fn resolve<'a>(&self, path: &'a VPath) -> Result<Resolved<'a>> {
        self.check()?;
        let scope = &self.identity.scope;
        if let Some(mounts) = &self.mounts
            && let MountLookup::Mount(mount, _) = mounts.lookup(&path.beneath(scope)).await?
        {
            mount.node().await?;
        }
        let landing = self.resolve_cached(path)?;
        if !scope.is_root() {
            self.check_scope().await?;
        }
        Ok(landing)
    }

    async fn check_scope(&self) -> Result<()> {
        let top = VPath::root();
        let is_there = match (self.resolve_cached(&top)?, self.identity.target) {
            (Resolved::Storage(place), Some(ScopeTarget::File(id))) => {
                let (_, found) = place
                    .root
                    .tree
                    .identify(&place.path)
                    .await
                    .map_err(super::gone)?;
                found.to_bytes() == id
            }
            (Resolved::Storage(place), None) => {
                place
                    .root
                    .tree
                    .stat(&place.path)
                    .await
                    .map_err(super::gone)?;
                true
            }
            (Resolved::MountFolder(_), Some(ScopeTarget::Mounts)) | (_, None) => true,
            (_, Some(_)) => false,
        };
        if is_there {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// What the drive is confined to, as something bound to it keeps that: a file id is kept with it from now on. `None` where nothing is.
    pub async fn persist_scope(&self) -> Result<Option<ScopeTarget>> {
        match absent_is_none(self.resolve(&VPath::root()).await)? {
            Some(Resolved::Storage(place)) => {
                let (_, id) = place.root.tree.keep_id(&place.path).await?;
                Ok(Some(ScopeTarget::File(id.to_bytes())))
            }
            Some(Resolved::MountFolder(_)) => Ok(Some(ScopeTarget::Mounts)),
            Some(Resolved::SingleFileRoot | Resolved::Missing) | None => Ok(None),
        }
    }

    /// Where a path lands, if `access` is allowed there.
    pub(super) async fn resolve_authorized<'a>(
        &self,
        path: &'a VPath,
        access: Access,
    ) -> Result<ResolvedPath<'a>> {
        self.resolve(path).await?.authorized(access)
    }
}
