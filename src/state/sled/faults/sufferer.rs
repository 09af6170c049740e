//! The process that suffers, what it says, and what must be there after it.

use super::*;

const DIR: &str = "SARANG_TEST_STORE_DIR";
const MODE: &str = "SARANG_TEST_STORE_MODE";
/// How long the process may take: under strace, on a busy machine with a slow disk.
const PATIENCE: Duration = Duration::from_secs(90);

/// The journal of most is so short that checkpoints come all the time.
pub(super) fn settings(mode: &str) -> Settings {
    let min_free = if mode == "headlong" { 0 } else { 4 << 20 };
    let journal = if mode == "roomy" { JOURNAL } else { 14 << 10 };
    Settings {
        min_free,
        ballast: 2 << 20,
        journal,
        fsync: mode != "unsynced",
        ..Settings::default()
    }
}

/// The `n`th batch of a committer: changes some of its keys, always the same way; every other one a single key, as
/// locking and unlocking do.
fn batch(who: usize, n: usize) -> Batch {
    let key = |k: usize| format!("c{who}/k{:02}", k % 50);
    let seq = format!("c{who}/seq");
    let one = format!("c{who}/one");
    let batch = Batch::new().put(&seq, n.to_string());
    let long = "é".repeat((n * 37) % 300);
    match n % 4 {
        1 => batch,
        2 => batch
            .put(one, n.to_string())
            .put(key(n * 7), format!("{n} {long}")),
        3 => Batch::new().delete(one),
        _ if n.is_multiple_of(8) => batch.put(key(n * 7), long).delete(key(n * 7 + 14)),
        _ => batch
            .put(key(n * 7), long)
            .put(key(n * 7 + 14), n.to_string()),
    }
}

/// Whether a batch is committed lazily: two of four, one right after the other.
const fn is_lazy(n: usize) -> bool {
    matches!(n % 4, 3 | 0)
}

/// The records of a committer after its first `n` batches.
fn replay(who: usize, n: usize) -> RecordMap {
    let mut records = RecordMap::new();
    for batch in (1..=n).map(|n| batch(who, n)) {
        records.extend(batch.put);
        batch
            .delete
            .iter()
            .for_each(|key| drop(records.remove(key)));
    }
    records
}

/// The process that suffers: not a test, but started by name from the tests below.
#[test]
#[ignore = "started by other tests"]
fn committing_process() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mode = std::env::var(MODE).unwrap();
    let store = open_patiently(Path::new(&dir), &mode).unwrap_or_else(|error| {
        println!("\nfailed to open: {error}");
        panic!("{error}");
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let committers: Vec<_> = (0..COMMITTERS)
        .map(|who| runtime.spawn(commit_on_and_on(Arc::clone(&store), who)))
        .collect();
    for committer in committers {
        runtime.block_on(committer).unwrap();
    }
}

/// How many batches of a committer are there; `Err` when the last is there only in part.
async fn progress(store: &SledStore, who: usize) -> Result<usize, usize> {
    let found = store
        .scan(&format!("c{who}/"), "", usize::MAX)
        .await
        .unwrap()
        .into_iter()
        .collect::<RecordMap>();
    let n = found
        .get(&format!("c{who}/seq"))
        .map_or(0, |n| n.parse().unwrap());
    // a batch that only deletes leaves no number
    [n + 1, n]
        .into_iter()
        .find(|n| found == replay(who, *n))
        .ok_or(n)
}

async fn commit_on_and_on(store: Arc<SledStore>, who: usize) {
    let mut n = progress(&store, who).await.unwrap();
    loop {
        let next = batch(who, n + 1);
        let committed = if is_lazy(n + 1) {
            store.commit_lazily(next).await
        } else {
            store.commit(next).await
        };
        match committed {
            Ok(()) => {
                n += 1;
                println!("\n{} {who} {n}", if is_lazy(n) { "seen" } else { "ack" });
            }
            Err(Error::NoSpace) => {
                println!("\nfull");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => {
                // reads go on with exactly what was acknowledged
                let seen = progress(&store, who).await;
                let again = store.commit(batch(who, n + 1)).await;
                let again = again.unwrap_err();
                let reads = seen == Ok(n);
                let writable = store.is_writable();
                println!("\nfailed {error:?} {again:?} reads {reads} writable {writable}");
                return;
            }
        }
    }
}

/// Opens a store whose lock may outlive its owner by a moment: a test beside this one starts a process just now, and
/// until that has become another program it holds whatever this one had open.
pub(super) fn open_patiently(dir: &Path, mode: &str) -> crate::model::Result<Arc<SledStore>> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match SledStore::open_with(dir, settings(mode)) {
            Err(Error::Io { source, .. })
                if source.kind() == std::io::ErrorKind::ResourceBusy
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// A committing process and what it has said so far.
pub(super) struct CrashProcess {
    process: Child,
    said: Arc<Mutex<CrashOutput>>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Clone, Default, Debug)]
pub(super) struct CrashOutput {
    /// What must outlive a power cut: for each committer its last batch.
    pub(super) acks: HashMap<usize, usize>,
    /// What must outlive a crash of the program.
    pub(super) seen: HashMap<usize, usize>,
    pub(super) full: bool,
    pub(super) failures: Vec<String>,
}

impl CrashProcess {
    pub(super) fn start(dir: &Path, mode: &str, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut words = wrapper
            .iter()
            .map(AsRef::as_ref)
            .chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args([
            "--exact",
            "state::sled::faults::sufferer::committing_process",
            "--ignored",
            "--nocapture",
        ]);
        command
            .env(DIR, dir)
            .env(MODE, mode)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(CrashOutput::default()));
        let heard = Arc::clone(&said);
        let listener = std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| heard.lock().hear(&line));
        });
        Self {
            process,
            said,
            listener: Some(listener),
        }
    }

    pub(super) fn wait_until(&self, what: impl Fn(&CrashOutput) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !what(&self.said.lock()) {
            assert!(
                Instant::now() < deadline,
                "the process said only {:?}",
                self.said.lock()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(super) fn said(&self) -> CrashOutput {
        self.said.lock().clone()
    }

    /// Kills the process (SIGKILL) and returns all it had said.
    pub(super) fn kill(mut self) -> CrashOutput {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        self.said()
    }
}

impl CrashProcess {
    /// Waits for the process to end by itself and returns all it had said.
    pub(super) fn end(mut self) -> CrashOutput {
        let deadline = Instant::now() + PATIENCE;
        while self.process.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < deadline,
                "the process lives on; it said {:?}",
                self.said.lock()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        self.listener.take().unwrap().join().unwrap();
        self.said()
    }
}

impl Drop for CrashProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl CrashOutput {
    fn hear(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            [what @ ("ack" | "seen"), who, n] => {
                let who = who.parse().unwrap();
                let n = n.parse().unwrap();
                self.seen.insert(who, n);
                if what == "ack" {
                    self.acks.insert(who, n);
                }
            }
            ["full"] => self.full = true,
            ["failed", ..] => self.failures.push(line.to_owned()),
            _ => {}
        }
    }

    pub(super) fn count(&self) -> usize {
        self.acks.values().sum()
    }
}

/// Opens the store as a restarted server would; what is missing of the acknowledged, or there only in part.
pub(super) fn verify(dir: &Path, acks: &HashMap<usize, usize>) -> Result<(), String> {
    let store = open_patiently(dir, "").map_err(|e| format!("does not open: {e}"))?;
    let mut faults = String::new();
    for who in 0..COMMITTERS {
        let acked = acks.get(&who).copied().unwrap_or(0);
        let _ = match run(progress(&store, who)) {
            Ok(n) if n >= acked => Ok(()),
            Ok(n) => write!(faults, "committer {who}: {acked} acknowledged, {n} found; "),
            Err(n) => write!(faults, "committer {who}: its {n} batches are not whole; "),
        };
    }
    run(store.close()).map_err(|e| format!("does not close: {e}"))?;
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}
