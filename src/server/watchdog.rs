//! Whether the server answers, found out as a client would: over its own addresses.

use super::proxy::TrustedProxies;
use futures_util::future::try_join_all;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How long all addresses together may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of that is for one connection to be made.
const CONNECTING: Duration = Duration::from_secs(1);
/// Refused as soon as it is read, so that it is in no log and counted nowhere; any other answer is one, too.
const PROBE: &[u8] = b"PULSE\r\n\r\n";
/// Before it, where proxies speak of their clients: this is nobody's.
const NOBODY: &[u8] = b"PROXY UNKNOWN\r\n";

/// Asks the server for signs of life.
#[derive(Debug)]
pub struct Watchdog {
    addresses: Vec<WatchedAddress>,
    proxies: TrustedProxies,
}

#[derive(Debug)]
struct WatchedAddress {
    bound: SocketAddr,
    /// Whether it could not be connected to when it was last asked.
    is_unreached: AtomicBool,
}

impl Watchdog {
    pub(super) fn new(
        addresses: impl IntoIterator<Item = SocketAddr>,
        proxies: TrustedProxies,
    ) -> Self {
        let addresses = addresses
            .into_iter()
            .map(|bound| WatchedAddress {
                bound,
                is_unreached: AtomicBool::default(),
            })
            .collect();
        Self { addresses, proxies }
    }

    /// Whether there is an answer on each connection that can be made; the error says where there is none. An address that cannot
    /// be connected to says nothing of the server (no IPv6, a firewall), so that only the log tells of it.
    pub async fn check(&self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        try_join_all(
            self.addresses
                .iter()
                .map(|address| self.probe(address, until)),
        )
        .await
        .map(drop)
    }

    async fn probe(&self, address: &WatchedAddress, until: Instant) -> io::Result<()> {
        let bound = address.bound;
        let stream = match connect(bound).await {
            Ok(stream) => stream,
            Err(error) => {
                if !address.is_unreached.swap(true, Ordering::Relaxed) {
                    tracing::warn!(address = %bound, %error, "the server cannot connect to an address of its own: the watchdog does without it");
                }
                return Ok(());
            }
        };
        address.is_unreached.store(false, Ordering::Relaxed);
        let answered = timeout_at(until, self.read_response(stream)).await;
        answered
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| io::Error::new(error.kind(), format!("{bound}: {error}")))
    }

    async fn read_response(&self, mut stream: TcpStream) -> io::Result<()> {
        let before: &[u8] = if self.proxies.contain(stream.local_addr()?.ip()) {
            NOBODY
        } else {
            b""
        };
        // A refusal for want of room comes unasked, and ends the connection: it is an answer, whether this was still written or not.
        let _ = stream.write_all(&[before, PROBE].concat()).await;
        let mut begin = [0; 7];
        stream.read_exact(&mut begin).await?;
        if begin == *b"HTTP/1." {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// A connection to a listener of this machine. One for all addresses is reached over IPv4 where there is no IPv6 loopback.
async fn connect(bound: SocketAddr) -> io::Result<TcpStream> {
    let is_for_both = bound.is_ipv6() && bound.ip().is_unspecified();
    let other = is_for_both.then(|| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()));
    match (connect_to(reachable(bound)).await, other) {
        (Err(_), Some(other)) => connect_to(other).await,
        (made, _) => made,
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    timeout(CONNECTING, TcpStream::connect(address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The address by which this machine itself reaches a listener.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(addresses: &[SocketAddr]) -> Watchdog {
        Watchdog::new(addresses.iter().copied(), TrustedProxies::new(&[]))
    }

    fn silent() -> (std::net::TcpListener, SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test(start_paused = true)]
    async fn listeners_that_answer_nobody_do_not_live() {
        let ((_one, first), (_two, second)) = (silent(), silent());
        let began = Instant::now();
        let error = pulse(&[first, second]).check().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains(&first.to_string()), "{error}");
        assert!(
            began.elapsed() <= PATIENCE + CONNECTING,
            "one bound for all: {:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_for_all_addresses_is_asked_over_ipv4_where_ipv6_fails() {
        let (_listener, address) = silent();
        let bound = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
        assert_eq!(
            pulse(&[bound]).check().await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }

    #[tokio::test]
    async fn who_says_something_else_does_not_live_and_who_cannot_be_connected_to_may() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let others = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 mail").await.unwrap();
        });
        let pulse = pulse(&[address]);
        assert_eq!(
            pulse.check().await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        others.await.unwrap();
        // Refused here; elsewhere there may be no such address, or no way to it.
        pulse.check().await.unwrap();
        assert!(pulse.addresses[0].is_unreached.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_refusal_that_comes_unasked_is_an_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let full = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            stream.try_write(crate::server::FULL).unwrap();
        });
        pulse(&[address]).check().await.unwrap();
        full.await.unwrap();
    }

    #[test]
    fn every_address_is_reached_from_here() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(
            (at("0.0.0.0:80"), at("[::]:80")),
            ("127.0.0.1:80".into(), "[::1]:80".into())
        );
        assert_eq!(at("192.0.2.1:80"), "192.0.2.1:80");
    }
}
