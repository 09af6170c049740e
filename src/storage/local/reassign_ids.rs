//! A tree that becomes a folder of another, and holds copies of the other's files with their ids: as after somebody has copied a home beside
//! the server and given the copy to an account of its own. Of one id there must be one file: what is deleted for good with the one would
//! be missing from the other's history.

use super::errors::map_errno;
use super::file_meta::FileMeta;
use super::internal_dirs::{TMP, TRASH_FILES};
use super::relocated::with_meta;
use super::remove_tree;
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::version_dir;
use super::walk;
use crate::model::{Error, Result};
use crate::storage::{FileId, Node};
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

const DOING: &str = "tell its files from those that are there";

/// What files and folders are known by, and their histories where those are called otherwise.
#[derive(Default)]
struct KnownIds {
    ids: HashSet<FileId>,
    histories: HashSet<String>,
}

impl KnownIds {
    fn note(&mut self, id: FileId, history: String) {
        self.ids.insert(id);
        if history != id.to_string() {
            self.histories.insert(history);
        }
    }

    fn has(&self, id: FileId, history: &str) -> bool {
        self.ids.contains(&id) || self.histories.contains(history)
    }
}

/// Gives what lies in the tree `given` another id, and its history that name, where something in `root` has the same. Can be cut at any
/// step and begun again: a history has both names until the meta says the new one.
pub(super) fn reassign_shared_ids(root: &TreeRoot, given: &TreeRoot) -> Result<()> {
    let mut theirs = KnownIds::default();
    let mut shared = KnownIds::default();
    for_each_with_id(given, &mut |_, id, meta, node| {
        theirs.note(id, meta.history(node));
        Ok(())
    })?;
    // A history may outlive its file, as that of one that was overwritten beside the server.
    let kept: HashSet<String> = version_dir::histories(root)?.into_iter().collect();
    shared.ids.extend(
        theirs
            .ids
            .iter()
            .filter(|id| kept.contains(&id.to_string())),
    );
    shared
        .histories
        .extend(theirs.histories.intersection(&kept).cloned());
    for_each_with_id(root, &mut |_, id, meta, node| {
        let history = meta.history(node);
        if theirs.has(id, &history) {
            shared.note(id, history);
        }
        Ok(())
    })?;
    // Two files that were names of one have one id, and a history each.
    let mut renamed: HashMap<(FileId, String), FileId> = HashMap::new();
    for_each_with_id(given, &mut |_, id, meta, node| {
        let history = meta.history(node);
        if shared.has(id, &history) && !renamed.contains_key(&(id, history.clone())) {
            let new = FileId::new()?;
            version_dir::link_versions(given, &history, &new.to_string(), None)?;
            renamed.insert((id, history), new);
        }
        Ok(())
    })?;
    if renamed.is_empty() {
        return Ok(());
    }
    sync_if_strict(given)?;
    for_each_with_id(
        given,
        &mut |file, id, meta, node| match renamed.get(&(id, meta.history(node))) {
            Some(new) => FileMeta::new(*new, meta.digest(node).as_ref(), node)
                .store(fd(file))
                .map_err(failed),
            None => Ok(()),
        },
    )?;
    sync_if_strict(given)?;
    for (_, history) in renamed.keys() {
        let _ = remove_tree::remove_tree(fd(&given.versions), history, &mut |_, _| {});
    }
    Ok(())
}

/// Puts all on the disk, if the settings want that.
fn sync_if_strict(given: &TreeRoot) -> Result<()> {
    if given.is_strict() {
        sys::sync_all(fd(&given.dir)).map_err(|e| Error::io("write to the disk", e))?;
    }
    Ok(())
}

/// Shows everything that has an id to `visit`; what has none is known by its inode, which no two share.
fn for_each_with_id(
    root: &TreeRoot,
    visit: &mut dyn FnMut(&OwnedFd, FileId, &FileMeta, &Node) -> Result<()>,
) -> Result<()> {
    for (top, is_tree) in [("", true), (TRASH_FILES, false), (TMP, false)] {
        let top = sys::open_folder(fd(&root.dir), top, Lookup::Full).map_err(failed)?;
        walk::everything(top, |met| {
            if is_tree && met.is_internal_dir() {
                return Ok(false);
            }
            if let Some((file, meta, node)) = with_meta(met)?
                && let Some(id) = meta.own_id(&node)
            {
                visit(&file, id, &meta, &node)?;
            }
            Ok(met.kind == FileKind::Folder)
        })
        .map_err(|ReassignError(error)| error)?;
    }
    Ok(())
}

struct ReassignError(Error);

impl From<Errno> for ReassignError {
    fn from(errno: Errno) -> Self {
        Self(failed(errno))
    }
}

impl From<Error> for ReassignError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

fn failed(errno: Errno) -> Error {
    map_errno(DOING, errno)
}

#[cfg(test)]
mod tests {
    use super::super::LocalTree;
    use super::super::tests::RELAXED;
    use crate::storage::contract::{TestTree, commit, content, path, put};
    use std::path::Path;
    use std::process::Command;

    fn copy(from: &Path, to: &Path) {
        assert!(
            Command::new("cp")
                .arg("-a")
                .arg(from)
                .arg(to)
                .status()
                .unwrap()
                .success()
        );
    }

    /// A home, and its copy by `cp -a` that was somebody's home.
    #[tokio::test]
    async fn an_adopted_copy_of_a_tree_does_not_share_histories_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let other = dir.path().join("other");
        let opened = LocalTree::open(&home, RELAXED).unwrap();
        let tree: TestTree = opened.clone();
        for text in [b"1", b"2"] {
            put(&tree, "f", text).await;
            put(&tree, "gone", text).await;
        }
        // Of this one there is no history yet that they could share.
        put(&tree, "late", b"1").await;
        tree.delete(&path("gone"), commit()).await.unwrap();
        copy(&home, &other);
        drop(LocalTree::open(&other, RELAXED).unwrap());
        opened.adopt(&other, &path("theirs")).await.unwrap();
        put(&tree, "late", b"2").await;
        for file in ["f", "theirs/f", "late"] {
            assert_eq!(tree.versions(&path(file)).await.unwrap().len(), 1, "{file}");
        }
        assert!(
            tree.versions(&path("theirs/late"))
                .await
                .unwrap()
                .is_empty()
        );
        for file in ["theirs/f", "theirs/late"] {
            let id = tree.delete(&path(file), commit()).await.unwrap().id;
            tree.purge(&id).await.unwrap();
        }
        let item = tree
            .list_trash(None, 9)
            .await
            .unwrap()
            .into_iter()
            .find(|it| it.path == path("theirs/gone"))
            .unwrap();
        tree.purge(&item.id).await.unwrap();
        let item = tree.list_trash(None, 9).await.unwrap().remove(0);
        tree.restore(&item.id, &path("gone"), commit())
            .await
            .unwrap();
        for file in ["f", "gone", "late"] {
            assert_eq!(
                tree.versions(&path(file)).await.unwrap().len(),
                1,
                "{file} has lost its history"
            );
            assert_eq!(content(&tree, file).await, b"2");
        }
    }
}
