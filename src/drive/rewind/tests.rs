//! Tests of rewind.

use super::*;
use crate::config::{Durability, LocksConfig};
use crate::drive::locks::Locks;
use crate::drive::named_tree::NamedTree;
use crate::model::{AccountName, Identity, Irrevocable, Role};
use crate::state::memory::MemoryStore;
use crate::storage::local::{LocalSettings, LocalTree};
use std::sync::Arc;
use std::time::Duration;

const MANY: usize = 50;

#[tokio::test]
async fn many_steps_wait_for_the_disk_together() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LocalSettings {
        durability: Durability::Strict,
        ..LocalSettings::RELAXED
    };
    let tree = LocalTree::open(dir.path(), settings).unwrap();
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
    let root = Arc::new(NamedTree::new("home/ana".into(), tree.clone()));
    let drive = Drive::new(Arc::new(identity), root, locks);
    let path = |text: &str| VPath::parse(text).unwrap();
    let moment = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    for n in 0..MANY {
        std::fs::write(dir.path().join(format!("{n}")), "x").unwrap();
        let from = path(&format!("{n}"));
        let to = path(&format!("new {n}"));
        let before = tree.sync_count();
        drive
            .rename(&from, &to, false, RequestPreconditions::default())
            .await
            .unwrap();
        assert!(
            tree.sync_count() >= before + 2,
            "a change alone waits for itself"
        );
    }
    let before = tree.sync_count();
    let wish = RewindRequest {
        moment,
        only: Vec::new(),
        dry_run: false,
        submitted: RequestPreconditions::default(),
    };
    let report = drive.rewind(&VPath::root(), wish).await.unwrap();
    let waited = tree.sync_count() - before;
    assert!(
        (report.count, waited) == (MANY as u64, 0),
        "{} steps, {waited} waits",
        report.count
    );
    assert!((0..MANY).all(|n| dir.path().join(format!("{n}")).exists()));
}
