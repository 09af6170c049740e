//! Locks and the conditions they were asked under.

use super::*;
use crate::store::{Batch, ChangeStream, StateStore};
use async_trait::async_trait;
use std::path::PathBuf;

/// A store that is so slow that somebody saves a file meanwhile.
#[derive(Debug)]
struct Slow {
    inner: Arc<MemoryStore>,
    file: PathBuf,
}

#[async_trait]
impl StateStore for Slow {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, String)>> {
        self.inner.scan(prefix, after, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        std::fs::write(&self.file, "somebody else's").unwrap();
        self.inner.commit(batch).await
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn changes(&self) -> ChangeStream {
        self.inner.changes()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn a_lock_is_granted_on_what_the_conditions_spoke_of_or_not_at_all() {
    let home = Home::new().await;
    let slow = Slow { inner: MemoryStore::new(), file: home.dir.path().join("top") };
    let locks = Arc::new(Locks::open(Arc::new(slow), LocksConfig::default()).await.unwrap());
    let home = Home { locks, ..home };
    let drive = home.drive("", Rights::Edit);
    let etag = home.root.tree.stat(&path("top")).await.unwrap().etag.to_string();
    let terms = || Terms { expect: Expect::Etag(vec![etag.clone()]), ..Terms::default() };
    let request = || LockRequest { deep: false, folder: false, ..deep_lock() };
    let refused = drive.lock(&path("top"), request(), terms()).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed)), "{refused:?}");
    assert!(drive.locks_on(&path("top")).is_empty());
    assert!(drive.lock(&path("top"), request(), Terms::default()).await.is_ok(), "nothing stands in its way");
}
