//! Tests of resolved preconditions.

use super::*;
use crate::config::LocksConfig;
use crate::drive::locks::LockRequest;
use crate::model::{AccountName, Identity, Irrevocable, Role, VPath};
use crate::state::memory::MemoryStore;
use crate::storage::Expect;
use crate::storage::local::{LocalSettings, LocalTree};

async fn drive(dir: &std::path::Path) -> Drive {
    let tree = LocalTree::open(dir, LocalSettings::RELAXED).unwrap();
    let locks = Locks::open(MemoryStore::new(), LocksConfig::default())
        .await
        .unwrap();
    let identity = Identity::whole(
        AccountName::parse("ana").unwrap(),
        Role::User,
        None,
        Arc::new(Irrevocable),
    );
    Drive::new(
        Arc::new(identity),
        Arc::new(NamedTree::new("home/ana".into(), tree)),
        Arc::new(locks),
    )
}

#[tokio::test]
async fn a_removal_ends_the_locks_there_and_none_granted_since() {
    let dir = tempfile::tempdir().unwrap();
    let drive = drive(dir.path()).await;
    let path = |text| VPath::parse(text).unwrap();
    let request = || LockRequest {
        owner: String::new(),
        shared: false,
        deep: false,
        folder: false,
        timeout: None,
    };
    let old = drive
        .lock(&path("a/b"), request(), Preconditions::default())
        .await
        .unwrap();
    let preconditions = Preconditions {
        lock_tokens: old.token.iter().cloned().collect(),
        ..Preconditions::default()
    };
    let at = path("a");
    let place = drive.resolve_authorized(&at, Access::Change).await.unwrap();
    let bench = drive
        .resolve_preconditions(&place, preconditions, scopes_to_delete(&place))
        .await
        .unwrap();
    bench
        .write_options()
        .preconditions
        .check_and_apply(None, &mut || Ok(()))
        .unwrap();
    let new = drive
        .lock(&path("a"), request(), Preconditions::default())
        .await
        .unwrap();
    drive.locks.release_gone(bench.ended_locks()).await;
    assert_eq!(drive.locks_on(&path("a")), [new]);
    assert!(drive.locks_on(&path("a/b")).is_empty());
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
        .lock(&path, request, Preconditions::default())
        .await
        .unwrap();
    std::fs::write(dir.path().join("a"), "made meanwhile").unwrap();
    let absent = Preconditions {
        expect: Expect::Absent,
        ..Preconditions::default()
    };
    assert!(matches!(
        drive.create_locked(&path, &lock, &absent).await,
        Err(Error::PreconditionFailed)
    ));
    drive
        .create_locked(&path, &lock, &Preconditions::default())
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
        .lock(&path, request, Preconditions::default())
        .await
        .unwrap();
    let preconditions = Preconditions {
        lock_tokens: lock.token.iter().cloned().collect(),
        ..Preconditions::default()
    };
    assert!(matches!(
        drive.delete(&path, preconditions).await,
        Err(Error::NotFound)
    ));
    assert_eq!(drive.locks_on(&path).len(), 1);
}
