//! What the service manager (systemd) hears of the server: that it is ready, stops or reads its settings again, how it is, and that it
//! lives, which is said only after the server has answered.

use crate::app::App;
use crate::config::ManagerEnv;
use crate::server::Pulse;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the status line is renewed without a watchdog.
const STATUS: Duration = Duration::from_secs(30);
/// Of the time that the watchdog gives, one sign of life has so many tries.
const TRIES: u32 = 3;

/// The service manager, if one wants to hear of this service.
#[derive(Debug)]
pub(super) struct Manager {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    pub(super) fn new(env: &ManagerEnv) -> Self {
        let to = env.notify.as_deref().and_then(|socket| match connect(socket) {
            Ok(to) => Some(to),
            Err(error) => {
                tracing::warn!(?socket, %error, "the service manager cannot be told anything: NOTIFY_SOCKET names no socket");
                None
            }
        });
        Self { to, watchdog: env.watchdog }
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Ending what is under way");
    }

    /// Until [`ready`](Self::ready) is said again.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading settings and certificates"));
    }

    fn tell(&self, message: &str) {
        let Some((socket, to)) = &self.to else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), to) {
            tracing::debug!(%error, "the service manager was not told something");
        }
    }

    /// Says how the server is, and that it lives as long as it answers. Never ends.
    pub(super) async fn keep_told(&self, app: &Arc<App>, pulse: &Pulse) {
        if self.to.is_none() {
            return std::future::pending().await;
        }
        let mut complained: Option<Instant> = None;
        loop {
            self.tell(&format!("STATUS={}", status(app)));
            tokio::time::sleep(self.watchdog.map_or(STATUS, |within| (within / TRIES).min(STATUS))).await;
            match pulse.feel().await {
                _ if self.watchdog.is_none() => {}
                Ok(()) => {
                    complained = None;
                    self.tell("WATCHDOG=1");
                }
                Err(error) => {
                    if complained.is_none() {
                        tracing::error!(%error, "the server does not answer itself; while that lasts the watchdog hears nothing");
                        complained = Some(Instant::now());
                    }
                }
            }
        }
    }
}

/// One line for `systemctl status`.
pub(super) fn status(app: &App) -> String {
    let metrics = &app.metrics;
    format!(
        "Serving; {} connections open, {} requests answered",
        metrics.connections.load(Ordering::Relaxed),
        metrics.requests.load(Ordering::Relaxed)
    )
}

/// A path, or after an `@` an abstract name.
fn connect(socket: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    Ok((UnixDatagram::unbound()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn heard(by: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        by.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = by.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn messages_reach_paths_and_abstract_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("sarang-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let cases = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&address).unwrap(), OsString::from(format!("@{name}"))),
        ];
        for (socket, notify) in cases {
            let manager = Manager::new(&ManagerEnv { notify: Some(notify), ..ManagerEnv::default() });
            manager.ready("Well");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=Well");
            manager.reloading();
            let said = heard(&socket);
            let micros = said.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
            assert!(said.starts_with("RELOADING=1\n") && micros.parse::<u64>().unwrap() > 0, "{said}");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        Manager::new(&ManagerEnv::default()).ready("Well");
        let nowhere = ManagerEnv { notify: Some("/nowhere/at/all".into()), ..ManagerEnv::default() };
        Manager::new(&nowhere).stopping();
    }
}
