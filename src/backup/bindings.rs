//! Shares and links are bound to files and folders, whose ids a backup keeps. What was moved while the files were copied may lie
//! elsewhere in a generation than its state says: here each share finds its own.

use crate::links::LinkRecord;
use crate::model::{AccountName, RelPath, Result};
use crate::sharing::shares::Share;
use crate::state::sled::RecordMap;
use crate::state::table::{decode, encode};
use crate::storage::FileId;
use crate::storage::local::backup::IndexEntry;
use std::collections::{HashMap, HashSet};

const SHARES: &str = "share/";
const LINKS: &str = "link/";
/// Nothing in it is shown by a share or link.
const OWN: &str = ".sarang";

/// A file or folder that something is bound to: the tree it is in, and which it is.
type BoundFile = (String, FileId);

/// What the records of a state are bound to.
#[derive(Debug)]
pub(super) struct Bindings {
    named: HashMap<String, BoundFile>,
    wanted: HashSet<BoundFile>,
    /// Where it is in the generation: more than one place when it was moved meanwhile and copied twice.
    found: HashMap<BoundFile, Vec<String>>,
}

impl Bindings {
    /// Of a state.
    pub fn of(state: &RecordMap) -> Result<Self> {
        let mut named = HashMap::new();
        for (key, text) in state {
            if let Some(thing) = thing(key, text)? {
                named.insert(key.clone(), thing);
            }
        }
        let wanted = named.values().cloned().collect();
        Ok(Self {
            named,
            wanted,
            found: HashMap::new(),
        })
    }

    /// Looks for what is bound in one tree.
    pub fn look_in(&mut self, tree: &str, marks: impl Iterator<Item = IndexEntry>) {
        if !self.wanted.iter().any(|(other, _)| other == tree) {
            return;
        }
        for mark in marks.filter(|mark| !mark.path.starts_with(OWN)) {
            let Some(thing) = mark.id.map(|id| (tree.to_owned(), id)) else {
                continue;
            };
            if self.wanted.contains(&thing) {
                self.found.entry(thing).or_default().push(mark.path);
            }
        }
    }

    /// Lets shares name what they show by where it is; returns how many records show nothing.
    pub fn apply(&self, state: &mut RecordMap) -> Result<usize> {
        let mut lost = 0;
        for (key, thing) in &self.named {
            let Some(text) = state.get_mut(key) else {
                continue;
            };
            let places = self.found.get(thing).map(Vec::as_slice).unwrap_or_default();
            match shown(key, text, places)? {
                Some(shown) => *text = shown,
                None => lost += 1,
            }
        }
        Ok(lost)
    }
}

/// What a record is bound to; `None` for all that is bound to nothing.
fn thing(key: &str, text: &str) -> Result<Option<BoundFile>> {
    let (owner, id) = if key.starts_with(SHARES) {
        let share: Share = decode(key, text)?;
        (share.owner, share.node)
    } else if key.starts_with(LINKS) {
        let link: LinkRecord = decode(key, text)?;
        (link.owner, link.target.id())
    } else {
        return Ok(None);
    };
    Ok(Some((tree_of(&owner), id)))
}

fn tree_of(owner: &AccountName) -> String {
    format!("homes/{owner}")
}

/// The record as it shows what is at these places; `None` when it shows nothing of it.
fn shown(key: &str, text: &str, places: &[String]) -> Result<Option<String>> {
    if key.starts_with(SHARES) {
        let mut share: Share = decode(key, text)?;
        let places = places
            .iter()
            .map(|place| RelPath::parse(place))
            .collect::<Result<Vec<_>>>()?;
        if places.iter().any(|place| place.to_nfc() == share.path()) {
            return Ok(Some(text.to_owned()));
        }
        let Some(place) = places.last() else {
            return Ok(None);
        };
        share.set_path(place);
        return encode(&share).map(Some);
    }
    // A link shows what it shows at its path, and nowhere else; one of before files had ids may know its file by a mark.
    let link: LinkRecord = decode(key, text)?;
    let path = RelPath::from_stored(link.path).to_nfc();
    let is_there = places
        .iter()
        .any(|place| RelPath::from_stored(place.clone()).to_nfc() == path);
    Ok((is_there || link.target.has_link_tag()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: &str = r#"{"v":1,"id":"x","owner":"ana","path":"a","node":[1,2],"folder":false,"to":{"account":"ben"},
        "rights":"view","created":1,"expires":null,"note":"","names":{},"left":[]}"#;

    fn state() -> RecordMap {
        RecordMap::from([
            ("share/ana/x".to_owned(), SHARE.to_owned()),
            ("account/ana".into(), "?".into()),
        ])
    }

    fn mark(path: &str, id: [u64; 2]) -> IndexEntry {
        let id = serde_json::from_value(serde_json::json!(id)).unwrap();
        IndexEntry {
            path: path.into(),
            node: [0, 0],
            len: 0,
            modified: 0,
            changed: 1,
            folder: false,
            id: Some(id),
        }
    }

    fn restored(marks: Vec<IndexEntry>) -> (usize, String) {
        let mut state = state();
        let mut bindings = Bindings::of(&state).unwrap();
        bindings.look_in("homes/ben", vec![mark("of ben", [1, 2])].into_iter());
        bindings.look_in("homes/ana", marks.into_iter());
        let lost = bindings.apply(&mut state).unwrap();
        let share: Share = decode("share/ana/x", &state["share/ana/x"]).unwrap();
        (lost, share.path().as_str().to_owned())
    }

    #[test]
    fn a_share_finds_its_file_where_it_was_moved_meanwhile() {
        assert_eq!(
            restored(vec![mark("a", [9, 9]), mark("moved", [1, 2])]),
            (0, "moved".into())
        );
        assert_eq!(
            restored(vec![mark("moved", [1, 2]), mark("a", [1, 2])]),
            (0, "a".into()),
            "it was copied twice"
        );
    }

    #[test]
    fn what_was_deleted_or_is_another_of_the_name_is_not_shared() {
        assert_eq!(restored(vec![mark("a", [5, 6])]), (1, "a".into()));
        assert_eq!(
            restored(vec![mark(".sarang/trash/files/a.1", [1, 2])]),
            (1, "a".into())
        );
        assert_eq!(restored(Vec::new()), (1, "a".into()));
    }
}
