//! What is on its way to the trash in more than one step, as `leaving-<its name there>` in `.sarang/tmp`: a file that another one takes
//! the place of, and what is moved to another tree. Its note in the trash says where it lay, so that a start can finish or take back
//! what a crash has cut.

use super::change::{delete_with, note_if_folder};
use super::change_log::LoggedChange;
use super::checked_step::CheckedStep;
use super::errors::map_errno;
use super::internal_dirs::{TMP, TRASH_FILES};
use super::names::{NameAt, stat_name};
use super::root::TreeRoot;
use super::sys::{self, Errno, FileKind, FileStat, Lookup, fd};
use super::tmp_names::{PENDING_VERSION, entry_of_pending, pending_name};
use super::trash::TrashEntry;
use super::trashinfo::{self, TRASHINFO};
use super::usage_counter::UsageDelta;
use super::version_dir::VersionDir;
use super::walk;
use crate::model::{Error, RelPath, Result};
use crate::storage::{PendingDelete, WriteOptions};

const BACK: &str = "put it back";

/// Takes something out of sight, whole and in one step.
pub(super) fn begin_delete(
    root: &TreeRoot,
    path: &RelPath,
    commit: &WriteOptions,
) -> Result<PendingDelete> {
    let take = |trash_entry: &mut TrashEntry<'_>, name: NameAt<'_>, found: &FileStat| {
        trash_entry.move_to_pending(name)?;
        // A folder is counted until it is in the trash.
        root.usage.apply(
            root,
            UsageDelta {
                added: 0,
                removed: found.node.len,
            },
        );
        Ok(())
    };
    let outcome = |step: CheckedStep<'_>, found: &FileStat| (found.node.clone(), step.pending());
    let (trash_entry, place, (node, locks)) = delete_with(root, path, commit, take, outcome)?;
    let out = RelPath::from_stored(format!("{TMP}/{}", pending_name(trash_entry.name())));
    let settled = root
        .sync_if_strict(fd(&root.tmp))
        .and_then(|()| root.sync_if_strict(place.dir()));
    if let Err(error) = settled {
        cancel_delete(root, &out)?;
        return Err(error);
    }
    Ok(PendingDelete {
        path: out,
        node,
        locks,
    })
}

/// Moves what was taken out into the trash; returns what it is called there.
pub(super) fn finish_delete(root: &TreeRoot, out: &RelPath) -> Result<String> {
    let (aside, trash_entry) = parse_pending(root, out)?;
    {
        let _guard = root.lock_names();
        let found = stat_name(aside.0, aside.1)?.ok_or(Error::NotFound)?;
        to_trash(root, aside, trash_entry, &found)
            .map_err(|e| map_errno("move it to the trash", e))?;
    }
    root.sync_if_strict(fd(&root.trash_files))?;
    Ok(trash_entry.to_owned())
}

/// Puts back what was taken out; into the trash where something stands in its place by now.
pub(super) fn cancel_delete(root: &TreeRoot, out: &RelPath) -> Result<()> {
    let (aside, trash_entry) = parse_pending(root, out)?;
    let back = {
        let _guard = root.lock_names();
        restore_or_trash(root, aside, trash_entry).map_err(|e| map_errno(BACK, e))?
    };
    let parent = back.as_ref().and_then(RelPath::parent);
    let dir = parent
        .map(|parent| root.open_path(&parent, Lookup::Full, sys::open_folder))
        .transpose()?
        .flatten();
    root.sync_if_strict(dir.as_ref().map_or(fd(&root.trash_files), fd))
}

/// Finishes or takes back what a crash has cut; runs before `.sarang/tmp` is swept.
pub(super) fn recover(root: &TreeRoot) -> Result<()> {
    let doing = "finish what a crash has cut";
    for name in walk::names(fd(&root.tmp)).map_err(|e| map_errno(doing, e))? {
        if let Some(trash_entry) = entry_of_pending(&name) {
            restore_or_trash(root, (fd(&root.tmp), &name), trash_entry)
                .map_err(|e| map_errno(doing, e))?;
        } else if let Some((history, id)) = name
            .strip_prefix(PENDING_VERSION)
            .and_then(|rest| rest.split_once('-'))
        {
            recover_version(root, &name, history, id)?;
        }
    }
    Ok(())
}

/// What still has its first name was not replaced; else it is a former content.
fn recover_version(root: &TreeRoot, name: &str, history: &str, id: &str) -> Result<()> {
    let aside = (fd(&root.tmp), name);
    if stat_name(aside.0, aside.1)?.is_some_and(|found| found.links > 1) {
        return sys::unlink_file(aside.0, aside.1)
            .map_err(|e| map_errno("finish what a crash has cut", e));
    }
    let Some(mut version_dir) = VersionDir::for_history(root, history, u64::MAX)? else {
        return Ok(());
    };
    version_dir.add(id, |place| root.rename_noreplace(aside, place))?;
    version_dir.mark_used();
    version_dir.sync()
}

/// What still stands at its place under its first name never left it; where nothing stands it goes back, and else into the trash. Returns
/// where it is if it is not in the trash.
fn restore_or_trash(
    root: &TreeRoot,
    aside: NameAt<'_>,
    trash_entry: &str,
) -> sys::SysResult<Option<RelPath>> {
    let left = sys::stat_at(aside.0, aside.1)?;
    let Some(path) = trashinfo::read_trashinfo(root, trash_entry)?
        .as_deref()
        .and_then(trashinfo::path_in)
    else {
        return to_trash(root, aside, trash_entry, &left).map(|()| None);
    };
    let dir = match sys::open_folder(
        fd(&root.dir),
        path.parent().unwrap_or_default().as_str(),
        Lookup::Full,
    ) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            return to_trash(root, aside, trash_entry, &left).map(|()| None);
        }
        dir => dir?,
    };
    let place = (fd(&dir), path.name().unwrap_or_default());
    match sys::stat_at(place.0, place.1) {
        Ok(there) if there.inode == left.inode => sys::unlink_file(aside.0, aside.1)?,
        Ok(_) => return to_trash(root, aside, trash_entry, &left).map(|()| None),
        Err(Errno::NOENT) => {
            root.publish_from_tmp(left.kind, aside, place)?;
            note_if_folder(root, &left);
            root.usage.apply(
                root,
                UsageDelta {
                    added: left.node.len,
                    removed: 0,
                },
            );
            root.change_log.append(
                root,
                &[LoggedChange::Moved(
                    format!("{TRASH_FILES}/{trash_entry}"),
                    path.as_str().to_owned(),
                )],
            );
        }
        Err(e) => return Err(e),
    }
    root.trash_index.note_removed(trash_entry);
    match sys::unlink_file(fd(&root.trash_info), &format!("{trash_entry}{TRASHINFO}")) {
        Ok(()) | Err(Errno::NOENT) => Ok(Some(path)),
        Err(e) => Err(e),
    }
}

fn to_trash(
    root: &TreeRoot,
    aside: NameAt<'_>,
    trash_entry: &str,
    found: &FileStat,
) -> sys::SysResult<()> {
    root.rename_noreplace(aside, (fd(&root.trash_files), trash_entry))?;
    note_if_folder(root, found);
    if found.kind == FileKind::Folder {
        root.usage.note_trashed(trash_entry);
    }
    Ok(())
}

/// The name of what was taken out, and its name in the trash.
fn parse_pending<'a>(root: &'a TreeRoot, out: &'a RelPath) -> Result<(NameAt<'a>, &'a str)> {
    let is_out = out.parent().is_some_and(|parent| parent.as_str() == TMP);
    let name = out.name().filter(|_| is_out).ok_or(Error::NotFound)?;
    Ok((
        (fd(&root.tmp), name),
        entry_of_pending(name).ok_or(Error::NotFound)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::check::{TreeCheckOptions, check_tree};
    use super::super::{LocalTree, tests::RELAXED};
    use super::*;
    use crate::storage::contract::{TestTree, commit, content, names, path, put};
    use tempfile::TempDir;

    fn open(dir: &TempDir) -> TestTree {
        LocalTree::open(dir.path(), RELAXED).unwrap()
    }

    async fn filled(dir: &TempDir) -> TestTree {
        let tree = open(dir);
        tree.mkdir(&path("d"), commit()).await.unwrap();
        for text in [b"1", b"2"] {
            put(&tree, "d/x", text).await;
            put(&tree, "f", text).await;
        }
        tree
    }

    async fn is_as_it_was(tree: &TestTree, dir: &TempDir) {
        assert_eq!(names(tree, "").await, ["d", "f"]);
        for file in ["d/x", "f"] {
            assert_eq!(content(tree, file).await, b"2");
            assert_eq!(tree.versions(&path(file)).await.unwrap().len(), 1);
        }
        assert!(tree.list_trash(None, 9).await.unwrap().is_empty());
        assert_eq!(tree.usage().await.unwrap().used, 2);
        assert_eq!(
            check_tree(
                dir.path(),
                TreeCheckOptions {
                    served: true,
                    repair: None
                }
            )
            .unwrap()
            .findings,
            []
        );
    }

    #[tokio::test]
    async fn what_is_taken_out_is_read_elsewhere_and_goes_back_or_into_the_trash() {
        let dir = TempDir::new().unwrap();
        let tree = filled(&dir).await;
        for thing in ["d", "f"] {
            let out = tree
                .begin_delete(&path(thing), commit())
                .await
                .unwrap()
                .path;
            assert!(matches!(
                tree.stat(&path(thing)).await,
                Err(Error::NotFound)
            ));
            assert!(tree.list_trash(None, 9).await.unwrap().is_empty());
            assert_eq!(tree.stat(&out).await.unwrap().folder, thing == "d");
            assert_eq!(
                check_tree(
                    dir.path(),
                    TreeCheckOptions {
                        served: true,
                        repair: None
                    }
                )
                .unwrap()
                .findings,
                []
            );
            tree.cancel_delete(&out).await.unwrap();
            is_as_it_was(&tree, &dir).await;
            let out = tree
                .begin_delete(&path(thing), commit())
                .await
                .unwrap()
                .path;
            let id = tree.finish_delete(&out).await.unwrap();
            let trashed = tree.list_trash(None, 9).await.unwrap();
            assert_eq!(
                (trashed.len(), &trashed[0].id, &trashed[0].path),
                (1, &id, &path(thing))
            );
            assert_eq!(tree.usage().await.unwrap().used, 1);
            tree.restore(&id, &path(thing), commit()).await.unwrap();
            is_as_it_was(&tree, &dir).await;
        }
        assert!(matches!(
            tree.begin_delete(&path("none"), commit()).await,
            Err(Error::NotFound)
        ));
        assert!(matches!(
            tree.cancel_delete(&path("d")).await,
            Err(Error::NotFound)
        ));
    }

    #[tokio::test]
    async fn a_crash_puts_back_what_was_taken_out() {
        let dir = TempDir::new().unwrap();
        let mut tree = filled(&dir).await;
        for thing in ["d", "f"] {
            tree.begin_delete(&path(thing), commit()).await.unwrap();
            drop(tree);
            let repair = Some(RELAXED).filter(|_| thing == "d");
            let findings = check_tree(
                dir.path(),
                TreeCheckOptions {
                    served: false,
                    repair,
                },
            )
            .unwrap()
            .findings;
            assert_eq!(findings.len(), 1, "{findings:?}");
            tree = open(&dir);
            is_as_it_was(&tree, &dir).await;
        }
    }

    #[tokio::test]
    async fn what_has_lost_its_place_goes_into_the_trash() {
        let dir = TempDir::new().unwrap();
        let tree = filled(&dir).await;
        let out = tree.begin_delete(&path("f"), commit()).await.unwrap().path;
        put(&tree, "f", b"new").await;
        tree.cancel_delete(&out).await.unwrap();
        let out = tree
            .begin_delete(&path("d/x"), commit())
            .await
            .unwrap()
            .path;
        tree.delete(&path("d"), commit()).await.unwrap();
        tree.cancel_delete(&out).await.unwrap();
        assert_eq!(content(&tree, "f").await, b"new");
        let mut trashed: Vec<_> = tree
            .list_trash(None, 9)
            .await
            .unwrap()
            .into_iter()
            .map(|item| item.path)
            .collect();
        trashed.sort();
        assert_eq!(trashed, [path("d"), path("d/x"), path("f")]);
    }
}
