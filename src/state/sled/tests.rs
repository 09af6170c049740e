//! The contract on sled, and what only this engine does: one owner, exports, recovery, limits of space.

use super::*;
use crate::state::contract;
use std::fs;

pub(super) fn small() -> Settings {
    Settings {
        min_free: 1 << 20,
        ballast: 1 << 20,
        journal: 512 << 10,
        ..Settings::default()
    }
}

pub(super) fn open(dir: &Path) -> Arc<SledStore> {
    SledStore::open_with(dir, small()).unwrap()
}

pub(super) async fn put(store: &SledStore, key: &str, value: &str) {
    store.commit(Batch::new().put(key, value)).await.unwrap();
}

pub(super) async fn all(store: &SledStore) -> Vec<(String, String)> {
    store.scan("", "", usize::MAX).await.unwrap()
}

pub(super) fn restore(dir: &Path, export: &Path) -> Result<()> {
    SledStore::replace(dir, &SledStore::read_export(export)?)
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(super) fn broken_folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("broken-")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract::suite(|name| {
        let path = dir.path().join(name);
        async move { open(&path) as Arc<dyn StateStore> }
    })
    .await;
}

#[tokio::test]
async fn a_second_open_says_who_has_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Err(Error::Io { source, .. }) = SledStore::open_with(dir.path(), small()) else {
        panic!("opened twice")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ResourceBusy);
    let who = format!(
        "The data folder is in use by process {} since 2",
        std::process::id()
    );
    assert!(source.to_string().starts_with(&who), "{source}");
    store.close().await.unwrap();
    open(dir.path()).close().await.unwrap();
}

#[tokio::test]
async fn reopening_works_at_once_and_often() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..20 {
        let store = open(dir.path());
        assert_eq!(all(&store).await.len(), n);
        put(&store, &format!("{n:02}"), "x").await;
    }
}

#[tokio::test]
async fn exports_are_whole_and_seven_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let odd = pairs(&[("a\n\"", "1"), ("fi le$%<>é", "\u{0}\r\n")]);
    for (key, value) in &odd {
        put(&store, key, value).await;
    }
    assert!(store.newest_export().unwrap().is_none());
    let path = store.export_daily().unwrap();
    assert!(store.newest_export().unwrap().is_some());
    assert_eq!(
        export::read(&path).unwrap().into_iter().collect::<Vec<_>>(),
        odd
    );
    let folder = dir.path().join("exports");
    let text = fs::read(&path).unwrap();
    for day in 1..=9 {
        export::write(
            &folder,
            &text,
            SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(day * 24),
        )
        .unwrap();
    }
    let kept = export::list(&folder).unwrap();
    assert_eq!(kept.len(), 7);
    assert!(
        kept.contains(&path) && kept[0].ends_with("state-1970-01-05T000000Z.jsonl"),
        "{kept:?}"
    );
    for cut in [0, 10, text.len() / 2, text.len() - 3] {
        fs::write(&path, &text[..cut]).unwrap();
        assert!(
            matches!(export::read(&path), Err(Error::Corrupt(_))),
            "cut at {cut}"
        );
    }
    for at in 0..text.len() - 1 {
        let mut flipped = text.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(export::read(&path).is_err(), "flipped at {at}");
    }
}

#[tokio::test]
async fn a_restored_export_replaces_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "old").await;
    let path = store.export_daily().unwrap();
    put(&store, "a", "new").await;
    put(&store, "b", "new").await;
    assert!(restore(dir.path(), &path).is_err(), "the store is in use");
    store.close().await.unwrap();
    restore(dir.path(), &path).unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store).await, pairs(&[("a", "old")]));
    assert_eq!(broken_folders(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_replacement_cut_between_its_renames_is_finished_with_the_export_that_was_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "chosen").await;
    let chosen = dir.path().join("chosen");
    fs::copy(store.export_daily().unwrap(), &chosen).unwrap();
    put(&store, "a", "newest export").await;
    store.export_daily().unwrap();
    put(&store, "a", "present").await;
    store.close().await.unwrap();

    // Cut before the first rename: nothing was restored.
    restore(dir.path(), &chosen).unwrap();
    let (db, fresh, broken) = (
        dir.path().join("db"),
        dir.path().join("db.new"),
        broken_folders(dir.path()).remove(0),
    );
    fs::rename(&db, &fresh).unwrap();
    fs::rename(broken.join("db"), &db).unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store).await, pairs(&[("a", "present")]));
    store.close().await.unwrap();
    assert!(!fresh.exists());

    // Cut between the two.
    restore(dir.path(), &chosen).unwrap();
    fs::rename(&db, &fresh).unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store).await, pairs(&[("a", "chosen")]));
    store.close().await.unwrap();
    // A filling that was cut is left over, and nothing else.
    fs::create_dir(dir.path().join("db.filling")).unwrap();
    restore(dir.path(), &chosen).unwrap();
    assert!(!dir.path().join("db.filling").exists());
}

#[tokio::test]
async fn an_unfinished_snapshot_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "1").await;
    store.close().await.unwrap();
    let torn = dir.path().join("db/snap.00000000FFFFFFFF.generating");
    fs::write(&torn, "torn").unwrap();
    assert!(
        ::sled::Config::new()
            .path(dir.path().join("db"))
            .flush_every_ms(None)
            .open()
            .is_err(),
        "sled minds it"
    );
    let store = open(dir.path());
    assert_eq!(all(&store).await, pairs(&[("a", "1")]));
    assert!(!torn.exists() && broken_folders(dir.path()).len() == 1);
}

#[tokio::test]
async fn a_damaged_or_lost_store_is_restored_from_its_newest_export() {
    for damage in ["log", "snapshot", "gone", "emptied"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        put(&store, "a", "exported").await;
        store.export_daily().unwrap();
        put(&store, "b", "lost").await;
        store.close().await.unwrap();
        open(dir.path()).close().await.unwrap();
        let db = dir.path().join("db");
        match damage {
            "log" => fs::write(db.join("db"), vec![0xa5; 300_000]).unwrap(),
            "snapshot" => {
                let entries = fs::read_dir(&db)
                    .unwrap()
                    .map(|entry| entry.unwrap().path());
                let mut snaps = entries.filter(|path| path.to_str().unwrap().contains("/snap."));
                fs::write(snaps.next().unwrap(), "torn").unwrap();
            }
            "gone" => fs::remove_dir_all(&db).unwrap(),
            _ => {
                fs::remove_dir_all(&db).unwrap();
                fs::create_dir(&db).unwrap();
            }
        }
        let store = open(dir.path());
        assert_eq!(all(&store).await, pairs(&[("a", "exported")]), "{damage}");
        put(&store, "c", "after").await;
        store.close().await.unwrap();
        assert_eq!(all(&open(dir.path())).await.len(), 2, "{damage}");
    }
}

#[tokio::test]
async fn a_damaged_store_without_an_export_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "1").await;
    store.close().await.unwrap();
    open(dir.path()).close().await.unwrap();
    let log = dir.path().join("db/db");
    fs::write(&log, vec![0xa5; 300_000]).unwrap();
    match SledStore::open_with(dir.path(), small()) {
        Err(Error::Corrupt(sentence)) => {
            assert!(sentence.contains("sarang store restore"), "{sentence}");
        }
        other => panic!("{other:?}"),
    }
    assert!(log.exists() && broken_folders(dir.path()).is_empty());
}

#[test]
fn a_newer_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let db = recovery::open_sled(&dir.path().join("db")).unwrap();
    db.insert(VERSION_KEY, (VERSION + 1).to_string().as_bytes())
        .unwrap();
    drop(db);
    let mut outcome = SledStore::open_with(dir.path(), small());
    for _ in 0..3 {
        match outcome {
            Err(Error::Corrupt(sentence)) => {
                assert!(sentence.contains("newer Sarang"), "{sentence}");
            }
            other => panic!("{other:?}"),
        }
        outcome = SledStore::open_with(dir.path(), small());
    }
}

#[tokio::test]
async fn the_version_and_oversized_batches_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for batch in [
        Batch::new().put(VERSION_KEY, "9"),
        Batch::new().delete(VERSION_KEY),
    ] {
        assert!(matches!(
            store.commit(batch).await,
            Err(Error::Forbidden(_))
        ));
    }
    let large = (0..10).fold(Batch::new(), |batch, n| {
        batch.put(n.to_string(), "x".repeat(30_000))
    });
    assert!(matches!(
        store.commit(large).await,
        Err(Error::LimitReached(_))
    ));
    assert_eq!(all(&store).await, []);
}

#[test]
fn a_new_store_needs_room() {
    let dir = tempfile::tempdir().unwrap();
    let greedy = Settings {
        min_free: u64::MAX,
        ..small()
    };
    assert!(matches!(
        SledStore::open_with(dir.path(), greedy),
        Err(Error::NoSpace)
    ));
    assert!(!dir.path().join("db").exists());
}

#[tokio::test]
async fn large_records_reach_the_disk_as_blobs_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..200 {
        put(
            &store,
            &format!("k{}", n % 17),
            &n.to_string().repeat(10_000),
        )
        .await;
    }
    let before = all(&store).await;
    assert!(
        fs::read_dir(dir.path().join("db/blobs"))
            .unwrap()
            .next()
            .is_some(),
        "no blob was written: the test is blind"
    );
    store.close().await.unwrap();
    assert_eq!(all(&open(dir.path())).await, before);
}
