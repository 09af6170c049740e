//! Tests of uploads.

use super::*;
use crate::model::RelPath;
use crate::model::{Irrevocable, Role};
use crate::state::memory::MemoryStore;

#[derive(Debug)]
struct Nothing;

impl SpaceReservation for Nothing {}

fn identity(name: &str) -> Identity {
    Identity::whole(
        AccountName::parse(name).unwrap(),
        Role::User,
        None,
        Arc::new(Irrevocable),
    )
}

fn plan() -> UploadSpec {
    let path = VPath::parse("file").unwrap();
    let metadata = String::new();
    UploadSpec {
        path,
        len: 1,
        metadata,
        modified: None,
        fresh: false,
        tags: Vec::new(),
    }
}

async fn laid_aside(id: String) -> Result<CreatedUpload> {
    Ok(CreatedUpload {
        root: "home/ben".into(),
        path: RelPath::parse(&id)?,
        reservation: Box::new(Nothing),
    })
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_stops_no_upload_elsewhere_and_what_is_being_begun_is_not_swept() {
    let uploads = Uploads::open(MemoryStore::new(), 7).await.unwrap();
    let ana = identity("ana");
    let ben = identity("ben");
    let hung = Mutex::new(String::new());
    let mut hanging = std::pin::pin!(uploads.create_with(&ana, plan(), |id: String| {
        *hung.lock() = id;
        std::future::pending()
    }));
    let second = Duration::from_secs(1);
    assert!(tokio::time::timeout(second, &mut hanging).await.is_err());
    let begun = tokio::time::timeout(second, uploads.create_with(&ben, plan(), laid_aside)).await;
    assert!(uploads.has(&begun.expect("nobody waits for the other").unwrap().id));
    let id = hung.lock().clone();
    assert!(uploads.has(&id));
    assert!(!uploads.has("other"));
}

#[tokio::test]
async fn what_is_being_begun_counts_and_is_forgotten_when_it_fails() {
    let uploads = Uploads::open(MemoryStore::new(), 7).await.unwrap();
    let ana = identity("ana");
    let entered: Vec<_> = (0..MAX_UPLOADS)
        .map(|_| uploads.begin_pending(&ana.account).unwrap())
        .collect();
    assert!(matches!(
        uploads.create_with(&ana, plan(), laid_aside).await,
        Err(Error::LimitReached(_))
    ));
    uploads
        .create_with(&identity("ben"), plan(), laid_aside)
        .await
        .unwrap();
    drop(entered);
    let failing = |_: String| std::future::ready(Err(Error::NoSpace));
    assert!(matches!(
        uploads.create_with(&ana, plan(), failing).await,
        Err(Error::NoSpace)
    ));
    assert!(uploads.pending.lock().is_empty());
    uploads.create_with(&ana, plan(), laid_aside).await.unwrap();
}

/// Two nodes, of which neither has seen what the other did when it decides.
#[tokio::test]
async fn two_handles_begin_no_more_uploads_than_may_be_and_follow_each_other() {
    let store = MemoryStore::new();
    let here = Uploads::open(store.clone(), 7).await.unwrap();
    let there = Uploads::open(store.clone(), 7).await.unwrap();
    let ana = identity("ana");
    let mut last = None;
    for n in 0..MAX_UPLOADS {
        let uploads = [&here, &there][n % 2];
        last = Some(uploads.create_with(&ana, plan(), laid_aside).await.unwrap());
    }
    for uploads in [&here, &there] {
        let one_more = uploads.create_with(&ana, plan(), laid_aside).await;
        assert!(matches!(one_more, Err(Error::LimitReached(_))));
    }
    let last = last.unwrap();
    here.publish(&here.find(&ana, &last.id).unwrap(), "tag".into())
        .await;
    let followed = async {
        while last.record().published.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), followed)
        .await
        .expect("what one handle has published the other knows of");
}
