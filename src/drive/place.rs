//! Where a virtual path lands. Locks, and later shares, key on places, so that they hold on every way to a file.

use crate::content::ContentTree;
use crate::model::RelPath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A tree and the name that records know it by (`home/ana`).
#[derive(Debug)]
pub struct Root {
    /// Its name in records.
    pub id: Arc<str>,
    /// Its files.
    pub tree: Arc<dyn ContentTree>,
    closed: AtomicBool,
}

impl Root {
    /// A tree under its name.
    pub fn new(id: Arc<str>, tree: Arc<dyn ContentTree>) -> Self {
        Self { id, tree, closed: AtomicBool::new(false) }
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

/// A path beneath a root.
#[derive(Clone, Debug)]
pub struct Place {
    /// The root.
    pub root: Arc<Root>,
    /// The path beneath it, as the client spelled it.
    pub path: RelPath,
}

impl Place {
    /// What records and locks know this place by: both spellings of a name are one place.
    pub fn spot(&self) -> Spot {
        Spot { root: self.root.id.clone(), path: self.path.to_nfc() }
    }
}

/// The name of a place in records: its root's name and its path in NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The root's name.
    pub root: Arc<str>,
    /// The path in NFC.
    pub path: RelPath,
}
