//! What the service manager (systemd) hears of the server: that it is ready, stops or reads its settings again, how it is, and that it
//! lives, which is said only after the server has answered.

use crate::app::App;
use crate::config::ManagerEnv;
use crate::server::Watchdog;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// How often the status line is renewed without a watchdog.
const STATUS: Duration = Duration::from_secs(30);
/// Of the time that the watchdog gives, one sign of life has so many tries.
const TRIES: u32 = 3;
/// How soon one that did not come is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The service manager, if one wants to hear of this service.
#[derive(Debug)]
pub(super) struct ServiceManager {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// Whether the end was said, after which nothing else is.
    stopping: watch::Sender<bool>,
}

impl ServiceManager {
    pub(super) fn new(env: &ManagerEnv) -> Self {
        let to = env.notify.as_deref().and_then(|socket| match connect(socket) {
            Ok(to) => Some(to),
            Err(error) => {
                tracing::warn!(?socket, %error, "the service manager cannot be told anything: NOTIFY_SOCKET names no socket");
                None
            }
        });
        Self {
            to,
            watchdog: env.watchdog,
            stopping: watch::Sender::new(false),
        }
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    pub(super) fn stopping(&self) {
        self.stopping.send_modify(|is_said| {
            self.send("STOPPING=1\nSTATUS=Ending what is under way");
            *is_said = true;
        });
    }

    /// Until [`ready`](Self::ready) is said again.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading settings and certificates"
        ));
    }

    fn tell(&self, message: &str) {
        // Held while it is sent, so that the end comes behind it.
        let is_stopping = self.stopping.borrow();
        if !*is_stopping {
            self.send(message);
        }
    }

    fn send(&self, message: &str) {
        let Some((socket, to)) = &self.to else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), to) {
            tracing::debug!(%error, "the service manager was not told something");
        }
    }

    /// Says how the server is, and that it lives as long as it answers, until the end is said.
    pub(super) async fn run_notifications(&self, app: &App, pulse: &Watchdog) {
        let mut stopping = self.stopping.subscribe();
        let ended = async { drop(stopping.wait_for(|is_said| *is_said).await) };
        tokio::select! {
            biased;
            () = ended => {}
            () = self.notify_status(app, pulse) => {}
        }
    }

    async fn notify_status(&self, app: &App, pulse: &Watchdog) {
        if self.to.is_none() {
            return std::future::pending().await;
        }
        let mut answers = true;
        loop {
            self.tell(&format!("STATUS={}", status(app)));
            tokio::time::sleep(self.pause(answers)).await;
            if self.watchdog.is_none() {
                continue;
            }
            match pulse.check().await {
                Ok(()) => {
                    answers = true;
                    self.tell("WATCHDOG=1");
                }
                Err(error) => {
                    if answers {
                        tracing::error!(%error, "the server does not answer itself; while that lasts the watchdog hears nothing");
                    }
                    answers = false;
                }
            }
        }
    }

    /// How long until the next sign of life.
    fn pause(&self, answers: bool) -> Duration {
        let pause = self
            .watchdog
            .map_or(STATUS, |within| (within / TRIES).min(STATUS));
        if answers { pause } else { pause.min(RETRY) }
    }
}

/// One line for `systemctl status`.
pub(super) fn status(app: &App) -> String {
    let metrics = &app.metrics;
    format!(
        "Serving; {} connections open, {} requests answered",
        metrics.connections.load(Ordering::Relaxed),
        metrics.requests.total()
    )
}

/// A path, or after an `@` an abstract name.
fn connect(socket: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    // A manager that does not read holds up nobody.
    from.set_nonblocking(true)?;
    Ok((from, address))
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
            (
                UnixDatagram::bind_addr(&address).unwrap(),
                OsString::from(format!("@{name}")),
            ),
        ];
        for (socket, notify) in cases {
            let manager = ServiceManager::new(&ManagerEnv {
                notify: Some(notify),
                ..ManagerEnv::default()
            });
            manager.ready("Well");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=Well");
            manager.reloading();
            let said = heard(&socket);
            let micros = said
                .lines()
                .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
                .unwrap();
            assert!(
                said.starts_with("RELOADING=1\n") && micros.parse::<u64>().unwrap() > 0,
                "{said}"
            );
        }
    }

    #[test]
    fn nothing_is_said_behind_the_end_and_nobody_waits_for_who_does_not_listen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::new(&ManagerEnv {
            notify: Some(path.into_os_string()),
            ..ManagerEnv::default()
        });
        manager.stopping();
        manager.ready("Well");
        assert!(heard(&socket).starts_with("STOPPING=1\n"));
        socket.set_nonblocking(true).unwrap();
        assert_eq!(
            socket.recv(&mut [0; 9]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // More than the socket holds.
            (0..10_000).for_each(|_| manager.send("STATUS=Well"));
            done.send(())
        });
        ended
            .recv_timeout(Duration::from_secs(20))
            .expect("it does not wait");
    }

    #[test]
    fn a_sign_of_life_that_failed_is_tried_again_soon() {
        let pauses = |watchdog: u64| {
            let watchdog = Some(Duration::from_millis(watchdog));
            let manager = ServiceManager::new(&ManagerEnv {
                watchdog,
                ..ManagerEnv::default()
            });
            [true, false].map(|answers| manager.pause(answers).as_millis())
        };
        assert_eq!([pauses(60_000), pauses(900)], [[20_000, 1000], [300, 300]]);
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        ServiceManager::new(&ManagerEnv::default()).ready("Well");
        let nowhere = ManagerEnv {
            notify: Some("/nowhere/at/all".into()),
            ..ManagerEnv::default()
        };
        ServiceManager::new(&nowhere).stopping();
    }
}
