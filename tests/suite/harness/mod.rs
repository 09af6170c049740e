//! A server of its own for each test: temporary data folder, port 0, two accounts, ended gracefully on drop.

pub mod client;
pub mod matrix;
pub mod multistatus;
pub mod provider;
pub mod url;
pub mod wire;

pub use client::{Client, LOCK_BODY, NAME, propfind_body};
pub use url::url;
pub use wire::{Connection, Reply};

use parking_lot::Mutex;
use sarang::app::App;
use sarang::config::{Config, Durability, HashCost};
use sarang::control::{ApiCall, CallError, Client as ControlClient};
use sarang::model::{AccountName, Role};
use sarang::server::{Server, WorkerPool};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The password of every test account, with what `Basic` splitting and percent-encoding get wrong.
pub const PASSWORD: &str = "correct:horse %25 bättery";
/// How long a stopped server may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A running server over a temporary data folder, with the accounts `ana` and `ben`.
pub struct TestServer {
    running: Option<Running>,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    config: Config,
    data: Arc<TempDir>,
}

struct Running {
    runtime: Runtime,
    app: Arc<App>,
    cores: Arc<WorkerPool>,
    stop: oneshot::Sender<()>,
    ended: Mutex<mpsc::Receiver<Result<(), String>>>,
}

impl TestServer {
    /// Starts with the test defaults.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts with changed settings.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = Self::empty(change);
        server.add_account("ana");
        server.add_account("ben");
        server
    }

    /// Starts as on the first day.
    pub fn without_accounts() -> Self {
        Self::empty(|_| {})
    }

    fn empty(change: impl FnOnce(&mut Config)) -> Self {
        let data = Arc::new(TempDir::new().unwrap());
        let mut config = Self::config(&data);
        change(&mut config);
        Self::open(config, data)
    }

    fn config(data: &TempDir) -> Config {
        let mut config = Config {
            data_dir: data.path().to_owned(),
            ..Config::default()
        };
        config.server.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        config.server.shutdown_grace = 5;
        config.drive.durability = Durability::Relaxed;
        config.drive.reserve = 0;
        // `program.rs` and `former_data.rs` hash at the real cost.
        config.accounts.hash_cost = HashCost {
            memory_kib: 8,
            passes: 1,
        };
        config.log.level = "error".into();
        config.log.requests = false;
        config
    }

    /// Starts on a data folder that is there.
    pub fn over(data: TempDir) -> Self {
        let data = Arc::new(data);
        Self::open(Self::config(&data), data)
    }

    fn open(config: Config, data: Arc<TempDir>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let cores = Arc::new(WorkerPool::start().expect("start threads"));
        let (stop, stopped) = oneshot::channel();
        let (report, ended) = mpsc::channel();
        let (app, server) = runtime.block_on(async {
            let app = App::open(config.clone())
                .await
                .expect("open the data folder");
            let server = Server::bind(app.clone(), cores.clone())
                .await
                .expect("bind");
            (app, server)
        });
        let (address, metrics) = (
            server.addresses()[0],
            server.metrics_addresses().first().copied(),
        );
        runtime.spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            let _ = report.send(
                server
                    .run(shutdown)
                    .await
                    .map_err(|error| error.to_string()),
            );
        });
        let running = Some(Running {
            runtime,
            app,
            cores,
            stop,
            ended: Mutex::new(ended),
        });
        Self {
            running,
            address,
            metrics,
            config,
            data,
        }
    }

    pub fn add_account(&self, name: &str) {
        let name = AccountName::parse(name).unwrap();
        let app = self.app();
        self.block_on(
            app.auth
                .create(&name, PASSWORD.as_bytes(), Role::User, None),
        )
        .expect("make an account");
    }

    /// Stops gracefully and starts again over the same data folder (on another port).
    pub fn restart(mut self) -> Self {
        self.stop().expect("stop before the restart");
        Self::open(self.config.clone(), self.data.clone())
    }

    /// Stops gracefully, copies the data folder as `cp -a` does, loses the original, and starts on the copy.
    pub fn on_another_disk(mut self) -> Self {
        self.stop().expect("stop before the data folder is copied");
        let data = Arc::new(TempDir::new().unwrap());
        let (from, to) = (self.data.path().join("."), data.path());
        assert!(
            Command::new("cp")
                .arg("-a")
                .args([from.as_path(), to])
                .status()
                .unwrap()
                .success()
        );
        let config = Config {
            data_dir: to.to_owned(),
            ..self.config.clone()
        };
        self.data = Arc::clone(&data);
        Self::open(config, data)
    }

    /// The shared state, for what only an administrator does.
    pub fn app(&self) -> Arc<App> {
        self.running.as_ref().unwrap().app.clone()
    }

    /// Runs a future on the server's runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.running.as_ref().unwrap().runtime.block_on(future)
    }

    /// Calls the API as the command line does when no server runs.
    pub fn ask_locally<T: serde::de::DeserializeOwned>(
        &self,
        call: ApiCall,
    ) -> Result<T, CallError> {
        self.block_on(ControlClient::in_process(&self.app()).ask(call))
    }

    /// Runs a future beside the server; it must end before the server is dropped.
    pub fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        self.running.as_ref().unwrap().runtime.spawn(future)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of the listener of the metrics, where there is one.
    pub fn scraper(&self) -> Client {
        Client::new(self.metrics.expect("metrics.listen"), None)
    }

    /// A client signed in as `ana`.
    pub fn ana(&self) -> Client {
        Client::new(self.address, Some(("ana", PASSWORD)))
    }

    /// A client signed in as `ben`.
    pub fn ben(&self) -> Client {
        Client::new(self.address, Some(("ben", PASSWORD)))
    }

    /// A client that never signs in.
    pub fn stranger(&self) -> Client {
        Client::new(self.address, None)
    }

    /// A bare connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// The folder that holds everything.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The folder on disk that holds an account's files.
    pub fn home(&self, account: &str) -> PathBuf {
        self.data().join("homes").join(account)
    }

    /// Names that lie in the staging folder of an account's home.
    pub fn staged(&self, account: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.home(account).join(".sarang/tmp")) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn stop(&mut self) -> Result<(), String> {
        let Some(Running {
            runtime,
            app,
            cores,
            stop,
            ended,
        }) = self.running.take()
        else {
            return Ok(());
        };
        let _ = stop.send(());
        let outcome = ended
            .into_inner()
            .recv_timeout(GRACE)
            .map_err(|_| "the server did not end in 10 s".to_owned())
            .flatten();
        let closed = outcome.and_then(|()| {
            runtime
                .block_on(app.close())
                .map_err(|error| error.to_string())
        });
        drop(app);
        let left = || runtime.metrics().num_alive_tasks() + cores.tasks();
        let idle = poll(GRACE, || left() == 0);
        let left = left();
        runtime.shutdown_timeout(Duration::from_secs(1));
        closed?;
        if idle {
            Ok(())
        } else {
            Err(format!("{left} tasks still run after the server ended"))
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Err(reason) = self.stop() {
            assert!(std::thread::panicking(), "{reason}");
            eprintln!("{reason}");
        }
    }
}

/// Looks at a condition until it holds or the time is over; whether it held.
pub fn poll(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A file that nobody can delete, until this is dropped.
pub struct Immutable(std::fs::File, rustix::fs::IFlags);

impl Immutable {
    /// `None` but for root, on file systems that know such files.
    pub fn make(path: &Path) -> Option<Self> {
        use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
        let file = std::fs::File::open(path).unwrap();
        let before = ioctl_getflags(&file).unwrap_or(IFlags::empty());
        if ioctl_setflags(&file, before | IFlags::IMMUTABLE).is_err() {
            println!("not run: no file can be made immutable here");
            return None;
        }
        Some(Self(file, before))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = rustix::fs::ioctl_setflags(&self.0, self.1);
    }
}
