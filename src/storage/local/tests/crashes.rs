//! What a crash leaves behind, and what is made of it at the next start.

use super::*;
use crate::storage::history::Retention;
use crate::storage::local::check::{CheckFinding, TreeCheckOptions, check_tree};
use crate::storage::local::version_dir::birth;
use std::time::SystemTime;

/// Opens the tree anew, as the next start does.
fn restart(dir: &TempDir) -> Arc<dyn Tree> {
    LocalTree::open(&dir.path().join("home"), RELAXED).unwrap()
}

#[tokio::test]
async fn leftovers_are_swept() {
    let (tree, dir) = relaxed();
    put(&tree, "kept", b"x").await;
    drop(tree);
    let tmp = dir.path().join("home/.sarang/tmp");
    fs::create_dir_all(tmp.join("copy/of a/tree")).unwrap();
    fs::write(tmp.join("copy/of a/file"), "x").unwrap();
    fs::write(tmp.join("upload"), "x").unwrap();
    symlink("../../kept", tmp.join("link")).unwrap();
    let tree = restart(&dir);
    assert!(in_folder(&tmp).is_empty());
    assert_eq!(names(&tree, "").await, ["kept"]);
}

#[tokio::test]
async fn what_a_copy_replaced_is_not_cleared_with_its_staging_folder() {
    let (tree, dir) = relaxed();
    let home = dir.path().join("home");
    let staging = tree.create_staging_dir().await.unwrap();
    let replaced = home.join(staging.as_str()).join("copy");
    fs::create_dir(&replaced).unwrap();
    fs::write(replaced.join("precious"), "x").unwrap();
    // A swap that could be neither finished nor taken back.
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&replaced).unwrap());
    let marker = format!(
        r#"{{"from":"{}/copy","inode":{inode},"tomb":"to.1"}}"#,
        staging.as_str()
    );
    fs::write(home.join(".sarang/tmp/swap-1"), marker).unwrap();
    assert!(tree.remove_staging_dir(&staging).await.is_err());
    assert!(replaced.join("precious").exists());
    drop(tree);
    let _tree = restart(&dir);
    assert!(home.join(".sarang/trash/files/to.1/precious").exists());
}

#[tokio::test]
async fn a_swap_cut_by_a_crash_is_finished() {
    for happened in [true, false] {
        let (tree, dir) = relaxed();
        let home = dir.path().join("home");
        for name in ["from", "to"] {
            tree.mkdir(&path(name), commit()).await.unwrap();
            put(&tree, &format!("{name}/{name}"), b"x").await;
        }
        drop(tree);
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(home.join("to")).unwrap());
        let marker = format!(r#"{{"from":"from","inode":{inode},"tomb":"to.1"}}"#);
        fs::write(home.join(".sarang/tmp/swap-1"), marker).unwrap();
        if happened {
            let root = sys::open_root(&home).unwrap();
            sys::exchange((sys::fd(&root), "from"), (sys::fd(&root), "to")).unwrap();
        }
        let tree = restart(&dir);
        let trashed = in_folder(&home.join(".sarang/trash/files"));
        if happened {
            assert_eq!(names(&tree, "").await, ["to"]);
            assert_eq!(names(&tree, "to").await, ["from"]);
            assert_eq!(trashed, ["to.1"]);
        } else {
            assert_eq!(names(&tree, "").await, ["from", "to"]);
            assert_eq!(names(&tree, "to").await, ["to"]);
            assert!(trashed.is_empty());
        }
        assert!(in_folder(&home.join(".sarang/tmp")).is_empty());
    }
}

/// A MOVE of a file over another, before and after the rename that replaces it.
#[tokio::test]
async fn a_file_on_its_way_to_the_trash_is_there_or_was_never_deleted() {
    for happened in [true, false] {
        let (tree, dir) = relaxed();
        for content in [b"1", b"2"] {
            put(&tree, "to", content).await;
        }
        put(&tree, "from", b"3").await;
        drop(tree);
        let home = dir.path().join("home");
        let own = home.join(".sarang");
        fs::write(
            own.join("trash/info/to.1.trashinfo"),
            "[Trash Info]\nPath=to\n",
        )
        .unwrap();
        fs::hard_link(home.join("to"), own.join("tmp/leaving-to.1")).unwrap();
        if happened {
            fs::rename(home.join("from"), home.join("to")).unwrap();
        }
        let found = check_tree(
            &home,
            TreeCheckOptions {
                served: false,
                repair: None,
            },
        )
        .unwrap()
        .findings;
        assert_eq!(found.len(), 1, "{found:?}");
        let tree = restart(&dir);
        let trashed = tree.list_trash(None, 9).await.unwrap();
        assert_eq!(
            trashed
                .iter()
                .map(|item| item.path.as_str())
                .collect::<Vec<_>>(),
            if happened { vec!["to"] } else { vec![] }
        );
        assert_eq!(
            content(&tree, "to").await,
            if happened { b"3" } else { b"2" }
        );
        if !happened {
            assert_eq!(tree.versions(&path("to")).await.unwrap().len(), 1);
            assert_eq!(content(&tree, "from").await, b"3");
        }
        assert!(in_folder(&own.join("tmp")).is_empty());
        assert_eq!(
            check_tree(
                &home,
                TreeCheckOptions {
                    served: false,
                    repair: None
                }
            )
            .unwrap()
            .findings,
            []
        );
    }
}

/// An upload that was laid aside, over a file: before and after the rename that replaces it.
#[tokio::test]
async fn a_former_content_on_its_way_is_kept_once_it_is_one() {
    for happened in [true, false] {
        let (tree, dir) = relaxed();
        for content in [b"1", b"2"] {
            put(&tree, "file", content).await;
        }
        drop(tree);
        let home = dir.path().join("home");
        let own = home.join(".sarang");
        let history = in_folder(&own.join("versions")).remove(0);
        let former = own
            .join("tmp")
            .join(format!("former-{history}-9999999999999.1-5"));
        fs::hard_link(home.join("file"), former).unwrap();
        if happened {
            let meta = sys::meta_fd::<96>(sys::fd(&fs::File::open(home.join("file")).unwrap()))
                .unwrap()
                .unwrap();
            fs::write(home.join("new"), b"3").unwrap();
            sys::set_meta(sys::fd(&fs::File::open(home.join("new")).unwrap()), &meta).unwrap();
            fs::rename(home.join("new"), home.join("file")).unwrap();
        }
        let tree = restart(&dir);
        assert!(in_folder(&own.join("tmp")).is_empty());
        let kept: Vec<_> = fs::read_dir(own.join("versions").join(history))
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        assert_eq!(kept.len(), if happened { 2 } else { 1 });
        assert_eq!(
            kept.iter()
                .any(|version| fs::read(version).unwrap() == b"2"),
            happened
        );
        assert_eq!(
            content(&tree, "file").await,
            if happened { b"3" } else { b"2" }
        );
    }
}

/// What crashes of earlier releases have left.
#[tokio::test]
async fn a_second_name_in_the_trash_of_a_living_file_is_found_and_goes() {
    let (tree, dir) = relaxed();
    for content in [b"1", b"2"] {
        put(&tree, "file", content).await;
    }
    let home = dir.path().join("home");
    let own = home.join(".sarang");
    fs::write(
        own.join("trash/info/file.1.trashinfo"),
        "[Trash Info]\nPath=file\n",
    )
    .unwrap();
    fs::hard_link(home.join("file"), own.join("trash/files/file.1")).unwrap();
    for (repair, repaired) in [(None, false), (Some(RELAXED), true)] {
        let findings = check_tree(
            &home,
            TreeCheckOptions {
                served: false,
                repair,
            },
        )
        .unwrap()
        .findings;
        let what = r#""file.1" in the trash is "file" itself, which nobody has deleted"#.to_owned();
        assert_eq!(findings, [CheckFinding { what, repaired }]);
    }
    assert_eq!(
        check_tree(
            &home,
            TreeCheckOptions {
                served: false,
                repair: None
            }
        )
        .unwrap()
        .findings,
        []
    );
    assert_eq!(content(&tree, "file").await, b"2");
    assert_eq!(tree.versions(&path("file")).await.unwrap().len(), 1);
}

/// A DELETE that had only made its note.
#[tokio::test]
async fn what_was_prepared_for_the_trash_goes_with_the_crash() {
    let (tree, dir) = relaxed();
    put(&tree, "once", b"1").await;
    tree.delete(&path("once"), commit()).await.unwrap();
    drop(tree);
    let own = dir.path().join("home/.sarang");
    fs::write(
        own.join("trash/info/gone.1.trashinfo"),
        "[Trash Info]\nPath=gone\n",
    )
    .unwrap();
    let _tree = restart(&dir);
    assert_eq!(in_folder(&own.join("trash/info")).len(), 1);
}

/// Overwrites of a file with versions and of one without, after the new content got its first name and before it changed places.
#[tokio::test]
async fn what_was_not_published_is_no_version_and_goes() {
    let (tree, dir) = relaxed();
    for content in [b"1", b"2"] {
        put(&tree, "twice", content).await;
    }
    let home = dir.path().join("home");
    let shelves = home.join(".sarang/versions");
    let history = in_folder(&shelves).remove(0);
    let version = in_folder(&shelves.join(&history)).remove(0);
    fs::create_dir(shelves.join("new")).unwrap();
    for history_name in [history.as_str(), "new"] {
        let unpublished = home.join(".sarang/tmp/unpublished");
        fs::write(&unpublished, b"3").unwrap();
        let found = sys::stat_fd(sys::fd(&fs::File::open(&unpublished).unwrap())).unwrap();
        fs::rename(
            unpublished,
            shelves
                .join(history_name)
                .join(format!("9999999999999.1-{:x}", birth(&found.node))),
        )
        .unwrap();
    }
    let listed = tree.versions(&path("twice")).await.unwrap();
    assert_eq!(
        listed.iter().map(|version| &version.id).collect::<Vec<_>>(),
        [&version]
    );
    assert_eq!(
        check_tree(
            &home,
            TreeCheckOptions {
                served: false,
                repair: None
            }
        )
        .unwrap()
        .findings,
        []
    );
    tree.expire(Retention::default(), SystemTime::now())
        .await
        .unwrap();
    assert_eq!(in_folder(&shelves), [history.as_str()]);
    assert_eq!(in_folder(&shelves.join(&history)), [version.as_str()]);
    put(&tree, "twice", b"3").await;
    assert_eq!(in_folder(&shelves.join(&history)).len(), 2);
}

/// A file and a folder that were on their way out of the trash.
#[tokio::test]
async fn what_was_being_deleted_for_good_goes_with_its_former_contents() {
    let (tree, dir) = relaxed();
    tree.mkdir(&path("folder"), commit()).await.unwrap();
    for file in ["file", "folder/inner", "stays"] {
        for content in [b"1", b"2"] {
            put(&tree, file, content).await;
        }
    }
    for gone in ["file", "folder"] {
        tree.delete(&path(gone), commit()).await.unwrap();
    }
    drop(tree);
    let home = dir.path().join("home");
    let own = home.join(".sarang");
    assert_eq!(in_folder(&own.join("versions")).len(), 3);
    for name in in_folder(&own.join("trash/files")) {
        fs::rename(
            own.join("trash/files").join(&name),
            own.join("tmp").join(format!("purged-{name}")),
        )
        .unwrap();
    }
    let tree = restart(&dir);
    assert!(in_folder(&own.join("tmp")).is_empty());
    assert_eq!(in_folder(&own.join("versions")).len(), 1);
    assert_eq!(tree.versions(&path("stays")).await.unwrap().len(), 1);
}

/// As after a power cut, when the length of the file has reached the disk and its last bytes have not.
#[tokio::test]
async fn what_came_of_an_upload_after_it_was_kept_goes_with_the_crash() {
    let (tree, dir) = strict();
    let home = dir.path().join("home");
    tree.create_upload("1", 0).await.unwrap();
    let mut upload = tree
        .resume_upload("1", &path("file"), SpaceRequest::default())
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"kept")).await.unwrap();
    assert_eq!(upload.persist().await.unwrap(), 4);
    // As a request leaves it that fails before it keeps what came.
    fs::write(home.join(".sarang/uploads/1"), b"kept\0\0").unwrap();
    assert_eq!(
        tree.resume_upload("1", &path("file"), SpaceRequest::default())
            .await
            .unwrap()
            .len(),
        4
    );
    drop(tree);
    fs::write(home.join(".sarang/uploads/1"), b"kept\0\0").unwrap();
    let tree = restart(&dir);
    let mut upload = tree
        .resume_upload("1", &path("gone/file"), SpaceRequest::default())
        .await
        .unwrap();
    assert_eq!(upload.len(), 4);
    upload.write(Bytes::from_static(b" on")).await.unwrap();
    upload.commit(commit()).await.unwrap_err();
    // Refused, and whole: nothing of it is taken back any more.
    drop(tree);
    let tree = restart(&dir);
    let upload = tree
        .resume_upload("1", &path("file"), SpaceRequest::default())
        .await
        .unwrap();
    assert_eq!(upload.len(), 7);
    upload.commit(commit()).await.unwrap();
    assert_eq!(content(&tree, "file").await, b"kept on");
}

#[tokio::test]
async fn markers_that_lead_nowhere_keep_nobody_from_their_files() {
    let (tree, dir) = relaxed();
    put(&tree, "file", b"x").await;
    drop(tree);
    let home = dir.path().join("home");
    symlink(&home, home.join("link")).unwrap();
    let marker = |from: &str| format!(r#"{{"from":"{from}","inode":1,"tomb":"a.1"}}"#).into_bytes();
    let torn = b"\xff\xfe{".to_vec();
    for (at, text) in [
        marker("file/a"),
        marker("link/file"),
        marker("gone/a"),
        torn,
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(home.join(format!(".sarang/tmp/swap-{at}")), text).unwrap();
    }
    let tree = restart(&dir);
    assert_eq!(names(&tree, "").await, ["file"]);
}

#[tokio::test]
async fn a_workshop_of_an_earlier_run_is_swept() {
    let (tree, dir) = relaxed();
    put(&tree, "kept", b"x").await;
    let built = path("copy").beneath(&tree.create_staging_dir().await.unwrap());
    tree.mkdir(&built, commit()).await.unwrap();
    drop(tree);
    assert!(!in_folder(&dir.path().join("home/.sarang/tmp")).is_empty());
    let tree = restart(&dir);
    assert!(in_folder(&dir.path().join("home/.sarang/tmp")).is_empty());
    assert_eq!(names(&tree, "").await, ["kept"]);
    assert!(in_folder(&dir.path().join("home/.sarang/trash/files")).is_empty());
}
