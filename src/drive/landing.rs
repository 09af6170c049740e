//! The one way from the paths of a drive to places: its scope, its home and its mounts.

use super::hall::Hall;
use super::mounts::Way;
use super::place::{Access, Place, authorise, narrower};
use super::{Drive, absent_is_none};
use crate::model::{Error, Result, ScopeTarget, VPath};
use std::borrow::Cow;
use std::sync::Arc;

/// Where a path of a drive lands.
#[derive(Debug)]
pub(super) enum Landing<'a> {
    /// In a root.
    Place(Place<'a>),
    /// On a folder of mounts, which is in no root.
    Hall(Arc<Hall>),
    /// On the top of a drive that shows one file in a folder of its own.
    Case,
    /// Beneath such a folder, where nothing is.
    Nowhere,
}

impl Drive {
    /// Where a path lands, by what is in memory. In a mount only after [`resolve`](Self::resolve) has found and opened it.
    pub(super) fn locate<'a>(&self, path: &'a VPath) -> Result<Landing<'a>> {
        let scope = &self.identity.scope;
        if self.encased {
            let is_file =
                path.names().count() == 1 && path.to_nfc().name() == scope.to_nfc().name();
            return Ok(match is_file {
                true => Landing::Place(Place {
                    path: Cow::Owned(scope.clone()),
                    below: 0,
                    ..self.top()
                }),
                false if path.is_root() => Landing::Case,
                false => Landing::Nowhere,
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
            .map_or(Way::Home, |mounts| mounts.way(&whole))
        {
            Way::Home => Ok(Landing::Place(Place {
                path: whole,
                below: path.names().count(),
                ..self.top()
            })),
            Way::Hall(hall) => Ok(Landing::Hall(hall)),
            Way::Nowhere => Ok(Landing::Nowhere),
            Way::Mount(mount, rest) => {
                let grant = mount.grant()?;
                let opened = mount.opened().ok_or(Error::NotFound)?.clone();
                let rights = narrower(self.identity.rights, grant.rights).ok_or(Error::NotFound)?;
                let below = rest.names().count().min(path.names().count());
                let path = Cow::Owned(rest.beneath(&grant.base));
                let mount = Some(mount);
                Ok(Landing::Place(Place {
                    root: opened.root,
                    path,
                    rights,
                    quota: opened.quota,
                    below,
                    mount,
                }))
            }
        }
    }

    /// The top of the home.
    pub(super) fn top(&self) -> Place<'static> {
        let (root, rights, quota) = (self.home.clone(), self.identity.rights, self.identity.quota);
        Place {
            root,
            path: Cow::Owned(VPath::root()),
            rights,
            quota,
            below: 0,
            mount: None,
        }
    }

    /// Where a path lands; `NotFound` when what the drive is confined to is gone, or another thing has its name.
    pub(super) async fn resolve<'a>(&self, path: &'a VPath) -> Result<Landing<'a>> {
        self.check()?;
        let scope = &self.identity.scope;
        if let Some(mounts) = &self.mounts
            && let Way::Mount(mount, _) = mounts.find_way(&path.beneath(scope)).await?
        {
            mount.node().await?;
        }
        let landing = self.locate(path)?;
        if !scope.is_root() {
            self.check_scope().await?;
        }
        Ok(landing)
    }

    async fn check_scope(&self) -> Result<()> {
        let top = VPath::root();
        let is_there = match (self.locate(&top)?, self.identity.target) {
            (Landing::Place(place), Some(ScopeTarget::File(id))) => {
                let (_, found) = place
                    .root
                    .tree
                    .identify(&place.path)
                    .await
                    .map_err(super::gone)?;
                found.to_bytes() == id
            }
            (Landing::Place(place), None) => {
                place
                    .root
                    .tree
                    .stat(&place.path)
                    .await
                    .map_err(super::gone)?;
                true
            }
            (Landing::Hall(_), Some(ScopeTarget::Mounts)) | (_, None) => true,
            (_, Some(_)) => false,
        };
        if is_there {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// What the drive is confined to, as something bound to it keeps that: a file id is kept with it from now on. `None` where nothing is.
    pub async fn keep_scope(&self) -> Result<Option<ScopeTarget>> {
        match absent_is_none(self.resolve(&VPath::root()).await)? {
            Some(Landing::Place(place)) => {
                let (_, id) = place.root.tree.keep_id(&place.path).await?;
                Ok(Some(ScopeTarget::File(id.to_bytes())))
            }
            Some(Landing::Hall(_)) => Ok(Some(ScopeTarget::Mounts)),
            Some(Landing::Case | Landing::Nowhere) | None => Ok(None),
        }
    }

    /// Where a path lands, if `access` is allowed there.
    pub(super) async fn admitted<'a>(&self, path: &'a VPath, access: Access) -> Result<Place<'a>> {
        match self.resolve(path).await? {
            Landing::Place(place) => {
                authorise(&place, access)?;
                Ok(place)
            }
            Landing::Nowhere if matches!(access, Access::Stat | Access::Read) => {
                Err(Error::NotFound)
            }
            Landing::Hall(_) | Landing::Nowhere | Landing::Case => Err(Error::Forbidden(
                "This folder shows what was shared, and nothing else can be in it.",
            )),
        }
    }
}
