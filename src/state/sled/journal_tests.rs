//! The journal by itself: crashes in the middle of every write, damage, age; then the store on it.

use super::journal::{
    Journal, JournalChanges, JournalEntry, OpenedJournal, number_of_generation, read,
};
use super::tests::{all, broken_folders, open, pairs, put, restore, small};
use super::*;
use std::fs;
use std::time::Instant;

/// Room for three or four records.
const LEN: usize = 8192 + 200;

fn changes(n: usize) -> JournalChanges {
    let key = format!("k{n}");
    let value = "é".repeat(n % 7);
    if n % 3 == 2 {
        vec![(key, Some(value)), (format!("k{}", n - 1), None)]
    } else {
        vec![(key, Some(value))]
    }
}

fn entry(changes: &JournalChanges) -> JournalEntry {
    JournalEntry::new(
        changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref())),
    )
}

/// Writes a record durably.
fn append(journal: &mut Journal, changes: &JournalChanges) {
    journal.append(entry(changes)).unwrap();
    journal.sync().unwrap();
}

/// What a journal with these bytes holds, and the journal.
fn reopen(path: &Path, image: &[u8]) -> (Journal, Vec<JournalChanges>) {
    fs::write(path, image).unwrap();
    match Journal::open(path, true).unwrap() {
        OpenedJournal::Whole(journal, found) => (journal, found),
        other => panic!("{other:?}"),
    }
}

fn why_damaged(path: &Path, image: &[u8]) -> &'static str {
    fs::write(path, image).unwrap();
    match Journal::open(path, true).unwrap() {
        OpenedJournal::Damaged(why) => why,
        other => panic!("{other:?}"),
    }
}

/// All ways in which a power cut may tear the one write between two images: any first part, any last part is new.
fn torn<'a>(before: &'a [u8], after: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let differing = || {
        before
            .iter()
            .zip(after)
            .enumerate()
            .filter(|(_, (b, a))| b != a)
            .map(|(at, _)| at)
    };
    let first = differing().next().unwrap();
    let last = differing().next_back().unwrap();
    (first..=last + 1).flat_map(move |cut| {
        let head = [&after[..cut], &before[cut..]].concat();
        let tail = [&before[..cut], &after[cut..]].concat();
        [head, tail]
    })
}

#[test]
fn a_torn_write_is_done_or_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let copy = dir.path().join("copy");
    let mut journal = Journal::create(&path, LEN, true).unwrap();
    let mut held = Vec::new();
    let mut image = fs::read(&path).unwrap();
    let mut anew = 0;
    let mut tears = 0;
    for n in 0..12 {
        let next = changes(n);
        let before = held.clone();
        if journal.fits(&entry(&next)) {
            append(&mut journal, &next);
            held.push(next);
        } else {
            journal.reset().unwrap();
            held.clear();
            anew += 1;
        }
        let after = fs::read(&path).unwrap();
        for image in torn(&image, &after) {
            let (mut journal, found) = reopen(&copy, &image);
            assert!(
                found == before || found == held,
                "step {n}: {found:?}, neither {before:?} nor {held:?}"
            );
            assert_eq!(journal.is_empty(), found.is_empty());
            // and it goes on from there
            if journal.fits(&entry(&changes(5))) {
                append(&mut journal, &changes(5));
                let (_, more) = reopen(&copy, &fs::read(&copy).unwrap());
                assert_eq!(more, [&found[..], &[changes(5)]].concat());
            } else {
                journal.reset().unwrap();
                assert_eq!(
                    reopen(&copy, &fs::read(&copy).unwrap()).1,
                    Vec::<JournalChanges>::new()
                );
            }
            tears += 1;
        }
        assert_eq!(reopen(&copy, &after).1, held, "step {n}");
        image = after;
    }
    assert!(
        anew >= 2 && tears > 1000,
        "{anew} generations, {tears} torn writes"
    );
}

/// A power cut may leave any of the records that wait for their fsync: what is read is all up to the first that is missing.
#[test]
fn of_what_waits_for_an_fsync_a_power_cut_leaves_a_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let copy = dir.path().join("copy");
    let all: Vec<_> = (0..7).map(changes).collect();
    let mut journal = Journal::create(&path, 2 * LEN, true).unwrap();
    append(&mut journal, &all[0]);
    append(&mut journal, &all[1]);
    let mut ends = vec![
        fs::read(&path)
            .unwrap()
            .iter()
            .rposition(|byte| *byte != 0)
            .unwrap()
            + 1,
    ];
    for next in &all[2..6] {
        assert_eq!(journal.needs_sync(), ends.len() > 1);
        journal.append(entry(next)).unwrap();
        ends.push(ends.last().unwrap() + entry(next).len());
    }
    let image = fs::read(&path).unwrap();
    let without = |image: &[u8], lost: usize| {
        let mut image = image.to_vec();
        (0..4)
            .filter(|n| lost >> n & 1 == 1)
            .for_each(|n| image[ends[n]..ends[n + 1]].fill(0));
        image
    };
    for lost in 0..16_usize {
        let (mut journal, found) = reopen(&copy, &without(&image, lost));
        let left = if lost == 0 {
            6
        } else {
            2 + lost.trailing_zeros() as usize
        };
        assert_eq!(found, all[..left], "lost {lost:04b}");
        assert!(!journal.needs_sync());
        append(&mut journal, &all[6]);
        assert_eq!(
            reopen(&copy, &fs::read(&copy).unwrap()).1.len(),
            left + 1,
            "what came after a lost one is dead"
        );
    }
    journal.sync().unwrap();
    append(&mut journal, &all[6]);
    let image = fs::read(&path).unwrap();
    assert_eq!(reopen(&copy, &image).1, all);
    for lost in 1..16 {
        assert_eq!(
            why_damaged(&copy, &without(&image, lost)),
            "a record in its middle cannot be read"
        );
    }
}

#[test]
fn not_too_much_waits_for_one_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(&dir.path().join("journal"), 1 << 20, true).unwrap();
    let mut most = 0;
    for n in 0..10_000_u64 {
        journal.append(entry(&changes(1))).unwrap();
        most = if journal.unsynced() == 1 {
            most.max(n)
        } else {
            most
        };
    }
    assert_eq!((most, journal.unsynced()), (8192, 10_000 - 8192));
    assert!(
        matches!(Journal::open(&dir.path().join("journal"), true), Ok(OpenedJournal::Whole(_, all)) if all.len() == 10_000)
    );
}

#[test]
fn older_records_after_the_end_stay_dead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::create(&path, LEN, true).unwrap();
    let same = vec![("key".to_owned(), Some("value".to_owned()))];
    for _ in 0..3 {
        append(&mut journal, &same);
    }
    journal.reset().unwrap();
    let old = fs::read(&path).unwrap();
    // the same length: the old second and third record stand exactly where the next would
    append(&mut journal, &same);
    let image = fs::read(&path).unwrap();
    assert!(
        image.ends_with(&old[8192 + 80..]) && old[8192 + 80..].iter().any(|byte| *byte != 0),
        "the test is blind"
    );
    let (_, found) = reopen(&path, &image);
    assert_eq!(found, [same]);
    let cleaned = fs::read(&path).unwrap();
    assert!(cleaned[8192 + 80..].iter().all(|byte| *byte == 0) && cleaned.len() == image.len());
}

#[test]
fn a_damaged_last_record_is_told_from_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::create(&path, LEN, true).unwrap();
    append(&mut journal, &changes(1));
    let mut image = fs::read(&path).unwrap();
    assert!(!read(&image).unwrap().is_cut);
    let last = image.iter().rposition(|byte| *byte != 0).unwrap();
    image[last] ^= 1;
    let replay = read(&image).unwrap();
    assert!(replay.is_cut && replay.changes.is_empty());
}

#[test]
fn damage_that_no_crash_leaves_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::create(&path, LEN, true).unwrap();
    let fresh = fs::read(&path).unwrap();
    for n in 0..3 {
        append(&mut journal, &changes(n));
    }
    let image = fs::read(&path).unwrap();
    let flipped = |image: &[u8], places: &[usize]| {
        let mut image = image.to_vec();
        for at in places {
            image[*at] ^= 1;
        }
        image
    };
    assert_eq!(
        why_damaged(&path, b""),
        "neither of its headers can be read"
    );
    assert_eq!(
        why_damaged(&path, &image[..20]),
        "neither of its headers can be read"
    );
    for at in 0..48 {
        assert_eq!(
            why_damaged(&path, &flipped(&image, &[at, 4096 + at])),
            "neither of its headers can be read"
        );
        assert_eq!(
            why_damaged(&path, &flipped(&fresh, &[at])),
            "one of its headers cannot be read"
        );
        assert_eq!(
            why_damaged(&path, &flipped(&fresh, &[4096 + at])),
            "one of its headers cannot be read"
        );
        assert_eq!(
            reopen(&path, &flipped(&image, &[at])).1.len(),
            3,
            "the header of generation 0 is not needed"
        );
    }
    for at in 8192..8192 + 80 {
        assert_eq!(
            why_damaged(&path, &flipped(&image, &[at])),
            "a record in its middle cannot be read",
            "{at}"
        );
    }
    assert!(matches!(
        Journal::open(&dir.path().join("none"), true).unwrap(),
        OpenedJournal::Missing
    ));
}

#[tokio::test]
async fn changes_outlive_a_store_that_never_made_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let full = Settings {
        min_free: u64::MAX,
        ..small()
    };
    let store = open(dir.path());
    put(&store, "a", "1").await;
    store
        .commit(Batch::new().put("b", "2").delete("a"))
        .await
        .unwrap();
    let journal = fs::read(journal_path(dir.path())).unwrap();
    let path = store.export_daily().unwrap();
    assert_eq!(
        export::read(&path).unwrap().into_iter().collect::<Vec<_>>(),
        pairs(&[("b", "2")]),
        "exports have all"
    );
    store.close().await.unwrap();
    assert_eq!(
        number_of_generation(&journal_path(dir.path())),
        2,
        "closing makes a checkpoint"
    );
    // without room there is none, and the journal is all that has the new value
    let store = open(dir.path());
    put(&store, "b", "3").await;
    let copy = fs::read(journal_path(dir.path())).unwrap();
    store.close().await.unwrap();
    assert_ne!(journal, copy);
    let sled = recovery::open_sled(&dir.path().join("db")).unwrap();
    assert_eq!(sled.get("b").unwrap().unwrap(), "3");
    sled.insert("b", "2").unwrap();
    drop(sled);
    fs::write(journal_path(dir.path()), copy).unwrap();
    for _ in 0..3 {
        let store = SledStore::open_with(dir.path(), full).unwrap();
        assert_eq!(all(&store).await, pairs(&[("b", "3")]));
        store.close().await.unwrap();
    }
    assert_eq!(
        number_of_generation(&journal_path(dir.path())),
        2,
        "nothing was checkpointed on a full disk"
    );
}

/// The journal goes back to what it was before a checkpoint that sled has taken whole, in part, or not at all.
#[tokio::test]
async fn a_checkpoint_may_be_repeated() {
    for taken in ["whole", "in part", "not at all"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store
            .commit((0..9).fold(Batch::new(), |batch, n| batch.put(n.to_string(), "old")))
            .await
            .unwrap();
        store.close().await.unwrap();
        let store = open(dir.path());
        let before = fs::read(dir.path().join("db/db")).unwrap();
        for n in 0..9 {
            put(&store, &n.to_string(), "passing").await;
            let key = n.to_string();
            let batch = if n % 2 == 0 {
                Batch::new().delete(key)
            } else {
                Batch::new().put(key, "new")
            };
            store.commit(batch).await.unwrap();
        }
        let expected = all(&store).await;
        let journal = fs::read(journal_path(dir.path())).unwrap();
        assert_eq!(expected.len(), 4);
        assert!(
            fs::read(dir.path().join("db/db")).unwrap() == before,
            "sled sleeps between checkpoints"
        );
        store.close().await.unwrap();
        fs::write(journal_path(dir.path()), &journal).unwrap();
        let sled = recovery::open_sled(&dir.path().join("db")).unwrap();
        for n in 0..9 {
            if taken == "not at all" || (taken == "in part" && n % 3 == 0) {
                sled.insert(n.to_string(), "old").unwrap();
            }
        }
        drop(sled);
        for _ in 0..2 {
            let store = open(dir.path());
            assert_eq!(all(&store).await, expected, "{taken}");
            store.close().await.unwrap();
        }
        assert!(broken_folders(dir.path()).is_empty());
    }
}

#[tokio::test]
async fn an_idle_store_makes_one_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let hasty = Settings {
        idle: Duration::from_millis(30),
        ..small()
    };
    let store = SledStore::open_with(dir.path(), hasty).unwrap();
    put(&store, "a", "1").await;
    let generation = || number_of_generation(&journal_path(dir.path()));
    assert_eq!(generation(), 1);
    let deadline = Instant::now() + Duration::from_secs(10);
    while generation() == 1 {
        assert!(Instant::now() < deadline, "no checkpoint");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(generation(), 2, "there was nothing more to bring to sled");
    put(&store, "b", "2").await;
    drop(store);
    assert_eq!(generation(), 3);
    assert_eq!(
        all(&open(dir.path())).await,
        pairs(&[("a", "1"), ("b", "2")])
    );
}

#[tokio::test]
async fn a_lost_or_damaged_journal_costs_only_its_own_changes() {
    for damage in ["lost", "emptied", "header"] {
        let dir = tempfile::tempdir().unwrap();
        let path = journal_path(dir.path());
        let store = open(dir.path());
        put(&store, "a", "kept").await;
        store.close().await.unwrap();
        let store = open(dir.path());
        put(&store, "b", "kept").await;
        let mut image = fs::read(&path).unwrap();
        store.close().await.unwrap();
        match damage {
            "lost" => fs::remove_file(&path).unwrap(),
            "emptied" => fs::write(&path, "").unwrap(),
            _ => {
                // the header of generation 2, whose record stands where those of generation 1 did
                image[10] ^= 1;
                fs::write(&path, image).unwrap();
            }
        }
        let store = open(dir.path());
        assert_eq!(
            all(&store).await,
            pairs(&[("a", "kept"), ("b", "kept")]),
            "{damage}"
        );
        put(&store, "c", "new").await;
        drop(store);
        assert_eq!(all(&open(dir.path())).await.len(), 3, "{damage}");
        assert_eq!(
            broken_folders(dir.path()).len(),
            usize::from(damage != "lost"),
            "{damage}"
        );
    }
}

#[tokio::test]
async fn a_restored_export_is_not_followed_by_the_old_journal_but_a_repaired_store_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "exported").await;
    let export = store.export_daily().unwrap();
    put(&store, "b", "journaled").await;
    let journal = fs::read(journal_path(dir.path())).unwrap();
    store.close().await.unwrap();
    fs::write(journal_path(dir.path()), &journal).unwrap();
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let store = open(dir.path());
    assert_eq!(
        all(&store).await,
        pairs(&[("a", "exported"), ("b", "journaled")])
    );
    store.close().await.unwrap();
    fs::write(journal_path(dir.path()), &journal).unwrap();
    restore(dir.path(), &export).unwrap();
    let store = open(dir.path());
    assert_eq!(all(&store).await, pairs(&[("a", "exported")]));
    put(&store, "c", "after").await;
    drop(store);
    assert_eq!(
        all(&open(dir.path())).await,
        pairs(&[("a", "exported"), ("c", "after")])
    );
}

#[tokio::test]
async fn a_store_that_is_gone_but_for_its_journal_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "a", "1").await;
    store.close().await.unwrap();
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert!(matches!(
        SledStore::open_with(dir.path(), small()),
        Err(Error::Corrupt(_))
    ));
}

#[tokio::test]
async fn the_largest_batches_fit_and_the_journal_wraps() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..12 {
        let batches = (0..4).map(|who| {
            let batch = (0..8).fold(Batch::new(), |batch, n| {
                batch.put(format!("{who}/{n}"), "x".repeat(32_000 + round))
            });
            store.commit(batch)
        });
        futures_util::future::join_all(batches)
            .await
            .into_iter()
            .for_each(|outcome| outcome.unwrap());
    }
    let tiny = (0..15_000).fold(Batch::new(), |batch, n| batch.delete(n.to_string()));
    assert!(matches!(
        store.commit(tiny).await,
        Err(Error::LimitReached(_))
    ));
    store
        .commit((0..12_000).fold(Batch::new(), |batch, n| batch.delete(n.to_string())))
        .await
        .unwrap();
    let before = all(&store).await;
    assert!(before.len() == 32 && before.iter().all(|(_, value)| value.len() == 32_011));
    drop(store);
    assert!(number_of_generation(&journal_path(dir.path())) > 5);
    assert_eq!(all(&open(dir.path())).await, before);
}
