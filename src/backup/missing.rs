//! Homes and team folders that the state knows and that are not there, as when their disk is not mounted: they are not taken for
//! deleted, but for what they were in the backup before.

use super::index::{self, IndexWriter};
use super::tree_paths::TreePaths;
use super::{BackupRun, FILES, HEADER, make_folder};
use crate::app::{TREES, TreeRecord, place_of};
use crate::model::Result;
use crate::state::sled::RecordMap;
use crate::state::table::decode;
use crate::storage::local::LocalTree;
use crate::storage::local::backup::{
    self as copy, BackupIndex, BackupStats, CopyObserver, CopyTreeOptions, IndexEntry, ParentCopy,
};
use std::path::Path;

/// The homes and team folders that are known and not there, as they lie in the data folder: `homes/ana`.
pub(super) fn find(state: &RecordMap, places: &TreePaths) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (key, text) in state {
        let Some(place) = key.strip_prefix(TREES).and_then(place_of) else {
            continue;
        };
        let known = decode::<TreeRecord>(key, text)?;
        if places
            .path_of(&place)
            .is_none_or(|path| !is_there(&path, &known.id))
        {
            missing.push(place);
        }
    }
    Ok(missing)
}

/// Whether the tree with this id is in a folder. What cannot be read is not there.
pub fn is_there(dir: &Path, id: &str) -> bool {
    LocalTree::id_at(dir).is_ok_and(|found| found.is_some_and(|found| found == id))
}

impl BackupRun {
    /// Takes a tree over from the newest whole backup, if that has it, and says so among the failures.
    pub(super) fn reuse_previous(
        &mut self,
        label: &str,
        index: &mut IndexWriter<'_>,
    ) -> Result<()> {
        let whole = self
            .repository
            .previous()
            .iter()
            .find(|made| made.join(HEADER).is_file());
        let from = whole
            .map(|made| (made, made.join(FILES).join(label)))
            .filter(|(_, from)| from.is_dir());
        let became = match from {
            Some((made, from)) => {
                let to = self.partial.join(FILES).join(label);
                make_folder(&to)?;
                let marks = BackupIndex::by_path(index::open(made, label))?;
                let formers = ParentCopy::of_source(&from).into_iter().collect();
                let plan = CopyTreeOptions {
                    parents: formers,
                    began: self.began,
                    ..CopyTreeOptions::new(&from, &to, label)
                };
                index.start_tree(label)?;
                copy::copy_tree(&plan, &mut self.tally, &mut ReusedTree { index, marks })?;
                "this backup has it as the one before had it"
            }
            None => "it is in no backup",
        };
        self.tally.failures.push(format!(
            "{label}: it is missing, as when its disk is not mounted; {became}"
        ));
        Ok(())
    }
}

/// Tells the index of what was carried over, as the backup before did: by the files that it was copied from.
struct ReusedTree<'a, 'b> {
    index: &'a mut IndexWriter<'b>,
    marks: BackupIndex,
}

impl CopyObserver for ReusedTree<'_, '_> {
    fn copied(&mut self, mark: &IndexEntry, tally: &BackupStats) -> Result<()> {
        let former = self.marks.of_path(&mark.path);
        let unknown = || IndexEntry {
            changed: 0,
            ..mark.clone()
        };
        self.index.copied(&former.unwrap_or_else(unknown), tally)
    }
}
