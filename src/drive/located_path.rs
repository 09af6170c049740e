//! A path of a drive that is resolved once, for all that a request asks of it. Rights are not kept: each question asks for them again.

use super::access::{Access, intersect_rights};
use super::locking::LockView;
use super::mounts::ExtendedListing;
use super::resolve::Resolved;
use super::resolved_path::{ResolvedPath, authorize_rights};
use super::{Drive, Quota};
use crate::model::{Error, Result, VPath};
use crate::storage::{DeadProp, FileId, Listing, LockScope, Node, Reader, Usage};
use std::sync::Arc;

/// Where a path of a drive leads.
#[derive(Debug)]
pub struct LocatedPath<'a> {
    drive: &'a Drive,
    path: &'a VPath,
    place: Resolved<'a>,
}

impl Drive {
    /// Finds where a path leads. `NotFound` when the mount that leads there, or what the drive is confined to, is gone.
    pub async fn at<'a>(&'a self, path: &'a VPath) -> Result<LocatedPath<'a>> {
        Ok(LocatedPath {
            drive: self,
            path,
            place: self.resolve(path).await?,
        })
    }
}

impl LocatedPath<'_> {
    /// The path.
    pub fn path(&self) -> &VPath {
        self.path
    }

    /// Whether what lies there may be read by what is granted now: a look into memory. Fails where not even its being there may be known.
    fn may_read(&self, place: &ResolvedPath<'_>) -> Result<bool> {
        self.drive.check()?;
        let rights = match &place.mount {
            Some(mount) => {
                let granted = mount.grant()?.rights;
                intersect_rights(self.drive.identity.rights, granted).ok_or(Error::NotFound)?
            }
            None => place.rights,
        };
        authorize_rights(rights, place.depth, Access::Stat)?;
        Ok(authorize_rights(rights, place.depth, Access::Read).is_ok())
    }

    /// What stands there.
    pub async fn node(&self) -> Result<Node> {
        match &self.place {
            Resolved::Storage(place) => {
                self.may_read(place)?;
                place.root.tree.stat(&place.path).await
            }
            Resolved::MountFolder(folder) => Ok(folder.node()),
            Resolved::SingleFileRoot => self.drive.single_file_root().await,
            Resolved::Missing => Err(Error::NotFound),
        }
    }

    /// What stands there, and which file or folder that is; `NotFound` for a folder of mounts.
    pub async fn identify(&self) -> Result<(Node, FileId)> {
        match &self.place {
            Resolved::Storage(place) => {
                self.may_read(place)?;
                place.root.tree.identify(&place.path).await
            }
            Resolved::MountFolder(_) | Resolved::SingleFileRoot | Resolved::Missing => {
                Err(Error::NotFound)
            }
        }
    }

    /// Begins to read a folder, with dead properties if asked. Those who may only add to it see nothing in it.
    pub async fn list(&self, with_props: bool) -> Result<Box<dyn Listing>> {
        let drive = self.drive;
        let place = match &self.place {
            Resolved::Storage(place) => place,
            Resolved::MountFolder(folder) => {
                return Ok(drive.fixed_listing(folder.entries(with_props).await?));
            }
            Resolved::SingleFileRoot => {
                return Ok(drive.fixed_listing(vec![drive.single_file_entry(with_props).await?]));
            }
            Resolved::Missing => return Err(Error::NotFound),
        };
        if !self.may_read(place)? {
            return Ok(drive.fixed_listing(Vec::new()));
        }
        let inner = place.root.tree.list(&place.path, with_props).await?;
        let listing = match (&drive.mounts, &place.mount) {
            (_, Some(mount)) => mount.listing(&place.path, inner),
            (Some(mounts), None) if place.path.is_root() => Box::new(ExtendedListing {
                inner,
                extra: mounts.entries().await,
            }),
            _ => inner,
        };
        Ok(drive
            .read_access(place.mount.clone())
            .revocable_listing(listing))
    }

    /// Opens a file; `IsFolder`.
    pub async fn open(&self) -> Result<Arc<dyn Reader>> {
        let place = match &self.place {
            Resolved::Storage(place) => place,
            Resolved::MountFolder(_) | Resolved::SingleFileRoot => return Err(Error::IsFolder),
            Resolved::Missing => return Err(Error::NotFound),
        };
        if !self.may_read(place)? {
            return Err(Error::NotFound);
        }
        let reader = place.root.tree.open(&place.path).await?;
        Ok(self
            .drive
            .read_access(place.mount.clone())
            .revocable_reader(reader))
    }

    /// The dead properties of what stands there.
    pub async fn props(&self) -> Result<Vec<DeadProp>> {
        match &self.place {
            Resolved::Storage(place) if self.may_read(place)? => {
                place.root.tree.props(&place.path).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Bytes used and left there.
    pub async fn quota(&self) -> Result<Quota> {
        let top = self.drive.top();
        let place = match &self.place {
            Resolved::Storage(place) => place,
            Resolved::MountFolder(_) | Resolved::SingleFileRoot => &top,
            Resolved::Missing => return Err(Error::NotFound),
        };
        let may_read = self.may_read(place)?;
        let Usage { used, free } = place.root.tree.usage().await?;
        let available = place
            .quota
            .map_or(u64::MAX, |quota| quota.saturating_sub(used))
            .min(free);
        let used = if may_read { used } else { 0 };
        Ok(Quota { used, available })
    }

    /// The locks that cover it, as this identity may see them.
    pub async fn locks(&self) -> Result<Vec<LockView>> {
        match &self.place {
            Resolved::Storage(place) if self.may_read(place).unwrap_or(false) => {
                let resource = place.resource_id();
                let named = std::slice::from_ref(&resource);
                let seen = self.drive.locks.look(&[], named).await?;
                Ok(self.drive.lock_views(&seen, self.path, place))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether no lock stands on a folder or on anything below it: its listing need not ask for each entry.
    pub async fn has_no_locks(&self) -> Result<bool> {
        let Resolved::Storage(place) = &self.place else {
            return Ok(false);
        };
        let resource = place.resource_id();
        let scopes = [LockScope::Subtree(resource.clone())];
        let seen = self.drive.locks.look(&scopes, &[resource]).await?;
        Ok(seen.is_empty())
    }
}
