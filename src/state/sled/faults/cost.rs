//! What a commit costs.

use super::*;

/// Prints what a commit costs; run in release with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_commit() {
    const COMMITS: u32 = 4000;
    for committers in [1, 8] {
        let dir = tempfile::tempdir().unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        for n in 0..2000 {
            runtime
                .block_on(store.commit(Batch::new().put(format!("share/{n:06}"), "x".repeat(200))))
                .unwrap();
        }
        let started = Instant::now();
        let cpu = cpu_time();
        let tasks: Vec<_> = (0..committers)
            .map(|who| {
                let store = Arc::clone(&store);
                runtime.spawn(async move {
                    for n in 0..COMMITS / 2 {
                        let key = format!("lock/{who}/{n}");
                        store
                            .commit(Batch::new().expect(&key, None).put(&key, "x".repeat(250)))
                            .await
                            .unwrap();
                        store.commit(Batch::new().delete(&key)).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        let commits = f64::from(COMMITS * committers);
        let wall = started.elapsed().as_secs_f64();
        let cpu = cpu_time().saturating_sub(cpu).as_secs_f64();
        let size = fs::metadata(dir.path().join("db/db")).unwrap().len() >> 10;
        let cpu_us = cpu / commits * 1e6;
        let wall_us = wall / commits * 1e6;
        println!(
            "{committers} committers: {cpu_us:.1} us CPU, {wall_us:.1} us wall per commit; log {size} KiB"
        );
    }
}

/// CPU time of all threads of this process, the kernel's part included.
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|thread| thread.unwrap().path());
    let nanos = threads.map(|thread| {
        let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|nanos| nanos.parse::<u64>().ok())
            .unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}
