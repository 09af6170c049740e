//! Whether the server answers, found out as a client would: over its own addresses.

use super::proxy::Proxies;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Refused as soon as it is read, so that it is in no log and counted nowhere; any other answer is one, too.
const PROBE: &[u8] = b"PULSE\r\n\r\n";
/// Before it, where proxies speak of their clients: this is nobody's.
const NOBODY: &[u8] = b"PROXY UNKNOWN\r\n";

/// Asks the server for signs of life.
#[derive(Debug)]
pub struct Pulse {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) proxies: Proxies,
    /// How many cores serve: so many connections reach each of them.
    pub(super) cores: usize,
}

impl Pulse {
    /// Whether each address accepts a connection and answers on it; the error says why not.
    pub async fn feel(&self) -> io::Result<()> {
        for address in &self.addresses {
            for _ in 0..self.cores {
                let answered = tokio::time::timeout(PATIENCE, self.ask(reachable(*address))).await;
                answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            }
        }
        Ok(())
    }

    async fn ask(&self, address: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        if self.proxies.contain(stream.local_addr()?.ip()) {
            stream.write_all(NOBODY).await?;
        }
        stream.write_all(PROBE).await?;
        let mut begin = [0; 7];
        stream.read_exact(&mut begin).await?;
        if begin == *b"HTTP/1." { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
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

    fn pulse(address: SocketAddr) -> Pulse {
        Pulse { addresses: vec![address], proxies: Proxies::new(&[]), cores: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_answers_nobody_does_not_live() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(pulse(silent.local_addr().unwrap()).feel().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn nor_does_one_that_is_gone_or_says_something_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let others = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 mail").await.unwrap();
        });
        assert!(pulse(address).feel().await.is_err());
        others.await.unwrap();
        assert!(pulse(address).feel().await.is_err());
    }

    #[test]
    fn every_address_is_reached_from_here() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!((at("0.0.0.0:80"), at("[::]:80")), ("127.0.0.1:80".into(), "[::1]:80".into()));
        assert_eq!(at("192.0.2.1:80"), "192.0.2.1:80");
    }
}
