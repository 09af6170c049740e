//! File metadata in its attribute: hashes and ids.

use super::*;
use crate::storage::Etag;
use std::time::{Duration, SystemTime};

fn node(inode: u64, len: u64, modified: SystemTime) -> Node {
    Node {
        folder: false,
        len,
        modified,
        created: UNIX_EPOCH,
        etag: Etag([inode, 5, 0, len]),
    }
}

#[test]
fn a_hash_is_known_for_what_it_was_made_of_only() {
    let digest = [7; DIGEST];
    let second = Duration::from_secs(1);
    for modified in [UNIX_EPOCH, UNIX_EPOCH - second, SystemTime::now()] {
        let of = node(1, 3, modified);
        let meta = FileMeta::new(FileId::new().unwrap(), Some(&digest), &of);
        assert_eq!(meta.digest(&of), Some(digest));
        assert_eq!(meta.digest(&node(1, 4, modified)), None);
        assert_eq!(
            meta.digest(&node(1, 3, modified + Duration::from_nanos(1))),
            None
        );
        assert_eq!(
            meta.digest(&node(2, 3, modified)),
            Some(digest),
            "a copy has the same content"
        );
    }
    let far = node(1, 3, UNIX_EPOCH + Duration::from_secs(1 << 40));
    assert_eq!(
        FileMeta::new(FileId::new().unwrap(), Some(&digest), &far).digest(&far),
        None
    );
    assert_eq!(FileMeta::default().digest(&node(1, 0, UNIX_EPOCH)), None);
}

#[test]
fn a_copy_has_an_id_and_a_history_of_its_own() {
    let of = node(1, 3, UNIX_EPOCH);
    let copy = node(2, 3, UNIX_EPOCH);
    let id = FileId::new().unwrap();
    let meta = FileMeta::new(id, None, &of);
    assert_eq!((meta.id(&of), meta.history(&of)), (id, id.to_string()));
    let own = FileId::derived(&copy);
    assert_eq!(
        (meta.id(&copy), meta.history(&copy)),
        (own, own.to_string())
    );
    let moved = |lies, of| meta.for_tree_copy(lies, of, &copy).id(&copy);
    assert_eq!(
        moved(TreeLocation::Unmoved, &of),
        id,
        "a copy of the whole tree has the same files"
    );
    assert_eq!(
        (
            moved(TreeLocation::Unmoved, &copy),
            moved(TreeLocation::Relocated, &copy)
        ),
        (own, id)
    );
    let saved = meta.for_node(&copy, None, &node(3, 9, UNIX_EPOCH));
    assert_eq!(
        saved.id(&node(3, 9, UNIX_EPOCH)),
        own,
        "what it was known by stays when it is saved"
    );
}

#[test]
fn a_label_is_stored_as_it_is() {
    let file = tempfile::tempfile().unwrap();
    let of = node(1, 3, UNIX_EPOCH);
    let stored = || FileMeta::of_file(sys::fd(&file)).unwrap();
    assert_eq!(stored(), FileMeta::default());
    for bytes in [&b"short"[..], &[b'x'; 65], &[b'x'; 80]] {
        sys::set_meta(sys::fd(&file), bytes).unwrap();
        assert_eq!(stored(), FileMeta::default());
    }
    let meta = FileMeta::new(FileId::new().unwrap(), Some(&[7; DIGEST]), &of);
    for meta in [
        meta.clone(),
        FileMeta {
            history: Some("h1".into()),
            ..meta.clone()
        },
        FileMeta {
            digest: None,
            ..meta
        },
    ] {
        meta.store(sys::fd(&file)).unwrap();
        assert_eq!(stored(), meta);
    }
    FileMeta::default().store(sys::fd(&file)).unwrap();
    assert_eq!(sys::meta_fd::<MAX_STORED>(sys::fd(&file)), Ok(None));
}

#[test]
fn a_label_of_before_there_were_ids_keeps_hash_and_history() {
    let of = node(1, 3, UNIX_EPOCH + Duration::from_secs(9));
    let second = node(2, 4, UNIX_EPOCH);
    let mut former = [
        [7; DIGEST].as_slice(),
        &3_u64.to_le_bytes(),
        &9_000_000_000_i64.to_le_bytes(),
    ]
    .concat();
    former.extend(b"18d2c5b1e0a4f993");
    let meta = FileMeta::decode(&former);
    let parts = (meta.digest(&of), meta.legacy_history(), meta.id(&of));
    assert_eq!(
        parts,
        (
            Some([7; DIGEST]),
            Some("18d2c5b1e0a4f993"),
            FileId::derived(&of)
        )
    );
    assert_eq!(
        meta.history(&of),
        FileId::derived(&of).to_string(),
        "it may be a copy's"
    );
    let moved = meta.for_tree_copy(TreeLocation::Relocated, &of, &of);
    let saved = moved.for_node(&of, None, &second);
    assert_eq!(
        (saved.history(&second), saved.id(&second)),
        ("18d2c5b1e0a4f993".to_owned(), FileId::derived(&of))
    );
    assert_eq!(FileMeta::decode(&saved.encode()), saved);
    former.truncate(48);
    former.extend([0; HISTORY]);
    assert_eq!(
        FileMeta::decode(&former).history(&of),
        FileId::derived(&of).to_string()
    );
}
