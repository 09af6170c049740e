//! Shares and links are bound to files and folders themselves, which are others after a restore: here they find their own again.

use crate::content::local::backup::Mark;
use crate::drive::shares::Share;
use crate::links::LinkRecord;
use crate::model::{AccountName, RelPath, Result};
use crate::store::sled::Records;
use crate::store::table::{decode, encode};
use std::collections::{HashMap, HashSet};

const SHARES: &str = "share/";
const LINKS: &str = "link/";
/// Where former contents lie: whoever is bound to a file is not bound to those.
const VERSIONS: &str = ".sarang/versions/";
const HISTORY: &str = ".sarang/";

/// A file or folder that something is bound to: the tree it was in, and what it was there.
type Thing = (String, [u64; 2]);

/// What is bound, in two exports of the state.
#[derive(Debug)]
pub(super) struct Bindings {
    /// What each record names, in the state that counts and then as it was later.
    named: HashMap<String, Vec<Thing>>,
    wanted: HashSet<Thing>,
    /// Where it is now.
    found: HashMap<Thing, (String, [u64; 2])>,
}

impl Bindings {
    /// What the records of `state` are bound to, and those of `late`, which tells what was saved anew while files were copied.
    pub fn of(state: &Records, late: &Records) -> Result<Self> {
        let mut named: HashMap<String, Vec<Thing>> = HashMap::new();
        for records in [state, late] {
            for (key, text) in records {
                if let Some(thing) = thing(key, text)? {
                    named.entry(key.clone()).or_default().push(thing);
                }
            }
        }
        let wanted = named.values().flatten().cloned().collect();
        Ok(Self { named, wanted, found: HashMap::new() })
    }

    /// Of what a tree held, what somebody is waiting for: by path, what it was.
    pub fn wanted_in(&self, tree: &str, marks: impl Iterator<Item = Mark>) -> HashMap<String, [u64; 2]> {
        if !self.wanted.iter().any(|(other, _)| other == tree) {
            return HashMap::new();
        }
        let present = marks.filter(|mark| !mark.path.starts_with(VERSIONS));
        let wanted = present.filter(|mark| self.wanted.contains(&(tree.to_owned(), mark.node)));
        wanted.map(|mark| (mark.path, mark.node)).collect()
    }

    /// The shared files of which a generation has neither what was shared at first nor what was later, since they were saved again
    /// and again: their tree, where they are in `late`, and what they are there.
    pub fn outrun(
        &self,
        (state, late): (&Records, &Records),
        marks: impl Fn(&str) -> Box<dyn Iterator<Item = Mark>>,
    ) -> Result<Vec<(String, RelPath, [u64; 2])>> {
        let (mut outrun, mut present) = (Vec::new(), HashMap::new());
        for (key, text) in late.iter().filter(|(key, _)| key.starts_with(SHARES) && state.contains_key(*key)) {
            let share: Share = decode(key, text)?;
            let tree = tree_of(&share.owner);
            let nodes = present
                .entry(tree.clone())
                .or_insert_with(|| self.wanted_in(&tree, marks(&tree)).into_values().collect::<HashSet<_>>());
            let things = self.named.get(key).into_iter().flatten();
            if !share.folder && !things.into_iter().any(|(_, node)| nodes.contains(node)) {
                outrun.push((tree, share.path(), share.node));
            }
        }
        Ok(outrun)
    }

    /// Says that what was `old` is `new` now, at `path`.
    pub fn find(&mut self, tree: &str, old: [u64; 2], path: &str, new: [u64; 2]) {
        self.found.insert((tree.to_owned(), old), (path.to_owned(), new));
    }

    /// Binds the records to what they name now; returns how many name what is not there, and so show nothing.
    pub fn apply(&self, state: &mut Records) -> Result<usize> {
        let mut lost = 0;
        for (key, things) in &self.named {
            let Some(text) = state.get_mut(key) else { continue };
            let found = things.iter().filter_map(|thing| self.found.get(thing));
            let bound =
                found.map(|(path, node)| bind(key, text, path, *node)).find_map(Result::transpose).transpose()?;
            match bound {
                Some(bound) => *text = bound,
                None => lost += usize::from(!is_marked(key, text)?),
            }
        }
        Ok(lost)
    }
}

/// What a record is bound to; `None` for all that is bound to nothing.
fn thing(key: &str, text: &str) -> Result<Option<Thing>> {
    let (owner, node) = if key.starts_with(SHARES) {
        let share: Share = decode(key, text)?;
        (share.owner, share.node)
    } else if key.starts_with(LINKS) {
        let link: LinkRecord = decode(key, text)?;
        (link.owner, link.target.node())
    } else {
        return Ok(None);
    };
    Ok(Some((tree_of(&owner), node)))
}

fn tree_of(owner: &AccountName) -> String {
    format!("homes/{owner}")
}

/// The record, bound to what is now `node`; `None` when it shows nothing of what is there.
fn bind(key: &str, text: &str, path: &str, node: [u64; 2]) -> Result<Option<String>> {
    if key.starts_with(SHARES) {
        // What was deleted is shared no more.
        if path.starts_with(HISTORY) {
            return Ok(None);
        }
        let mut share: Share = decode(key, text)?;
        share.bind(&RelPath::parse(path)?, node);
        return encode(&share).map(Some);
    }
    // A link shows what it shows at its path, and nowhere else.
    let mut link: LinkRecord = decode(key, text)?;
    link.target.bind(node);
    encode(&link).map(Some)
}

/// Whether a record knows its file by a mark, however often it was saved anew.
fn is_marked(key: &str, text: &str) -> Result<bool> {
    if key.starts_with(LINKS) { Ok(decode::<LinkRecord>(key, text)?.target.is_marked()) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: &str = r#"{"v":1,"id":"x","owner":"ana","path":"a","node":[1,2],"folder":false,"to":{"account":"ben"},
        "rights":"view","created":1,"expires":null,"note":"","names":{},"left":[]}"#;

    fn state(node: &str) -> Records {
        Records::from([("share/ana/x".to_owned(), SHARE.replace("[1,2]", node)), ("account/ana".into(), "?".into())])
    }

    fn mark(path: &str, node: [u64; 2]) -> Mark {
        Mark { path: path.into(), node, len: 0, modified: 0, changed: 1, folder: false }
    }

    #[test]
    fn a_share_finds_its_file_where_it_was_moved_or_saved_anew() {
        for (late, there) in [("[1,2]", [1, 2]), ("[3,4]", [1, 2]), ("[3,4]", [3, 4])] {
            let mut state = state("[1,2]");
            let mut bindings = Bindings::of(&state, &self::state(late)).unwrap();
            assert!(bindings.wanted_in("homes/ben", [mark("b", there)].into_iter()).is_empty());
            let marks = [mark("a", [9, 9]), mark("moved", there)];
            let wanted = bindings.wanted_in("homes/ana", marks.into_iter());
            assert_eq!(wanted, HashMap::from([("moved".to_owned(), there)]));
            bindings.find("homes/ana", there, "moved", [7, 8]);
            assert_eq!(bindings.apply(&mut state).unwrap(), 0);
            let share: Share = decode("share/ana/x", &state["share/ana/x"]).unwrap();
            assert_eq!((share.path().as_str(), share.node), ("moved", [7, 8]));
        }
    }

    #[test]
    fn a_former_content_is_not_taken_for_the_file() {
        let mut state = state("[1,2]");
        let mut bindings = Bindings::of(&state, &self::state("[3,4]")).unwrap();
        let marks = [mark(".sarang/versions/h/1.x", [1, 2]), mark("a", [3, 4])];
        let wanted = bindings.wanted_in("homes/ana", marks.into_iter());
        assert_eq!(wanted, HashMap::from([("a".to_owned(), [3, 4])]));
        bindings.find("homes/ana", [1, 2], ".sarang/trash/files/a.1", [5, 6]);
        assert_eq!(bindings.apply(&mut state).unwrap(), 1, "what lies in the trash is not shared");
        bindings.find("homes/ana", [3, 4], "a", [7, 8]);
        assert_eq!(bindings.apply(&mut state).unwrap(), 0);
        assert!(state["share/ana/x"].contains("[7,8]"));
    }

    #[test]
    fn another_file_of_the_same_name_is_not_taken_for_it() {
        let mut state = state("[1,2]");
        let bindings = Bindings::of(&state, &state).unwrap();
        assert!(bindings.wanted_in("homes/ana", [mark("a", [5, 6])].into_iter()).is_empty());
        assert_eq!(bindings.apply(&mut state).unwrap(), 1);
        assert_eq!(state, self::state("[1,2]"));
    }
}
