//! What the plan of a rewind costs.

use super::super::{LocalSettings, LocalTree};
use super::planner::HOPS;
use super::*;
use crate::storage::Tree;
use crate::storage::contract::{commit, path};
use crate::storage::history::{History, RewindSource};
use std::path::Path;

const MANY: usize = 3000;

fn open(dir: &Path) -> Arc<LocalTree> {
    LocalTree::open(dir, LocalSettings::RELAXED).unwrap()
}

/// The moment after which all that follows happens.
async fn now() -> SystemTime {
    let now = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    now
}

async fn all(rewind: &RewindPlan) -> Vec<RewindStep> {
    let mut all = Vec::new();
    let mut next = 0;
    loop {
        let (steps, end) = rewind.steps.read(next).await.unwrap();
        if steps.is_empty() {
            assert_eq!((all.len() as u64, end), (rewind.count, next));
            return all;
        }
        all.extend(steps);
        next = end;
    }
}

#[tokio::test]
async fn of_a_large_folder_only_what_has_changed_is_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..MANY {
        std::fs::write(dir.path().join(format!("{n}")), "x").unwrap();
    }
    let tree = open(dir.path());
    let moment = now().await;
    tree.delete(&path("7"), commit()).await.unwrap();
    tree.rename(&path("8"), &path("new"), commit())
        .await
        .unwrap();
    let rewind = tree
        .plan_rewind(&RelPath::root(), moment, &[])
        .await
        .unwrap();
    assert_eq!(all(&rewind).await.len(), 2);
    let mut then = PastTree::now(&tree.root);
    log_replay::replay_since(&tree.root, unix_nanos(moment), |event| then.undo(event)).unwrap();
    assert!(then.held() < 20, "{}", then.held());
}

#[tokio::test]
async fn many_renames_are_each_found_in_few_steps() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    tree.mkdir(&path("folder"), commit()).await.unwrap();
    for n in 0..MANY {
        std::fs::write(dir.path().join(format!("folder/{n}")), "x").unwrap();
    }
    let moment = now().await;
    for n in 0..MANY {
        let from = path(&format!("folder/{n}"));
        let to = path(&format!("folder/{}", MANY + n));
        tree.rename(&from, &to, commit()).await.unwrap();
    }
    tree.rename(&path("folder"), &path("other"), commit())
        .await
        .unwrap();
    let before = HOPS.load(std::sync::atomic::Ordering::Relaxed);
    let rewind = tree
        .plan_rewind(&RelPath::root(), moment, &[])
        .await
        .unwrap();
    let hops = HOPS.load(std::sync::atomic::Ordering::Relaxed) - before;
    let steps = all(&rewind).await;
    assert!(
        steps.len() == MANY + 1 && hops < 10 * MANY,
        "{} steps, {hops} hops",
        steps.len()
    );
    let back = |step: &RewindStep| {
        matches!(
            step,
            RewindStep::Move {
                from: RewindSource::Path(_),
                ..
            }
        )
    };
    assert!(steps.iter().all(back));
}

#[tokio::test]
async fn what_is_in_the_way_goes_and_what_it_holds_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    for folder in ["a", "a/b", "a/b/c"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    let moment = now().await;
    // What was within lies around it now, and something else has its name.
    tree.rename(&path("a/b"), &path("b"), commit())
        .await
        .unwrap();
    tree.rename(&path("a"), &path("b/c/a"), commit())
        .await
        .unwrap();
    tree.rename(&path("b"), &path("x"), commit()).await.unwrap();
    tree.mkdir(&path("a"), commit()).await.unwrap();
    tree.mkdir(&path("a/b"), commit()).await.unwrap();
    let rewind = tree
        .plan_rewind(&RelPath::root(), moment, &[])
        .await
        .unwrap();
    let steps = all(&rewind).await;
    assert_eq!((rewind.lost_count, rewind.lost.len()), (0, 0), "{steps:?}");
    let mut discarded = Vec::new();
    let root = &tree;
    for step in steps {
        match step {
            RewindStep::Discard { path } => {
                discarded.push(root.delete(&path, commit()).await.unwrap().id);
            }
            RewindStep::Move {
                from: RewindSource::Path(from),
                to,
            } => drop(root.rename(&from, &to, commit()).await.unwrap()),
            RewindStep::Move {
                from: RewindSource::Discarded { index, inner },
                to,
            } => {
                assert!(rewind.needed.contains(&index));
                root.restore_part(&discarded[index], &inner, &to, commit())
                    .await
                    .unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    let folders = |at: &str| {
        let entries = std::fs::read_dir(dir.path().join(at))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.filter_map(|name| name.into_string().ok()).collect();
        names.retain(|name| name != ".sarang");
        names.sort();
        names
    };
    assert_eq!(
        (folders(""), folders("a"), folders("a/b")),
        (vec!["a".into()], vec!["b".into()], vec!["c".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn one_too_many_is_told_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    let _all = PLANNING.acquire_many(2).await.unwrap();
    let began = tokio::time::Instant::now();
    let refused = tree
        .plan_rewind(&RelPath::root(), SystemTime::now(), &[])
        .await;
    assert!(matches!(refused, Err(Error::Busy { .. })));
    assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
}
