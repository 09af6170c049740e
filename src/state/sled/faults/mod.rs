//! Killed processes, power cuts, full disks, failing disks. The test binary starts itself as the process that suffers:
//! it prints an acknowledgement after each commit, and whatever was read of those must be there afterwards. Half of the
//! batches are committed lazily: a power cut may take the last of them, never one before a durable one, and none in part.
//! What needs root, loop mounts or strace says so and passes when it cannot run. `SARANG_POWER_CUTS=200` for the long run.

mod cost;
mod mount;
mod sufferer;

use super::*;
use mount::{TestMount, runs};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sufferer::{CrashProcess, open_patiently, verify};

const COMMITTERS: usize = 4;

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Between 20 and 150 ms, different each time.
fn some_time() -> Duration {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    Duration::from_millis(20 + u64::from(nanos / 1000 % 130))
}

#[test]
fn kill_9_loses_nothing() {
    kill_often("");
    kill_often("roomy");
}

fn kill_often(mode: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut acks = HashMap::new();
    for round in 0..rounds("SARANG_KILLS", 20) {
        let sufferer = CrashProcess::start(dir.path(), mode, &[]);
        sufferer.wait_until(|said| said.count() > 0);
        std::thread::sleep(some_time());
        acks.extend(sufferer.kill().seen);
        verify(dir.path(), &acks).unwrap_or_else(|fault| panic!("round {round}: {fault}"));
    }
    println!(
        "kill -9: {} acknowledged commits survived",
        acks.values().sum::<usize>()
    );
}

fn rounds(variable: &str, usual: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual)
}

/// Cuts the power in the middle of commits, again and again; the rounds that went well, and the first fault.
fn cut_power_often(mount: &TestMount, mode: &str, rounds: usize) -> (usize, Option<String>) {
    let dir = mount.path().join("state");
    let mut acks = HashMap::new();
    for round in 0..rounds {
        let sufferer = CrashProcess::start(&dir, mode, &[]);
        sufferer.wait_until(|said| said.count() > 0);
        std::thread::sleep(some_time());
        let binding = sufferer.said();
        assert!(mount.cut_power(), "the power could not be cut");
        sufferer.kill();
        assert!(
            mount.unmount() && mount.mount(),
            "the file system did not come back"
        );
        acks.extend(binding.acks);
        if let Err(fault) = verify(&dir, &acks) {
            return (round, Some(fault));
        }
    }
    println!(
        "{rounds} power cuts: {} acknowledged commits survived",
        acks.values().sum::<usize>()
    );
    (rounds, None)
}

fn power_cuts_lose_nothing(kind: &str) {
    let Some(mount) = mount_to_cut(kind) else {
        return;
    };
    let rounds = rounds("SARANG_POWER_CUTS", 5);
    assert_eq!(
        cut_power_often(&mount, "", rounds),
        (rounds, None),
        "{kind}"
    );
}

fn mount_to_cut(kind: &str) -> Option<TestMount> {
    if !runs(Command::new("xfs_io").arg("-V")) {
        println!("skipped: no xfs_io");
        return None;
    }
    TestMount::new(kind, 320)
}

#[test]
fn power_cuts_on_ext4_lose_nothing() {
    power_cuts_lose_nothing("ext4");
}

#[test]
fn power_cuts_on_xfs_lose_nothing() {
    power_cuts_lose_nothing("xfs");
}

#[test]
fn the_power_cut_test_would_notice_a_missing_fsync() {
    let Some(mount) = mount_to_cut("ext4") else {
        return;
    };
    let (round, fault) = cut_power_often(&mount, "unsynced", 30);
    println!("without fsync, round {round}: {fault:?}");
    assert!(
        fault.is_some(),
        "30 power cuts without fsync went unnoticed"
    );
}

/// Fill, kill, start on the full disk, free: with the limit respected, and with sled itself running into the wall.
fn a_full_disk_costs_nothing(kind: &str, mode: &str) {
    let Some(mount) = TestMount::new(kind, 48) else {
        return;
    };
    let dir = mount.path().join("state");
    let mut acks = HashMap::new();
    for round in 0..3 {
        let sufferer = CrashProcess::start(&dir, mode, &[]);
        sufferer.wait_until(|said| said.count() > 0);
        let filler = mount.fill();
        if mode == "headlong" {
            // sled may well go on for ever in the space it has; else it fails
            std::thread::sleep(Duration::from_millis(300));
        } else {
            sufferer.wait_until(|said| said.full);
        }
        acks.extend(sufferer.kill().seen);
        for _ in 0..2 {
            verify(&dir, &acks)
                .unwrap_or_else(|fault| panic!("{kind} {mode} {round}, while full: {fault}"));
        }
        let store = open_patiently(&dir, "").unwrap();
        assert!(matches!(
            run(store.commit(Batch::new().put("x", "1"))),
            Err(Error::NoSpace)
        ));
        assert!(matches!(store.export_daily(), Err(Error::NoSpace)));
        fs::remove_file(filler).unwrap();
        run(store.commit(Batch::new().put("x", round.to_string()))).unwrap();
        drop(store);
        verify(&dir, &acks)
            .unwrap_or_else(|fault| panic!("{kind} {mode} {round}, with room again: {fault}"));
        assert!(
            dir.join("ballast").exists(),
            "the reserve was not set aside again"
        );
    }
}

#[test]
fn a_full_tmpfs_costs_nothing() {
    a_full_disk_costs_nothing("tmpfs", "");
    a_full_disk_costs_nothing("tmpfs", "headlong");
}

#[test]
fn a_full_ext4_costs_nothing() {
    a_full_disk_costs_nothing("ext4", "");
    a_full_disk_costs_nothing("ext4", "headlong");
}

/// Another program takes all space between the look at the free space and a checkpoint.
fn a_checkpoint_survives_a_disk_filled_at_once(kind: &str) {
    let Some(mount) = TestMount::new(kind, 320) else {
        return;
    };
    let dir = mount.path().join("state");
    let settings = sufferer::settings("");
    disk::create_durably(&dir).unwrap();
    let opened = recovery::open(&dir, settings).unwrap();
    let mut base = SledBase::new(opened.db, disk::SledFiles::open(&dir, settings).unwrap());
    for round in 0..20 {
        let records: RecordMap = (0..40)
            .map(|n| (format!("k{n}"), format!("{round} {}", "é".repeat(150))))
            .collect();
        let keys = records.keys().cloned().collect();
        // ext4 gives the blocks of a deleted file back with its next transaction.
        let until = Instant::now() + Duration::from_secs(10);
        while !base.has_room() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(base.has_room());
        let filler = mount.fill_at_once();
        assert!(!base.has_room());
        base.write_records(&keys, &RwLock::new(Some(records)))
            .unwrap_or_else(|error| panic!("{kind} {round}: {error}"));
        fs::remove_file(filler).unwrap();
    }
    base.close().unwrap();
}

#[test]
fn a_disk_filled_at_once_costs_nothing() {
    a_checkpoint_survives_a_disk_filled_at_once("tmpfs");
    a_checkpoint_survives_a_disk_filled_at_once("ext4");
}

#[test]
fn a_failing_disk_makes_the_store_read_only() {
    if !runs(Command::new("strace").arg("-V")) {
        println!("skipped: no strace");
        return;
    }
    for fault in [
        "fdatasync:error=EIO:when=20",
        "fdatasync:error=EIO:when=21",
        "sync_file_range:error=EIO:when=4",
        "sync_file_range:error=EIO:when=5",
        "pwrite64:error=EIO:when=40",
        "pwrite64:error=EIO:when=41",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let inject = format!("inject={fault}");
        let call = format!("trace={}", fault.split(':').next().unwrap());
        let wrapper = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-o",
            "/dev/null",
            "-e",
            &call,
            "-e",
            &inject,
        ];
        let sufferer = CrashProcess::start(dir.path(), "", &wrapper);
        sufferer.wait_until(|said| said.failures.len() == COMMITTERS);
        let said = sufferer.said();
        for failure in &said.failures {
            assert_eq!(
                failure, "failed ReadOnly ReadOnly reads true writable false",
                "{fault}"
            );
        }
        drop(sufferer);
        verify(dir.path(), &said.acks).unwrap();
    }
}

/// Every few records there is a checkpoint, so that counting up goes through each of its steps more than once.
#[test]
fn a_crash_at_any_step_of_a_checkpoint_loses_nothing() {
    if !runs(Command::new("strace").arg("-V")) {
        println!("skipped: no strace");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acks = HashMap::new();
    let mut checkpoints = 0;
    let last = rounds("SARANG_CRASHES", 30);
    for (call, last) in [
        ("pwrite64", last),
        ("fdatasync", last),
        ("sync_file_range", last / 3),
    ] {
        for n in 1..=last {
            let before = journal::number_of_generation(&journal_path(dir.path()));
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:signal=KILL:when={n}");
            // without --seccomp-bpf, with which strace 6.1 sends no signal
            let strace = [
                "strace",
                "-f",
                "-o",
                "/dev/null",
                "-e",
                &trace,
                "-e",
                &inject,
            ];
            let sufferer = CrashProcess::start(dir.path(), "", &strace);
            acks.extend(sufferer.end().seen);
            checkpoints += journal::number_of_generation(&journal_path(dir.path())) - before;
            verify(dir.path(), &acks).unwrap_or_else(|fault| panic!("{call} {n}: {fault}"));
        }
    }
    println!(
        "{} acknowledged commits survived, {checkpoints} checkpoints",
        acks.values().sum::<usize>()
    );
    assert!(
        checkpoints > last as u64,
        "too few checkpoints were made to have been interrupted"
    );
}
