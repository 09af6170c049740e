//! What single operations cost, in microseconds of CPU and of time: `cargo test --release --lib content::local::bench -- --ignored --nocapture`.

use super::{LocalSettings, LocalTree};
use crate::model::RelPath;
use crate::storage::contract::{commit, path};
use crate::storage::{InitialContent, SpaceRequest, Tree};
use bytes::Bytes;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 20_000;
const ENTRIES: u32 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "measures, asserts nothing worth a normal run"]
async fn single_operations() {
    let dir = tempfile::TempDir::new_in(".").unwrap();
    let tree = LocalTree::open(dir.path(), LocalSettings::RELAXED).unwrap();
    for folder in ["docs", "docs/many"] {
        tree.mkdir(&path(folder), commit()).await.unwrap();
    }
    let file = path("docs/file.txt");
    let other = path("docs/other.txt");
    let body = Bytes::from(vec![7; 4096]);
    let put = async |at: RelPath| {
        let mut upload = tree
            .begin_upload(&at, InitialContent::Empty, SpaceRequest::of(4096))
            .await
            .unwrap();
        upload.write(body.clone()).await.unwrap();
        upload.commit(commit()).await.unwrap();
    };
    measure("put 4K over", ROUNDS, async |_| put(file.clone()).await).await;
    measure("put 4K new", ENTRIES, async |n| {
        put(path(&format!("docs/many/file number {n}"))).await;
    })
    .await;
    measure("stat", ROUNDS, async |_| {
        assert!(!tree.stat(&file).await.unwrap().folder);
    })
    .await;
    measure("props", ROUNDS, async |_| {
        drop(tree.props(&file).await.unwrap());
    })
    .await;
    measure("open, read 4K", ROUNDS, async |_| {
        let reader = tree.open(&file).await.unwrap();
        assert_eq!(reader.read_at(0, 65_536).await.unwrap().len(), 4096);
    })
    .await;
    measure("rename there and back", ROUNDS / 2, async |_| {
        tree.rename(&file, &other, commit()).await.unwrap();
        tree.rename(&other, &file, commit()).await.unwrap();
    })
    .await;
    measure("put and delete", ROUNDS / 2, async |_| {
        put(other.clone()).await;
        tree.delete(&other, commit()).await.unwrap();
    })
    .await;
    for with_props in [false, true] {
        let name = format!("list {ENTRIES} entries, props {with_props}");
        measure(&name, 10, async |_| {
            let mut listing = tree.list(&path("docs/many"), with_props).await.unwrap();
            let mut count = 0;
            loop {
                let page = listing.next_page().await.unwrap();
                if page.is_empty() {
                    break;
                }
                count += page.len();
            }
            assert_eq!(count, ENTRIES as usize);
        })
        .await;
    }
}

async fn measure(name: &str, rounds: u32, operation: impl AsyncFn(u32)) {
    let cpu = cpu_time();
    let start = Instant::now();
    for round in 0..rounds {
        operation(round).await;
    }
    let per = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(rounds);
    println!(
        "{name:32} {:9.2} us CPU {:9.2} us",
        per(cpu_time().saturating_sub(cpu)),
        per(start.elapsed())
    );
}

/// CPU time of this process so far, from the scheduler's own count.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let spent = tasks.map(|task| {
        let text =
            std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or_default()
    });
    Duration::from_nanos(spent.sum())
}
