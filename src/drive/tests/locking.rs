//! Locks and the conditions they were asked under.

use super::*;
use crate::drive::resolved_preconditions::{self, ResolvedPreconditions};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[tokio::test]
async fn a_lock_is_granted_on_what_the_conditions_spoke_of_or_not_at_all() {
    let home = TestHome::new().await;
    let store = MemoryStore::new();
    store.slow_down();
    let locks = Arc::new(Locks::open(store, LocksConfig::default()).await.unwrap());
    let home = TestHome { locks, ..home };
    let drive = home.drive("", Rights::Edit);
    let top = path("top");
    let etag = home.root.tree.stat(&top).await.unwrap().etag.to_string();
    let preconditions = Preconditions {
        expect: Expect::Etag(vec![etag]),
        ..Preconditions::default()
    };
    let request = || LockRequest {
        deep: false,
        folder: false,
        ..deep_lock()
    };
    let saved = async {
        while drive.locks_on(&top).is_empty() {
            tokio::task::yield_now().await;
        }
        std::fs::write(home.dir.path().join("top"), "somebody else's").unwrap();
    };
    let (refused, ()) = tokio::join!(drive.lock(&top, request(), preconditions), saved);
    assert!(
        matches!(refused, Err(Error::PreconditionFailed)),
        "{refused:?}"
    );
    assert!(drive.locks_on(&top).is_empty());
    assert!(
        drive
            .lock(&top, request(), Preconditions::default())
            .await
            .is_ok(),
        "nothing stands in its way"
    );
}

/// The removal of what is at a path, judged and not over until its disk is let go on.
struct HungRemoval {
    disk: mpsc::Sender<()>,
    preconditions: Arc<ResolvedPreconditions>,
    thread: thread::JoinHandle<Result<()>>,
}

impl HungRemoval {
    async fn removal(drive: &Drive, at: &str) -> Self {
        let at = path(at);
        let place = drive.resolve_authorized(&at, Access::Change).await.unwrap();
        let resolved = drive
            .resolve_preconditions(
                &place,
                Preconditions::default(),
                resolved_preconditions::scopes_to_delete(&place),
            )
            .await
            .unwrap();
        let ((disk, waits), (judged, begun)) = (mpsc::channel::<()>(), mpsc::channel());
        let commit = resolved.write_options();
        let mut change = move || {
            judged.send(()).unwrap();
            let _ = waits.recv();
            Ok(())
        };
        let thread = thread::spawn(move || commit.preconditions.check_and_apply(None, &mut change));
        begun.recv().unwrap();
        Self {
            disk,
            preconditions: resolved,
            thread,
        }
    }

    fn goes_on(self) -> Vec<String> {
        drop(self.disk);
        self.thread.join().unwrap().unwrap();
        self.preconditions.ended_locks()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_hangs_keeps_nobody_else_from_their_locks() {
    let home = TestHome::new().await;
    let other = TestHome::new().await;
    let root = Arc::new(NamedTree::new("home/ben".into(), other.root.tree.clone()));
    let other = TestHome {
        root,
        locks: home.locks.clone(),
        ..other
    };
    let hung = HungRemoval::removal(&home.drive("", Rights::Edit), "top").await;
    let top = path("top");
    let drive = other.drive("", Rights::Edit);
    let others = tokio::spawn(async move {
        let lock = drive
            .lock(&top, deep_lock(), Preconditions::default())
            .await
            .unwrap();
        drive
            .delete(&path("docs"), Preconditions::default())
            .await
            .unwrap();
        drive.unlock(&top, &lock.token.unwrap()).await.unwrap();
    });
    let looks = home.drive("", Rights::Edit);
    let looks = tokio::spawn(async move {
        looks.has_no_locks(&path("")) && looks.locks_on(&path("top")).is_empty()
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
    let hung = HungRemoval::removal(&drive, "docs").await;
    let again = drive.clone();
    let docs = path("docs");
    let lock = tokio::spawn(async move {
        again
            .lock(&path("docs"), deep_lock(), Preconditions::default())
            .await
    });
    while drive.locks_on(&docs).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!lock.is_finished());
    drive.locks.release_gone(hung.goes_on()).await;
    let lock = lock.await.unwrap().unwrap();
    assert_eq!(drive.locks_on(&docs), [lock]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_refused_that_would_wait_too_long_for_the_disk() {
    let home = TestHome::new().await;
    let drive = home.drive("", Rights::Edit);
    let hung = HungRemoval::removal(&drive, "docs").await;
    assert!(matches!(
        drive
            .lock(&path("top"), deep_lock(), Preconditions::default())
            .await,
        Err(Error::Busy { .. })
    ));
    assert!(drive.locks_on(&path("top")).is_empty());
    hung.goes_on();
    assert!(
        drive
            .lock(&path("top"), deep_lock(), Preconditions::default())
            .await
            .is_ok()
    );
}
