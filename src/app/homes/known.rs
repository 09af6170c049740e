//! Which homes and team folders have been made, by the id that each carries in its `.sarang`. What is known and not there is missing,
//! as when its disk is not mounted: it is never made anew.

use super::TreeKind;
use crate::model::{Error, Result};
use crate::state::table::{self, Table};
use crate::state::{Batch, StateStore};
use crate::storage::local::in_place::InPlaceError;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The store's prefix of trees that have been made.
pub const PREFIX: &str = "tree/";

/// What is stored of a tree that has been made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeRecord {
    /// The id that lies in its `.sarang`.
    pub id: String,
}

impl table::Record for TreeRecord {
    const VERSION: u32 = 1;
}

/// The trees that have been made.
#[derive(Debug)]
pub(in crate::app) struct KnownTrees {
    table: Table<TreeRecord>,
    ids: RwLock<HashMap<String, Arc<str>>>,
    /// Those that were not there when they were looked for last.
    missing: Mutex<BTreeSet<String>>,
}

impl KnownTrees {
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let table = Table::<TreeRecord>::new(store, PREFIX);
        let ids = table
            .all()
            .await?
            .into_iter()
            .map(|(tree, record)| (tree, record.id.into()))
            .collect();
        Ok(Self {
            table,
            ids: RwLock::new(ids),
            missing: Mutex::default(),
        })
    }

    /// The id of a tree that has been made.
    pub fn get(&self, tree: &str) -> Option<Arc<str>> {
        self.ids.read().get(tree).cloned()
    }

    /// The names of all trees of a kind that have been made.
    pub fn names(&self, kind: TreeKind) -> Vec<String> {
        let start = kind.id("");
        self.ids
            .read()
            .keys()
            .filter_map(|tree| tree.strip_prefix(&start))
            .map(str::to_owned)
            .collect()
    }

    /// Remembers that a tree has been made, durably.
    pub async fn put(&self, tree: &str, id: String) -> Result<()> {
        self.table.put(tree, &TreeRecord { id: id.clone() }).await?;
        self.ids.write().insert(tree.to_owned(), id.into());
        Ok(())
    }

    /// Forgets a tree: the next one of this name is another.
    pub async fn forget(&self, tree: &str) -> Result<()> {
        self.missing.lock().remove(tree);
        if self.get(tree).is_some() {
            self.table.delete(tree).await?;
            self.ids.write().remove(tree);
        }
        Ok(())
    }

    /// Adds to a batch that a tree has been made.
    pub fn put_in(&self, batch: Batch, tree: &str, id: &str) -> Result<Batch> {
        self.table
            .put_in(batch, tree, &TreeRecord { id: id.to_owned() })
    }

    /// Takes note of what such a batch has stored.
    pub fn note_made(&self, tree: &str, id: &str) {
        self.ids.write().insert(tree.to_owned(), id.into());
    }

    /// Takes note of whether a tree is there.
    pub fn note(&self, tree: &str, is_there: bool) {
        if is_there {
            self.missing.lock().remove(tree);
        } else {
            self.note_missing(tree, MISSING.1);
        }
    }

    fn note_missing(&self, tree: &str, why: &str) {
        if self.missing.lock().insert(tree.to_owned()) {
            tracing::error!(folder = tree, "{why}");
        }
    }

    /// Takes note that the folder a tree lies in cannot be served; what is said of it.
    pub fn note_unfit(&self, tree: &str, unfit: &InPlaceError) -> Error {
        self.note_missing(tree, &format!("it is not served: {unfit}"));
        if matches!(unfit, InPlaceError::NotFound(_)) {
            missing()
        } else {
            Error::Missing(UNFIT)
        }
    }

    /// The trees that were not there when they were looked for last.
    pub fn missing(&self) -> Vec<String> {
        self.missing.lock().iter().cloned().collect()
    }
}

/// What is said of a tree that is missing, to whoever asks for it and in the log.
const MISSING: (&str, &str) = (
    "The files of this drive are not where they were, as when their disk is not mounted. Nothing is changed until they are there again.",
    "the folder that was made there is missing, or another lies in its place: mount its disk, or bring it back from a backup; \
     `sarang check` says what to do when it is gone for good",
);

/// What is said of a tree that is not safe to serve where it lies.
const UNFIT: &str = "The folder that the files of this drive lie in cannot be served for now. Nothing is changed until it can; \
                     the server's log and `sarang check` say why.";

/// The failure of whatever needs a tree that is missing.
pub(in crate::app) fn missing() -> Error {
    Error::Missing(MISSING.0)
}
