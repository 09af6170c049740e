//! Locks and the conditions they were asked under.

use super::*;

#[tokio::test]
async fn a_lock_is_granted_on_what_the_conditions_spoke_of_or_not_at_all() {
    let (home, store) = (Home::new().await, MemoryStore::new());
    store.slow_down();
    let locks = Arc::new(Locks::open(store, LocksConfig::default()).await.unwrap());
    let home = Home { locks, ..home };
    let (drive, top) = (home.drive("", Rights::Edit), path("top"));
    let etag = home.root.tree.stat(&top).await.unwrap().etag.to_string();
    let terms = Terms { expect: Expect::Etag(vec![etag]), ..Terms::default() };
    let request = || LockRequest { deep: false, folder: false, ..deep_lock() };
    let saved = async {
        while drive.locks_on(&top).is_empty() {
            tokio::task::yield_now().await;
        }
        std::fs::write(home.dir.path().join("top"), "somebody else's").unwrap();
    };
    let (refused, ()) = tokio::join!(drive.lock(&top, request(), terms), saved);
    assert!(matches!(refused, Err(Error::PreconditionFailed)), "{refused:?}");
    assert!(drive.locks_on(&top).is_empty());
    assert!(drive.lock(&top, request(), Terms::default()).await.is_ok(), "nothing stands in its way");
}
