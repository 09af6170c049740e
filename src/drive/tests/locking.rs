//! Locks and the conditions they were asked under.

use super::*;
use crate::drive::locks::Locks;
use crate::storage::{LockScope, LocksSeen, ResourceId, TreeLocks};
use std::time::Duration;

#[tokio::test]
async fn a_lock_is_granted_on_what_the_conditions_spoke_of_or_not_at_all() {
    let store = MemoryStore::new();
    store.slow_down();
    let locks = Arc::new(Locks::open(store, LocksConfig::default()).await.unwrap());
    let home = TestHome::with("home/ana", tempfile::tempdir().unwrap(), locks);
    let drive = home.drive("", Rights::Edit);
    let top = path("top");
    let etag = home.root.tree.stat(&top).await.unwrap().etag.to_string();
    let preconditions = RequestPreconditions {
        expect: Expect::Etag(vec![etag]),
        ..RequestPreconditions::default()
    };
    let request = || LockRequest {
        deep: false,
        folder: false,
        ..deep_lock()
    };
    let saved = async {
        while drive.locks_on(&top).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        std::fs::write(home.dir.path().join("top"), "somebody else's").unwrap();
    };
    let (refused, ()) = tokio::join!(drive.lock(&top, request(), preconditions), saved);
    assert!(
        matches!(refused, Err(Error::PreconditionFailed)),
        "{refused:?}"
    );
    assert!(drive.locks_on(&top).await.unwrap().is_empty());
    assert!(
        drive
            .lock(&top, request(), RequestPreconditions::default())
            .await
            .is_ok(),
        "nothing stands in its way"
    );
}

/// The removal of what is at a path, checked and not over until its disk goes on: what a tree does of its locks meanwhile.
struct HungRemoval {
    locks: Arc<dyn TreeLocks>,
    turn: u64,
    seen: LocksSeen,
}

impl HungRemoval {
    fn of(home: &TestHome, at: &str) -> Self {
        let locks = home.locks.of_tree(&home.root.id);
        let turn = locks.begin();
        let resource = ResourceId {
            root: home.root.id.clone(),
            path: path(at),
        };
        let seen = locks.look(&[LockScope::Subtree(resource)], &[]);
        Self { locks, turn, seen }
    }

    fn goes_on(self) -> Vec<String> {
        self.locks.end(&self.seen.within);
        self.locks.finish(self.turn);
        self.seen.within
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_hangs_keeps_nobody_else_from_their_locks() {
    let home = TestHome::new().await;
    let dir = tempfile::tempdir().unwrap();
    let other = TestHome::with("home/ben", dir, home.locks.clone());
    let hung = HungRemoval::of(&home, "top");
    let top = path("top");
    let drive = other.drive("", Rights::Edit);
    let others = tokio::spawn(async move {
        let lock = drive
            .lock(&top, deep_lock(), RequestPreconditions::default())
            .await
            .unwrap();
        drive
            .delete(&path("docs"), RequestPreconditions::default())
            .await
            .unwrap();
        drive.unlock(&top, &lock.token.unwrap()).await.unwrap();
    });
    let looks = home.drive("", Rights::Edit);
    let looks = tokio::spawn(async move {
        looks
            .at(&path(""))
            .await
            .unwrap()
            .has_no_locks()
            .await
            .unwrap()
            && looks.locks_on(&path("top")).await.unwrap().is_empty()
    });
    let both = async { (others.await.unwrap(), looks.await.unwrap()) };
    let waited = tokio::time::timeout(Duration::from_secs(5), both).await;
    assert!(hung.goes_on().is_empty());
    assert_eq!(waited, Ok(((), true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_comes_after_the_change_under_way_and_stands_on_what_is_there_then() {
    let home = TestHome::new().await;
    let drive = home.drive("", Rights::Edit);
    let hung = HungRemoval::of(&home, "docs");
    let again = drive.clone();
    let docs = path("docs");
    let lock = tokio::spawn(async move {
        again
            .lock(&path("docs"), deep_lock(), RequestPreconditions::default())
            .await
    });
    while drive.locks_on(&docs).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!lock.is_finished());
    assert!(hung.goes_on().is_empty());
    let lock = lock.await.unwrap().unwrap();
    assert_eq!(drive.locks_on(&docs).await.unwrap(), [lock]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_refused_that_would_wait_too_long_for_the_disk() {
    let home = TestHome::new().await;
    let drive = home.drive("", Rights::Edit);
    let hung = HungRemoval::of(&home, "docs");
    assert!(matches!(
        drive
            .lock(&path("top"), deep_lock(), RequestPreconditions::default())
            .await,
        Err(Error::Busy { .. })
    ));
    assert!(drive.locks_on(&path("top")).await.unwrap().is_empty());
    hung.goes_on();
    assert!(
        drive
            .lock(&path("top"), deep_lock(), RequestPreconditions::default())
            .await
            .is_ok()
    );
}
