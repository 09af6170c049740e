//! What the file systems lack that homes and team folders lie on, as far as that has been looked at.

use super::{Homes, TreeKind};
use crate::model::Error;
use crate::storage::local::LocalTree;
use crate::storage::local::missing_features::MissingFeatureSet;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What is said of a tree whose file system nothing can be stored on safely.
const UNFIT: &str =
    "rename that replaces a file: it stays closed until its files are moved to another one";

/// By the names of the trees, what is missing; those that lack nothing are not in it.
#[derive(Debug, Default)]
pub(super) struct MissingFeatures(Mutex<BTreeMap<String, Vec<&'static str>>>);

impl MissingFeatures {
    /// Takes note of what became of opening a tree.
    pub fn note(&self, tree: &str, found: Result<MissingFeatureSet, &Error>) {
        let tell = match found {
            Ok(lacks) => lacks.describe(),
            Err(Error::Unfit(_)) => vec![UNFIT],
            Err(_) => return,
        };
        let mut all = self.0.lock();
        if tell.is_empty() {
            all.remove(tree);
        } else {
            all.insert(tree.to_owned(), tell);
        }
    }

    /// Forgets a tree.
    pub fn forget(&self, tree: &str) {
        self.0.lock().remove(tree);
    }

    /// What is missing, and which trees lack just that.
    pub fn all(&self) -> Vec<(Vec<&'static str>, Vec<String>)> {
        let mut alike: BTreeMap<Vec<&'static str>, Vec<String>> = BTreeMap::new();
        for (tree, tell) in self.0.lock().iter() {
            alike.entry(tell.clone()).or_default().push(tree.clone());
        }
        alike.into_iter().collect()
    }
}

impl Homes {
    /// What the file systems lack that trees lie on which have been opened, and which trees lack just that.
    pub(in crate::app) fn missing_features(&self) -> Vec<(Vec<&'static str>, Vec<String>)> {
        self.opener.lacking.all()
    }

    /// Has what the file systems lack said in the log, each once, without opening anything; not awaited, as a disk may hang.
    pub(in crate::app) fn log_missing_features(&self) {
        let dirs: Vec<PathBuf> = [TreeKind::Home, TreeKind::Team]
            .into_iter()
            .flat_map(|kind| {
                self.opener
                    .known
                    .names(kind)
                    .into_iter()
                    .map(move |name| (kind, name))
            })
            .map(|(kind, name)| self.dir_of(kind, &name))
            .collect();
        drop(tokio::task::spawn_blocking(move || {
            let mut seen = HashSet::new();
            for dir in dirs {
                let is_new = std::fs::metadata(&dir).is_ok_and(|facts| seen.insert(facts.dev()));
                if is_new && let Err(error @ Error::Unfit(_)) = LocalTree::missing_features_at(&dir)
                {
                    tracing::error!(folder = %dir.display(), "{error}");
                }
            }
        }));
    }
}
