//! What every tree promises of its past; part of the suite in [`contract`](super::contract).

use super::contract::{HOSTILE, TwoHandles, commit, content, content_at, names_at, path, put};
use super::history::{ExpiredCounts, Retention, RewindPlan, RewindSource, RewindStep};
use super::{CopyDepth, Expect, WriteOptions};
use crate::model::{AccountName, Error};
use std::time::{Duration, SystemTime};

/// What is deleted or replaced lies in the trash, newest first, and says by whom.
pub async fn the_trash_is_listed_newest_first(tree: TwoHandles) {
    put(&tree, HOSTILE, b"one").await;
    put(&tree, "b", b"two").await;
    tree.mkdir(&path("c"), commit()).await.unwrap();
    put(&tree, "c/d", b"three").await;
    for name in [HOSTILE, "b", "c"] {
        let who = AccountName::parse("ben").unwrap();
        tree.delete(&path(name), WriteOptions::by(who))
            .await
            .unwrap();
    }
    let items = tree.list_trash(None, 100).await.unwrap();
    let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, ["c", "b", HOSTILE]);
    assert!(items.iter().all(|item| {
        item.deleted_by
            .as_ref()
            .is_some_and(|who| who.as_str() == "ben")
    }));
    assert!(items.iter().all(|item| {
        item.deleted_at
            .is_some_and(|when| when.elapsed().is_ok_and(|age| age.as_secs() < 60))
    }));
    assert_eq!((items[0].node.folder, items[1].node.len), (true, 3));
    let second = tree.list_trash(Some(&items[0].id), 1).await.unwrap();
    assert_eq!(second, items[1..2]);
    assert!(
        tree.list_trash(Some(&items[2].id), 9)
            .await
            .unwrap()
            .is_empty()
    );
}

/// What lies in the trash can be read where it lies, each item under its id, and copied from there.
pub async fn the_trash_can_be_looked_at(tree: TwoHandles) {
    let trash = tree.trash_root();
    assert!(names_at(&tree, &trash).await.is_empty());
    tree.mkdir(&path("a"), commit()).await.unwrap();
    for file in ["a/x", "b.txt", HOSTILE] {
        put(&tree, file, file.as_bytes()).await;
    }
    for gone in ["a", "b.txt", HOSTILE] {
        tree.delete(&path(gone), commit()).await.unwrap();
    }
    let items = tree.list_trash(None, 9).await.unwrap();
    let mut ids: Vec<_> = items.iter().map(|item| item.id.clone()).collect();
    ids.sort();
    assert_eq!(names_at(&tree, &trash).await, ids);
    for item in items {
        let at = path(&item.id).beneath(&trash);
        assert_eq!(tree.stat(&at).await.unwrap(), item.node);
        let file = if item.node.folder {
            path("x").beneath(&at)
        } else {
            at.clone()
        };
        let was = if item.node.folder {
            "a/x"
        } else {
            item.path.as_str()
        };
        assert_eq!(content_at(&tree, &file).await, was.as_bytes());
        tree.copy(&at, &item.path, CopyDepth::Infinity, commit())
            .await
            .unwrap();
        assert_eq!(content(&tree, was).await, was.as_bytes());
    }
    assert_eq!(names_at(&tree, &trash).await, ids);
}

/// An item comes back whole where nothing stands, and only there.
pub async fn the_trash_gives_back(tree: TwoHandles) {
    tree.mkdir(&path("a"), commit()).await.unwrap();
    put(&tree, "a/x", b"content").await;
    tree.delete(&path("a"), commit()).await.unwrap();
    let id = tree.list_trash(None, 1).await.unwrap().remove(0).id;
    put(&tree, "a", b"another").await;
    assert!(matches!(
        tree.restore(&id, &path("a"), commit()).await,
        Err(Error::Exists)
    ));
    assert!(matches!(
        tree.restore(&id, &path("no/a"), commit()).await,
        Err(Error::ParentMissing)
    ));
    let never = commit().expecting(Expect::Exists);
    assert!(matches!(
        tree.restore(&id, &path("b"), never).await,
        Err(Error::PreconditionFailed)
    ));
    tree.restore(&id, &path("b"), commit()).await.unwrap();
    assert_eq!(content(&tree, "b/x").await, b"content");
    assert_eq!(content(&tree, "a").await, b"another");
    assert!(tree.list_trash(None, 9).await.unwrap().is_empty());
    assert!(matches!(
        tree.restore(&id, &path("c"), commit()).await,
        Err(Error::NotFound)
    ));
}

/// What is purged is gone; ids that are no names find nothing and touch nothing.
pub async fn the_trash_is_emptied(tree: TwoHandles) {
    for name in ["a", "b"] {
        tree.mkdir(&path(name), commit()).await.unwrap();
        put(&tree, &format!("{name}/x"), b"content").await;
        tree.delete(&path(name), commit()).await.unwrap();
    }
    put(&tree, "kept", b"kept").await;
    for id in ["", ".", "..", "../info", "../../../kept", "a/b", "nothing"] {
        assert!(matches!(tree.purge(id).await, Err(Error::NotFound)), "{id}");
        assert!(
            matches!(
                tree.restore(id, &path("z"), commit()).await,
                Err(Error::NotFound)
            ),
            "{id}"
        );
    }
    let id = tree.list_trash(None, 1).await.unwrap().remove(0).id;
    tree.purge(&id).await.unwrap();
    assert!(matches!(tree.purge(&id).await, Err(Error::NotFound)));
    let left = tree.list_trash(None, 9).await.unwrap();
    assert_eq!(
        left.iter()
            .map(|item| item.path.as_str())
            .collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(content(&tree, "kept").await, b"kept");
}

/// Each overwritten content is a version, newest first, with the time the file had; an empty one is not.
pub async fn overwriting_leaves_versions(tree: TwoHandles) {
    put(&tree, HOSTILE, b"").await;
    let mut nodes = Vec::new();
    for content in [&b"one"[..], b"second", b"the third"] {
        nodes.push(put(&tree, HOSTILE, content).await);
    }
    let versions = tree.versions(&path(HOSTILE)).await.unwrap();
    assert_eq!(
        versions
            .iter()
            .map(|version| version.node.clone())
            .collect::<Vec<_>>(),
        [nodes[1].clone(), nodes[0].clone()]
    );
    assert!(versions[0].replaced_at >= versions[1].replaced_at);
    let old = tree
        .open_version(&path(HOSTILE), &versions[1].id)
        .await
        .unwrap();
    assert_eq!(&old.read_at(0, 100).await.unwrap()[..], b"one");
    put(&tree, "new", b"x").await;
    assert!(tree.versions(&path("new")).await.unwrap().is_empty());
    for id in [
        "",
        "..",
        "../x",
        "nothing",
        &format!("{}/..", versions[0].id),
    ] {
        assert!(
            matches!(
                tree.open_version(&path(HOSTILE), id).await,
                Err(Error::NotFound)
            ),
            "{id}"
        );
        assert!(
            matches!(
                tree.purge_version(&path(HOSTILE), id).await,
                Err(Error::NotFound)
            ),
            "{id}"
        );
    }
    tree.purge_version(&path(HOSTILE), &versions[0].id)
        .await
        .unwrap();
    assert_eq!(tree.versions(&path(HOSTILE)).await.unwrap(), versions[1..]);
    assert!(matches!(
        tree.versions(&path("missing")).await,
        Err(Error::NotFound)
    ));
}

/// Versions go wherever their file goes: through renames of it and its folders, into the trash and back. Copies have none.
pub async fn versions_follow_their_file(tree: TwoHandles) {
    tree.mkdir(&path("a"), commit()).await.unwrap();
    put(&tree, "a/x", b"one").await;
    put(&tree, "a/x", b"two").await;
    tree.rename(&path("a/x"), &path("a/y"), commit())
        .await
        .unwrap();
    tree.rename(&path("a"), &path("b"), commit()).await.unwrap();
    put(&tree, "b/y", b"three").await;
    assert_eq!(tree.versions(&path("b/y")).await.unwrap().len(), 2);
    tree.copy(
        &path("b/y"),
        &path("copy"),
        super::CopyDepth::Infinity,
        commit(),
    )
    .await
    .unwrap();
    assert!(tree.versions(&path("copy")).await.unwrap().is_empty());
    tree.delete(&path("b"), commit()).await.unwrap();
    let id = tree.list_trash(None, 1).await.unwrap().remove(0).id;
    tree.restore(&id, &path("c"), commit()).await.unwrap();
    let versions = tree.versions(&path("c/y")).await.unwrap();
    assert_eq!(versions.len(), 2);
    let oldest = tree
        .open_version(&path("c/y"), &versions[1].id)
        .await
        .unwrap();
    assert_eq!(&oldest.read_at(0, 100).await.unwrap()[..], b"one");
}

/// Going back to a version keeps what was there as a version, and obeys conditions.
pub async fn reverting_keeps_the_present(tree: TwoHandles) {
    put(&tree, "x", b"one").await;
    put(&tree, "x", b"two").await;
    let id = tree.versions(&path("x")).await.unwrap().remove(0).id;
    let wrong = commit().expecting(Expect::Absent);
    assert!(matches!(
        tree.restore_version(&path("x"), &id, wrong).await,
        Err(Error::PreconditionFailed)
    ));
    assert_eq!(content(&tree, "x").await, b"two");
    let put = tree
        .restore_version(&path("x"), &id, commit())
        .await
        .unwrap();
    assert!(!put.created() && put.node.len == 3);
    assert_eq!(content(&tree, "x").await, b"one");
    let versions = tree.versions(&path("x")).await.unwrap();
    assert_eq!(versions.len(), 2);
    let newest = tree
        .open_version(&path("x"), &versions[0].id)
        .await
        .unwrap();
    assert_eq!(&newest.read_at(0, 100).await.unwrap()[..], b"two");
}

/// However many overwrite a file at once, every content but the last is a version.
pub async fn no_version_is_lost_between_writers(tree: TwoHandles) {
    put(&tree, "x", b"0").await;
    let writers: Vec<_> = (1..=16u8)
        .map(|n| {
            let tree = tree.clone();
            tokio::spawn(async move { put(&tree, "x", &[n; 10]).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut contents = vec![content(&tree, "x").await];
    for version in tree.versions(&path("x")).await.unwrap() {
        let reader = tree.open_version(&path("x"), &version.id).await.unwrap();
        contents.push(reader.read_at(0, 100).await.unwrap().to_vec());
    }
    contents.sort();
    let mut expected: Vec<Vec<u8>> = (1..=16u8)
        .map(|n| vec![n; 10])
        .chain([b"0".to_vec()])
        .collect();
    expected.sort();
    assert_eq!(contents, expected);
}

/// What has lain long enough goes; what is younger, and what is not in the past at all, stays.
pub async fn the_past_expires(tree: TwoHandles) {
    put(&tree, "x", b"one").await;
    put(&tree, "x", b"two").await;
    put(&tree, "gone", b"gone").await;
    tree.delete(&path("gone"), commit()).await.unwrap();
    let days = |n: u64| Duration::from_secs(n * 86400);
    let retention = Retention {
        trash: Some(days(30)),
        ..Retention::default()
    };
    let expire = async |after| {
        tree.expire(retention, SystemTime::now() + after)
            .await
            .unwrap()
    };
    assert_eq!(expire(days(29)).await, ExpiredCounts::default());
    assert_eq!(
        tree.expire(Retention::default(), SystemTime::now() + days(300))
            .await
            .unwrap(),
        ExpiredCounts::default()
    );
    assert_eq!(
        expire(days(31)).await,
        ExpiredCounts {
            items: 1,
            versions: 0
        }
    );
    assert_eq!(
        expire(days(366)).await,
        ExpiredCounts {
            items: 0,
            versions: 1
        }
    );
    assert!(
        tree.list_trash(None, 9).await.unwrap().is_empty()
            && tree.versions(&path("x")).await.unwrap().is_empty()
    );
    assert_eq!(content(&tree, "x").await, b"two");
    put(&tree, "x", b"three").await;
    assert_eq!(tree.versions(&path("x")).await.unwrap().len(), 1);
}

/// Beyond its room the oldest goes, and no more than that.
pub async fn the_oldest_of_the_past_goes_first(tree: TwoHandles) {
    for name in ["a", "b", "c"] {
        put(&tree, name, &[7; 100]).await;
        tree.delete(&path(name), commit()).await.unwrap();
    }
    let retention = Retention {
        max_bytes: Some(250),
        ..Retention::default()
    };
    let gone = tree.expire(retention, SystemTime::now()).await.unwrap();
    let one = ExpiredCounts {
        items: 1,
        versions: 0,
    };
    assert_eq!(gone, one);
    let trash = tree.list_trash(None, 9).await.unwrap();
    let left: Vec<_> = trash.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(left, ["c", "b"]);
}

/// While the past is held nothing of it expires; files are counted, in the tree and in the trash.
pub async fn what_is_held_does_not_expire(tree: TwoHandles) {
    tree.mkdir(&path("d"), commit()).await.unwrap();
    for name in ["d/x", "d/y", "z"] {
        put(&tree, name, b"one").await;
    }
    assert_eq!(tree.count_files(None).await.unwrap(), 3);
    let id = tree.delete(&path("d"), commit()).await.unwrap().id;
    assert_eq!(
        (
            tree.count_files(None).await.unwrap(),
            tree.count_files(Some(&id)).await.unwrap()
        ),
        (1, 2)
    );
    assert!(matches!(
        tree.count_files(Some("../info")).await,
        Err(Error::NotFound)
    ));
    assert!(tree.retention_hold().is_none());
    let days = |n: u64| Duration::from_secs(n * 86400);
    let expire = async |after| {
        tree.expire(
            Retention {
                trash: Some(days(1)),
                ..Retention::default()
            },
            SystemTime::now() + after,
        )
        .await
        .unwrap()
    };
    tree.set_retention_hold(SystemTime::now() + days(30))
        .await
        .unwrap();
    assert!(
        tree.retention_hold()
            .is_some_and(|until| until > SystemTime::now() + days(29))
    );
    assert_eq!(expire(days(29)).await, ExpiredCounts::default());
    assert_eq!(
        expire(days(31)).await,
        ExpiredCounts {
            items: 1,
            versions: 0
        }
    );
}

/// What lies deep in an item of the trash comes back without the rest, within the limit.
pub async fn parts_of_the_trash_come_back(tree: TwoHandles) {
    for folder in ["a", "a/b"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    put(&tree, "a/b/x", b"12345").await;
    put(&tree, "a/y", b"y").await;
    let id = tree.delete(&path("a"), commit()).await.unwrap().id;
    let part = async |inner, to, commit| {
        tree.restore_part(&id, &path(inner), &path(to), commit)
            .await
    };
    assert!(matches!(
        part("no", "c", commit()).await,
        Err(Error::NotFound)
    ));
    let limited = WriteOptions {
        limit: Some(4),
        ..commit()
    };
    assert!(matches!(part("b", "c", limited).await, Err(Error::NoSpace)));
    part(
        "b",
        "c",
        WriteOptions {
            limit: Some(5),
            ..commit()
        },
    )
    .await
    .unwrap();
    assert_eq!(content(&tree, "c/x").await, b"12345");
    assert_eq!(tree.usage().await.unwrap().used, 5);
    tree.restore(&id, &path("a"), commit()).await.unwrap();
    assert_eq!(content(&tree, "a/y").await, b"y");
    assert!(matches!(
        tree.stat(&path("a/b")).await,
        Err(Error::NotFound)
    ));
    assert_eq!(tree.usage().await.unwrap().used, 6);
}

/// The steps of a plan make a folder as it was. Nothing is deleted for good by them; what already was is told.
pub async fn a_rewind_makes_a_folder_as_it_was(tree: TwoHandles) {
    for folder in ["d", "d/e", "d/f"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    for file in ["d/x", "d/e/y", "d/f/z", "d/lost"] {
        put(&tree, file, file.as_bytes()).await;
    }
    put(&tree, "d/empty", b"").await;
    let pause = Duration::from_millis(20);
    tokio::time::sleep(pause).await;
    let moment = SystemTime::now();
    tokio::time::sleep(pause).await;
    put(&tree, "d/x", b"changed").await;
    put(&tree, "d/empty", b"filled").await;
    let moved = tree.rename(&path("d/e"), &path("d/g"), commit()).await;
    moved.unwrap();
    // Something else in its place.
    tree.mkdir(&path("d/e"), commit()).await.unwrap();
    put(&tree, "d/e/new", b"new").await;
    put(&tree, "beside", b"beside").await;
    tree.delete(&path("d/f"), commit()).await.unwrap();
    let lost = tree.delete(&path("d/lost"), commit()).await.unwrap().id;
    tree.purge(&lost).await.unwrap();
    let plan = tree.plan_rewind(&path("d"), moment, &[]).await.unwrap();
    assert_eq!(
        (plan.lost.as_slice(), plan.lost_count),
        (&[path("d/lost")][..], 1)
    );
    assert!(plan.since.is_some_and(|since| since < moment));
    take_steps(&tree, &plan).await;
    assert_eq!(names_at(&tree, &path("d")).await, ["e", "empty", "f", "x"]);
    assert_eq!(names_at(&tree, &path("d/e")).await, ["y"]);
    for file in ["d/x", "d/e/y", "d/f/z", "beside"] {
        assert_eq!(content(&tree, file).await, file.as_bytes());
    }
    assert_eq!(content(&tree, "d/empty").await, b"");
    assert_eq!(tree.versions(&path("d/x")).await.unwrap().len(), 2);
    let trash = tree.list_trash(None, 9).await.unwrap();
    assert_eq!(
        trash
            .iter()
            .map(|item| item.path.as_str())
            .collect::<Vec<_>>(),
        ["d/e"]
    );
    let plan = tree.plan_rewind(&path("d"), moment, &[]).await.unwrap();
    assert_eq!(plan.count, 0, "it is as it was, but for what is lost");
    let before = SystemTime::UNIX_EPOCH;
    let unknown = tree.plan_rewind(&path("none"), before, &[]).await;
    assert!(matches!(unknown, Err(Error::NotFound)));
}

/// Carries out a plan.
async fn take_steps(tree: &TwoHandles, plan: &RewindPlan) {
    let (mut discarded, mut next, mut count) = (Vec::new(), 0, 0);
    loop {
        let (steps, end) = plan.steps.read(next).await.unwrap();
        if steps.is_empty() {
            assert_eq!(count, plan.count);
            return plan.steps.sync().await.unwrap();
        }
        next = end;
        for step in steps {
            count += 1;
            let options = WriteOptions {
                overwrite: false,
                ..commit()
            };
            match step {
                RewindStep::Discard { path } => {
                    discarded.push(tree.delete(&path, options).await.unwrap().id);
                }
                RewindStep::Make { path } => drop(tree.mkdir(&path, options).await.unwrap()),
                RewindStep::Blank { path } => _ = put(tree, path.as_str(), b"").await,
                RewindStep::Revert { path, version } => {
                    let reverted = tree.restore_version(&path, &version, options).await;
                    reverted.unwrap();
                }
                RewindStep::Move { from, to } => {
                    let moved = match from {
                        RewindSource::Path(from) => tree.rename(&from, &to, options).await,
                        RewindSource::Trash { id, inner } => {
                            tree.restore_part(&id, &inner, &to, options).await
                        }
                        RewindSource::Discarded { index, inner } => {
                            assert!(plan.needed.contains(&index));
                            let id = &discarded[index];
                            tree.restore_part(id, &inner, &to, options).await
                        }
                    };
                    moved.unwrap();
                }
            }
        }
    }
}
