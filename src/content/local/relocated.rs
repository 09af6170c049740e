//! A tree that was copied as a whole to other inodes, as by `cp -a` to another disk or by a restore: its files are still the same. The
//! label of its own folder says for which inode it was written, like each file's, and so tells such a tree from a copy within one.

use super::chronicle::{OWN, TRASH};
use super::label::Label;
use super::os::{self, Errno, Kind, Lookup, fd};
use super::own;
use super::root::{Root, explain};
use super::walk::{self, Met};
use crate::content::FileId;
use crate::model::{Error, Result};
use std::collections::HashSet;
use std::os::fd::BorrowedFd;

const DOING: &str = "look which files these are";

/// Where a tree lies, as its labels say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// Where it did when they were written: what bears the label of another inode is a copy.
    Here,
    /// Elsewhere: all bears labels of other inodes.
    Elsewhere,
}

/// Where the tree in a folder lies; `None` for a folder that is no tree.
pub(super) fn lies(top: BorrowedFd<'_>) -> os::Outcome<Option<Lies>> {
    let Some(own) = own::find(top, OWN)? else { return Ok(None) };
    let node = os::stat_fd(fd(&own))?.node;
    let is_here = match Label::of_file(fd(&own)) {
        Ok(label) => label.own_id(&node).is_some(),
        Err(Errno::OPNOTSUPP) => true,
        Err(e) => return Err(e),
    };
    Ok(Some(if is_here { Lies::Here } else { Lies::Elsewhere }))
}

/// What files have borne so far.
#[derive(Default)]
struct Seen {
    ids: HashSet<FileId>,
    histories: HashSet<String>,
}

/// Writes all labels anew where a tree has come to lie elsewhere, or is from before files had ids. Of two that bear one id, or one history
/// of then, the first keeps it: the other was a copy there.
/// It can be cut at any step and begun again.
pub(super) fn settle(root: &Root) -> Result<()> {
    if lies(fd(&root.dir)).map_err(|e| explain(DOING, e))? != Some(Lies::Elsewhere) {
        return Ok(());
    }
    let (mut seen, mut is_changed) = (Seen::default(), false);
    for (top, is_tree) in [("", true), (TRASH, false)] {
        let top = os::open_folder(fd(&root.dir), top, Lookup::Full).map_err(|e| explain(DOING, e))?;
        walk::everything(top, |met| {
            if is_tree && met.is_own() {
                return Ok(false);
            }
            is_changed |= take_over(met, &mut seen)?;
            Ok(met.kind == Kind::Folder)
        })
        .map_err(|Failure(e)| e)?;
    }
    let own = os::open_folder(fd(&root.dir), OWN, Lookup::Full).map_err(|e| explain(DOING, e))?;
    let node = os::stat_fd(fd(&own)).map_err(|e| explain(DOING, e))?.node;
    if is_changed && root.is_strict() {
        os::sync_all(fd(&own)).map_err(|e| Error::io("write to the disk", e))?;
    }
    Label::new(FileId::new()?, None, &node).offer(fd(&own))?;
    root.settle(fd(&own))
}

/// Lets a file or folder keep its id where it lies now, unless another one has it; returns whether its label was written.
fn take_over(met: &Met<'_>, seen: &mut Seen) -> Result<bool, Failure> {
    let opened = match met.kind {
        Kind::File => os::open_read_raw(met.dir, met.raw),
        Kind::Folder => os::open_folder_raw(met.dir, met.raw),
        Kind::Other => return Ok(false),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ACCESS | Errno::PERM) => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    let (label, node) = (Label::of_file(fd(&opened))?, os::stat_fd(fd(&opened))?.node);
    let label = match (label.written_id(), label.former_history()) {
        (Some(id), _) if seen.ids.insert(id) && label.own_id(&node).is_none() => {
            label.handed_over(Lies::Elsewhere, &node, &node)
        }
        (None, Some(history)) if seen.histories.insert(history.to_owned()) => {
            label.handed_over(Lies::Here, &node, &node)
        }
        // A copy beside the server from when labels did not tell: the history is the first one's.
        (None, Some(_)) => Label::new(label.id(&node), label.digest(&node).as_ref(), &node),
        _ => return Ok(false),
    };
    match label.store(fd(&opened)) {
        // What may not be written keeps an id of its own.
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

struct Failure(Error);

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self(explain(DOING, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::super::LocalTree;
    use super::super::tests::RELAXED;
    use super::*;
    use crate::content::contract::{Tree, commit, path, put};
    use std::fs;

    /// The label of a file with this history as it was before files had ids.
    fn former(history: &str) -> Vec<u8> {
        [&[0; 48][..], history.as_bytes()].concat()
    }

    /// As a data folder from before files had ids has it: a file with a version, and its copy by `cp -a`.
    #[tokio::test]
    async fn a_copy_from_before_files_had_ids_does_not_share_the_history_of_its_original() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let open = || -> Tree { LocalTree::open(&home, RELAXED).unwrap() };
        let tree = open();
        for (name, content) in [("one", b"1"), ("one", b"2"), ("other", b"2")] {
            put(&tree, name, content).await;
        }
        drop(tree);
        let (versions, history) = (home.join(".sarang/versions"), "18d2c5b1e0a4f993");
        let kept = fs::read_dir(&versions).unwrap().next().unwrap().unwrap().path();
        fs::rename(kept, versions.join(history)).unwrap();
        for name in ["one", "other"] {
            os::set_label(fd(&fs::File::open(home.join(name)).unwrap()), &former(history)).unwrap();
        }
        os::clear_label(fd(&fs::File::open(home.join(OWN)).unwrap())).unwrap();
        let tree = open();
        let one = tree.versions(&path("one")).await.unwrap().len();
        assert_eq!(one + tree.versions(&path("other")).await.unwrap().len(), 1, "it belongs to one of them");
        let (with, without) = if one == 1 { ("one", "other") } else { ("other", "one") };
        let id = tree.delete(&path(without), commit()).await.unwrap();
        tree.purge(&id).await.unwrap();
        assert_eq!(tree.versions(&path(with)).await.unwrap().len(), 1);
        put(&tree, with, b"3").await;
        assert_eq!(tree.versions(&path(with)).await.unwrap().len(), 2);
    }
}
