//! Another tree becomes a folder of this one, and its history a part of this one's: former contents go where the labels of its files
//! look for them, what lies in its trash comes to the trash.

use super::change_log::{self, LoggedChange};
use super::copy_content::entries;
use super::overflow::{self, inner_mounts};
use super::root::{TreeRoot, map_errno};
use super::staging::remove_tree;
use super::sys::{self, Errno, Lookup, fd};
use super::trash::{self, path_line, write_small};
use super::trash_items::{TRASHINFO, path_in, trashinfo_in};
use super::{internal_dirs, reassign_ids, relocated, trash_pending, walk};
use crate::model::{Error, RelPath, Result};
use std::ffi::{CString, OsStr};
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

const DOING: &str = "take over the history";

/// Moves a folder that lies outside the tree, on the same file system, to `to`, whole and in one rename; then its history. `Exists`.
pub(super) fn adopt(root: &TreeRoot, folder: &Path, to: &RelPath) -> Result<()> {
    let (Some(outside), Some(name)) = (folder.parent(), folder.file_name().and_then(OsStr::to_str))
    else {
        return Err(Error::NotFound);
    };
    let outside = sys::open_root(outside).map_err(|e| Error::io("open the folder of homes", e))?;
    let mut target = root.open_parent(to)?;
    // Nothing is noted about a folder that cannot come there.
    if target.find()?.1.is_some() {
        return Err(Error::Exists);
    }
    // If it is not adopted they are loose. Until it is, nothing is swept.
    let _unswept = root.overflow.pause_sweep();
    root.overflow.note_unreferenced();
    overflow::adopt(root, folder)?;
    inner_mounts::adopt(root, folder, to)?;
    if let Ok(kept) = sys::open_root(&folder.join(change_log::OWN)) {
        let given = TreeRoot::open(folder, root.settings)?;
        trash::finish_swaps(&given)?;
        trash_pending::recover(&given)?;
        relocated::relabel(&given)?;
        reassign_ids::reassign_shared_ids(root, &given)?;
        sys::set_adopted(fd(&kept)).map_err(|e| map_errno("mark its history", e))?;
    }
    // Until the history has come along, the tree says that one is to come.
    let note = AdoptionMarker::write(root, to)?;
    {
        let _guard = root.lock_names();
        target.refresh()?;
        let (new_name, there) = target.find()?;
        if there.is_some() {
            return Err(Error::Exists);
        }
        root.rename_noreplace((fd(&outside), name), (target.dir(), &new_name))
            .map_err(|e| map_errno("move it", e))?;
        root.note_move();
        root.usage.invalidate(root);
        root.change_log
            .append(root, &[LoggedChange::Made(to.as_str().to_owned())]);
    }
    root.sync_if_strict(target.dir())?;
    root.sync_if_strict(fd(&outside))?;
    // The files are there, and what is left of their history is told.
    if let Err(error) = adopt_history(root, to) {
        let folder = to.as_str();
        tracing::error!(%error, folder, "the history of adopted files was not taken over whole; the next start goes on");
        note.keep();
    }
    Ok(())
}

/// How notes about adoptions under way begin below the root; the rest makes their names unique. Each holds the path of the folder.
const MARKER_PREFIX: &str = "adopting-";

/// Says that a folder is about to come with a history; taken away when dropped.
struct AdoptionMarker<'a> {
    root: &'a TreeRoot,
    name: String,
}

impl<'a> AdoptionMarker<'a> {
    fn write(root: &'a TreeRoot, to: &RelPath) -> Result<Self> {
        let own = internal_dirs::open(fd(&root.dir), change_log::OWN)?;
        let note = Self {
            root,
            name: format!("{MARKER_PREFIX}{}", root.new_stamp()),
        };
        write_small(root, fd(&own), &note.name, to.as_str())?;
        Ok(note)
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for AdoptionMarker<'_> {
    fn drop(&mut self) {
        // What stays is looked at by the next start, which finds nothing to do.
        let _ = sys::unlink_file(
            fd(&self.root.dir),
            &format!("{}/{}", change_log::OWN, self.name),
        );
    }
}

/// Goes on with adoptions that a crash, or a failure, has cut after the files had come.
pub(super) fn recover(root: &TreeRoot) -> Result<()> {
    let own = internal_dirs::open(fd(&root.dir), change_log::OWN)?;
    for name in names(fd(&own))?
        .into_iter()
        .filter(|name| name.starts_with(MARKER_PREFIX))
    {
        let mut path = String::new();
        let file = sys::open_read(fd(&own), &name, Lookup::Full).map_err(failed)?;
        std::fs::File::from(file)
            .read_to_string(&mut path)
            .map_err(|e| Error::io(DOING, e))?;
        let mut folders: Vec<_> = RelPath::of_existing(&path).into_iter().collect();
        // It may have been renamed.
        folders.extend(
            names(fd(&root.dir))?
                .iter()
                .flat_map(|name| RelPath::parse(name)),
        );
        for folder in folders {
            match adopt_history(root, &folder) {
                Ok(()) | Err(Error::NotFound | Error::NotFolder) => {}
                Err(error) => return Err(error),
            }
        }
        sys::unlink_file(fd(&own), &name).map_err(failed)?;
    }
    Ok(())
}

/// Takes over the history of a tree that has become the folder `to`, or what a crash has left of it. `NotFound` for no folder.
pub(super) fn adopt_history(root: &TreeRoot, to: &RelPath) -> Result<()> {
    let dir = root
        .open_path(to, Lookup::Full, sys::open_folder)?
        .ok_or(Error::NotFound)?;
    let Some(own) = folder(fd(&dir), change_log::OWN)?.filter(|own| sys::is_adopted(fd(own)))
    else {
        return Ok(());
    };
    let mut left = adopt_versions(root, fd(&own))?;
    left.items = adopt_trash(root, fd(&own), to)?;
    for kept in [&root.versions, &root.trash_files, &root.trash_info] {
        root.sync_if_strict(fd(kept))?;
    }
    root.overflow.note_unreferenced();
    if left.items + left.versions > 0 {
        tracing::warn!(
            folder = to.as_str(),
            trash = left.items,
            versions = left.versions,
            "so much of the history of adopted files could not be taken over; it stays in the folder .sarang there"
        );
        return Ok(());
    }
    remove_tree(fd(&dir), change_log::OWN, &mut |_, _| {})
}

/// How much could not be taken over.
#[derive(Debug, Default)]
struct AdoptionRemainder {
    items: usize,
    versions: usize,
}

fn adopt_versions(root: &TreeRoot, own: BorrowedFd<'_>) -> Result<AdoptionRemainder> {
    let Some(from) = folder(own, "versions")? else {
        return Ok(AdoptionRemainder::default());
    };
    for history in names(fd(&from))? {
        match root.rename_noreplace((fd(&from), &history), (fd(&root.versions), &history)) {
            // Its file was overwritten before this.
            Err(Errno::EXIST) => merge_versions(root, fd(&from), &history)?,
            renamed => renamed.map_err(failed)?,
        }
    }
    let mut left = AdoptionRemainder::default();
    for (history, _) in entries(fd(&from))? {
        let dir = sys::open_folder_raw(fd(&from), &history);
        left.versions += dir.map_or(Ok(1), |dir| {
            entries(fd(&dir)).map(|versions| versions.len())
        })?;
    }
    Ok(left)
}

fn merge_versions(root: &TreeRoot, from: BorrowedFd<'_>, history: &str) -> Result<()> {
    let (Some(here), Some(there)) = (folder(from, history)?, folder(fd(&root.versions), history)?)
    else {
        return Ok(());
    };
    for version in names(fd(&here))? {
        match root.rename_noreplace((fd(&here), &version), (fd(&there), &version)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    if let Ok(history) = CString::new(history) {
        // What is left is counted.
        let _ = sys::remove_folder(from, &history);
    }
    Ok(())
}

/// Returns how many items could not be taken over.
fn adopt_trash(root: &TreeRoot, own: BorrowedFd<'_>, to: &RelPath) -> Result<usize> {
    let (Some(files), Some(info)) = (folder(own, "trash/files")?, folder(own, "trash/info")?)
    else {
        return Ok(0);
    };
    for item in names(fd(&files))? {
        let text = trashinfo_in(fd(&info), &item)
            .map_err(failed)?
            .unwrap_or_default();
        let path = path_in(&text)
            .map_or_else(|| RelPath::parse(&item), Ok)?
            .beneath(to);
        let is_taken = [
            (&root.trash_files, item.clone()),
            (&root.trash_info, format!("{item}{TRASHINFO}")),
        ]
        .iter()
        .any(|(dir, name)| sys::stat_at(fd(*dir), name).is_ok());
        let id = if is_taken {
            trash::new_trash_name(root, path.name().unwrap_or_default())
        } else {
            item.clone()
        };
        let note = format!("{id}{TRASHINFO}");
        write_small(root, fd(&root.trash_info), &note, &with_path(&text, &path))?;
        if let Err(e) = root.rename_noreplace((fd(&files), &item), (fd(&root.trash_files), &id)) {
            let _ = sys::unlink_file(fd(&root.trash_info), &note);
            return Err(failed(e));
        }
    }
    root.trash_index.invalidate();
    Ok(entries(fd(&files))?.len())
}

/// The note about an item, as of another path.
fn with_path(note: &str, path: &RelPath) -> String {
    if path_in(note).is_none() {
        return trash::trashinfo_of(path.as_str());
    }
    let line = |line: &str| {
        if line.starts_with("Path=") {
            path_line(path.as_str())
        } else {
            line.to_owned()
        }
    };
    note.lines().map(|text| line(text) + "\n").collect()
}

fn folder(dir: BorrowedFd<'_>, name: &str) -> Result<Option<OwnedFd>> {
    internal_dirs::find(dir, name).map_err(failed)
}

fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    walk::names(dir).map_err(failed)
}

fn failed(errno: Errno) -> Error {
    map_errno(DOING, errno)
}

#[cfg(test)]
mod tests {
    use super::super::check::{TreeCheckOptions, check_tree};
    use super::super::{LocalTree, tests::RELAXED};
    use super::*;
    use crate::storage::contract::{TestTree, commit, content, path, put};
    use std::fs;
    use std::sync::Arc;
    use tempfile::TempDir;

    /// A tree with versions of two files, one of them in the trash.
    async fn other() -> TempDir {
        let dir = TempDir::new().unwrap();
        let tree: TestTree = LocalTree::open(dir.path(), RELAXED).unwrap();
        for file in ["file", "gone"] {
            for content in [b"1", b"2"] {
                put(&tree, file, content).await;
            }
        }
        tree.delete(&path("gone"), commit()).await.unwrap();
        dir
    }

    /// What is at `theirs` has its history in this tree.
    async fn is_whole(tree: &Arc<LocalTree>, dir: &TempDir, items: usize) {
        let tree: TestTree = tree.clone();
        assert_eq!(tree.versions(&path("theirs/file")).await.unwrap().len(), 1);
        let trashed = tree.list_trash(None, 9).await.unwrap();
        assert_eq!(trashed.len(), items);
        let item = trashed
            .into_iter()
            .find(|item| item.path == path("theirs/gone"))
            .unwrap();
        assert_eq!(item.deleted_by.unwrap().as_str(), "ada");
        assert!(item.deleted_at.is_some());
        tree.restore(&item.id, &path("back"), commit())
            .await
            .unwrap();
        assert_eq!(content(&tree, "back").await, b"2");
        assert_eq!(tree.versions(&path("back")).await.unwrap().len(), 1);
        assert!(!dir.path().join("home/theirs/.sarang").exists());
        let findings = check_tree(
            &dir.path().join("home"),
            TreeCheckOptions {
                served: false,
                repair: None,
            },
        )
        .unwrap()
        .findings;
        assert_eq!(findings, []);
    }

    #[tokio::test]
    async fn an_adopted_tree_brings_its_history() {
        let dir = TempDir::new().unwrap();
        let other = other().await;
        let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        // Names that are taken are no hindrance.
        let id = fs::read_dir(other.path().join(".sarang/trash/files"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .file_name();
        let files = dir.path().join("home/.sarang/trash/files");
        let info = dir.path().join("home/.sarang/trash/info");
        fs::write(files.join(&id), "own").unwrap();
        fs::write(
            info.join(format!("{}.trashinfo", id.to_str().unwrap())),
            "[Trash Info]\nPath=own\n",
        )
        .unwrap();
        for history in fs::read_dir(other.path().join(".sarang/versions")).unwrap() {
            fs::create_dir(
                dir.path()
                    .join("home/.sarang/versions")
                    .join(history.unwrap().file_name()),
            )
            .unwrap();
        }
        tree.adopt(other.path(), &path("theirs")).await.unwrap();
        std::mem::forget(other);
        is_whole(&tree, &dir, 2).await;
    }

    /// Its overflow files may be named by what is away.
    #[tokio::test]
    async fn what_was_mounted_in_an_adopted_tree_is_kept_in_mind() {
        let dir = TempDir::new().unwrap();
        let other = other().await;
        let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        let noted = other.path().join(inner_mounts::MOUNTED);
        let kept = dir.path().join("home").join(inner_mounts::MOUNTED);
        fs::write(&noted, "[").unwrap();
        let refused = tree.adopt(other.path(), &path("theirs")).await;
        assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
        assert!(noted.exists() && !kept.exists());
        fs::write(&noted, r#"[{"path":"disk","id":[1,2]}]"#).unwrap();
        tree.adopt(other.path(), &path("theirs")).await.unwrap();
        std::mem::forget(other);
        assert_eq!(
            fs::read_to_string(kept).unwrap(),
            r#"[{"path":"theirs/disk","id":[1,2]}]"#
        );
    }

    /// A crash between the two, and what was cut before.
    #[tokio::test]
    async fn a_history_that_was_left_behind_is_fetched() {
        let dir = TempDir::new().unwrap();
        let other = other().await;
        let home = dir.path().join("home");
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        assert!(matches!(
            tree.adopt_history(&path("theirs")).await,
            Err(Error::NotFound)
        ));
        let own = sys::open_root(&other.path().join(".sarang")).unwrap();
        sys::set_adopted(fd(&own)).unwrap();
        fs::rename(other.path(), home.join("theirs")).unwrap();
        std::mem::forget(other);
        tree.adopt_history(&path("theirs")).await.unwrap();
        is_whole(&tree, &dir, 1).await;
        tree.adopt_history(&path("theirs")).await.unwrap();
    }

    /// A crash between the two, of which nobody else knows; the folder was renamed since.
    #[tokio::test]
    async fn a_start_fetches_a_history_that_was_left_behind() {
        for name in ["theirs", "renamed"] {
            let dir = TempDir::new().unwrap();
            let other = other().await;
            let home = dir.path().join("home");
            let tree = LocalTree::open(&home, RELAXED).unwrap();
            AdoptionMarker::write(&tree.root, &path("theirs"))
                .unwrap()
                .keep();
            drop(tree);
            sys::set_adopted(fd(&sys::open_root(&other.path().join(".sarang")).unwrap())).unwrap();
            fs::rename(other.path(), home.join(name)).unwrap();
            std::mem::forget(other);
            let tree: TestTree = LocalTree::open(&home, RELAXED).unwrap();
            assert_eq!(
                tree.versions(&path(&format!("{name}/file")))
                    .await
                    .unwrap()
                    .len(),
                1
            );
            assert_eq!(tree.list_trash(None, 9).await.unwrap().len(), 1);
            assert!(!home.join(name).join(".sarang").exists());
            let own = fs::read_dir(home.join(".sarang"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name());
            assert!(
                !own.into_iter()
                    .any(|name| name.to_str().unwrap().starts_with(MARKER_PREFIX))
            );
        }
    }

    /// Its way into the trash is barred: another folder has come into the place of that.
    #[tokio::test]
    async fn a_start_fetches_a_history_that_could_not_come_along() {
        let dir = TempDir::new().unwrap();
        let other = other().await;
        let home = dir.path().join("home");
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        let files = home.join(".sarang/trash/files");
        fs::remove_dir(&files)
            .and_then(|()| fs::create_dir(&files))
            .unwrap();
        tree.adopt(other.path(), &path("theirs")).await.unwrap();
        std::mem::forget(other);
        drop(tree);
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        is_whole(&tree, &dir, 1).await;
    }

    #[tokio::test]
    async fn what_cannot_be_taken_over_stays() {
        let dir = TempDir::new().unwrap();
        let other = other().await;
        let home = dir.path().join("home");
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        for history in fs::read_dir(other.path().join(".sarang/versions")).unwrap() {
            let history = history.unwrap();
            let version = fs::read_dir(history.path())
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .file_name();
            let taken = home.join(".sarang/versions").join(history.file_name());
            fs::create_dir(&taken).unwrap();
            fs::write(taken.join(version), "own").unwrap();
        }
        let own = sys::open_root(&other.path().join(".sarang")).unwrap();
        sys::set_adopted(fd(&own)).unwrap();
        fs::rename(other.path(), home.join("theirs")).unwrap();
        std::mem::forget(other);
        tree.adopt_history(&path("theirs")).await.unwrap();
        assert_eq!(
            fs::read_dir(home.join("theirs/.sarang/versions"))
                .unwrap()
                .count(),
            2
        );
        assert_eq!(
            fs::read_dir(home.join(".sarang/trash/files"))
                .unwrap()
                .count(),
            1
        );
    }
}
