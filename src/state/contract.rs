//! What every engine promises, as one suite; an engine's tests call [`suite`] with a way to open it.

use super::table::{Record, Table};
use super::{Batch, StateStore, StoreChange};
use crate::model::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

/// Runs the whole suite. `make(name)` opens the store of that name: empty the first time, and what was committed
/// before when it is called again after a close.
pub async fn suite<F, O>(make: F)
where
    F: Fn(&'static str) -> O,
    O: Future<Output = Arc<dyn StateStore>>,
{
    committed_records_survive_reopening(&make).await;
    scan_pages_in_byte_order(make("scan").await).await;
    expectations_are_judged_on_present_values(make("expect").await).await;
    a_refused_batch_changes_nothing(make("atomic").await).await;
    too_large_records_are_refused(make("large").await).await;
    concurrent_counters_lose_nothing(make("counters").await).await;
    changes_are_told(make("changes").await).await;
    a_closed_store_is_read_only(make("closed").await).await;
    tables_keep_typed_records(make("table").await).await;
    lazy_commits_are_seen_at_once_and_survive_reopening(&make).await;
}

async fn lazy_commits_are_seen_at_once_and_survive_reopening<F, O>(make: &F)
where
    F: Fn(&'static str) -> O,
    O: Future<Output = Arc<dyn StateStore>>,
{
    let store = make("lazy").await;
    let mut changes = store.changes();
    store
        .commit(Batch::new().put("a", "1").put("b", "1"))
        .await
        .unwrap();
    store
        .commit_lazily(
            Batch::new()
                .expect("a", Some("1".into()))
                .put("a", "2")
                .delete("b"),
        )
        .await
        .unwrap();
    assert_eq!(
        store.scan("", "", 10).await.unwrap(),
        [("a".to_owned(), "2".to_owned())]
    );
    let refused = store
        .commit_lazily(Batch::new().expect("a", Some("1".into())).put("c", "1"))
        .await;
    assert!(matches!(refused, Err(Error::Conflict)));
    let stale = store
        .commit(Batch::new().expect("b", Some("1".into())).put("c", "1"))
        .await;
    assert!(
        matches!(stale, Err(Error::Conflict)),
        "a commit is judged on what was committed lazily before it"
    );
    let large = store
        .commit_lazily(Batch::new().put("large", "x".repeat(32 * 1024)))
        .await;
    assert!(matches!(large, Err(Error::LimitReached(_))));
    store
        .commit(Batch::new().expect("b", None).put("d", "1"))
        .await
        .unwrap();
    store
        .commit_lazily(Batch::new().put("e", "1"))
        .await
        .unwrap();
    for keys in [["a", "b"].as_slice(), &["a", "b"], &["d"], &["e"]] {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(changes.next().await, Some(StoreChange::Keys(keys)));
    }
    let before = store.scan("", "", 10).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(
        store.commit_lazily(Batch::new().put("f", "1")).await,
        Err(Error::ReadOnly)
    ));
    let store = make("lazy").await;
    assert_eq!(store.scan("", "", 10).await.unwrap(), before);
    store.close().await.unwrap();
}

async fn committed_records_survive_reopening<F, O>(make: &F)
where
    F: Fn(&'static str) -> O,
    O: Future<Output = Arc<dyn StateStore>>,
{
    let odd = "k/fi le$%<>é\u{1}\n\"\\";
    let store = make("reopen").await;
    assert_eq!(store.scan("", "", 10).await.unwrap(), []);
    store
        .commit(
            Batch::new()
                .put(odd, "\u{0}ö\n")
                .put("k/2", "2")
                .put("k/3", ""),
        )
        .await
        .unwrap();
    store
        .commit(
            Batch::new()
                .put("k/2", "two")
                .delete("k/3")
                .delete("never there"),
        )
        .await
        .unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = make("reopen").await;
    let expected = [
        ("k/2".to_owned(), "two".to_owned()),
        (odd.to_owned(), "\u{0}ö\n".to_owned()),
    ];
    assert_eq!(store.scan("", "", 10).await.unwrap(), expected);
    assert_eq!(store.get("k/2").await.unwrap().as_deref(), Some("two"));
    assert_eq!(store.get("k/3").await.unwrap(), None);
    store.close().await.unwrap();
}

async fn scan_pages_in_byte_order(store: Arc<dyn StateStore>) {
    let keys = [
        "a",
        "a/",
        "a/1",
        "a/10",
        "a/2",
        "a/B",
        "a/a",
        "a/é",
        "a/\u{10ffff}",
        "a0",
        "b/1",
    ];
    let mut batch = Batch::new();
    for key in keys.iter().rev() {
        batch = batch.put(*key, format!("value of {key}"));
    }
    store.commit(batch).await.unwrap();
    for (prefix, after, limit, expected) in [
        ("", "", 100, &keys[..]),
        ("a/", "", 100, &keys[1..9]),
        ("a/", "a/", 100, &keys[2..9]),
        ("a/", "a/1", 2, &keys[3..5]),
        ("a/", "a/15", 2, &keys[4..6]),
        ("a/", "0", 1, &keys[1..2]),
        ("a/", "a/\u{10ffff}", 9, &[]),
        ("a/", "b", 9, &[]),
        ("a/1", "", 9, &keys[2..4]),
        ("", "a0", 9, &keys[10..]),
        ("a/", "", 0, &[]),
        ("c", "", 9, &[]),
    ] {
        let found = store.scan(prefix, after, limit).await.unwrap();
        let found_keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(found_keys, expected, "{prefix:?} after {after:?}, {limit}");
        assert!(
            found
                .iter()
                .all(|(key, value)| *value == format!("value of {key}"))
        );
    }
}

async fn expectations_are_judged_on_present_values(store: Arc<dyn StateStore>) {
    let some = |text: &str| Some(text.to_owned());
    store
        .commit(Batch::new().expect("k", None).put("k", "1"))
        .await
        .unwrap();
    for (expected, holds) in [
        (None, false),
        (some("2"), false),
        (some(""), false),
        (some("1"), true),
    ] {
        let outcome = store
            .commit(Batch::new().expect("k", expected.clone()).put("seen", "x"))
            .await;
        match outcome {
            Ok(()) => assert!(holds, "{expected:?}"),
            Err(Error::Conflict) => assert!(!holds, "{expected:?}"),
            Err(other) => panic!("{other}"),
        }
    }
    store
        .commit(Batch::new().expect("k", some("1")).delete("k"))
        .await
        .unwrap();
    assert!(matches!(
        store.commit(Batch::new().expect("k", some("1"))).await,
        Err(Error::Conflict)
    ));
    store
        .commit(Batch::new().expect("k", None).expect("seen", some("x")))
        .await
        .unwrap();
}

async fn a_refused_batch_changes_nothing(store: Arc<dyn StateStore>) {
    store
        .commit(Batch::new().put("kept", "1").put("other", "1"))
        .await
        .unwrap();
    let batch = Batch::new()
        .expect("kept", Some("1".into()))
        .expect("other", None);
    let outcome = store
        .commit(batch.put("kept", "2").put("new", "1").delete("other"))
        .await;
    assert!(matches!(outcome, Err(Error::Conflict)));
    let expected = [
        ("kept".to_owned(), "1".to_owned()),
        ("other".to_owned(), "1".to_owned()),
    ];
    assert_eq!(store.scan("", "", 10).await.unwrap(), expected);
}

async fn too_large_records_are_refused(store: Arc<dyn StateStore>) {
    let large = "x".repeat(32 * 1024);
    let outcome = store
        .commit(Batch::new().put("small", "1").put("large", large.clone()))
        .await;
    assert!(matches!(outcome, Err(Error::LimitReached(_))));
    assert_eq!(store.get("small").await.unwrap(), None);
    store
        .commit(Batch::new().put("nearly", &large[100..]))
        .await
        .unwrap();
    assert_eq!(
        store.get("nearly").await.unwrap().map(|text| text.len()),
        Some(large.len() - 100)
    );
}

async fn concurrent_counters_lose_nothing(store: Arc<dyn StateStore>) {
    const TASKS: usize = 8;
    const STEPS: usize = 25;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for step in 0..STEPS {
                    while !count_up(&*store, &format!("step/{task}/{step}"))
                        .await
                        .unwrap()
                    {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        store.get("counter").await.unwrap(),
        Some((TASKS * STEPS).to_string())
    );
    let steps = store.scan("step/", "", 1000).await.unwrap();
    let mut seen: Vec<usize> = steps
        .iter()
        .map(|(_, value)| value.parse().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        (1..=TASKS * STEPS).collect::<Vec<_>>(),
        "each step saw its own value of the counter"
    );
}

async fn count_up(store: &dyn StateStore, step: &str) -> Result<bool> {
    let present = store.get("counter").await?;
    let next = present
        .as_deref()
        .map_or(0, |n| n.parse::<usize>().unwrap())
        + 1;
    let batch = Batch::new()
        .expect("counter", present)
        .put("counter", next.to_string())
        .put(step, next.to_string());
    match store.commit(batch).await {
        Ok(()) => Ok(true),
        Err(Error::Conflict) => Ok(false),
        Err(other) => Err(other),
    }
}

async fn changes_are_told(store: Arc<dyn StateStore>) {
    store.commit(Batch::new().put("before", "1")).await.unwrap();
    let mut changes = store.changes();
    store
        .commit(Batch::new().put("a", "1").delete("before"))
        .await
        .unwrap();
    let refused = store
        .commit(Batch::new().expect("a", None).put("unseen", "1"))
        .await;
    assert!(matches!(refused, Err(Error::Conflict)));
    store.commit(Batch::new().put("b", "1")).await.unwrap();
    assert_eq!(
        changes.next().await,
        Some(StoreChange::Keys(vec!["a".into(), "before".into()]))
    );
    assert_eq!(
        changes.next().await,
        Some(StoreChange::Keys(vec!["b".into()]))
    );
    store.close().await.unwrap();
    assert_eq!(changes.next().await, None);
}

async fn a_closed_store_is_read_only(store: Arc<dyn StateStore>) {
    let pending: Vec<_> = (0..20)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(Batch::new().put(format!("{n}"), "1")).await })
        })
        .collect();
    store.close().await.unwrap();
    for task in pending {
        assert!(matches!(task.await.unwrap(), Ok(()) | Err(Error::ReadOnly)));
    }
    assert!(matches!(store.get("0").await, Err(Error::ReadOnly)));
    assert!(matches!(store.scan("", "", 1).await, Err(Error::ReadOnly)));
    assert!(matches!(
        store.commit(Batch::new().put("a", "1")).await,
        Err(Error::ReadOnly)
    ));
    assert!(matches!(store.close().await, Err(Error::ReadOnly)));
    assert_eq!(store.changes().next().await, None);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nest {
    eggs: u32,
    colour: String,
}

impl Record for Nest {
    const VERSION: u32 = 2;

    fn migrate(version: u32, mut fields: Value) -> Result<Value> {
        assert_eq!(version, 1);
        fields["colour"] = json!("brown");
        Ok(fields)
    }
}

async fn tables_keep_typed_records(store: Arc<dyn StateStore>) {
    let table = Table::<Nest>::new(Arc::clone(&store), "nest/");
    let nest = |eggs| Nest {
        eggs,
        colour: "blue".into(),
    };
    store
        .commit(Batch::new().put("nest", "not ours").put("nesu", "not ours"))
        .await
        .unwrap();
    assert_eq!(table.all().await.unwrap(), []);
    table.put("b", &nest(2)).await.unwrap();
    assert_eq!(
        store.get("nest/b").await.unwrap().as_deref(),
        Some(r#"{"v":2,"eggs":2,"colour":"blue"}"#)
    );
    let (read, text) = table.get_exact("b").await.unwrap().unwrap();
    assert_eq!(read, nest(2));
    let batch = table
        .put_in(table.unchanged_in(Batch::new(), "b", text), "b", &nest(3))
        .unwrap();
    store.commit(batch.clone()).await.unwrap();
    assert!(matches!(store.commit(batch).await, Err(Error::Conflict)));
    assert!(matches!(
        store.commit(table.absent_in(Batch::new(), "b")).await,
        Err(Error::Conflict)
    ));
    store
        .commit(Batch::new().put("nest/a", r#"{"v":1,"eggs":9}"#))
        .await
        .unwrap();
    let brown = Nest {
        eggs: 9,
        colour: "brown".into(),
    };
    assert_eq!(
        table.all().await.unwrap(),
        [("a".to_owned(), brown), ("b".to_owned(), nest(3))]
    );
    table.delete("b").await.unwrap();
    assert_eq!(table.get("b").await.unwrap(), None);
    for (text, reason) in [
        (r#"{"v":3,"eggs":1,"colour":""}"#, "newer Sarang"),
        (r#"{"eggs":1,"colour":""}"#, "no version"),
        (r#"{"v":2,"eggs":-1,"colour":""}"#, "cannot be read"),
        ("{", "cannot be read"),
    ] {
        store
            .commit(Batch::new().put("nest/c", text))
            .await
            .unwrap();
        match table.get("c").await {
            Err(Error::Corrupt(sentence)) => assert!(sentence.contains(reason), "{sentence}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let many = (0..2500)
        .map(|n| (format!("m{n:04}"), nest(n)))
        .collect::<Vec<_>>();
    for chunk in many.chunks(500) {
        let batch = chunk.iter().try_fold(Batch::new(), |batch, (id, nest)| {
            table.put_in(batch, id, nest)
        });
        store.commit(batch.unwrap()).await.unwrap();
    }
    assert_eq!(table.with_prefix("m").await.unwrap(), many);
}
