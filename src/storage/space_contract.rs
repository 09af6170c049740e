//! What every [`Tree`](super::Tree) promises about room: limits hold exactly, and its count of bytes is right.

use super::contract::{TwoHandles, commit, content, path, put};
use super::{CopyDepth, InitialContent, PutOutcome, SpaceRequest, WriteOptions};
use crate::model::{Error, Result};
use bytes::Bytes;

/// The most bytes that the trees of these tests may hold.
const LIMIT: u64 = 1000;

fn limited() -> WriteOptions {
    WriteOptions {
        limit: Some(LIMIT),
        ..commit()
    }
}

/// Uploads zeros, announced or not.
async fn fill(tree: &TwoHandles, at: &str, len: usize, announced: bool) -> Result<PutOutcome> {
    let room = SpaceRequest {
        len: announced.then_some(len as u64),
        limit: Some(LIMIT),
    };
    let mut upload = tree
        .begin_upload(&path(at), InitialContent::Empty, room)
        .await?;
    for chunk in vec![0; len].chunks(64) {
        upload.write(Bytes::copy_from_slice(chunk)).await?;
    }
    upload.commit(limited()).await
}

fn is_full<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::NoSpace))
}

async fn used(tree: &TwoHandles) -> u64 {
    tree.usage().await.unwrap().used
}

/// The last byte fits, one more does not: told before the body where the length is known, and while it comes where not.
pub async fn the_limit_is_exact_for_uploads(tree: TwoHandles) {
    fill(&tree, "a", 600, true).await.unwrap();
    assert!(is_full(
        &tree
            .begin_upload(
                &path("b"),
                InitialContent::Empty,
                SpaceRequest {
                    len: Some(401),
                    limit: Some(LIMIT)
                }
            )
            .await
    ));
    assert!(is_full(&fill(&tree, "b", 401, false).await));
    fill(&tree, "b", 400, false).await.unwrap();
    assert_eq!(used(&tree).await, LIMIT);
    for announced in [true, false] {
        assert!(is_full(&fill(&tree, "c", 1, announced).await));
        fill(&tree, "b", 400, announced).await.unwrap();
        assert!(is_full(&fill(&tree, "b", 401, announced).await));
        fill(&tree, "c", 0, announced).await.unwrap();
    }
    fill(&tree, "b", 390, true).await.unwrap();
    for (more, fits) in [(11, false), (10, true)] {
        let room = SpaceRequest {
            len: None,
            limit: Some(LIMIT),
        };
        let mut upload = tree
            .begin_upload(&path("b"), InitialContent::Present, room)
            .await
            .unwrap();
        upload.seek(390).await.unwrap();
        assert_eq!(upload.write(Bytes::from(vec![0; more])).await.is_ok(), fits);
        if fits {
            upload.commit(limited()).await.unwrap();
        }
    }
    assert_eq!(used(&tree).await, LIMIT);
}

/// Copies of files and folders, and what comes back from the trash or from a version.
pub async fn the_limit_is_exact_for_copies_and_the_past(tree: TwoHandles) {
    tree.mkdir(&path("d"), commit()).await.unwrap();
    fill(&tree, "d/a", 300, true).await.unwrap();
    fill(&tree, "d/b", 200, true).await.unwrap();
    tree.copy(&path("d"), &path("e"), CopyDepth::Infinity, limited())
        .await
        .unwrap();
    assert_eq!(used(&tree).await, LIMIT);
    assert!(is_full(
        &tree
            .copy(&path("d/b"), &path("x"), CopyDepth::Infinity, limited())
            .await
    ));
    assert!(is_full(
        &tree
            .copy(&path("d"), &path("x"), CopyDepth::Infinity, limited())
            .await
    ));
    tree.copy(&path("d/b"), &path("e/b"), CopyDepth::Infinity, limited())
        .await
        .unwrap();
    assert!(is_full(
        &tree
            .copy(&path("d/a"), &path("e/b"), CopyDepth::Infinity, limited())
            .await
    ));
    assert_eq!(content(&tree, "e/b").await.len(), 200);
    tree.delete(&path("e"), commit()).await.unwrap();
    let id = tree.list_trash(None, 1).await.unwrap().remove(0).id;
    fill(&tree, "x", 1, true).await.unwrap();
    assert!(is_full(&tree.restore(&id, &path("e"), limited()).await));
    tree.delete(&path("x"), commit()).await.unwrap();
    tree.restore(&id, &path("e"), limited()).await.unwrap();
    assert_eq!(used(&tree).await, LIMIT);
    fill(&tree, "e/a", 10, true).await.unwrap();
    fill(&tree, "x", 1, true).await.unwrap();
    let version = tree.versions(&path("e/a")).await.unwrap().remove(0).id;
    assert!(is_full(
        &tree
            .restore_version(&path("e/a"), &version, limited())
            .await
    ));
    tree.delete(&path("x"), commit()).await.unwrap();
    tree.restore_version(&path("e/a"), &version, limited())
        .await
        .unwrap();
    assert_eq!(used(&tree).await, LIMIT);
}

/// Where more lies than may, what takes no more room still works.
pub async fn what_shrinks_is_let_through(tree: TwoHandles) {
    put(&tree, "a", &[0; 2000]).await;
    assert!(is_full(&fill(&tree, "b", 1, true).await));
    fill(&tree, "a", 1999, true).await.unwrap();
    fill(&tree, "a", 1999, false).await.unwrap();
    tree.rename(&path("a"), &path("b"), limited())
        .await
        .unwrap();
    assert!(is_full(
        &tree
            .copy(&path("b"), &path("c"), CopyDepth::Infinity, limited())
            .await
    ));
    tree.delete(&path("b"), limited()).await.unwrap();
    fill(&tree, "b", 1000, true).await.unwrap();
}

/// However many upload at once, no byte too many is let in, and none too few.
pub async fn many_uploads_at_once_keep_the_limit(tree: TwoHandles) {
    let uploads: Vec<_> = (0..30)
        .map(|n| {
            let tree = tree.clone();
            tokio::spawn(async move { fill(&tree, &format!("{n}"), 100, true).await.is_ok() })
        })
        .collect();
    let mut there = Vec::new();
    for (n, upload) in uploads.into_iter().enumerate() {
        there.extend(upload.await.unwrap().then_some(n));
    }
    assert_eq!(
        (there.len() as u64 * 100, used(&tree).await),
        (LIMIT, LIMIT)
    );
    let again = there.iter().cycle().take(30).map(|n| {
        let tree = tree.clone();
        let n = *n;
        tokio::spawn(async move { fill(&tree, &format!("{n}"), 100, false).await.map(drop) })
    });
    for upload in again.collect::<Vec<_>>() {
        upload
            .await
            .unwrap()
            .expect("what replaces as much as it brings always fits");
    }
    tree.delete(&path(&there[0].to_string()), commit())
        .await
        .unwrap();
    let held = SpaceRequest {
        len: Some(LIMIT - used(&tree).await),
        limit: Some(LIMIT),
    };
    let reserved = tree
        .begin_upload(&path("x"), InitialContent::Empty, held)
        .await
        .unwrap();
    assert!(
        is_full(&fill(&tree, "y", 1, true).await),
        "what is promised is not given away"
    );
    drop(reserved);
    fill(&tree, "y", 1, true).await.unwrap();
}

/// A folder goes to the trash whole, and its room is there at the next upload; back again before and after anybody looked.
pub async fn deleted_folders_make_room_at_once(tree: TwoHandles) {
    tree.mkdir(&path("d"), commit()).await.unwrap();
    tree.mkdir(&path("d/e"), commit()).await.unwrap();
    fill(&tree, "d/e/a", 900, true).await.unwrap();
    tree.delete(&path("d"), commit()).await.unwrap();
    fill(&tree, "b", 1000, true).await.unwrap();
    tree.delete(&path("b"), commit()).await.unwrap();
    let trashed = async |at: usize| tree.list_trash(None, 10).await.unwrap().remove(at).id;
    tree.restore(&trashed(1).await, &path("d"), limited())
        .await
        .unwrap();
    tree.delete(&path("d"), commit()).await.unwrap();
    tree.restore(&trashed(0).await, &path("d"), limited())
        .await
        .unwrap();
    assert_eq!(used(&tree).await, 900);
    tree.delete(&path("d"), commit()).await.unwrap();
    tree.purge(&trashed(0).await).await.unwrap();
    assert_eq!(used(&tree).await, 0);
    tree.mkdir(&path("d"), commit()).await.unwrap();
    fill(&tree, "d/a", 700, true).await.unwrap();
    fill(&tree, "f", 300, true).await.unwrap();
    tree.rename(&path("f"), &path("d"), limited())
        .await
        .unwrap();
    assert_eq!(used(&tree).await, 300);
}

/// After any sequence of changes the count is what the files hold.
pub async fn the_books_are_right_after_anything(tree: TwoHandles) {
    let mut seed = 0x5eed_u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for folder in ["p", "q", "p/r"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    let names = ["a", "b", "p", "q", "p/a", "p/r", "p/r/a", "q/a", "q/b", "s"];
    for round in 0..400 {
        let mut name = || path(names[usize::try_from(random(10)).unwrap()]);
        let one = name();
        let other = name();
        // Most fail, as most of what clients try on such names would.
        let _ = match random(9) {
            0..3 => fill(
                &tree,
                one.as_str(),
                usize::try_from(random(200)).unwrap(),
                round % 2 == 0,
            )
            .await
            .map(drop),
            3 => tree.delete(&one, commit()).await.map(drop),
            4 => tree.rename(&one, &other, limited()).await.map(drop),
            5 => tree
                .copy(&one, &other, CopyDepth::Infinity, limited())
                .await
                .map(drop),
            6 => tree.mkdir(&one, commit()).await.map(drop),
            kind => match tree.list_trash(None, 3).await.unwrap().pop() {
                Some(item) if kind == 7 => tree.restore(&item.id, &one, limited()).await.map(drop),
                Some(item) => tree.purge(&item.id).await,
                None => Ok(()),
            },
        };
        if round % 7 == 0 {
            assert_eq!(used(&tree).await, held(&tree).await, "in round {round}");
        }
    }
    assert_eq!(used(&tree).await, held(&tree).await);
    assert!(held(&tree).await <= LIMIT);
}

/// Bytes of all files, by looking at each.
async fn held(tree: &TwoHandles) -> u64 {
    let mut sum = 0;
    let mut due = vec![path("")];
    while let Some(folder) = due.pop() {
        let mut listing = tree.list(&folder, false).await.unwrap();
        loop {
            let page = listing.next_page().await.unwrap();
            if page.is_empty() {
                break;
            }
            sum += page.iter().map(|entry| entry.node.len).sum::<u64>();
            due.extend(
                page.iter()
                    .filter(|entry| entry.node.folder)
                    .map(|entry| folder.join(&entry.name).unwrap()),
            );
        }
    }
    sum
}
