//! What the service manager (systemd) tells a service in its environment: the names of the sockets that it hands over, where it wants
//! to hear of the service, and how often.

use std::ffi::OsString;
use std::time::Duration;

/// What a service manager told this process; nothing without one.
#[derive(Clone, Debug, Default)]
pub struct ManagerEnv {
    /// The names of the sockets handed over, in their order (`FileDescriptorName=`).
    pub socket_names: Vec<String>,
    /// The socket that wants to hear of readiness (`NOTIFY_SOCKET`).
    pub notify: Option<OsString>,
    /// How long it waits between two signs of life (`WatchdogSec=`).
    pub watchdog: Option<Duration>,
}

impl ManagerEnv {
    /// Reads the environment.
    pub fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok();
        let is_mine =
            |name: &str| text(name).is_none_or(|pid| pid == std::process::id().to_string());
        let names = text("LISTEN_FDNAMES").filter(|_| is_mine("LISTEN_PID"));
        let micros = text("WATCHDOG_USEC").filter(|_| is_mine("WATCHDOG_PID"));
        Self {
            socket_names: names
                .map(|names| names.split(':').map(str::to_owned).collect())
                .unwrap_or_default(),
            notify: std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
            watchdog: micros
                .and_then(|micros| micros.parse().ok())
                .filter(|micros| *micros > 0)
                .map(Duration::from_micros),
        }
    }
}
