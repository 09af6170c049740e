//! Tests of the times of uploads.

use super::super::super::LocalTree;
use super::super::super::sys::fd;
use super::super::super::tests::RELAXED;
use super::*;
use crate::storage::contract::{commit, path, put};
use crate::storage::{SpaceRequest, Tree as _, WriteOptions};
use bytes::Bytes;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

/// Two uploads at once have drawn the same time before either stands there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_contents_that_drew_one_time_have_different_tags() {
    let dir = tempfile::tempdir().unwrap();
    let tree = LocalTree::open(dir.path(), RELAXED).unwrap();
    put(
        &(tree.clone() as crate::storage::contract::TestTree),
        "f",
        b"0",
    )
    .await;
    tree.create_upload("1", 1).await.unwrap();
    let mut upload = tree
        .resume_upload("1", &path("f"), SpaceRequest::default())
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"2")).await.unwrap();
    let wanted = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let staged = dir.path().join(".sarang/uploads/1");
    let root = tree.root.clone();
    let committed = {
        let guard = root.lock_names();
        let committed = tokio::spawn(async move {
            upload
                .commit(WriteOptions {
                    modified: Some(wanted),
                    ..commit()
                })
                .await
        });
        let drawn = || fs::metadata(&staged).unwrap().modified().unwrap();
        let is_drawn = |time: SystemTime| {
            time.duration_since(wanted)
                .is_ok_and(|more| more.as_secs() == 0)
        };
        while !is_drawn(drawn()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let other = dir.path().join("other");
        fs::write(&other, b"1").unwrap();
        fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(drawn())
            .unwrap();
        fs::rename(other, dir.path().join("f")).unwrap();
        drop(guard);
        committed
    };
    let put = committed.await.unwrap().unwrap();
    let shelves = fs::read_dir(dir.path().join(".sarang/versions"))
        .unwrap()
        .map(|dir| dir.unwrap().path());
    let kept = shelves
        .flat_map(|dir| fs::read_dir(dir).unwrap())
        .map(|version| version.unwrap().path());
    let other = kept
        .into_iter()
        .find(|version| fs::read(version).unwrap() == b"1")
        .expect("it is a version");
    let other = sys::stat_fd(fd(&fs::File::open(other).unwrap()))
        .unwrap()
        .node;
    assert_ne!(put.node.etag.to_string(), other.etag.to_string());
    assert_eq!(tree.stat(&path("f")).await.unwrap().etag, put.node.etag);
}
