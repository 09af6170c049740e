//! What every [`Tree`](super::Tree) promises about the hashes of contents.

use super::contract::{TwoHandles, commit, path, put};
use super::{CopyDepth, InitialContent, SpaceRequest, WriteOptions};
use bytes::Bytes;
use std::time::{Duration, SystemTime};

async fn known(tree: &TwoHandles, at: &str) -> Option<[u8; 32]> {
    tree.open(&path(at)).await.unwrap().digest()
}

fn hash(content: &[u8]) -> [u8; 32] {
    *blake3::hash(content).as_bytes()
}

/// The hash is that of the content, small or large, and goes where the file goes.
pub async fn hashes_are_known_and_follow(tree: TwoHandles) {
    let large: Vec<u8> = (0..1_000_000_u32)
        .map(|n| u8::try_from(n % 241).unwrap())
        .collect();
    for (name, content) in [("empty", &b""[..]), ("small", b"abc"), ("large", &large)] {
        let mut upload = tree
            .begin_upload(&path(name), InitialContent::Empty, SpaceRequest::default())
            .await
            .unwrap();
        for part in content.chunks(70_001) {
            upload.write(Bytes::copy_from_slice(part)).await.unwrap();
        }
        upload.commit(commit()).await.unwrap();
        assert_eq!(known(&tree, name).await, Some(hash(content)), "{name}");
    }
    tree.rename(&path("large"), &path("moved"), commit())
        .await
        .unwrap();
    tree.copy(
        &path("moved"),
        &path("copied"),
        CopyDepth::Infinity,
        commit(),
    )
    .await
    .unwrap();
    let early = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    tree.set_props(
        &path("copied"),
        vec![],
        WriteOptions {
            modified: Some(early),
            ..commit()
        },
    )
    .await
    .unwrap();
    for name in ["moved", "copied"] {
        assert_eq!(known(&tree, name).await, Some(hash(&large)), "{name}");
    }
    put(&tree, "moved", b"new").await;
    assert_eq!(known(&tree, "moved").await, Some(hash(b"new")));
    let version = tree.versions(&path("moved")).await.unwrap().remove(0).id;
    assert_eq!(
        tree.open_version(&path("moved"), &version)
            .await
            .unwrap()
            .digest(),
        Some(hash(&large))
    );
    tree.restore_version(&path("moved"), &version, commit())
        .await
        .unwrap();
    assert_eq!(known(&tree, "moved").await, Some(hash(&large)));
}

/// Of what is written in parts the hash is not known, until a scrub has read it.
pub async fn a_scrub_learns_what_is_not_known(tree: TwoHandles) {
    put(&tree, "x", b"abc").await;
    let mut upload = tree
        .begin_upload(&path("x"), InitialContent::Present, SpaceRequest::default())
        .await
        .unwrap();
    upload.seek(3).await.unwrap();
    upload.write(Bytes::from_static(b"def")).await.unwrap();
    upload.commit(commit()).await.unwrap();
    assert_eq!(known(&tree, "x").await, None);
    let scrubbed = tree.scrub().await.unwrap();
    assert_eq!(
        (scrubbed.files, scrubbed.bytes, scrubbed.new),
        (2, 9, 1),
        "the file and its version"
    );
    assert!(scrubbed.damaged.is_empty() && scrubbed.unreadable.is_empty());
    assert_eq!(known(&tree, "x").await, Some(hash(b"abcdef")));
    assert_eq!(tree.scrub().await.unwrap().new, 0);
}

/// A save that changes nothing makes no version; one that changes something does, and so on.
pub async fn a_save_that_changes_nothing_makes_no_version(tree: TwoHandles) {
    for (content, versions) in [
        (b"one", 0),
        (b"one", 0),
        (b"two", 1),
        (b"two", 1),
        (b"one", 2),
    ] {
        put(&tree, "x", content).await;
        assert_eq!(tree.versions(&path("x")).await.unwrap().len(), versions);
    }
}
