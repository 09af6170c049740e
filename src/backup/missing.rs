//! Homes and team folders that the state knows and that are not there, as when their disk is not mounted: they are not taken for
//! deleted, but for what they were in the backup before.

use super::index::{self, Index};
use super::places::Places;
use super::{FILES, HEADER, Making, make_folder};
use crate::app::{TREES, TreeRecord, place_of};
use crate::content::local::LocalTree;
use crate::content::local::backup::{self as copy, Former, Mark, Marks, Plan, Tally, Watch};
use crate::model::Result;
use crate::store::sled::Records;
use crate::store::table::decode;
use std::path::Path;

/// The homes and team folders that are known and not there, as they lie in the data folder: `homes/ana`.
pub(super) fn find(state: &Records, places: &Places) -> Result<Vec<String>> {
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

impl Making {
    /// Takes a tree over from the newest whole backup, if that has it, and says so among the failures.
    pub(super) fn carry(&mut self, label: &str, index: &mut Index<'_>) -> Result<()> {
        let whole = self
            .shelf
            .formers()
            .iter()
            .find(|made| made.join(HEADER).is_file());
        let from = whole
            .map(|made| (made, made.join(FILES).join(label)))
            .filter(|(_, from)| from.is_dir());
        let became = match from {
            Some((made, from)) => {
                let to = self.partial.join(FILES).join(label);
                make_folder(&to)?;
                let marks = Marks::by_path(index::open(made, label))?;
                let formers = Former::source(&from).into_iter().collect();
                let plan = Plan {
                    formers,
                    began: self.began,
                    ..Plan::new(&from, &to, label)
                };
                index.turn_to(label)?;
                copy::copy_tree(&plan, &mut self.tally, &mut Carried { index, marks })?;
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
struct Carried<'a, 'b> {
    index: &'a mut Index<'b>,
    marks: Marks,
}

impl Watch for Carried<'_, '_> {
    fn copied(&mut self, mark: &Mark, tally: &Tally) -> Result<()> {
        let former = self.marks.of_path(&mark.path);
        let unknown = || Mark {
            changed: 0,
            ..mark.clone()
        };
        self.index.copied(&former.unwrap_or_else(unknown), tally)
    }
}
