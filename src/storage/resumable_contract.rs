//! What every [`Tree`](super::Tree) promises about uploads that are laid aside.

use super::contract::{TwoHandles, commit, content, path, put};
use super::{DeadProp, Expect, InitialContent, PropChange, SpaceRequest, WriteOptions};
use crate::model::Error;
use bytes::Bytes;

/// One goes on where the last left off; what is taken back is gone; publishing shows the whole and ends it.
pub async fn an_upload_laid_aside_goes_on(tree: TwoHandles) {
    tree.create_upload("id", 0).await.unwrap();
    for (part, len) in [(&b"abc"[..], 3), (b"defg", 7)] {
        let mut upload = tree
            .resume_upload("id", &path("x"), SpaceRequest::of(10))
            .await
            .unwrap();
        upload.write(Bytes::from_static(part)).await.unwrap();
        assert_eq!(upload.persist().await.unwrap(), len);
    }
    assert!(matches!(tree.stat(&path("x")).await, Err(Error::NotFound)));
    let mut upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(10))
        .await
        .unwrap();
    upload.truncate(5).await.unwrap();
    upload.write(Bytes::from_static(b"12345")).await.unwrap();
    let put = upload.commit(commit()).await.unwrap();
    assert!(put.created() && put.node.len == 10);
    assert_eq!(content(&tree, "x").await, b"abcde12345");
    assert!(tree.list_uploads().await.unwrap().is_empty());
    assert!(matches!(
        tree.resume_upload("id", &path("x"), SpaceRequest::of(10))
            .await,
        Err(Error::NotFound)
    ));
}

/// What is refused at its end stays, to be tried again; what it replaces becomes a version.
pub async fn an_upload_laid_aside_outlives_a_refusal(tree: TwoHandles) {
    put(&tree, "x", b"old").await;
    tree.create_upload("id", 0).await.unwrap();
    let mut upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(3))
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"new")).await.unwrap();
    let refusal = upload.commit(commit().expecting(Expect::Absent)).await;
    assert!(matches!(refusal, Err(Error::PreconditionFailed)));
    assert_eq!(
        (
            tree.list_uploads().await.unwrap(),
            content(&tree, "x").await
        ),
        (vec!["id".to_owned()], b"old".to_vec())
    );
    tree.resume_upload("id", &path("x"), SpaceRequest::of(3))
        .await
        .unwrap()
        .commit(commit())
        .await
        .unwrap();
    assert_eq!(content(&tree, "x").await, b"new");
    assert_eq!(tree.versions(&path("x")).await.unwrap().len(), 1);
    tree.create_upload("id", 0).await.unwrap();
    let mut upload = tree
        .resume_upload("id", &path("gone/x"), SpaceRequest::of(3))
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"all")).await.unwrap();
    assert!(matches!(
        upload.commit(commit()).await,
        Err(Error::ParentMissing)
    ));
    let upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(3))
        .await
        .unwrap();
    assert_eq!(upload.len(), 3);
    upload.commit(commit()).await.unwrap();
    assert_eq!(content(&tree, "x").await, b"all");
}

/// What stood in its way when it was refused hands nothing on to it.
pub async fn an_upload_refused_has_nothing_of_what_it_met(tree: TwoHandles) {
    for content in [b"first", b"other"] {
        put(&tree, "x", content).await;
    }
    let ns = "urn:x".into();
    let name = "p".into();
    let xml = "<p xmlns='urn:x'>1</p>".into();
    let change = PropChange::Set(DeadProp { ns, name, xml });
    tree.set_props(&path("x"), vec![change], commit())
        .await
        .unwrap();
    tree.create_upload("id", 0).await.unwrap();
    let mut upload = tree
        .resume_upload("id", &path("x"), SpaceRequest::of(3))
        .await
        .unwrap();
    upload.write(Bytes::from_static(b"new")).await.unwrap();
    assert!(
        upload
            .commit(commit().expecting(Expect::Absent))
            .await
            .is_err()
    );
    let gone = tree.delete(&path("x"), commit()).await.unwrap().id;
    tree.resume_upload("id", &path("x"), SpaceRequest::of(3))
        .await
        .unwrap()
        .commit(commit())
        .await
        .unwrap();
    assert_eq!(tree.props(&path("x")).await.unwrap(), []);
    assert_eq!(tree.versions(&path("x")).await.unwrap(), []);
    tree.restore(&gone, &path("y"), commit()).await.unwrap();
    assert_eq!(tree.versions(&path("y")).await.unwrap().len(), 1);
}

/// What is given up leaves nothing, and ids lead nowhere else.
pub async fn uploads_laid_aside_are_discarded(tree: TwoHandles) {
    tree.create_upload("id", 0).await.unwrap();
    assert!(tree.create_upload("id", 0).await.is_err());
    assert_eq!(tree.list_uploads().await.unwrap(), ["id"]);
    tree.abort_upload("id").await.unwrap();
    tree.abort_upload("id").await.unwrap();
    assert!(tree.list_uploads().await.unwrap().is_empty());
    for id in ["..", "../tmp", "a/b", ""] {
        assert!(tree.create_upload(id, 0).await.is_err());
        assert!(
            tree.resume_upload(id, &path("x"), SpaceRequest::default())
                .await
                .is_err()
        );
        assert!(tree.abort_upload(id).await.is_err());
    }
}

/// Room that is promised is nobody else's; promised again after a restart it is held even where there is none.
pub async fn promised_room_is_kept(tree: TwoHandles) {
    let room = |len| SpaceRequest {
        len: Some(len),
        limit: Some(100),
    };
    put(&tree, "x", &[0; 40]).await;
    let promised = tree.reserve_space(&path("y"), room(50)).await.unwrap();
    assert!(matches!(
        tree.reserve_space(&path("z"), room(11)).await,
        Err(Error::NoSpace)
    ));
    assert!(matches!(
        tree.begin_upload(&path("z"), InitialContent::Empty, room(11))
            .await,
        Err(Error::NoSpace)
    ));
    let over = tree.reserve_space(&path("x"), room(50)).await.unwrap();
    drop(promised);
    // The bytes of what is replaced are room for one of those that outlive a request.
    assert!(matches!(
        tree.reserve_space(&path("x"), room(51)).await,
        Err(Error::NoSpace)
    ));
    drop(
        tree.begin_upload(&path("x"), InitialContent::Empty, room(90))
            .await
            .unwrap(),
    );
    drop(tree.reserve_space(&path("x"), room(50)).await.unwrap());
    // Not though it is another file each time: what it replaced is history.
    put(&tree, "x", &[1; 40]).await;
    assert!(matches!(
        tree.reserve_space(&path("x"), room(51)).await,
        Err(Error::NoSpace)
    ));
    let held = tree
        .reserve_space(&path("y"), SpaceRequest::of(1000))
        .await
        .unwrap();
    assert!(matches!(
        tree.begin_upload(&path("z"), InitialContent::Empty, room(1))
            .await,
        Err(Error::NoSpace)
    ));
    drop((over, held));
    let gone = tree.delete(&path("x"), commit()).await.unwrap().id;
    let promised = tree.reserve_space(&path("y"), room(61)).await.unwrap();
    let limited = || WriteOptions {
        limit: Some(100),
        ..commit()
    };
    assert!(matches!(
        tree.restore(&gone, &path("x"), limited()).await,
        Err(Error::NoSpace)
    ));
    drop(promised);
    let promised = tree.reserve_space(&path("y"), room(60)).await.unwrap();
    tree.restore(&gone, &path("x"), limited()).await.unwrap();
    drop(promised);
    drop(
        tree.begin_upload(&path("z"), InitialContent::Empty, room(60))
            .await
            .unwrap(),
    );
}
