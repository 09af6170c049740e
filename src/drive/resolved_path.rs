//! Where a path of a drive leads. Locks and shares key on resolved paths, so that they hold on every way to a file.

use super::access::{Access, VIEW_ONLY};
use super::mounts::Mount;
use super::named_tree::NamedTree;
use crate::model::{Error, RelPath, Result, Rights};
use crate::storage::ResourceId;
use std::borrow::Cow;
use std::sync::Arc;

/// Where a path lands, and what may be done there.
#[derive(Clone, Debug)]
pub struct ResolvedPath<'a> {
    /// The root.
    pub root: Arc<NamedTree>,
    /// The path beneath it, as the client spelled it.
    pub path: Cow<'a, RelPath>,
    /// What may be done there.
    pub rights: Rights,
    /// The quota of whoever pays for what is stored there; `None` is unlimited.
    pub quota: Option<u64>,
    /// How many names it lies below what cannot be moved, replaced or deleted: the top of the drive or mount.
    pub depth: usize,
    /// The mount it lies in; `None` in the home.
    pub mount: Option<Arc<Mount>>,
}

/// The one answer to whether something may be done at a place. What may not be seen is not there.
pub fn authorize(place: &ResolvedPath<'_>, access: Access) -> Result<()> {
    authorize_rights(place.rights, place.depth, access)
}

/// The same, by these rights so many names below the top of the drive or mount.
pub fn authorize_rights(rights: Rights, depth: usize, access: Access) -> Result<()> {
    match (rights, access) {
        (Rights::Edit, _) | (Rights::View, Access::Stat | Access::Read) => Ok(()),
        (Rights::View, _) => Err(Error::Forbidden(VIEW_ONLY)),
        (Rights::Drop, Access::Stat) if depth == 0 => Ok(()),
        (Rights::Drop, Access::Create) if depth == 1 => Ok(()),
        (Rights::Drop, Access::Stat | Access::Read) => Err(Error::NotFound),
        (Rights::Drop, _) => Err(Error::Forbidden(
            "You may add new files here, and nothing else.",
        )),
    }
}

impl ResolvedPath<'_> {
    /// What records and locks know this place by: both spellings of a name are one place.
    pub fn resource_id(&self) -> ResourceId {
        ResourceId {
            root: self.root.id.clone(),
            path: self.path.to_nfc(),
        }
    }
}
