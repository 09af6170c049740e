//! Where connections come in: the configured addresses, or sockets that a service manager opened and hands over (socket activation),
//! which outlive the program, so that a restart refuses nobody.

use crate::model::{Error, Result};
use listenfd::ListenFd;
use rustix::net::sockopt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use tokio::net::TcpListener as Listening;

/// How sockets for HTTP and for TLS are named: by `FileDescriptorName=`, or without it after their unit.
const PLAIN: [&str; 3] = ["sarang", "sarang.socket", "unknown"];
const TLS: [&str; 2] = ["sarang-tls", "sarang-tls.socket"];

/// Sockets that were handed over.
#[derive(Debug, Default)]
pub struct ActivatedSockets {
    /// Those for HTTP.
    pub(super) plain: Vec<TcpListener>,
    /// Those for TLS.
    pub(super) tls: Vec<TcpListener>,
}

impl ActivatedSockets {
    /// Takes the sockets that were handed to this process, which has to be done once and before it opens others; `names` in their order.
    pub fn take(names: &[String]) -> Result<Self> {
        let mut sockets = ListenFd::from_env();
        let mut handed = Self::default();
        for at in 0..sockets.len() {
            // Whoever hands sockets over without names means HTTP.
            let name = names.get(at).map_or("sarang", String::as_str);
            let listener = sockets
                .take_tcp_listener(at)
                .ok()
                .flatten()
                .filter(|listener| {
                    listener.set_nonblocking(true).is_ok()
                        && sockopt::socket_acceptconn(listener).is_ok_and(|listens| listens)
                });
            let listener = listener.ok_or_else(|| {
                refused(format!(
                    "the socket {name:?} that was handed over (descriptor {}) is none that listens for TCP: its unit needs \
                     ListenStream= with an address and a port, and Accept=no",
                    at + 3
                ))
            })?;
            match name {
                name if PLAIN.contains(&name) => handed.plain.push(listener),
                name if TLS.contains(&name) => handed.tls.push(listener),
                _ => {
                    return Err(refused(format!(
                        "a socket named {name:?} was handed over: FileDescriptorName= in its unit must be \"sarang\" for HTTP or \
                         \"sarang-tls\" for TLS"
                    )));
                }
            }
        }
        Ok(handed)
    }

    /// Refuses sockets for TLS without anything that makes TLS.
    pub(super) fn check(&self, has_tls: bool) -> Result<()> {
        if self.tls.is_empty() || has_tls {
            return Ok(());
        }
        Err(refused("a socket for TLS was handed over, and [tls] is not set up: give it certificates, or disable that socket unit".into()))
    }
}

fn refused(sentence: String) -> Error {
    Error::io(
        "listen",
        io::Error::new(io::ErrorKind::InvalidInput, sentence),
    )
}

/// The sockets that were handed over, or else the addresses that are wanted.
pub(super) async fn open(
    wanted: &[SocketAddr],
    handed: Vec<TcpListener>,
) -> Result<Vec<(Listening, SocketAddr)>> {
    let mut opened = Vec::new();
    if handed.is_empty() {
        for wanted in wanted {
            opened.push(listen(*wanted).await?);
        }
    }
    for listener in handed {
        let taken =
            Listening::from_std(listener).and_then(|l| l.local_addr().map(|address| (l, address)));
        opened.push(taken.map_err(|error| Error::io("listen", error))?);
    }
    Ok(opened)
}

async fn listen(wanted: SocketAddr) -> Result<(Listening, SocketAddr)> {
    let taken = Listening::bind(wanted)
        .await
        .and_then(|l| l.local_addr().map(|address| (l, address)));
    taken.map_err(|error| cannot_listen(wanted, &error))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses this address, maybe another sarang".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    };
    Error::Io {
        doing: "listen",
        source: io::Error::new(error.kind(), format!("{address}: {why}")),
    }
}
