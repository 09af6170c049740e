//! Another tree becomes a folder of this one, and its history a part of this one's: former contents go where the labels of its files
//! look for them, what lies in its trash comes to the trash.

use super::chronicle::{self, Event};
use super::fill::entries;
use super::os::{self, Errno, Lookup, fd};
use super::overflow::{self, mounted};
use super::root::{Root, explain};
use super::stage::remove_tree;
use super::trash::{self, path_line, write_small};
use super::trashed::{NOTE, note_in, path_in};
use super::{apart, leave, own, relocated, walk};
use crate::model::{Error, RelPath, Result};
use std::ffi::{CString, OsStr};
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

const DOING: &str = "take over the history";

/// Moves a folder that lies outside the tree, on the same file system, to `to`, whole and in one rename; then its history. `Exists`.
pub(super) fn adopt(root: &Root, folder: &Path, to: &RelPath) -> Result<()> {
    let (Some(outside), Some(name)) = (folder.parent(), folder.file_name().and_then(OsStr::to_str))
    else {
        return Err(Error::NotFound);
    };
    let outside = os::open_root(outside).map_err(|e| Error::io("open the folder of homes", e))?;
    let mut target = root.place(to)?;
    // Nothing is noted about a folder that cannot come there.
    if target.find()?.1.is_some() {
        return Err(Error::Exists);
    }
    // If it is not adopted they are loose. Until it is, nothing is swept.
    let _unswept = root.overflow.hold();
    root.overflow.note_loose();
    overflow::adopt(root, folder)?;
    mounted::adopt(root, folder, to)?;
    if let Ok(kept) = os::open_root(&folder.join(chronicle::OWN)) {
        let given = Root::open(folder, root.settings)?;
        trash::finish_swaps(&given)?;
        leave::finish(&given)?;
        relocated::settle(&given)?;
        apart::set_apart(root, &given)?;
        os::set_given(fd(&kept)).map_err(|e| explain("mark its history", e))?;
    }
    // Until the history has come along, the tree says that one is to come.
    let note = Note::write(root, to)?;
    {
        let _guard = root.guard();
        target.refresh()?;
        let (new_name, there) = target.find()?;
        if there.is_some() {
            return Err(Error::Exists);
        }
        root.rename_new((fd(&outside), name), (target.dir(), &new_name))
            .map_err(|e| explain("move it", e))?;
        root.note_move();
        root.ledger.forget(root);
        root.pen.note(root, &[Event::Made(to.as_str().to_owned())]);
    }
    root.settle(target.dir())?;
    root.settle(fd(&outside))?;
    // The files are there, and what is left of their history is told.
    if let Err(error) = take_history(root, to) {
        let folder = to.as_str();
        tracing::error!(%error, folder, "the history of adopted files was not taken over whole; the next start goes on");
        note.stay();
    }
    Ok(())
}

/// How notes about adoptions under way begin below the root; the rest makes their names unique. Each holds the path of the folder.
const NOTE_OF: &str = "adopting-";

/// Says that a folder is about to come with a history; taken away when dropped.
struct Note<'a> {
    root: &'a Root,
    name: String,
}

impl<'a> Note<'a> {
    fn write(root: &'a Root, to: &RelPath) -> Result<Self> {
        let own = own::open(fd(&root.dir), chronicle::OWN)?;
        let note = Self {
            root,
            name: format!("{NOTE_OF}{}", root.stamp()),
        };
        write_small(root, fd(&own), &note.name, to.as_str())?;
        Ok(note)
    }

    fn stay(self) {
        std::mem::forget(self);
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        // What stays is looked at by the next start, which finds nothing to do.
        let _ = os::unlink_file(
            fd(&self.root.dir),
            &format!("{}/{}", chronicle::OWN, self.name),
        );
    }
}

/// Goes on with adoptions that a crash, or a failure, has cut after the files had come.
pub(super) fn finish(root: &Root) -> Result<()> {
    let own = own::open(fd(&root.dir), chronicle::OWN)?;
    for name in names(fd(&own))?
        .into_iter()
        .filter(|name| name.starts_with(NOTE_OF))
    {
        let mut path = String::new();
        let file = os::open_read(fd(&own), &name, Lookup::Full).map_err(failed)?;
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
            match take_history(root, &folder) {
                Ok(()) | Err(Error::NotFound | Error::NotFolder) => {}
                Err(error) => return Err(error),
            }
        }
        os::unlink_file(fd(&own), &name).map_err(failed)?;
    }
    Ok(())
}

/// Takes over the history of a tree that has become the folder `to`, or what a crash has left of it. `NotFound` for no folder.
pub(super) fn take_history(root: &Root, to: &RelPath) -> Result<()> {
    let dir = root
        .look(to, Lookup::Full, os::open_folder)?
        .ok_or(Error::NotFound)?;
    let Some(own) = folder(fd(&dir), chronicle::OWN)?.filter(|own| os::is_given(fd(own))) else {
        return Ok(());
    };
    let mut left = take_versions(root, fd(&own))?;
    left.items = take_trash(root, fd(&own), to)?;
    for kept in [&root.versions, &root.trash_files, &root.trash_info] {
        root.settle(fd(kept))?;
    }
    root.overflow.note_loose();
    if left.items + left.versions > 0 {
        tracing::warn!(
            folder = to.as_str(),
            trash = left.items,
            versions = left.versions,
            "so much of the history of adopted files could not be taken over; it stays in the folder .sarang there"
        );
        return Ok(());
    }
    remove_tree(fd(&dir), chronicle::OWN, &mut |_, _| {})
}

/// How much could not be taken over.
#[derive(Debug, Default)]
struct Left {
    items: usize,
    versions: usize,
}

fn take_versions(root: &Root, own: BorrowedFd<'_>) -> Result<Left> {
    let Some(from) = folder(own, "versions")? else {
        return Ok(Left::default());
    };
    for history in names(fd(&from))? {
        match root.rename_new((fd(&from), &history), (fd(&root.versions), &history)) {
            // Its file was overwritten before this.
            Err(Errno::EXIST) => merge(root, fd(&from), &history)?,
            renamed => renamed.map_err(failed)?,
        }
    }
    let mut left = Left::default();
    for (history, _) in entries(fd(&from))? {
        let dir = os::open_folder_raw(fd(&from), &history);
        left.versions += dir.map_or(Ok(1), |dir| {
            entries(fd(&dir)).map(|versions| versions.len())
        })?;
    }
    Ok(left)
}

fn merge(root: &Root, from: BorrowedFd<'_>, history: &str) -> Result<()> {
    let (Some(here), Some(there)) = (folder(from, history)?, folder(fd(&root.versions), history)?)
    else {
        return Ok(());
    };
    for version in names(fd(&here))? {
        match root.rename_new((fd(&here), &version), (fd(&there), &version)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    if let Ok(history) = CString::new(history) {
        // What is left is counted.
        let _ = os::remove_folder(from, &history);
    }
    Ok(())
}

/// Returns how many items could not be taken over.
fn take_trash(root: &Root, own: BorrowedFd<'_>, to: &RelPath) -> Result<usize> {
    let (Some(files), Some(info)) = (folder(own, "trash/files")?, folder(own, "trash/info")?)
    else {
        return Ok(0);
    };
    for item in names(fd(&files))? {
        let text = note_in(fd(&info), &item)
            .map_err(failed)?
            .unwrap_or_default();
        let path = path_in(&text)
            .map_or_else(|| RelPath::parse(&item), Ok)?
            .beneath(to);
        let is_taken = [
            (&root.trash_files, item.clone()),
            (&root.trash_info, format!("{item}{NOTE}")),
        ]
        .iter()
        .any(|(dir, name)| os::stat_at(fd(*dir), name).is_ok());
        let id = if is_taken {
            trash::name_of(root, path.name().unwrap_or_default())
        } else {
            item.clone()
        };
        let note = format!("{id}{NOTE}");
        write_small(root, fd(&root.trash_info), &note, &moved(&text, &path))?;
        if let Err(e) = root.rename_new((fd(&files), &item), (fd(&root.trash_files), &id)) {
            let _ = os::unlink_file(fd(&root.trash_info), &note);
            return Err(failed(e));
        }
    }
    root.inventory.forget();
    Ok(entries(fd(&files))?.len())
}

/// The note about an item, as of another path.
fn moved(note: &str, path: &RelPath) -> String {
    if path_in(note).is_none() {
        return trash::note_of(path.as_str());
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
    own::find(dir, name).map_err(failed)
}

fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    walk::names(dir).map_err(failed)
}

fn failed(errno: Errno) -> Error {
    explain(DOING, errno)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Care, look_over};
    use super::super::{LocalTree, tests::RELAXED};
    use super::*;
    use crate::content::contract::{Tree, commit, content, path, put};
    use std::fs;
    use std::sync::Arc;
    use tempfile::TempDir;

    /// A tree with versions of two files, one of them in the trash.
    async fn other() -> TempDir {
        let dir = TempDir::new().unwrap();
        let tree: Tree = LocalTree::open(dir.path(), RELAXED).unwrap();
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
        let tree: Tree = tree.clone();
        assert_eq!(tree.versions(&path("theirs/file")).await.unwrap().len(), 1);
        let trashed = tree.trashed(None, 9).await.unwrap();
        assert_eq!(trashed.len(), items);
        let item = trashed
            .into_iter()
            .find(|item| item.path == path("theirs/gone"))
            .unwrap();
        assert_eq!(item.who.unwrap().as_str(), "ada");
        assert!(item.when.is_some());
        tree.untrash(&item.id, &path("back"), commit())
            .await
            .unwrap();
        assert_eq!(content(&tree, "back").await, b"2");
        assert_eq!(tree.versions(&path("back")).await.unwrap().len(), 1);
        assert!(!dir.path().join("home/theirs/.sarang").exists());
        let findings = look_over(
            &dir.path().join("home"),
            Care {
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
        let (dir, other) = (TempDir::new().unwrap(), other().await);
        let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        // Names that are taken are no hindrance.
        let id = fs::read_dir(other.path().join(".sarang/trash/files"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .file_name();
        let (files, info) = (
            dir.path().join("home/.sarang/trash/files"),
            dir.path().join("home/.sarang/trash/info"),
        );
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
        let (dir, other) = (TempDir::new().unwrap(), other().await);
        let tree = LocalTree::open(&dir.path().join("home"), RELAXED).unwrap();
        let (noted, kept) = (
            other.path().join(mounted::MOUNTED),
            dir.path().join("home").join(mounted::MOUNTED),
        );
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
        let (dir, other) = (TempDir::new().unwrap(), other().await);
        let home = dir.path().join("home");
        let tree = LocalTree::open(&home, RELAXED).unwrap();
        assert!(matches!(
            tree.adopt_history(&path("theirs")).await,
            Err(Error::NotFound)
        ));
        let own = os::open_root(&other.path().join(".sarang")).unwrap();
        os::set_given(fd(&own)).unwrap();
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
            let (dir, other) = (TempDir::new().unwrap(), other().await);
            let home = dir.path().join("home");
            let tree = LocalTree::open(&home, RELAXED).unwrap();
            Note::write(&tree.root, &path("theirs")).unwrap().stay();
            drop(tree);
            os::set_given(fd(&os::open_root(&other.path().join(".sarang")).unwrap())).unwrap();
            fs::rename(other.path(), home.join(name)).unwrap();
            std::mem::forget(other);
            let tree: Tree = LocalTree::open(&home, RELAXED).unwrap();
            assert_eq!(
                tree.versions(&path(&format!("{name}/file")))
                    .await
                    .unwrap()
                    .len(),
                1
            );
            assert_eq!(tree.trashed(None, 9).await.unwrap().len(), 1);
            assert!(!home.join(name).join(".sarang").exists());
            let own = fs::read_dir(home.join(".sarang"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name());
            assert!(
                !own.into_iter()
                    .any(|name| name.to_str().unwrap().starts_with(NOTE_OF))
            );
        }
    }

    /// Its way into the trash is barred: another folder has come into the place of that.
    #[tokio::test]
    async fn a_start_fetches_a_history_that_could_not_come_along() {
        let (dir, other) = (TempDir::new().unwrap(), other().await);
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
        let (dir, other) = (TempDir::new().unwrap(), other().await);
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
        let own = os::open_root(&other.path().join(".sarang")).unwrap();
        os::set_given(fd(&own)).unwrap();
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
