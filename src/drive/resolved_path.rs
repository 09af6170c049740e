//! Where a virtual path lands. Locks, and shares, key on places, so that they hold on every way to a file.

use super::mounts::Mount;
use super::pending_changes::PendingChanges;
use crate::model::{Error, RelPath, Result, Rights};
use crate::storage::Tree;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A tree and the name that records know it by (`home/ana`).
#[derive(Debug)]
pub struct NamedTree {
    /// Its name in records.
    pub id: Arc<str>,
    /// Its files.
    pub tree: Arc<dyn Tree>,
    closed: AtomicBool,
    /// The changes that are judged and not over.
    pub(super) pending_changes: PendingChanges,
}

impl NamedTree {
    /// A tree under its name.
    pub fn new(id: Arc<str>, tree: Arc<dyn Tree>) -> Self {
        Self {
            id,
            tree,
            closed: AtomicBool::new(false),
            pending_changes: PendingChanges::default(),
        }
    }

    /// Lets nothing change any more, neither by requests that are under way nor by drives that are still held.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether nothing may change any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

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

/// What a request wants to do at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To know whether it is there, and what it is.
    Stat,
    /// To read what is in it, or said about it.
    Read,
    /// To make a file where nothing is.
    Create,
    /// Anything else.
    Change,
}

/// What is said to who may only look.
pub const VIEW_ONLY: &str = "You may see this, and not change it.";

/// The one answer to whether something may be done at a place. What may not be seen is not there.
pub fn authorize(place: &ResolvedPath<'_>, access: Access) -> Result<()> {
    match (place.rights, access) {
        (Rights::Edit, _) | (Rights::View, Access::Stat | Access::Read) => Ok(()),
        (Rights::View, _) => Err(Error::Forbidden(VIEW_ONLY)),
        (Rights::Drop, Access::Stat) if place.depth == 0 => Ok(()),
        (Rights::Drop, Access::Create) if place.depth == 1 => Ok(()),
        (Rights::Drop, Access::Stat | Access::Read) => Err(Error::NotFound),
        (Rights::Drop, _) => Err(Error::Forbidden(
            "You may add new files here, and nothing else.",
        )),
    }
}

/// What both allow; `None` for nothing at all.
pub fn intersect_rights(one: Rights, other: Rights) -> Option<Rights> {
    match (one, other) {
        (Rights::Edit, rights) | (rights, Rights::Edit) => Some(rights),
        _ => (one == other).then_some(one),
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

/// The name of a place in records: its root's name and its path in NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceId {
    /// The root's name.
    pub root: Arc<str>,
    /// The path in NFC.
    pub path: RelPath,
}

impl ResourceId {
    /// What nothing stands at and no lock covers.
    pub fn none() -> Self {
        Self {
            root: "".into(),
            path: RelPath::root(),
        }
    }
}
