//! A tree that was copied as a whole to other inodes, as by `cp -a` to another disk or by a restore: its files are still the same. The
//! meta of its own folder says for which inode it was written, like each file's, and so tells such a tree from a copy within one.

use super::dirs::TreeDirs;
use super::errors::map_errno;
use super::file_meta::{FileMeta, TreeLocation};
use super::internal_dirs;
use super::internal_dirs::{OWN_DIR, TRASH_FILES};
use super::names::stat_name;
use super::sys::{self, Errno, FileKind, Lookup, fd};
use super::walk::{self, WalkEntry};
use crate::model::{Error, Result};
use crate::storage::{FileId, Node};
use std::collections::HashSet;
use std::os::fd::{BorrowedFd, OwnedFd};

const DOING: &str = "look which files these are";

/// Where the tree in a folder lies; `None` for a folder that is no tree.
pub(super) fn locate(top: BorrowedFd<'_>) -> sys::SysResult<Option<TreeLocation>> {
    let Some(own) = internal_dirs::find(top, OWN_DIR)? else {
        return Ok(None);
    };
    let node = sys::stat_fd(fd(&own))?.node;
    let is_here = match FileMeta::of_file(fd(&own)) {
        Ok(meta) => meta.own_id(&node).is_some(),
        Err(Errno::OPNOTSUPP) => true,
        Err(e) => return Err(e),
    };
    Ok(Some(if is_here {
        TreeLocation::Unmoved
    } else {
        TreeLocation::Relocated
    }))
}

/// The ids and histories that are taken.
#[derive(Default)]
struct TakenIds {
    ids: HashSet<FileId>,
    histories: HashSet<String>,
}

/// Writes all metadata anew where a tree has come to lie elsewhere, or is from before files had ids. Of two that bear one id, or one history
/// of then, it is that one's whose meta was written for where it lies: so it is in a tree into which a copy of it was laid, as from a
/// backup. Else the first keeps it: the other was a copy there.
/// It can be cut at any step and begun again.
pub(super) fn relabel(dirs: &TreeDirs) -> Result<()> {
    if locate(fd(&dirs.dir)).map_err(|e| map_errno(DOING, e))? != Some(TreeLocation::Relocated) {
        return Ok(());
    }
    let mut taken = TakenIds::default();
    let mut is_changed = false;
    each(dirs, |met| note_own(met, &mut taken))?;
    each(dirs, |met| {
        take_over(dirs, met, &mut taken).map(|is_written| is_changed |= is_written)
    })?;
    let own =
        sys::open_folder(fd(&dirs.dir), OWN_DIR, Lookup::Full).map_err(|e| map_errno(DOING, e))?;
    let node = sys::stat_fd(fd(&own))
        .map_err(|e| map_errno(DOING, e))?
        .node;
    if is_changed && dirs.is_strict() {
        sys::sync_all(fd(&own)).map_err(|e| Error::io("write to the disk", e))?;
    }
    FileMeta::new(FileId::new()?, None, &node).store_if_supported(fd(&own))?;
    dirs.sync_if_strict(fd(&own))
}

/// Shows all that lies in a tree and its trash.
fn each(
    dirs: &TreeDirs,
    mut visit: impl FnMut(&WalkEntry<'_>) -> Result<(), RelocateError>,
) -> Result<()> {
    for (top, is_tree) in [("", true), (TRASH_FILES, false)] {
        let top =
            sys::open_folder(fd(&dirs.dir), top, Lookup::Full).map_err(|e| map_errno(DOING, e))?;
        walk::everything(top, |met| {
            if is_tree && met.is_internal_dir() {
                return Ok(false);
            }
            visit(met).map(|()| met.kind == FileKind::Folder)
        })
        .map_err(|RelocateError(e)| e)?;
    }
    Ok(())
}

/// A file or folder, its meta and what it is; `None` for what is neither, is gone or may not be read.
pub(super) fn with_meta(met: &WalkEntry<'_>) -> sys::SysResult<Option<(OwnedFd, FileMeta, Node)>> {
    let opened = match met.kind {
        FileKind::File => sys::open_read_raw(met.dir, met.raw),
        FileKind::Folder => sys::open_folder_raw(met.dir, met.raw),
        FileKind::Other => return Ok(None),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ACCESS | Errno::PERM) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let meta = match FileMeta::of_file(fd(&opened)) {
        Err(Errno::OPNOTSUPP) => return Ok(None),
        meta => meta?,
    };
    let node = sys::stat_fd(fd(&opened))?.node;
    Ok(Some((opened, meta, node)))
}

/// Takes note of the id and history that a meta says which was written for where it lies.
fn note_own(met: &WalkEntry<'_>, taken: &mut TakenIds) -> Result<(), RelocateError> {
    if let Some((_, meta, node)) = with_meta(met)?
        && let Some(id) = meta.own_id(&node)
    {
        taken.ids.insert(id);
        let history = meta.history(&node);
        if history != id.to_string() {
            taken.histories.insert(history);
        }
    }
    Ok(())
}

/// Lets a file or folder keep its id where it lies now, unless another one has it; returns whether its meta was written.
fn take_over(
    dirs: &TreeDirs,
    met: &WalkEntry<'_>,
    taken: &mut TakenIds,
) -> Result<bool, RelocateError> {
    let Some((opened, meta, node)) = with_meta(met)? else {
        return Ok(false);
    };
    let meta = match (meta.stored_id(), meta.legacy_history()) {
        (Some(_), _) if meta.own_id(&node).is_some() => return Ok(false),
        (Some(id), _) => {
            let meta = meta.for_tree_copy(TreeLocation::Relocated, &node, &node);
            let history = meta.history(&node);
            let is_called_by_id = history == id.to_string();
            let has_other = !is_called_by_id && taken.histories.insert(history);
            // Then it was another name of the file with this id, and has a history of its own since.
            let is_another = has_other
                && (taken.ids.contains(&id)
                    || stat_name(fd(&dirs.versions), &id.to_string())
                        .map_err(RelocateError)?
                        .is_some());
            match (
                is_another || taken.ids.insert(id),
                is_called_by_id || has_other,
            ) {
                (true, _) if is_another => {
                    meta.with_id(FileId::new().map_err(RelocateError)?, &node)
                }
                (true, true) => meta,
                (true, false) => FileMeta::new(id, meta.digest(&node).as_ref(), &node),
                (false, _) => return Ok(false),
            }
        }
        (None, Some(history)) if taken.histories.insert(history.to_owned()) => {
            meta.for_tree_copy(TreeLocation::Relocated, &node, &node)
        }
        // A copy beside the server from when metadata did not tell: the history is the first one's.
        (None, Some(_)) => FileMeta::new(meta.id(&node), meta.digest(&node).as_ref(), &node),
        _ => return Ok(false),
    };
    match meta.store(fd(&opened)) {
        // What may not be written keeps an id of its own.
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

struct RelocateError(Error);

impl From<Errno> for RelocateError {
    fn from(errno: Errno) -> Self {
        Self(map_errno(DOING, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::super::LocalTree;
    use super::super::tests::RELAXED;
    use super::*;
    use crate::storage::contract::{TestTree, commit, path, put};
    use std::fs;

    /// The meta of a file with this history as it was before files had ids.
    fn former(history: &str) -> Vec<u8> {
        [&[0; 48][..], history.as_bytes()].concat()
    }

    /// As a data folder from before files had ids has it: a file with a version, and its copy by `cp -a`.
    #[tokio::test]
    async fn a_copy_from_before_files_had_ids_does_not_share_the_history_of_its_original() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let open = || -> TestTree { LocalTree::open(&home, RELAXED).unwrap() };
        let tree = open();
        for (name, content) in [("one", b"1"), ("one", b"2"), ("other", b"2")] {
            put(&tree, name, content).await;
        }
        drop(tree);
        let versions = home.join(".sarang/versions");
        let history = "18d2c5b1e0a4f993";
        let kept = fs::read_dir(&versions)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        fs::rename(kept, versions.join(history)).unwrap();
        for name in ["one", "other"] {
            sys::set_meta(
                fd(&fs::File::open(home.join(name)).unwrap()),
                &former(history),
            )
            .unwrap();
        }
        sys::clear_meta(fd(&fs::File::open(home.join(OWN_DIR)).unwrap())).unwrap();
        let tree = open();
        let one = tree.versions(&path("one")).await.unwrap().len();
        assert_eq!(
            one + tree.versions(&path("other")).await.unwrap().len(),
            1,
            "it belongs to one of them"
        );
        let (with, without) = if one == 1 {
            ("one", "other")
        } else {
            ("other", "one")
        };
        let id = tree.delete(&path(without), commit()).await.unwrap().id;
        tree.purge(&id).await.unwrap();
        assert_eq!(tree.versions(&path(with)).await.unwrap().len(), 1);
        put(&tree, with, b"3").await;
        assert_eq!(tree.versions(&path(with)).await.unwrap().len(), 2);
    }

    /// As after somebody has copied a home from a backup over the one that is there: what it lacked comes back, and what is in its trash
    /// lies there.
    #[tokio::test]
    async fn what_was_laid_into_a_tree_beside_its_original_in_the_trash_has_another_history() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let open = || -> TestTree { LocalTree::open(&home, RELAXED).unwrap() };
        let tree = open();
        for content in [b"1", b"2"] {
            put(&tree, "f", content).await;
        }
        let id = tree.delete(&path("f"), commit()).await.unwrap().id;
        drop(tree);
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .arg(home.join(TRASH_FILES).join(&id))
            .arg(home.join("f"))
            .status();
        assert!(copied.unwrap().success());
        let elsewhere = Node {
            etag: crate::storage::Etag([1, 2, 3, 4]),
            ..Node::unseen(true)
        };
        let own = fs::File::open(home.join(OWN_DIR)).unwrap();
        FileMeta::new(FileId::new().unwrap(), None, &elsewhere)
            .store(fd(&own))
            .unwrap();
        let tree = open();
        put(&tree, "f", b"3").await;
        tree.purge(&id).await.unwrap();
        assert_eq!(
            tree.versions(&path("f")).await.unwrap().len(),
            1,
            "what was saved since is its history"
        );
        assert!(tree.list_trash(None, 9).await.unwrap().is_empty());
    }

    /// A copy of a file from a data folder of before, laid into the tree after its metadata were written anew.
    #[tokio::test]
    async fn a_label_from_before_files_had_ids_that_comes_later_names_no_history() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
        let history = "18d2c5b1e0a4f993";
        put(&tree, "copy", b"2").await;
        put(&tree, "file", b"1").await;
        let own = fs::File::open(home.join("file")).unwrap();
        let node = sys::stat_fd(fd(&own)).unwrap().node;
        let meta = FileMeta::of_file(fd(&own)).unwrap();
        sys::set_meta(fd(&own), &former(history)).unwrap();
        let migrated = FileMeta::of_file(fd(&own)).unwrap().for_tree_copy(
            TreeLocation::Relocated,
            &node,
            &node,
        );
        migrated.store(fd(&own)).unwrap();
        assert_ne!(migrated, meta);
        put(&tree, "file", b"2").await;
        sys::set_meta(
            fd(&fs::File::open(home.join("copy")).unwrap()),
            &former(history),
        )
        .unwrap();
        assert!(tree.versions(&path("copy")).await.unwrap().is_empty());
        let id = tree.delete(&path("copy"), commit()).await.unwrap().id;
        tree.purge(&id).await.unwrap();
        assert_eq!(tree.versions(&path("file")).await.unwrap().len(), 1);
    }
}
