//! Tests of resolved preconditions.

use super::*;
use crate::config::LocksConfig;
use crate::drive::locks::Locks;
use crate::drive::named_tree::NamedTree;
use crate::model::{AccountName, Identity, Irrevocable, Role, VPath};
use crate::state::memory::MemoryStore;
use crate::storage::Expect;
use crate::storage::LockRequest;
use crate::storage::local::{LocalSettings, LocalTree};

async fn drive(dir: &std::path::Path) -> Drive {
    let tree = LocalTree::open(dir, LocalSettings::RELAXED).unwrap();
    let locks = Arc::new(
        Locks::open(MemoryStore::new(), LocksConfig::default())
            .await
            .unwrap(),
    );
    tree.set_locks(locks.of_tree("home/ana"));
    let identity = Identity::whole(
        AccountName::parse("ana").unwrap(),
        Role::User,
        None,
        Arc::new(Irrevocable),
    );
    Drive::new(
        Arc::new(identity),
        Arc::new(NamedTree::new("home/ana".into(), tree)),
        locks,
    )
}

#[tokio::test]
async fn a_removal_ends_the_locks_there_and_none_granted_since() {
    let dir = tempfile::tempdir().unwrap();
    let drive = drive(dir.path()).await;
    let path = |text| VPath::parse(text).unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    let request = || LockRequest {
        owner: String::new(),
        shared: false,
        deep: false,
        folder: false,
        timeout: None,
    };
    let old = drive
        .lock(&path("a/b"), request(), RequestPreconditions::default())
        .await
        .unwrap();
    let preconditions = RequestPreconditions {
        lock_tokens: old.token.iter().cloned().collect(),
        ..RequestPreconditions::default()
    };
    let at = path("a");
    let place = drive.resolve_authorized(&at, Access::Change).await.unwrap();
    let commit = drive
        .write_options(&place, preconditions, scopes_to_delete(&place))
        .await
        .unwrap();
    let deleted = place.root.tree.delete(&place.path, commit).await.unwrap();
    assert_eq!(Some(&deleted.changed.ended[0]), old.token.as_ref());
    let new = drive
        .lock(&path("a"), request(), RequestPreconditions::default())
        .await
        .unwrap();
    drive.end_locks(&deleted.changed.ended).await;
    assert_eq!(drive.locks_on(&path("a")).await.unwrap(), [new]);
    assert!(drive.locks_on(&path("a/b")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lock_that_must_make_its_file_does_not_take_over_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let drive = drive(dir.path()).await;
    let path = VPath::parse("a").unwrap();
    let request = LockRequest {
        owner: String::new(),
        shared: false,
        deep: false,
        folder: false,
        timeout: None,
    };
    let lock = drive
        .lock(&path, request, RequestPreconditions::default())
        .await
        .unwrap();
    std::fs::write(dir.path().join("a"), "made meanwhile").unwrap();
    let absent = RequestPreconditions {
        expect: Expect::Absent,
        ..RequestPreconditions::default()
    };
    assert!(matches!(
        drive.create_locked(&path, &lock, &absent).await,
        Err(Error::PreconditionFailed)
    ));
    drive
        .create_locked(&path, &lock, &RequestPreconditions::default())
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(dir.path().join("a")).unwrap(),
        b"made meanwhile"
    );
}

#[tokio::test]
async fn a_removal_that_does_not_happen_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let drive = drive(dir.path()).await;
    let path = VPath::parse("a").unwrap();
    let request = LockRequest {
        owner: String::new(),
        shared: false,
        deep: false,
        folder: false,
        timeout: None,
    };
    let lock = drive
        .lock(&path, request, RequestPreconditions::default())
        .await
        .unwrap();
    let preconditions = RequestPreconditions {
        lock_tokens: lock.token.iter().cloned().collect(),
        ..RequestPreconditions::default()
    };
    assert!(matches!(
        drive.delete(&path, preconditions).await,
        Err(Error::NotFound)
    ));
    assert_eq!(drive.locks_on(&path).await.unwrap().len(), 1);
}
