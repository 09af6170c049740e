//! Random sequences of all verbs by two accounts and the visitors of a link, against a model in memory: answers, trees, tags,
//! properties, locks, shares, links, room, trash and versions are as the model says. What a step named is compared after it,
//! everything after every ten. Requests go to the whole program, over a data folder.
//!
//! `SARANG_MODEL_CASES=n` runs so many sequences, `SARANG_MODEL_SEED=n` others. Seeds of sequences that failed are kept
//! in `tests/model/regressions.txt` and run first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "a test fails by panicking and reports by printing; a scenario is read from top to bottom"
)]

mod accounts;
mod archives;
mod barred;
mod beside;
mod compare;
mod compare_past;
mod files;
mod generate;
mod links;
mod locks;
mod operations;
mod past;
mod people;
mod records;
mod restored;
mod rewind;
mod run;
mod sequence;
mod server;
mod sharing;
mod transfers;
mod uploads;
#[path = "../suite/harness/url.rs"]
mod url;
mod world;

use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use run::Run;
use server::Server;
use std::cell::Cell;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Sequences of one run, where nothing else is said.
const CASES: u32 = 300;
const STEPS: usize = 50;
const REGRESSIONS: &str = "tests/model/regressions.txt";

#[test]
fn the_server_does_what_the_model_says() {
    let (cases, seed) = (
        setting("SARANG_MODEL_CASES", CASES),
        setting("SARANG_MODEL_SEED", 1_u64),
    );
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    println!("{cases} sequences of {STEPS} steps, seed {seed}, {workers} at once");
    let (began, over) = (Instant::now(), &AtomicBool::new(false));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let share = cases.div_ceil(u32::try_from(workers).unwrap());
        let work = |worker| scope.spawn(move || run(share, seed.wrapping_add(worker << 32), over));
        let running: Vec<_> = (0..workers as u64).map(work).collect();
        running
            .into_iter()
            .map(|worker| worker.join().expect("a worker"))
            .collect()
    });
    let steps: u64 = outcomes.iter().map(|(_, steps)| steps).sum();
    println!("{steps} steps in {:.1} s", began.elapsed().as_secs_f64());
    for (outcome, _) in outcomes {
        outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    }
}

/// Runs so many cases over a server of their own, until one fails in this or another worker; says how many steps those were.
fn run(cases: u32, seed: u64, over: &AtomicBool) -> (Result<(), String>, u64) {
    let (server, steps, failed) = (Server::open(), Cell::new(0), Cell::new(None));
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 20_000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&generate::steps(STEPS), |sequence| {
        if over.load(Ordering::Relaxed) && failed.get().is_none() {
            return Ok(());
        }
        steps.set(steps.get() + sequence.len() as u64);
        Run::new(&server).all(&sequence).map_err(|why| {
            over.store(true, Ordering::Relaxed);
            failed.set(failed.get().or(Some(steps.get())));
            TestCaseError::fail(why)
        })
    });
    let after = failed.get().unwrap_or_default();
    let failure = |failure| match failure {
        TestError::Fail(why, _) => {
            format!("it failed after {after} steps; what happened, as short as it can be: {why}")
        }
        TestError::Abort(why) => format!("given up: {why}"),
    };
    (
        outcome.map_err(failure),
        failed.get().unwrap_or(steps.get()),
    )
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
