//! Killed processes, power cuts, full disks, failing disks. The test binary starts itself as the process that suffers:
//! it prints an acknowledgement after each commit, and whatever was read of those must be there afterwards.
//! What needs root, loop mounts or strace says so and passes when it cannot run. `SARANG_POWER_CUTS=200` for the long run.

use super::*;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const COMMITTERS: usize = 4;
const DIR: &str = "SARANG_TEST_STORE_DIR";
const MODE: &str = "SARANG_TEST_STORE_MODE";

fn settings(mode: &str) -> Settings {
    let min_free = if mode == "headlong" { 0 } else { 4 << 20 };
    Settings { min_free, ballast: 2 << 20, fsync: mode != "unsynced" }
}

/// The `n`th batch of a committer: changes a few of its keys, always the same way.
fn batch(who: usize, n: usize) -> Batch {
    let key = |k: usize| format!("c{who}/k{:02}", k % 50);
    let long = "é".repeat((n * 37) % 300);
    let batch = Batch::new().put(format!("c{who}/seq"), n.to_string()).put(key(n * 7), format!("{n} {long}"));
    if n.is_multiple_of(8) { batch.delete(key(n * 7 + 13)) } else { batch.put(key(n * 7 + 13), n.to_string()) }
}

/// The records of a committer after its first `n` batches.
fn replay(who: usize, n: usize) -> Records {
    let mut records = Records::new();
    for batch in (1..=n).map(|n| batch(who, n)) {
        records.extend(batch.put);
        batch.delete.iter().for_each(|key| drop(records.remove(key)));
    }
    records
}

/// The process that suffers: not a test, but started by name from the tests below.
#[test]
#[ignore = "started by other tests"]
fn committing_process() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mode = std::env::var(MODE).unwrap();
    let store = SledStore::open_with(Path::new(&dir), settings(&mode)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let committers: Vec<_> =
        (0..COMMITTERS).map(|who| runtime.spawn(commit_on_and_on(Arc::clone(&store), who))).collect();
    for committer in committers {
        runtime.block_on(committer).unwrap();
    }
}

async fn commit_on_and_on(store: Arc<SledStore>, who: usize) {
    let key = format!("c{who}/seq");
    let mut n = store.get(&key).await.unwrap().map_or(0, |n| n.parse().unwrap());
    loop {
        match store.commit(batch(who, n + 1)).await {
            Ok(()) => {
                n += 1;
                println!("\nack {who} {n}");
            }
            Err(Error::NoSpace) => {
                println!("\nfull");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => {
                // reads go on with exactly what was acknowledged
                let seen = store.get(&key).await.unwrap().map_or(0, |n| n.parse().unwrap());
                let again = store.commit(batch(who, n + 1)).await;
                let (again, reads, writable) = (again.unwrap_err(), seen == n, store.is_writable());
                println!("\nfailed {error:?} {again:?} reads {reads} writable {writable}");
                return;
            }
        }
    }
}

/// A committing process and what it has said so far.
struct Sufferer {
    process: Child,
    said: Arc<Mutex<Said>>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Clone, Default, Debug)]
struct Said {
    acks: HashMap<usize, usize>,
    full: bool,
    failures: Vec<String>,
}

impl Sufferer {
    fn start(dir: &Path, mode: &str, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut words = wrapper.iter().map(AsRef::as_ref).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["--exact", "store::sled::faults::committing_process", "--ignored", "--nocapture"]);
        command.env(DIR, dir).env(MODE, mode).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Said::default()));
        let heard = Arc::clone(&said);
        let listener =
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| heard.lock().hear(&line)));
        Self { process, said, listener: Some(listener) }
    }

    fn wait_until(&self, what: impl Fn(&Said) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !what(&self.said.lock()) {
            assert!(Instant::now() < deadline, "the process said only {:?}", self.said.lock());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn said(&self) -> Said {
        self.said.lock().clone()
    }

    /// Kills the process (SIGKILL) and returns all it had said.
    fn kill(mut self) -> Said {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        self.said()
    }
}

impl Drop for Sufferer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Said {
    fn hear(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["ack", who, n] => drop(self.acks.insert(who.parse().unwrap(), n.parse().unwrap())),
            ["full"] => self.full = true,
            ["failed", ..] => self.failures.push(line.to_owned()),
            _ => {}
        }
    }

    fn count(&self) -> usize {
        self.acks.values().sum()
    }
}

/// Opens the store as a restarted server would; what is missing of the acknowledged, or there only in part.
fn verify(dir: &Path, acks: &HashMap<usize, usize>) -> Result<(), String> {
    let store = SledStore::open_with(dir, settings("")).map_err(|e| format!("does not open: {e}"))?;
    let mut faults = String::new();
    for who in 0..COMMITTERS {
        let acked = acks.get(&who).copied().unwrap_or(0);
        let found: Records = run(store.scan(&format!("c{who}/"), "", usize::MAX)).unwrap().into_iter().collect();
        let n = found.get(&format!("c{who}/seq")).map_or(0, |n| n.parse().unwrap());
        if n < acked {
            let _ = write!(faults, "committer {who}: {acked} acknowledged, {n} found; ");
        } else if found != replay(who, n) {
            let _ = write!(faults, "committer {who}: its {n} batches are not whole; ");
        }
    }
    run(store.close()).map_err(|e| format!("does not close: {e}"))?;
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Between 20 and 150 ms, different each time.
fn some_time() -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    Duration::from_millis(20 + u64::from(nanos / 1000 % 130))
}

#[test]
fn kill_9_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut acks = HashMap::new();
    for round in 0..rounds("SARANG_KILLS", 20) {
        let sufferer = Sufferer::start(dir.path(), "", &[]);
        sufferer.wait_until(|said| said.count() > 0);
        std::thread::sleep(some_time());
        acks.extend(sufferer.kill().acks);
        verify(dir.path(), &acks).unwrap_or_else(|fault| panic!("round {round}: {fault}"));
    }
    println!("kill -9: {} acknowledged commits survived", acks.values().sum::<usize>());
}

fn rounds(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// A file system of its own, mounted while this lives.
struct Mount {
    folder: tempfile::TempDir,
    options: Vec<String>,
}

impl Mount {
    /// `None`, with the reason printed, where this cannot be done.
    fn new(kind: &str, megabytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("m")).unwrap();
        let options = if kind == "tmpfs" {
            vec!["-t".into(), "tmpfs".into(), "-o".into(), format!("size={megabytes}m"), "tmpfs".into()]
        } else {
            let image = folder.path().join("image");
            fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
            if !runs(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image)) {
                println!("skipped: no mkfs.{kind}");
                return None;
            }
            vec!["-o".into(), "loop".into(), image.to_str().unwrap().into()]
        };
        let mount = Self { folder, options };
        if !mount.mount() {
            println!("skipped: {kind} cannot be mounted here (needs root and loop devices)");
            return None;
        }
        Some(mount)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("m")
    }

    fn mount(&self) -> bool {
        runs(Command::new("mount").args(&self.options).arg(self.path()))
    }

    fn unmount(&self) -> bool {
        (0..100).any(|_| {
            let done = runs(Command::new("umount").arg(self.path()));
            if !done {
                std::thread::sleep(Duration::from_millis(20));
            }
            done
        })
    }

    /// Ends the file system at once: what it has not journaled is gone.
    fn cut_power(&self) -> bool {
        runs(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(self.path()))
    }

    /// Takes all space; the file to delete to have it back.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096] {
            let piece = vec![1; size];
            while filler.write_all(&piece).and_then(|()| filler.sync_data()).is_ok() {}
        }
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !self.unmount() {
            runs(Command::new("umount").arg("-l").arg(self.path()));
        }
    }
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Cuts the power in the middle of commits, again and again; the rounds that went well, and the first fault.
fn cut_power_often(mount: &Mount, mode: &str, rounds: usize) -> (usize, Option<String>) {
    let dir = mount.path().join("state");
    let mut acks = HashMap::new();
    for round in 0..rounds {
        let sufferer = Sufferer::start(&dir, mode, &[]);
        sufferer.wait_until(|said| said.count() > 0);
        std::thread::sleep(some_time());
        let binding = sufferer.said();
        assert!(mount.cut_power(), "the power could not be cut");
        sufferer.kill();
        assert!(mount.unmount() && mount.mount(), "the file system did not come back");
        acks.extend(binding.acks);
        if let Err(fault) = verify(&dir, &acks) {
            return (round, Some(fault));
        }
    }
    println!("{rounds} power cuts: {} acknowledged commits survived", acks.values().sum::<usize>());
    (rounds, None)
}

fn power_cuts_lose_nothing(kind: &str) {
    let Some(mount) = mount_to_cut(kind) else { return };
    let rounds = rounds("SARANG_POWER_CUTS", 5);
    assert_eq!(cut_power_often(&mount, "", rounds), (rounds, None), "{kind}");
}

fn mount_to_cut(kind: &str) -> Option<Mount> {
    if !runs(Command::new("xfs_io").arg("-V")) {
        println!("skipped: no xfs_io");
        return None;
    }
    Mount::new(kind, 320)
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
    let Some(mount) = mount_to_cut("ext4") else { return };
    let (round, fault) = cut_power_often(&mount, "unsynced", 30);
    println!("without fsync, round {round}: {fault:?}");
    assert!(fault.is_some(), "30 power cuts without fsync went unnoticed");
}

/// Fill, kill, start on the full disk, free: with the limit respected, and with sled itself running into the wall.
fn a_full_disk_costs_nothing(kind: &str, mode: &str) {
    let Some(mount) = Mount::new(kind, 48) else { return };
    let dir = mount.path().join("state");
    let mut acks = HashMap::new();
    for round in 0..3 {
        let sufferer = Sufferer::start(&dir, mode, &[]);
        sufferer.wait_until(|said| said.count() > 0);
        let filler = mount.fill();
        if mode == "headlong" {
            // sled may well go on for ever in the space it has; else it fails
            std::thread::sleep(Duration::from_millis(300));
        } else {
            sufferer.wait_until(|said| said.full);
        }
        acks.extend(sufferer.kill().acks);
        for _ in 0..2 {
            verify(&dir, &acks).unwrap_or_else(|fault| panic!("{kind} {mode} {round}, while full: {fault}"));
        }
        let store = SledStore::open_with(&dir, settings("")).unwrap();
        assert!(matches!(run(store.commit(Batch::new().put("x", "1"))), Err(Error::NoSpace)));
        assert!(matches!(store.export_daily(), Err(Error::NoSpace)));
        fs::remove_file(filler).unwrap();
        run(store.commit(Batch::new().put("x", round.to_string()))).unwrap();
        drop(store);
        verify(&dir, &acks).unwrap_or_else(|fault| panic!("{kind} {mode} {round}, with room again: {fault}"));
        assert!(dir.join("ballast").exists(), "the reserve was not set aside again");
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

#[test]
fn a_failing_disk_makes_the_store_read_only() {
    if !runs(Command::new("strace").arg("-V")) {
        println!("skipped: no strace");
        return;
    }
    for fault in [
        "fdatasync:error=EIO:when=20",
        "sync_file_range:error=EIO:when=40",
        "sync_file_range:error=EIO:when=41",
        "pwrite64:error=EIO:when=60",
        "pwrite64:error=EIO:when=61",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let inject = format!("inject={fault}");
        let call = format!("trace={}", fault.split(':').next().unwrap());
        let wrapper = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &call, "-e", &inject];
        let sufferer = Sufferer::start(dir.path(), "", &wrapper);
        sufferer.wait_until(|said| said.failures.len() == COMMITTERS);
        let said = sufferer.said();
        for failure in &said.failures {
            assert_eq!(failure, "failed ReadOnly ReadOnly reads true writable false", "{fault}");
        }
        drop(sufferer);
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(fault) = verify(dir.path(), &said.acks) {
            assert!(fault.contains("in use") && Instant::now() < deadline, "{fault}");
        }
    }
}

/// Prints what a commit costs; run in release with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_commit() {
    const COMMITS: u32 = 4000;
    for committers in [1, 8] {
        let dir = tempfile::tempdir().unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        for n in 0..2000 {
            runtime.block_on(store.commit(Batch::new().put(format!("share/{n:06}"), "x".repeat(200)))).unwrap();
        }
        let (started, cpu) = (Instant::now(), cpu_time());
        let tasks: Vec<_> = (0..committers)
            .map(|who| {
                let store = Arc::clone(&store);
                runtime.spawn(async move {
                    for n in 0..COMMITS / 2 {
                        let key = format!("lock/{who}/{n}");
                        store.commit(Batch::new().expect(&key, None).put(&key, "x".repeat(250))).await.unwrap();
                        store.commit(Batch::new().delete(&key)).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        let commits = f64::from(COMMITS * committers);
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_time().saturating_sub(cpu).as_secs_f64());
        let size = fs::metadata(dir.path().join("db/db")).unwrap().len() >> 10;
        let (cpu_us, wall_us) = (cpu / commits * 1e6, wall / commits * 1e6);
        println!("{committers} committers: {cpu_us:.1} us CPU, {wall_us:.1} us wall per commit; log {size} KiB");
    }
}

/// CPU time of all threads of this process, the kernel's part included.
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let nanos = threads.map(|thread| {
        let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}
