//! Two registries on one store, as two nodes would have them.

use super::*;
use crate::state::memory::MemoryStore;
use crate::state::sled::SledStore;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Boat {
    trips: u32,
    harbour: String,
}

impl Record for Boat {
    const VERSION: u32 = 1;
}

/// How many boats lie in each harbour.
#[derive(Debug, Default)]
struct Harbours(HashMap<String, usize>);

impl RecordIndex<Boat> for Harbours {
    fn update(&mut self, _: &str, before: Option<&Arc<Boat>>, now: Option<&Arc<Boat>>) {
        if let Some(before) = before {
            *self.0.get_mut(&before.harbour).unwrap() -= 1;
        }
        if let Some(now) = now {
            *self.0.entry(now.harbour.clone()).or_default() += 1;
        }
    }
}

type Boats = Registry<Boat, Harbours>;

fn boat(harbour: &str) -> Boat {
    Boat {
        trips: 0,
        harbour: harbour.into(),
    }
}

async fn pair(store: &Arc<dyn StateStore>) -> [Arc<Boats>; 2] {
    [
        Boats::open(Arc::clone(store), "boat/").await.unwrap(),
        Boats::open(Arc::clone(store), "boat/").await.unwrap(),
    ]
}

fn in_harbour(boats: &Boats, harbour: &str) -> usize {
    let view = boats.view();
    view.index.0.get(harbour).copied().unwrap_or_default()
}

/// Waits until what another handle did is seen.
async fn until(holds: impl Fn() -> bool) {
    let seen = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .expect("what the other handle changed is seen");
}

/// Runs a test on each engine.
async fn on_each_engine<F: Future<Output = ()>>(test: impl Fn(Arc<dyn StateStore>) -> F) {
    test(MemoryStore::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    test(store.clone()).await;
    store.close().await.unwrap();
}

/// Runs `work` 40 times, by turns with either handle and all at once, and gives what came of each.
async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    pair: &[Arc<Boats>; 2],
    work: impl Fn(Arc<Boats>, usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..40)
        .map(|n| tokio::spawn(work(Arc::clone(&pair[n % 2]), n)))
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_of_either_handle_is_lost() {
    on_each_engine(async |store| {
        let both = pair(&store).await;
        both[0].insert("a", boat("north")).await.unwrap();
        let sail = |boats: Arc<Boats>, _| async move {
            for _ in 0..5 {
                let sail = |boat: &mut Boat| {
                    boat.trips += 1;
                    Ok(())
                };
                boats.change("a", sail).await.unwrap();
            }
        };
        race(&both, sail).await;
        until(|| {
            both.iter()
                .all(|boats| boats.get("a").unwrap().trips == 200)
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_insert_one_wins_and_the_others_see_its_record() {
    on_each_engine(async |store| {
        let both = pair(&store).await;
        let insert = |boats: Arc<Boats>, n: usize| async move {
            boats.insert("a", boat(&format!("harbour {n}"))).await
        };
        let mut won = Vec::new();
        for outcome in race(&both, insert).await {
            match outcome {
                Ok(boat) => won.push(boat),
                Err(Error::Exists) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won.len(), 1);
        for boats in &both {
            until(|| boats.get("a").as_ref() == Some(&won[0])).await;
            assert_eq!(boats.view().iter().count(), 1);
        }
    })
    .await;
}

/// Puts a boat where there are fewer than five.
async fn berth(boats: &Boats, id: &str) -> Result<()> {
    let plan = |boats: &Boats, present: Option<Boat>| {
        assert!(present.is_none());
        if in_harbour(boats, "north") >= 5 {
            return Err(Error::LimitReached("full"));
        }
        Ok(Edit::store(boat("north")).guarded())
    };
    boats.edit(id, Batch::new(), plan).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_over_several_records_holds_whoever_changes_them() {
    on_each_engine(async |store| {
        let both = pair(&store).await;
        let work = |boats: Arc<Boats>, n| async move { berth(&boats, &format!("{n}")).await };
        let outcomes = race(&both, work).await;
        let full = |outcome: &&Result<()>| matches!(outcome, Err(Error::LimitReached(_)));
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
        assert_eq!(outcomes.iter().filter(full).count(), 35);
        for boats in &both {
            until(|| in_harbour(boats, "north") == 5).await;
        }
        // Room that was made is found again.
        let ids = [both[0].view().iter().next().unwrap().0.to_owned()];
        both[0].remove(&ids[0], |_| Ok(())).await.unwrap();
        until(|| in_harbour(&both[1], "north") == 4).await;
        berth(&both[1], "late").await.unwrap();
    })
    .await;
}

/// More guarded changes than a guard names: who has missed them reads everything.
#[tokio::test]
async fn who_has_missed_many_guarded_changes_catches_up_before_it_judges() {
    let store: Arc<dyn StateStore> = MemoryStore::new();
    let [here, there] = pair(&store).await;
    for n in 0..40 {
        // Nothing yields here, so that the other has followed nothing yet.
        let plan = |_: &Boats, _| Ok(Edit::store(boat("south")).guarded());
        here.edit(&format!("{n}"), Batch::new(), plan)
            .await
            .unwrap();
    }
    assert_eq!(in_harbour(&there, "south"), 0);
    let looked = |boats: &Boats, _| match boats.view().len() {
        0 => Ok(Edit::store(boat("east")).guarded()),
        40 => Err(Error::LimitReached("seen")),
        other => panic!("{other}"),
    };
    let judged = there.edit("x", Batch::new(), looked).await;
    assert!(matches!(judged, Err(Error::LimitReached("seen"))));
}

#[tokio::test]
async fn what_one_handle_changes_the_other_sees() {
    on_each_engine(async |store| {
        let [here, there] = pair(&store).await;
        here.insert("a", boat("north")).await.unwrap();
        here.insert("b", boat("south")).await.unwrap();
        assert_eq!(here.get("a").as_deref(), Some(&boat("north")), "at once");
        until(|| there.view().len() == 2).await;
        let move_on = |boat: &mut Boat| {
            boat.harbour = "east".into();
            Ok(())
        };
        there.change("a", move_on).await.unwrap();
        assert_eq!(there.get("a").as_deref(), Some(&boat("east")), "at once");
        until(|| here.get("a").as_deref() == Some(&boat("east"))).await;
        here.remove("a", |_| Ok(())).await.unwrap();
        assert!(here.get("a").is_none(), "at once");
        until(|| there.get("a").is_none()).await;
        assert_eq!(
            (in_harbour(&there, "east"), in_harbour(&there, "south")),
            (0, 1)
        );
        assert_eq!(
            here.remove_all(|_, boat| boat.harbour == "south")
                .await
                .unwrap(),
            1
        );
        until(|| there.view().is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_removed_elsewhere_is_gone_at_the_first_try_to_change_it() {
    let store: Arc<dyn StateStore> = MemoryStore::new();
    let [here, there] = pair(&store).await;
    here.insert("a", boat("north")).await.unwrap();
    until(|| there.get("a").is_some()).await;
    here.remove("a", |_| Ok(())).await.unwrap();
    let changed = there.change("a", |_| Ok(())).await;
    assert!(matches!(changed, Err(Error::NotFound)));
    assert!(there.get("a").is_none());
}

/// The channel of the store in memory holds 16 changes.
#[tokio::test]
async fn who_falls_behind_reads_anew() {
    let store: Arc<dyn StateStore> = MemoryStore::new();
    let [here, there] = pair(&store).await;
    here.insert("gone", boat("north")).await.unwrap();
    until(|| there.get("gone").is_some()).await;
    store
        .commit(Batch::new().delete("boat/gone"))
        .await
        .unwrap();
    for n in 0..100 {
        let text = encode(&boat("south")).unwrap();
        let put = Batch::new().put(format!("boat/{n}"), text);
        store.commit(put).await.unwrap();
    }
    for boats in [&here, &there] {
        until(|| in_harbour(boats, "south") == 100 && boats.get("gone").is_none()).await;
    }
}

#[tokio::test]
async fn what_comes_along_holds_too_or_nothing_happens() {
    let store = MemoryStore::new();
    let boats = Boats::open(store.clone(), "boat/").await.unwrap();
    let plan = |_: &Boats, _| Ok(Edit::store(boat("north")));
    let unmet = Batch::new().expect("other", Some("x".into()));
    let refused = boats.edit("a", unmet, plan).await;
    assert!(matches!(refused, Err(Error::Conflict)));
    assert!(boats.view().is_empty() && store.get("boat/a").await.unwrap().is_none());
    let met = Batch::new().expect("other", None).put("other", "x");
    boats.edit("a", met, plan).await.unwrap();
    assert_eq!(store.get("other").await.unwrap().as_deref(), Some("x"));
    store.break_disk();
    boats
        .change("a", |_| Ok(()))
        .await
        .expect("it is as it was: nothing is written");
    assert!(matches!(
        boats.remove("a", |_| Ok(())).await,
        Err(Error::ReadOnly)
    ));
    assert!(boats.get("a").is_some());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_the_start_and_hides_nothing_later() {
    let store: Arc<dyn StateStore> = MemoryStore::new();
    let [here, _] = pair(&store).await;
    here.insert("a", boat("north")).await.unwrap();
    let damaged = Batch::new()
        .put("boat/a", "{")
        .put("boat/b", encode(&boat("south")).unwrap());
    store.commit(damaged).await.unwrap();
    until(|| here.get("b").is_some()).await;
    assert_eq!(here.get("a").as_deref(), Some(&boat("north")));
    assert!(matches!(
        Boats::open(store, "boat/").await,
        Err(Error::Corrupt(_))
    ));
}
