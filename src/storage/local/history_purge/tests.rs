//! What goes of the history when room is needed, and in which order.

use super::super::missing_features::MissingFeatureSet;
use super::super::sys::Errno;
use super::super::sys::fake_fs::{FakeFsGuard, fake_fs};
use super::super::{LocalSettings, LocalTree};
use super::*;
use crate::storage::contract::{TestTree, commit, path, put};
use crate::storage::history::Retention;
use crate::storage::{InitialContent, SpaceRequest};
use std::sync::Arc;
use std::time::Duration;

fn open(dir: &std::path::Path, reserve: u64) -> Arc<LocalTree> {
    let settings = LocalSettings {
        reserve,
        ..LocalSettings::RELAXED
    };
    LocalTree::open(dir, settings).unwrap()
}

async fn left(tree: &TestTree) -> Vec<String> {
    let mut paths: Vec<_> = tree
        .list_trash(None, 99)
        .await
        .unwrap()
        .into_iter()
        .map(|item| item.path.as_str().to_owned())
        .collect();
    paths.sort();
    paths
}

/// Sets back when things in the trash were deleted, in the order of their names.
fn age(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir.join(".sarang/trash/info")).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let year =
            2001 + u32::from(file.file_name().unwrap().to_str().unwrap().as_bytes()[0] - b'a');
        let dated = text
            .lines()
            .map(|line| match line.strip_prefix("DeletionDate=") {
                Some(_) => format!("DeletionDate={year}-01-01T00:00:00\n"),
                None => format!("{line}\n"),
            });
        std::fs::write(&file, dated.collect::<String>()).unwrap();
    }
}

#[tokio::test]
async fn the_oldest_goes_until_the_rest_fits() {
    let dir = tempfile::tempdir().unwrap();
    let tree: TestTree = open(dir.path(), 0);
    tree.mkdir(&path("b"), commit()).await.unwrap();
    for name in ["c", "a", "b/x"] {
        put(&tree, name, &[b'x'; 100]).await;
    }
    for name in ["c", "b", "a"] {
        tree.delete(&path(name), commit()).await.unwrap();
    }
    age(dir.path());
    put(&tree, "v", &[b'x'; 100]).await;
    put(&tree, "v", b"new").await;
    let fit = async |room| {
        let retention = Retention {
            max_bytes: Some(room),
            ..Retention::default()
        };
        tree.expire(retention, SystemTime::now()).await.unwrap()
    };
    assert_eq!(fit(400).await, ExpiredCounts::default());
    assert_eq!(
        fit(399).await,
        ExpiredCounts {
            items: 1,
            versions: 0
        }
    );
    assert_eq!(left(&tree).await, ["b", "c"]);
    assert_eq!(
        fit(150).await,
        ExpiredCounts {
            items: 2,
            versions: 0
        }
    );
    assert_eq!(fit(100).await, ExpiredCounts::default());
    tree.set_retention_hold(SystemTime::now() + Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(fit(0).await, ExpiredCounts::default());
    tree.set_retention_hold(SystemTime::now()).await.unwrap();
    assert_eq!(
        fit(99).await,
        ExpiredCounts {
            items: 0,
            versions: 1
        }
    );
}

/// As root, on file systems that know immutable files.
#[tokio::test]
async fn what_cannot_be_deleted_keeps_nothing_else_from_going() {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let dir = tempfile::tempdir().unwrap();
    let tree: TestTree = open(dir.path(), 0);
    for name in ["a", "b", "c"] {
        put(&tree, name, b"content").await;
        put(&tree, &format!("{name} saved"), b"content").await;
        put(&tree, &format!("{name} saved"), b"anew").await;
        tree.delete(&path(name), commit()).await.unwrap();
    }
    age(dir.path());
    let trashed = std::fs::read_dir(dir.path().join(".sarang/trash/files"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let first = trashed.min().unwrap();
    let file = std::fs::File::open(&first).unwrap();
    let flags = ioctl_getflags(&file).unwrap_or(IFlags::empty());
    if ioctl_setflags(&file, flags | IFlags::IMMUTABLE).is_err() {
        println!("not run: no file can be made immutable here");
        return;
    }
    let later = SystemTime::now() + Duration::from_secs(400 * 86_400);
    let all = Retention {
        trash: Some(Duration::ZERO),
        max_bytes: Some(0),
        ..Retention::default()
    };
    let gone = tree.expire(all, later).await;
    let room = tree
        .expire(
            Retention {
                max_bytes: Some(0),
                ..Retention::default()
            },
            later,
        )
        .await;
    ioctl_setflags(&file, flags).unwrap();
    assert_eq!(
        gone.unwrap(),
        ExpiredCounts {
            items: 2,
            versions: 3
        }
    );
    assert_eq!(room.unwrap(), ExpiredCounts::default());
    assert_eq!(left(&tree).await, ["a"]);
    assert_eq!(
        tree.expire(all, later).await.unwrap(),
        ExpiredCounts {
            items: 1,
            versions: 0
        }
    );
}

/// A home on a disk of 6 MiB, with three files of 2 MiB, less some, in its trash.
async fn full() -> (tempfile::TempDir, FakeFsGuard, TestTree) {
    let dir = tempfile::tempdir().unwrap();
    let pretence = fake_fs(dir.path(), MissingFeatureSet::default(), Errno::INVAL);
    let tree: TestTree = open(dir.path(), 0);
    for name in ["a", "b", "c"] {
        put(&tree, name, &vec![b'x'; (2 << 20) - 5000]).await;
        tree.delete(&path(name), commit()).await.unwrap();
    }
    age(dir.path());
    pretence.limit(6 << 20);
    (dir, pretence, tree)
}

async fn begin(tree: &TestTree, len: u64) -> Result<()> {
    tree.begin_upload(&path("x"), InitialContent::Empty, SpaceRequest::of(len))
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_of_the_oldest_what_is_needed_and_only_if_that_is_enough() {
    let (_dir, _pretence, tree) = full().await;
    assert!(matches!(begin(&tree, 7 << 20).await, Err(Error::NoSpace)));
    assert_eq!(left(&tree).await, ["a", "b", "c"]);
    tree.set_retention_hold(SystemTime::now() + Duration::from_secs(60))
        .await
        .unwrap();
    let Err(Error::LimitReached(said)) = begin(&tree, 3 << 20).await else {
        panic!("there is no room, and it is said why")
    };
    assert!(said.contains("history of the drive is held"), "{said}");
    assert_eq!(left(&tree).await, ["a", "b", "c"]);
    tree.set_retention_hold(SystemTime::now()).await.unwrap();
    put(&tree, "x", &vec![b'x'; 3 << 20]).await;
    assert_eq!(left(&tree).await, ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_announced_lets_nothing_go_and_what_came_lets_go_as_much() {
    let (_dir, _pretence, tree) = full().await;
    begin(&tree, 5 << 20).await.unwrap();
    tree.create_upload("id", 5 << 20).await.unwrap();
    assert!(matches!(
        tree.create_upload("more", 7 << 20).await,
        Err(Error::NoSpace)
    ));
    assert_eq!(left(&tree).await, ["a", "b", "c"]);
    let mut upload = tree
        .begin_upload(&path("x"), InitialContent::Empty, SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    upload.write(vec![b'x'; 1 << 20].into()).await.unwrap();
    drop(upload);
    assert_eq!(left(&tree).await, ["b", "c"], "for what came");
    let mut resumed = tree
        .resume_upload("id", &path("y"), SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    for _ in 0..5 {
        resumed.write(vec![b'y'; 1 << 20].into()).await.unwrap();
    }
    resumed.commit(commit()).await.unwrap();
    assert_eq!(left(&tree).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_gone_on_with_takes_no_room_that_was_not_promised() {
    let (dir, _pretence, tree) = full().await;
    tree.create_upload("id", 5 << 20).await.unwrap();
    let aside = dir.path().join(".sarang/uploads/id");
    let mut upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    upload.write(vec![b'x'; 10].into()).await.unwrap();
    assert_eq!(upload.persist().await.unwrap(), 10);
    // As after a crash: more is there than is known to be on the disk.
    std::fs::File::options()
        .write(true)
        .open(&aside)
        .unwrap()
        .set_len(5000)
        .unwrap();
    let upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    assert_eq!(upload.len(), 10);
    drop(upload);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&aside).unwrap()) * 512;
    assert!(blocks < 1 << 20, "{blocks}");
    assert_eq!(left(&tree).await, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_part_for_which_there_is_no_room_is_kept() {
    let (_dir, pretence, tree) = full().await;
    tree.create_upload("id", 5 << 20).await.unwrap();
    let mut upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    upload.write(vec![b'x'; 1 << 20].into()).await.unwrap();
    upload.write(vec![b'x'; 1000].into()).await.unwrap();
    pretence.limit(1 << 20);
    assert!(matches!(upload.commit(commit()).await, Err(Error::NoSpace)));
    let upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    assert_eq!(upload.len(), 1 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_uploads_and_changes_let_nothing_go_before_they_come() {
    let (_dir, pretence, tree) = full().await;
    put(&tree, "small", b"content").await;
    pretence.limit(6 << 20);
    begin(&tree, (1 << 20) - 1).await.unwrap();
    begin(&tree, 100).await.unwrap();
    let present = tree
        .begin_upload(
            &path("small"),
            InitialContent::Present,
            SpaceRequest::of(5 << 20),
        )
        .await
        .unwrap();
    drop(present);
    assert!(
        tree.begin_upload(
            &path("small"),
            InitialContent::Present,
            SpaceRequest::of(9 << 20)
        )
        .await
        .is_err()
    );
    assert_eq!(left(&tree).await, ["a", "b", "c"]);
}

/// As where other names, or other files with the same blocks, keep what is let go.
#[tokio::test(flavor = "multi_thread")]
async fn the_history_goes_only_as_long_as_that_frees_room() {
    let (dir, _pretence, tree) = full().await;
    let files = dir.path().join(".sarang/trash/files");
    for name in std::fs::read_dir(&files)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
    {
        if !name.to_str().unwrap().starts_with('a') {
            std::fs::hard_link(files.join(&name), dir.path().join(name)).unwrap();
        }
    }
    let mut upload = tree
        .begin_upload(&path("x"), InitialContent::Empty, SpaceRequest::of(5 << 20))
        .await
        .unwrap();
    assert!(matches!(
        upload.write(vec![b'x'; 5 << 20].into()).await,
        Err(Error::NoSpace)
    ));
    assert_eq!(
        left(&tree).await,
        ["c"],
        "the first frees room, the second none"
    );
    assert!(matches!(begin(&tree, 3 << 20).await, Err(Error::NoSpace)));
    assert_eq!(
        left(&tree).await,
        ["c"],
        "it is not tried again with each request"
    );
}
