//! What is on its way to the trash in more than one step, as `leaving-<its name there>` in `.sarang/tmp`: a file that another one takes
//! the place of, and what is moved to another tree. Its note in the trash says where it lay, so that a start can finish or take back
//! what a crash has cut.

use super::change::{note_if_folder, take_away};
use super::chronicle::{Event, TRASH};
use super::ledger::Growth;
use super::os::{self, Errno, Found, Kind, Lookup, fd};
use super::root::{Root, TMP, explain, stat_name};
use super::trash::{Name, leaving, tomb_of};
use super::trashed::{self, NOTE};
use super::versions::Shelf;
use super::walk;
use crate::content::Commit;
use crate::model::{Error, RelPath, Result};

const BACK: &str = "put it back";

/// Takes something out of sight, whole and in one step; returns where it lies meanwhile.
pub(super) fn take_out(root: &Root, path: &RelPath, commit: &Commit) -> Result<RelPath> {
    let (tomb, place) = take_away(root, path, commit, |tomb, name, found| {
        tomb.take_out(name)?;
        // A folder is counted until it is in the trash.
        root.ledger.note(
            root,
            Growth {
                new: 0,
                old: found.node.len,
            },
        );
        Ok(())
    })?;
    let out = RelPath::restore(format!("{TMP}/{}", leaving(tomb.name())));
    let settled = root
        .settle(fd(&root.tmp))
        .and_then(|()| root.settle(place.dir()));
    if let Err(error) = settled {
        put_back(root, &out)?;
        return Err(error);
    }
    Ok(out)
}

/// Moves what was taken out into the trash; returns what it is called there.
pub(super) fn bury(root: &Root, out: &RelPath) -> Result<String> {
    let (aside, tomb) = named(root, out)?;
    {
        let _guard = root.guard();
        let found = stat_name(aside.0, aside.1)?.ok_or(Error::NotFound)?;
        to_trash(root, aside, tomb, &found).map_err(|e| explain("move it to the trash", e))?;
    }
    root.settle(fd(&root.trash_files))?;
    Ok(tomb.to_owned())
}

/// Puts back what was taken out; into the trash where something stands in its place by now.
pub(super) fn put_back(root: &Root, out: &RelPath) -> Result<()> {
    let (aside, tomb) = named(root, out)?;
    let back = {
        let _guard = root.guard();
        go_back(root, aside, tomb).map_err(|e| explain(BACK, e))?
    };
    let parent = back.as_ref().and_then(RelPath::parent);
    let dir = parent
        .map(|parent| root.look(&parent, Lookup::Full, os::open_folder))
        .transpose()?
        .flatten();
    root.settle(dir.as_ref().map_or(fd(&root.trash_files), fd))
}

/// Finishes or takes back what a crash has cut; runs before `.sarang/tmp` is swept.
pub(super) fn finish(root: &Root) -> Result<()> {
    let doing = "finish what a crash has cut";
    for name in walk::names(fd(&root.tmp)).map_err(|e| explain(doing, e))? {
        if let Some(tomb) = tomb_of(&name) {
            go_back(root, (fd(&root.tmp), &name), tomb).map_err(|e| explain(doing, e))?;
        } else if let Some((history, id)) = name
            .strip_prefix(FORMER)
            .and_then(|rest| rest.split_once('-'))
        {
            settle_former(root, &name, history, id)?;
        }
    }
    Ok(())
}

/// How the names begin in `.sarang/tmp` of what is being replaced and will be a former content.
const FORMER: &str = "former-";

/// The name in `.sarang/tmp` of what is being replaced and will be this former content.
pub(super) fn former(history: &str, id: &str) -> String {
    format!("{FORMER}{history}-{id}")
}

/// What still has its first name was not replaced; else it is a former content.
fn settle_former(root: &Root, name: &str, history: &str, id: &str) -> Result<()> {
    let aside = (fd(&root.tmp), name);
    if stat_name(aside.0, aside.1)?.is_some_and(|found| found.links > 1) {
        return os::unlink_file(aside.0, aside.1)
            .map_err(|e| explain("finish what a crash has cut", e));
    }
    let Some(mut shelf) = Shelf::of(root, history, u64::MAX)? else {
        return Ok(());
    };
    shelf.lay(id, |place| root.rename_new(aside, place))?;
    shelf.keep();
    shelf.settle()
}

/// What still stands at its place under its first name never left it; where nothing stands it goes back, and else into the trash. Returns
/// where it is if it is not in the trash.
fn go_back(root: &Root, aside: Name<'_>, tomb: &str) -> os::Outcome<Option<RelPath>> {
    let left = os::stat_at(aside.0, aside.1)?;
    let Some(path) = trashed::read_note(root, tomb)?
        .as_deref()
        .and_then(trashed::path_in)
    else {
        return to_trash(root, aside, tomb, &left).map(|()| None);
    };
    let dir = match os::open_folder(
        fd(&root.dir),
        path.parent().unwrap_or_default().as_str(),
        Lookup::Full,
    ) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            return to_trash(root, aside, tomb, &left).map(|()| None);
        }
        dir => dir?,
    };
    let place = (fd(&dir), path.name().unwrap_or_default());
    match os::stat_at(place.0, place.1) {
        Ok(there) if there.inode == left.inode => os::unlink_file(aside.0, aside.1)?,
        Ok(_) => return to_trash(root, aside, tomb, &left).map(|()| None),
        Err(Errno::NOENT) => {
            root.show(left.kind, aside, place)?;
            note_if_folder(root, &left);
            root.ledger.note(
                root,
                Growth {
                    new: left.node.len,
                    old: 0,
                },
            );
            root.pen.note(
                root,
                &[Event::Moved(
                    format!("{TRASH}/{tomb}"),
                    path.as_str().to_owned(),
                )],
            );
        }
        Err(e) => return Err(e),
    }
    root.inventory.note_gone(tomb);
    match os::unlink_file(fd(&root.trash_info), &format!("{tomb}{NOTE}")) {
        Ok(()) | Err(Errno::NOENT) => Ok(Some(path)),
        Err(e) => Err(e),
    }
}

fn to_trash(root: &Root, aside: Name<'_>, tomb: &str, found: &Found) -> os::Outcome<()> {
    root.rename_new(aside, (fd(&root.trash_files), tomb))?;
    note_if_folder(root, found);
    if found.kind == Kind::Folder {
        root.ledger.note_buried(tomb);
    }
    Ok(())
}

/// The name of what was taken out, and its name in the trash.
fn named<'a>(root: &'a Root, out: &'a RelPath) -> Result<(Name<'a>, &'a str)> {
    let is_out = out.parent().is_some_and(|parent| parent.as_str() == TMP);
    let name = out.name().filter(|_| is_out).ok_or(Error::NotFound)?;
    Ok(((fd(&root.tmp), name), tomb_of(name).ok_or(Error::NotFound)?))
}

#[cfg(test)]
mod tests {
    use super::super::check::{Care, look_over};
    use super::super::{LocalTree, tests::RELAXED};
    use super::*;
    use crate::content::contract::{Tree, commit, content, names, path, put};
    use tempfile::TempDir;

    fn open(dir: &TempDir) -> Tree {
        LocalTree::open(dir.path(), RELAXED).unwrap()
    }

    async fn filled(dir: &TempDir) -> Tree {
        let tree = open(dir);
        tree.mkdir(&path("d"), commit()).await.unwrap();
        for text in [b"1", b"2"] {
            put(&tree, "d/x", text).await;
            put(&tree, "f", text).await;
        }
        tree
    }

    async fn is_as_it_was(tree: &Tree, dir: &TempDir) {
        assert_eq!(names(tree, "").await, ["d", "f"]);
        for file in ["d/x", "f"] {
            assert_eq!(content(tree, file).await, b"2");
            assert_eq!(tree.versions(&path(file)).await.unwrap().len(), 1);
        }
        assert!(tree.trashed(None, 9).await.unwrap().is_empty());
        assert_eq!(tree.usage().await.unwrap().used, 2);
        assert_eq!(
            look_over(
                dir.path(),
                Care {
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
            let out = tree.take_out(&path(thing), commit()).await.unwrap();
            assert!(matches!(
                tree.stat(&path(thing)).await,
                Err(Error::NotFound)
            ));
            assert!(tree.trashed(None, 9).await.unwrap().is_empty());
            assert_eq!(tree.stat(&out).await.unwrap().folder, thing == "d");
            assert_eq!(
                look_over(
                    dir.path(),
                    Care {
                        served: true,
                        repair: None
                    }
                )
                .unwrap()
                .findings,
                []
            );
            tree.put_back(&out).await.unwrap();
            is_as_it_was(&tree, &dir).await;
            let out = tree.take_out(&path(thing), commit()).await.unwrap();
            let id = tree.bury(&out).await.unwrap();
            let trashed = tree.trashed(None, 9).await.unwrap();
            assert_eq!(
                (trashed.len(), &trashed[0].id, &trashed[0].path),
                (1, &id, &path(thing))
            );
            assert_eq!(tree.usage().await.unwrap().used, 1);
            tree.untrash(&id, &path(thing), commit()).await.unwrap();
            is_as_it_was(&tree, &dir).await;
        }
        assert!(matches!(
            tree.take_out(&path("none"), commit()).await,
            Err(Error::NotFound)
        ));
        assert!(matches!(
            tree.put_back(&path("d")).await,
            Err(Error::NotFound)
        ));
    }

    #[tokio::test]
    async fn a_crash_puts_back_what_was_taken_out() {
        let dir = TempDir::new().unwrap();
        let mut tree = filled(&dir).await;
        for thing in ["d", "f"] {
            tree.take_out(&path(thing), commit()).await.unwrap();
            drop(tree);
            let repair = Some(RELAXED).filter(|_| thing == "d");
            let findings = look_over(
                dir.path(),
                Care {
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
        let out = tree.take_out(&path("f"), commit()).await.unwrap();
        put(&tree, "f", b"new").await;
        tree.put_back(&out).await.unwrap();
        let out = tree.take_out(&path("d/x"), commit()).await.unwrap();
        tree.delete(&path("d"), commit()).await.unwrap();
        tree.put_back(&out).await.unwrap();
        assert_eq!(content(&tree, "f").await, b"new");
        let mut trashed: Vec<_> = tree
            .trashed(None, 9)
            .await
            .unwrap()
            .into_iter()
            .map(|item| item.path)
            .collect();
        trashed.sort();
        assert_eq!(trashed, [path("d"), path("d/x"), path("f")]);
    }
}
